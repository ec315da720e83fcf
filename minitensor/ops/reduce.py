"""Reductions: many elements to one, over all axes or some."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minitensor.backend.native import finish, lib
from minitensor.dtype import DType, as_dtype
from minitensor.ops import elementwise
from minitensor.ops._dispatch import aliases, as_tensor, axis_aliases, host, normalize_axes, normalize_axis
from minitensor.optable import CODES
from minitensor.tensor import Tensor, wrap

__all__ = ["sum", "prod", "mean", "amin", "amax", "any", "all", "argmin", "argmax", "max", "min", "var", "std", "ptp",
           "cumsum", "cumprod", "logsumexp", "norm", "count_nonzero", "median"]  # fmt: skip

_builtin_max = max


def _reduce(name: str, input: Any, axis: Any, keepdims: bool, dtype: Any = None) -> Tensor:
    t = as_tensor(input, name)
    axes = normalize_axes(name, axis, t.ndim)
    code = -1 if dtype is None else as_dtype(dtype, name).code
    ref = lib.mt_reduce(CODES[name], t._h, sum_of_bits(axes), bool(keepdims), code)
    return wrap(ref if ref > 0 else finish(ref, {"axis": axes, "keepdims": bool(keepdims)}))


def sum_of_bits(axes: tuple[int, ...]) -> int:
    """The axes as the core takes them: bit i for axis i."""
    bits = 0
    for axis in axes:
        bits |= 1 << axis
    return bits


@axis_aliases
def sum(input: Any, axis: Any = None, keepdims: bool = False, *, dtype: DType | str | None = None) -> Tensor:
    """Sum over `axis` (None: all; an int or several).

    Integers and bools are added in 64 bits; float32 is added more precisely than it can hold.  Of no elements: 0.
    """
    return _reduce("sum", input, axis, keepdims, dtype)


@axis_aliases
def prod(input: Any, axis: Any = None, keepdims: bool = False, *, dtype: DType | str | None = None) -> Tensor:
    """Product over `axis`.  Of no elements: 1."""
    return _reduce("prod", input, axis, keepdims, dtype)


@axis_aliases
def mean(input: Any, axis: Any = None, keepdims: bool = False, *, dtype: DType | str | None = None) -> Tensor:
    """Arithmetic mean over `axis`, a float also for integers.  Of no elements: NaN."""
    return _reduce("mean", input, axis, keepdims, dtype)


@axis_aliases
def amin(input: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Least element over `axis`; NaN wins.  Raises ValueError when there is none."""
    return _reduce("amin", input, axis, keepdims)


