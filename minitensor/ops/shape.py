"""Shape ops: views of the same elements.

An op returns a view where strides allow it (`transpose`, `flip`, `broadcast_to`, `split`, and
`reshape` of most tensors): no data moves, and a write to the view writes to the base.  The ops that
put elements together anew are in joining.py.
"""

from __future__ import annotations

import builtins
import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex

import numpy as np

from minitensor.backend.core import operators
from minitensor.ops._dispatch import (
    aliases,
    as_ints,
    as_tensor,
    axis_aliases,
    normalize_axes,
    normalize_axis,
)
from minitensor.tensor import Tensor, empty

if TYPE_CHECKING:
    from minitensor.typing import AxisLike, ShapeLike, TensorLike

__all__ = [
    "reshape", "view", "contiguous", "transpose", "permute", "swapaxes", "moveaxis", "expand_dims",
    "unsqueeze", "squeeze", "flatten", "ravel", "broadcast_to", "expand", "broadcast_tensors",
    "flip", "split", "chunk", "unbind",
]  # fmt: skip


# --- arguments ------------------------------------------------------------------------------------
def _spread(*keywords: str) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Make a function accept its `*args` as one value of any of the given keywords."""
    names = set(keywords)

    def decorate(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @functools.wraps(function)
        def spread(input: Any, *args: Any, **kwargs: Any) -> Tensor:
            if kwargs:
                for name in kwargs.keys() & names:
                    if args:
                        raise TypeError(
                            f"[{function.__name__}] {name} must be given once, got it by position "
                            "and by keyword"
                        )
                    args = (kwargs.pop(name),)
            return function(input, *args, **kwargs)

        spread.spellings = dict.fromkeys(keywords, "*")  # type: ignore[attr-defined]
        return spread

    return decorate


def _one_int(op: str, value: Any, what: str) -> int:
    several = as_ints(op, value, what)
    if len(several) != 1:
        raise TypeError(f"[{op}] {what} must be one int, got {value!r}")
    return several[0]


# --- views ----------------------------------------------------------------------------------------
def _reshaped_strides(t: Tensor, shape: tuple[int, ...]) -> list[int] | None:
    """Return strides that give a tensor's elements, in C order, another shape, or None.

    The function cuts both shapes into runs of equal size.  The old dimensions of a run must be
    mergeable into one dimension, whose stride is then divided.  None means that no strides exist.
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


