"""Functions that join and split tensors along axes of their names, and combine vectors."""

from __future__ import annotations

import builtins
import functools
import itertools
from collections.abc import Callable, Sequence
from operator import index
from typing import TYPE_CHECKING, Any, SupportsIndex

from minitensor.dtype import promote
from minitensor.ops._dispatch import as_tensor, assign, axis_aliases, named, normalize_axis
from minitensor.ops.creation import zeros
from minitensor.ops.joining import concat, meshgrid, stack
from minitensor.ops.shape import _slice
from minitensor.tensor import Tensor, empty

if TYPE_CHECKING:
    from minitensor.typing import TensorLike

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "cartesian_prod", "column_stack",
    "combinations", "dsplit", "dstack", "hsplit", "hstack", "row_stack", "tensor_split", "vsplit",
    "vstack",
]  # fmt: skip


def _tensors(op: str, values: Any) -> list[Tensor]:
    if not isinstance(values, (list, tuple)) or not values:
        raise TypeError(
            f"[{op}] the tensors must be a list or tuple of at least one, got "
            f"{type(values).__name__}"
        )
    return [as_tensor(value, op) for value in values]


def _each(op: str, value: Any, function: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, (list, tuple)) and any(isinstance(one, Tensor) for one in value):
        return tuple(function(as_tensor(one, op)) for one in value)
    return function(as_tensor(value, op))


def _plane(t: Tensor) -> Tensor:
    return t if t.ndim > 1 else t.reshape(1, -1)


def _space(t: Tensor) -> Tensor:
    if t.ndim > 2:
        return t
    return t.expand_dims(2) if t.ndim == 2 else t.reshape(1, -1, 1)


def _of_rank(op: str, t: Tensor, least: int) -> Tensor:
    if t.ndim < least:
        raise ValueError(f"[{op}] input must have at least {least} dimensions, got shape {t.shape}")
    return t


def _split(op: str, t: Tensor, sections: Any, axis: Any) -> tuple[Tensor, ...]:
    axis = normalize_axis(op, axis, t.ndim)
    length = t.shape[axis]
    try:
        if isinstance(sections, (list, tuple)):
            ends = [min(max(i + length if i < 0 else i, 0), length) for i in map(index, sections)]
            starts = [0, *ends]
            ends = [*ends, length]
        else:
            parts = index(sections)
            if parts < 1:
                raise ValueError(f"[{op}] the number of parts must be at least 1, got {parts}")
            size, longer = divmod(length, parts)
            ends = [size * (i + 1) + min(i + 1, longer) for i in range(parts)]
            starts = [0, *ends[:-1]]
    except TypeError:
        raise TypeError(
            f"[{op}] indices_or_sections must be an int or a sequence of ints, got {sections!r}"
        ) from None
    return tuple(_slice(t, axis, low, max(low, high)) for low, high in zip(starts, ends))


@named
def atleast_1d(inputs: TensorLike | Sequence[Tensor]) -> Tensor | tuple[Tensor, ...]:
    """Return tensors with at least one dimension.

    Args:
        inputs: a tensor-like, or a list or tuple of tensors.

    Returns:
        A view, or a tuple of views.

    Raises:
        TypeError: an operand is not tensor-like.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.atleast_1d(Tensor(1.0)).shape
        (1,)
    """
    return _each("atleast_1d", inputs, lambda t: t if t.ndim else t.reshape(1))


@named
def atleast_2d(inputs: TensorLike | Sequence[Tensor]) -> Tensor | tuple[Tensor, ...]:
    """Return tensors with at least two dimensions; a vector becomes a row.

    Args:
        inputs: a tensor-like, or a list or tuple of tensors.

    Returns:
        A view, or a tuple of views.

    Raises:
        TypeError: an operand is not tensor-like.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.atleast_2d(Tensor([1.0, 2.0])).shape
        (1, 2)
    """
    return _each("atleast_2d", inputs, _plane)


@named
def atleast_3d(inputs: TensorLike | Sequence[Tensor]) -> Tensor | tuple[Tensor, ...]:
    """Return tensors with at least three dimensions.

    Args:
        inputs: a tensor-like, or a list or tuple of tensors; shape (n,) becomes (1, n, 1), (n, m)
            becomes (n, m, 1).

    Returns:
        A view, or a tuple of views.

    Raises:
        TypeError: an operand is not tensor-like.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.atleast_3d(Tensor([1.0, 2.0])).shape
        (1, 2, 1)
    """
    return _each("atleast_3d", inputs, _space)


