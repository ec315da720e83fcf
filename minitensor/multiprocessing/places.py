"""The count of a queue's free places, and the stand-ins for locks that a queue does not need.

The problem. The standard package's pool and executor expect a queue to have locks; ours has none. A
queue counts its places in a semaphore, and some systems have no semaphores.

The solution. A stand-in with the methods of a lock. An unbounded queue needs its count for `qsize`
only, so it works without one where the system refuses it.

What it guarantees. A bounded queue is always counted: without a semaphore its creation raises.
"""

from __future__ import annotations

from typing import Any

__all__ = ["NoLock", "Uncounted", "limit", "places"]


class NoLock:
    """A lock that every caller gets at once; the standard pool and executor expect a lock here."""

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        return True

    def release(self) -> None:
        pass

    __enter__ = acquire

    def __exit__(self, *exc: object) -> None:
        pass


class Uncounted(NoLock):
    """The semaphore of an unbounded queue on a system without semaphores.

    Args:
        reason: the error by which the system refused a semaphore.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self._semlock = self

    def _get_value(self) -> int:
        raise NotImplementedError(
            f"[qsize] the queue isn't counted: this system has no semaphore ({self.reason}); "
            "use empty()"
        )

    def _is_zero(self) -> bool:
        return False  # never full


def places(maxsize: int, ctx: Any) -> Any:
    """Return the semaphore that counts the free places of a queue.

    Raises:
        ImportError, OSError: the system has no semaphores, and `maxsize` is positive.
    """
    try:
        return ctx.BoundedSemaphore(limit(maxsize))
    except (ImportError, OSError) as error:
        if maxsize > 0:
            raise
        return Uncounted(f"{type(error).__name__}: {error}")


def limit(maxsize: int) -> int:
    """Return the number of places of a queue; without a maximum, the largest semaphore's value."""
    if maxsize > 0:
        return maxsize
    from multiprocessing.synchronize import SEM_VALUE_MAX  # raises on a system without semaphores

    return SEM_VALUE_MAX
