"""Streams and events: queues of tasks that run side by side, and marks in them.

Tasks of one stream run in order; streams run side by side.  A task waits for the tensors that it
reads, on whichever stream they are computed, so results never depend on the choice of streams.
Events order tasks that share no tensor, and measure time.
"""

from __future__ import annotations

from typing import Any

from minitensor import errors
from minitensor.backend.base import Device
from minitensor.backend.core import ffi, lib, synchronize, wait_slices

__all__ = ["Event", "Stream", "stream_ids"]


def stream_ids(number: int) -> list[int]:
    """Return all streams of a device number; released streams may still have queued tasks."""
    streams = range(1, lib.mt_stream_count() + 1)
    return [one for one in streams if lib.mt_stream_device(one) == number]


def _no_deadlock(status: int, op: str) -> None:
    if status == lib.MT_RUNTIME_ERROR:
        raise RuntimeError(
            f"[{op}] the caller must not be a host task of the stream that it waits for; call it "
            "outside the task"
        )


class Stream:
    """Queue tasks on one device, in order.

    Args:
        device: the device of the tasks.
        priority: accepted for compatibility; the simulated devices treat all streams equally.

    Raises:
        TypeError: priority is not an int.
        DeviceError: no stream is left (code 207008), or the device can't be acquired.
    """

    _id: int

    def __init__(self, device: Device, priority: int = 0) -> None:
        if not isinstance(priority, int) or isinstance(priority, bool):
            raise TypeError(f"[Stream] priority must be an int, got {priority!r}")
        self.device, self.priority = device, priority
        self._device_id = device.activate()
        number = lib.mt_stream_new(self._device_id)
        if number < 0:
            raise errors.DeviceError(
                "[Stream] no stream is left: ret[207008]; release idle streams", 207008
            )
        self._id = number
        self._owned = True

    @classmethod
    def _default(cls, device: Device) -> Any:
        stream = cls.__new__(cls)
        stream.device, stream.priority, stream._device_id, stream._owned = (
            device,
            0,
            device.activate(),
            False,
        )
        stream._id = lib.mt_stream_default(stream._device_id)
        return stream

    def __del__(self, _release: Any = lib.mt_stream_release) -> None:
        if self.__dict__.get("_owned"):  # missing when __init__ failed
            _release(self._id)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Stream):
            return False
        return (self._device_id, self._id) == (other._device_id, other._id)

    def __hash__(self) -> int:
        return hash((self._device_id, self._id))

    def __repr__(self) -> str:
        return f"Stream(device={self.device}, id={self._id})"

    def record_event(self, event: Event | None = None) -> Event:
        """Mark the tasks submitted so far.

        Args:
            event: the event that becomes the mark; None makes a new one.

        Returns:
            The event.
        """
        event = Event() if event is None else event
        event._record(self)
        return event

    def wait_event(self, event: Event) -> None:
        """Make tasks that are submitted later run after the event.

        Args:
            event: an Event; one that was never recorded counts as reached.

        Raises:
            TypeError: event is not an Event.
            MemoryError: no memory for a marker in the stream.
        """
        if not isinstance(event, Event):
            raise TypeError(f"[wait_event] event must be an Event, got {type(event).__name__}")
        status = wait_slices(lambda ms: lib.mt_event_wait(event._event, self._id, ms))
        if status != lib.MT_OK:
            raise MemoryError("[wait_event] no memory for a marker in the stream")

    def wait_stream(self, stream: Stream) -> None:
        """Make tasks that are submitted later run after the tasks submitted to `stream` so far.

        Raises:
            TypeError: stream is not a Stream.
        """
        if not isinstance(stream, Stream):
            raise TypeError(f"[wait_stream] stream must be a Stream, got {type(stream).__name__}")
        self.wait_event(stream.record_event())

    def synchronize(self) -> None:
        """Wait until all tasks submitted so far are done.

        Raises:
            Exception: the first unreported error of this stream.
            RuntimeError: the caller is a host task of this stream.
        """
        synchronize(self._id)

    def query(self) -> bool:
        """Return True if all tasks submitted so far are done."""
        return bool(lib.mt_stream_query(self._id))


class Event:
    """Mark a position in a stream; the stream reaches it after all tasks submitted before it.

    Args:
        enable_timing: record the time at which it is reached, for `elapsed_time`.
        blocking: accepted for compatibility; a waiting thread never spins.

    Raises:
        TypeError: an argument is not a bool.
        MemoryError: no memory for the event (code 207007).
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
        """Mark the tasks submitted to `stream` so far, and forget an earlier mark."""
        if not isinstance(stream, Stream):
            raise TypeError(f"[record] stream must be a Stream, got {type(stream).__name__}")
        self._record(stream)

    def wait(self, stream: Stream) -> None:
        """Make tasks that are submitted to `stream` later run after this event."""
        if not isinstance(stream, Stream):
            raise TypeError(f"[wait] stream must be a Stream, got {type(stream).__name__}")
        stream.wait_event(self)

    def synchronize(self) -> None:
        """Wait until the event is reached; return at once if it was never recorded.

        Raises:
            RuntimeError: the caller is a host task of the event's stream, which would wait for
                itself.
        """
        _no_deadlock(
            wait_slices(lambda ms: lib.mt_event_sync(self._event, ms)), "Event.synchronize"
        )

    def query(self) -> bool:
        """Return True if the event is reached or was never recorded."""
        return bool(lib.mt_event_query(self._event))

    def elapsed_time(self, end_event: Event) -> float:
        """Return the time from this event to `end_event` in milliseconds.

        Args:
            end_event: an Event; both events need enable_timing=True.

        Returns:
            Milliseconds, negative when `end_event` was reached first.

        Raises:
            TypeError: end_event is not an Event.
            RuntimeError: one of the two records no time, was not recorded, or is not reached yet.
        """
        if not isinstance(end_event, Event):
            raise TypeError(
                f"[elapsed_time] end_event must be an Event, got {type(end_event).__name__}"
            )
        times = []
        for which, event in (("first", self), ("second", end_event)):
            if not event.enable_timing:
                raise RuntimeError(
                    f"[elapsed_time] the {which} event records no time; use "
                    "Event(enable_timing=True)"
                )
            if not event._recorded:
                raise RuntimeError(
                    f"[elapsed_time] the {which} event was not recorded; call its record() first"
                )
            time = lib.mt_event_time_ms(event._event)
            if time < 0:
                raise RuntimeError(
                    f"[elapsed_time] the {which} event is not reached yet; call its synchronize() "
                    "first"
                )
            times.append(time)
        return times[1] - times[0]
