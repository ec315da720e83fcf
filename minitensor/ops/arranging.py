"""Names of MindSpore for shapes, parts, turns and repetitions, made of the ops of shape.py."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from minitensor.dtype import uint8
from minitensor.ops._dispatch import (
    as_ints,
    as_tensor,
    axis_aliases,
    host,
    named,
    normalize_axis,
)
from minitensor.ops.creation import arange
from minitensor.ops.elementwise import cast
from minitensor.ops.joining import repeat_interleave
from minitensor.ops.shape import (
    _one_int,
    _slice,
    broadcast_to,
    flip,
    moveaxis,
    reshape,
    swapaxes,
    unbind,
    view,
)
from minitensor.ops.ufuncs import FUNCTIONS as OF_NUMPY
from minitensor.tensor import Tensor

if TYPE_CHECKING:
    from minitensor.typing import AxisLike, TensorLike

__all__ = [
    "adjoint", "deepcopy", "dyn_shape", "expand_as", "fliplr", "flipud", "is_nonzero", "movedim",
    "narrow", "numel", "population_count", "rank", "repeat_elements", "reshape_as", "reverse",
    "reverse_sequence", "rot90", "sequence_mask", "size", "slice", "strided_slice", "swapdims",
    "t", "type_as", "unstack", "view_as",
]  # fmt: skip

movedim = moveaxis
swapdims = swapaxes


def _planar(op: str, input: Any, least: int = 2) -> Tensor:
    t = as_tensor(input, op)
    if t.ndim < least:
        raise ValueError(f"[{op}] input must have at least {least} dimensions, got shape {t.shape}")
    return t


@named
def rank(input_x: TensorLike) -> int:
    """Return the number of dimensions.

    Args:
        input_x: a tensor-like.

    Returns:
        An int.

    Raises:
        TypeError: the input is not tensor-like.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.rank(Tensor([[1, 2]]))
        2
    """
    return as_tensor(input_x, "rank").ndim


@named
def size(input_x: TensorLike) -> int:
    """Return the number of elements.

    Args:
        input_x: a tensor-like.

    Returns:
        An int.

    Raises:
        TypeError: the input is not tensor-like.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.size(Tensor([[1, 2]]))
        2
    """
    return as_tensor(input_x, "size").size


@named
def numel(input: TensorLike) -> int:
    """Return the number of elements.

    Args:
        input: a tensor-like.

    Returns:
        An int.

    Raises:
        TypeError: the input is not tensor-like.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.numel(Tensor([[1, 2]]))
        2
    """
    return as_tensor(input, "numel").size


@named
def dyn_shape(input_x: TensorLike) -> Tensor:
    """Return the shape as a tensor of int64.

    Args:
        input_x: a tensor-like.

    Returns:
        A new tensor of shape (ndim,).

    Raises:
        TypeError: the input is not tensor-like.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.dyn_shape(Tensor([[1, 2]])))
        [1 2]
    """
    return Tensor(list(as_tensor(input_x, "dyn_shape").shape), "int64")


@named
def is_nonzero(input: TensorLike) -> bool:
    """Return True if the only element of a tensor is not zero.

    Args:
        input: a tensor-like of one element.

    Returns:
        A bool.

    Raises:
        TypeError: the input is not tensor-like.
        ValueError: the input has not one element.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.is_nonzero(Tensor([0.0]))
        False
    """
    t = as_tensor(input, "is_nonzero")
    if t.size != 1:
        raise ValueError(f"[is_nonzero] input must have one element, got shape {t.shape}")
    return bool(t.reshape(()) != 0)


@axis_aliases
def narrow(
    input: TensorLike, axis: SupportsIndex, start: SupportsIndex, length: SupportsIndex
) -> Tensor:
    """Return the elements from `start` on along an axis.

    Args:
        input: a tensor-like of any shape and dtype.
        axis: the axis.
        start: the first element; a negative number counts from the end.
        length: the number of elements.

    Returns:
        A view.

    Raises:
        TypeError: the input is not tensor-like, or a number is no int.
        ValueError: the elements are out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.narrow(Tensor([1, 2, 3, 4]), 0, 1, 2))
        [2 3]
    """
    t = as_tensor(input, "narrow")
    axis = normalize_axis("narrow", axis, t.ndim)
    first, count = (_one_int("narrow", value, "start and length") for value in (start, length))
    size = t.shape[axis]
    first = first + size if first < 0 else first
    if not 0 <= first <= size or not 0 <= count <= size - first:
        raise ValueError(
            f"[narrow] start and length must lie within the axis' {size} elements, got {start} and "
            f"{length}"
        )
    return _slice(t, axis, first, first + count)


@named
def strided_slice(
    input_x: TensorLike,
    begin: Sequence[int],
    end: Sequence[int],
    strides: Sequence[int],
) -> Tensor:
    """Return a slice of each of the first axes, as `t[begin:end:stride]` does.

    Args:
        input_x: a tensor-like.
        begin: the first index of each slice.
        end: the index behind the last of each slice.
        strides: the step of each slice; not 0.

    Returns:
        A view, or a copy where a step is negative.

    Raises:
        TypeError: the input is not tensor-like, or a number is no int.
        ValueError: the lengths differ, or a step is 0.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.strided_slice(Tensor([0, 1, 2, 3, 4]), (1,), (5,), (2,)))
        [1 3]
    """
    t = as_tensor(input_x, "strided_slice")
    bounds = [as_ints("strided_slice", b, "begin, end and strides") for b in (begin, end, strides)]
    if len({len(b) for b in bounds}) != 1 or len(bounds[0]) > t.ndim or 0 in bounds[2]:
        raise ValueError(
            "[strided_slice] begin, end and strides must have one length up to the number of "
            f"dimensions, and strides no zero, got {begin}, {end} and {strides} for {t.ndim} "
            "dimensions"
        )
    return t[tuple(builtins.slice(*one) for one in zip(*bounds))]


@named
def slice(input_x: TensorLike, begin: Sequence[int], size: Sequence[int]) -> Tensor:
    """Return a part of a tensor.

    Args:
        input_x: a tensor-like.
        begin: the first index along each axis.
        size: the number of elements along each axis; -1 for all that follow.

    Returns:
        A view.

    Raises:
        TypeError: the input is not tensor-like, or a number is no int.
        ValueError: the part is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.slice(Tensor([[1, 2, 3], [4, 5, 6]]), (0, 1), (2, -1)))
        [[2 3]
         [5 6]]
    """
    t = as_tensor(input_x, "slice")
    first, sizes = as_ints("slice", begin, "begin"), as_ints("slice", size, "size")
    if len(first) != t.ndim or len(sizes) != t.ndim:
        raise ValueError(
            f"[slice] begin and size must have a number for each of {t.ndim} dimensions, got "
            f"{begin} and {size}"
        )
    for axis, (low, count) in enumerate(zip(first, sizes)):
        t = narrow(t, axis, low, t.shape[axis] - low if count == -1 else count)
    return t


@named
def expand_as(input: TensorLike, other: Tensor) -> Tensor:
    """Broadcast a tensor to the shape of another.

    Args:
        input: a tensor-like of any shape and dtype.
        other: the tensor whose shape it gets.

    Returns:
        A view.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the shapes do not broadcast.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.expand_as(Tensor([1, 2]), ops.ones((3, 2))).shape
        (3, 2)
    """
    return broadcast_to(as_tensor(input, "expand_as"), as_tensor(other, "expand_as").shape)


@named
def view_as(input: TensorLike, other: Tensor) -> Tensor:
    """Return a view in the shape of another tensor.

    Args:
        input: a tensor-like of any shape and dtype.
        other: a tensor of as many elements.

    Returns:
        A view.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the numbers of elements differ, or the memory does not allow it.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.view_as(Tensor([1, 2]), ops.ones((2, 1))).shape
        (2, 1)
    """
    return view(as_tensor(input, "view_as"), as_tensor(other, "view_as").shape)


@named
def reshape_as(input: TensorLike, other: Tensor) -> Tensor:
    """Return a tensor in the shape of another.

    Args:
        input: a tensor-like of any shape and dtype.
        other: a tensor of as many elements.

    Returns:
        A view, or a copy where the memory does not allow one.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the numbers of elements differ.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.reshape_as(Tensor([1, 2]), ops.ones((2, 1))).shape
        (2, 1)
    """
    return reshape(as_tensor(input, "reshape_as"), as_tensor(other, "reshape_as").shape)


@named
def type_as(input: TensorLike, other: Tensor) -> Tensor:
    """Cast a tensor to the dtype of another.

    Args:
        input: a tensor-like of any shape and dtype.
        other: the tensor whose dtype it gets.

    Returns:
        A new tensor.

    Raises:
        TypeError: an operand is not tensor-like.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.type_as(Tensor([1, 2]), Tensor([1.0])).dtype
        minitensor.float32
    """
    return cast(as_tensor(input, "type_as"), as_tensor(other, "type_as").dtype)


@named
def fliplr(input: TensorLike) -> Tensor:
    """Reverse the second axis.

    Args:
        input: a tensor-like of at least two dimensions.

    Returns:
        A new tensor.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: there is one dimension.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.fliplr(Tensor([[1, 2]])))
        [[2 1]]
    """
    return flip(_planar("fliplr", input), 1)


@named
def flipud(input: TensorLike) -> Tensor:
    """Reverse the first axis.

    Args:
        input: a tensor-like of at least one dimension.

    Returns:
        A new tensor.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: there is no dimension.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.flipud(Tensor([1, 2])))
        [2 1]
    """
    return flip(_planar("flipud", input, 1), 0)


@axis_aliases
def reverse(x: TensorLike, axis: AxisLike) -> Tensor:
    """Reverse axes.

    Args:
        x: a tensor-like.
        axis: the axis or the axes.

    Returns:
        A new tensor.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: an axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.reverse(Tensor([1, 2]), 0))
        [2 1]
    """
    return flip(as_tensor(x, "reverse"), axis)


@axis_aliases
def rot90(input: TensorLike, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Rotate a tensor in the plane of two axes, from the first towards the second.

    Args:
        input: a tensor-like of at least two dimensions.
        k: by how many right angles.
        dims: the axes, also spelled `axis`.

    Returns:
        A new tensor.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the axes are not two different ones.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.rot90(Tensor([[1, 2], [3, 4]])))
        [[2 4]
         [1 3]]
    """
    t = _planar("rot90", input)
    try:
        first, second = (normalize_axis("rot90", d, t.ndim) for d in dims)
    except TypeError:
        first = second = 0
    if first == second:
        raise ValueError(f"[rot90] dims must be two different axes, got {dims}")
    turns = _one_int("rot90", k, "k") % 4
    if turns == 0:
        return t.copy()
    if turns == 2:
        return flip(t, (first, second))
    return flip(swapaxes(t, first, second), first if turns == 1 else second)