@named
def vstack(inputs: Sequence[TensorLike]) -> Tensor:
    """Join tensors along the first axis; vectors are rows.

    Args:
        inputs: a list or tuple of at least one tensor-like; the shapes differ in the first axis
            alone.

    Returns:
        A new tensor of the dtype that the tensors promote to.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the shapes do not fit.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.vstack([Tensor([1, 2]), Tensor([3, 4])]))
        [[1 2]
         [3 4]]
    """
    return concat([_plane(t) for t in _tensors("vstack", inputs)], 0)


row_stack = vstack


@named
def hstack(tensors: Sequence[TensorLike]) -> Tensor:
    """Join tensors along the second axis, vectors along the first.

    Args:
        tensors: a list or tuple of at least one tensor-like.

    Returns:
        A new tensor of the dtype that the tensors promote to.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the shapes do not fit.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.hstack([Tensor([1, 2]), Tensor([3, 4])]))
        [1 2 3 4]
    """
    several = [t if t.ndim else t.reshape(1) for t in _tensors("hstack", tensors)]
    return concat(several, 0 if several[0].ndim == 1 else 1)


@named
def dstack(tensors: Sequence[TensorLike]) -> Tensor:
    """Join tensors along the third axis.

    Args:
        tensors: a list or tuple of at least one tensor-like.

    Returns:
        A new tensor of at least three dimensions.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the shapes do not fit.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.dstack([Tensor([1, 2]), Tensor([3, 4])]))
        [[[1 3]
          [2 4]]]
    """
    return concat([_space(t) for t in _tensors("dstack", tensors)], 2)


@named
def column_stack(tensors: Sequence[TensorLike]) -> Tensor:
    """Join vectors as columns, and matrices side by side.

    Args:
        tensors: a list or tuple of at least one tensor-like.

    Returns:
        A new tensor of at least two dimensions.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the shapes do not fit.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.column_stack([Tensor([1, 2]), Tensor([3, 4])]))
        [[1 3]
         [2 4]]
    """
    several = _tensors("column_stack", tensors)
    return concat([t if t.ndim > 1 else t.reshape(-1, 1) for t in several], 1)


@named
def block_diag(*inputs: TensorLike) -> Tensor:
    """Return a matrix with blocks on its diagonal and zeros elsewhere.

    Args:
        inputs: tensor-likes of at most two dimensions; a vector is a row.

    Returns:
        A new matrix of the dtype that the inputs promote to.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: an input has more dimensions.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.block_diag(Tensor([1]), Tensor([[2, 3]])))
        [[1 0 0]
         [0 2 3]]
    """
    blocks = [_plane(as_tensor(t, "block_diag")) for t in inputs] or [zeros((1, 0))]
    if any(t.ndim != 2 for t in blocks):
        raise ValueError(
            f"[block_diag] inputs must have at most two dimensions, got {[t.ndim for t in blocks]}"
        )
    dtype = functools.reduce(promote, (t.dtype for t in blocks))
    shape = [builtins.sum(t.shape[axis] for t in blocks) for axis in (0, 1)]
    result = zeros(shape, dtype=dtype, device=blocks[0].device)
    row = column = 0
    for block in blocks:
        rows, columns = block.shape
        assign(result[row : row + rows, column : column + columns], block, "block_diag")
        row, column = row + rows, column + columns
    return result


@named
def cartesian_prod(*inputs: TensorLike) -> Tensor:
    """Return all combinations of one element of each vector, as rows.

    Args:
        inputs: vectors.

    Returns:
        A new tensor of shape (product of the lengths, number of vectors); a copy of one vector.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: an input is no vector.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.cartesian_prod(Tensor([1, 2]), Tensor([5])))
        [[1 5]
         [2 5]]
    """
    vectors = [as_tensor(t, "cartesian_prod") for t in inputs]
    if not vectors or any(t.ndim != 1 for t in vectors):
        raise ValueError(
            f"[cartesian_prod] inputs must be vectors, got shapes {[t.shape for t in vectors]}"
        )
    if len(vectors) == 1:
        return vectors[0].copy()
    return stack([grid.reshape(-1) for grid in meshgrid(*vectors, indexing="ij")], -1)


