"""Elements chosen: by their positions (gather, scatter), by a condition (masks), by their order (sort, topk).

What follows from shapes alone is made on the stream, and an index out of range is found there.  What only the value decides, such as
how many elements a mask chooses, waits for it.
"""

from __future__ import annotations

import builtins
from typing import Any, Literal, SupportsIndex, overload

import numpy as np

from minitensor.dtype import bool_, int64
from minitensor.ops._dispatch import aliases, as_ints, as_tensor, axis_aliases, host, host_many, named, normalize_axis
from minitensor.ops.elementwise import FUNCTIONS
from minitensor.ops.indexing import _indexed, getitem
from minitensor.tensor import Tensor
from minitensor.typing import TensorLike

__all__ = [
    "gather", "gather_elements", "gather_d", "gather_nd", "take", "take_along_dim", "index_select", "masked_fill",
    "masked_select", "select", "nonzero", "argwhere", "sort", "argsort", "topk", "scatter", "scatter_add", "index_add",
    "tensor_scatter_update", "unique", "searchsorted", "bincount",
]  # fmt: skip


# --- by position -----------------------------------------------------------------------------------------------------
def _integers(op: str, value: Any, like: Tensor) -> Tensor:
    index = as_tensor(value, op, like)
    if index.dtype.kind not in "iu":
        raise TypeError(f"[{op}] indices must be integers, got {index.dtype}")
    return index


@aliases(input="input_params", index="input_indices")
@axis_aliases
def gather(input_params: TensorLike, input_indices: TensorLike, axis: SupportsIndex) -> Tensor:
    """The slices of `input_params` along `axis` that the indices name; their shape takes the axis's place.

    Raises:
        TypeError: when the indices are no integers.
        IndexError: where the result is read, for an index out of range.
    """
    t = as_tensor(input_params, "gather")
    axis = normalize_axis("gather", axis, t.ndim)
    index = _integers("gather", input_indices, t)
    shape = (*t.shape[:axis], *index.shape, *t.shape[axis + 1 :])
    return _indexed("gather", lambda a, i: np.take(a, i.astype(np.int64, copy=False), axis), [t, index], shape, t.dtype)


@axis_aliases
def take(input: TensorLike, indices: TensorLike, axis: SupportsIndex | None = None) -> Tensor:
    """`gather`; without an axis from the flattened tensor."""
    t = as_tensor(input, "take")
    return gather(t.ravel(), indices, 0) if axis is None else gather(t, indices, axis)


@axis_aliases
def index_select(input: TensorLike, axis: SupportsIndex, index: TensorLike) -> Tensor:
    """`gather` with a vector of indices."""
    t = as_tensor(input, "index_select")
    vector = _integers("index_select", index, t)
    if vector.ndim != 1:
        raise ValueError(f"[index_select] index must have one dimension, got shape {vector.shape}")
    return gather(t, vector, axis)


@axis_aliases
def gather_elements(input: TensorLike, dim: SupportsIndex, index: TensorLike) -> Tensor:
    """For each place of `index` the element at that place, its coordinate along `dim` replaced by the index.

    Raises:
        ValueError: when the shapes differ in rank, or `index` is longer in another dimension.
        IndexError: where the result is read, for an index out of range.
    """
    t = as_tensor(input, "gather_elements")
    places = _integers("gather_elements", index, t)
    axis = normalize_axis("gather_elements", dim, t.ndim)
    if places.ndim != t.ndim or builtins.any(n > m for d, (n, m) in enumerate(zip(places.shape, t.shape)) if d != axis):
        raise ValueError(f"[gather_elements] an index of shape {places.shape} does not fit into {t.shape} along {axis}")
    window = tuple(slice(None) if d == axis else slice(n) for d, n in enumerate(places.shape))
    return _indexed("gather_elements", lambda a, i: np.take_along_axis(a[window], i, axis), [t, places], places.shape, t.dtype)


@aliases(input="x")
@axis_aliases
def gather_d(x: TensorLike, dim: SupportsIndex, index: TensorLike) -> Tensor:
    """The same as `gather_elements`."""
    return gather_elements(x, dim, index)


@axis_aliases
def take_along_dim(input: TensorLike, indices: TensorLike, dim: SupportsIndex) -> Tensor:
    """The same as `gather_elements`."""
    return gather_elements(input, dim, indices)


def gather_nd(input_x: TensorLike, indices: TensorLike) -> Tensor:
    """The slices that the last dimension of `indices` names by coordinates."""
    t = as_tensor(input_x, "gather_nd")
    index = _integers("gather_nd", indices, t)
    if not index.ndim or index.shape[-1] > t.ndim:
        raise ValueError(f"[gather_nd] the last dimension of indices holds 1 to {t.ndim} coordinates, got shape {index.shape}")
    shape = (*index.shape[:-1], *t.shape[index.shape[-1] :])
    return _indexed("gather_nd", lambda a, i: a[tuple(np.moveaxis(i, -1, 0))], [t, index], shape, t.dtype)


