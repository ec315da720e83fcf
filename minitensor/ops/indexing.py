"""Elements by their places: `t[...]`, and the functions that gather, scatter, choose and sort.

Ints, slices, None and Ellipsis give views, by arithmetic on strides.  Integer tensors (or arrays, or lists) copy: the shape of the
result follows from shapes alone, so it is made on the stream, and an index that is out of range is found there.  How many elements a
bool mask chooses only its value says; such an index waits for the mask.  The rules are NumPy's.
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from minitensor.backend import native
from minitensor.dtype import bool_, int64
from minitensor.ops._dispatch import as_ints, as_tensor, assign, axis_aliases, host, host_many, normalize_axis
from minitensor.ops.elementwise import FUNCTIONS
from minitensor.tensor import Tensor

__all__ = [
    "gather", "gather_elements", "gather_d", "gather_nd", "take", "take_along_dim", "index_select", "masked_fill",
    "masked_select", "select", "nonzero", "argwhere", "sort", "argsort", "topk", "scatter", "scatter_add", "index_add",
    "tensor_scatter_update", "unique", "searchsorted", "bincount",
]  # fmt: skip


# --- t[...] ----------------------------------------------------------------------------------------------------------
def _bounds(index: int, length: int) -> int:
    if not -length <= index < length:
        raise IndexError(f"[getitem] index {index} is out of bounds for dimension with size {length}")
    return index + length if index < 0 else index


def _is_advanced(part: Any) -> bool:
    return isinstance(part, (Tensor, np.ndarray, list, bool, np.bool_)) and not _is_int(part)


def _is_int(part: Any) -> bool:
    return (isinstance(part, (int, np.integer)) and not isinstance(part, (bool, np.bool_))) or (
        isinstance(part, (Tensor, np.ndarray)) and part.ndim == 0 and part.dtype.kind in "iu")  # fmt: skip


def _expanded(key: Any, ndim: int) -> list[Any]:
    """The index as a list with one part for each dimension: a full slice where nothing is said."""
    parts = list(key) if isinstance(key, tuple) else [key]
    taken, dots = 0, -1
    for i, part in enumerate(parts):
        if part is Ellipsis:
            if dots >= 0:
                raise IndexError("[getitem] an index can have only one Ellipsis (...)")
            dots = i
        elif part is None or isinstance(part, (bool, np.bool_)):
            pass
        elif isinstance(part, slice) or _is_int(part):
            taken += 1
        elif _is_advanced(part):
            if isinstance(part, list):
                part = parts[i] = _index_array(part)
            kind, rank = part.dtype.kind, part.ndim
            if kind not in "biu":
                raise IndexError(f"[getitem] only integers and bools are indexes, got a tensor of {part.dtype}")
            taken += rank if kind == "b" else 1
        else:
            error = TypeError if isinstance(part, str) else IndexError
            raise error(f"[getitem] an index is made of ints, slices, None, ..., bools, lists and tensors; got {part!r}")
    if taken > ndim:
        raise IndexError(f"[getitem] too many indices: {taken} for a tensor of {ndim} dimensions")
    fill = [slice(None)] * (ndim - taken)
    return parts[:dots] + fill + parts[dots + 1 :] if dots >= 0 else parts + fill


def _index_array(values: list[Any]) -> np.ndarray:
    array = np.asarray([v._value() if isinstance(v, Tensor) else v for v in values] if values else np.zeros(0, np.int64))
    if array.dtype.kind not in "biu":
        raise IndexError(f"[getitem] only integers and bools are indexes, got {values!r}")
    return array


def _basic(t: Tensor, parts: list[Any]) -> Tensor:
    """The view that ints, slices and None make."""
    shape: list[int] = []
    strides: list[int] = []
    offset, d = t._offset, 0
    old_shape, old_strides = t.shape, t.strides
    for part in parts:
        if part is None:
            shape.append(1)
            strides.append(0)
        elif isinstance(part, slice):
            try:
                start, stop, step = part.indices(old_shape[d])
            except TypeError:
                raise TypeError(f"[getitem] a slice is made of ints, got {part}") from None
            except ValueError:
                raise ValueError("[getitem] the step of a slice can't be 0") from None
            length = builtins.max(0, -(-(stop - start) // step) if step > 0 else -(-(start - stop) // -step))
            offset += start * old_strides[d] if length else 0
            shape.append(length)
            strides.append(old_strides[d] * step)
            d += 1
        else:
            offset += _bounds(int(part), old_shape[d]) * old_strides[d]
            d += 1
    return t._view(shape, strides, offset)


def _advanced(t: Tensor, parts: list[Any]) -> tuple[Tensor, list[Any]]:
    """The view that the basic parts make, and the index that is left: masks as the integers that they stand for.

    As in NumPy an int beside an advanced index counts as one, so it stays.
    """
    ahead: list[Any] = []
    rest: list[Any] = []
    for part in parts:
        if _is_int(part):
            ahead.append(slice(None))
            rest.append(np.asarray(int(part)))
            continue
        if not _is_advanced(part):
            ahead.append(part)
            rest.append(slice(None))
            continue
        if isinstance(part, (bool, np.bool_)):
            ahead.append(None)  # NumPy: a new dimension of length 1 or 0, chosen by the bool
            rest.append(np.flatnonzero([part]))
            continue
        if part.dtype.kind == "b":
            start = builtins.sum(1 for p in ahead if p is not None)
            lengths = t.shape[start : start + part.ndim]
            if tuple(part.shape) != lengths:
                raise IndexError(f"[getitem] a mask of shape {tuple(part.shape)} does not fit the dimensions {lengths}")
            value = part._value() if isinstance(part, Tensor) else part
            if not part.ndim:
                ahead.append(None)
                rest.append(np.flatnonzero(value.reshape(1)))
                continue
            ahead += [slice(None)] * part.ndim
            rest += value.nonzero()
            continue
        ahead.append(slice(None))
        rest.append(part)
    return _basic(t, ahead), rest


def _result_shape(shape: tuple[int, ...], rest: list[Any]) -> tuple[int, ...]:
    """The shape of an advanced index, found by NumPy on an array without memory."""
    dummies = tuple(part if isinstance(part, slice) else np.zeros(tuple(part.shape), np.int64) for part in rest)
    lengths = tuple(builtins.max(n, 1) for n in shape)
    try:
        result = np.broadcast_to(np.int8(0), lengths)[dummies].shape
    except IndexError as error:
        raise IndexError(f"[getitem] {error}") from None
    sliced = [n for n, part in zip(shape, rest) if isinstance(part, slice)]
    if 0 not in sliced:
        return result
    # A dimension of length 0 was taken for 1 above; where it went, NumPy's rule for the place of the indexed dimensions says.
    marks = np.broadcast_to(np.int8(0), tuple(n if isinstance(p, slice) else builtins.max(n, 1) for n, p in zip(shape, rest)))
    return marks[dummies].shape


def _key(rest: list[Any], arrays: tuple[np.ndarray, ...]) -> tuple[Any, ...]:
    given = iter(arrays)
    return tuple(next(given) if isinstance(part, Tensor) else part for part in rest)


def getitem(self: Tensor, key: Any) -> Tensor:
    """`t[key]`: a view for ints, slices, None and Ellipsis; a copy for lists, arrays, tensors and masks.

    Raises:
        IndexError: for an index out of range, too many of them, or one that is no index.  For an integer tensor it rises where the
            result is read.
    """
    parts = _expanded(key, self.ndim)
    if not builtins.any(_is_advanced(p) for p in parts):
        return _basic(self, parts)
    base, rest = _advanced(self, parts)
    shape = _result_shape(base.shape, rest)
    tensors = [p.to(self._device) if isinstance(p, Tensor) else None for p in rest]
    moved = [p if t is None else t for p, t in zip(rest, tensors)]
    return host("getitem", lambda a, *index: a[_key(moved, index)], [base, *[t for t in tensors if t is not None]], shape, self.dtype)


def setitem(self: Tensor, key: Any, value: Any) -> None:
    """`t[key] = value`: broadcast and cast into the elements that `t[key]` names, in the storage that `t` views.

    Raises:
        IndexError: as for `t[key]`; for an integer tensor where the tensor is read.
        ValueError: when the value's shape does not fit.
    """
    parts = _expanded(key, self.ndim)
    if not builtins.any(_is_advanced(p) for p in parts):
        assign(_basic(self, parts), value, "setitem")
        return
    if builtins.any(n > 1 and s == 0 for n, s in zip(self.shape, self.strides)):
        raise ValueError("[setitem] the target is a broadcast view, whose elements share memory; write to t.copy()")
    base, rest = _advanced(self, parts)
    shape = _result_shape(base.shape, rest)
    source = as_tensor(value, "setitem", self)
    if source.dtype.kind == "c" and self.dtype.kind != "c":
        raise TypeError(f"[setitem] a complex value does not fit into {self.dtype}")
    extra = source.ndim - len(shape)
    if builtins.any(n != 1 for n in source.shape[: builtins.max(extra, 0)]) or builtins.any(
        n not in (1, m) for n, m in zip(source.shape[::-1], shape[::-1])
    ):
        raise ValueError(f"[setitem] a value of shape {source.shape} does not fit into {shape}")
    tensors = [p.to(self._device) for p in rest if isinstance(p, Tensor)]

    def write(task: Any) -> None:
        values, *index = task.inputs
        with np.errstate(all="ignore"):
            task.outputs[0][_key(rest, tuple(index))] = values.astype(task.outputs[0].dtype)

    inputs = [source.to(self._device), *tensors]
    if builtins.any(native.lib.mt_overlaps(t._h, base._h) for t in inputs):
        inputs = [t.copy() for t in inputs]
    native.host_task("setitem", base._core.device, write, [t._h for t in inputs], [base._h])


# --- by position -----------------------------------------------------------------------------------------------------
def _integers(op: str, value: Any, like: Tensor) -> Tensor:
    index = as_tensor(value, op, like)
    if index.dtype.kind not in "iu":
        raise TypeError(f"[{op}] indices must be integers, got {index.dtype}")
    return index


def gather(input_params: Any, input_indices: Any, axis: int) -> Tensor:
    """The slices of `input_params` along `axis` that the indices name; their shape takes the axis's place.

    Raises:
        TypeError: when the indices are no integers.
        IndexError: where the result is read, for an index out of range.
    """
    t = as_tensor(input_params, "gather")
    axis = normalize_axis("gather", axis, t.ndim)
    index = _integers("gather", input_indices, t)
    shape = (*t.shape[:axis], *index.shape, *t.shape[axis + 1 :])
    return host("gather", lambda a, i: np.take(a, i, axis), [t, index], shape, t.dtype)


def take(input: Any, indices: Any, axis: int | None = None) -> Tensor:
    """`gather`; without an axis from the flattened tensor."""
    t = as_tensor(input, "take")
    return gather(t.flatten(), indices, 0) if axis is None else gather(t, indices, axis)


def index_select(input: Any, axis: int, index: Any) -> Tensor:
    """`gather` with a vector of indices."""
    t = as_tensor(input, "index_select")
    vector = _integers("index_select", index, t)
    if vector.ndim != 1:
        raise ValueError(f"[index_select] index must have one dimension, got shape {vector.shape}")
    return gather(t, vector, axis)


def gather_elements(input: Any, dim: int, index: Any) -> Tensor:
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
    return host("gather_elements", lambda a, i: np.take_along_axis(a[window], i, axis), [t, places], places.shape, t.dtype)


def gather_d(x: Any, dim: int, index: Any) -> Tensor:
    """The same as `gather_elements`."""
    return gather_elements(x, dim, index)


def take_along_dim(input: Any, indices: Any, dim: int) -> Tensor:
    """The same as `gather_elements`."""
    return gather_elements(input, dim, indices)


def gather_nd(input_x: Any, indices: Any) -> Tensor:
    """The slices that the last dimension of `indices` names by coordinates."""
    t = as_tensor(input_x, "gather_nd")
    index = _integers("gather_nd", indices, t)
    if not index.ndim or index.shape[-1] > t.ndim:
        raise ValueError(f"[gather_nd] the last dimension of indices holds 1 to {t.ndim} coordinates, got shape {index.shape}")
    shape = (*index.shape[:-1], *t.shape[index.shape[-1] :])
    return host("gather_nd", lambda a, i: a[tuple(np.moveaxis(i, -1, 0))], [t, index], shape, t.dtype)


def _scattered(op: str, input: Any, axis: int, index: Any, src: Any, add: bool) -> Tensor:
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

    return host(op, write, [t, places, values], t.shape, t.dtype)


def scatter(input: Any, axis: int, index: Any, src: Any) -> Tensor:
    """A copy of `input` in which `src` stands where `gather_elements` with that index would read; the last write wins."""
    return _scattered("scatter", input, axis, index, src, False)


def scatter_add(input: Any, axis: int, index: Any, src: Any) -> Tensor:
    """A copy of `input` to which `src` is added where `gather_elements` with that index would read."""
    return _scattered("scatter_add", input, axis, index, src, True)


def index_add(x: Any, indices: Any, y: Any, axis: int) -> Tensor:
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

    return host("index_add", write, [t, index, values], t.shape, t.dtype)


def tensor_scatter_update(input_x: Any, indices: Any, updates: Any) -> Tensor:
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

    return host("tensor_scatter_update", write, [t, index, values], t.shape, t.dtype)


# --- by condition ----------------------------------------------------------------------------------------------------
def _mask(op: str, mask: Any, like: Tensor) -> Tensor:
    result = as_tensor(mask, op, like)
    if result.dtype is not bool_:
        raise TypeError(f"[{op}] the mask must be Bool, got {result.dtype}")
    return result


def masked_fill(input_x: Any, mask: Any, value: Any) -> Tensor:
    """A copy with `value` where the mask is True, in the dtype of `input_x`."""
    t = as_tensor(input_x, "masked_fill")
    return FUNCTIONS["where"](_mask("masked_fill", mask, t), value, t).astype(t.dtype, copy=False)


def masked_select(input: Any, mask: Any) -> Tensor:
    """The elements where the mask (broadcast to the tensor, or the tensor to it) is True, in one dimension.  Waits for the mask."""
    from minitensor.ops.shape import broadcast_tensors

    t = as_tensor(input, "masked_select")
    wide, mask = broadcast_tensors(t, _mask("masked_select", mask, t))
    return getitem(wide, mask)


def select(condition: Any, input: Any, other: Any) -> Tensor:
    """The same as `where`."""
    return FUNCTIONS["where"](condition, input, other)


def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """The coordinates of the elements that are not zero: (count, ndim) int64, or one vector for each dimension.  Waits."""
    t = as_tensor(input, "nonzero")
    found = t._value().nonzero()
    if as_tuple:
        return tuple(Tensor(v, int64, device=t.device) for v in found)
    return Tensor(np.stack(found, -1) if found else np.zeros((int(bool(t)), 0)), int64, device=t.device)


def argwhere(input: Any) -> Tensor:
    """The same as `nonzero`."""
    return nonzero(input)


def unique(input: Any, return_inverse: bool = True) -> Any:
    """(values in ascending order, for each element the position of its value); waits for the tensor."""
    t = as_tensor(input, "unique")
    values, inverse = np.unique(t._value(), return_inverse=True)
    result = Tensor(values, t.dtype, device=t.device)
    return (result, Tensor(inverse.reshape(t.shape), int64, device=t.device)) if return_inverse else result


def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Tensor:
    """How often each non-negative integer occurs, or the sum of its weights; waits for the tensor."""
    t = _integers("bincount", as_tensor(input, "bincount"), as_tensor(input, "bincount"))
    value = t._value()
    if value.ndim != 1 or (value.size and value.min() < 0):
        raise ValueError("[bincount] takes integers that are not negative, in one dimension")
    weight = None if weights is None else as_tensor(weights, "bincount", t)._value()
    return Tensor(np.bincount(value.astype(np.int64), weight, minlength), device=t.device)


# --- by order --------------------------------------------------------------------------------------------------------
def _ordered(a: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    if not descending:
        return np.argsort(a, axis=axis, kind="stable")
    # Stable from the largest on: sorted backwards, with equal elements in their first order.
    return a.shape[axis] - 1 - np.flip(np.argsort(np.flip(a, axis), axis=axis, kind="stable"), axis)


@axis_aliases
def sort(input: Any, axis: int = -1, descending: bool = False) -> tuple[Tensor, Tensor]:
    """(elements in order along `axis`, their former positions as int64); equal ones keep their order, NaN is the largest."""
    t = as_tensor(input, "sort")
    axis = normalize_axis("sort", axis, t.ndim)

    def order(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        places = _ordered(a, axis, descending)
        return np.take_along_axis(a, places, axis), places

    values, places = host_many("sort", order, [t], [(t.shape, t.dtype), (t.shape, int64)])
    return values, places


@axis_aliases
def argsort(input: Any, axis: int = -1, descending: bool = False) -> Tensor:
    """The positions (int64) that put the elements in order along `axis`."""
    return sort(input, axis, descending)[1]


@axis_aliases
def topk(input: Any, k: int, axis: int = -1, largest: bool = True, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """(the k largest or smallest elements along `axis`, their positions as int64), in order.

    Raises:
        ValueError: when there are fewer than k.
    """
    t = as_tensor(input, "topk")
    axis = normalize_axis("topk", axis, t.ndim)
    [count] = as_ints("topk", k, "k")
    if not 0 <= count <= t.shape[axis]:
        raise ValueError(f"[topk] k must be 0 to {t.shape[axis]}, got {count}")
    values, places = sort(t, axis, largest)
    window = (slice(None),) * axis + (slice(count),)
    return getitem(values, window), getitem(places, window)


def searchsorted(sorted_sequence: Any, values: Any, *, right: bool = False) -> Tensor:
    """For each value the position (int64) at which it would be put into a sorted vector; `right`: after equal ones."""
    t = as_tensor(sorted_sequence, "searchsorted")
    if t.ndim != 1:
        raise ValueError(f"[searchsorted] the sequence must have one dimension, got shape {t.shape}")
    wanted = as_tensor(values, "searchsorted", t)
    side = "right" if right else "left"
    return host("searchsorted", lambda a, v: np.searchsorted(a, v, side), [t, wanted], wanted.shape, int64)


def install() -> None:
    """The methods of Tensor."""
    Tensor.__getitem__ = getitem  # type: ignore[attr-defined]
    Tensor.__setitem__ = setitem  # type: ignore[attr-defined]
    for function in (gather, gather_elements, gather_nd, take, index_select, masked_fill, masked_select, nonzero, argwhere, sort,
                     argsort, topk, scatter, index_add, unique):  # fmt: skip
        setattr(Tensor, function.__name__, function)
    Tensor.where = lambda self, condition, other: FUNCTIONS["where"](condition, self, other)  # type: ignore[attr-defined]
