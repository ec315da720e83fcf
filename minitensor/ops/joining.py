"""Elements put together anew: joined, repeated, moved, padded.

The result is new memory, written piece by piece by copies into views of it, which run on every device and for every dtype.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any, Literal, SupportsIndex

import numpy as np

from minitensor.dtype import promote
from minitensor.ops._dispatch import (
    aliases,
    as_ints,
    as_tensor,
    assign,
    axis_aliases,
    host,
    normalize_axis,
)
from minitensor.ops.shape import _one_int, _slice, broadcast_to, expand_dims, ravel, reshape, swapaxes
from minitensor.tensor import Tensor, empty
from minitensor.typing import AxisLike, ShapeLike, TensorLike

__all__ = ["concat", "cat", "stack", "tile", "repeat_interleave", "roll", "pad", "tril", "triu", "meshgrid"]


# --- put together anew -----------------------------------------------------------------------------------------------
def _tensors(op: str, tensors: Any) -> list[Tensor]:
    if not isinstance(tensors, (tuple, list)) or not tensors:
        raise TypeError(f"[{op}] takes a list or tuple of at least one tensor, got {type(tensors).__name__}")
    return [as_tensor(t, op) for t in tensors]


@axis_aliases
def concat(tensors: Sequence[TensorLike], axis: SupportsIndex = 0) -> Tensor:
    """Tensors one after the other along `axis`, in the dtype they promote to.

    Raises:
        ValueError: when they differ in another dimension.
    """
    several = _tensors("concat", tensors)
    axis = normalize_axis("concat", axis, several[0].ndim)
    shape, dtype = list(several[0].shape), several[0].dtype
    for t in several[1:]:
        if t.ndim != len(shape) or builtins.any(n != m for d, (n, m) in enumerate(zip(t.shape, shape)) if d != axis):
            raise ValueError(f"[concat] shapes {several[0].shape} and {t.shape} differ in more than dimension {axis}")
        dtype = promote(dtype, t.dtype)
    shape[axis] = builtins.sum(t.shape[axis] for t in several)
    result, start = empty(shape, dtype, several[0]._device), 0
    for t in several:
        assign(_slice(result, axis, start, start + t.shape[axis]), t, "concat")
        start += t.shape[axis]
    return result


@axis_aliases
def cat(tensors: Sequence[TensorLike], axis: SupportsIndex = 0) -> Tensor:
    """The same as `concat`."""
    return concat(tensors, axis)


@axis_aliases
def stack(tensors: Sequence[TensorLike], axis: SupportsIndex = 0) -> Tensor:
    """Tensors of one shape along a new dimension."""
    several = _tensors("stack", tensors)
    for t in several[1:]:
        if t.shape != several[0].shape:
            raise ValueError(f"[stack] shapes {several[0].shape} and {t.shape} differ")
    axis = normalize_axis("stack", axis, several[0].ndim + 1)
    return concat([expand_dims(t, axis) for t in several], axis)


@aliases(reps="dims", multiples="dims")
def tile(input: TensorLike, dims: AxisLike) -> Tensor:
    """The tensor repeated `dims` times along each dimension, counted from the last."""
    t = as_tensor(input, "tile")
    times = as_ints("tile", dims, "dims")
    if builtins.any(n < 0 for n in times):
        raise ValueError(f"[tile] a tensor can't be repeated {times} times")
    rank = builtins.max(t.ndim, len(times))
    lengths = (1,) * (rank - t.ndim) + t.shape
    times = (1,) * (rank - len(times)) + times
    # Seen as (times, length, times, length, ...) the source has stride 0 in the dimensions that repeat.
    pairs = [n for pair in zip(times, lengths) for n in pair]
    source = reshape(t, [n for length in lengths for n in (1, length)])
    return reshape(broadcast_to(source, pairs).copy(), [a * b for a, b in zip(times, lengths)])


@axis_aliases
def repeat_interleave(input: TensorLike, repeats: ShapeLike, axis: SupportsIndex | None = None) -> Tensor:
    """Each element along `axis` (None: of all) `repeats` times in a row; `repeats` an int or one for each element."""
    t = as_tensor(input, "repeat_interleave")
    if axis is None:
        t, axis = ravel(t), 0
    axis = normalize_axis("repeat_interleave", axis, t.ndim)
    counts = as_ints("repeat_interleave", repeats, "repeats")
    if builtins.any(n < 0 for n in counts) or len(counts) not in (1, t.shape[axis]):
        raise ValueError(f"[repeat_interleave] repeats must be an int or {t.shape[axis]} of them, not negative; got {counts}")
    if len(counts) == 1:
        wide = list(t.shape)
        wide.insert(axis + 1, counts[0])
        shape = (*t.shape[:axis], t.shape[axis] * counts[0], *t.shape[axis + 1 :])
        return reshape(broadcast_to(expand_dims(t, axis + 1), wide).copy(), shape)
    shape = (*t.shape[:axis], builtins.sum(counts), *t.shape[axis + 1 :])
    return host("repeat_interleave", lambda a: np.repeat(a, counts, axis), [t], shape, t.dtype)


@axis_aliases
def roll(input: TensorLike, shifts: ShapeLike, dims: AxisLike | None = None) -> Tensor:
    """The elements moved along `dims` by `shifts`, those that fall off coming in at the other end; without dims, flattened."""
    t = as_tensor(input, "roll")
    if dims is None:
        shift = _one_int("roll", shifts, "shifts")
        return reshape(roll(ravel(t), shift, 0), t.shape)
    by, along = as_ints("roll", shifts, "shifts"), as_ints("roll", dims, "dims")
    if len(by) != len(along):
        raise ValueError(f"[roll] {len(by)} shifts for {len(along)} dims; give as many")
    result = t.copy()
    for shift, d in zip(by, along):
        axis = normalize_axis("roll", d, t.ndim)
        length = t.shape[axis]
        cut = -shift % length if length else 0
        result = concat([_slice(result, axis, cut, length), _slice(result, axis, 0, cut)], axis)
    return result


def pad(input: TensorLike, padding: ShapeLike, mode: Literal["constant", "reflect", "replicate", "edge", "circular"] = "constant", value: TensorLike = 0) -> Tensor:
    """More elements around: `padding` is (before, after) of the last dimension, then of the one before it, and so on.

    Args:
        input: the tensor.
        padding: an even number of ints.
        mode: "constant" (filled with `value`), "reflect", "replicate" (also called "edge") or "circular".
        value: what "constant" fills with.

    Raises:
        ValueError: for an unknown mode, or a padding that is odd, negative or has more pairs than dimensions.
    """
    t = as_tensor(input, "pad")
    sizes = as_ints("pad", padding, "padding")
    modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "edge": "edge", "circular": "wrap"}
    if len(sizes) % 2 or len(sizes) > 2 * t.ndim or builtins.any(n < 0 for n in sizes):
        raise ValueError(f"[pad] padding must be pairs of ints, not negative, for at most {t.ndim} dimensions; got {sizes}")
    if mode not in modes:
        raise ValueError(f"[pad] mode must be one of {', '.join(modes)}, got {mode!r}")
    pairs = [(0, 0)] * (t.ndim - len(sizes) // 2) + [(sizes[i], sizes[i + 1]) for i in range(len(sizes) - 2, -1, -2)]
    shape = [a + n + b for n, (a, b) in zip(t.shape, pairs)]
    if mode != "constant":
        if builtins.any((a or b) and (n == 0 or (mode == "reflect" and builtins.max(a, b) >= n)) for n, (a, b) in zip(t.shape, pairs)):
            raise ValueError(f"[pad] shape {t.shape} has too few elements to {mode} a padding of {sizes}")
        return host("pad", lambda a: np.pad(a, pairs, modes[mode]), [t], shape, t.dtype)  # type: ignore[call-overload]
    result = empty(shape, t.dtype, t._device)
    assign(result, value, "pad")
    inner = result
    for d, (before, _) in enumerate(pairs):
        inner = _slice(inner, d, before, before + t.shape[d])
    assign(inner, t, "pad")
    return result


def _triangle(op: str, input: Any, diagonal: Any, upper: bool) -> Tensor:
    from minitensor.ops.creation import arange
    from minitensor.ops.elementwise import FUNCTIONS

    t = as_tensor(input, op)
    if t.ndim < 2:
        raise ValueError(f"[{op}] takes at least two dimensions, got shape {t.shape}")
    rows = expand_dims(arange(t.shape[-2], device=t.device), 1)
    columns = arange(t.shape[-1], device=t.device) - diagonal
    keep = FUNCTIONS["ge" if upper else "le"](columns, rows)
    return FUNCTIONS["where"](keep, t, False if t.dtype.kind == "b" else 0)


def tril(input: TensorLike, diagonal: SupportsIndex = 0) -> Tensor:
    """The elements on and below a diagonal of the last two dimensions, zeros above."""
    return _triangle("tril", input, diagonal, False)


def triu(input: TensorLike, diagonal: SupportsIndex = 0) -> Tensor:
    """The elements on and above a diagonal of the last two dimensions, zeros below."""
    return _triangle("triu", input, diagonal, True)


def meshgrid(*inputs: TensorLike, indexing: Literal["xy", "ij"] = "xy") -> tuple[Tensor, ...]:
    """Coordinate grids of vectors, as `numpy.meshgrid`: with "xy" the first two dimensions are swapped.  Views."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"[meshgrid] indexing must be 'xy' or 'ij', got {indexing!r}")
    several = [as_tensor(t, "meshgrid") for t in (inputs[0] if len(inputs) == 1 and isinstance(inputs[0], (tuple, list)) else inputs)]
    shape = [t.size for t in several]
    grids = [broadcast_to(reshape(t, [-1 if i == d else 1 for i in range(len(shape))]), shape) for d, t in enumerate(several)]
    return tuple(swapaxes(g, 0, 1) if indexing == "xy" and len(shape) > 1 else g for g in grids)
