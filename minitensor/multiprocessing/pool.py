"""The pool of worker processes: the standard one, in our context, with our queues.

The problem. An argument that can't be pickled is the exception of that call, and so is a result that can't, as
MaybeEncodingError. But a task that its worker can't unpickle kills the worker, the next one as well, and the call waits for
ever; a result, or an exception, that the pool can't unpickle kills the thread that reads results, and then every call waits.
And a pool that ends while tasks are under way takes the lock of its task queue, so that no worker takes one any more: our
queues have no such lock.

The solution. Tasks and results travel with a head that says whose they are and that never fails; the rest is pickled apart from
it, in the same message. What can't be unpickled becomes the error of its task: in a worker a task that raises it, in the pool a
result that is one. A pool that ends takes all tasks back first, and from then on nothing in it waits for room.

What it guarantees. Each call gets its value or an error, whatever its pickles do; the pool goes on. `with Pool(...)` ends
whatever is under way, and gives back its pipes at once, also when an `imap` was left early.

`ThreadPool` is the standard one: its values never travel.
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
from .queues import _SLICE, SimpleQueue, _take
from .reductions import ForkingPickler, dumps

__all__ = _standard.__all__
__getattr__, __dir__ = fall_back(__name__, _standard)

_HEAD = struct.Struct("<qqI")  # the job, the task's place in it, and the bytes of a text that follows
_NO_TASK = _HEAD.pack(-1, 0, 0)  # what the standard pool sends as None: no more of them


def _begin(threads: int, initializer: Callable[..., object] | None, *initargs: Any) -> None:
    """What a worker does first.  The workers share the cores, so that they and the threads of their ops fit the machine."""
    runtime.set_num_threads(threads)
    if initializer is not None:
        initializer(*initargs)


def _raise(error: Exception) -> None:
    """The task that a worker does in place of one that it can't unpickle."""
    raise error


class _PoolQueue(SimpleQueue):
    """A queue whose items begin with their job and place, and can always be received."""

    ending = False  # the pool ends: what finds no room is not needed any more

    def put(self, item: tuple[Any, ...] | None) -> None:
        """Send a task or a result; None: there are no more."""
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
                self._writer.wait_for_room(_SLICE)
        finally:
            if packet.gone is False:
                packet.drop()

    def get(self) -> tuple[Any, ...] | None:
        """The next task or result; what can't be unpickled is one with the error."""
        taken: list[Any] = [None]
        try:
            return self._item(self._message(taken), taken)
        except BaseException:
            message_pipe.discard(taken[0])
            raise

    def drain(self) -> None:
        """Take all that is in the pipe, for nobody."""
        if isinstance(self._reader, PacketEnd):
            taken: list[Any] = [None]
            while self._reader.read_now(taken):
                message_pipe.discard(taken[0])
        elif self._reader.poll():
            self._reader.recv_bytes()

    def _message(self, taken: list[Any]) -> Any:
        if isinstance(self._reader, PacketEnd):
            self._reader._check_closed()
            _take(self._reader, None, taken)
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
        raise NotImplementedError


class _Tasks(_PoolQueue):
    """Tasks on their way to the workers: job, place, function, arguments, keywords."""

    def get(self) -> tuple[Any, ...] | None:
        """The next task.  An idle worker that gets Ctrl-C ends, without a traceback."""
        try:
            return super().get()
        except KeyboardInterrupt:
            return None

    def _failure(self, error: Exception, text: str) -> tuple[Any, ...]:
        return _raise, (error,), {}


class _Results(_PoolQueue):
    """Results on their way to the pool: job, place, (whether it is a value, the value or the exception)."""

    def _head(self, item: tuple[Any, ...]) -> bytes:
        error = item[2][1]  # of an exception the head has the traceback, in case that the pool can't unpickle it
        text = error.tb.encode("utf-8", "replace") if isinstance(error, _standard.ExceptionWithTraceback) else b""
        return _HEAD.pack(*item[:2], len(text)) + text

    def _failure(self, error: Exception, text: str) -> tuple[Any, ...]:
        if text:
            error.__cause__ = _standard.RemoteTraceback(text)
        return ((False, error),)


class Pool(_standard.Pool):
    """A pool of processes that run tasks."""

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: BaseContext | None = None,
    ) -> None:
        context = context or _default.context.get_context()
        if initializer is None or callable(initializer):  # else the standard pool says what is wrong
            workers = processes or os.cpu_count() or 1
            initializer, initargs = _begin, (max(1, runtime.get_num_threads() // workers), initializer, *initargs)
        super().__init__(processes, initializer, initargs, maxtasksperchild, context)

    def _setup_queues(self) -> None:
        self._inqueue, self._outqueue = _Tasks(ctx=self._ctx), _Results(ctx=self._ctx)
        self._quick_put, self._quick_get = self._inqueue.put, self._outqueue.get

    @staticmethod
    def _help_stuff_finish(inqueue: _Tasks, task_handler: Any, size: int) -> None:
        # The standard one polls, then reads, which waits for ever when a worker was faster.
        inqueue._rlock.acquire()
        inqueue.drain()
        while task_handler.is_alive() and inqueue._reader.poll():
            inqueue.drain()

    @classmethod
    def _terminate_pool(cls, taskqueue: Any, inqueue: _Tasks, outqueue: _Results, *rest: Any) -> None:
        # Whoever finds no room in the pipe of results needs no sentinel in it: the thread that reads them has one to read, and sees
        # the state.  Nor do the workers, which are terminated.
        inqueue.ending = outqueue.ending = True
        super()._terminate_pool(taskqueue, inqueue, outqueue, *rest)
        *_, result_handler, cache = rest
        if not result_handler.is_alive():
            cache.clear()  # results that nobody waits for any more hold the pool, and its pipes