@named
def t(input: TensorLike) -> Tensor:
    """Transpose a matrix; a vector stays.

    Args:
        input: a tensor-like of at most two dimensions.

    Returns:
        A view, or the vector itself.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: there are more dimensions.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.t(Tensor([[1, 2]])).shape
        (2, 1)
    """
    tensor = as_tensor(input, "t")
    if tensor.ndim > 2:
        raise ValueError(f"[t] input must have at most two dimensions, got shape {tensor.shape}")
    return swapaxes(tensor, 0, 1) if tensor.ndim == 2 else tensor


@named
def adjoint(x: TensorLike) -> Tensor:
    """Return the transposed conjugate of matrices.

    Args:
        x: a tensor-like of at least two dimensions.

    Returns:
        A new tensor.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: there is one dimension.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.adjoint(Tensor([[1j, 2.0]])))
        [[0.-1.j]
         [2.-0.j]]
    """
    return OF_NUMPY["conj"](swapaxes(_planar("adjoint", x), -1, -2))


@axis_aliases
def repeat_elements(x: TensorLike, rep: int, axis: int = 0) -> Tensor:
    """Repeat each element along an axis.

    Args:
        x: a tensor-like of at least one dimension.
        rep: how many times.
        axis: the axis.

    Returns:
        A new tensor.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: rep is negative, or the axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.repeat_elements(Tensor([1, 2]), 2))
        [1 1 2 2]
    """
    return repeat_interleave(as_tensor(x, "repeat_elements"), rep, axis)