def _scattered(op: str, input: Any, axis: Any, index: Any, src: Any, add: bool) -> Tensor:
    t = as_tensor(input, op)
    axis = normalize_axis(op, axis, t.ndim)
    places = _integers(op, index, t)
    values = as_tensor(src, op, t).astype(t.dtype, copy=False)
    if places.ndim != t.ndim or builtins.any(n > m for d, (n, m) in enumerate(zip(places.shape, t.shape)) if d != axis):
        raise ValueError(f"[{op}] an index of shape {places.shape} does not fit into {t.shape} along {axis}")
    if values.ndim and (values.ndim != places.ndim or builtins.any(n < m for n, m in zip(values.shape, places.shape))):
        raise ValueError(f"[{op}] a src of shape {values.shape} is smaller than the index of shape {places.shape}")

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
    """A copy of `input` in which `src` stands where `gather_elements` with that index would read; the last write wins."""
    return _scattered("scatter", input, axis, index, src, False)


@axis_aliases
def scatter_add(input: TensorLike, axis: SupportsIndex, index: TensorLike, src: TensorLike) -> Tensor:
    """A copy of `input` to which `src` is added where `gather_elements` with that index would read."""
    return _scattered("scatter_add", input, axis, index, src, True)


@aliases(input="x")
@axis_aliases
def index_add(x: TensorLike, indices: TensorLike, y: TensorLike, axis: SupportsIndex) -> Tensor:
    """A copy of `x` with the slices of `y` added to the slices along `axis` that the indices name."""
    t = as_tensor(x, "index_add")
    axis = normalize_axis("index_add", axis, t.ndim)
    index, values = _integers("index_add", indices, t), as_tensor(y, "index_add", t).astype(t.dtype, copy=False)
    wanted = (*t.shape[:axis], index.size, *t.shape[axis + 1 :])
    if index.ndim != 1 or values.shape != wanted:
        raise ValueError(f"[index_add] y must have shape {wanted}, got {values.shape}")

    def write(a: np.ndarray, i: np.ndarray, v: np.ndarray) -> np.ndarray:
        result = a.copy()
        np.add.at(result, (slice(None),) * axis + (i,), v)
        return result

    return _indexed("index_add", write, [t, index, values], t.shape, t.dtype)


@named
def tensor_scatter_update(input_x: TensorLike, indices: TensorLike, updates: TensorLike) -> Tensor:
    """A copy of `input_x` with `updates` at the coordinates that the last dimension of `indices` holds."""
    t = as_tensor(input_x, "tensor_scatter_update")
    index = _integers("tensor_scatter_update", indices, t)
    values = as_tensor(updates, "tensor_scatter_update", t).astype(t.dtype, copy=False)
    if not index.ndim or index.shape[-1] > t.ndim:
        raise ValueError(f"[tensor_scatter_update] indices hold 1 to {t.ndim} coordinates each, got shape {index.shape}")
    wanted = (*index.shape[:-1], *t.shape[index.shape[-1] :])
    if values.shape != wanted:
        raise ValueError(f"[tensor_scatter_update] updates must have shape {wanted}, got {values.shape}")

    def write(a: np.ndarray, i: np.ndarray, v: np.ndarray) -> np.ndarray:
        result = a.copy()
        result[tuple(np.moveaxis(i, -1, 0))] = v
        return result

    return _indexed("tensor_scatter_update", write, [t, index, values], t.shape, t.dtype)


# --- by condition ----------------------------------------------------------------------------------------------------
def _mask(op: str, mask: Any, like: Tensor) -> Tensor:
    result = as_tensor(mask, op, like)
    if result.dtype is not bool_:
        raise TypeError(f"[{op}] the mask must be Bool, got {result.dtype}")
    return result


@aliases(input="input_x")
@named
def masked_fill(input_x: TensorLike, mask: TensorLike, value: TensorLike) -> Tensor:
    """A copy with `value` where the mask is True; `value` is cast to the dtype of `input_x`.

    Raises:
        TypeError: when the mask is not Bool, or the value complex and the tensor not.
    """
    t = as_tensor(input_x, "masked_fill")
    # The value is cast first: where() would promote, and int64 does not come back whole from float32.
    return FUNCTIONS["where"](_mask("masked_fill", mask, t), as_tensor(value, "masked_fill", t).astype(t.dtype, copy=False), t)


@named
def masked_select(input: TensorLike, mask: TensorLike) -> Tensor:
    """The elements where the mask (broadcast to the tensor, or the tensor to it) is True, in one dimension.  Waits for the mask."""
    from minitensor.ops.shape import broadcast_tensors

    t = as_tensor(input, "masked_select")
    wide, mask = broadcast_tensors(t, _mask("masked_select", mask, t))
    return getitem(wide, mask)


@named
def select(condition: TensorLike, input: TensorLike, other: TensorLike) -> Tensor:
    """The same as `where`."""
    return FUNCTIONS["where"](condition, input, other)


