"""Queues whose `put` pickles at the call, and that a killed process cannot block.

The problem. The standard `Queue.put` appends the object to a list and returns; a thread pickles it
later. What fails: an object that cannot be pickled is dropped, a traceback appears on stderr, and
the consumer waits for ever. The value sent is the one that the object has when the thread pickles
it, so `q.put(t); t += 1` is a race. A process that is killed while it waits in `get` keeps the
reader's lock.

The solution. `put` pickles and, while the pipe has room, sends. Only when the pipe is full, a
thread takes over (`feeder.py`), which writes the messages in order. The pipe keeps messages apart
by itself (`message_pipe.py`). So there is no lock that a killed process could keep, nor one that a
put could hold while a signal handler or a finalizer interrupts it to put in its turn.

What it guarantees. A put that returned has sent the value of that moment. A put that raises, for
whatever reason, takes no place in the queue, leaves nothing in the shared memory and leaves the
queue working. A process that ends normally has written all its messages. A process killed after a
put that found room has delivered its message; messages that wait for room in a killed process are
lost, as in the standard queue. A `get` that fails to unpickle its message has taken the message:
its place is free, and its references are ended.

A `get` that no process can answer any more raises EOFError within a second, where that can be
known: every other process that had the queue has ended, and nothing in this process could put
(`waiting.py`). Otherwise it waits, as the standard queue does.

What a killed process leaves behind. A bounded queue counts its places in a semaphore. A consumer
killed in the few instructions between taking a message and releasing its place keeps the place. An
unbounded queue counts places for `qsize` only, and works without the count where the system has no
semaphores (`places.py`).

The order in `put` is: the test for a closed queue, then a place, then the pickle. A full queue
raises Full before any work is done for the message. A small message (`message_pipe.py`) is pickled
first, and takes its place in the call that sends it; if that call finds no place or no room, the
put begins again in the general way.

Two cases are reported as in the standard queue, through `_on_queue_feeder_error`, because programs
and CPython's own tests rely on it. A queue that overrides this hook gets every error. And an
AttributeError from an object's own Python code (`__reduce__`, `__getstate__`) is a defect in that
code rather than a refusal of the pickler, and is printed. What pickle itself refuses, and every
other kind of exception, raises.

Where message pipes are missing (`message_pipe.available`), the same classes use the standard
queue's pipe and locks. There a `get` holds the reader's lock, and a signal handler that calls `get`
while its thread is in a `get` waits for ever.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from contextlib import nullcontext
from itertools import starmap
from multiprocessing import queues as _standard
from multiprocessing import reduction
from multiprocessing.util import Finalize, register_after_fork
from queue import Empty, Full
from typing import Any

from minitensor.sharing import inline_bytes, pickler

from . import message_pipe, reductions
from ._alias import fall_back
from .feeder import Feeder
from .message_pipe import QUICK, Packet, PacketEnd, send_packet, small_message, take_packet
from .places import NoLock, Uncounted, limit, places
from .reductions import ForkingPickler, dumps
from .waiting import take

__all__ = _standard.__all__
__getattr__, __dir__ = fall_back(__name__, _standard)

class Queue(_standard.Queue):
    """A queue between processes; `put` pickles at the call.

    Args:
        maxsize: the maximum number of messages in the queue; 0 for no limit.
        ctx: the context that makes the queue's semaphores.

    Example:
        >>> import minitensor.multiprocessing as mp
        >>> queue = mp.Queue()
        >>> queue.put(1)
        >>> queue.get()
        1
    """

    _close: Any
    _jointhread: Any
    _unfinished_tasks: Any = None  # a JoinableQueue's count

    def __init__(self, maxsize: int = 0, *, ctx: Any) -> None:
        if not message_pipe.available():
            _standard.Queue.__init__(self, maxsize, ctx=ctx)
            return
        self._sem = places(maxsize, ctx)
        self._maxsize = limit(maxsize) if not isinstance(self._sem, Uncounted) else 0
        self._reader, self._writer = message_pipe.pair()
        self._rlock = self._wlock = NoLock()
        self._opid = os.getpid()
        self._ignore_epipe = False  # for use by concurrent.futures
        self._reset()
        register_after_fork(self, _standard.Queue._after_fork)

    def _reset(self, after_fork: bool = False) -> None:
        super()._reset(after_fork)  # the parent sends the messages that a fork copied
        self._sent = False  # whether this process has put
        self._feeder = Feeder(
            self._writer.write
            if isinstance(self._writer, PacketEnd)
            else _writer_under(self._wlock, self._send_bytes),
            _closer(self._reader, self._writer),
            self._ignore_epipe,
            self._on_queue_feeder_error,
            self._sem,
        )
        self._buffer = self._feeder.waiting
        self._places = getattr(self._sem._semlock, "handle", 0)
        self._quick = (
            QUICK and isinstance(self._writer, PacketEnd) and self._unfinished_tasks is None
        )
        # Each step of these iterators is one acquisition or release; the loop of one step notes it
        # (message_pipe.py).
        self._takes = iter(self._sem.acquire, Ellipsis)
        self._frees = iter(self._sem.release, Ellipsis)
        tasks = self._unfinished_tasks
        self._counts = () if tasks is None else iter(tasks.release, Ellipsis)

    def put(self, obj: object, block: bool = True, timeout: float | None = None) -> None:
        """Send the present value of an object.

        Args:
            obj: the object.
            block: whether to wait for a place while the queue is full.
            timeout: maximum seconds to wait for a place; None for no limit.

        Raises:
            Full: the queue has no free place.
            ValueError: the queue is closed.
            Exception: whatever pickling the object raises; nothing is sent then.
        """
        if self._closed:
            raise ValueError(f"[Queue.put] the queue is closed: {self!r}; put before close()")
        if self._quick and not self._buffer:
            message = small_message(obj, inline_bytes())
            if message is not None:
                self._sent = True
                if send_packet(self._writer._handle, self._places, message):
                    return
        packet = Packet()
        try:
            takes = self._takes
            if timeout is not None or not block:
                takes = starmap(self._sem.acquire, ((block, timeout),))
            for packet.place in takes:
                break
            if not packet.place:
                raise Full
            try:
                tokens: list[list[int]] = []
                packet.tokens = tokens
                if isinstance(self._writer, PacketEnd):
                    self._writer.fill(packet, dumps(obj, self._writer.channel, tokens))
                else:
                    packet.parts = (dumps(obj, None, tokens),)
            except Exception as error:
                if not self._reports(error):
                    raise
                self._give_back(packet)
                self._on_queue_feeder_error(error, obj)
                return
            # Counted before the send: a consumer may be faster than this method.
            for packet.task in self._counts:
                break
            self._enqueue(packet)
        except BaseException:
            if packet.gone is False:
                # A second KeyboardInterrupt may end the first call early. This stands inline: in a
                # helper the interrupt could rise at its entry, before its `try`.
                try:
                    self._give_back(packet)
                except BaseException:
                    self._give_back(packet)
                    raise
            raise

    def _give_back(self, packet: Packet) -> None:
        """Undo the steps of a put that does not send; a second call continues the first."""
        if packet.place:
            for packet.place in self._frees:
                break
        if packet.task is not False:
            for _ in map(self._unfinished_tasks.acquire, (False,)):
                packet.task = False
                break
        packet.drop()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Return the next object.

        Args:
            block: whether to wait while the queue is empty.
            timeout: maximum seconds to wait; None for no limit.

        Raises:
            Empty: the queue has no message.
            EOFError: no process can put any more (`waiting.py`).
            ValueError: the queue is closed.
        """
        if not isinstance(self._reader, PacketEnd):
            return super().get(block, timeout)
        if self._closed:
            raise ValueError(f"[Queue.get] the queue is closed: {self!r}; get before close()")
        taken: list[Any] = [None, False]  # the packet; False until its place is released, then None
        try:
            if not take_packet(self._reader._handle, self._places, taken):
                deadline = None
                if not block or timeout is not None:
                    deadline = time.monotonic() + (max(0.0, timeout or 0.0) if block else 0.0)
                take(self._reader, deadline, taken)
                if taken[0] is None:
                    raise Empty
                for taken[1] in self._frees:
                    break
            elif not taken[0]:
                raise EOFError
            return ForkingPickler.loads(message_pipe.unpack(taken[0]))
        except BaseException:
            try:  # inline, as in `put`
                self._discard(taken)
            except BaseException:
                self._discard(taken)
                raise
            raise

    def _discard(self, taken: list[Any]) -> None:
        """Release the place of a message that cannot be used, and end its references."""
        if taken[0]:
            if taken[1] is False:
                for taken[1] in self._frees:
                    break
            message_pipe.discard(taken[0])

    def _reports(self, error: BaseException) -> bool:
        """Return whether the error goes to the hook instead of the caller."""
        if self._on_queue_feeder_error is not _standard.Queue._on_queue_feeder_error:
            return True
        return isinstance(error, AttributeError) and not _is_from_pickler(error)

    def _enqueue(self, packet: Packet) -> None:
        self._sent = True
        if not self._buffer and isinstance(self._writer, PacketEnd):
            try:
                if self._writer.write_now(packet):
                    return
            except BrokenPipeError:  # every reader is closed
                if self._ignore_epipe:
                    return
                raise
        if self._feeder.pid != os.getpid():  # after os.fork(): the parent sends what waits
            self._reset()
            self._enqueue(packet)
            return
        if self._close is None:
            # Writes the waiting messages when the queue is closed or collected, and at exit.
            self._close = Finalize(self, self._feeder.end, exitpriority=10)
        self._feeder.take(packet)
        thread = self._feeder.thread
        if thread is not None and self._jointhread is None and not self._joincancelled:
            self._jointhread = Finalize(
                thread, self._finalize_join, [weakref.ref(thread)], exitpriority=-5
            )

    def close(self) -> None:
        """End the puts of this process; the messages that were put are still sent.

        As in the standard queue, this leaves a queue open to which this process has never put.
        """
        sent, self._sent = self._sent, False
        super().close()
        if self._ignore_epipe:  # an executor only puts; after its workers' death a write must fail
            self._reader.close()
        if sent and self._feeder.thread is None:  # a thread closes the ends after the last message
            self._reader.close()
            self._writer.close()