@axis_aliases
def unstack(input_x: TensorLike, axis: SupportsIndex = 0) -> tuple[Tensor, ...]:
    """Return the parts of a tensor along an axis, without that axis.

    Args:
        input_x: a tensor-like of at least one dimension.
        axis: the axis.

    Returns:
        A tuple of views.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> [t.tolist() for t in ops.unstack(Tensor([[1, 2], [3, 4]]))]
        [[1, 2], [3, 4]]
    """
    return unbind(as_tensor(input_x, "unstack"), axis)


@named
def sequence_mask(lengths: TensorLike, maxlen: int | None = None) -> Tensor:
    """Return masks that are True for as many first elements as `lengths` says.

    Args:
        lengths: a tensor-like of integers.
        maxlen: the length of a mask; None for the greatest of `lengths`.

    Returns:
        A new tensor of bools of shape (*lengths.shape, maxlen).

    Raises:
        TypeError: lengths has another dtype.
        ValueError: maxlen is negative.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.sequence_mask(Tensor([1, 2])))
        [[ True False]
         [ True  True]]
    """
    t = as_tensor(lengths, "sequence_mask")
    if t.dtype.kind not in "iu":
        raise TypeError(f"[sequence_mask] lengths must be integers, got {t.dtype}")
    longest = int(t.max()) if maxlen is None and t.size else 0
    length = longest if maxlen is None else _one_int("sequence_mask", maxlen, "maxlen")
    if length < 0:
        raise ValueError(f"[sequence_mask] maxlen must not be negative, got {maxlen}")
    return arange(length, dtype="int64").to(t.device) < t.expand_dims(-1)


