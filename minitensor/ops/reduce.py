"""Reductions over all axes or some: sums, means, extremes, norms, running sums."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from minitensor.backend.core import complete, lib, operators
from minitensor.dtype import DTYPES, as_dtype, int64, to_float
from minitensor.ops import elementwise
from minitensor.ops._dispatch import (
    aliases,
    array_op,
    array_pair,
    as_tensor,
    axis_aliases,
    flag,
    host,
    host_many,
    normalize_axis,
    reduced_axes,
)
from minitensor.optable import ARRAY_CODES, CODES
from minitensor.tensor import Tensor, wrap

if TYPE_CHECKING:
    from minitensor.typing import AxisLike, DTypeLike, TensorLike

__all__ = [
    "sum", "prod", "mean", "amin", "amax", "any", "all", "argmin", "argmax", "max", "min", "var",
    "std", "ptp", "cumsum", "cumprod", "logsumexp", "norm", "count_nonzero", "median",
]  # fmt: skip

_builtin_max = max


def _reduce(name: str, input: Any, axis: Any, keepdims: bool, dtype: Any = None) -> Tensor:
    t = as_tensor(input, name)
    axes = reduced_axes(name, axis, t.ndim)
    code = -1 if dtype is None else as_dtype(dtype, name).code
    if keepdims is not True and keepdims is not False:
        keepdims = flag(name, keepdims)
    ref = lib.mt_reduce(CODES[name], t._ref, sum_of_bits(axes), keepdims, code, 0)
    return wrap(ref if ref > 0 else complete(ref, {"axis": axes, "keepdims": keepdims}))


def sum_of_bits(axes: tuple[int, ...]) -> int:
    """Return axes as the core takes them: bit i for axis i."""
    bits = 0
    for axis in axes:
        bits |= 1 << axis
    return bits


@axis_aliases
def sum(
    input: TensorLike,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """Return the sum over `axis`.

    Integers and bools are added in 64 bits; float32 is added in higher precision and rounded once.

    Args:
        input: a tensor, or what `Tensor(...)` takes, of any shape and dtype.
        axis: the axis or the axes to reduce, also spelled `dim`; None or () reduces all of them.
        keepdims: True keeps each reduced axis with length 1; also spelled `keepdim`, `keep_dims`.
        dtype: the dtype of the computation and the result; by default int64 for bools and signed
            integers, uint64 for unsigned ones, and the input's dtype otherwise.

    Returns:
        A tensor without the reduced axes; 0 where there are no elements.

    Raises:
        TypeError: an axis is no int, or `keepdims` is no bool.
        ValueError: an axis is out of range or is named twice.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.sum(Tensor([[1, 2], [3, 4]]), axis=0))
        [4 6]
    """
    return _reduce("sum", input, axis, keepdims, dtype)


@axis_aliases
def prod(
    input: TensorLike,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """Return the product over `axis`.

    Args:
        input: a tensor, or what `Tensor(...)` takes, of any shape and dtype.
        axis: the axis or the axes to reduce, also spelled `dim`; None or () reduces all of them.
        keepdims: True keeps each reduced axis with length 1.
        dtype: the dtype of the computation and the result; by default as in `sum`.

    Returns:
        A tensor without the reduced axes; 1 where there are no elements.

    Raises:
        TypeError: an axis is no int, or `keepdims` is no bool.
        ValueError: an axis is out of range or is named twice.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.prod(Tensor([[1, 2], [3, 4]]), axis=1))
        [ 2 12]
    """
    return _reduce("prod", input, axis, keepdims, dtype)


@axis_aliases
def mean(
    input: TensorLike,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """Return the arithmetic mean over `axis`.

    Args:
        input: a tensor, or what `Tensor(...)` takes, of any shape and dtype.
        axis: the axis or the axes to reduce, also spelled `dim`; None or () reduces all of them.
        keepdims: True keeps each reduced axis with length 1.
        dtype: the dtype of the computation and the result; by default float32 for integers and
            bools, and the input's dtype otherwise.

    Returns:
        A tensor of floats or complex numbers without the reduced axes; NaN where there are no
        elements.

    Raises:
        TypeError: an axis is no int, or `keepdims` is no bool.
        ValueError: an axis is out of range or is named twice.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.mean(Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0))
        [2. 3.]
    """
    return _reduce("mean", input, axis, keepdims, dtype)


@axis_aliases
def amin(input: TensorLike, axis: AxisLike | None = None, keepdims: bool = False) -> Tensor:
    """Return the least element over `axis`; NaN if one is NaN.

    Args:
        input: a tensor, or what `Tensor(...)` takes, of any shape; bool, int, uint or float.
        axis: the axis or the axes to reduce, also spelled `dim`; None or () reduces all of them.
        keepdims: True keeps each reduced axis with length 1.

    Returns:
        A tensor of the input's dtype without the reduced axes.

    Raises:
        TypeError: an axis is no int, `keepdims` is no bool, or the input is complex.
        ValueError: an axis is out of range or is named twice, or there are no elements.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.amin(Tensor([[1, 4], [3, 2]]), axis=0))
        [1 2]
    """
    return _reduce("amin", input, axis, keepdims)


@axis_aliases
def amax(input: TensorLike, axis: AxisLike | None = None, keepdims: bool = False) -> Tensor:
    """Return the greatest element over `axis`; NaN if one is NaN.

    Args:
        input: a tensor, or what `Tensor(...)` takes, of any shape; bool, int, uint or float.
        axis: the axis or the axes to reduce, also spelled `dim`; None or () reduces all of them.
        keepdims: True keeps each reduced axis with length 1.

    Returns:
        A tensor of the input's dtype without the reduced axes.

    Raises:
        TypeError: an axis is no int, `keepdims` is no bool, or the input is complex.
        ValueError: an axis is out of range or is named twice, or there are no elements.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.amax(Tensor([[1, 4], [3, 2]]), axis=0))
        [3 4]
    """
    return _reduce("amax", input, axis, keepdims)


@axis_aliases
def any(input: TensorLike, axis: AxisLike | None = None, keepdims: bool = False) -> Tensor:
    """Return True where at least one element over `axis` is non-zero.

    Args:
        input: a tensor, or what `Tensor(...)` takes, of any shape and dtype.
        axis: the axis or the axes to reduce, also spelled `dim`; None or () reduces all of them.
        keepdims: True keeps each reduced axis with length 1.

    Returns:
        A tensor of bools without the reduced axes; False where there are no elements.

    Raises:
        TypeError: an axis is no int, or `keepdims` is no bool.
        ValueError: an axis is out of range or is named twice.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.any(Tensor([[0, 1], [0, 0]]), axis=1))
        [ True False]
    """
    return _reduce("any", input, axis, keepdims)


@axis_aliases
def all(input: TensorLike, axis: AxisLike | None = None, keepdims: bool = False) -> Tensor:
    """Return True where no element over `axis` is zero.

    Args:
        input: a tensor, or what `Tensor(...)` takes, of any shape and dtype.
        axis: the axis or the axes to reduce, also spelled `dim`; None or () reduces all of them.
        keepdims: True keeps each reduced axis with length 1.

    Returns:
        A tensor of bools without the reduced axes; True where there are no elements.

    Raises:
        TypeError: an axis is no int, or `keepdims` is no bool.
        ValueError: an axis is out of range or is named twice.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.all(Tensor([[1, 1], [0, 1]]), axis=1))
        [ True False]
    """
    return _reduce("all", input, axis, keepdims)


@axis_aliases
def argmin(input: TensorLike, axis: AxisLike | None = None, keepdims: bool = False) -> Tensor:
    """Return the position of the first least element over `axis`, or of the first NaN.

    Args:
        input: a tensor, or what `Tensor(...)` takes, of any shape; bool, int, uint or float.
        axis: the axis to search, also spelled `dim`; None counts over all elements in C order.
        keepdims: True keeps each reduced axis with length 1.

    Returns:
        A tensor of int64 without the reduced axes.

    Raises:
        TypeError: an axis is no int, `keepdims` is no bool, or the input is complex.
        ValueError: an axis is out of range, or there are no elements.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.argmin(Tensor([[1, 4], [3, 2]]), axis=0))
        [0 1]
    """
    return _reduce("argmin", input, axis, keepdims)


@axis_aliases
def argmax(input: TensorLike, axis: AxisLike | None = None, keepdims: bool = False) -> Tensor:
    """Return the position of the first greatest element over `axis`, or of the first NaN.

    Args:
        input: a tensor, or what `Tensor(...)` takes, of any shape; bool, int, uint or float.
        axis: the axis to search, also spelled `dim`; None counts over all elements in C order.
        keepdims: True keeps each reduced axis with length 1.

    Returns:
        A tensor of int64 without the reduced axes.

    Raises:
        TypeError: an axis is no int, `keepdims` is no bool, or the input is complex.
        ValueError: an axis is out of range, or there are no elements.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.argmax(Tensor([[1, 4], [3, 2]]), axis=0))
        [1 0]
    """
    return _reduce("argmax", input, axis, keepdims)


@axis_aliases
def max(
    input: TensorLike, axis: AxisLike | None = None, keepdims: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the greatest elements over `axis` and their positions.

    The method `t.max()` returns the elements only.

    Args:
        input: a tensor, or what `Tensor(...)` takes, of any shape; bool, int, uint or float.
        axis: the axis to reduce, also spelled `dim`; None reduces all of them.
        keepdims: True keeps each reduced axis with length 1.

    Returns:
        A pair (values of the input's dtype, positions of int64), as of `amax` and `argmax`.

    Raises:
        TypeError: an axis is no int, `keepdims` is no bool, or the input is complex.
        ValueError: an axis is out of range, or there are no elements.

    Example:
        >>> from minitensor import Tensor, ops
        >>> values, positions = ops.max(Tensor([[1, 4], [3, 2]]), axis=0)
        >>> print(values, positions)
        [3 4] [1 0]
    """
    return amax(input, axis, keepdims), argmax(input, axis, keepdims)


