"""Running: waiting for the device, its memory, its streams.

Ops are asynchronous: a call returns before its work is done, and a value is waited for when somebody looks at it.
The functions here are for programs that want to wait, or to say what runs beside what, themselves.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from minitensor import context
from minitensor.backend import Device, get_device, native, stream
from minitensor.backend.native import ffi, lib

__all__ = [
    "Event", "Stream", "StreamCtx", "current_stream", "default_stream", "empty_cache", "launch_blocking",
    "fusion_stats", "get_num_threads", "set_num_threads", "max_memory_allocated", "max_memory_reserved", "memory_allocated", "memory_reserved", "memory_stats",
    "release_device", "reset_peak_memory_stats", "set_cur_stream", "synchronize",
]  # fmt: skip


def synchronize() -> None:
    """Waits until the current device has done everything on all its streams.

    Raises:
        Exception: the oldest failure that was neither read nor raised before, with the op and the line that issued it; once.  Of a
            stream's failures the first ten are kept; after these a RuntimeError has the number of the others.
        RuntimeError: when called inside a host task, which would wait for itself.
    """
    device = context.current_device()
    if device.id is None:
        return  # never used
    number = device.id
    if native.wait_slices(lambda ms: lib.mt_device_sync(number, ms)) != lib.MT_OK:
        for one in stream.stream_ids(number):
            native.synchronize(one)  # raises what is wrong


def release_device() -> None:
    """Lets go of the current device, when it is an exclusive one: another process can have it at once.

    Waits for what is queued first.  Tensors on the device can't be touched any more; the next task takes the device anew.

    Raises:
        Exception: a failure that nobody was told of; the device is kept then.

    Example:
        >>> from minitensor import Tensor, runtime, set_context
        >>> set_context(device_target="Ascend")
        >>> result = (Tensor([1.0]) + 1).to("CPU")
        >>> runtime.release_device()
        >>> set_context(device_target="CPU")
    """
    synchronize()
    context.current_device().release()


def set_num_threads(n: int) -> None:
    """How many threads a large op of this process may use, the stream's own included.

    At the start it is MINITENSOR_NUM_THREADS, or as many as the process may use cores; in the workers of a
    `minitensor.multiprocessing.Pool` the cores are shared out.  Results don't depend on it.

    Args:
        n: at least 1; 1 means that ops have no helpers.

    Example:
        >>> from minitensor import runtime
        >>> runtime.set_num_threads(1)
        >>> runtime.get_num_threads()
        1
    """
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"[set_num_threads] takes an int, got {n!r}")
    if n < 1:
        raise ValueError(f"[set_num_threads] there is always one thread, got {n}; give 1 or more")
    lib.mt_set_threads(n)


def get_num_threads() -> int:
    """How many threads a large op may use."""
    return lib.mt_threads()


def fusion_stats() -> dict[str, int]:
    """What became of neighbouring elementwise ops since the process began (MINITENSOR_FUSION=0 keeps them apart).

    Returns:
        passes: how often several ops were done as one pass over memory.  tasks: how many ops those were.  unwritten: results that
        nobody could ask for any more, and that were never written.  taken_over: results that took over an input's memory.
    """
    numbers = ffi.new("mt_pass_numbers *")
    lib.mt_pass_stats(numbers)
    return {name: getattr(numbers, name) for name in ("passes", "tasks", "unwritten", "taken_over")}


def launch_blocking() -> None:
    """From now on each op runs, and fails, at its call; as with `set_context(pynative_synchronize=True)`."""
    native.set_synchronous(True)


# --- memory ---------------------------------------------------------------------------------------
def _device(device_target: str | None) -> Device:
    current = context.current_device()
    if device_target is None or device_target == current.backend.name:
        return current
    if not isinstance(device_target, str):
        raise TypeError(f"The parameter 'device_target' must be {str}, but got {type(device_target)}")
    return get_device(device_target)


def _stats(device_target: str | None) -> Any:
    device, stats = _device(device_target), ffi.new("mt_memory_stats *")
    if device.id is not None:
        lib.mt_device_stats(device.id, stats)
    return stats


def memory_allocated(device_target: str | None = None) -> int:
    """Bytes that tensors take now on the current device, or on the first one of `device_target`."""
    return _stats(device_target).allocated


def max_memory_allocated(device_target: str | None = None) -> int:
    """The most bytes that tensors took at a time, since the start or `reset_peak_memory_stats`."""
    return _stats(device_target).max_allocated


def memory_reserved(device_target: str | None = None) -> int:
    """Bytes taken from the device: those of tensors, and freed ones that are kept for the next."""
    return _stats(device_target).reserved


def max_memory_reserved(device_target: str | None = None) -> int:
    """The most bytes that were taken from the device at a time."""
    return _stats(device_target).max_reserved


def memory_stats(device_target: str | None = None) -> dict[str, int]:
    """All of it, in bytes, but for the numbers of `cached_blocks` and of `allocations`; `capacity` 0 is no bound."""
    stats = _stats(device_target)
    return {
        "total_allocated_memory": stats.allocated,
        "max_allocated_memory": stats.max_allocated,
        "total_reserved_memory": stats.reserved,
        "max_reserved_memory": stats.max_reserved,
        "total_idle_memory": stats.reserved - stats.allocated,
        "cached_blocks": stats.cached_blocks,
        "allocations": stats.allocations,
        "capacity": stats.capacity,
    }


def reset_peak_memory_stats(device_target: str | None = None) -> None:
    """The maxima start anew from what is taken now."""
    device = _device(device_target)
    if device.id is not None:
        lib.mt_device_reset_max(device.id)


def empty_cache(device_target: str | None = None) -> int:
    """Gives freed memory that was kept for the next tensors back to the system; returns the bytes."""
    device = _device(device_target)
    return lib.mt_device_trim(device.id) if device.id is not None else 0


# --- streams --------------------------------------------------------------------------------------
_thread = threading.local()  # .streams: the thread's current streams by device number; keeps them from being released


class Stream(stream.Stream):
    """A queue of work of the current device.

    Args:
        priority: kept for programs that give one; the simulated devices treat all streams alike.

    Raises:
        DeviceError: no stream is left (code 207008), or the device can't be had.

    Example:
        >>> from minitensor import Tensor, ops, runtime
        >>> side = runtime.Stream()
        >>> with runtime.StreamCtx(side):
        ...     y = ops.log(Tensor(2.0))
        >>> side.synchronize()
    """

    def __init__(self, priority: int = 0) -> None:
        super().__init__(context.current_device(), priority)

    def record_event(self, event: stream.Event | None = None) -> stream.Event:
        return super().record_event(Event() if event is None else event)


class Event(stream.Event):
    """A mark in a stream: reached when the work is done that was submitted before it.

    Args:
        enable_timing: take the time when it is reached, for `elapsed_time` in milliseconds.
        blocking: kept for programs that give it; waiting never spins here.

    Example:
        >>> from minitensor import Tensor, ops, runtime
        >>> start, end = runtime.Event(enable_timing=True), runtime.Event(enable_timing=True)
        >>> start.record(); y = ops.log(Tensor(2.0)); end.record(); end.synchronize()
        >>> start.elapsed_time(end) >= 0
        True
    """

    def record(self, stream: stream.Stream | None = None) -> None:
        """Marks the work that `stream` (None: the current one) was given so far; a mark set before is forgotten."""
        super().record(current_stream() if stream is None else stream)

    def wait(self, stream: stream.Stream | None = None) -> None:
        """Work that `stream` (None: the current one) is given from now on comes after the event."""
        super().wait(current_stream() if stream is None else stream)


def default_stream() -> Stream:
    """The stream that the current device has from the start."""
    return Stream._default(context.current_device())


def current_stream() -> Stream:
    """The stream that this thread gives its work on the current device to."""
    device = context.current_device()
    chosen = getattr(_thread, "streams", {}).get(device.activate())
    return default_stream() if chosen is None else chosen


def set_cur_stream(stream: Stream) -> None:
    """This thread gives its work on the stream's device to `stream` from now on.

    Raises:
        TypeError: when it is no Stream.
    """
    if not isinstance(stream, Stream):
        raise TypeError(f"[set_cur_stream] takes a Stream, got {type(stream).__name__}")
    if not hasattr(_thread, "streams"):
        _thread.streams = {}
    before = _thread.streams.get(stream._number)
    lib.mt_stream_set_current(stream._number, stream._id)
    _thread.streams[stream._number] = stream
    del before  # released only after it is no longer current


class StreamCtx:
    """`with StreamCtx(stream):` makes a stream the current one of this thread, and the former one again at the end.

    Args:
        stream: None changes nothing, so that a program may leave the choice open.
    """

    def __init__(self, ctx_stream: Stream | None) -> None:
        if ctx_stream is not None and not isinstance(ctx_stream, Stream):
            raise TypeError(f"[StreamCtx] takes a Stream or None, got {type(ctx_stream).__name__}")
        self.stream = ctx_stream
        self._former: list[Stream] = []  # a stack: it may be entered again inside itself

    def __enter__(self) -> StreamCtx:
        if self.stream is not None:
            number = self.stream._number
            former = getattr(_thread, "streams", {}).get(number)
            self._former.append(Stream._default(self.stream.device) if former is None else former)
            set_cur_stream(self.stream)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.stream is not None:
            set_cur_stream(self._former.pop())
