"""Ops that join, repeat, move and pad elements.

The result is new memory, which copies into views of it fill piece by piece; they run on every
device and for every dtype.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex

import numpy as np

from minitensor.backend.core import operators
from minitensor.dtype import promote
from minitensor.ops._dispatch import (
    aliases,
    array_op,
    as_ints,
    as_tensor,
    assign,
    axis_aliases,
    host,
    normalize_axis,
)
from minitensor.ops.creation import arange
from minitensor.ops.elementwise import FUNCTIONS
from minitensor.ops.shape import (
    _one_int,
    _slice,
    broadcast_to,
    expand_dims,
    ravel,
    reshape,
)
from minitensor.optable import ARRAY_CODES
from minitensor.tensor import Tensor, empty

if TYPE_CHECKING:
    from minitensor.typing import AxisLike, ShapeLike, TensorLike

__all__ = [
    "concat",
    "cat",
    "stack",
    "tile",
    "repeat_interleave",
    "roll",
    "pad",
    "tril",
    "triu",
    "meshgrid",
]


_join = operators.join  # in C, of everyday operands (core/python/py_joining.c); else None
_MOVE, _REPEAT, _TILE = ARRAY_CODES["move"], ARRAY_CODES["repeat"], ARRAY_CODES["tile"]
_TILED = 8  # dimensions that the kernel `tile` takes: each counts as two
_FILL = 2  # in a segment of the kernel `move` (core/kernels/arrays/join.h): of the value


# --- new memory -----------------------------------------------------------------------------------
def _tensors(op: str, tensors: Any) -> list[Tensor]:
    if not isinstance(tensors, (tuple, list)) or not tensors:
        raise TypeError(
            f"[{op}] tensors must be a list or tuple of at least one tensor, got "
            f"{type(tensors).__name__}"
        )
    return [as_tensor(t, op) for t in tensors]


@axis_aliases
def concat(tensors: Sequence[TensorLike], axis: SupportsIndex = 0) -> Tensor:
    """Join tensors one after the other along `axis`.

    Args:
        tensors: a list or tuple of tensor-likes whose shapes differ along `axis` at most.
        axis: the axis along which they are joined, also spelled `dim`.

    Returns:
        A new tensor of the dtype that they promote to.

    Raises:
        TypeError: `tensors` is no list or tuple, or is empty, or the axis is no int.
        ValueError: the shapes differ in another dimension, or the axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.concat([Tensor([1, 2]), Tensor([3])]))
        [1 2 3]
    """
    result = _join("concat", tensors, axis, False)
    return _concat(tensors, axis) if result is None else result


def _concat(tensors: Any, axis: Any) -> Tensor:
    """Return concat of operands that C does not take as they are, or raise what is wrong."""
    several = _tensors("concat", tensors)
    axis = normalize_axis("concat", axis, several[0].ndim)
    shape, dtype = list(several[0].shape), several[0].dtype
    for t in several[1:]:
        if t.ndim != len(shape) or builtins.any(
            n != m for d, (n, m) in enumerate(zip(t.shape, shape)) if d != axis
        ):
            raise ValueError(
                f"[concat] shapes must differ in dimension {axis} at most, got {several[0].shape} "
                f"and {t.shape}"
            )
        dtype = promote(dtype, t.dtype)
    result = _join("concat", [t.astype(dtype, copy=False) for t in several], axis, False)
    if result is not None:
        return result
    shape[axis] = builtins.sum(t.shape[axis] for t in several)
    result, start = empty(shape, dtype, several[0]._device), 0
    for t in several:
        assign(_slice(result, axis, start, start + t.shape[axis]), t, "concat")
        start += t.shape[axis]
    return result


@axis_aliases
def cat(tensors: Sequence[TensorLike], axis: SupportsIndex = 0) -> Tensor:
    """Join tensors one after the other along `axis`; an alias of `concat`.

    Args:
        tensors: a list or tuple of tensor-likes whose shapes differ along `axis` at most.
        axis: the axis along which they are joined, also spelled `dim`.

    Returns:
        A new tensor of the dtype that they promote to.

    Raises:
        TypeError: `tensors` is no list or tuple, or is empty, or the axis is no int.
        ValueError: the shapes differ in another dimension, or the axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.cat([Tensor([[1], [2]]), Tensor([[3], [4]])], dim=1))
        [[1 3]
         [2 4]]
    """
    return concat(tensors, axis)


@axis_aliases
def stack(tensors: Sequence[TensorLike], axis: SupportsIndex = 0) -> Tensor:
    """Join tensors of one shape along a new dimension.

    Args:
        tensors: a list or tuple of tensor-likes of one shape.
        axis: the place of the new dimension in the result, also spelled `dim`.

    Returns:
        A new tensor of the dtype that they promote to.

    Raises:
        TypeError: `tensors` is no list or tuple, or is empty, or the axis is no int.
        ValueError: the shapes differ, or the axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.stack([Tensor([1, 2]), Tensor([3, 4])]))
        [[1 2]
         [3 4]]
    """
    result = _join("stack", tensors, axis, True)
    if result is not None:
        return result
    several = _tensors("stack", tensors)
    for t in several[1:]:
        if t.shape != several[0].shape:
            raise ValueError(
                f"[stack] the tensors must have one shape, got {several[0].shape} and {t.shape}"
            )
    axis = normalize_axis("stack", axis, several[0].ndim + 1)
    return _concat([expand_dims(t, axis) for t in several], axis)


@aliases(reps="dims", multiples="dims")
def tile(input: TensorLike, dims: AxisLike) -> Tensor:
    """Repeat a tensor along each dimension.

    Args:
        input: a tensor-like of any shape and dtype.
        dims: how often, for each dimension, counted from the last; also spelled `reps`,
            `multiples`.

    Returns:
        A new tensor of the input's dtype.

    Raises:
        TypeError: a number is no int.
        ValueError: a number is negative.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.tile(Tensor([1, 2]), (2, 2)))
        [[1 2 1 2]
         [1 2 1 2]]
    """
    t = as_tensor(input, "tile")
    times = as_ints("tile", dims, "dims")
    if builtins.any(n < 0 for n in times):
        raise ValueError(f"[tile] dims must not be negative, got {times}")
    rank = builtins.max(t.ndim, len(times))
    lengths = (1,) * (rank - t.ndim) + t.shape
    times = (1,) * (rank - len(times)) + times
    shape = tuple([a * b for a, b in zip(times, lengths)])
    if rank <= _TILED:
        result = array_op(_TILE, "tile", t.dtype.code, shape, times, t)
        if result is not None:
            return result
    # As (times, length, times, length, ...) the source has stride 0 in the repeated dimensions.
    pairs = [n for pair in zip(times, lengths) for n in pair]
    source = reshape(t, [n for length in lengths for n in (1, length)])
    return reshape(broadcast_to(source, pairs).copy(), shape)


@operators.fast
@axis_aliases
def repeat_interleave(
    input: TensorLike, repeats: ShapeLike, axis: SupportsIndex | None = None
) -> Tensor:
    """Repeat each element along `axis`.

    Args:
        input: a tensor-like of any shape and dtype.
        repeats: how often, an int or one for each element.
        axis: the axis, also spelled `dim`; None takes the flattened tensor.

    Returns:
        A new tensor of the input's dtype.

    Raises:
        TypeError: a number or the axis is no int.
        ValueError: a number is negative, there are too few or too many, or the axis is out of
            range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.repeat_interleave(Tensor([1, 2]), 2))
        [1 1 2 2]
    """
    t = as_tensor(input, "repeat_interleave")
    shape: Sequence[int] = (t.size,) if axis is None else t.shape
    along = 0 if axis is None else normalize_axis("repeat_interleave", axis, t.ndim)
    counts = (
        (repeats,)
        if repeats.__class__ is int
        else as_ints("repeat_interleave", repeats, "repeats")
    )
    length = shape[along]
    if builtins.any(n < 0 for n in counts) or len(counts) not in (1, length):
        raise ValueError(
            f"[repeat_interleave] repeats must be a non-negative int or {length} of them, "
            f"got {counts}"
        )
    total = length * counts[0] if len(counts) == 1 else builtins.sum(counts)
    shape = (*shape[:along], total, *shape[along + 1 :])
    if not t.is_contiguous():
        t = t.copy()
    row = math.prod(shape[along:])
    result = array_op(
        _REPEAT, "repeat_interleave", t.dtype.code, shape, (length, row, *counts), t
    )
    if result is not None:
        return result
    return host(
        "repeat_interleave",
        lambda a: np.repeat(a, counts if len(counts) > 1 else counts[0], axis),
        [t],
        shape,
        t.dtype,
    )


@axis_aliases
def roll(input: TensorLike, shifts: ShapeLike, dims: AxisLike | None = None) -> Tensor:
    """Move elements along `dims`; those that leave at one end enter at the other.

    Args:
        input: a tensor-like of any shape and dtype.
        shifts: by how many places, an int or one for each of `dims`.
        dims: the axis or the axes, also spelled `axis`, `dim`; None rolls the flattened tensor.

    Returns:
        A new tensor of the input's shape and dtype.

    Raises:
        TypeError: a shift or an axis is no int.
        ValueError: the numbers of shifts and axes differ, or an axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.roll(Tensor([1, 2, 3]), 1))
        [3 1 2]
    """
    t = as_tensor(input, "roll")
    if dims is None:
        if not t.is_contiguous():
            t = t.copy()
        by: tuple[int, ...] = (_one_int("roll", shifts, "shifts"),)
        numbers = _rolled((t.size,), {0: by[0]})
    else:
        by = (shifts,) if shifts.__class__ is int else as_ints("roll", shifts, "shifts")
        along: tuple[int, ...] = (
            (dims,) if dims.__class__ is int else as_ints("roll", dims, "dims")
        )
        if len(by) != len(along):
            raise ValueError(
                f"[roll] shifts and dims must have the same length, got {len(by)} and {len(along)}"
            )
        total: dict[int, int] = {}
        for shift, d in zip(by, along):
            axis = normalize_axis("roll", d, t.ndim)
            total[axis] = total.get(axis, 0) + shift
        numbers = _rolled(t.shape, total)
    result = array_op(_MOVE, "roll", t.dtype.code, t.shape, numbers, t)
    if result is not None:
        return result
    return host(
        "roll", lambda a: np.roll(a, by if dims is not None else by[0], dims), [t], t.shape, t.dtype
    )


def _rolled(shape: Sequence[int], shifts: dict[int, int]) -> tuple[int, ...]:
    """Return the numbers of the kernel `move` that roll dimensions by some places."""
    numbers: list[int] = []
    for axis, n in enumerate(shape):
        shift = shifts[axis] % n if n and axis in shifts else 0
        numbers += (2, shift, n - shift, 1, n - shift, 0, 1) if shift else (1, n, 0, 1)
    return tuple(numbers)


def pad(
    input: TensorLike,
    padding: ShapeLike,
    mode: Literal["constant", "reflect", "replicate", "edge", "circular"] = "constant",
    value: TensorLike = 0,
) -> Tensor:
    """Add elements around a tensor.

    Args:
        input: a tensor-like of any shape and dtype.
        padding: an even number of ints: (before, after) for the last dimension, then for the one
            before it, and so on.
        mode: "constant" adds `value`; "reflect", "replicate" (also spelled "edge") and "circular"
            add elements of the tensor.
        value: the number that "constant" adds.

    Returns:
        A new tensor of the input's dtype.

    Raises:
        TypeError: a number of `padding` is no int.
        ValueError: the mode is another one, or the padding is odd, negative, too long for the
            dimensions, or too wide for the mode.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.pad(Tensor([1, 2]), (1, 2)))
        [0 1 2 0 0]
    """
    t = as_tensor(input, "pad")
    sizes = as_ints("pad", padding, "padding")
    modes = {
        "constant": "constant",
        "reflect": "reflect",
        "replicate": "edge",
        "edge": "edge",
        "circular": "wrap",
    }
    if len(sizes) % 2 or len(sizes) > 2 * t.ndim or builtins.any(n < 0 for n in sizes):
        raise ValueError(
            f"[pad] padding must be pairs of non-negative ints for at most {t.ndim} dimensions, "
            f"got {sizes}"
        )
    if mode not in modes:
        raise ValueError(f"[pad] mode must be one of {', '.join(modes)}, got {mode!r}")
    pairs = [(0, 0)] * (t.ndim - len(sizes) // 2) + [
        (sizes[i], sizes[i + 1]) for i in range(len(sizes) - 2, -1, -2)
    ]
    shape = [a + n + b for n, (a, b) in zip(t.shape, pairs)]
    if mode != "constant":
        if builtins.any(
            (a or b) and (n == 0 or (mode == "reflect" and builtins.max(a, b) >= n))
            for n, (a, b) in zip(t.shape, pairs)
        ):
            raise ValueError(
                f"[pad] padding must leave enough elements for mode {mode!r}, got {sizes} for "
                f"shape {t.shape}"
            )
        numbers = [i for n, (a, b) in zip(t.shape, pairs) for i in _border(mode, n, a, b)]
        moved = array_op(_MOVE, "pad", t.dtype.code, tuple(shape), tuple(numbers), t)
        if moved is not None:
            return moved
        return host(
            "pad",
            lambda a: np.pad(a, pairs, modes[mode]),  # type: ignore[call-overload]
            [t],
            shape,
            t.dtype,
        )
    numbers = []
    if isinstance(value, (bool, int, float)):
        for n, (a, b) in zip(t.shape, pairs):
            numbers += (3, a, 0, _FILL, n, 0, 1, b, 0, _FILL)
    if numbers:
        fill = () if value.__class__ is int and value == 0 else (empty((), t.dtype, t._device),)
        for one in fill:
            assign(one, value, "pad")
        moved = array_op(_MOVE, "pad", t.dtype.code, tuple(shape), tuple(numbers), t, *fill)
        if moved is not None:
            return moved
    result = empty(shape, t.dtype, t._device)
    assign(result, value, "pad")
    inner = result
    for d, (before, _) in enumerate(pairs):
        inner = _slice(inner, d, before, before + t.shape[d])
    assign(inner, t, "pad")
    return result


def _border(mode: str, n: int, before: int, after: int) -> tuple[int, ...]:
    """Return the segments of a dimension of length n with elements of its own around it."""
    if mode == "reflect":
        return (3, before, before, -1, n, 0, 1, after, n - 2, -1)
    if mode != "circular":
        return (3, before, 0, 0, n, 0, 1, after, n - 1, 0)
    numbers, start, left = [0], -before % n if n else 0, before + n + after
    while left > 0:
        length = builtins.min(n - start, left)
        numbers += (length, start, 1)
        numbers[0] += 1
        start, left = 0, left - length
    return tuple(numbers)


_TRI = ARRAY_CODES["tri"]


def _triangle(op: str, input: Any, diagonal: Any, upper: bool) -> Tensor:
    t = as_tensor(input, op)
    if t.ndim < 2:
        raise ValueError(f"[{op}] input must have at least two dimensions, got shape {t.shape}")
    diagonal = _one_int(op, diagonal, "diagonal")
    result = array_op(_TRI, op, t.dtype.code, t.shape, (diagonal, upper), t)
    if result is not None:
        return result
    rows = expand_dims(arange(t.shape[-2], device=t.device), 1)
    columns = arange(t.shape[-1], device=t.device) - diagonal
    keep = FUNCTIONS["ge" if upper else "le"](columns, rows)
    return FUNCTIONS["where"](keep, t, False if t.dtype.kind == "b" else 0)


def tril(input: TensorLike, diagonal: SupportsIndex = 0) -> Tensor:
    """Return the elements on and below a diagonal of the last two dimensions, and zeros above it.

    Args:
        input: a tensor-like of at least two dimensions and any dtype.
        diagonal: 0 for the main diagonal, 1 for the one above it, -1 for the one below it.

    Returns:
        A new tensor of the input's shape and dtype.

    Raises:
        TypeError: the input is not tensor-like.
        ValueError: the input has fewer than two dimensions.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.tril(Tensor([[1, 2], [3, 4]])))
        [[1 0]
         [3 4]]
    """
    return _triangle("tril", input, diagonal, False)


def triu(input: TensorLike, diagonal: SupportsIndex = 0) -> Tensor:
    """Return the elements on and above a diagonal of the last two dimensions, and zeros below it.

    Args:
        input: a tensor-like of at least two dimensions and any dtype.
        diagonal: 0 for the main diagonal, 1 for the one above it, -1 for the one below it.

    Returns:
        A new tensor of the input's shape and dtype.

    Raises:
        TypeError: the input is not tensor-like.
        ValueError: the input has fewer than two dimensions.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.triu(Tensor([[1, 2], [3, 4]])))
        [[1 2]
         [0 4]]
    """
    return _triangle("triu", input, diagonal, True)


def meshgrid(*inputs: TensorLike, indexing: Literal["xy", "ij"] = "xy") -> tuple[Tensor, ...]:
    """Return the coordinate grids of vectors, as `numpy.meshgrid` does.

    Args:
        inputs: tensor-likes, each of which counts as a vector; or one list of them.
        indexing: "xy" swaps the first two dimensions of the grids, "ij" does not.

    Returns:
        A tuple of views, one for each vector.

    Raises:
        TypeError: an input is not tensor-like.
        ValueError: the indexing is another one.

    Example:
        >>> from minitensor import Tensor, ops
        >>> x, y = ops.meshgrid(Tensor([1, 2]), Tensor([3, 4]))
        >>> print(x.tolist(), y.tolist())
        [[1, 2], [1, 2]] [[3, 3], [4, 4]]
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"[meshgrid] indexing must be 'xy' or 'ij', got {indexing!r}")
    several = [
        as_tensor(t, "meshgrid")
        for t in (
            inputs[0] if len(inputs) == 1 and isinstance(inputs[0], (tuple, list)) else inputs
        )
    ]
    places = list(range(len(several)))
    if indexing == "xy":
        places[:2] = places[:2][::-1]
    shape, grids = [several[d].size for d in places], []
    for place, t in zip(places, several):
        if t.ndim != 1:
            t = ravel(t)
        strides = [0] * len(shape)
        strides[place] = t.strides[0]
        grids.append(t._view(shape, strides, t._offset))
    return tuple(grids)
