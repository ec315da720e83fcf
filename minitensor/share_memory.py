"""`Tensor.share_memory_`: a tensor's method that stands above `minitensor.sharing`.

Sharing knows of Tensor, so Tensor can't know of sharing: this module, which the package loads last,
gives Tensor the method.
"""

from __future__ import annotations

from minitensor.tensor import Tensor

__all__ = ["share_memory_"]


def share_memory_(self: Tensor) -> Tensor:
    """Move the tensor's memory to where all processes that receive it from now on write to it, too.

    There is no lock: a writer and its readers must agree by other means.  All views of the same
    memory follow.

    Returns:
        The tensor.

    Raises:
        ValueError: when a NumPy array shows the memory, which would stay where it is.
        TypeError: for a tensor on a device whose memory the host can't see.

    Example:
        >>> import minitensor as mt
        >>> counter = mt.Tensor([0]).share_memory_()
        >>> counter.is_shared()
        True
    """
    from minitensor import sharing

    sharing.make_shared(self)
    return self


share_memory_.__qualname__ = "Tensor.share_memory_"
Tensor.share_memory_ = share_memory_  # type: ignore[assignment]
