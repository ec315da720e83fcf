"""Queues whose `put` pickles at the call, and that no dead process can stop.

The problem. The standard `Queue.put` appends the object to a list and returns; a thread pickles it some time later.
What fails with that: an object that can't be pickled is dropped, a traceback appears on stderr, and the consumer
waits for ever; and the value sent is whatever the object holds when the thread gets there, so `q.put(t); t += 1` is a
race. And a process that is killed while it waits in `get` keeps the reader's lock.

The solution. `put` pickles and, while the pipe has room, sends. Only when it is full a thread takes over (`feeder.py`), which
writes what was put, in order. The pipe keeps messages apart by itself (`message_pipe.py`), so there is no lock to be held by the dead,
nor by a put that a signal handler or a finalizer has interrupted to put in its turn.

What it guarantees. A put that returned has sent the value of that moment; a put that raises, for whatever reason, takes no
place in the queue, leaves nothing in the shared memory and leaves the queue working; a process that ends normally has written all
that it put. A process killed after a put that found room has delivered it; what waits for room in a killed process is gone with
it, as in the standard queue. A `get` that fails to unpickle its message has taken it: its place is free, and what it referred to
is given back.

A `get` that no process can answer any more raises EOFError within a second, where that can be known: every other process that had
the queue has ended, and nothing in this one could put (`_is_abandoned`). Else it waits, as the standard queue does.

What remains of the dead: a bounded queue counts its places in a semaphore, and a consumer killed in the few instructions
between taking a message and giving its place back takes the place along. An unbounded queue counts in one for `qsize` alone, and
works without where the system gives no semaphores.

The order in `put` is: closed?, then a place, then the pickle. A full queue says so before any work is done for it.

Two cases keep the standard's way of reporting, through `_on_queue_feeder_error`, because programs and CPython's own
tests rely on it: a queue that overrides this hook gets every error; and an AttributeError that comes out of an
object's own Python code (`__reduce__`, `__getstate__`) is a defect in that code, not pickle's verdict on the object,
and is printed. What pickle itself refuses, and every other kind of exception, raises.

Where there are no such pipes (`message_pipe.available`), the same class works on the standard queue's pipe and locks. There a `get`
holds the reader's lock, and a signal handler that calls `get` while its thread is in one waits for ever.
"""

from __future__ import annotations

import os
import signal
import sys
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

from minitensor.backend import core

from . import message_pipe, reductions
from ._alias import fall_back
from .feeder import Feeder
from .message_pipe import Packet, PacketEnd
from .reductions import ForkingPickler, dumps

__all__ = _standard.__all__
__getattr__, __dir__ = fall_back(__name__, _standard)

_SLICE = 0.4  # seconds after which a `get` that waits looks whether anything is left to answer; two looks make it a fact


class _NoLock:
    """In the place of a lock, where the standard package's pool and executor expect one."""

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        return True

    def release(self) -> None:
        pass

    __enter__ = acquire

    def __exit__(self, *exc: object) -> None:
        pass


class _Uncounted(_NoLock):
    """In the place of a semaphore, for an unbounded queue where the system gives none; `reason` is why."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self._semlock = self

    def _get_value(self) -> int:
        raise NotImplementedError(f"[qsize] the queue isn't counted: this system gives no semaphore ({self.reason}); use empty()")

    def _is_zero(self) -> bool:
        return False  # never full


def _places(maxsize: int, ctx: Any) -> Any:
    """The semaphore that counts the free places of a queue."""
    try:
        return ctx.BoundedSemaphore(_limit(maxsize))
    except (ImportError, OSError) as error:
        if maxsize > 0:
            raise
        return _Uncounted(f"{type(error).__name__}: {error}")


def _limit(maxsize: int) -> int:
    if maxsize > 0:
        return maxsize
    from multiprocessing.synchronize import SEM_VALUE_MAX  # fails where there are no semaphores

    return SEM_VALUE_MAX


# --- waiting for a message -------------------------------------------------------------------------------------------
def _may_put_here() -> bool:
    """Whether anything in this process could put while this thread waits: another thread, a signal handler, a queued task."""
    feeders = {t.ident for t in threading.enumerate() if t.name == "QueueFeederThread"}
    known = {t.ident for t in threading.enumerate()} | set(sys._current_frames())
    if known - feeders - {threading.get_ident()}:
        return True
    handlers = map(signal.getsignal, signal.valid_signals())
    return any(callable(h) and h is not signal.default_int_handler for h in handlers) or bool(core.pending_work())


def _is_abandoned(reader: PacketEnd) -> bool:
    """Whether certainly no process can send any more; False where that can't be known."""
    return not _may_put_here() and reader.channel.has_others() is False


