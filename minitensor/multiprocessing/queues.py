"""Queues whose `put` pickles at the call.

The problem. The standard `Queue.put` appends the object to a list and returns; a thread pickles it some time later.
What fails with that: an object that can't be pickled is dropped, a traceback appears on stderr, and the consumer
waits for ever; and the value sent is whatever the object holds when the thread gets there, so `q.put(t); t += 1` is a
race.

The solution. `put` pickles, then hands bytes to the thread, which now only writes. What it guarantees: a put that
returned has sent the value of that moment; a put that could not raises, takes no place in the queue and leaves it
working; a process that ends normally has written all that it put. `SimpleQueue` has no thread and did so from the
start.

The order in `put` is: closed?, then a place, then the pickle. A full queue says so before any work is done for it.

Two cases keep the standard's way of reporting, through `_on_queue_feeder_error`, because programs and CPython's own
tests rely on it: a queue that overrides this hook gets every error; and an AttributeError that comes out of an
object's own Python code (`__reduce__`, `__getstate__`) is a defect in that code, not pickle's verdict on the object,
and is printed. What pickle itself refuses, and every other kind of exception, raises.
"""

from __future__ import annotations

import contextlib
import errno
import threading
import weakref
from collections import deque
from collections.abc import Callable
from multiprocessing import context, reduction
from multiprocessing import queues as _standard
from multiprocessing.util import Finalize, debug, info, is_exiting
from queue import Full
from typing import Any

from minitensor.sharing import Channel

from ._alias import fall_back
from .reductions import dumps

__all__ = _standard.__all__
__getattr__, __dir__ = fall_back(__name__, _standard)


def _keep(channel: Channel) -> None:
    """A queue is an argument of a process that is being started: until that one is over, the channel is in use here."""
    popen: Any = context.get_spawning_popen()
    if popen is not None:
        popen.__dict__.setdefault("_minitensor_channels", []).append(channel)


class Queue(_standard.Queue):
    """A queue between processes."""

    def __init__(self, maxsize: int = 0, *, ctx: Any) -> None:
        super().__init__(maxsize, ctx=ctx)
        self._channel = Channel()

    def __getstate__(self) -> Any:
        _keep(self._channel)
        return self._channel, super().__getstate__()

    def __setstate__(self, state: Any) -> None:
        self._channel, standard = state
        super().__setstate__(standard)

    def put(self, obj: object, block: bool = True, timeout: float | None = None) -> None:
        """Send `obj` as it is now. Raises Full, or the error of an object that can't be pickled."""
        if self._closed:
            raise ValueError(f"[Queue.put] the queue is closed: {self!r}, put before close()")
        if not self._sem.acquire(block, timeout):
            raise Full
        try:
            data = dumps(obj, self._channel.number)
        except BaseException as error:
            self._sem.release()
            if not self._reports(error):
                raise
            self._on_queue_feeder_error(error, obj)
        else:
            self._enqueue(data)

    def _reports(self, error: BaseException) -> bool:
        """Whether the error goes to the hook and not to the caller."""
        if not isinstance(error, Exception):
            return False
        if self._on_queue_feeder_error is not _standard.Queue._on_queue_feeder_error:
            return True
        return isinstance(error, AttributeError) and not _is_from_pickler(error)

    def _enqueue(self, data: memoryview) -> None:
        with self._notempty:
            if self._thread is None:
                self._start_thread()
            self._buffer.append(data)
            self._notempty.notify()

    def _start_thread(self) -> None:
        debug("Queue._start_thread()")
        self._buffer.clear()  # what a fork copied is the parent's to send
        self._thread = threading.Thread(
            target=_feed,
            args=(
                self._buffer,
                self._notempty,
                self._send_bytes,
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


def _is_from_pickler(error: BaseException) -> bool:
    """Whether the pickler itself raised, not Python code of an object on the way."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and traceback.tb_frame.f_globals is vars(reduction)


def _feed(
    buffer: deque[Any],
    notempty: threading.Condition,
    send_bytes: Callable[[Any], None],
    writelock: Any,
    closers: tuple[Callable[[], None], ...],
    ignore_epipe: bool,
    onerror: Callable[[Exception, object], None],
    places: Any,
) -> None:
    """Write what is in the buffer to the pipe, in order, until the sentinel comes."""
    lock = contextlib.nullcontext() if writelock is None else writelock  # a Windows pipe needs none
    while True:
        with notempty:
            while not buffer:
                notempty.wait()
            data = buffer.popleft()
        if data is _standard._sentinel:
            for close in closers:
                close()
            return
        try:
            with lock:
                send_bytes(data)
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
    """A queue that also knows when all that was put has been dealt with."""

    def __init__(self, maxsize: int = 0, *, ctx: Any) -> None:
        _standard.JoinableQueue.__init__(self, maxsize, ctx=ctx)
        self._channel = Channel()

    def __getstate__(self) -> Any:
        _keep(self._channel)
        return self._channel, _standard.JoinableQueue.__getstate__(self)

    def __setstate__(self, state: Any) -> None:
        self._channel, standard = state
        _standard.JoinableQueue.__setstate__(self, standard)

    def _enqueue(self, data: memoryview) -> None:
        # Count first and under the lock of `join`: a consumer may call task_done before this method returns.
        with self._cond:
            self._unfinished_tasks.release()
            super()._enqueue(data)


class SimpleQueue(_standard.SimpleQueue):
    """A locked pipe."""

    def __init__(self, *, ctx: Any) -> None:
        super().__init__(ctx=ctx)
        self._channel = Channel()

    def __getstate__(self) -> Any:
        _keep(self._channel)
        return self._channel, super().__getstate__()

    def __setstate__(self, state: Any) -> None:
        self._channel, standard = state
        super().__setstate__(standard)

    def put(self, obj: object) -> None:
        """Send `obj` as it is now; waits while the pipe is full."""
        data = dumps(obj, self._channel.number)  # before taking the lock, so that an error leaves the queue as it was
        with contextlib.nullcontext() if self._wlock is None else self._wlock:
            self._writer.send_bytes(data)
