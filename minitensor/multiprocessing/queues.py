"""Queues whose `put` pickles at the call, and that no dead process can stop.

The problem. The standard `Queue.put` appends the object to a list and returns; a thread pickles it some time later.
What fails with that: an object that can't be pickled is dropped, a traceback appears on stderr, and the consumer
waits for ever; and the value sent is whatever the object holds when the thread gets there, so `q.put(t); t += 1` is a
race. And a process that is killed while it waits in `get` keeps the reader's lock.

The solution. `put` pickles and, while the pipe has room, sends. Only when it is full a thread takes over, which writes what was put, in
order. The pipe keeps messages apart by itself (`packets.py`), so there is no lock to be held by the dead.

What it guarantees. A put that returned has sent the value of that moment; a put that could not raises, takes no
place in the queue and leaves it working; a process that ends normally has written all that it put. A process killed
after a put that found room has delivered it; what waits for room in a killed process is gone with it, as in the standard queue.
A `get` that nobody can answer any more, because every other process that had the queue has ended, raises EOFError within
a second, where that can be known: when no other thread of this process could put.

What remains of the dead: a bounded queue counts its places in a semaphore, and a consumer killed in the few instructions
between taking a message and giving its place back takes the place along.

The order in `put` is: closed?, then a place, then the pickle. A full queue says so before any work is done for it.

Two cases keep the standard's way of reporting, through `_on_queue_feeder_error`, because programs and CPython's own
tests rely on it: a queue that overrides this hook gets every error; and an AttributeError that comes out of an
object's own Python code (`__reduce__`, `__getstate__`) is a defect in that code, not pickle's verdict on the object,
and is printed. What pickle itself refuses, and every other kind of exception, raises.

Where there are no such pipes (`packets.available`), the same class works on the standard queue's pipe and locks.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from multiprocessing import context, process, reduction
from multiprocessing import queues as _standard
from multiprocessing.util import Finalize, debug, info, is_exiting, register_after_fork
from queue import Empty, Full
from typing import Any

from . import packets, reductions
from ._alias import fall_back
from .packets import PacketEnd
from .reductions import ForkingPickler, dumps

__all__ = _standard.__all__
__getattr__, __dir__ = fall_back(__name__, _standard)

_SLICE = 0.4  # seconds after which a `get` that waits looks whether anybody is left to answer; two looks make it a fact


class _NoLock:
    """In the place of a lock, where the standard package's pool and executor expect one."""

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        return True

    def release(self) -> None:
        pass

    __enter__ = acquire

    def __exit__(self, *exc: object) -> None:
        pass


def _keep(reader: Any) -> None:
    """A queue is an argument of a process that is being started: until that one is over, the channel is in use here."""
    popen: Any = context.get_spawning_popen()
    if popen is not None and isinstance(reader, PacketEnd):
        popen.__dict__.setdefault("_minitensor_channels", []).append(reader.channel)


def _is_abandoned(reader: PacketEnd) -> bool:
    """Can nobody send any more?  False where that can't be known."""
    if any(t is not threading.current_thread() and t.name != "QueueFeederThread" for t in threading.enumerate()):
        return False
    for child in list(process._children):  # type: ignore[attr-defined]
        channels = getattr(child._popen, "_minitensor_channels", ())
        if any(c.id == reader.channel.id for c in channels) and child._popen.poll() is None:
            return False  # it may not have come to its arguments yet
    return reader.channel.others() == 0


def _next(reader: PacketEnd, deadline: float | None) -> Any:
    """The next message, or None when the time is over."""
    alone = False
    while (message := reader.read_now()) is None:
        left = _SLICE if deadline is None else deadline - time.monotonic()
        if left <= 0:
            return None
        if reader.wait(min(left, _SLICE)):
            continue
        if left >= _SLICE:
            before, alone = alone, _is_abandoned(reader)
            if before and alone:
                raise EOFError("[get] every other process that had the queue has ended, and it is empty; nobody can put any more")
    return message