@overload
def nonzero(input: TensorLike, *, as_tuple: Literal[False] = False) -> Tensor: ...
@overload
def nonzero(input: TensorLike, *, as_tuple: Literal[True]) -> tuple[Tensor, ...]: ...
def nonzero(input: TensorLike, *, as_tuple: bool = False) -> Tensor | tuple[Tensor, ...]:
    """The coordinates of the elements that are not zero: (count, ndim) int64, or one vector for each dimension.  Waits.

    Raises:
        ValueError: for `as_tuple` of a tensor without dimensions, which has no vector to give.
    """
    t = as_tensor(input, "nonzero")
    if as_tuple and not t.ndim:
        raise ValueError("[nonzero] a tensor without dimensions has no coordinates; use as_tuple=False")
    places = np.argwhere(t._value())
    return tuple(Tensor(v, device=t.device) for v in places.T.copy()) if as_tuple else Tensor(places, device=t.device)


@named
def argwhere(input: TensorLike) -> Tensor:
    """The same as `nonzero`."""
    return nonzero(input)


@overload
def unique(input: TensorLike, return_inverse: Literal[True] = True) -> tuple[Tensor, Tensor]: ...
@overload
def unique(input: TensorLike, return_inverse: Literal[False]) -> Tensor: ...
def unique(input: TensorLike, return_inverse: bool = True) -> Tensor | tuple[Tensor, Tensor]:
    """(values in ascending order, for each element the position of its value); waits for the tensor."""
    t = as_tensor(input, "unique")
    values, inverse = np.unique(_comparable(t._value()), return_inverse=True)
    result = Tensor(values, t.dtype, device=t.device)
    return (result, Tensor(inverse.reshape(t.shape), int64, device=t.device)) if return_inverse else result


def bincount(input: TensorLike, weights: TensorLike | None = None, minlength: int = 0) -> Tensor:
    """How often each non-negative integer occurs, or the sum of its weights; waits for the tensor."""
    t = _integers("bincount", as_tensor(input, "bincount"), as_tensor(input, "bincount"))
    value = t._value()
    if value.ndim != 1 or (value.size and value.min() < 0):
        raise ValueError("[bincount] takes integers that are not negative, in one dimension")
    weight = None if weights is None else as_tensor(weights, "bincount", t)._value()
    return Tensor(np.bincount(value.astype(np.int64), weight, minlength), device=t.device)


# --- by order --------------------------------------------------------------------------------------------------------
def _comparable(a: np.ndarray) -> np.ndarray:
    """bfloat16 as float32: NumPy's sorting of it loses its way at a NaN."""
    return a.astype(np.float32) if a.dtype.name == "bfloat16" else a


def _ordered(a: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    a = _comparable(a)
    if not descending:
        return np.argsort(a, axis=axis, kind="stable")
    # Stable from the largest on: sorted backwards, with equal elements in their first order.
    return a.shape[axis] - 1 - np.flip(np.argsort(np.flip(a, axis), axis=axis, kind="stable"), axis)


@axis_aliases
def sort(input: TensorLike, axis: SupportsIndex = -1, descending: bool = False) -> tuple[Tensor, Tensor]:
    """(elements in order along `axis`, their former positions as int64); equal ones keep their order, NaN is the largest."""
    t = as_tensor(input, "sort")
    axis = normalize_axis("sort", axis, t.ndim)

    def order(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        places = _ordered(a, axis, descending)
        return np.take_along_axis(a, places, axis), places

    values, places = host_many("sort", order, [t], [(t.shape, t.dtype), (t.shape, int64)])
    return values, places


@axis_aliases
def argsort(input: TensorLike, axis: SupportsIndex = -1, descending: bool = False) -> Tensor:
    """The positions (int64) that put the elements in order along `axis`."""
    return sort(input, axis, descending)[1]


@axis_aliases
def topk(input: TensorLike, k: SupportsIndex, axis: SupportsIndex = -1, largest: bool = True, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """(the k largest or smallest elements along `axis`, their positions as int64), in order.

    Raises:
        ValueError: when there are fewer than k.
    """
    t = as_tensor(input, "topk")
    axis = normalize_axis("topk", axis, t.ndim)
    counts = as_ints("topk", k, "k")
    if len(counts) != 1 or not 0 <= counts[0] <= t.shape[axis]:
        raise ValueError(f"[topk] k must be 0 to {t.shape[axis]}, got {k!r}")
    values, places = sort(t, axis, largest)
    window = (slice(None),) * axis + (slice(counts[0]),)
    return getitem(values, window), getitem(places, window)


def searchsorted(sorted_sequence: TensorLike, values: TensorLike, *, right: bool = False) -> Tensor:
    """For each value the position (int64) at which it would be put into a sorted vector; `right`: after equal ones."""
    t = as_tensor(sorted_sequence, "searchsorted")
    if t.ndim != 1:
        raise ValueError(f"[searchsorted] the sequence must have one dimension, got shape {t.shape}")
    wanted = as_tensor(values, "searchsorted", t)
    side = "right" if right else "left"
    return host("searchsorted", lambda a, v: np.searchsorted(_comparable(a), _comparable(v), side), [t, wanted], wanted.shape, int64)


def install() -> None:
    """The method of Tensor that takes its operands in another order."""
    Tensor.where = lambda self, condition, other: FUNCTIONS["where"](condition, self, other)  # type: ignore[assignment]