@named
def combinations(input: TensorLike, r: int = 2, with_replacement: bool = False) -> Tensor:
    """Return all combinations of r elements of a vector, as rows.

    Args:
        input: a vector.
        r: the number of elements of a combination.
        with_replacement: True if an element may come several times.

    Returns:
        A new tensor of shape (number of combinations, r).

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the input is no vector, or r is negative.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.combinations(Tensor([1, 2, 3])))
        [[1 2]
         [1 3]
         [2 3]]
    """
    t = as_tensor(input, "combinations")
    if t.ndim != 1 or r < 0:
        raise ValueError(
            f"[combinations] input must be a vector and r at least 0, got shape {t.shape} and {r}"
        )
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    rows = list(choose(builtins.range(t.shape[0]), r))
    if not rows or not r:
        return empty((0,), t.dtype, t._device)
    return t[Tensor(rows, "int64", device=t.device)]


@axis_aliases
def tensor_split(
    input: TensorLike, indices_or_sections: int | Sequence[int], axis: SupportsIndex = 0
) -> tuple[Tensor, ...]:
    """Split a tensor along an axis, into parts of nearly equal length or at indices.

    Args:
        input: a tensor-like of at least one dimension.
        indices_or_sections: the number of parts, of which the first are longer by one where the
            length does not divide; or the indices at which parts begin, as in slices.
        axis: the axis.

    Returns:
        A tuple of views.

    Raises:
        TypeError: the input is not tensor-like, or a number is no int.
        ValueError: the number of parts is less than 1, or the axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> [t.tolist() for t in ops.tensor_split(Tensor([1, 2, 3, 4, 5]), 2)]
        [[1, 2, 3], [4, 5]]
    """
    return _split("tensor_split", as_tensor(input, "tensor_split"), indices_or_sections, axis)


@named
def hsplit(input: TensorLike, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Split a tensor along the second axis, a vector along the first, as tensor_split does.

    Args:
        input: a tensor-like of at least one dimension.
        indices_or_sections: the number of parts, or the indices at which parts begin.

    Returns:
        A tuple of views.

    Raises:
        TypeError: the input is not tensor-like, or a number is no int.
        ValueError: there are too few dimensions, or the number of parts is less than 1.

    Example:
        >>> from minitensor import Tensor, ops
        >>> [t.tolist() for t in ops.hsplit(Tensor([1, 2, 3, 4]), 2)]
        [[1, 2], [3, 4]]
    """
    t = _of_rank("hsplit", as_tensor(input, "hsplit"), 1)
    return _split("hsplit", t, indices_or_sections, 1 if t.ndim > 1 else 0)


@named
def vsplit(input: TensorLike, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Split a tensor along the first axis, as tensor_split does.

    Args:
        input: a tensor-like of at least two dimensions.
        indices_or_sections: the number of parts, or the indices at which parts begin.

    Returns:
        A tuple of views.

    Raises:
        TypeError: the input is not tensor-like, or a number is no int.
        ValueError: there are too few dimensions, or the number of parts is less than 1.

    Example:
        >>> from minitensor import Tensor, ops
        >>> [t.tolist() for t in ops.vsplit(Tensor([[1], [2]]), 2)]
        [[[1]], [[2]]]
    """
    t = _of_rank("vsplit", as_tensor(input, "vsplit"), 2)
    return _split("vsplit", t, indices_or_sections, 0)


@named
def dsplit(input: TensorLike, indices_or_sections: int | Sequence[int]) -> tuple[Tensor, ...]:
    """Split a tensor along the third axis, as tensor_split does.

    Args:
        input: a tensor-like of at least three dimensions.
        indices_or_sections: the number of parts, or the indices at which parts begin.

    Returns:
        A tuple of views.

    Raises:
        TypeError: the input is not tensor-like, or a number is no int.
        ValueError: there are too few dimensions, or the number of parts is less than 1.

    Example:
        >>> from minitensor import Tensor, ops
        >>> [t.tolist() for t in ops.dsplit(Tensor([[[1, 2]]]), 2)]
        [[[[1]]], [[[2]]]]
    """
    t = _of_rank("dsplit", as_tensor(input, "dsplit"), 3)
    return _split("dsplit", t, indices_or_sections, 2)