class Queue(_standard.Queue):
    """A queue between processes."""

    def __init__(self, maxsize: int = 0, *, ctx: Any) -> None:
        if not packets.available():
            super().__init__(maxsize, ctx=ctx)
            return
        if maxsize <= 0:
            from multiprocessing.synchronize import SEM_VALUE_MAX  # fails where there are no semaphores

            maxsize = SEM_VALUE_MAX
        self._maxsize = maxsize
        self._reader, self._writer = packets.pair()
        self._rlock = self._wlock = _NoLock()
        self._opid = os.getpid()
        self._sem = ctx.BoundedSemaphore(self._maxsize)
        self._ignore_epipe = False  # for use by concurrent.futures
        self._reset()
        register_after_fork(self, _standard.Queue._after_fork)

    def _reset(self, after_fork: bool = False) -> None:
        super()._reset(after_fork)
        self._sent = False  # something, by this process

    def __getstate__(self) -> Any:
        _keep(self._reader)
        return _standard.Queue.__getstate__(self)

    def put(self, obj: object, block: bool = True, timeout: float | None = None) -> None:
        """Send `obj` as it is now. Raises Full, or the error of an object that can't be pickled."""
        if self._closed:
            raise ValueError(f"[Queue.put] the queue is closed: {self!r}, put before close()")
        if not self._sem.acquire(block, timeout):
            raise Full
        try:
            if isinstance(self._writer, PacketEnd):
                data: Any = self._writer.packet(dumps(obj, self._writer.channel))
            else:
                data = dumps(obj)
        except BaseException as error:
            self._sem.release()
            if not self._reports(error):
                raise
            self._on_queue_feeder_error(error, obj)
        else:
            self._enqueue(data)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """The next object. Raises Empty, or EOFError when nobody is left who could put one."""
        if not isinstance(self._reader, PacketEnd):
            return super().get(block, timeout)
        if self._closed:
            raise ValueError(f"[Queue.get] the queue is closed: {self!r}, get before close()")
        deadline = None if block and timeout is None else time.monotonic() + (max(0.0, timeout or 0.0) if block else 0.0)
        message = _next(self._reader, deadline)
        if message is None:
            raise Empty
        self._sem.release()
        return ForkingPickler.loads(message)

    def _reports(self, error: BaseException) -> bool:
        """Whether the error goes to the hook and not to the caller."""
        if not isinstance(error, Exception):
            return False
        if self._on_queue_feeder_error is not _standard.Queue._on_queue_feeder_error:
            return True
        return isinstance(error, AttributeError) and not _is_from_pickler(error)

    def _enqueue(self, data: Any) -> None:
        with self._notempty:
            self._sent = True
            if not self._buffer and not getattr(self._thread, "busy", False) and isinstance(self._writer, PacketEnd):
                try:
                    if self._writer.write_now(data):
                        return
                except BrokenPipeError:  # no reader is left anywhere
                    if not self._ignore_epipe:
                        self._sem.release()
                        raise
                    return
            if self._thread is None:
                self._start_thread()
            self._buffer.append(data)
            self._notempty.notify()

    def _start_thread(self) -> None:
        debug("Queue._start_thread()")
        self._buffer.clear()  # what a fork copied is the parent's to send
        write = self._writer.write if isinstance(self._writer, PacketEnd) else self._send_bytes
        self._thread = threading.Thread(
            target=_feed,
            args=(
                self._buffer,
                self._notempty,
                write,
                self._wlock,
                (self._reader.close, self._writer.close),
                self._ignore_epipe,
                self._on_queue_feeder_error,
                self._sem,
            ),
            name="QueueFeederThread",
            daemon=True,
        )
        try:
            self._thread.start()
        except BaseException:  # a thread can't start any more while the interpreter shuts down
            self._thread = None
            raise
        if not self._joincancelled:
            self._jointhread = Finalize(
                self._thread, self._finalize_join, [weakref.ref(self._thread)], exitpriority=-5
            )
        # Ends the thread when the queue is closed, collected, or the process ends: after all that was put before.
        self._close = Finalize(self, self._finalize_close, [self._buffer, self._notempty], exitpriority=10)

    def close(self) -> None:
        """No more puts from this process; what was put is still sent.  As in the standard queue, a queue that was never put to stays as it is."""
        sent, self._sent = self._sent, False
        super().close()
        if sent and self._thread is None:  # with a thread, it closes the ends when it is done
            self._reader.close()
            self._writer.close()


