"""Ops that choose elements: by position (gather, scatter), by mask, by order (sort, topk).

The stream computes what follows from shapes alone, and finds an index that is out of range.  An op
whose result's shape depends on values, such as `masked_select`, waits for them.
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, overload

import numpy as np

from minitensor.backend.core import operators
from minitensor.dtype import bfloat16, bool_, float16, float32, int64
from minitensor.ops._dispatch import (
    aliases,
    array_op,
    array_pair,
    as_ints,
    as_tensor,
    axis_aliases,
    host,
    host_many,
    named,
    normalize_axis,
)
from minitensor.ops.elementwise import FUNCTIONS
from minitensor.ops.indexing import (
    GATHER,
    MASK_COORDINATES,
    MASK_GET,
    MASK_PLACES,
    SCATTER,
    SCATTER_ADD,
    _indexed,
    getitem,
    index_op,
    mask_op,
    weak_number,
)
from minitensor.ops.shape import broadcast_tensors
from minitensor.optable import ARRAY_CODES
from minitensor.tensor import Tensor

if TYPE_CHECKING:
    from minitensor.typing import TensorLike

__all__ = [
    "gather", "gather_elements", "gather_d", "gather_nd", "take", "take_along_dim", "index_select",
    "masked_fill", "masked_select", "select", "nonzero", "argwhere", "sort", "argsort", "topk",
    "scatter", "scatter_add", "index_add", "tensor_scatter_update", "unique", "searchsorted",
    "bincount",
]  # fmt: skip


# --- by position ----------------------------------------------------------------------------------
def _integers(op: str, value: Any, like: Tensor) -> Tensor:
    index = as_tensor(value, op, like)
    if index.dtype.kind not in "iu":
        raise TypeError(f"[{op}] indices must be integers, got {index.dtype}")
    return index


@operators.fast
@aliases(input="input_params", index="input_indices")
@axis_aliases
def gather(input_params: TensorLike, input_indices: TensorLike, axis: SupportsIndex) -> Tensor:
    """Return the slices along `axis` that indices name.

    Args:
        input_params: a tensor-like of at least one dimension and any dtype; also spelled `input`.
        input_indices: a tensor-like of integers; negative ones count from the end; also spelled
            `index`.
        axis: the axis, also spelled `dim`.

    Returns:
        A new tensor; the shape of the indices stands in place of the axis.

    Raises:
        TypeError: the indices are no integers, or the axis is no int.
        ValueError: the axis is out of range.
        IndexError: an index is out of range; raised by the read of the value.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.gather(Tensor([10, 20, 30]), Tensor([2, 0]), 0))
        [30 10]
    """
    t = as_tensor(input_params, "gather")
    axis = normalize_axis("gather", axis, t.ndim)
    index = _integers("gather", input_indices, t)
    result = index_op(GATHER, "gather", t, None, axis, (axis,), index)
    if result is not None:
        return result
    shape = (*t.shape[:axis], *index.shape, *t.shape[axis + 1 :])
    return _indexed(
        "gather",
        lambda a, i: np.take(a, i.astype(np.int64, copy=False), axis),
        [t, index],
        shape,
        t.dtype,
    )


@operators.fast
@axis_aliases
def take(input: TensorLike, indices: TensorLike, axis: SupportsIndex | None = None) -> Tensor:
    """Return the slices along `axis` that indices name, or elements of the flattened tensor.

    Args:
        input: a tensor-like of any dtype.
        indices: a tensor-like of integers; negative ones count from the end.
        axis: the axis, also spelled `dim`; None takes the flattened tensor.

    Returns:
        A new tensor; the shape of the indices stands in place of the axis.

    Raises:
        TypeError: the indices are no integers, or the axis is no int.
        ValueError: the axis is out of range.
        IndexError: an index is out of range; raised by the read of the value.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.take(Tensor([[1, 2], [3, 4]]), Tensor([3, 0])))
        [4 1]
    """
    t = as_tensor(input, "take")
    if axis is None and t.ndim == 1:
        axis = 0
    return gather(t.ravel(), indices, 0) if axis is None else gather(t, indices, axis)


@operators.fast
@axis_aliases
def index_select(input: TensorLike, axis: SupportsIndex, index: TensorLike) -> Tensor:
    """Return the slices along `axis` that a vector of indices names.

    Args:
        input: a tensor-like of at least one dimension and any dtype.
        axis: the axis, also spelled `dim`.
        index: a vector of integers; negative ones count from the end.

    Returns:
        A new tensor of the input's dtype.

    Raises:
        TypeError: the indices are no integers, or the axis is no int.
        ValueError: the indices have not one dimension, or the axis is out of range.
        IndexError: an index is out of range; raised by the read of the value.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.index_select(Tensor([[1, 2], [3, 4]]), 1, Tensor([1])))
        [[2]
         [4]]
    """
    t = as_tensor(input, "index_select")
    vector = _integers("index_select", index, t)
    if vector.ndim != 1:
        raise ValueError(f"[index_select] index must have one dimension, got shape {vector.shape}")
    return gather(t, vector, axis)


@operators.fast
@axis_aliases
def gather_elements(input: TensorLike, dim: SupportsIndex, index: TensorLike) -> Tensor:
    """Return, for each place of `index`, the element whose coordinate along `dim` is the index.

    Args:
        input: a tensor-like of at least one dimension and any dtype.
        dim: the dimension, also spelled `axis`.
        index: a tensor-like of integers, of as many dimensions and no longer in the other ones.

    Returns:
        A new tensor of the index's shape and the input's dtype.

    Raises:
        TypeError: the indices are no integers, or the dimension is no int.
        ValueError: the index does not fit the shape, or the dimension is out of range.
        IndexError: an index is out of range; raised by the read of the value.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.gather_elements(Tensor([[1, 2], [3, 4]]), 1, Tensor([[1], [0]])))
        [[2]
         [3]]
    """
    t = as_tensor(input, "gather_elements")
    places = _integers("gather_elements", index, t)
    axis = normalize_axis("gather_elements", dim, t.ndim)
    if places.ndim != t.ndim or builtins.any(
        n > m for d, (n, m) in enumerate(zip(places.shape, t.shape)) if d != axis
    ):
        raise ValueError(
            f"[gather_elements] index must have the dimensions of {t.shape} and be at most as long "
            f"except along {axis}, got {places.shape}"
        )
    result = index_op(GATHER, "gather_elements", t, None, -1, (axis,), places)
    if result is not None:
        return result
    window = tuple(slice(None) if d == axis else slice(n) for d, n in enumerate(places.shape))
    return _indexed(
        "gather_elements",
        lambda a, i: np.take_along_axis(a[window], i, axis),
        [t, places],
        places.shape,
        t.dtype,
    )


@aliases(input="x")
@axis_aliases
def gather_d(x: TensorLike, dim: SupportsIndex, index: TensorLike) -> Tensor:
    """Return the elements whose coordinate along `dim` is the index; an alias of `gather_elements`.

    Args:
        x: a tensor-like of at least one dimension and any dtype; also spelled `input`.
        dim: the dimension, also spelled `axis`.
        index: a tensor-like of integers, of as many dimensions and no longer in the other ones.

    Returns:
        A new tensor of the index's shape and the input's dtype.

    Raises:
        TypeError: the indices are no integers, or the dimension is no int.
        ValueError: the index does not fit the shape, or the dimension is out of range.
        IndexError: an index is out of range; raised by the read of the value.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.gather_d(Tensor([[1, 2], [3, 4]]), 1, Tensor([[1], [0]])))
        [[2]
         [3]]
    """
    return gather_elements(x, dim, index)


@operators.fast
@axis_aliases
def take_along_dim(input: TensorLike, indices: TensorLike, dim: SupportsIndex) -> Tensor:
    """Return the elements whose coordinate along `dim` is the index; an alias of `gather_elements`.

    Args:
        input: a tensor-like of at least one dimension and any dtype.
        indices: a tensor-like of integers, of as many dimensions and no longer in the other ones.
        dim: the dimension, also spelled `axis`.

    Returns:
        A new tensor of the index's shape and the input's dtype.

    Raises:
        TypeError: the indices are no integers, or the dimension is no int.
        ValueError: the index does not fit the shape, or the dimension is out of range.
        IndexError: an index is out of range; raised by the read of the value.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.take_along_dim(Tensor([[1, 2], [3, 4]]), Tensor([[1], [0]]), 1))
        [[2]
         [3]]
    """
    return gather_elements(input, dim, indices)


_SUMMED = {float16: float32, bfloat16: float32, bool_: int64}


def _columns(index: Tensor) -> tuple[Any, ...]:
    """Return the dimensions that rows of coordinates index, and a view of each coordinate."""
    n = index.shape[-1]
    return (tuple(range(n)), *(getitem(index, (..., d)) for d in range(n)))


def _written(
    op: str, kernel: int, t: Tensor, values: Tensor, ahead: int, dims: Any, *index: Any
) -> Tensor | None:
    """Return a copy of `t` with values at the places that indices name; None without a kernel.

    Sums of a half type are added in float32 and rounded once; of bools they are True from one on.
    """
    wide = _SUMMED.get(t.dtype) if kernel == SCATTER_ADD else None
    if wide is not None:
        found = _written(op, kernel, t.astype(wide), values.astype(wide), ahead, dims, *index)
        return None if found is None else found.astype(t.dtype)
    result = t.copy()
    return index_op(kernel, op, result, values, ahead, dims, *index)


def gather_nd(input_x: TensorLike, indices: TensorLike) -> Tensor:
    """Return the slices whose coordinates the last dimension of `indices` holds.

    Args:
        input_x: a tensor-like of at least one dimension and any dtype.
        indices: a tensor-like of integers; its last dimension holds 1 to ndim coordinates.

    Returns:
        A new tensor of the input's dtype; slices stand in place of the last dimension.

    Raises:
        TypeError: the indices are no integers.
        ValueError: there are no coordinates, or too many.
        IndexError: a coordinate is out of range; raised by the read of the value.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.gather_nd(Tensor([[1, 2], [3, 4]]), Tensor([[0, 1], [1, 0]])))
        [2 3]
    """
    t = as_tensor(input_x, "gather_nd")
    index = _integers("gather_nd", indices, t)
    if not index.ndim or index.shape[-1] > t.ndim:
        raise ValueError(
            f"[gather_nd] the last dimension of indices must be of 1 to {t.ndim} coordinates, got "
            f"shape {index.shape}"
        )
    shape = (*index.shape[:-1], *t.shape[index.shape[-1] :])
    if index.shape[-1]:
        result = index_op(GATHER, "gather_nd", t, None, 0, *_columns(index))
        if result is not None:
            return result
    return _indexed(
        "gather_nd", lambda a, i: a[tuple(np.moveaxis(i, -1, 0))], [t, index], shape, t.dtype
    )


def _scattered(op: str, input: Any, axis: Any, index: Any, src: Any, add: bool) -> Tensor:
    t = as_tensor(input, op)
    axis = normalize_axis(op, axis, t.ndim)
    places = _integers(op, index, t)
    values = as_tensor(src, op, t).astype(t.dtype, copy=False)
    if places.ndim != t.ndim or builtins.any(
        n > m for d, (n, m) in enumerate(zip(places.shape, t.shape)) if d != axis
    ):
        raise ValueError(
            f"[{op}] index must have the dimensions of {t.shape} and be at most as long except "
            f"along {axis}, got {places.shape}"
        )
    if values.ndim and (
        values.ndim != places.ndim
        or builtins.any(n < m for n, m in zip(values.shape, places.shape))
    ):
        raise ValueError(
            f"[{op}] src must be at least as large as index, {places.shape}, got {values.shape}"
        )

    result = _written(op, SCATTER_ADD if add else SCATTER, t, values, -1, (axis,), places)
    if result is not None:
        return result

    def write(a: np.ndarray, i: np.ndarray, v: np.ndarray) -> np.ndarray:
        result = a.copy()
        where = list(np.indices(i.shape, sparse=True))
        where[axis] = i
        v = v[tuple(slice(n) for n in i.shape)] if v.ndim else v
        if add:
            np.add.at(result, tuple(where), v)
        else:
            result[tuple(where)] = v
        return result

    return _indexed(op, write, [t, places, values], t.shape, t.dtype)


@axis_aliases
def scatter(input: TensorLike, axis: SupportsIndex, index: TensorLike, src: TensorLike) -> Tensor:
    """Return a copy of `input` with `src` at the places that `index` names; the last write wins.

    Args:
        input: a tensor-like of at least one dimension and any dtype.
        axis: the axis along which the indices count, also spelled `dim`.
        index: a tensor-like of integers, as for `gather_elements`.
        src: a number, or a tensor-like at least as long as the index in each dimension.

    Returns:
        A new tensor of the input's shape and dtype.

    Raises:
        TypeError: the indices are no integers, or the axis is no int.
        ValueError: the index or the source does not fit, or the axis is out of range.
        IndexError: an index is out of range; raised by the read of the value.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.scatter(Tensor([0, 0, 0]), 0, Tensor([2, 0]), Tensor([5, 6])))
        [6 0 5]
    """
    return _scattered("scatter", input, axis, index, src, False)


@axis_aliases
def scatter_add(
    input: TensorLike, axis: SupportsIndex, index: TensorLike, src: TensorLike
) -> Tensor:
    """Return a copy of `input` with `src` added at the places that `index` names.

    Args:
        input: a tensor-like of at least one dimension and any dtype.
        axis: the axis along which the indices count, also spelled `dim`.
        index: a tensor-like of integers, as for `gather_elements`.
        src: a number, or a tensor-like at least as long as the index in each dimension.

    Returns:
        A new tensor of the input's shape and dtype.

    Raises:
        TypeError: the indices are no integers, or the axis is no int.
        ValueError: the index or the source does not fit, or the axis is out of range.
        IndexError: an index is out of range; raised by the read of the value.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.scatter_add(Tensor([1, 1, 1]), 0, Tensor([2, 2]), Tensor([5, 6])))
        [ 1  1 12]
    """
    return _scattered("scatter_add", input, axis, index, src, True)


@aliases(input="x")
@axis_aliases
def index_add(x: TensorLike, indices: TensorLike, y: TensorLike, axis: SupportsIndex) -> Tensor:
    """Return a copy of `x` with the slices of `y` added to those that the indices name.

    Args:
        x: a tensor-like of at least one dimension and any dtype; also spelled `input`.
        indices: a vector of integers.
        y: a tensor-like of the shape of `x`, with one slice for each index.
        axis: the axis along which the indices count, also spelled `dim`.

    Returns:
        A new tensor of the shape and dtype of `x`.

    Raises:
        TypeError: the indices are no integers, or the axis is no int.
        ValueError: `y` has another shape, or the axis is out of range.
        IndexError: an index is out of range; raised by the read of the value.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.index_add(Tensor([1, 1, 1]), Tensor([0, 0]), Tensor([5, 6]), 0))
        [12  1  1]
    """
    t = as_tensor(x, "index_add")
    axis = normalize_axis("index_add", axis, t.ndim)
    index, values = (
        _integers("index_add", indices, t),
        as_tensor(y, "index_add", t).astype(t.dtype, copy=False),
    )
    wanted = (*t.shape[:axis], index.size, *t.shape[axis + 1 :])
    if index.ndim != 1 or values.shape != wanted:
        raise ValueError(f"[index_add] y must have shape {wanted}, got {values.shape}")

    result = _written("index_add", SCATTER_ADD, t, values, axis, (axis,), index)
    if result is not None:
        return result

    def write(a: np.ndarray, i: np.ndarray, v: np.ndarray) -> np.ndarray:
        result = a.copy()
        np.add.at(result, (slice(None),) * axis + (i,), v)
        return result

    return _indexed("index_add", write, [t, index, values], t.shape, t.dtype)


@named
def tensor_scatter_update(input_x: TensorLike, indices: TensorLike, updates: TensorLike) -> Tensor:
    """Return a copy of `input_x` with `updates` at the coordinates that `indices` holds.

    Args:
        input_x: a tensor-like of at least one dimension and any dtype.
        indices: a tensor-like of integers; its last dimension holds 1 to ndim coordinates.
        updates: a tensor-like with a slice for each row of coordinates.

    Returns:
        A new tensor of the input's shape and dtype.

    Raises:
        TypeError: the indices are no integers.
        ValueError: there are no coordinates, or too many, or `updates` has another shape.
        IndexError: a coordinate is out of range; raised by the read of the value.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.tensor_scatter_update(Tensor([1, 2, 3]), Tensor([[1]]), Tensor([9])))
        [1 9 3]
    """
    t = as_tensor(input_x, "tensor_scatter_update")
    index = _integers("tensor_scatter_update", indices, t)
    values = as_tensor(updates, "tensor_scatter_update", t).astype(t.dtype, copy=False)
    if not index.ndim or index.shape[-1] > t.ndim:
        raise ValueError(
            f"[tensor_scatter_update] the last dimension of indices must be of 1 to {t.ndim} "
            f"coordinates, got shape {index.shape}"
        )
    wanted = (*index.shape[:-1], *t.shape[index.shape[-1] :])
    if values.shape != wanted:
        raise ValueError(
            f"[tensor_scatter_update] updates must have shape {wanted}, got {values.shape}"
        )

    if index.shape[-1]:
        result = _written("tensor_scatter_update", SCATTER, t, values, 0, *_columns(index))
        if result is not None:
            return result

    def write(a: np.ndarray, i: np.ndarray, v: np.ndarray) -> np.ndarray:
        result = a.copy()
        result[tuple(np.moveaxis(i, -1, 0))] = v
        return result

    return _indexed("tensor_scatter_update", write, [t, index, values], t.shape, t.dtype)


# --- by condition ---------------------------------------------------------------------------------
def _mask(op: str, mask: Any, like: Tensor) -> Tensor:
    result = as_tensor(mask, op, like)
    if result.dtype is not bool_:
        raise TypeError(f"[{op}] the mask must be Bool, got {result.dtype}")
    return result


@aliases(input="input_x")
@named
def masked_fill(input_x: TensorLike, mask: TensorLike, value: TensorLike) -> Tensor:
    """Return a copy with `value` where the mask is True.

    Args:
        input_x: a tensor-like of any shape and dtype; also spelled `input`.
        mask: a tensor-like of bools that broadcasts with the input.
        value: a number, or a tensor-like that broadcasts; it is cast to the input's dtype.

    Returns:
        A new tensor of the input's dtype.

    Raises:
        TypeError: the mask is no tensor of bools, or the value is complex and the input is not.
        ValueError: the shapes do not broadcast.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.masked_fill(Tensor([1, 2]), Tensor([True, False]), 0))
        [0 2]
    """
    t = as_tensor(input_x, "masked_fill")
    number = weak_number(value)
    if number is not None and t.dtype.kind == "f":
        return FUNCTIONS["where"](_mask("masked_fill", mask, t), number, t)
    # The value is cast first, because where() would promote, and float32 does not hold all int64.
    return FUNCTIONS["where"](
        _mask("masked_fill", mask, t),
        as_tensor(value, "masked_fill", t).astype(t.dtype, copy=False),
        t,
    )


@named
def masked_select(input: TensorLike, mask: TensorLike) -> Tensor:
    """Return the elements where the mask is True; wait for the mask.

    Args:
        input: a tensor-like of any shape and dtype.
        mask: a tensor-like of bools that broadcasts with the input.

    Returns:
        A new tensor of one dimension and the input's dtype.

    Raises:
        TypeError: the mask is no tensor of bools.
        ValueError: the shapes do not broadcast.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.masked_select(Tensor([1, 2, 3]), Tensor([True, False, True])))
        [1 3]
    """
    t = as_tensor(input, "masked_select")
    mask = _mask("masked_select", mask, t)
    if t.shape != mask.shape:
        t, mask = (part.contiguous() for part in broadcast_tensors(t, mask))
    result = mask_op(MASK_GET, "masked_select", t, mask, None)
    return getitem(t, mask) if result is None else result


@named
def select(condition: TensorLike, input: TensorLike, other: TensorLike) -> Tensor:
    """Return `input` where the condition holds, and `other` elsewhere; an alias of `where`.

    Args:
        condition: a tensor-like of any shape and dtype, cast to bool.
        input: a tensor-like of a shape that broadcasts.
        other: a tensor-like of a shape that broadcasts.

    Returns:
        A new tensor of the dtype that `input` and `other` promote to.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the shapes do not broadcast.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.select(Tensor([True, False]), 1, Tensor([10, 20])))
        [ 1 20]
    """
    return FUNCTIONS["where"](condition, input, other)


@overload
def nonzero(input: TensorLike, *, as_tuple: Literal[False] = False) -> Tensor: ...
@overload
def nonzero(input: TensorLike, *, as_tuple: Literal[True]) -> tuple[Tensor, ...]: ...
def nonzero(input: TensorLike, *, as_tuple: bool = False) -> Tensor | tuple[Tensor, ...]:
    """Return the coordinates of the elements that are not zero; wait for the value.

    Args:
        input: a tensor-like of any shape and dtype.
        as_tuple: True returns one vector for each dimension.

    Returns:
        A tensor of int64 and shape (count, ndim), or a tuple of ndim vectors.

    Raises:
        TypeError: the input is not tensor-like.
        ValueError: `as_tuple` is True and the input has no dimensions.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.nonzero(Tensor([0, 5, 6])))
        [[1]
         [2]]
    """
    t = as_tensor(input, "nonzero")
    if as_tuple and not t.ndim:
        raise ValueError(
            "[nonzero] input must have a dimension for as_tuple=True, got shape (); use "
            "as_tuple=False"
        )
    mask = (t if t.dtype is bool_ else FUNCTIONS["ne"](t, 0)).contiguous()
    what = MASK_COORDINATES if as_tuple else MASK_PLACES
    result = mask_op(what, "nonzero", mask, mask, None)
    if result is not None:
        return tuple(getitem(result, d) for d in range(t.ndim)) if as_tuple else result
    places = np.argwhere(t._value())
    return (
        tuple(Tensor(v, device=t.device) for v in places.T.copy())
        if as_tuple
        else Tensor(places, device=t.device)
    )


@named
def argwhere(input: TensorLike) -> Tensor:
    """Return the coordinates of the elements that are not zero; wait for the value.

    Args:
        input: a tensor-like of any shape and dtype.

    Returns:
        A tensor of int64 and shape (count, ndim).

    Raises:
        TypeError: the input is not tensor-like.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.argwhere(Tensor([[0, 5], [6, 0]])))
        [[0 1]
         [1 0]]
    """
    return nonzero(input)


@overload
def unique(input: TensorLike, return_inverse: Literal[True] = True) -> tuple[Tensor, Tensor]: ...
@overload
def unique(input: TensorLike, return_inverse: Literal[False]) -> Tensor: ...
def unique(input: TensorLike, return_inverse: bool = True) -> Tensor | tuple[Tensor, Tensor]:
    """Return the different elements in ascending order; wait for the value.

    Args:
        input: a tensor-like of any shape and dtype.
        return_inverse: True returns, for each element of the input, the position of its value, too.

    Returns:
        A pair (values of the input's dtype, positions of int64), or the values alone.

    Raises:
        TypeError: the input is not tensor-like.

    Example:
        >>> from minitensor import Tensor, ops
        >>> values, positions = ops.unique(Tensor([3, 1, 3]))
        >>> print(values, positions)
        [1 3] [1 0 1]
    """
    t = as_tensor(input, "unique")
    n = t.size
    if n < _LONG:
        codes = t.dtype.code, _INT64
        pair = array_pair(_UNIQUE, "unique", codes, (n + 1,), (bool(return_inverse),), t.ravel())
        if pair is not None:
            count = int(pair[1][n])
            found = pair[0][:count]
            if 2 * count < n:  # a view would keep the memory of all elements
                found = found.copy()
            return (found, pair[1][:n].reshape(t.shape)) if return_inverse else found
    if not return_inverse:
        return Tensor(np.unique(_comparable(t._value())), t.dtype, device=t.device)
    values, inverse = np.unique(_comparable(t._value()), return_inverse=True)
    return (
        Tensor(values, t.dtype, device=t.device),
        Tensor(inverse.reshape(t.shape), int64, device=t.device),
    )


def bincount(input: TensorLike, weights: TensorLike | None = None, minlength: int = 0) -> Tensor:
    """Return how often each integer occurs, or the sum of its weights; wait for the value.

    Args:
        input: a vector of integers that are not negative.
        weights: a tensor-like of the input's shape; None counts.
        minlength: the least length of the result.

    Returns:
        A new tensor of one dimension; int64, or float64 with weights.

    Raises:
        TypeError: the input holds no integers.
        ValueError: an integer is negative, or the input has not one dimension.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.bincount(Tensor([0, 2, 2])))
        [1 0 2]
    """
    t = _integers("bincount", as_tensor(input, "bincount"), as_tensor(input, "bincount"))
    value = t._value()
    if value.ndim != 1 or (value.size and value.min() < 0):
        got = f"shape {value.shape}" if value.ndim != 1 else value.min()
        raise ValueError(
            f"[bincount] input must be of non-negative integers in one dimension, got {got}"
        )
    weight = None if weights is None else as_tensor(weights, "bincount", t)._value()
    return Tensor(np.bincount(value.astype(np.int64), weight, minlength), device=t.device)


# --- by order -------------------------------------------------------------------------------------
_SORT, _TOPK, _UNIQUE, _SEARCH = (
    ARRAY_CODES[name] for name in ("sort", "topk", "unique", "searchsorted")
)
_LONG = 1 << 32  # along an axis: more than the kernels' positions
_FEW = 1 << 11  # elements that are sorted across rows as fast as they are moved
_INT64 = int64.code


def _comparable(a: np.ndarray) -> np.ndarray:
    """Return bfloat16 as float32, because NumPy missorts a bfloat16 array with NaN."""
    return a.astype(np.float32) if a.dtype.name == "bfloat16" else a


def _in_order(
    kernel: int, op: str, t: Tensor, axis: int, k: int, descending: bool
) -> tuple[Tensor, Tensor] | None:
    """Return the first k elements in order, and their positions; None if no kernel does it."""
    shape = t.shape
    last = len(shape) - 1
    if shape[axis] >= _LONG:
        return None
    if axis != last and t.size > _FEW and shape[axis] > 1:  # rows lie in memory as they are sorted
        found = _in_order(kernel, op, t.swapaxes(axis, last).contiguous(), last, k, descending)
        return found and (
            found[0].swapaxes(axis, last).contiguous(), found[1].swapaxes(axis, last).contiguous()
        )  # fmt: skip
    if k != shape[axis]:
        shape = (*shape[:axis], k, *shape[axis + 1 :])
    return array_pair(kernel, op, (t.dtype.code, _INT64), shape, (axis, descending), t)


def _axis_of(op: str, t: Tensor, axis: Any) -> int:
    """Return the axis counted from the front."""
    n = t.ndim
    if axis.__class__ is int and -n <= axis < n:
        return axis % n
    return normalize_axis(op, axis, n)


def _ordered(a: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    a = _comparable(a)
    if not descending:
        return np.argsort(a, axis=axis, kind="stable")
    # Stable: the flipped array is sorted and flipped back, so equal elements keep their order.
    return a.shape[axis] - 1 - np.flip(np.argsort(np.flip(a, axis), axis=axis, kind="stable"), axis)


@axis_aliases
def sort(
    input: TensorLike, axis: SupportsIndex = -1, descending: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the elements in order along `axis`, and their former positions.

    Equal elements keep their order; NaN is the greatest.

    Args:
        input: a tensor-like of at least one dimension and any dtype.
        axis: the axis, also spelled `dim`.
        descending: True starts with the greatest element.

    Returns:
        A pair (values of the input's dtype, positions of int64).

    Raises:
        TypeError: the axis is no int.
        ValueError: the axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> values, positions = ops.sort(Tensor([3, 1, 2]))
        >>> print(values, positions)
        [1 2 3] [1 2 0]
    """
    t = as_tensor(input, "sort")
    axis = _axis_of("sort", t, axis)
    found = _in_order(_SORT, "sort", t, axis, t.shape[axis], descending)
    if found is not None:
        return found

    def order(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        places = _ordered(a, axis, descending)
        return np.take_along_axis(a, places, axis), places

    values, places = host_many("sort", order, [t], [(t.shape, t.dtype), (t.shape, int64)])
    return values, places


@axis_aliases
def argsort(input: TensorLike, axis: SupportsIndex = -1, descending: bool = False) -> Tensor:
    """Return the positions that put the elements in order along `axis`.

    Args:
        input: a tensor-like of at least one dimension and any dtype.
        axis: the axis, also spelled `dim`.
        descending: True starts with the greatest element.

    Returns:
        A new tensor of int64 and the input's shape.

    Raises:
        TypeError: the axis is no int.
        ValueError: the axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.argsort(Tensor([3, 1, 2])))
        [1 2 0]
    """
    return sort(input, axis, descending)[1]


@axis_aliases
def topk(
    input: TensorLike,
    k: SupportsIndex,
    axis: SupportsIndex = -1,
    largest: bool = True,
    sorted: bool = True,
) -> tuple[Tensor, Tensor]:
    """Return the `k` greatest or least elements along `axis` in order, and their positions.

    Args:
        input: a tensor-like of at least one dimension and any dtype.
        k: the number of elements.
        axis: the axis, also spelled `dim`.
        largest: False takes the least elements.
        sorted: kept for programs that give it; the elements are always in order.

    Returns:
        A pair (values of the input's dtype, positions of int64).

    Raises:
        TypeError: `k` or the axis is no int.
        ValueError: the axis is out of range, or has fewer than `k` elements.

    Example:
        >>> from minitensor import Tensor, ops
        >>> values, positions = ops.topk(Tensor([3, 1, 2]), 2)
        >>> print(values, positions)
        [3 2] [0 2]
    """
    t = as_tensor(input, "topk")
    axis = _axis_of("topk", t, axis)
    counts = (k,) if k.__class__ is int else as_ints("topk", k, "k")
    count = counts[0] if len(counts) == 1 else -1
    if not 0 <= count <= t.shape[axis]:
        raise ValueError(f"[topk] k must be from 0 to {t.shape[axis]}, got {k!r}")
    found = _in_order(_TOPK, "topk", t, axis, count, bool(largest))
    if found is not None:
        return found
    values, places = sort(t, axis, largest)
    window = (slice(None),) * axis + (slice(count),)
    return getitem(values, window), getitem(places, window)


def searchsorted(sorted_sequence: TensorLike, values: TensorLike, *, right: bool = False) -> Tensor:
    """Return, for each value, the position at which it keeps a sorted vector in order.

    Args:
        sorted_sequence: a vector in ascending order.
        values: a tensor-like of any shape.
        right: True returns the position after equal elements, False the one before them.

    Returns:
        A new tensor of int64 and the shape of `values`.

    Raises:
        TypeError: an argument is not tensor-like.
        ValueError: the sequence has not one dimension.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.searchsorted(Tensor([1, 3, 5]), Tensor([3, 4])))
        [1 2]
    """
    t = as_tensor(sorted_sequence, "searchsorted")
    if t.ndim != 1:
        raise ValueError(
            f"[searchsorted] the sequence must have one dimension, got shape {t.shape}"
        )
    wanted = as_tensor(values, "searchsorted", t)
    if wanted.dtype is t.dtype:
        found = array_op(
            _SEARCH, "searchsorted", int64.code, wanted.shape, (bool(right),), t, wanted
        )
        if found is not None:
            return found
    side = "right" if right else "left"
    return host(
        "searchsorted",
        lambda a, v: np.searchsorted(_comparable(a), _comparable(v), side),
        [t, wanted],
        wanted.shape,
        int64,
    )


def _where(self: Tensor, condition: TensorLike, other: TensorLike) -> Tensor:
    """Return the tensor's elements where the condition holds, and those of `other` elsewhere.

    Args:
        condition: a tensor-like of a shape that broadcasts, of any dtype, cast to bool.
        other: a tensor-like of a shape that broadcasts.

    Returns:
        A new tensor of the dtype that the tensor and `other` promote to.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the shapes do not broadcast.

    Example:
        >>> from minitensor import Tensor
        >>> print(Tensor([1, 2]).where(Tensor([True, False]), 0))
        [1 0]
    """
    return FUNCTIONS["where"](condition, self, other)


_where.__name__, _where.__qualname__, _where.__module__ = "where", "Tensor.where", Tensor.__module__


def install() -> None:
    """Give Tensor `where`, which takes its operands in another order."""
    Tensor.where = _where  # type: ignore[assignment]
