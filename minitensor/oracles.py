"""Functions of arrays that the op table needs and NumPy lacks (`sp` in the table's expressions)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

__all__ = ["erf", "sigmoid", "gelu", "mish", "floor_divide", "mean", "argmin", "argmax"]

_erf = np.vectorize(math.erf, otypes=[np.float64])


def erf(a: np.ndarray) -> np.ndarray:
    """Return the error function, computed in double precision."""
    return _erf(a).astype(a.dtype) if a.size else a.copy()


def sigmoid(a: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-a)), computed in double precision."""
    with np.errstate(over="ignore"):
        return (1 / (1 + np.exp(-a.astype(np.float64)))).astype(a.dtype)


def gelu(a: np.ndarray) -> np.ndarray:
    """Return a * Phi(a), with Phi the normal distribution, computed in double precision."""
    wide = a.astype(np.float64)
    return (wide * 0.5 * (erf(wide * math.sqrt(0.5)) + 1)).astype(a.dtype)


def mish(a: np.ndarray) -> np.ndarray:
    """Return a * tanh(log(1 + exp(a))), computed in double precision."""
    wide = a.astype(np.float64)
    e = np.exp(np.minimum(wide, 30))
    n = e * (e + 2)
    return (wide * (n / (n + 2))).astype(a.dtype)


def floor_divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return np.floor_divide(a, b).

    An infinity divided by a number stays infinite, as in the array API standard.
    """
    result = np.floor_divide(a, b)
    if result.dtype.kind in "iu":
        return result
    return np.where(np.isinf(a), np.true_divide(a, b), result).astype(result.dtype)


def mean(a: np.ndarray, axis: tuple[int, ...], keepdims: bool) -> np.ndarray:
    """Return np.mean, without its warning for an empty axis."""
    dtype = np.float32 if a.dtype == np.float16 else None
    total = np.sum(a, axis=axis, keepdims=keepdims, dtype=dtype)
    return (total / (a.size // total.size if total.size else 1 if a.size else 0)).astype(a.dtype)


def _arg(function: Any, a: np.ndarray, axis: tuple[int, ...], keepdims: bool) -> np.ndarray:
    """Return argmin or argmax over several axes, as a position in C order over them."""
    axis = tuple(sorted(x % a.ndim for x in axis))
    kept = [d for d in range(a.ndim) if d not in axis]
    length = math.prod(a.shape[d] for d in axis)
    rows = a.transpose(kept + list(axis)).reshape([a.shape[d] for d in kept] + [length])
    result = function(rows, axis=-1)
    if not keepdims:
        return result
    return result.reshape([1 if d in axis else a.shape[d] for d in range(a.ndim)])


def argmin(a: np.ndarray, axis: tuple[int, ...], keepdims: bool) -> np.ndarray:
    """Return the positions of the first least elements over `axis`."""
    return _arg(np.argmin, a, axis, keepdims)


def argmax(a: np.ndarray, axis: tuple[int, ...], keepdims: bool) -> np.ndarray:
    """Return the positions of the first greatest elements over `axis`."""
    return _arg(np.argmax, a, axis, keepdims)
