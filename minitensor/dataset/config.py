"""Settings of pipelines that are built or iterated later: seed, prefetch, number of workers."""

from __future__ import annotations

from typing import Any

__all__ = [
    "get_num_parallel_workers",
    "get_prefetch_size",
    "get_seed",
    "set_num_parallel_workers",
    "set_prefetch_size",
    "set_seed",
]

DEFAULT_SEED = 5489  # what `get_seed` returns while no seed is set, as MindSpore does

_seed: int | None = None
_prefetch_size = 2
_num_parallel_workers = 1


def checked(op: str, name: str, value: Any, low: int, also: str = "") -> int:
    """Return an int argument, or raise the error that says what it must be."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"[{op}] {name} must be an int{also}, got {value!r}")
    if value.__index__() < low:
        raise ValueError(f"[{op}] {name} must be at least {low}{also}, got {value}")
    return int(value.__index__())


def set_seed(seed: int) -> None:
    """Set the seed of the iterators that are created later.

    Two iterators with one seed read the same samples in the same order with the same random
    numbers, whatever the number of their workers.  Without a seed each iterator draws one.

    Args:
        seed: an int that is not negative.

    Raises:
        TypeError: the seed is no int.
        ValueError: the seed is negative.

    Example:
        >>> import minitensor.dataset as ds
        >>> ds.config.set_seed(7)
        >>> ds.config.get_seed()
        7
    """
    global _seed
    _seed = checked("set_seed", "seed", seed, 0)


def get_seed() -> int:
    """Return the seed that was set, or 5489.

    Returns:
        An int.

    Example:
        >>> import minitensor.dataset as ds
        >>> ds.config.set_seed(7)
        >>> ds.config.get_seed()
        7
    """
    return DEFAULT_SEED if _seed is None else _seed


def own_seed() -> int | None:
    """Return the seed that was set, or None."""
    return _seed


def set_prefetch_size(size: int) -> None:
    """Set how many results a worker may be ahead of the iterator.

    Args:
        size: an int of at least 1; a result is one batch, or, in a pipeline without `batch`, the
            rows that a worker reads in some 2 ms, at most 64.

    Raises:
        TypeError: the size is no int.
        ValueError: the size is smaller than 1.

    Example:
        >>> import minitensor.dataset as ds
        >>> ds.config.set_prefetch_size(2)
    """
    global _prefetch_size
    _prefetch_size = checked("set_prefetch_size", "size", size, 1)


def get_prefetch_size() -> int:
    """Return how many results a worker may be ahead of the iterator.

    Returns:
        An int.

    Example:
        >>> import minitensor.dataset as ds
        >>> ds.config.get_prefetch_size()
        2
    """
    return _prefetch_size


def set_num_parallel_workers(num: int) -> None:
    """Set the number of workers of datasets whose `num_parallel_workers` is None.

    Args:
        num: an int of at least 1; 1 reads in the calling thread.

    Raises:
        TypeError: the number is no int.
        ValueError: the number is smaller than 1.

    Example:
        >>> import minitensor.dataset as ds
        >>> ds.config.set_num_parallel_workers(1)
    """
    global _num_parallel_workers
    _num_parallel_workers = checked("set_num_parallel_workers", "num", num, 1)


def get_num_parallel_workers() -> int:
    """Return the number of workers of datasets whose `num_parallel_workers` is None.

    Returns:
        An int.

    Example:
        >>> import minitensor.dataset as ds
        >>> ds.config.get_num_parallel_workers()
        1
    """
    return _num_parallel_workers
