"""The pool of worker processes: the standard pool, in our context, with our queues.

The problem. In the standard pool, an argument that cannot be pickled is the exception of that call,
and so is a result that cannot, as MaybeEncodingError. But a task that its worker cannot unpickle
kills the worker, then the next one as well, and the call waits for ever. A result, or an exception,
that the pool cannot unpickle kills the thread that reads results, and then every call waits. And a
pool that ends while tasks run takes the lock of its task queue, so that no worker takes a task any
more; our queues have no such lock.

The solution. A task or result travels with a head that identifies it and that is always readable;
the content is pickled apart from the head, in the same message. Content that cannot be unpickled
becomes the error of its task: the worker gets a task that raises the error, the pool a result that
is the error. A pool that ends first takes all tasks back, and from then on nothing in it waits for
room.

What it guarantees. Each call gets its value or an error, whatever its pickles do, and the pool goes
on. `with Pool(...)` ends all running tasks, and closes its pipes at once, also when an `imap` was
left early.

`ThreadPool` is the standard one: its values stay in the process.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable
from multiprocessing import pool as _standard
from multiprocessing.context import BaseContext
from typing import Any

from minitensor import runtime

from . import _default, message_pipe
from ._alias import fall_back
from .message_pipe import Packet, PacketEnd
from .queues import SimpleQueue
from .reductions import ForkingPickler, dumps
from .waiting import SLICE, take

__all__ = _standard.__all__
__getattr__, __dir__ = fall_back(__name__, _standard)

_HEAD = struct.Struct("<qqI")  # the job, the task's index in it, the size of a text that follows
_NO_TASK = _HEAD.pack(-1, 0, 0)  # the end of the tasks; the standard pool sends None


def _begin(threads: int, initializer: Callable[..., object] | None, *initargs: Any) -> None:
    """Initialize a worker.

    The workers share the cores, so that the threads of all their ops fit the machine.

    Args:
        threads: the number of threads for the ops of this worker.
        initializer, initargs: the function to call then, and its arguments.
    """
    runtime.set_num_threads(threads)
    if initializer is not None:
        initializer(*initargs)


def _raise(error: Exception) -> None:
    """Raise an error: the task that replaces one that cannot be unpickled."""
    raise error


class _PoolQueue(SimpleQueue):
    """A queue of items that begin with a readable head: their job and index."""

    ending = False  # the pool ends: an item without room is dropped

    def put(self, item: tuple[Any, ...] | None) -> None:
        """Send a task or a result; None ends them."""
        head = _NO_TASK if item is None else self._head(item)
        content = None if item is None else item[2:]
        if not isinstance(self._writer, PacketEnd):
            self._send_bytes(b"".join((head, dumps(content))))
            return
        packet = Packet()
        try:
            tokens: list[list[int]] = []
            packet.tokens = tokens
            self._writer.fill(packet, dumps(content, self._writer.channel, tokens), head)
            while not self._writer.write_now(packet):
                if self.ending:
                    break
                self._writer.wait_for_room(SLICE)
        finally:
            if packet.gone is False:
                packet.drop()

    def get(self) -> tuple[Any, ...] | None:
        """Return the next task or result; its error if it cannot be unpickled."""
        taken: list[Any] = [None]
        try:
            return self._item(self._message(taken), taken)
        except BaseException:
            message_pipe.discard(taken[0])
            raise

    def drain(self) -> None:
        """Discard all messages in the pipe."""
        if isinstance(self._reader, PacketEnd):
            taken: list[Any] = [None]
            while self._reader.read_now(taken):
                message_pipe.discard(taken[0])
        elif self._reader.poll():
            self._reader.recv_bytes()

    def _message(self, taken: list[Any]) -> Any:
        if isinstance(self._reader, PacketEnd):
            self._reader._check_closed()
            take(self._reader, None, taken)
            return message_pipe.unpack(taken[0])
        with self._rlock:
            return memoryview(self._reader.recv_bytes())

    def _item(self, message: Any, taken: list[Any]) -> tuple[Any, ...] | None:
        job, place, nbytes = _HEAD.unpack_from(message)
        if job < 0:
            return None
        end = _HEAD.size + nbytes
        try:
            return job, place, *ForkingPickler.loads(message[end:])
        except Exception as error:
            message_pipe.discard(taken[0])
            return job, place, *self._failure(error, str(message[_HEAD.size : end], "utf-8"))

    def _head(self, item: tuple[Any, ...]) -> bytes:
        return _HEAD.pack(item[0], item[1], 0)

    def _failure(self, error: Exception, text: str) -> tuple[Any, ...]:
        """Return what stands for a message that can't be unpickled; each direction has its own."""
        raise NotImplementedError


class _Tasks(_PoolQueue):
    """The queue of tasks to the workers: job, index, function, arguments, keywords."""

    def get(self) -> tuple[Any, ...] | None:
        """Return the next task; None in an idle worker after Ctrl-C, which ends it quietly."""
        try:
            return super().get()
        except KeyboardInterrupt:
            return None

    def _failure(self, error: Exception, text: str) -> tuple[Any, ...]:
        return _raise, (error,), {}


class _Results(_PoolQueue):
    """The queue of results to the pool: job, index, (success, the value or the exception)."""

    def _head(self, item: tuple[Any, ...]) -> bytes:
        error, text = item[2][1], b""
        if isinstance(error, _standard.ExceptionWithTraceback):
            # The head contains the traceback, in case the pool cannot unpickle the exception.
            text = error.tb.encode("utf-8", "replace")
        return _HEAD.pack(*item[:2], len(text)) + text

    def _failure(self, error: Exception, text: str) -> tuple[Any, ...]:
        if text:
            error.__cause__ = _standard.RemoteTraceback(text)
        return ((False, error),)


class Pool(_standard.Pool):
    """A pool of processes that run tasks.

    Args:
        processes: the number of workers; None for the number of cores.
        initializer, initargs: a function that each worker calls first, and its arguments.
        maxtasksperchild: the number of tasks after which a worker is replaced; None for no limit.
        context: the context whose processes and queues the pool uses; None for the default one.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: BaseContext | None = None,
    ) -> None:
        context = context or _default.context.get_context()
        if initializer is None or callable(initializer):  # otherwise the standard pool raises
            workers = processes or os.cpu_count() or 1
            threads = max(1, runtime.get_num_threads() // workers)
            initializer, initargs = _begin, (threads, initializer, *initargs)
        super().__init__(processes, initializer, initargs, maxtasksperchild, context)

    def _setup_queues(self) -> None:
        self._inqueue, self._outqueue = _Tasks(ctx=self._ctx), _Results(ctx=self._ctx)
        self._quick_put, self._quick_get = self._inqueue.put, self._outqueue.get

    @staticmethod
    def _help_stuff_finish(inqueue: _Tasks, task_handler: Any, size: int) -> None:
        # The standard one polls, then reads, and waits for ever if a worker was faster.
        inqueue._rlock.acquire()
        inqueue.drain()
        while task_handler.is_alive() and inqueue._reader.poll():
            inqueue.drain()

    @classmethod
    def _terminate_pool(
        cls, taskqueue: Any, inqueue: _Tasks, outqueue: _Results, *rest: Any
    ) -> None:
        # A full pipe of results needs no sentinel: the thread that reads results has one to read,
        # and sees the state then. The workers need none either: they are terminated.
        inqueue.ending = outqueue.ending = True
        super()._terminate_pool(taskqueue, inqueue, outqueue, *rest)
        *_, result_handler, cache = rest
        if not result_handler.is_alive():
            cache.clear()  # results without a waiter keep the pool, and its pipes, alive
