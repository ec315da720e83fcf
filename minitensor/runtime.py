"""Runtime control: waiting, threads, device memory, streams and events.

Ops are asynchronous: a call returns before its work is done, and the read of a value waits for it.
The functions of this module are for programs that wait explicitly or that use several streams.
"""

from __future__ import annotations

import threading
from types import TracebackType

from minitensor import context
from minitensor.backend import core, stream
from minitensor.backend.core import ffi, lib
from minitensor.memory import (
    empty_cache,
    max_memory_allocated,
    max_memory_reserved,
    memory_allocated,
    memory_reserved,
    memory_stats,
    reset_peak_memory_stats,
)

__all__ = [
    "Event", "Stream", "StreamCtx", "current_stream", "default_stream", "empty_cache",
    "launch_blocking", "fusion_stats", "get_num_threads", "set_num_threads", "max_memory_allocated",
    "max_memory_reserved", "memory_allocated", "memory_reserved", "memory_stats", "release_device",
    "reset_peak_memory_stats", "set_cur_stream", "synchronize",
]  # fmt: skip


def synchronize() -> None:
    """Wait until all streams of the current device are idle.

    Raises:
        Exception: the oldest error that the program has neither read nor caught, with the op and
            the line that called it; each error is raised once.  A stream keeps its first ten
            errors; then a RuntimeError reports the number of the others.
        RuntimeError: the caller is a host task, which would wait for itself.

    Example:
        >>> from minitensor import Tensor, ops, runtime
        >>> y = ops.log(Tensor([1.0, 2.0]))
        >>> runtime.synchronize()
    """
    device = context.current_device()
    if device.id is None:
        return  # the process has not used the device
    number = device.id
    if core.wait_slices(lambda ms: lib.mt_device_sync(number, ms)) != lib.MT_OK:
        for one in stream.stream_ids(number):
            core.synchronize(one)  # raises the error


def release_device() -> None:
    """Release the current device if it is exclusive; another process can acquire it at once.

    The call first waits for the queued work.  Tensors on the device become unusable, and the next
    task acquires the device again.

    Raises:
        Exception: an unreported error of the queued work; the process then keeps the device.

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
    """Set the number of threads that a large op of this process may use.

    The default is MINITENSOR_NUM_THREADS, or one thread per core that the process may use; the
    workers of a `minitensor.multiprocessing.Pool` divide the cores.  Results don't depend on it.

    Args:
        n: at least 1, the stream's worker included; 1 means that ops have no helpers.

    Raises:
        TypeError: n is not an int.
        ValueError: n is less than 1.

    Example:
        >>> from minitensor import runtime
        >>> runtime.set_num_threads(1)
        >>> runtime.get_num_threads()
        1
    """
    if not isinstance(n, int) or isinstance(n, bool):
        raise TypeError(f"[set_num_threads] n must be an int, got {n!r}")
    if n < 1:
        raise ValueError(
            f"[set_num_threads] n must be at least 1, got {n}; the stream's worker counts"
        )
    lib.mt_set_threads(n)


def get_num_threads() -> int:
    """Return the number of threads that a large op may use.

    Returns:
        At least 1; the stream's worker counts.

    Example:
        >>> from minitensor import runtime
        >>> runtime.get_num_threads() >= 1
        True
    """
    return lib.mt_threads()


def fusion_stats() -> dict[str, int]:
    """Return the counters of fusion since the start of the process.

    Returns:
        passes: number of passes that fused several ops.  tasks: number of ops in these passes.
        unwritten: number of results without a reference, which were never written.  taken_over:
        number of results that reused the memory of an input.  All stay 0 with
        MINITENSOR_FUSION=0.

    Example:
        >>> from minitensor import runtime
        >>> sorted(runtime.fusion_stats())
        ['passes', 'taken_over', 'tasks', 'unwritten']
    """
    numbers = ffi.new("mt_pass_numbers *")
    lib.mt_pass_stats(numbers)
    return {name: getattr(numbers, name) for name in ("passes", "tasks", "unwritten", "taken_over")}


def launch_blocking() -> None:
    """Run each later op at its call, as `set_context(pynative_synchronize=True)` does.

    Example:
        >>> import minitensor
        >>> minitensor.runtime.launch_blocking()
        >>> minitensor.set_context(pynative_synchronize=False)  # asynchronous again
    """
    core.set_synchronous(True)


# --- streams --------------------------------------------------------------------------------------
_thread = threading.local()  # .streams: the thread's current streams by device number, kept alive


class Stream(stream.Stream):
    """Queue tasks on the current device, in order.

    Args:
        priority: accepted for compatibility; the simulated devices treat all streams equally.

    Raises:
        TypeError: priority is not an int.
        DeviceError: no stream is left (code 207008), or the device can't be acquired.

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
    """Mark a position in a stream; the stream reaches it after all tasks submitted before it.

    Args:
        enable_timing: record the time at which it is reached, for `elapsed_time` in milliseconds.
        blocking: accepted for compatibility; a waiting thread never spins.

    Raises:
        TypeError: an argument is not a bool.
        MemoryError: no memory for the event (code 207007).

    Example:
        >>> from minitensor import Tensor, ops, runtime
        >>> start, end = runtime.Event(enable_timing=True), runtime.Event(enable_timing=True)
        >>> start.record(); y = ops.log(Tensor(2.0)); end.record(); end.synchronize()
        >>> start.elapsed_time(end) >= 0
        True
    """

    def record(self, stream: stream.Stream | None = None) -> None:
        """Mark the tasks submitted to `stream` so far, and forget an earlier mark.

        Args:
            stream: None means the current stream.
        """
        super().record(current_stream() if stream is None else stream)

    def wait(self, stream: stream.Stream | None = None) -> None:
        """Make tasks that are submitted to `stream` later run after this event.

        Args:
            stream: None means the current stream.
        """
        super().wait(current_stream() if stream is None else stream)


