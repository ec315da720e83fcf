"""Streams and events: the order in which a device works.

Ops go to the current stream of their thread and run there one after the other; two streams run side by side.  The framework
itself keeps the order that data needs (a value is complete wherever it is read); events are for order beyond that, and for timing.
"""

from __future__ import annotations

import contextlib
from typing import Any

from minitensor.backend import native
from minitensor.backend.base import Device
from minitensor.backend.native import lib

__all__ = ["Stream", "Event"]


class Event:
    """A place in a stream.

    Args:
        enable_timing: whether `elapsed_time` may be asked.
        blocking: accepted for MindSpore's sake; a wait here never spins.

    Example:
        >>> from minitensor import Tensor, ops, runtime
        >>> begin, end = runtime.Event(enable_timing=True), runtime.Event(enable_timing=True)
        >>> begin.record(); y = ops.exp(Tensor([1.0])); end.record(); end.synchronize()
        >>> begin.elapsed_time(end) >= 0
        True
    """

    def __init__(self, enable_timing: bool = False, blocking: bool = False) -> None:
        self.enable_timing, self.blocking = enable_timing, blocking
        self._handle = lib.mt_event_new()
        if not self._handle:
            raise MemoryError("[Event] no memory for an event")

    def __del__(self, _release: Any = lib.mt_event_release) -> None:
        with contextlib.suppress(AttributeError):
            _release(self._handle)

    def record(self, stream: Stream | None = None) -> None:
        """Marks the work submitted to a stream so far (None: the current stream)."""
        _done(lib.mt_event_record(self._handle, _id(stream)), "Event.record")

    def wait(self, stream: Stream | None = None) -> None:
        """Work submitted to the stream from now on comes after the event; of an event never recorded, at once."""
        _done(lib.mt_event_wait(self._handle, _id(stream)), "Event.wait")

    def query(self) -> bool:
        """Has the stream come to it?"""
        return bool(lib.mt_event_query(self._handle))

    def synchronize(self) -> None:
        """Waits until the stream has come to it."""
        status = native.wait_slices(lambda ms: lib.mt_event_sync(self._handle, ms))
        _done(status, "Event.synchronize")

    def elapsed_time(self, end: Event) -> float:
        """Milliseconds between two events that their streams have come to.

        Raises:
            RuntimeError: when one has no timing, was not recorded, or is still to come.
        """
        for event in (self, end):
            if not event.enable_timing:
                raise RuntimeError("[Event.elapsed_time] an event has no timing; make it with Event(enable_timing=True)")
        start, stop = lib.mt_event_time_ms(self._handle), lib.mt_event_time_ms(end._handle)
        if start < 0 or stop < 0:
            raise RuntimeError("[Event.elapsed_time] an event was not recorded or is still to come; call synchronize() on it")
        return stop - start


class Stream:
    """A queue of work on a device, with a worker of its own.

    Args:
        priority: accepted for MindSpore's sake; all streams are equal.
        device: whose; the current device by default (`minitensor.runtime.Stream` fills it in).
    """

    def __init__(self, priority: int = 0, *, device: Device, _existing: int | None = None) -> None:
        if not isinstance(priority, int):
            raise TypeError(f"[Stream] priority must be an int, got {priority!r}")
        self.priority, self.device = priority, device
        self._owned = _existing is None
        self.id = lib.mt_stream_new(device.activate()) if _existing is None else _existing
        if self.id < 0:
            raise RuntimeError("[Stream] no stream is left: ret[207008]; let go of streams that are no longer used")

    def __del__(self, _release: Any = lib.mt_stream_release) -> None:
        if getattr(self, "_owned", False) and self.id >= 0:
            _release(self.id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"Stream({self.device}, id={self.id})"

    def record_event(self, event: Event | None = None) -> Event:
        """Marks the work submitted so far; the event, a new one if none is given."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Work submitted from now on comes after the event."""
        event.wait(self)

    def wait_stream(self, stream: Stream) -> None:
        """Work submitted from now on comes after what was submitted to the other stream so far."""
        stream.record_event().wait(self)

    def synchronize(self) -> None:
        """Waits until everything submitted is done, and raises the first error that nobody was told of."""
        native.synchronize(self.id)

    def query(self) -> bool:
        """Is everything submitted done?"""
        return bool(lib.mt_stream_query(self.id))


def _id(stream: Stream | None) -> int:
    from minitensor import runtime

    return (runtime.current_stream() if stream is None else stream).id


def _done(status: int, what: str) -> None:
    if status == lib.MT_MEMORY_ERROR:
        raise MemoryError(f"[{what}] no memory for the task")
    if status != lib.MT_OK:
        raise RuntimeError(f"[{what}] can't be done here: a host task can't wait for its own stream, or no thread is to be had")
