"""Memory of devices: counters, peaks and the allocator's cache.

`minitensor.runtime` publishes the functions of this module.
"""

from __future__ import annotations

from typing import Any

from minitensor import context
from minitensor.backend import Device, get_device
from minitensor.backend.core import ffi, lib

__all__ = [
    "empty_cache",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "reset_peak_memory_stats",
]


def _device(device_target: str | None) -> Device:
    current = context.current_device()
    if device_target is None or device_target == current.backend.name:
        return current
    if not isinstance(device_target, str):
        raise TypeError(
            f"The parameter 'device_target' must be {str}, but got {type(device_target)}"
        )
    return get_device(device_target)


def _stats(device_target: str | None) -> Any:
    device, stats = _device(device_target), ffi.new("mt_memory_stats *")
    if device.id is not None:
        lib.mt_device_stats(device.id, stats)
    return stats


def memory_allocated(device_target: str | None = None) -> int:
    """Return the number of bytes that tensors occupy on a device.

    Args:
        device_target: a backend's name, for its first device; None means the current device.

    Returns:
        Bytes, 0 before the first task on the device.

    Raises:
        TypeError: device_target is not a string.
        ValueError: device_target names no backend.

    Example:
        >>> from minitensor import Tensor, runtime
        >>> t = Tensor([1.0, 2.0])
        >>> runtime.memory_allocated("CPU") >= 8
        True
    """
    return _stats(device_target).allocated


def max_memory_allocated(device_target: str | None = None) -> int:
    """Return the maximum of `memory_allocated` since the start or `reset_peak_memory_stats`.

    Args:
        device_target: a backend's name, for its first device; None means the current device.

    Returns:
        Bytes.

    Raises:
        TypeError: device_target is not a string.
        ValueError: device_target names no backend.

    Example:
        >>> from minitensor import runtime
        >>> runtime.max_memory_allocated() >= runtime.memory_allocated()
        True
    """
    return _stats(device_target).max_allocated


def memory_reserved(device_target: str | None = None) -> int:
    """Return the number of bytes of a device that tensors and the allocator's cache hold.

    Args:
        device_target: a backend's name, for its first device; None means the current device.

    Returns:
        Bytes.

    Raises:
        TypeError: device_target is not a string.
        ValueError: device_target names no backend.

    Example:
        >>> from minitensor import runtime
        >>> runtime.memory_reserved() >= runtime.memory_allocated()
        True
    """
    return _stats(device_target).reserved


def max_memory_reserved(device_target: str | None = None) -> int:
    """Return the maximum of `memory_reserved` since the start or `reset_peak_memory_stats`.

    Args:
        device_target: a backend's name, for its first device; None means the current device.

    Returns:
        Bytes.

    Raises:
        TypeError: device_target is not a string.
        ValueError: device_target names no backend.

    Example:
        >>> from minitensor import runtime
        >>> runtime.max_memory_reserved() >= runtime.memory_reserved()
        True
    """
    return _stats(device_target).max_reserved


def memory_stats(device_target: str | None = None) -> dict[str, int]:
    """Return all counters of a device's memory.

    Args:
        device_target: a backend's name, for its first device; None means the current device.

    Returns:
        Sizes in bytes; `cached_blocks` and `allocations` are counts.  `capacity` 0 means no limit.

    Raises:
        TypeError: device_target is not a string.
        ValueError: device_target names no backend.

    Example:
        >>> from minitensor import runtime
        >>> runtime.memory_stats("CPU")["capacity"]
        0
    """
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
    """Reset the maxima of a device's memory to the current values.

    Args:
        device_target: a backend's name, for its first device; None means the current device.

    Raises:
        TypeError: device_target is not a string.
        ValueError: device_target names no backend.

    Example:
        >>> from minitensor import runtime
        >>> runtime.reset_peak_memory_stats()
    """
    device = _device(device_target)
    if device.id is not None:
        lib.mt_device_reset_max(device.id)


def empty_cache(device_target: str | None = None) -> int:
    """Return the freed memory in the allocator's cache to the system.

    Args:
        device_target: a backend's name, for its first device; None means the current device.

    Returns:
        The number of bytes.

    Raises:
        TypeError: device_target is not a string.
        ValueError: device_target names no backend.

    Example:
        >>> from minitensor import runtime
        >>> runtime.empty_cache() >= 0
        True
    """
    device = _device(device_target)
    return lib.mt_device_trim(device.id) if device.id is not None else 0
