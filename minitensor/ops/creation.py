"""New tensors from shapes and ranges."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from minitensor.backend.core import operators
from minitensor.dtype import (
    DTYPES,
    DType,
    as_dtype,
    bool_,
    complex128,
    float32,
    float64,
    from_numpy,
    int64,
)
from minitensor.ops._dispatch import as_ints, as_tensor, assign, axis_aliases, named, normalize_axis
from minitensor.ops.elementwise import FUNCTIONS
from minitensor.optable import ARRAY_CODES
from minitensor.tensor import Tensor, as_device
from minitensor.tensor import empty as _empty

if TYPE_CHECKING:
    from minitensor.typing import DeviceLike, DTypeLike, RealLike, ShapeLike, TensorLike

__all__ = [
    "zeros", "ones", "full", "empty", "zeros_like", "ones_like", "full_like", "empty_like",
    "arange", "range", "linspace", "logspace", "eye", "one_hot", "diag", "tri",
]  # fmt: skip


@operators.fast
def empty(
    *size: ShapeLike, dtype: DTypeLike | None = None, device: DeviceLike | None = None
) -> Tensor:
    """Return a tensor whose elements have arbitrary values.

    Args:
        size: the shape, as ints or one tuple.
        dtype: the dtype; float32 by default.
        device: the device; the current one by default.

    Returns:
        A new tensor; whatever its memory held is its value.

    Raises:
        TypeError: a length is no int, or `dtype` names no dtype.
        ValueError: a length is negative.

    Example:
        >>> from minitensor import ops
        >>> ops.empty(2, 3).shape
        (2, 3)
    """
    size = size[0] if len(size) == 1 else size  # type: ignore[assignment]
    result = _quick_empty(size, dtype, device)
    return _made("empty", size, dtype, device) if result is None else result


# The functions of the core that make tensors take the usual arguments alone, and return None for
# others (core/python/py_create.c).  Those are converted here, for a second call.
_quick_empty, _quick_filled, _quick_range, _quick_make = (
    operators.empty,
    operators.filled,
    operators.range,
    operators.make,
)
_FILL, _RANGE, _EYE = ARRAY_CODES["fill"], ARRAY_CODES["range"], ARRAY_CODES["eye"]


def _place(op: str, dtype: Any, device: Any) -> tuple[DType, int]:
    """Return the DType and the number of the device of a new tensor."""
    if isinstance(dtype, int) and not isinstance(dtype, bool):
        raise TypeError(
            f"[{op}] dtype must be a dtype, got {dtype}; a shape of several dimensions is a tuple, "
            "as in (2, 3)"
        )
    kind = as_dtype(float32 if dtype is None else dtype, op)
    place = as_device(device)
    number = place.activate()
    if kind.name not in place.backend.dtypes:
        raise TypeError(f"[{op}] dtype must be one that {place} supports, got {kind}")
    if place is as_device(None) and len(place.backend.dtypes) == len(DTYPES):
        operators.current_device(number)
    return kind, number


def _made(op: str, size: Any, dtype: Any, device: Any) -> Tensor:
    shape, (kind, number) = _shape(op, size), _place(op, dtype, device)
    result = _quick_empty(shape, kind, number)
    return _empty(shape, kind, as_device(device)) if result is None else result


def _filled(op: str, size: Any, value: Any, dtype: Any, device: Any) -> Tensor:
    """Return a new tensor of one value; float32 without a dtype."""
    dtype = float32 if dtype is None else dtype
    result = _quick_filled(op, size, value, dtype, device)
    if result is not None:
        return result
    shape, (kind, number) = _shape(op, size), _place(op, dtype, device)
    result = _quick_filled(op, shape, value, kind, number)
    if result is None and isinstance(value, (bool, int, float, complex)):
        result = _quick_make(_FILL, op, shape, kind, number, _pattern(value, kind))
    if result is None:
        result = _empty(shape, kind, as_device(device))
        assign(result, value, op)
    return result


def _pattern(value: Any, dtype: DType) -> tuple[int, int]:
    """Return the bytes of a number in a dtype, in two ints of 64 bits."""
    with np.errstate(all="ignore"):
        item = np.asarray(value).astype(dtype.numpy).tobytes().ljust(16, b"\0")
    return int.from_bytes(item[:8], "little", signed=True), int.from_bytes(
        item[8:], "little", signed=True
    )


def _shape(op: str, size: Any) -> tuple[int, ...]:
    shape = as_ints(op, size, "size")
    if any(n < 0 for n in shape):
        raise ValueError(f"[{op}] a dimension must not be negative, got shape {shape}")
    return shape


def _count(op: str, value: Any, what: str) -> int:
    counts = as_ints(op, value, what)
    if len(counts) != 1 or counts[0] < 0:
        raise ValueError(f"[{op}] {what} must be a non-negative int, got {value!r}")
    return counts[0]


def _natural(value: Any) -> DType:
    if isinstance(value, Tensor):
        return value.dtype
    if isinstance(value, (np.generic, np.ndarray)):  # first: np.float64 is a Python float, too
        return from_numpy(value.dtype)
    return (
        bool_
        if isinstance(value, bool)
        else int64
        if isinstance(value, int)
        else complex128
        if isinstance(value, complex)
        else float32
    )


@operators.fast
@named
def full(
    size: ShapeLike,
    fill_value: TensorLike,
    *,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
) -> Tensor:
    """Return a tensor filled with a number, in the number's dtype by default.

    Args:
        size: the shape, an int or a sequence of ints.
        fill_value: the number, or a tensor-like that broadcasts to the shape.
        dtype: the dtype; by default int64 for an int, float32 for a float, bool for a bool.
        device: the device; the current one by default.

    Returns:
        A new tensor.

    Raises:
        TypeError: a length is no int, or `dtype` names no dtype.
        ValueError: a length is negative, or the value does not broadcast.

    Example:
        >>> from minitensor import ops
        >>> print(ops.full((2,), 3.5))
        [3.5 3.5]
    """
    result = _quick_filled("full", size, fill_value, dtype, device)
    if result is not None:
        return result
    kind = _natural(fill_value) if dtype is None else dtype
    return _filled("full", size, fill_value, kind, device)


@operators.fast
def zeros(
    size: ShapeLike, dtype: DTypeLike | None = None, *, device: DeviceLike | None = None
) -> Tensor:
    """Return a tensor of zeros.

    Args:
        size: the shape, an int or a sequence of ints.
        dtype: the dtype; float32 by default.
        device: the device; the current one by default.

    Returns:
        A new tensor.

    Raises:
        TypeError: a length is no int, or `dtype` names no dtype.
        ValueError: a length is negative.

    Example:
        >>> from minitensor import ops
        >>> ops.zeros((2, 2), dtype="int32")
        Tensor(shape=[2, 2], dtype=Int32, value=
        [[0, 0],
         [0, 0]])
    """
    return _filled("zeros", size, 0, dtype, device)


@operators.fast
def ones(
    size: ShapeLike, dtype: DTypeLike | None = None, *, device: DeviceLike | None = None
) -> Tensor:
    """Return a tensor of ones.

    Args:
        size: the shape, an int or a sequence of ints.
        dtype: the dtype; float32 by default.
        device: the device; the current one by default.

    Returns:
        A new tensor.

    Raises:
        TypeError: a length is no int, or `dtype` names no dtype.
        ValueError: a length is negative.

    Example:
        >>> from minitensor import ops
        >>> print(ops.ones(3))
        [1. 1. 1.]
    """
    return _filled("ones", size, 1, dtype, device)


@named
def full_like(
    input: TensorLike, fill_value: TensorLike, *, dtype: DTypeLike | None = None
) -> Tensor:
    """Return a tensor like `input`, filled with a number.

    Args:
        input: a tensor-like that gives shape and device, and the dtype by default.
        fill_value: the number, or a tensor-like that broadcasts to the shape.
        dtype: the dtype; the input's by default.

    Returns:
        A new tensor.

    Raises:
        TypeError: the input is not tensor-like, or `dtype` names no dtype.
        ValueError: the value does not broadcast.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.full_like(Tensor([1, 2]), 7))
        [7 7]
    """
    return _filled_like("full_like", input, fill_value, dtype)


def _filled_like(op: str, input: Any, value: Any, dtype: Any) -> Tensor:
    t = as_tensor(input, op)
    result = _quick_filled(op, None, value, dtype, t)
    if result is not None:
        return result
    return _filled(op, t.shape, value, t.dtype if dtype is None else dtype, t._device)


@operators.fast
def zeros_like(input: TensorLike, *, dtype: DTypeLike | None = None) -> Tensor:
    """Return a tensor of zeros like `input`.

    Args:
        input: a tensor-like that gives shape and device, and the dtype by default.
        dtype: the dtype; the input's by default.

    Returns:
        A new tensor.

    Raises:
        TypeError: the input is not tensor-like, or `dtype` names no dtype.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.zeros_like(Tensor([1, 2])))
        [0 0]
    """
    return _filled_like("zeros_like", input, 0, dtype)


@operators.fast
def ones_like(input: TensorLike, *, dtype: DTypeLike | None = None) -> Tensor:
    """Return a tensor of ones like `input`.

    Args:
        input: a tensor-like that gives shape and device, and the dtype by default.
        dtype: the dtype; the input's by default.

    Returns:
        A new tensor.

    Raises:
        TypeError: the input is not tensor-like, or `dtype` names no dtype.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.ones_like(Tensor([1, 2])))
        [1 1]
    """
    return _filled_like("ones_like", input, 1, dtype)


def empty_like(input: TensorLike, *, dtype: DTypeLike | None = None) -> Tensor:
    """Return a tensor like `input` whose elements have arbitrary values.

    Args:
        input: a tensor-like that gives shape and device, and the dtype by default.
        dtype: the dtype; the input's by default.

    Returns:
        A new tensor; whatever its memory held is its value.

    Raises:
        TypeError: the input is not tensor-like, or `dtype` names no dtype.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.empty_like(Tensor([1, 2])).shape
        (2,)
    """
    t = as_tensor(input, "empty_like")
    result = _quick_empty(None, dtype, t)
    if result is not None:
        return result
    return _made("empty_like", t.shape, t.dtype if dtype is None else dtype, t._device)


def _number(op: str, value: Any) -> Any:
    if isinstance(value, (Tensor, np.generic)):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"[{op}] an argument must be a number, got {value!r}")
    return value


@operators.fast
@named
def arange(
    start: RealLike = 0,
    end: RealLike | None = None,
    step: RealLike = 1,
    *,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
) -> Tensor:
    """Return the numbers from `start` up to, not including, `end`.

    Args:
        start: the first number; with one argument alone it is `end`, and `start` is 0.
        end: the bound.
        step: the distance between two numbers; it may be negative.
        dtype: the dtype; by default int64 for ints, and float32 otherwise.
        device: the device; the current one by default.

    Returns:
        A new tensor of one dimension.

    Raises:
        TypeError: an argument is no real number, or `dtype` names no dtype.
        ValueError: the step is 0, or a bound is infinite or NaN.

    Example:
        >>> from minitensor import ops
        >>> print(ops.arange(2, 8, 3))
        [2 5]
    """
    if end is None:
        start, end = 0, start
    result = _quick_range(start, end, step, dtype, device)
    if result is not None:
        return result
    start, end, step = (_number("arange", v) for v in (start, end, step))
    if step == 0:
        raise ValueError(f"[arange] step must not be 0, got {step!r}")
    natural = int64 if all(isinstance(v, int) for v in (start, end, step)) else float32
    kind, number = _place("arange", natural if dtype is None else dtype, device)
    result = _quick_range(start, end, step, kind, number)
    if result is not None:
        return result
    try:
        values = np.arange(start, end, step)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            "[arange] start, end and step must give a finite length, got "
            f"{start}, {end} and {step}: {error}"
        ) from None
    return Tensor(values, kind, device=device)


@named
def range(start: RealLike, end: RealLike | None = None, step: RealLike = 1) -> Tensor:
    """Return the numbers from `start` up to, not including, `end`; an alias of `arange`.

    Args:
        start: the first number; with one argument alone it is `end`, and `start` is 0.
        end: the bound.
        step: the distance between two numbers; it may be negative.

    Returns:
        A new tensor of one dimension; int64 for ints, float32 otherwise.

    Raises:
        TypeError: an argument is no real number.
        ValueError: the step is 0, or a bound is infinite or NaN.

    Example:
        >>> from minitensor import ops
        >>> print(ops.range(3))
        [0 1 2]
    """
    return arange(start, end, step)


@named
def linspace(
    start: RealLike,
    end: RealLike,
    steps: SupportsIndex,
    *,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
) -> Tensor:
    """Return `steps` numbers at equal distances from `start` to `end`, both included.

    Args:
        start: the first number.
        end: the last number.
        steps: the number of elements.
        dtype: the dtype; float32 by default.
        device: the device; the current one by default.

    Returns:
        A new tensor of one dimension.

    Raises:
        TypeError: a bound is no real number, or `steps` is no int.
        ValueError: `steps` is negative.

    Example:
        >>> from minitensor import ops
        >>> print(ops.linspace(0, 1, 5))
        [0.   0.25 0.5  0.75 1.  ]
    """
    count = _count("linspace", steps, "steps")
    first, last = _number("linspace", start), _number("linspace", end)
    kind = float32 if dtype is None else dtype
    if count > 1 and kind in (float32, float64):
        # As NumPy computes it, in float64.
        step = (float(last) - float(first)) / (count - 1)
        if step and math.isfinite(step):
            numbers = float(first), step, 0, float(last), 1, step + first
            result = _quick_make(_RANGE, "linspace", count, kind, device, numbers)
            if result is not None:
                return result
            kind, number = _place("linspace", kind, device)
            result = _quick_make(_RANGE, "linspace", count, kind, number, numbers)
            if result is not None:
                return result
    with np.errstate(all="ignore"):
        values = np.linspace(first, last, count)
    return Tensor(values, as_dtype(kind, "linspace"), device=device)


@named
def logspace(
    start: RealLike,
    end: RealLike,
    steps: SupportsIndex,
    base: float = 10,
    *,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """Return `base` to the powers that `linspace(start, end, steps)` has.

    Args:
        start: the first power.
        end: the last power.
        steps: the number of elements.
        base: the base.
        dtype: the dtype; float32 by default.

    Returns:
        A new tensor of one dimension.

    Raises:
        TypeError: a bound is no real number, or `steps` is no int.
        ValueError: `steps` is negative.

    Example:
        >>> from minitensor import ops
        >>> print(ops.logspace(0, 2, 3))
        [  1.  10. 100.]
    """
    count = _count("logspace", steps, "steps")
    values = np.logspace(_number("logspace", start), _number("logspace", end), count, base=base)
    return Tensor(values, as_dtype(dtype or float32, "logspace"))


def eye(
    n: SupportsIndex,
    m: SupportsIndex | None = None,
    dtype: DTypeLike | None = None,
    *,
    device: DeviceLike | None = None,
) -> Tensor:
    """Return a matrix with ones on its diagonal and zeros elsewhere.

    Args:
        n: the number of rows.
        m: the number of columns; None means `n`.
        dtype: the dtype; float32 by default.
        device: the device; the current one by default.

    Returns:
        A new tensor of shape (n, m).

    Raises:
        TypeError: `n` or `m` is no int, or `dtype` names no dtype.
        ValueError: `n` or `m` is negative.

    Example:
        >>> from minitensor import ops
        >>> print(ops.eye(2))
        [[1. 0.]
         [0. 1.]]
    """
    rows = _count("eye", n, "n")
    columns = rows if m is None else _count("eye", m, "m")
    kind = float32 if dtype is None else dtype
    one = _ONES.get(kind.code) if isinstance(kind, DType) else None
    result = one and _quick_make(_EYE, "eye", (rows, columns), kind, device, one)
    if result is not None:
        return result
    kind, number = _place("eye", kind, device)
    one = _ONES.setdefault(kind.code, _pattern(1, kind))
    result = _quick_make(_EYE, "eye", (rows, columns), kind, number, one)
    if result is not None:
        return result
    result = _filled("eye", (rows, columns), 0, kind, device)
    length = min(rows, columns)
    if length:
        assign(result._view((length,), (result.itemsize * (columns + 1),), 0), 1, "eye")
    return result


_ONES: dict[int, tuple[int, int]] = {}  # the bytes of 1, by the code of the dtype


def tri(
    n: SupportsIndex,
    m: SupportsIndex | None = None,
    k: SupportsIndex = 0,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """Return a matrix with ones on and below a diagonal and zeros above it.

    Args:
        n: the number of rows.
        m: the number of columns; None means `n`.
        k: the diagonal: 0 the main one, 1 the one above it, -1 the one below it.
        dtype: the dtype; float32 by default.

    Returns:
        A new tensor of shape (n, m).

    Raises:
        TypeError: `n` or `m` is no int, or `dtype` names no dtype.
        ValueError: `n` or `m` is negative.

    Example:
        >>> from minitensor import ops
        >>> print(ops.tri(2, dtype="int8"))
        [[1 0]
         [1 1]]
    """
    rows = _count("tri", n, "n")
    return _filled(
        "tri", (rows, rows if m is None else _count("tri", m, "m")), 1, dtype, None
    ).tril(k)


def diag(input: TensorLike, k: SupportsIndex = 0) -> Tensor:
    """Return a tensor with the elements of `input` on its diagonal and zeros elsewhere.

    A vector gives a matrix, and a tensor of shape s one of shape s + s.  `ops.diagonal` returns the
    diagonal of a matrix.

    Args:
        input: a tensor-like of at least one dimension and any dtype.
        k: the diagonal on which a vector lies: 0 the main one, 1 the one above it.

    Returns:
        A new tensor of the input's dtype.

    Raises:
        TypeError: the input is not tensor-like, or `k` is no int.
        ValueError: the input has no dimensions, or several of them while `k` is not 0.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.diag(Tensor([1, 2]))
        Tensor(shape=[2, 2], dtype=Int64, value=
        [[1, 0],
         [0, 2]])
    """
    t = as_tensor(input, "diag")
    [k] = as_ints("diag", (k,), "k")
    if not t.ndim or (k and t.ndim > 1):
        raise ValueError(
            f"[diag] input must be a vector, or with k 0 have several dimensions, got shape "
            f"{t.shape}; ops.diagonal extracts a diagonal"
        )
    size = t.size + abs(k)
    result = _filled("diag", (size, size), 0, t.dtype, t._device)
    start = (k if k >= 0 else -k * size) * t.itemsize
    assign(result._view((t.size,), ((size + 1) * t.itemsize,), start), t.ravel(), "diag")
    return result if t.ndim == 1 else result.reshape(t.shape + t.shape)


@axis_aliases
def one_hot(
    indices: TensorLike,
    depth: SupportsIndex,
    on_value: TensorLike = 1,
    off_value: TensorLike = 0,
    axis: SupportsIndex = -1,
) -> Tensor:
    """Return `on_value` at the position that each index names, and `off_value` elsewhere.

    Args:
        indices: a tensor-like of integers; an index below 0 or beyond `depth` names no position.
        depth: the length of the new dimension.
        on_value: a number, or a tensor-like that broadcasts to the result.
        off_value: a number, or a tensor-like that broadcasts to the result.
        axis: where the new dimension stands, also spelled `dim`.

    Returns:
        A new tensor of one dimension more; int64 for ints, float32 for floats.

    Raises:
        TypeError: the indices are no integers, or `depth` is no int.
        ValueError: `depth` is negative, or the axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.one_hot(Tensor([1, 0]), 3))
        [[0 1 0]
         [1 0 0]]
    """
    t = as_tensor(indices, "one_hot")
    if t.dtype.kind not in "iu":
        raise TypeError(f"[one_hot] indices must be integers, got {t.dtype}")
    length = _count("one_hot", depth, "depth")
    axis = normalize_axis("one_hot", axis, t.ndim + 1)
    hot = t.expand_dims(axis) == arange(length, device=t.device).reshape(
        [-1] + [1] * (t.ndim - axis)
    )
    return FUNCTIONS["where"](hot, on_value, off_value)