def _is_from_pickler(error: BaseException) -> bool:
    """Whether the pickler itself raised, not Python code of an object on the way."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and traceback.tb_frame.f_globals in (vars(reduction), vars(reductions))


def _feed(
    buffer: deque[Any],
    notempty: threading.Condition,
    write: Callable[[Any], None],
    writelock: Any,
    closers: tuple[Callable[[], None], ...],
    ignore_epipe: bool,
    onerror: Callable[[Exception, object], None],
    places: Any,
) -> None:
    """Write what is in the buffer to the pipe, in order, until the sentinel comes."""
    lock = contextlib.nullcontext() if writelock is None else writelock  # a Windows pipe needs none
    this: Any = threading.current_thread()
    while True:
        with notempty:
            this.busy = False  # who puts now may write by himself
            while not buffer:
                notempty.wait()
            data = buffer.popleft()
            this.busy = True
        if data is _standard._sentinel:
            for close in closers:
                close()
            return
        try:
            with lock:
                write(data)
        except Exception as error:
            if ignore_epipe and getattr(error, "errno", 0) == errno.EPIPE:
                return
            if is_exiting():  # what a daemon thread uses may be gone by now
                info("error in queue thread: %s", error)
                return
            places.release()  # not sent, so it takes no place
            onerror(error, data)
        del data  # or the last message would stay in memory until the next


class JoinableQueue(Queue, _standard.JoinableQueue):
    """A queue that also knows when all that was put has been dealt with.

    The count of unfinished tasks is a semaphore, which nobody holds, where the standard queue has a condition, whose lock a killed process keeps.
    """

    def __init__(self, maxsize: int = 0, *, ctx: Any) -> None:
        Queue.__init__(self, maxsize, ctx=ctx)
        self._unfinished_tasks = ctx.Semaphore(0)

    def __getstate__(self) -> Any:
        return Queue.__getstate__(self), self._unfinished_tasks

    def __setstate__(self, state: Any) -> None:
        queue, self._unfinished_tasks = state
        _standard.Queue.__setstate__(self, queue)

    def _enqueue(self, data: Any) -> None:
        self._unfinished_tasks.release()  # before it is sent: a consumer may call task_done before this method returns
        try:
            super()._enqueue(data)
        except BaseException:
            self._unfinished_tasks.acquire(False)
            raise

    def task_done(self) -> None:
        """What a `get` has brought is dealt with."""
        if not self._unfinished_tasks.acquire(False):
            raise ValueError("[task_done] called more often than there were items in the queue")

    def join(self) -> None:
        """Waits until every item that was put has been dealt with."""
        pause = 0.0005  # a semaphore tells when it is zero only to who asks
        while not self._unfinished_tasks._semlock._is_zero():
            time.sleep(pause)
            pause = min(2 * pause, 0.02)


class SimpleQueue(_standard.SimpleQueue):
    """A queue without a thread: `put` waits while the pipe is full."""

    def __init__(self, *, ctx: Any) -> None:
        if not packets.available():
            super().__init__(ctx=ctx)
            return
        self._reader, self._writer = packets.pair()
        self._rlock = self._wlock = _NoLock()
        self._poll = self._reader.poll

    def __getstate__(self) -> Any:
        _keep(self._reader)
        return super().__getstate__()

    def put(self, obj: object) -> None:
        """Send `obj` as it is now; waits while the pipe is full."""
        if isinstance(self._writer, PacketEnd):
            self._writer.send(obj)
            return
        data = dumps(obj)  # before taking the lock, so that an error leaves the queue as it was
        with contextlib.nullcontext() if self._wlock is None else self._wlock:
            self._writer.send_bytes(data)

    def get(self) -> Any:
        """The next object. Raises EOFError when nobody is left who could put one."""
        if not isinstance(self._reader, PacketEnd):
            return super().get()
        self._reader._check_closed()
        return ForkingPickler.loads(_next(self._reader, None))