@operators.fast
@_spread("shape")
def reshape(input: TensorLike, *shape: ShapeLike) -> Tensor:
    """Return the same elements in another shape.

    Args:
        input: a tensor-like of any shape and dtype.
        shape: the lengths, as ints or one tuple; one of them may be -1 and is what remains.

    Returns:
        A view if the strides allow it, otherwise a copy.

    Raises:
        TypeError: a length is no int.
        ValueError: the shape has another number of elements.

    Example:
        >>> from minitensor import Tensor, ops
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
        raise ValueError(
            f"[{op}] shape must have the {t.size} elements of shape {t.shape}, got {wanted}"
        )
    if t.size == 0:
        return empty(wanted, t.dtype, t._device)
    strides = _reshaped_strides(t, wanted)
    if strides is None and not may_copy:
        raise ValueError(
            f"[{op}] shape must be possible for a view of strides {t.strides} and shape {t.shape}, "
            f"got {wanted}; use reshape"
        )
    if strides is None:
        t = t.copy()
        strides = _reshaped_strides(t, wanted)
        assert strides is not None  # a contiguous tensor has every shape
    return t._view(wanted, strides, t._offset)


@operators.fast
@_spread("shape", "size")
def view(input: TensorLike, *shape: ShapeLike) -> Tensor:
    """Return a view in another shape, and never a copy.

    Args:
        input: a tensor-like of any shape and dtype.
        shape: the lengths, as ints or one tuple; one of them may be -1 and is what remains.

    Returns:
        A view of the input's memory.

    Raises:
        TypeError: a length is no int.
        ValueError: the shape has another number of elements, or the strides allow no view.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.view(Tensor([1, 2, 3, 4]), 2, 2).shape
        (2, 2)
    """
    return _reshaped("view", as_tensor(input, "view"), shape, may_copy=False)


@operators.fast
def contiguous(input: TensorLike) -> Tensor:
    """Return a tensor whose elements lie in C order.

    Args:
        input: a tensor-like of any shape and dtype.

    Returns:
        The tensor itself if it is contiguous, otherwise a copy.

    Raises:
        TypeError: the input is not tensor-like.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.contiguous(Tensor([[1, 2], [3, 4]]).T).is_contiguous()
        True
    """
    t = as_tensor(input, "contiguous")
    return t if t.is_contiguous() else t.copy()


def _permuted(t: Tensor, order: Sequence[int]) -> Tensor:
    shape, strides = t.shape, t.strides
    return t._view([shape[d] for d in order], [strides[d] for d in order], t._offset)


def _reordered(op: str, t: Tensor, axes: Sequence[Any]) -> Tensor:
    order = [normalize_axis(op, axis, t.ndim) for axis in axes]
    if sorted(order) != list(range(t.ndim)):
        raise ValueError(
            f"[{op}] axes must name each of {t.ndim} dimensions once, got {tuple(axes)}"
        )
    return _permuted(t, order)


@operators.fast
@_spread("axes", "axis", "perm", "input_perm")
def transpose(input: TensorLike, *axes: AxisLike | None) -> Tensor:
    """Return a view with the dimensions in another order.

    Args:
        input: a tensor-like of any shape and dtype.
        axes: nothing reverses all dimensions, a tuple gives their order, two ints swap two of them.

    Returns:
        A view of the input's memory.

    Raises:
        TypeError: an axis is no int.
        ValueError: a tuple is no permutation of the dimensions, or an axis is out of range.

    Example:
        >>> from minitensor import ops
        >>> t = ops.zeros((2, 3, 4))
        >>> t.transpose().shape, t.transpose((1, 0, 2)).shape, t.transpose(0, 1).shape
        ((4, 3, 2), (3, 2, 4), (3, 2, 4))
    """
    t = as_tensor(input, "transpose")
    if not axes or axes == (None,):
        return _permuted(t, range(t.ndim)[::-1])
    if len(axes) == 2:
        return _swapped("transpose", t, *axes)
    return _reordered(
        "transpose", t, axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes
    )


@operators.fast
@_spread("axis", "dims", "axes")
def permute(input: TensorLike, *axis: AxisLike) -> Tensor:
    """Return a view with the dimensions in the order of `axis`.

    Args:
        input: a tensor-like of any shape and dtype.
        axis: the order, as ints or one tuple; also spelled `dims`, `axes`.

    Returns:
        A view of the input's memory.

    Raises:
        TypeError: an axis is no int.
        ValueError: the axes are no permutation of the dimensions.

    Example:
        >>> from minitensor import ops
        >>> ops.permute(ops.zeros((2, 3, 4)), 2, 0, 1).shape
        (4, 2, 3)
    """
    return _reordered(
        "permute",
        as_tensor(input, "permute"),
        axis[0] if len(axis) == 1 and isinstance(axis[0], (tuple, list)) else axis,
    )


@operators.fast
def swapaxes(input: TensorLike, axis0: SupportsIndex, axis1: SupportsIndex) -> Tensor:
    """Return a view with two dimensions swapped.

    Args:
        input: a tensor-like of any shape and dtype.
        axis0: one axis.
        axis1: the other axis.

    Returns:
        A view of the input's memory.

    Raises:
        TypeError: an axis is no int.
        ValueError: an axis is out of range.

    Example:
        >>> from minitensor import ops
        >>> ops.swapaxes(ops.zeros((2, 3, 4)), 0, 2).shape
        (4, 3, 2)
    """
    return _swapped("swapaxes", as_tensor(input, "swapaxes"), axis0, axis1)


def _swapped(op: str, t: Tensor, axis0: Any, axis1: Any) -> Tensor:
    a, b = normalize_axis(op, axis0, t.ndim), normalize_axis(op, axis1, t.ndim)
    order = list(range(t.ndim))
    order[a], order[b] = b, a
    return _permuted(t, order)


def moveaxis(input: TensorLike, source: AxisLike, destination: AxisLike) -> Tensor:
    """Return a view with some dimensions at other places; the rest keep their order.

    Args:
        input: a tensor-like of any shape and dtype.
        source: the axis or the axes to move.
        destination: the places to which they move, as many.

    Returns:
        A view of the input's memory.

    Raises:
        TypeError: an axis is no int.
        ValueError: an axis is out of range or is named twice, or the numbers of axes differ.

    Example:
        >>> from minitensor import ops
        >>> ops.moveaxis(ops.zeros((2, 3, 4)), 0, -1).shape
        (3, 4, 2)
    """
    t = as_tensor(input, "moveaxis")
    places = [
        [
            normalize_axis("moveaxis", a, t.ndim)
            for a in (x if isinstance(x, (tuple, list)) else (x,))
        ]
        for x in (source, destination)
    ]
    if len(places[0]) != len(places[1]) or builtins.any(len(set(p)) != len(p) for p in places):
        raise ValueError(
            "[moveaxis] source and destination must name as many dimensions, none twice, got "
            f"{source} and {destination}"
        )
    order = [d for d in range(t.ndim) if d not in places[0]]
    for to, axis in sorted(zip(places[1], places[0])):
        order.insert(to, axis)
    return _permuted(t, order)


@operators.fast
@axis_aliases
def expand_dims(input: TensorLike, axis: AxisLike) -> Tensor:
    """Return a view with new dimensions of length 1.

    Args:
        input: a tensor-like of any shape and dtype.
        axis: the place or the places of the new dimensions in the result, also spelled `dim`.

    Returns:
        A view of the input's memory.

    Raises:
        TypeError: an axis is no int.
        ValueError: an axis is out of range or is named twice.

    Example:
        >>> from minitensor import ops
        >>> ops.expand_dims(ops.zeros((2, 3)), 0).shape
        (1, 2, 3)
    """
    t = as_tensor(input, "expand_dims")
    several = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    places = normalize_axes("expand_dims", several, t.ndim + len(several))
    shape, strides = list(t.shape), list(t.strides)
    for place in places:
        shape.insert(place, 1)
        strides.insert(place, t.itemsize)
    return t._view(shape, strides, t._offset)


@operators.fast
@axis_aliases
def unsqueeze(input: TensorLike, dim: SupportsIndex) -> Tensor:
    """Return a view with a new dimension of length 1; an alias of `expand_dims`.

    Args:
        input: a tensor-like of any shape and dtype.
        dim: the place of the new dimension in the result, also spelled `axis`.

    Returns:
        A view of the input's memory.

    Raises:
        TypeError: the axis is no int.
        ValueError: the axis is out of range.

    Example:
        >>> from minitensor import ops
        >>> ops.unsqueeze(ops.zeros((2, 3)), -1).shape
        (2, 3, 1)
    """
    return expand_dims(input, dim)


@operators.fast
@axis_aliases
def squeeze(input: TensorLike, axis: AxisLike | None = None) -> Tensor:
    """Return a view without dimensions of length 1.

    Args:
        input: a tensor-like of any shape and dtype.
        axis: the axis or the axes to leave out, also spelled `dim`; None or () means all of length
            1.

    Returns:
        A view of the input's memory.

    Raises:
        TypeError: an axis is no int.
        ValueError: a named dimension is longer than 1, or an axis is out of range.

    Example:
        >>> from minitensor import ops
        >>> ops.squeeze(ops.zeros((1, 2, 1))).shape
        (2,)
    """
    t = as_tensor(input, "squeeze")
    every = axis is None or (isinstance(axis, (tuple, list)) and not axis)
    gone = (
        [d for d, n in enumerate(t.shape) if n == 1]
        if every
        else normalize_axes("squeeze", axis, t.ndim)
    )
    for d in gone:
        if t.shape[d] != 1:
            raise ValueError(
                f"[squeeze] a removed dimension must have length 1, got dimension {d} of length "
                f"{t.shape[d]}"
            )
    kept = [d for d in range(t.ndim) if d not in gone]
    return t._view([t.shape[d] for d in kept], [t.strides[d] for d in kept], t._offset)


def flatten(
    input: TensorLike,
    order: Literal["C", "F"] = "C",
    *,
    start_dim: SupportsIndex = 1,
    end_dim: SupportsIndex = -1,
) -> Tensor:
    """Return the dimensions from `start_dim` to `end_dim` as one; a batch stays one by default.

    The method `t.flatten()` starts with dimension 0, and takes `t.flatten(start_dim, end_dim)`.

    Args:
        input: a tensor-like of any shape and dtype.
        order: "C", or "F" to reverse the dimensions first, so that the first of them runs fastest.
        start_dim: the first dimension to join.
        end_dim: the last dimension to join.

    Returns:
        A view if the strides allow it, otherwise a copy.

    Raises:
        TypeError: a dimension is no int.
        ValueError: the order is another one, or the dimensions are out of range or in the wrong
            order.

    Example:
        >>> from minitensor import ops
        >>> ops.flatten(ops.zeros((2, 3, 4))).shape, ops.zeros((2, 3, 4)).flatten().shape
        ((2, 12), (24,))
    """
    t = as_tensor(input, "flatten")
    return _flattened(t, order, 0 if t.ndim == 1 and start_dim == 1 else start_dim, end_dim)


def _flattened(t: Tensor, order: Any, start_dim: Any, end_dim: Any) -> Tensor:
    if order not in ("C", "F"):
        raise ValueError(f"[flatten] order must be 'C' or 'F', got {order!r}")
    if not t.ndim:
        return t._view((1,), (t.itemsize,), t._offset)
    if order == "F":
        t = _permuted(t, range(t.ndim)[::-1])
    first, last = (
        normalize_axis("flatten", start_dim, t.ndim),
        normalize_axis("flatten", end_dim, t.ndim),
    )
    if first > last:
        raise ValueError(
            f"[flatten] start_dim must not come after end_dim, got {start_dim} and {end_dim}"
        )
    return _reshaped(
        "flatten",
        t,
        ((*t.shape[:first], math.prod(t.shape[first : last + 1]), *t.shape[last + 1 :]),),
    )


def _flatten_method(
    self: Tensor,
    order: str | int = "C",
    end: int | None = None,
    *,
    start_dim: int = 0,
    end_dim: int = -1,
) -> Tensor:
    """Return the dimensions from `start_dim` to `end_dim` as one.

    Args:
        order: "C", or "F" to reverse the dimensions first; an int is `start_dim`.
        end: `end_dim`, after an int.
        start_dim: the first dimension to join.
        end_dim: the last dimension to join.

    Returns:
        A view if the strides allow it, otherwise a copy.

    Raises:
        TypeError: a dimension is no int.
        ValueError: the order is another one, or the dimensions are out of range or in the wrong
            order.

    Example:
        >>> from minitensor import ops
        >>> t = ops.zeros((2, 3, 4))
        >>> t.flatten().shape, t.flatten(1).shape, t.flatten(0, 1).shape
        ((24,), (2, 12), (6, 4))
    """
    if isinstance(order, str):
        return _flattened(self, order, start_dim, end_dim)
    return _flattened(self, "C", order, end_dim if end is None else end)


_flatten_method.__name__, _flatten_method.__qualname__, _flatten_method.__module__ = (
    "flatten",
    "Tensor.flatten",
    Tensor.__module__,
)


@operators.fast
def ravel(input: TensorLike) -> Tensor:
    """Return all elements in one dimension.

    Args:
        input: a tensor-like of any shape and dtype.

    Returns:
        A view if the strides allow it, otherwise a copy.

    Raises:
        TypeError: the input is not tensor-like.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.ravel(Tensor([[1, 2], [3, 4]])))
        [1 2 3 4]
    """
    t = as_tensor(input, "ravel")
    return _reshaped("ravel", t, (t.size,))


@operators.fast
@aliases(size="shape")
def broadcast_to(input: TensorLike, shape: ShapeLike) -> Tensor:
    """Return a view in a wider shape, in which an element stands at several places.

    Args:
        input: a tensor-like of any shape and dtype.
        shape: the shape, an int or a sequence of ints; -1 keeps a length.

    Returns:
        A view of the input's memory.

    Raises:
        TypeError: a length is no int.
        ValueError: the input does not broadcast to the shape.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.broadcast_to(Tensor([1, 2]), (2, 2)))
        [[1 2]
         [1 2]]
    """
    return _broadcast("broadcast_to", as_tensor(input, "broadcast_to"), shape)


def _broadcast(op: str, t: Tensor, shape: Any) -> Tensor:
    wanted = as_ints(op, shape)
    ahead = len(wanted) - t.ndim
    full = tuple(t.shape[d - ahead] if n == -1 and d >= ahead else n for d, n in enumerate(wanted))
    if ahead < 0 or builtins.any(n < 0 for n in full) or builtins.any(
        n not in (1, full[ahead + d]) for d, n in enumerate(t.shape)
    ):  # fmt: skip
        raise ValueError(f"[{op}] shape must be one to which {t.shape} broadcasts, got {wanted}")
    strides = [0] * ahead + [
        0 if n == 1 and full[ahead + d] != 1 else s
        for d, (n, s) in enumerate(zip(t.shape, t.strides))
    ]
    return t._view(full, strides, t._offset)


@operators.fast
@_spread("size", "shape")
def expand(input: TensorLike, *size: ShapeLike) -> Tensor:
    """Return a view in a wider shape; an alias of `broadcast_to`.

    Args:
        input: a tensor-like of any shape and dtype.
        size: the lengths, as ints or one tuple; -1 keeps a length.

    Returns:
        A view of the input's memory.

    Raises:
        TypeError: a length is no int.
        ValueError: the input does not broadcast to the shape.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.expand(Tensor([1, 2]), 3, -1).shape
        (3, 2)
    """
    return _broadcast("expand", as_tensor(input, "expand"), size[0] if len(size) == 1 else size)


def broadcast_tensors(*tensors: TensorLike) -> list[Tensor]:
    """Return views of all tensors in the shape that they broadcast to.

    Args:
        tensors: tensor-likes of any dtype.

    Returns:
        A list of views.

    Raises:
        TypeError: an argument is not tensor-like.
        ValueError: the shapes do not broadcast.

    Example:
        >>> from minitensor import Tensor, ops
        >>> [t.shape for t in ops.broadcast_tensors(Tensor([1, 2]), Tensor([[1], [2]]))]
        [(2, 2), (2, 2)]
    """
    several = [as_tensor(t, "broadcast_tensors") for t in tensors]
    try:
        shape = np.broadcast_shapes(*[t.shape for t in several])
    except ValueError:
        shapes = ", ".join(str(t.shape) for t in several)
        raise ValueError(f"[broadcast_tensors] shapes must broadcast, got {shapes}") from None
    return [broadcast_to(t, shape) for t in several]


@operators.fast
@axis_aliases
def flip(input: TensorLike, dims: AxisLike | None = None) -> Tensor:
    """Return a view that is reversed along some dimensions.

    Args:
        input: a tensor-like of any shape and dtype.
        dims: the axis or the axes to reverse, also spelled `axis`, `dim`; None means all.

    Returns:
        A view of the input's memory.

    Raises:
        TypeError: an axis is no int.
        ValueError: an axis is out of range or is named twice.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.flip(Tensor([1, 2, 3])))
        [3 2 1]
    """
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


@operators.fast
@axis_aliases
def split(
    tensor: TensorLike, split_size_or_sections: int | Sequence[int], axis: SupportsIndex = 0
) -> tuple[Tensor, ...]:
    """Return views of consecutive pieces along `axis`.

    Args:
        tensor: a tensor-like of at least one dimension and any dtype.
        split_size_or_sections: the length of a piece, of which the last may be shorter, or the
            lengths of all pieces.
        axis: the axis to cut, also spelled `dim`.

    Returns:
        A tuple of views.

    Raises:
        TypeError: a length or the axis is no int.
        ValueError: the lengths do not add up, a length is not positive, or the axis is out of
            range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> [t.tolist() for t in ops.split(Tensor([1, 2, 3]), 2)]
        [[1, 2], [3]]
    """
    t = as_tensor(tensor, "split")
    axis = normalize_axis("split", axis, t.ndim)
    length = t.shape[axis]
    if isinstance(split_size_or_sections, (tuple, list)):
        sizes = list(as_ints("split", split_size_or_sections, "sections"))
        if builtins.sum(sizes) != length or builtins.any(n < 0 for n in sizes):
            raise ValueError(
                f"[split] sections must add up to the length {length} and not be negative, got "
                f"{sizes}"
            )
    else:
        size = _one_int("split", split_size_or_sections, "the length")
        if size <= 0:
            raise ValueError(f"[split] the length of a section must be positive, got {size}")
        sizes = [builtins.min(size, length - start) for start in range(0, length, size)] or [0]
    ends = np.cumsum(sizes).tolist()
    return tuple(_slice(t, axis, end - n, end) for n, end in zip(sizes, ends))


@operators.fast
@axis_aliases
def chunk(input: TensorLike, chunks: SupportsIndex, axis: SupportsIndex = 0) -> tuple[Tensor, ...]:
    """Return at most `chunks` views of equal length along `axis`; the last may be shorter.

    Args:
        input: a tensor-like of at least one dimension and any dtype.
        chunks: the number of pieces.
        axis: the axis to cut, also spelled `dim`.

    Returns:
        A tuple of views.

    Raises:
        TypeError: `chunks` or the axis is no int.
        ValueError: `chunks` is not positive, or the axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> [t.tolist() for t in ops.chunk(Tensor([1, 2, 3]), 2)]
        [[1, 2], [3]]
    """
    t = as_tensor(input, "chunk")
    count = _one_int("chunk", chunks, "chunks")
    if count <= 0:
        raise ValueError(f"[chunk] chunks must be positive, got {count}")
    return split(
        t, builtins.max(-(-t.shape[normalize_axis("chunk", axis, t.ndim)] // count), 1), axis
    )


@operators.fast
@axis_aliases
def unbind(input: TensorLike, dim: SupportsIndex = 0) -> tuple[Tensor, ...]:
    """Return views of the slices along `dim`, without that dimension.

    Args:
        input: a tensor-like of at least one dimension and any dtype.
        dim: the dimension, also spelled `axis`.

    Returns:
        A tuple of views.

    Raises:
        TypeError: the dimension is no int.
        ValueError: the dimension is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> [t.tolist() for t in ops.unbind(Tensor([[1, 2], [3, 4]]))]
        [[1, 2], [3, 4]]
    """
    t = as_tensor(input, "unbind")
    axis = normalize_axis("unbind", dim, t.ndim)
    shape, strides = (tuple(x for d, x in enumerate(v) if d != axis) for v in (t.shape, t.strides))
    return tuple(
        t._view(shape, strides, t._offset + i * t.strides[axis]) for i in range(t.shape[axis])
    )


def install() -> None:
    """Give Tensor its methods."""
    for function in (
        reshape, view, contiguous, transpose, permute, swapaxes, moveaxis, expand_dims, unsqueeze,
        squeeze, ravel, broadcast_to, expand, flip, split, chunk, unbind,
    ):  # fmt: skip
        setattr(Tensor, function.__name__, function)
    Tensor.flatten = operators.fast(  # type: ignore[assignment]
        _flatten_method, "Tensor.flatten"
    )
