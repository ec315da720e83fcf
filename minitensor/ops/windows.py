"""Windows for spectral analysis: NumPy's formulas, symmetric or one period of a periodic window."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from minitensor.dtype import as_dtype, float32
from minitensor.ops.shape import _one_int
from minitensor.tensor import Tensor

if TYPE_CHECKING:
    from minitensor.typing import DTypeLike

__all__ = [
    "bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window",
]  # fmt: skip


def _window(
    op: str, formula: Callable[[int], np.ndarray], length: int, periodic: bool, dtype: object
) -> Tensor:
    """Return a window: a periodic one is a symmetric one of one more element without its last."""
    length = _one_int(op, length, "window_length")
    if length < 0:
        raise ValueError(f"[{op}] window_length must not be negative, got {length}")
    kind = float32 if dtype is None else as_dtype(dtype, op)
    if kind.kind != "f":
        raise TypeError(f"[{op}] dtype must be a float dtype, got {kind}")
    points = length + 1 if periodic and length > 1 else length
    return Tensor(formula(points)[:length].astype(kind.numpy), dtype=kind)


def bartlett_window(
    window_length: int, periodic: bool = True, *, dtype: DTypeLike | None = None
) -> Tensor:
    """Return a Bartlett window: 1 - |2 k / n - 1|, a triangle.

    Here n is window_length, and window_length - 1 for a symmetric window.

    Args:
        window_length: the number of elements.
        periodic: True for one period of a periodic window, for spectra; False for a symmetric
            window, for filters.
        dtype: a float dtype; None for float32.

    Returns:
        A new tensor of shape (window_length,).

    Raises:
        TypeError: the length is not an int, or the dtype no float dtype.
        ValueError: the length is negative.

    Example:
        >>> from minitensor import ops
        >>> print(ops.bartlett_window(4))
        [0.  0.5 1.  0.5]
    """
    return _window("bartlett_window", np.bartlett, window_length, periodic, dtype)


def blackman_window(
    window_length: int, periodic: bool = True, *, dtype: DTypeLike | None = None
) -> Tensor:
    """Return a Blackman window: 0.42 - 0.5 cos(2 pi k / n) + 0.08 cos(4 pi k / n).

    Here n is window_length, and window_length - 1 for a symmetric window.

    Args:
        window_length: the number of elements.
        periodic: True for one period of a periodic window, for spectra; False for a symmetric
            window, for filters.
        dtype: a float dtype; None for float32.

    Returns:
        A new tensor of shape (window_length,).

    Raises:
        TypeError: the length is not an int, or the dtype no float dtype.
        ValueError: the length is negative.

    Example:
        >>> from minitensor import ops
        >>> print(ops.blackman_window(4)[1:])
        [0.34 1.   0.34]
    """
    return _window("blackman_window", np.blackman, window_length, periodic, dtype)


def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """Return a Hamming window: alpha - beta cos(2 pi k / n).

    Here n is window_length, and window_length - 1 for a symmetric window.

    Args:
        window_length: the number of elements.
        periodic: True for one period of a periodic window, for spectra; False for a symmetric
            window, for filters.
        alpha: the mean.
        beta: the amplitude.
        dtype: a float dtype; None for float32.

    Returns:
        A new tensor of shape (window_length,).

    Raises:
        TypeError: the length is not an int, or the dtype no float dtype.
        ValueError: the length is negative.

    Example:
        >>> from minitensor import ops
        >>> print(ops.hamming_window(4))
        [0.08 0.54 1.   0.54]
    """

    def formula(points: int) -> np.ndarray:
        if points == 1:
            return np.ones(1)
        return alpha - beta * np.cos(2 * np.pi * np.arange(points) / max(1, points - 1))

    return _window("hamming_window", formula, window_length, periodic, dtype)


def hann_window(
    window_length: int, periodic: bool = True, *, dtype: DTypeLike | None = None
) -> Tensor:
    """Return a Hann window: 0.5 - 0.5 cos(2 pi k / n).

    Here n is window_length, and window_length - 1 for a symmetric window.

    Args:
        window_length: the number of elements.
        periodic: True for one period of a periodic window, for spectra; False for a symmetric
            window, for filters.
        dtype: a float dtype; None for float32.

    Returns:
        A new tensor of shape (window_length,).

    Raises:
        TypeError: the length is not an int, or the dtype no float dtype.
        ValueError: the length is negative.

    Example:
        >>> from minitensor import ops
        >>> print(ops.hann_window(4))
        [0.  0.5 1.  0.5]
    """
    return _window("hann_window", np.hanning, window_length, periodic, dtype)


def kaiser_window(
    window_length: int,
    periodic: bool = True,
    beta: float = 12.0,
    *,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """Return a Kaiser window: I0(beta sqrt(1 - (2 k / n - 1)^2)) / I0(beta).

    Here n is window_length, and window_length - 1 for a symmetric window.

    Args:
        window_length: the number of elements.
        periodic: True for one period of a periodic window, for spectra; False for a symmetric
            window, for filters.
        beta: how narrow the window is.
        dtype: a float dtype; None for float32.

    Returns:
        A new tensor of shape (window_length,).

    Raises:
        TypeError: the length is not an int, or the dtype no float dtype.
        ValueError: the length is negative.

    Example:
        >>> from minitensor import ops
        >>> print(ops.kaiser_window(3, beta=0.0))
        [1. 1. 1.]
    """
    return _window(
        "kaiser_window", lambda points: np.kaiser(points, beta), window_length, periodic, dtype
    )