@axis_aliases
def min(
    input: TensorLike, axis: AxisLike | None = None, keepdims: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the least elements over `axis` and their positions.

    The method `t.min()` returns the elements only.

    Args:
        input: a tensor, or what `Tensor(...)` takes, of any shape; bool, int, uint or float.
        axis: the axis to reduce, also spelled `dim`; None reduces all of them.
        keepdims: True keeps each reduced axis with length 1.

    Returns:
        A pair (values of the input's dtype, positions of int64), as of `amin` and `argmin`.

    Raises:
        TypeError: an axis is no int, `keepdims` is no bool, or the input is complex.
        ValueError: an axis is out of range, or there are no elements.

    Example:
        >>> from minitensor import Tensor, ops
        >>> values, positions = ops.min(Tensor([[1, 4], [3, 2]]), axis=0)
        >>> print(values, positions)
        [1 2] [0 1]
    """
    return amin(input, axis, keepdims), argmin(input, axis, keepdims)


def _wide(t: Tensor) -> Tensor:
    """Return half precision as float32: its sums of squares would overflow at 65504."""
    return t.astype("float32") if t.dtype.kind == "f" and t.dtype.itemsize == 2 else t


def _variance(op: str, input: Any, axis: Any, ddof: int, keepdims: bool) -> Tensor:
    """Return the variance or the standard deviation, of halves in float32."""
    t = as_tensor(input, op)
    axes, keepdims = reduced_axes(op, axis, t.ndim), flag(op, keepdims)
    if t.dtype.kind == "c":
        shape = [1 if d in axes else n for d, n in enumerate(t.shape) if keepdims or d not in axes]
        dtype = as_dtype("float32" if t.dtype.itemsize == 8 else "float64")
        compute = getattr(np, op)
        return host(
            op, lambda a: compute(a, axis=axes, ddof=ddof, keepdims=keepdims), [t], shape, dtype
        )
    wide = _wide(t)
    if t._device.backend.native:
        bits = sum_of_bits(axes)
        ref = lib.mt_reduce(CODES[op], wide._ref, bits, keepdims, -1, float(ddof))
        return wrap(ref if ref > 0 else complete(ref)).astype(to_float(t.dtype), copy=False)
    count = math.prod(t.shape[a] for a in axes)
    away = wide - mean(wide, axes, True)
    result = sum(away * away, axes, keepdims) / float(_builtin_max(count - ddof, 0))
    result = result if op == "var" else elementwise.FUNCTIONS["sqrt"](result)
    return result.astype(to_float(t.dtype), copy=False)


@axis_aliases
def var(
    input: TensorLike, axis: AxisLike | None = None, ddof: int = 0, keepdims: bool = False
) -> Tensor:
    """Return the variance over `axis`: the squared distances from the mean, summed, over N - ddof.

    Args:
        input: a tensor, or what `Tensor(...)` takes, of any shape and dtype.
        axis: the axis or the axes to reduce, also spelled `dim`; None or () reduces all of them.
        ddof: what the divisor is less than the number N of elements; 1 estimates from a sample.
        keepdims: True keeps each reduced axis with length 1.

    Returns:
        A tensor of floats without the reduced axes; float32 for integers and bools.

    Raises:
        TypeError: an axis is no int, or `keepdims` is no bool.
        ValueError: an axis is out of range or is named twice.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.var(Tensor([1.0, 3.0])), ops.var(Tensor([1.0, 3.0]), ddof=1))
        1.0 2.0
    """
    return _variance("var", input, axis, ddof, keepdims)


@axis_aliases
def std(
    input: TensorLike, axis: AxisLike | None = None, ddof: int = 0, keepdims: bool = False
) -> Tensor:
    """Return the standard deviation over `axis`: the square root of `var`.

    Args:
        input: a tensor, or what `Tensor(...)` takes, of any shape and dtype.
        axis: the axis or the axes to reduce, also spelled `dim`; None or () reduces all of them.
        ddof: what the divisor is less than the number N of elements; 1 estimates from a sample.
        keepdims: True keeps each reduced axis with length 1.

    Returns:
        A tensor of floats without the reduced axes; float32 for integers and bools.

    Raises:
        TypeError: an axis is no int, or `keepdims` is no bool.
        ValueError: an axis is out of range or is named twice.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.std(Tensor([1.0, 5.0])))
        2.0
    """
    return _variance("std", input, axis, ddof, keepdims)


@axis_aliases
def ptp(input: TensorLike, axis: AxisLike | None = None, keepdims: bool = False) -> Tensor:
    """Return the greatest element less the least over `axis`.

    Args:
        input: a tensor, or what `Tensor(...)` takes, of any shape; int, uint or float.
        axis: the axis or the axes to reduce, also spelled `dim`; None or () reduces all of them.
        keepdims: True keeps each reduced axis with length 1.

    Returns:
        A tensor of the input's dtype without the reduced axes.

    Raises:
        TypeError: an axis is no int, `keepdims` is no bool, or the input is bool or complex.
        ValueError: an axis is out of range or is named twice, or there are no elements.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.ptp(Tensor([[1, 4], [3, 2]]), axis=1))
        [3 1]
    """
    return amax(input, axis, keepdims) - amin(input, axis, keepdims)


@axis_aliases
def logsumexp(input: TensorLike, axis: AxisLike | None = None, keepdims: bool = False) -> Tensor:
    """Return log(sum(exp(input))) over `axis`, without overflow.

    Args:
        input: a tensor, or what `Tensor(...)` takes, of any shape; bool, int, uint or float.
        axis: the axis or the axes to reduce, also spelled `dim`; None or () reduces all of them.
        keepdims: True keeps each reduced axis with length 1.

    Returns:
        A tensor of floats without the reduced axes; -inf where there are no elements.

    Raises:
        TypeError: an axis is no int, `keepdims` is no bool, or the input is complex.
        ValueError: an axis is out of range or is named twice.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.logsumexp(Tensor([1000.0])))
        1000.0
    """
    f = elementwise.FUNCTIONS
    source = as_tensor(input, "logsumexp")
    t = _wide(source)
    axes = reduced_axes("logsumexp", axis, t.ndim)
    keepdims = flag("logsumexp", keepdims)
    if not math.prod(t.shape[d] for d in axes):
        return f["log"](sum(source * 1.0, axes, keepdims))
    if axes == (t.ndim - 1,) and t.dtype.kind == "f" and t.is_contiguous():
        length = t.shape[-1]
        if length <= _ONE_ROW or t.size > 4 * length:
            kept = t.shape[:-1] + ((1,) if keepdims else ())
            numbers = (_LOGSUMEXP, t.ndim - 1)
            found = array_op(_SOFTMAX, "logsumexp", t.dtype.code, kept, numbers, t)
            if found is not None:
                return found.astype(to_float(source.dtype), copy=False)
    top = amax(t, axes, True) * 1.0
    top = f["where"](f["isfinite"](top), top, 0.0)  # exp(inf - inf) would be NaN
    result = (f["log"](sum(f["exp"](t - top), axes, True)) + top).astype(
        to_float(source.dtype), copy=False
    )
    return (
        result if keepdims else result.reshape([n for d, n in enumerate(t.shape) if d not in axes])
    )


@operators.fast
@axis_aliases
def count_nonzero(
    input: TensorLike, axis: AxisLike | None = None, keepdims: bool = False
) -> Tensor:
    """Return the number of elements over `axis` that are not zero.

    Args:
        input: a tensor, or what `Tensor(...)` takes, of any shape and dtype.
        axis: the axis or the axes to reduce, also spelled `dim`; None or () reduces all of them.
        keepdims: True keeps each reduced axis with length 1.

    Returns:
        A tensor of int64 without the reduced axes.

    Raises:
        TypeError: an axis is no int, or `keepdims` is no bool.
        ValueError: an axis is out of range or is named twice.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.count_nonzero(Tensor([[0, 1], [2, 3]]), axis=1))
        [1 2]
    """
    return _reduce("count_nonzero", input, axis, keepdims)


_SCAN, _SOFTMAX = ARRAY_CODES["scan"], ARRAY_CODES["softmax"]
_SCANNED = {d.name for d in DTYPES if d.kind in "iuf"}
_LOGSUMEXP = 2  # a mode of the kernel
_ONE_ROW = 1 << 17  # above it, a few rows are better shared among threads step by step


def _scan(name: str, function: str, input: Any, axis: Any, dtype: Any) -> Tensor:
    t = as_tensor(input, name)
    axis = normalize_axis(name, axis, t.ndim)
    kind = t.dtype.kind
    result = as_dtype(dtype, name) if dtype is not None else as_dtype(
        "int64" if kind in "bi" else "uint64" if kind == "u" else t.dtype)  # fmt: skip
    if result.name in _SCANNED:
        found = array_op(_SCAN, name, result.code, t.shape, (axis, name == "cumprod"), t)
        if found is not None:
            return found
    return host(
        name,
        lambda a, axis: getattr(np, function)(a, axis=axis, dtype=result.numpy),
        [t],
        t.shape,
        result,
        {"axis": axis},
    )


@axis_aliases
def cumsum(input: TensorLike, axis: AxisLike = 0, dtype: DTypeLike | None = None) -> Tensor:
    """Return the running sum along `axis`.

    float32 and half types run in higher precision; each value is rounded once.

    Args:
        input: a tensor, or what `Tensor(...)` takes, of at least one dimension and any dtype.
        axis: the axis to run along, also spelled `dim`.
        dtype: the dtype of the computation and the result; by default as in `sum`.

    Returns:
        A tensor of the input's shape.

    Raises:
        TypeError: the axis is no int.
        ValueError: the axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.cumsum(Tensor([1, 2, 3])))
        [1 3 6]
    """
    return _scan("cumsum", "cumsum", input, axis, dtype)


@axis_aliases
def cumprod(input: TensorLike, axis: AxisLike = 0, dtype: DTypeLike | None = None) -> Tensor:
    """Return the running product along `axis`.

    float32 and half types run in higher precision; each value is rounded once.

    Args:
        input: a tensor, or what `Tensor(...)` takes, of at least one dimension and any dtype.
        axis: the axis to run along, also spelled `dim`.
        dtype: the dtype of the computation and the result; by default as in `sum`.

    Returns:
        A tensor of the input's shape.

    Raises:
        TypeError: the axis is no int.
        ValueError: the axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.cumprod(Tensor([1, 2, 3])))
        [1 2 6]
    """
    return _scan("cumprod", "cumprod", input, axis, dtype)


def vector_norm(op: str, t: Tensor, ord: float | str, axes: Any, keepdims: bool) -> Tensor:
    """Return the norm of the vectors that lie along `axes`; several axes count as one."""
    if t.dtype.kind == "f" and t.dtype.itemsize == 2:
        return vector_norm(op, _wide(t), ord, axes, keepdims).astype(t.dtype)
    f = elementwise.FUNCTIONS
    t = t.astype(to_float(t.dtype), copy=False)
    size = t if ord == 2 and t.dtype.kind == "f" else f["abs"](t)
    if ord == 2:
        return f["sqrt"](_reduce("sum", f["square"](size), axes, keepdims))
    if ord in (math.inf, -math.inf):
        return _reduce("amax" if ord > 0 else "amin", size, axes, keepdims)
    if ord == 0:
        return _reduce("sum", size != 0, axes, keepdims).astype(size.dtype)
    if not isinstance(ord, (int, float)):
        raise ValueError(
            f"[{op}] ord must be a number or None for the norm of a vector, got {ord!r}"
        )
    return _reduce("sum", size**ord, axes, keepdims) ** (1.0 / ord)


def _matrix_norm(t: Tensor, ord: Any, rows: int, columns: int, keepdims: bool) -> Tensor:
    if ord == "fro":
        return vector_norm("norm", t, 2, tuple(sorted((rows, columns))), keepdims)
    if ord in (1, -1, math.inf, -math.inf):
        added, chosen = (rows, columns) if ord in (1, -1) else (columns, rows)
        sums = _reduce("sum", elementwise.FUNCTIONS["abs"](_wide(t)) * 1.0, added, True)
        result = _reduce("amax" if ord > 0 else "amin", sums, chosen, True).astype(
            to_float(t.dtype), copy=False
        )
        return result if keepdims else result.squeeze((rows, columns))
    of_values = {"nuc": np.sum, 2: np.max, -2: np.min}.get(ord)
    if of_values is None:
        raise ValueError(
            "[norm] ord must be 1, 2, inf, -1, -2, -inf, 'fro' or 'nuc' for the norm of a matrix, "
            f"got {ord!r}"
        )
    if ord != "nuc" and not (t.shape[rows] and t.shape[columns]):
        raise ValueError(
            f"[norm] a matrix must have elements to have singular values, got shape {t.shape}"
        )
    dtype = to_float(t.dtype)

    def compute(a: np.ndarray) -> Any:
        a = np.moveaxis(a, (rows, columns), (-2, -1)).astype(
            np.float32 if dtype.itemsize == 2 else dtype.numpy
        )
        result = of_values(np.linalg.svd(a, compute_uv=False), axis=-1)
        return np.expand_dims(result, (rows, columns)) if keepdims else result

    shape = [
        1 if d in (rows, columns) else n
        for d, n in enumerate(t.shape)
        if keepdims or d not in (rows, columns)
    ]
    longest = _builtin_max(t.shape[rows], t.shape[columns])
    return host("norm", compute, [t], shape, dtype, steps=8 * t.size * longest + 1)


@operators.fast
@aliases(input="A")
@axis_aliases
def norm(  # noqa: N803
    A: TensorLike,
    ord: float | str | None = None,
    axis: AxisLike | None = None,
    keepdims: bool = False,
) -> Tensor:
    """Return the norm of vectors along one axis, or of matrices along two.

    Args:
        A: a tensor, or what `Tensor(...)` takes, of any shape; bool, int, uint or float; also
            spelled `input`.
        ord: for vectors a number p for sum(|a|**p)**(1/p), inf and -inf for the greatest and least
            |a|, 0 for the number of elements that are not zero, None for 2.  For matrices 1 and -1
            for the greatest and least sum of a column's |a|, inf and -inf for those of a row, 2 and
            -2 for the greatest and least singular value, "nuc" for the sum of all of them, "fro" or
            None for the root of the sum of all squares.
        axis: one axis of vectors, or two axes of matrices: rows and columns.  None takes all axes
            of a vector or matrix; without `ord` any tensor counts as one vector.
        keepdims: True keeps each reduced axis with length 1.

    Returns:
        A tensor of floats without the reduced axes; float32 for integers and bools.

    Raises:
        TypeError: the tensor is complex, or `keepdims` is no bool.
        ValueError: `ord` is no order of the vectors or matrices, or `ord` is given without an axis
            for a tensor that is neither vector nor matrix.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.norm(Tensor([[1.0, -2.0], [3.0, 4.0]]), 1))
        6.0
    """
    t = as_tensor(A, "norm")
    if t.dtype.kind == "c":
        raise TypeError(f"[norm] the input must be real, got {t.dtype}; take its abs first")
    if ord is None:
        return vector_norm("norm", t, 2, axis, keepdims)
    axes = reduced_axes("norm", axis, t.ndim)
    keepdims = flag("norm", keepdims)
    if len(axes) == 1:
        return vector_norm("norm", t, ord, axes, keepdims)
    if len(axes) != 2:
        raise ValueError(
            "[norm] with an order, axis must be one axis of vectors or two of matrices, got "
            f"{axis!r} for shape {t.shape}"
        )
    rows, columns = (
        normalize_axis("norm", a, t.ndim)
        for a in (axis or axes)  # type: ignore[union-attr]
    )
    return _matrix_norm(t, ord, rows, columns, keepdims)


_MEDIAN = ARRAY_CODES["median"]


@axis_aliases
def median(
    input: TensorLike, axis: SupportsIndex | None = -1, keepdims: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the median along `axis`, the lower of two middle elements, and its position.

    Args:
        input: a tensor, or what `Tensor(...)` takes, of any shape; bool, int, uint or float.
        axis: the axis to reduce, also spelled `dim`; None takes all elements in C order.
        keepdims: True keeps each reduced axis with length 1.

    Returns:
        A pair (values of the input's dtype, positions of int64); of a NaN if there is one.

    Raises:
        TypeError: the input is complex, which has no order, or `keepdims` is no bool.
        ValueError: the axis is out of range, or there are no elements along it.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.median(Tensor([[9, 3, 4, 5]]))
        (Tensor(shape=[1], dtype=Int64, value= [4]), Tensor(shape=[1], dtype=Int64, value= [2]))
    """
    t = as_tensor(input, "median")
    if t.dtype.kind == "c":
        raise TypeError(
            f"[median] the input must be real, got {t.dtype}; complex numbers have no order"
        )
    keepdims = flag("median", keepdims)
    places = normalize_axis("median", axis, t.ndim) if axis is not None and t.ndim else None
    length = t.size if places is None else t.shape[places]
    if not length:
        where = "" if places is None else f" along axis {places}"
        raise ValueError(f"[median] the input must have elements{where}, got shape {t.shape}")
    shape = [
        1 if places in (None, d) else n
        for d, n in enumerate(t.shape)
        if keepdims or places not in (None, d)
    ]

    row = t.ravel() if places is None else t
    if length < 1 << 32:
        one = tuple(1 if places in (None, d) else n for d, n in enumerate(row.shape))
        codes = t.dtype.code, int64.code
        pair = array_pair(_MEDIAN, "median", codes, one, (places or 0, 0), row)
        if pair is not None:
            return pair[0].reshape(shape), pair[1].reshape(shape)

    def choose(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        a = a.reshape(-1) if places is None else np.moveaxis(a, places, -1)
        comparable = (
            a.astype(np.float32) if a.dtype.kind == "V" else a
        )  # NumPy missorts bfloat16's NaN
        index = np.argsort(comparable, axis=-1, kind="stable")[..., (length - 1) // 2, None]
        lost = comparable != comparable
        index = np.where(lost.any(-1, keepdims=True), lost.argmax(-1, keepdims=True), index)
        return np.take_along_axis(a, index, -1).reshape(shape), index.reshape(shape)

    values, index = host_many("median", choose, [t], [(shape, t.dtype), (shape, int64)])
    return values, index


def _values(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return the method of Tensor that is called `name` and returns what `function` does."""
    op = function.__name__

    def values(
        self: TensorLike, axis: AxisLike | None = None, keepdims: bool = False
    ) -> Tensor:
        return _reduce(op, self, axis, keepdims)

    values.__name__, values.__qualname__ = name, f"Tensor.{name}"
    values.__module__, values.__doc__ = Tensor.__module__, function.__doc__
    return axis_aliases(values)


# The functions above of the reductions in C (core/python/py_reduce.c), which call them for all but
# the common arguments; `max` and `min` are the methods.
IN_PYTHON: dict[str, Callable[..., Tensor]] = {
    "sum": sum, "prod": prod, "mean": mean, "amin": amin, "amax": amax, "any": any, "all": all,
    "argmin": argmin, "argmax": argmax, "var": var, "std": std,
    "max": _values("max", amax), "min": _values("min", amin),
}  # fmt: skip
_IN_C = operators.reductions(IN_PYTHON)
globals().update({name: _IN_C[name][0] for name in IN_PYTHON if name not in ("max", "min")})


def install() -> None:
    """Give Tensor its methods; `t.max()` and `t.min()` return the elements only."""
    for name, (_, method) in _IN_C.items():
        setattr(Tensor, name, method)
    for function in (ptp, cumsum, cumprod, logsumexp, norm, count_nonzero, median):
        setattr(Tensor, function.__name__, function)