def _closer(*ends: Any) -> Any:
    return lambda: [end.close() for end in ends]


def _writer_under(lock: Any, send_bytes: Any) -> Any:
    """Return the function by which a feeder writes to a standard pipe."""

    def write(packet: Packet) -> None:
        with nullcontext() if lock is None else lock:  # a pipe on Windows needs no lock
            send_bytes(packet.parts[0])
        packet.gone = True

    return write


def _is_from_pickler(error: BaseException) -> bool:
    """Return whether the pickler itself raised, rather than an object's Python code."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return False
    return traceback.tb_frame.f_globals in (vars(reduction), vars(reductions), vars(pickler))


class JoinableQueue(Queue, _standard.JoinableQueue):
    """A queue that counts unfinished tasks.

    The count is a semaphore, which no process holds. The standard queue has a condition, whose lock
    a killed process keeps.

    Example:
        >>> import minitensor.multiprocessing as mp
        >>> queue = mp.JoinableQueue()
        >>> queue.put("task")
        >>> queue.get()
        'task'
        >>> queue.task_done()
        >>> queue.join()
    """

    def __init__(self, maxsize: int = 0, *, ctx: Any) -> None:
        self._unfinished_tasks = ctx.Semaphore(0)
        Queue.__init__(self, maxsize, ctx=ctx)

    def __getstate__(self) -> Any:
        return Queue.__getstate__(self), self._unfinished_tasks

    def __setstate__(self, state: Any) -> None:
        queue, self._unfinished_tasks = state
        _standard.Queue.__setstate__(self, queue)

    def task_done(self) -> None:
        """Count one task as done.

        Raises:
            ValueError: every task is done already.
        """
        if not self._unfinished_tasks.acquire(False):
            raise ValueError(
                "[task_done] a task must be unfinished, got more calls than tasks; "
                "call task_done() once for each get()"
            )

    def join(self) -> None:
        """Wait until every task is done."""
        pause = 0.0005  # polled: a semaphore gives no notice when it reaches zero
        while not self._unfinished_tasks._semlock._is_zero():
            time.sleep(pause)
            pause = min(2 * pause, 0.02)


class SimpleQueue(_standard.SimpleQueue):
    """A queue without a thread; `put` waits while the pipe is full.

    Example:
        >>> import minitensor.multiprocessing as mp
        >>> queue = mp.SimpleQueue()
        >>> queue.put(1)
        >>> queue.get()
        1
    """

    _wlock: Any

    def __init__(self, *, ctx: Any) -> None:
        if not message_pipe.available():
            super().__init__(ctx=ctx)
            if self._wlock is not None:
                self._wlock = ctx.RLock()  # an inner put may run while its thread holds it
            self._inner = threading.local()
            return
        self._reader, self._writer = message_pipe.pair()
        self._rlock = self._wlock = NoLock()
        self._poll = self._reader.poll

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self._inner = threading.local()

    def put(self, obj: object) -> None:
        """Send the present value of an object; wait while the pipe is full."""
        if isinstance(self._writer, PacketEnd):
            self._writer.send(obj)
        else:
            # Pickled before the lock is taken, so that an error leaves the queue unchanged.
            self._send_bytes(dumps(obj))

    def _send_bytes(self, data: Any) -> None:
        """Write to a standard pipe.

        A put that has interrupted a put of the same thread leaves its message to that put.
        """
        mine: deque[Any] = vars(self._inner).setdefault("messages", deque())
        inner = bool(mine)
        mine.append(data)
        if inner:
            return
        try:
            with nullcontext() if self._wlock is None else self._wlock:
                while mine:
                    self._writer.send_bytes(mine[0])
                    mine.popleft()
        except BaseException:
            mine.clear()
            raise

    def get(self) -> Any:
        """Return the next object; wait while the queue is empty.

        Raises:
            EOFError: no process can put any more (`waiting.py`).
        """
        if not isinstance(self._reader, PacketEnd):
            return super().get()
        taken: list[Any] = [None]
        try:
            take(self._reader, None, taken)
            return ForkingPickler.loads(message_pipe.unpack(taken[0]))
        except BaseException:
            message_pipe.discard(taken[0])
            raise