def _take(reader: PacketEnd, deadline: float | None, taken: list[Any]) -> None:
    """Make the next packet `taken[0]`, unless the time is over before."""
    alone = False
    while not reader.read_now(taken):
        left = _SLICE if deadline is None else deadline - time.monotonic()
        if left <= 0:
            return
        if reader.wait(min(left, _SLICE)):
            continue
        if left >= _SLICE:
            before, alone = alone, _is_abandoned(reader)
            if before and alone:
                raise EOFError(
                    "[get] every other process that had the queue has ended, it is empty, and nothing in this process could put"
                )


# --- the queues ------------------------------------------------------------------------------------------------------
class Queue(_standard.Queue):
    """A queue between processes."""

    _close: Any
    _jointhread: Any
    _unfinished_tasks: Any = None  # a JoinableQueue's count

    def __init__(self, maxsize: int = 0, *, ctx: Any) -> None:
        if not message_pipe.available():
            _standard.Queue.__init__(self, maxsize, ctx=ctx)
            return
        self._sem = _places(maxsize, ctx)
        self._maxsize = _limit(maxsize) if not isinstance(self._sem, _Uncounted) else 0
        self._reader, self._writer = message_pipe.pair()
        self._rlock = self._wlock = _NoLock()
        self._opid = os.getpid()
        self._ignore_epipe = False  # for use by concurrent.futures
        self._reset()
        register_after_fork(self, _standard.Queue._after_fork)

    def _reset(self, after_fork: bool = False) -> None:
        super()._reset(after_fork)  # what a fork copied is the parent's to send
        self._sent = False  # something, by this process
        self._feeder = Feeder(
            self._writer.write if isinstance(self._writer, PacketEnd) else _writer_under(self._wlock, self._send_bytes),
            _closer(self._reader, self._writer),
            self._ignore_epipe,
            self._on_queue_feeder_error,
            self._sem,
        )
        self._buffer = self._feeder.waiting
        # Each step of these is one acquisition or release, and is noted where it is done: see message_pipe.py.
        self._takes, self._frees = iter(self._sem.acquire, Ellipsis), iter(self._sem.release, Ellipsis)
        tasks = self._unfinished_tasks
        self._counts = () if tasks is None else iter(tasks.release, Ellipsis)

    def put(self, obj: object, block: bool = True, timeout: float | None = None) -> None:
        """Send `obj` as it is now. Raises Full, or the error of an object that can't be pickled."""
        if self._closed:
            raise ValueError(f"[Queue.put] the queue is closed: {self!r}, put before close()")
        packet = Packet()
        try:
            for packet.place in self._takes if block and timeout is None else starmap(self._sem.acquire, ((block, timeout),)):
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
            for packet.task in self._counts:  # before it is sent: a consumer may be faster than this method
                break
            self._enqueue(packet)
        except BaseException:
            if packet.gone is False:
                try:
                    self._give_back(packet)
                except BaseException:  # Ctrl-C, once more
                    self._give_back(packet)
                    raise
            raise

    def _give_back(self, packet: Packet) -> None:
        """Undo what a put has done that does not send; what is undone already stays so."""
        if packet.place:
            for packet.place in self._frees:
                break
        if packet.task is not False:
            for _ in map(self._unfinished_tasks.acquire, (False,)):
                packet.task = False
                break
        packet.drop()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """The next object. Raises Empty, or EOFError when certainly no process can put one any more."""
        if not isinstance(self._reader, PacketEnd):
            return super().get(block, timeout)
        if self._closed:
            raise ValueError(f"[Queue.get] the queue is closed: {self!r}, get before close()")
        deadline = None if block and timeout is None else time.monotonic() + (max(0.0, timeout or 0.0) if block else 0.0)
        taken: list[Any] = [None, False]  # the packet, and whether its place was freed: then it is None
        try:
            _take(self._reader, deadline, taken)
            if taken[0] is None:
                raise Empty
            for taken[1] in self._frees:
                break
            return ForkingPickler.loads(message_pipe.unpack(taken[0]))
        except BaseException:
            try:
                self._discard(taken)
            except BaseException:  # Ctrl-C, once more
                self._discard(taken)
                raise
            raise

    def _discard(self, taken: list[Any]) -> None:
        """Free the place of a message that can't be used, and give back what it refers to."""
        if taken[0]:
            if taken[1] is False:
                for taken[1] in self._frees:
                    break
            message_pipe.discard(taken[0])

    def _reports(self, error: BaseException) -> bool:
        """Whether the error goes to the hook and not to the caller."""
        if self._on_queue_feeder_error is not _standard.Queue._on_queue_feeder_error:
            return True
        return isinstance(error, AttributeError) and not _is_from_pickler(error)

    def _enqueue(self, packet: Packet) -> None:
        self._sent = True
        if not self._buffer and isinstance(self._writer, PacketEnd):
            try:
                if self._writer.write_now(packet):
                    return
            except BrokenPipeError:  # no reader is left anywhere
                if self._ignore_epipe:
                    return
                raise
        if self._feeder.pid != os.getpid():  # a process that os.fork() made: what waits is its parent's to send
            self._reset()
            self._enqueue(packet)
            return
        if self._close is None:  # writes what is waiting when the queue is closed, collected, or the process ends
            self._close = Finalize(self, self._feeder.end, exitpriority=10)
        self._feeder.take(packet)
        thread = self._feeder.thread
        if thread is not None and self._jointhread is None and not self._joincancelled:
            self._jointhread = Finalize(thread, self._finalize_join, [weakref.ref(thread)], exitpriority=-5)

    def close(self) -> None:
        """No more puts from this process; what was put is still sent.  As in the standard queue, a queue that was never put to stays as it is."""
        sent, self._sent = self._sent, False
        super().close()
        if self._ignore_epipe:  # an executor, which doesn't get; when its workers are dead, writing has to fail
            self._reader.close()
        if sent and self._feeder.thread is None:  # with a thread, it closes the ends when it is done
            self._reader.close()
            self._writer.close()