@named
def reverse_sequence(
    x: TensorLike, seq_lengths: TensorLike, seq_dim: int, batch_dim: int = 0
) -> Tensor:
    """Reverse the first elements of each sequence of a batch.

    Args:
        x: a tensor-like of at least two dimensions.
        seq_lengths: how many elements of each sequence; a tensor-like of integers.
        seq_dim: the axis of a sequence.
        batch_dim: the axis of the batch.

    Returns:
        A new tensor of the shape and dtype of `x`.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the axes are equal, or a length is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.reverse_sequence(Tensor([[1, 2, 3], [4, 5, 6]]), Tensor([2, 3]), 1))
        [[2 1 3]
         [6 5 4]]
    """
    op = "reverse_sequence"
    source = as_tensor(x, op)
    sequence, batch = (
        normalize_axis(op, seq_dim, source.ndim),
        normalize_axis(op, batch_dim, source.ndim),
    )
    lengths = as_tensor(seq_lengths, op, source)
    if sequence == batch or lengths.shape != (source.shape[batch],):
        raise ValueError(
            f"[{op}] seq_dim and batch_dim must differ, and seq_lengths have shape "
            f"{(source.shape[batch],)}, got {seq_dim}, {batch_dim} and {lengths.shape}"
        )

    def compute(a: np.ndarray, counts: np.ndarray) -> np.ndarray:
        result = np.moveaxis(a, (batch, sequence), (0, 1)).copy()
        for row, count in zip(result, counts):
            if not 0 <= count <= len(row):
                raise ValueError(f"[{op}] seq_lengths must be from 0 to {len(row)}, got {count}")
            row[:count] = row[:count][::-1].copy()
        return np.moveaxis(result, (0, 1), (batch, sequence))

    return host(op, compute, [source, lengths], source.shape, source.dtype)


@named
def population_count(input_x: TensorLike) -> Tensor:
    """Return how many bits are set.

    Args:
        input_x: a tensor-like of integers.

    Returns:
        A new tensor of uint8.

    Raises:
        TypeError: the input has another dtype.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.population_count(Tensor([0, 7])))
        [0 3]
    """
    t = as_tensor(input_x, "population_count")
    if t.dtype.kind not in "iu":
        raise TypeError(f"[population_count] input must be integers, got {t.dtype}")

    def compute(a: np.ndarray) -> np.ndarray:
        octets = np.ascontiguousarray(a)[..., None].view(np.uint8)
        return np.unpackbits(octets, axis=-1).sum(-1)

    return host("population_count", compute, [t], t.shape, uint8)


@named
def deepcopy(input_x: TensorLike) -> Tensor:
    """Return a copy.

    Args:
        input_x: a tensor-like.

    Returns:
        A new tensor.

    Raises:
        TypeError: an operand is not tensor-like.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.deepcopy(Tensor([1, 2])))
        [1 2]
    """
    return as_tensor(input_x, "deepcopy").copy()
