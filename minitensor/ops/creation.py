"""New tensors from shapes and ranges."""

from __future__ import annotations

from typing import Any, SupportsIndex

import numpy as np

from minitensor.dtype import DType, as_dtype, bool_, complex128, float32, from_numpy, int64
from minitensor.ops._dispatch import as_ints, as_tensor, assign, axis_aliases, named, normalize_axis
from minitensor.tensor import Tensor, as_device
from minitensor.tensor import empty as _empty
from minitensor.typing import DeviceLike, DTypeLike, RealLike, ShapeLike, TensorLike

__all__ = [
    "zeros", "ones", "full", "empty", "zeros_like", "ones_like", "full_like", "empty_like", "arange", "range", "linspace",
    "logspace", "eye", "one_hot", "diag", "tri",
]  # fmt: skip


def empty(*size: ShapeLike, dtype: DTypeLike | None = None, device: DeviceLike | None = None) -> Tensor:
    """A tensor whose elements are whatever the memory holds; float32 by default."""
    return _made("empty", size[0] if len(size) == 1 else size, dtype, device)


def _made(op: str, size: Any, dtype: Any, device: Any) -> Tensor:
    if isinstance(dtype, int) and not isinstance(dtype, bool):
        raise TypeError(f"[{op}] not a dtype: {dtype}; a shape of several dimensions is a tuple, as in (2, 3)")
    return _empty(_shape(op, size), as_dtype(float32 if dtype is None else dtype, op), as_device(device))


def _filled(op: str, size: Any, value: Any, dtype: Any, device: Any) -> Tensor:
    result = _made(op, size, dtype, device)
    assign(result, value, op)
    return result


def _shape(op: str, size: Any) -> tuple[int, ...]:
    shape = as_ints(op, size, "size")
    if any(n < 0 for n in shape):
        raise ValueError(f"[{op}] a dimension can't be negative, got {shape}")
    return shape


def _count(op: str, value: Any, what: str) -> int:
    counts = as_ints(op, value, what)
    if len(counts) != 1 or counts[0] < 0:
        raise ValueError(f"[{op}] {what} must be one int that is not negative, got {value!r}")
    return counts[0]


def _natural(value: Any) -> DType:
    if isinstance(value, Tensor):
        return value.dtype
    if isinstance(value, (np.generic, np.ndarray)):  # first: np.float64 is a Python float, and has a dtype of its own
        return from_numpy(value.dtype)
    return bool_ if isinstance(value, bool) else int64 if isinstance(value, int) else complex128 if isinstance(value, complex) else float32


@named
def full(size: ShapeLike, fill_value: TensorLike, *, dtype: DTypeLike | None = None, device: DeviceLike | None = None) -> Tensor:
    """A tensor filled with a number, in the number's dtype by default: `full((2,), 3.)` is float32.

    Raises:
        TypeError: when the size is no int or ints.
        ValueError: for a negative dimension.
    """
    return _filled("full", size, fill_value, _natural(fill_value) if dtype is None else dtype, device)


def zeros(size: ShapeLike, dtype: DTypeLike | None = None, *, device: DeviceLike | None = None) -> Tensor:
    """A tensor of zeros; float32 by default.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.zeros((2, 2), dtype="int32")
        Tensor(shape=[2, 2], dtype=Int32, value=
        [[0, 0],
         [0, 0]])
    """
    return _filled("zeros", size, 0, dtype, device)


def ones(size: ShapeLike, dtype: DTypeLike | None = None, *, device: DeviceLike | None = None) -> Tensor:
    """A tensor of ones; float32 by default."""
    return _filled("ones", size, 1, dtype, device)


@named
def full_like(input: TensorLike, fill_value: TensorLike, *, dtype: DTypeLike | None = None) -> Tensor:
    """Of the shape, device and (by default) dtype of `input`, filled with a number."""
    return _filled_like("full_like", input, fill_value, dtype)


def _filled_like(op: str, input: Any, value: Any, dtype: Any) -> Tensor:
    t = as_tensor(input, op)
    return _filled(op, t.shape, value, t.dtype if dtype is None else dtype, t._device)


def zeros_like(input: TensorLike, *, dtype: DTypeLike | None = None) -> Tensor:
    """Zeros of the shape, device and (by default) dtype of `input`."""
    return _filled_like("zeros_like", input, 0, dtype)


def ones_like(input: TensorLike, *, dtype: DTypeLike | None = None) -> Tensor:
    """Ones of the shape, device and (by default) dtype of `input`."""
    return _filled_like("ones_like", input, 1, dtype)


def empty_like(input: TensorLike, *, dtype: DTypeLike | None = None) -> Tensor:
    """Of the shape, device and (by default) dtype of `input`, with whatever the memory holds."""
    t = as_tensor(input, "empty_like")
    return _made("empty_like", t.shape, t.dtype if dtype is None else dtype, t._device)