def _closer(*ends: Any) -> Any:
    return lambda: [end.close() for end in ends]


def _writer_under(lock: Any, send_bytes: Any) -> Any:
    """How a feeder writes to a standard pipe."""

    def write(packet: Packet) -> None:
        with nullcontext() if lock is None else lock:  # a Windows pipe needs none
            send_bytes(packet.parts[0])
        packet.gone = True

    return write


def _is_from_pickler(error: BaseException) -> bool:
    """Whether the pickler itself raised, not Python code of an object on the way."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and traceback.tb_frame.f_globals in (vars(reduction), vars(reductions))


class JoinableQueue(Queue, _standard.JoinableQueue):
    """A queue that also knows when all that was put has been dealt with.

    The count of unfinished tasks is a semaphore, which nobody holds, where the standard queue has a condition, whose lock a killed process keeps.
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
        """What a `get` has brought is dealt with."""
        if not self._unfinished_tasks.acquire(False):
            raise ValueError("[task_done] called more often than there were items in the queue")

    def join(self) -> None:
        """Wait until every item that was put has been dealt with."""
        pause = 0.0005  # a semaphore tells when it is zero only to who asks
        while not self._unfinished_tasks._semlock._is_zero():
            time.sleep(pause)
            pause = min(2 * pause, 0.02)


class SimpleQueue(_standard.SimpleQueue):
    """A queue without a thread: `put` waits while the pipe is full."""

    _wlock: Any

    def __init__(self, *, ctx: Any) -> None:
        if not message_pipe.available():
            super().__init__(ctx=ctx)
            if self._wlock is not None:
                self._wlock = ctx.RLock()  # an inner put may find its own thread holding it, between two messages
            self._inner = threading.local()
            return
        self._reader, self._writer = message_pipe.pair()
        self._rlock = self._wlock = _NoLock()
        self._poll = self._reader.poll

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state)
        self._inner = threading.local()

    def put(self, obj: object) -> None:
        """Send `obj` as it is now; waits while the pipe is full."""
        if isinstance(self._writer, PacketEnd):
            self._writer.send(obj)
        else:
            self._send_bytes(dumps(obj))  # pickled before taking the lock, so that an error leaves the queue as it was

    def _send_bytes(self, data: Any) -> None:
        """Write to a standard pipe.  An inner put leaves its message to the put of its thread that it has interrupted."""
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
        """The next object. Raises EOFError when certainly no process can put one any more."""
        if not isinstance(self._reader, PacketEnd):
            return super().get()
        taken: list[Any] = [None]
        try:
            _take(self._reader, None, taken)
            return ForkingPickler.loads(message_pipe.unpack(taken[0]))
        except BaseException:
            message_pipe.discard(taken[0])
            raise
