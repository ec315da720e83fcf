"""Streams and events: queues of work that run side by side, and marks in them.

Work of one stream runs in order; streams run side by side.  Data keeps its order by itself (a task waits for the
tensors it reads, on whatever stream they are made), so results never depend on streams.  Events order what no tensor
does, and take the time.
"""

from __future__ import annotations

from typing import Any

from minitensor import errors
from minitensor.backend.base import Device
from minitensor.backend.core import ffi, lib, synchronize, wait_slices

__all__ = ["Event", "Stream", "stream_ids"]


def stream_ids(number: int) -> list[int]:
    """All streams of a device, by its number; those that nobody has any more may still have work."""
    return [one for one in range(1, lib.mt_stream_count() + 1) if lib.mt_stream_device(one) == number]


def _no_deadlock(status: int, op: str) -> None:
    if status == lib.MT_RUNTIME_ERROR:
        raise RuntimeError(f"[{op}] a host task can't wait for the stream that it runs on")


class Stream:
    """A queue of work of one device.

    Args:
        device: whose work it takes.
        priority: kept for programs that give one; the simulated devices treat all streams alike.

    Raises:
        DeviceError: no stream is left (code 207008), or the device can't be had.
    """

    _id: int

    def __init__(self, device: Device, priority: int = 0) -> None:
        if not isinstance(priority, int) or isinstance(priority, bool):
            raise TypeError(f"[Stream] priority must be an int, got {priority!r}")
        self.device, self.priority = device, priority
        self._device_id = device.activate()
        number = lib.mt_stream_new(self._device_id)
        if number < 0:
            raise errors.DeviceError("[Stream] no stream is left: ret[207008]; let go of the idle ones", 207008)
        self._id = number
        self._owned = True

    @classmethod
    def _default(cls, device: Device) -> Any:
        stream = cls.__new__(cls)
        stream.device, stream.priority, stream._device_id, stream._owned = device, 0, device.activate(), False
        stream._id = lib.mt_stream_default(stream._device_id)
        return stream

    def __del__(self, _release: Any = lib.mt_stream_release) -> None:
        if self.__dict__.get("_owned"):  # not so when its making failed
            _release(self._id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and (self._device_id, self._id) == (other._device_id, other._id)

    def __hash__(self) -> int:
        return hash((self._device_id, self._id))

    def __repr__(self) -> str:
        return f"Stream(device={self.device}, id={self._id})"

    def record_event(self, event: Event | None = None) -> Event:
        """Marks the work submitted so far, with a new event or the one given; returns the event."""
        event = Event() if event is None else event
        event._record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Work submitted from now on comes after the event; at once when it was never recorded."""
        if not isinstance(event, Event):
            raise TypeError(f"[wait_event] takes an Event, got {type(event).__name__}")
        status = wait_slices(lambda ms: lib.mt_event_wait(event._event, self._id, ms))
        if status != lib.MT_OK:
            raise MemoryError("[wait_event] no memory for a marker in the stream")

    def wait_stream(self, stream: Stream) -> None:
        """Work submitted from now on comes after what `stream` was given so far."""
        if not isinstance(stream, Stream):
            raise TypeError(f"[wait_stream] takes a Stream, got {type(stream).__name__}")
        self.wait_event(stream.record_event())

    def synchronize(self) -> None:
        """Waits until everything submitted so far is done.

        Raises:
            Exception: the first failure of this stream's work that nobody was told of.
            RuntimeError: when called inside a host task of this very stream.
        """
        synchronize(self._id)

    def query(self) -> bool:
        """Is everything submitted so far done?"""
        return bool(lib.mt_stream_query(self._id))


class Event:
    """A mark in a stream: reached when the work is done that was submitted before it.

    Args:
        enable_timing: take the time when it is reached, for `elapsed_time`.
        blocking: kept for programs that give it; waiting never spins here.
    """

    def __init__(self, enable_timing: bool = False, blocking: bool = False) -> None:
        for name, value in (("enable_timing", enable_timing), ("blocking", blocking)):
            if not isinstance(value, bool):
                raise TypeError(f"[Event] {name} must be a bool, got {value!r}")
        self.enable_timing, self.blocking = enable_timing, blocking
        self._recorded = False
        event = lib.mt_event_new()
        if event == ffi.NULL:
            raise MemoryError("[Event] no memory for an event: ret[207007]")
        self._event = event

    def __del__(self, _release: Any = lib.mt_event_release) -> None:
        event = self.__dict__.get("_event")
        if event is not None:
            _release(event)

    def _record(self, stream: Stream) -> None:
        if wait_slices(lambda ms: lib.mt_event_record(self._event, stream._id, ms)) != lib.MT_OK:
            raise MemoryError("[record] no memory for a marker in the stream")
        self._recorded = True

    def record(self, stream: Stream) -> None:
        """Marks the work that `stream` was given so far; a mark set before is forgotten."""
        if not isinstance(stream, Stream):
            raise TypeError(f"[record] takes a Stream, got {type(stream).__name__}")
        self._record(stream)

    def wait(self, stream: Stream) -> None:
        """Work that `stream` is given from now on comes after the event."""
        if not isinstance(stream, Stream):
            raise TypeError(f"[wait] takes a Stream, got {type(stream).__name__}")
        stream.wait_event(self)

    def synchronize(self) -> None:
        """Waits until the event is reached; returns at once when it was never recorded.

        Raises:
            RuntimeError: when called inside a host task of the stream it was recorded on, which would wait for itself.
        """
        _no_deadlock(wait_slices(lambda ms: lib.mt_event_sync(self._event, ms)), "Event.synchronize")

    def query(self) -> bool:
        """Is it reached?  True when it was never recorded."""
        return bool(lib.mt_event_query(self._event))

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to `end_event`.

        Raises:
            TypeError: when `end_event` is no Event.
            RuntimeError: when one of the two takes no time, was not recorded, or is not reached yet.
        """
        if not isinstance(end_event, Event):
            raise TypeError(f"[elapsed_time] takes an Event, got {type(end_event).__name__}")
        times = []
        for which, event in (("first", self), ("second", end_event)):
            if not event.enable_timing:
                raise RuntimeError(f"[elapsed_time] the {which} event takes no time; use Event(enable_timing=True)")
            if not event._recorded:
                raise RuntimeError(f"[elapsed_time] the {which} event was not recorded; call its record() first")
            time = lib.mt_event_time_ms(event._event)
            if time < 0:
                raise RuntimeError(f"[elapsed_time] the {which} event is not reached yet; call its synchronize() first")
            times.append(time)
        return times[1] - times[0]