def _number(op: str, value: Any) -> Any:
    if isinstance(value, (Tensor, np.generic)):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"[{op}] takes numbers, got {value!r}")
    return value


@named
def arange(
    start: RealLike = 0, end: RealLike | None = None, step: RealLike = 1, *, dtype: DTypeLike | None = None, device: DeviceLike | None = None
) -> Tensor:
    """Numbers from `start` up to, not including, `end`; int64 for ints, else float32.

    Raises:
        ValueError: when the step is 0, or an end is infinite or NaN.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.arange(2, 8, 3)
        Tensor(shape=[2], dtype=Int64, value= [2, 5])
    """
    if end is None:
        start, end = 0, start
    start, end, step = (_number("arange", v) for v in (start, end, step))
    if step == 0:
        raise ValueError("[arange] the step can't be 0")
    natural = int64 if all(isinstance(v, int) for v in (start, end, step)) else float32
    try:
        values = np.arange(start, end, step)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"[arange] no length follows from start {start}, end {end} and step {step}: {error}") from None
    return Tensor(values, as_dtype(dtype or natural, "arange"), device=device)


@named
def range(start: RealLike, end: RealLike | None = None, step: RealLike = 1) -> Tensor:
    """The same as `arange`."""
    return arange(start, end, step)


@named
def linspace(start: RealLike, end: RealLike, steps: SupportsIndex, *, dtype: DTypeLike | None = None, device: DeviceLike | None = None) -> Tensor:
    """`steps` numbers at equal distances from `start` to `end`, both included; float32 by default."""
    count = _count("linspace", steps, "steps")
    values = np.linspace(_number("linspace", start), _number("linspace", end), count)
    return Tensor(values, as_dtype(dtype or float32, "linspace"), device=device)


@named
def logspace(start: RealLike, end: RealLike, steps: SupportsIndex, base: float = 10, *, dtype: DTypeLike | None = None) -> Tensor:
    """`base` to the powers that `linspace(start, end, steps)` gives."""
    count = _count("logspace", steps, "steps")
    values = np.logspace(_number("logspace", start), _number("logspace", end), count, base=base)
    return Tensor(values, as_dtype(dtype or float32, "logspace"))


def eye(n: SupportsIndex, m: SupportsIndex | None = None, dtype: DTypeLike | None = None, *, device: DeviceLike | None = None) -> Tensor:
    """An n x m matrix with ones on the diagonal; float32 by default."""
    rows = _count("eye", n, "n")
    columns = rows if m is None else _count("eye", m, "m")
    result = _filled("eye", (rows, columns), 0, dtype, device)
    length = min(rows, columns)
    if length:
        assign(result._view((length,), (result.itemsize * (columns + 1),), 0), 1, "eye")
    return result


def tri(n: SupportsIndex, m: SupportsIndex | None = None, k: SupportsIndex = 0, dtype: DTypeLike | None = None) -> Tensor:
    """An n x m matrix with ones at and below diagonal k."""
    rows = _count("tri", n, "n")
    return _filled("tri", (rows, rows if m is None else _count("tri", m, "m")), 1, dtype, None).tril(k)


def diag(input: TensorLike, k: SupportsIndex = 0) -> Tensor:
    """Zeros but for the elements of `input` on the diagonal: of a vector a matrix, of shape s a tensor of shape s + s.

    The diagonal of a matrix is `ops.diagonal`.

    Args:
        k: on which diagonal of the matrix a vector stands; 0 is the main one, 1 the one above it.

    Raises:
        ValueError: for a tensor without dimensions, or `k` with several of them.

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
        raise ValueError(f"[diag] takes a vector, or with k 0 several dimensions, got shape {t.shape}; ops.diagonal takes a diagonal out")
    size = t.size + abs(k)
    result = _filled("diag", (size, size), 0, t.dtype, t._device)
    start = (k if k >= 0 else -k * size) * t.itemsize
    assign(result._view((t.size,), ((size + 1) * t.itemsize,), start), t.ravel(), "diag")
    return result if t.ndim == 1 else result.reshape(t.shape + t.shape)


@axis_aliases
def one_hot(indices: TensorLike, depth: SupportsIndex, on_value: TensorLike = 1, off_value: TensorLike = 0, axis: SupportsIndex = -1) -> Tensor:
    """`on_value` at the position that each index names along a new dimension of length `depth`, `off_value` elsewhere.

    An index that is negative or beyond `depth` names no position.  int64 for ints, else float32.
    """
    t = as_tensor(indices, "one_hot")
    if t.dtype.kind not in "iu":
        raise TypeError(f"[one_hot] indices must be integers, got {t.dtype}")
    length = _count("one_hot", depth, "depth")
    axis = normalize_axis("one_hot", axis, t.ndim + 1)
    hot = t.expand_dims(axis) == arange(length, device=t.device).reshape([-1] + [1] * (t.ndim - axis))
    from minitensor.ops.elementwise import FUNCTIONS

    return FUNCTIONS["where"](hot, on_value, off_value)


