"""The device at work: waiting for it, its streams, its memory."""

from __future__ import annotations

from types import TracebackType

from minitensor import context
from minitensor.backend import Device, get_device, native, stream
from minitensor.backend.native import ffi, lib
from minitensor.backend.stream import Event

__all__ = [
    "Event", "Stream", "StreamCtx", "current_stream", "default_stream", "empty_cache", "launch_blocking",
    "max_memory_allocated", "max_memory_reserved", "memory_allocated", "memory_reserved", "memory_stats",
    "reset_max_memory_allocated", "reset_peak_memory_stats", "set_cur_stream", "synchronize",
]  # fmt: skip

_current: dict[tuple[int, int], Stream] = {}  # by thread and device: a stream that is current stays alive


def synchronize() -> None:
    """Waits until the current device has done everything that was submitted to it.

    Raises:
        Exception: the first error of an op that nobody was told of, once.
    """
    device = context.current_device()
    if device.id is None:
        return
    for number in range(1, lib.mt_stream_count() + 1):
        if lib.mt_stream_device(number) == device.id:
            native.synchronize(number)


def launch_blocking() -> None:
    """From now on each op runs, and fails, at its call; for finding errors."""
    native.set_synchronous(True)


class Stream(stream.Stream):
    """A queue of work on the current device.

    Args:
        priority: accepted for MindSpore's sake; all streams are equal.

    Example:
        >>> from minitensor import Tensor, ops, runtime
        >>> side = runtime.Stream()
        >>> with runtime.StreamCtx(side):
        ...     y = ops.exp(Tensor([0.0]))
        >>> side.synchronize()
        >>> y
        Tensor(shape=[1], dtype=Float32, value= [ 1.00000000e+00])
    """

    def __init__(self, priority: int = 0, *, device: Device | None = None, _existing: int | None = None) -> None:
        super().__init__(priority, device=device or context.current_device(), _existing=_existing)


def _thread() -> int:
    import threading

    return threading.get_ident()


def current_stream() -> Stream:
    """The stream that ops of this thread go to, on the current device."""
    device = context.current_device()
    number = lib.mt_stream_current(device.activate())
    kept = _current.get((_thread(), device.activate()))
    return kept if kept is not None and kept.id == number else Stream(device=device, _existing=number)


def default_stream() -> Stream:
    """The stream that every thread begins with, on the current device."""
    device = context.current_device()
    return Stream(device=device, _existing=lib.mt_stream_default(device.activate()))


def set_cur_stream(stream: Stream | None) -> None:
    """Ops of this thread go to `stream` from now on; None changes nothing."""
    if stream is None:
        return
    if not isinstance(stream, Stream):
        raise TypeError(f"[set_cur_stream] takes a Stream, got {type(stream).__name__}")
    device = stream.device.activate()
    _current[_thread(), device] = stream
    lib.mt_stream_set_current(device, stream.id)


class StreamCtx:
    """`with StreamCtx(stream):` ops inside go to the stream; None changes nothing."""

    def __init__(self, ctx_stream: Stream | None) -> None:
        self.stream = ctx_stream
        self._before: list[Stream] = []

    def __enter__(self) -> Stream | None:
        if self.stream is not None:
            self._before.append(current_stream())
            set_cur_stream(self.stream)
        return self.stream

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._before:
            set_cur_stream(self._before.pop())


# --- memory ----------------------------------------------------------------------------------------------------------
def _stats(device_target: str | None) -> tuple[int | None, dict[str, int]]:
    device = context.current_device() if device_target is None else get_device(device_target)
    stats = ffi.new("mt_memory_stats *")
    if device.id is not None:
        lib.mt_device_stats(device.id, stats)
    return device.id, {name: getattr(stats, name) for name, _ in ffi.typeof("mt_memory_stats").fields}


def memory_stats(device_target: str | None = None) -> dict[str, int]:
    """The memory of a device, in bytes: `allocated` by tensors, `reserved` with the allocator's cache, the most of each,
    `capacity` (0: no bound of its own), and the numbers of `cached_blocks` and of `allocations` so far."""
    return _stats(device_target)[1]


def memory_allocated(device_target: str | None = None) -> int:
    """Bytes that tensors hold."""
    return memory_stats(device_target)["allocated"]


def max_memory_allocated(device_target: str | None = None) -> int:
    """The most bytes that tensors held at one time."""
    return memory_stats(device_target)["max_allocated"]


def memory_reserved(device_target: str | None = None) -> int:
    """Bytes that tensors and the allocator's cache hold."""
    return memory_stats(device_target)["reserved"]


def max_memory_reserved(device_target: str | None = None) -> int:
    """The most bytes that tensors and the allocator's cache held at one time."""
    return memory_stats(device_target)["max_reserved"]


def reset_peak_memory_stats(device_target: str | None = None) -> None:
    """The maxima count from now on."""
    number, _ = _stats(device_target)
    if number is not None:
        lib.mt_device_reset_max(number)


reset_max_memory_allocated = reset_peak_memory_stats


def empty_cache(device_target: str | None = None) -> int:
    """Gives the allocator's free blocks back to the system; how many bytes."""
    number, _ = _stats(device_target)
    return 0 if number is None else lib.mt_device_trim(number)