def default_stream() -> Stream:
    """Return the first stream of the current device.

    Returns:
        A Stream; every call returns an equal one.

    Example:
        >>> from minitensor import runtime
        >>> runtime.default_stream() == runtime.default_stream()
        True
    """
    return Stream._default(context.current_device())


def current_stream() -> Stream:
    """Return the stream to which this thread submits tasks for the current device.

    Returns:
        The stream of `set_cur_stream` or `StreamCtx`, else the default stream.

    Example:
        >>> from minitensor import runtime
        >>> runtime.current_stream() == runtime.default_stream()
        True
    """
    device = context.current_device()
    chosen = getattr(_thread, "streams", {}).get(device.activate())
    return default_stream() if chosen is None else chosen


def set_cur_stream(stream: Stream) -> None:
    """Make this thread submit later tasks for the stream's device to `stream`.

    Args:
        stream: a Stream; it becomes the current stream of its device in this thread.

    Raises:
        TypeError: stream is not a Stream.

    Example:
        >>> from minitensor import runtime
        >>> side = runtime.Stream()
        >>> runtime.set_cur_stream(side)
        >>> runtime.current_stream() == side
        True
        >>> runtime.set_cur_stream(runtime.default_stream())
    """
    if not isinstance(stream, Stream):
        raise TypeError(f"[set_cur_stream] stream must be a Stream, got {type(stream).__name__}")
    if not hasattr(_thread, "streams"):
        _thread.streams = {}
    before = _thread.streams.get(stream._device_id)
    lib.mt_stream_set_current(stream._device_id, stream._id)
    _thread.streams[stream._device_id] = stream
    del before  # released only after it is no longer current


class StreamCtx:
    """Make a stream the current one of this thread inside a `with` block.

    Args:
        ctx_stream: the stream; None changes nothing.

    Raises:
        TypeError: ctx_stream is neither a Stream nor None.

    Example:
        >>> from minitensor import runtime
        >>> side = runtime.Stream()
        >>> with runtime.StreamCtx(side):
        ...     runtime.current_stream() == side
        True
    """

    def __init__(self, ctx_stream: Stream | None) -> None:
        if ctx_stream is not None and not isinstance(ctx_stream, Stream):
            raise TypeError(
                f"[StreamCtx] ctx_stream must be a Stream or None, got {type(ctx_stream).__name__}"
            )
        self.stream = ctx_stream
        self._former: list[Stream] = []  # a stack: a program may enter the same object twice

    def __enter__(self) -> StreamCtx:
        if self.stream is not None:
            number = self.stream._device_id
            former = getattr(_thread, "streams", {}).get(number)
            self._former.append(Stream._default(self.stream.device) if former is None else former)
            set_cur_stream(self.stream)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.stream is not None:
            set_cur_stream(self._former.pop())