@axis_aliases
def amax(input: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Greatest element over `axis`; NaN wins.  Raises ValueError when there is none."""
    return _reduce("amax", input, axis, keepdims)


@axis_aliases
def any(input: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """True where one element over `axis` is non-zero."""
    return _reduce("any", input, axis, keepdims)


@axis_aliases
def all(input: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """True where no element over `axis` is zero."""
    return _reduce("all", input, axis, keepdims)


@axis_aliases
def argmin(input: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Position (int64) of the first least element; without an axis, counted over all elements in C order."""
    return _reduce("argmin", input, axis, keepdims)


@axis_aliases
def argmax(input: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Position (int64) of the first greatest element; without an axis, counted over all elements in C order."""
    return _reduce("argmax", input, axis, keepdims)


@axis_aliases
def max(input: Any, axis: Any = None, keepdims: bool = False) -> tuple[Tensor, Tensor]:
    """(values, positions) of the greatest elements; the method `t.max()` gives the values only."""
    return amax(input, axis, keepdims), argmax(input, axis, keepdims)


@axis_aliases
def min(input: Any, axis: Any = None, keepdims: bool = False) -> tuple[Tensor, Tensor]:
    """(values, positions) of the least elements; the method `t.min()` gives the values only."""
    return amin(input, axis, keepdims), argmin(input, axis, keepdims)


@axis_aliases
def var(input: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Tensor:
    """Variance over `axis`: the squared distances from the mean, summed, by N - ddof."""
    t = as_tensor(input, "var")
    axes = normalize_axes("var", axis, t.ndim)
    count = math.prod(t.shape[a] for a in axes)
    away = t - mean(t, axes, True)
    return sum(away * away, axes, keepdims) / float(_builtin_max(count - ddof, 0))


@axis_aliases
def std(input: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Tensor:
    """Standard deviation over `axis`: the square root of `var`."""
    return elementwise.FUNCTIONS["sqrt"](var(input, axis, ddof, keepdims))


@axis_aliases
def ptp(input: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Greatest less least element."""
    return amax(input, axis, keepdims) - amin(input, axis, keepdims)


@axis_aliases
def logsumexp(input: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(input))) without overflow: the greatest element is taken out first."""
    f = elementwise.FUNCTIONS
    t = as_tensor(input, "logsumexp")
    axes = normalize_axes("logsumexp", axis, t.ndim)
    top = amax(t, axes, True) * 1.0
    top = f["where"](f["isfinite"](top), top, 0.0)  # exp(inf - inf) would be NaN
    result = f["log"](sum(f["exp"](t - top), axes, True)) + top
    return result if keepdims else result.reshape([n for d, n in enumerate(t.shape) if d not in axes])


@axis_aliases
def count_nonzero(input: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """How many elements over `axis` are not zero (int64)."""
    return sum(as_tensor(input, "count_nonzero") != 0, axis, keepdims)


def _scan(name: str, function: str, input: Any, axis: Any, dtype: Any) -> Tensor:
    t = as_tensor(input, name)
    axis = normalize_axis(name, axis, t.ndim)
    kind = t.dtype.kind
    result = as_dtype(dtype, name) if dtype is not None else as_dtype(
        "int64" if kind in "bi" else "uint64" if kind == "u" else t.dtype)  # fmt: skip
    return host(name, lambda a, axis: getattr(np, function)(a, axis=axis, dtype=result.numpy), [t], t.shape, result,
                {"axis": axis})  # fmt: skip


@axis_aliases
def cumsum(input: Any, axis: Any = 0, dtype: DType | str | None = None) -> Tensor:
    """Running sum along `axis`; integers in 64 bits."""
    return _scan("cumsum", "cumsum", input, axis, dtype)


@axis_aliases
def cumprod(input: Any, axis: Any = 0, dtype: DType | str | None = None) -> Tensor:
    """Running product along `axis`; integers in 64 bits."""
    return _scan("cumprod", "cumprod", input, axis, dtype)


@aliases(input="A")
@axis_aliases
def norm(A: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:  # noqa: N803
    """Vector norm over `axis` (None: over all elements).

    Args:
        A: the tensor.
        ord: None or 2 for the Euclidean norm, 1, another number p for sum(|a|**p)**(1/p), inf, -inf, 0 for the number of
            elements that are not zero, "fro" for the root of all squares.
    """
    f = elementwise.FUNCTIONS
    t = as_tensor(A, "norm")
    size = f["abs"](t) if t.dtype.kind != "b" else t
    size = size * 1.0
    if ord in (None, 2, "fro"):
        return f["sqrt"](sum(size * size, axis, keepdims))
    if ord == math.inf:
        return amax(size, axis, keepdims)
    if ord == -math.inf:
        return amin(size, axis, keepdims)
    if ord == 0:
        return sum(size != 0, axis, keepdims).astype(size.dtype)
    if not isinstance(ord, (int, float)):
        raise ValueError(f"[norm] ord must be a number, None or 'fro', got {ord!r}")
    return sum(size**ord, axis, keepdims) ** (1.0 / ord)


@axis_aliases
def median(input: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The middle element over `axis`, or the mean of the two middle ones, as NumPy has it."""
    t = as_tensor(input, "median")
    axes = normalize_axes("median", axis, t.ndim)
    shape = [1 if d in axes else n for d, n in enumerate(t.shape) if d not in axes or keepdims]
    dtype = t.dtype if t.dtype.kind == "f" else as_dtype("float32")
    return host("median", lambda a, axis, keepdims: np.median(a, axis=axis, keepdims=keepdims), [t], shape, dtype,
                {"axis": axes, "keepdims": keepdims})  # fmt: skip


def install() -> None:
    """The methods of Tensor; its `max` and `min` give the values only."""
    for function in (sum, prod, mean, any, all, argmin, argmax, amin, amax, var, std, ptp, cumsum, cumprod, logsumexp, norm,
                     count_nonzero, median):  # fmt: skip
        setattr(Tensor, function.__name__, function)
    Tensor.max = amax  # type: ignore[attr-defined]
    Tensor.min = amin  # type: ignore[attr-defined]

