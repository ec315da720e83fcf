"""Functions of shapes: other views of the same elements, and elements put together anew.

What can be a view is one: `reshape` where the strides allow it, `transpose`, `flip`, `broadcast_to`, `split` and their like move
no data, and who writes to them writes to the base.  What can't be (`concat`, `tile`, `pad`, ...) is written into new memory
piece by piece, by copies that run on every device and for every dtype.
"""

from __future__ import annotations

import builtins
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minitensor.dtype import promote
from minitensor.ops._dispatch import (
    aliases,
    as_ints,
    as_tensor,
    assign,
    axis_aliases,
    host,
    normalize_axes,
    normalize_axis,
)
from minitensor.tensor import Tensor, empty

__all__ = [
    "reshape", "view", "contiguous", "transpose", "permute", "swapaxes", "moveaxis", "expand_dims", "unsqueeze", "squeeze",
    "flatten", "ravel", "broadcast_to", "expand", "flip", "concat", "cat", "stack", "split", "chunk", "unbind", "tile",
    "repeat_interleave", "roll", "pad", "tril", "triu", "meshgrid", "broadcast_tensors",
]  # fmt: skip


# --- arguments -------------------------------------------------------------------------------------------------------
def _spread(*names: str) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """A decorator: what the function takes as `*args` may also be given whole, by one of these keywords."""

    def decorate(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @functools.wraps(function)
        def spread(input: Any, *args: Any, **kwargs: Any) -> Tensor:
            for name in kwargs.keys() & set(names):
                if args:
                    raise TypeError(f"[{function.__name__}] {name} is given twice")
                args = (kwargs.pop(name),)
            return function(input, *args, **kwargs)

        return spread

    return decorate


def _one_int(op: str, value: Any, what: str) -> int:
    several = as_ints(op, value, what)
    if len(several) != 1:
        raise TypeError(f"[{op}] {what} must be one int, got {value!r}")
    return several[0]


# --- views -----------------------------------------------------------------------------------------------------------
def _reshaped_strides(t: Tensor, shape: tuple[int, ...]) -> list[int] | None:
    """Strides by which `t`'s elements in C order have another shape; None when there are none.

    Both shapes are cut into runs of equal size; inside a run the old dimensions must lie as one, whose stride is then divided.
    """
    old = [(n, s) for n, s in zip(t.shape, t.strides) if n != 1]
    strides: list[int] = []
    new = list(shape)
    i = j = 0
    while j < len(new):
        if new[j] == 1:
            strides.append(t.itemsize)
            j += 1
            continue
        size_new, first = new[j], j
        size_old, start = old[i][0], i
        while size_new != size_old:
            if size_new < size_old:
                j += 1
                size_new *= new[j]
            else:
                i += 1
                size_old *= old[i][0]
        for k in range(start, i):
            if old[k][1] != old[k + 1][0] * old[k + 1][1]:
                return None
        step, run = old[i][1], []
        for k in range(j, first - 1, -1):
            run.append(step)
            step *= new[k]
        strides += reversed(run)
        i, j = i + 1, j + 1
    return strides


@_spread("shape")
def reshape(input: Any, *shape: Any) -> Tensor:
    """The same elements in another shape; one dimension may be -1 and is what remains.

    A view when the strides allow it, else a copy.

    Raises:
        ValueError: when the shape has room for more or fewer elements.

    Example:
        >>> ops.reshape(Tensor([1, 2, 3, 4]), (2, -1)).shape
        (2, 2)
    """
    return _reshaped("reshape", as_tensor(input, "reshape"), shape)


def _reshaped(op: str, t: Tensor, shape: tuple[Any, ...], may_copy: bool = True) -> Tensor:
    wanted = as_ints(op, shape[0] if len(shape) == 1 else shape)
    known = math.prod(n for n in wanted if n != -1)
    if wanted.count(-1) == 1 and known > 0 and t.size % known == 0:
        wanted = tuple(t.size // known if n == -1 else n for n in wanted)
    if builtins.any(n < 0 for n in wanted) or math.prod(wanted) != t.size:
        raise ValueError(f"[{op}] {t.size} elements of shape {t.shape} do not fill the shape {wanted}")
    if t.size == 0:
        return empty(wanted, t.dtype, t._device)
    strides = _reshaped_strides(t, wanted)
    if strides is None and not may_copy:
        raise ValueError(f"[{op}] the strides {t.strides} of shape {t.shape} allow no view of shape {wanted}; use reshape")
    if strides is None:
        t = t.copy()
        strides = _reshaped_strides(t, wanted)
        assert strides is not None  # a contiguous tensor has every shape
    return t._view(wanted, strides, t._offset)


@_spread("shape", "size")
def view(input: Tensor, *shape: Any) -> Tensor:
    """`reshape` that never copies.  Raises ValueError where it would have to."""
    return _reshaped("view", as_tensor(input, "view"), shape, may_copy=False)


def contiguous(input: Any) -> Tensor:
    """The tensor itself if its elements lie in C order, else a copy in which they do."""
    t = as_tensor(input, "contiguous")
    return t if t.is_contiguous() else t.copy()


def _permuted(t: Tensor, order: Sequence[int]) -> Tensor:
    shape, strides = t.shape, t.strides
    return t._view([shape[d] for d in order], [strides[d] for d in order], t._offset)


@_spread("axes", "axis", "perm", "input_perm")
def transpose(input: Any, *axes: Any) -> Tensor:
    """The dimensions in another order: `axes`, or all reversed.  A view.

    Raises:
        ValueError: when `axes` is no permutation of the dimensions.
    """
    t = as_tensor(input, "transpose")
    given = axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes
    if not axes or given == (None,):
        return _permuted(t, range(t.ndim)[::-1])
    order = [normalize_axis("transpose", axis, t.ndim) for axis in given]
    if sorted(order) != list(range(t.ndim)):
        raise ValueError(f"[transpose] {tuple(given)} is no order of {t.ndim} dimensions; name each once")
    return _permuted(t, order)


@_spread("axis", "dims", "axes")
def permute(input: Any, *axis: Any) -> Tensor:
    """The same as `transpose` with axes."""
    return transpose(input, *axis)


def swapaxes(input: Any, axis0: int, axis1: int) -> Tensor:
    """Two dimensions change places.  A view."""
    t = as_tensor(input, "swapaxes")
    a, b = normalize_axis("swapaxes", axis0, t.ndim), normalize_axis("swapaxes", axis1, t.ndim)
    order = list(range(t.ndim))
    order[a], order[b] = b, a
    return _permuted(t, order)


def moveaxis(input: Any, source: Any, destination: Any) -> Tensor:
    """Dimensions move to other places, the rest keep their order.  A view."""
    t = as_tensor(input, "moveaxis")
    places = [[normalize_axis("moveaxis", a, t.ndim) for a in (x if isinstance(x, (tuple, list)) else (x,))]
              for x in (source, destination)]  # fmt: skip
    if len(places[0]) != len(places[1]) or builtins.any(len(set(p)) != len(p) for p in places):
        raise ValueError(f"[moveaxis] {source} and {destination} must name as many dimensions, none twice")
    order = [d for d in range(t.ndim) if d not in places[0]]
    for to, axis in sorted(zip(places[1], places[0])):
        order.insert(to, axis)
    return _permuted(t, order)


@axis_aliases
def expand_dims(input: Any, axis: Any) -> Tensor:
    """A new dimension of length 1 (or several) at `axis`, counted in the result.  A view."""
    t = as_tensor(input, "expand_dims")
    several = axis if isinstance(axis, (tuple, list)) else (axis,)
    places = normalize_axes("expand_dims", several, t.ndim + len(several))
    shape, strides = list(t.shape), list(t.strides)
    for place in places:
        shape.insert(place, 1)
        strides.insert(place, t.itemsize)
    return t._view(shape, strides, t._offset)


@axis_aliases
def unsqueeze(input: Any, dim: int) -> Tensor:
    """The same as `expand_dims`."""
    return expand_dims(input, dim)


@axis_aliases
def squeeze(input: Any, axis: Any = None) -> Tensor:
    """Without the dimensions of length 1: all of them, or those named.  A view.

    Raises:
        ValueError: when a dimension that is named is longer.
    """
    t = as_tensor(input, "squeeze")
    gone = [d for d, n in enumerate(t.shape) if n == 1] if axis is None else normalize_axes("squeeze", axis, t.ndim)
    for d in gone:
        if t.shape[d] != 1:
            raise ValueError(f"[squeeze] dimension {d} has length {t.shape[d]}, only one of length 1 can be left out")
    kept = [d for d in range(t.ndim) if d not in gone]
    return t._view([t.shape[d] for d in kept], [t.strides[d] for d in kept], t._offset)


def flatten(input: Any, order: str = "C", *, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from `start_dim` to `end_dim` as one; `order` "F" runs through the first fastest."""
    t = as_tensor(input, "flatten")
    if order not in ("C", "F"):
        raise ValueError(f"[flatten] order must be 'C' or 'F', got {order!r}")
    if not t.ndim:
        return reshape(t, 1)
    if order == "F":
        t = transpose(t)
    first, last = normalize_axis("flatten", start_dim, t.ndim), normalize_axis("flatten", end_dim, t.ndim)
    if first > last:
        raise ValueError(f"[flatten] start_dim {start_dim} comes after end_dim {end_dim}")
    return reshape(t, (*t.shape[:first], math.prod(t.shape[first : last + 1]), *t.shape[last + 1 :]))


def ravel(input: Any) -> Tensor:
    """All elements in one dimension."""
    return flatten(input)


@aliases(size="shape")
def broadcast_to(input: Any, shape: Any) -> Tensor:
    """The tensor as it looks in a wider shape, -1 keeping a length; a view in which elements stand in several places.

    Raises:
        ValueError: when the shape is not one that it broadcasts to.
    """
    t = as_tensor(input, "broadcast_to")
    wanted = as_ints("broadcast_to", shape)
    ahead = len(wanted) - t.ndim
    full = tuple(t.shape[d - ahead] if n == -1 and d >= ahead else n for d, n in enumerate(wanted))
    if ahead < 0 or builtins.any(n < 0 for n in full) or builtins.any(
        n not in (1, full[ahead + d]) for d, n in enumerate(t.shape)
    ):  # fmt: skip
        raise ValueError(f"[broadcast_to] shape {t.shape} does not broadcast to {wanted}")
    strides = [0] * ahead + [0 if n == 1 and full[ahead + d] != 1 else s for d, (n, s) in enumerate(zip(t.shape, t.strides))]
    return t._view(full, strides, t._offset)


@_spread("size", "shape")
def expand(input: Any, *size: Any) -> Tensor:
    """The same as `broadcast_to`."""
    return broadcast_to(input, size[0] if len(size) == 1 else size)


def broadcast_tensors(*tensors: Any) -> list[Tensor]:
    """All tensors as they look in the shape that they broadcast to."""
    several = [as_tensor(t, "broadcast_tensors") for t in tensors]
    try:
        shape = np.broadcast_shapes(*[t.shape for t in several])
    except ValueError:
        raise ValueError(f"[broadcast_tensors] shapes {', '.join(str(t.shape) for t in several)} do not broadcast") from None
    return [broadcast_to(t, shape) for t in several]


@axis_aliases
def flip(input: Any, dims: Any = None) -> Tensor:
    """Backwards along some dimensions (None: all).  A view."""
    t = as_tensor(input, "flip")
    strides, offset = list(t.strides), t._offset
    for d in normalize_axes("flip", dims, t.ndim):
        offset += builtins.max(t.shape[d] - 1, 0) * strides[d]
        strides[d] = -strides[d]
    return t._view(t.shape, strides, offset)


def _slice(t: Tensor, axis: int, start: int, stop: int) -> Tensor:
    shape = list(t.shape)
    shape[axis] = stop - start
    return t._view(shape, t.strides, t._offset + start * t.strides[axis])


@axis_aliases
def split(tensor: Any, split_size_or_sections: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """Views of pieces along `axis`: of one length (the last may be shorter), or of the lengths given.

    Raises:
        ValueError: when the lengths do not add up, or the length is not positive.
    """
    t = as_tensor(tensor, "split")
    axis = normalize_axis("split", axis, t.ndim)
    length = t.shape[axis]
    if isinstance(split_size_or_sections, (tuple, list)):
        sizes = list(as_ints("split", split_size_or_sections, "sections"))
        if builtins.sum(sizes) != length or builtins.any(n < 0 for n in sizes):
            raise ValueError(f"[split] sections {sizes} do not add up to the length {length}")
    else:
        size = _one_int("split", split_size_or_sections, "the length")
        if size <= 0:
            raise ValueError(f"[split] the length must be positive, got {size}")
        sizes = [builtins.min(size, length - start) for start in range(0, length, size)] or [0]
    ends = np.cumsum(sizes).tolist()
    return tuple(_slice(t, axis, end - n, end) for n, end in zip(sizes, ends))


@axis_aliases
def chunk(input: Any, chunks: int, axis: int = 0) -> tuple[Tensor, ...]:
    """At most `chunks` views of equal length along `axis`, the last one shorter."""
    t = as_tensor(input, "chunk")
    count = _one_int("chunk", chunks, "chunks")
    if count <= 0:
        raise ValueError(f"[chunk] chunks must be positive, got {count}")
    return split(t, builtins.max(-(-t.shape[normalize_axis("chunk", axis, t.ndim)] // count), 1), axis)


@axis_aliases
def unbind(input: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Views of all that lies along `dim`, one by one, without that dimension."""
    t = as_tensor(input, "unbind")
    axis = normalize_axis("unbind", dim, t.ndim)
    shape, strides = (tuple(x for d, x in enumerate(v) if d != axis) for v in (t.shape, t.strides))
    return tuple(t._view(shape, strides, t._offset + i * t.strides[axis]) for i in range(t.shape[axis]))


# --- put together anew -----------------------------------------------------------------------------------------------
def _tensors(op: str, tensors: Any) -> list[Tensor]:
    if not isinstance(tensors, (tuple, list)) or not tensors:
        raise TypeError(f"[{op}] takes a list or tuple of at least one tensor, got {type(tensors).__name__}")
    return [as_tensor(t, op) for t in tensors]


@axis_aliases
def concat(tensors: Sequence[Any], axis: int = 0) -> Tensor:
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
def cat(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """The same as `concat`."""
    return concat(tensors, axis)


@axis_aliases
def stack(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors of one shape along a new dimension."""
    several = _tensors("stack", tensors)
    for t in several[1:]:
        if t.shape != several[0].shape:
            raise ValueError(f"[stack] shapes {several[0].shape} and {t.shape} differ")
    axis = normalize_axis("stack", axis, several[0].ndim + 1)
    return concat([expand_dims(t, axis) for t in several], axis)


@aliases(reps="dims", multiples="dims")
def tile(input: Any, dims: Any) -> Tensor:
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
def repeat_interleave(input: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element along `axis` (None: of all) `repeats` times in a row; `repeats` an int or one for each element."""
    t = as_tensor(input, "repeat_interleave")
    if axis is None:
        t, axis = flatten(t), 0
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
def roll(input: Any, shifts: Any, dims: Any = None) -> Tensor:
    """The elements moved along `dims` by `shifts`, those that fall off coming in at the other end; without dims, flattened."""
    t = as_tensor(input, "roll")
    if dims is None:
        shift = _one_int("roll", shifts, "shifts")
        return reshape(roll(flatten(t), shift, 0), t.shape)
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


def pad(input: Any, padding: Any, mode: str = "constant", value: Any = 0) -> Tensor:
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


def _triangle(op: str, input: Any, diagonal: int, upper: bool) -> Tensor:
    from minitensor.ops.creation import arange
    from minitensor.ops.elementwise import FUNCTIONS

    t = as_tensor(input, op)
    if t.ndim < 2:
        raise ValueError(f"[{op}] takes at least two dimensions, got shape {t.shape}")
    rows = expand_dims(arange(t.shape[-2], device=t.device), 1)
    columns = arange(t.shape[-1], device=t.device) - diagonal
    keep = FUNCTIONS["ge" if upper else "le"](columns, rows)
    return FUNCTIONS["where"](keep, t, False if t.dtype.kind == "b" else 0)


def tril(input: Any, diagonal: int = 0) -> Tensor:
    """The elements on and below a diagonal of the last two dimensions, zeros above."""
    return _triangle("tril", input, diagonal, False)


def triu(input: Any, diagonal: int = 0) -> Tensor:
    """The elements on and above a diagonal of the last two dimensions, zeros below."""
    return _triangle("triu", input, diagonal, True)


def meshgrid(*inputs: Any, indexing: str = "xy") -> tuple[Tensor, ...]:
    """Coordinate grids of vectors, as `numpy.meshgrid`: with "xy" the first two dimensions are swapped.  Views."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"[meshgrid] indexing must be 'xy' or 'ij', got {indexing!r}")
    several = [as_tensor(t, "meshgrid") for t in (inputs[0] if len(inputs) == 1 and isinstance(inputs[0], (tuple, list)) else inputs)]
    shape = [t.size for t in several]
    grids = [broadcast_to(reshape(t, [-1 if i == d else 1 for i in range(len(shape))]), shape) for d, t in enumerate(several)]
    return tuple(swapaxes(g, 0, 1) if indexing == "xy" and len(shape) > 1 else g for g in grids)


def install() -> None:
    """The methods and properties of Tensor."""
    for function in (reshape, view, contiguous, transpose, permute, swapaxes, moveaxis, expand_dims, unsqueeze, squeeze, flatten,
                     ravel, broadcast_to, expand, flip, split, chunk, unbind, tile, repeat_interleave, roll, tril, triu):  # fmt: skip
        setattr(Tensor, function.__name__, function)
    Tensor.T = property(transpose, doc="All dimensions reversed; a view.")  # type: ignore[attr-defined]
    Tensor.mT = property(lambda self: swapaxes(self, -1, -2), doc="The last two dimensions swapped; a view.")  # type: ignore[attr-defined]
