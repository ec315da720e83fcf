"""Indexing: `t[...]`.

Ints, slices, None and Ellipsis give views, by arithmetic on strides, mostly in C (py_index.c).
Integer tensors copy: the shape of the result follows from shapes alone, so the stream computes it
and finds an index that is out of range.  Lists and arrays copy too; the call checks them, since
their values are known.  The length of a bool mask's result depends on its value, so such an index
waits for the mask, except where the program assigns a single number.  A tensor of one integer
without dimensions is an int, and the index waits for it.  The rules are NumPy's.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minitensor.backend import core
from minitensor.backend.core import lib, operators
from minitensor.dtype import DType, bool_
from minitensor.ops._dispatch import as_tensor, assign, host
from minitensor.optable import ARRAY_CODES
from minitensor.tensor import Tensor, wrap

if TYPE_CHECKING:
    from minitensor.typing import IndexLike, TensorLike

__all__: list[str] = []  # install() gives them to Tensor


# index_op(kernel, op, base, value, ahead, dims, *indices): see core/api/indexing.h.  It returns
# None on a device or for a dtype without the kernel; the op then takes another way.
index_op = operators.index_op
# mask_op(what, op, base, mask, value): see core/api/masking.h.  None, as above.
mask_op = operators.mask_op
MASK_GET, MASK_SET, MASK_PLACES, MASK_COORDINATES = range(4)
GATHER, SCATTER, SCATTER_ADD = (ARRAY_CODES[k] for k in ("gather", "scatter", "scatter_add"))


# --- t[...] ---------------------------------------------------------------------------------------
_AXIS = re.compile(r"for axis \d+ with size")


def _out_of_bounds(index: int, length: int) -> IndexError:
    return IndexError(f"[getitem] index {index} is out of bounds for dimension with size {length}")


def _indexed(
    op: str,
    function: Callable[..., np.ndarray],
    inputs: Sequence[Tensor],
    shape: Sequence[int],
    dtype: DType,
) -> Tensor:
    """Run `host` for a function that indexes; reword NumPy's IndexError as an error of an op."""

    def run(*arrays: np.ndarray) -> np.ndarray:
        try:
            return function(*arrays)
        except IndexError as error:
            raise IndexError(_AXIS.sub("for dimension with size", str(error))) from None

    return host(op, run, inputs, shape, dtype)


def _steps(part: slice, length: int) -> tuple[int, int, int]:
    """Return the start, the step and the number of the elements of a slice."""
    try:
        start, stop, step = part.indices(length)
    except TypeError:
        raise TypeError(f"[getitem] a slice must consist of ints, got {part}") from None
    except ValueError:
        raise ValueError(f"[getitem] the step of a slice must not be 0, got {part}") from None
    return (
        start,
        step,
        builtins.max(0, -(-(stop - start) // step) if step > 0 else -(-(start - stop) // -step)),
    )


def _parsed(key: Any, ndim: int) -> tuple[list[Any], bool]:
    """Return the index as a list with a part for each dimension, and True if it is advanced.

    A part is an int, slice, None, bool, array or tensor; the last three make the index advanced.
    Dimensions that the index does not name get a full slice.  An Ellipsis for no dimension stays in
    the list: it separates the advanced indices beside it, which matters to NumPy's rule.
    """
    parts: list[Any] = []
    taken, dots, advanced = 0, -1, False
    for part in key if isinstance(key, tuple) else (key,):
        if part.__class__ is int or part.__class__ is slice:
            taken += 1
        elif part is None:
            pass
        elif part is Ellipsis:
            if dots >= 0:
                raise IndexError(
                    "[getitem] an index must have at most one Ellipsis (...), got several"
                )
            dots = len(parts)
        elif isinstance(part, (bool, np.bool_)):
            part, advanced = bool(part), True
        elif isinstance(part, (Tensor, np.ndarray, list, range)):
            if not isinstance(part, Tensor):
                part = _index_array(part)
            kind, rank = part.dtype.kind, part.ndim
            if kind not in "biu":
                raise IndexError(
                    f"[getitem] an index must be of integers or bools, got a tensor of {part.dtype}"
                )
            taken += rank if kind == "b" else 1
            if rank == 0 and kind != "b":
                part = int(part)
            else:
                advanced = True
        elif not isinstance(part, (str, bytes)) and hasattr(part, "__index__"):
            part = part.__index__()
            taken += 1
        else:
            error = TypeError if isinstance(part, (str, bytes)) else IndexError
            raise error(
                "[getitem] an index must consist of ints, slices, None, ..., bools, lists and "
                f"tensors, got {part!r}"
            )
        parts.append(part)
    if taken > ndim:
        raise IndexError(
            f"[getitem] too many indices: there must be at most {ndim} for {ndim} dimensions, "
            f"got {taken}"
        )
    fill = [slice(None)] * (ndim - taken)
    if dots < 0:
        parts += fill
    elif fill or not advanced:
        parts[dots : dots + 1] = fill
    return parts, advanced


def _index_array(values: Any) -> np.ndarray:
    """Return a copy of an index: its task runs later, and the program may change the original."""
    if isinstance(values, list):
        values = [v._value() if isinstance(v, Tensor) else v for v in values]
    try:
        array = np.array(values)
    except (ValueError, OverflowError) as error:
        raise IndexError(
            f"[getitem] a list must be regular, of ints or bools, got another: {error}"
        ) from None
    return (
        array.astype(np.int64) if array.size == 0 and isinstance(values, (list, range)) else array
    )


def _basic(t: Tensor, parts: list[Any]) -> Tensor:
    """Return the view that ints, slices and None make."""
    shape: list[int] = []
    strides: list[int] = []
    offset, d = t._offset, 0
    old_shape, old_strides = t.shape, t.strides
    for part in parts:
        if part is None:
            shape.append(1)
            strides.append(0)
        elif part.__class__ is slice:
            start, step, count = _steps(part, old_shape[d])
            offset += start * old_strides[d] if count else 0
            shape.append(count)
            strides.append(old_strides[d] * step)
            d += 1
        else:
            length = old_shape[d]
            if not -length <= part < length:
                raise _out_of_bounds(part, length)
            offset += (part if part >= 0 else part + length) * old_strides[d]
            d += 1
    return t._view(shape, strides, offset)


def _advanced(t: Tensor, parts: list[Any]) -> tuple[Tensor, list[Any]]:
    """Return the view of the basic parts, and the rest of the index with masks as integers.

    As in NumPy, an int beside an advanced index is an advanced index, so it stays in the rest.
    """
    ahead: list[Any] = []
    rest: list[Any] = []
    d = 0
    for part in parts:
        if part is Ellipsis:
            rest.append(part)
        elif part is None or part.__class__ is slice:
            ahead.append(part)
            rest.append(slice(None))
            d += part is not None
        elif part.__class__ is bool or (
            part.__class__ is not int and part.dtype.kind == "b" and not part.ndim
        ):
            ahead.append(None)  # NumPy: a new dimension of length 1 or 0, chosen by the bool
            rest.append(np.flatnonzero([bool(part)]))
        elif part.__class__ is not int and part.dtype.kind == "b":
            _check_mask(part, t.shape[d : d + part.ndim])
            ahead += [slice(None)] * part.ndim
            rest += (part._value() if isinstance(part, Tensor) else part).nonzero()
            d += part.ndim
        else:
            ahead.append(slice(None))
            rest.append(np.asarray(part) if part.__class__ is int else part)
            d += 1
    return _basic(t, ahead), rest


def _check_mask(mask: Any, lengths: tuple[int, ...]) -> None:
    if tuple(mask.shape) != lengths:
        raise IndexError(
            f"[getitem] a mask must have the shape of its dimensions, {lengths}, got "
            f"{tuple(mask.shape)}"
        )


def _result_shape(shape: tuple[int, ...], rest: list[Any]) -> tuple[tuple[int, ...], int]:
    """Return the shape of an advanced index's result, and which dimension of it the indices make.

    Check the indices with known values.

    NumPy's rule: the dimensions of the indices replace adjacent indices, otherwise they come first.
    """
    places = [
        i for i, part in enumerate(rest) if part is not Ellipsis and part.__class__ is not slice
    ]
    try:
        together = np.broadcast_shapes(*[tuple(rest[i].shape) for i in places])
    except ValueError:
        shapes = ", ".join(str(tuple(rest[i].shape)) for i in places)
        raise IndexError(
            f"[getitem] indices must have shapes that broadcast together, got {shapes}"
        ) from None
    dims = [part for part in rest if part is not Ellipsis]
    if 0 not in together:
        for part, length in zip(dims, shape):
            if isinstance(part, np.ndarray):
                for extreme in (int(part.min()), int(part.max())):
                    if not -length <= extreme < length:
                        raise _out_of_bounds(extreme, length)
    kept = [n for part, n in zip(dims, shape) if part.__class__ is slice]
    ahead = builtins.sum(1 for part in rest[: places[0]] if part.__class__ is slice)
    if places[-1] - places[0] + 1 != len(places):
        ahead = 0
    return (*kept[:ahead], *together, *kept[ahead:]), ahead


def _key(rest: list[Any], arrays: Sequence[np.ndarray]) -> tuple[Any, ...]:
    given = iter(arrays)
    return tuple(next(given) if isinstance(part, Tensor) else part for part in rest)


def _at_places(
    kernel: int, base: Tensor, value: Tensor | None, ahead: int, rest: list[Any]
) -> Tensor | None:
    """Read or write the elements that an advanced index names; None without a kernel."""
    dims = [part for part in rest if part is not Ellipsis]
    named = [d for d, part in enumerate(dims) if part.__class__ is not slice]
    indices = [as_tensor(dims[d], "getitem", base).to(base._device) for d in named]
    op = "getitem" if value is None else "setitem"
    return index_op(kernel, op, base, value, ahead, tuple(named), *indices)


def _is_full(part: Any) -> bool:
    return part.__class__ is slice and part == slice(None)


def _plainly(kernel: int, t: Tensor, key: Any, value: Tensor | None) -> Tensor | None:
    """Read or write `t[key]` for the most frequent advanced keys; None for other keys.

    They are tensors, arrays and lists of integers side by side, after ints or full slices.
    """
    key = key if key.__class__ is tuple else (key,)
    ints = ahead = 0
    while ints < len(key) and key[ints].__class__ is int:
        ints += 1
    while not ints and ahead < len(key) and _is_full(key[ahead]):
        ahead += 1
    if len(key) > t.ndim or ints + ahead == len(key):
        return None
    base = t[key[:ints]] if ints else t
    if base is None:
        return None
    indices = [_places(part, n) for part, n in zip(key[ints + ahead :], base.shape[ahead:])]
    op = "getitem" if value is None else "setitem"
    dims = tuple(range(ahead, ahead + len(indices)))
    if builtins.any(index is None for index in indices):
        return None
    return index_op(kernel, op, base, value, ahead, dims, *indices)


def _places(part: Any, length: int) -> Tensor | None:
    """Return integers within a length as a tensor; None for other parts of an index."""
    if part.__class__ is Tensor:
        return part if part.ndim else None
    if part.__class__ is not list and part.__class__ is not np.ndarray:
        return None
    array = _index_array(part)
    if array.dtype.kind not in "iu" or not array.ndim:
        return None
    if array.size and not (-length <= int(array.min()) and int(array.max()) < length):
        return None
    return Tensor(array)


def weak_number(value: Any) -> Tensor | None:
    """Return a Python number as an operand of the core; None for what is not one of 64 bits."""
    kind = value.__class__
    if kind is float:
        return wrap(lib.mt_weak_float(value))
    if kind is bool or (kind is int and -(1 << 63) <= value < 1 << 63):
        return wrap(lib.mt_weak_int(value, kind is bool))
    return None


def getitem(self: Tensor, key: IndexLike) -> Tensor:
    """Return `t[key]`: a view for ints, slices, None and Ellipsis, otherwise a copy.

    Raises:
        IndexError: an index is out of range, is one too many, or is no index.  The read of the
            value raises it for an integer tensor.
    """
    if key.__class__ is Tensor and key.ndim:
        result = (
            mask_op(MASK_GET, "getitem", self, key, None)
            if key.dtype is bool_
            else index_op(GATHER, "getitem", self, None, 0, (0,), key)
        )
    else:
        result = _plainly(GATHER, self, key, None)
    if result is not None:
        return result
    parts, advanced = _parsed(key, self.ndim)
    if not advanced:
        return _basic(self, parts)
    base, rest = _advanced(self, parts)
    shape, ahead = _result_shape(base.shape, rest)
    result = _at_places(GATHER, base, None, ahead, rest)
    if result is not None:
        return result
    tensors = [p.to(self._device) for p in rest if isinstance(p, Tensor)]
    return _indexed(
        "getitem", lambda a, *index: a[_key(rest, index)], [base, *tensors], shape, self.dtype
    )


def setitem(self: Tensor, key: IndexLike, value: TensorLike) -> None:
    """Assign to the elements that `t[key]` names; the value is broadcast and cast.

    Raises:
        IndexError: as for `t[key]`; for an integer tensor the read of the tensor raises it.
        ValueError: the value's shape does not fit.
    """
    mask = key if key.__class__ is Tensor and key.dtype is bool_ else None  # type: ignore[union-attr]
    given = value if value.__class__ is Tensor else weak_number(value)
    if given is not None:
        if mask is not None:
            result = mask_op(MASK_SET, "setitem", self, mask, given)
        elif key.__class__ is Tensor and key.ndim:
            result = index_op(SCATTER, "setitem", self, given, 0, (0,), key)
        else:
            result = _plainly(SCATTER, self, key, given)
        if result is not None:
            return
    parts, advanced = _parsed(key, self.ndim)
    if not advanced:
        assign(_basic(self, parts), value, "setitem")
        return
    if self.size and builtins.any(n > 1 and s == 0 for n, s in zip(self.shape, self.strides)):
        raise ValueError(
            "[setitem] the target must have its own memory for each element, got a broadcast view; "
            "write to t.copy()"
        )
    source = as_tensor(value, "setitem", self)
    if source.dtype.kind == "c" and self.dtype.kind not in "cb":
        raise TypeError(
            f"[setitem] the value must be real for a tensor of {self.dtype}, got a complex one; "
            "take its real part"
        )
    if (
        not source.ndim
        and len(key if isinstance(key, tuple) else (key,)) == 1
        and isinstance(parts[0], Tensor)
        and (parts[0].dtype is bool_ and parts[0].ndim)
    ):
        # One number for all chosen elements: their count is not needed, so the call does not wait.
        _check_mask(parts[0], self.shape[: parts[0].ndim])
        base, rest = self, parts[:1]
    else:
        base, rest = _advanced(self, parts)
        shape, ahead = _result_shape(base.shape, rest)
        extra = builtins.max(source.ndim - len(shape), 0)
        if builtins.any(n != 1 for n in source.shape[:extra]) or builtins.any(
            n not in (1, m) for n, m in zip(source.shape[::-1], shape[::-1])
        ):
            raise ValueError(
                f"[setitem] the value must have a shape that broadcasts to {shape}, got "
                f"{source.shape}"
            )

    source = source.to(self._device)
    rest = [part.to(self._device) if isinstance(part, Tensor) else part for part in rest]
    source, *rest = (
        part.copy() if isinstance(part, Tensor) and lib.mt_overlaps(part._ref, base._ref) else part
        for part in (source, *rest)
    )
    if rest[0].__class__ is not Tensor or rest[0].dtype is not bool_:
        value = source.reshape(source.shape[extra:]) if extra else source
        value = value if value.size == 1 else value.astype(self.dtype, copy=False)
        if _at_places(SCATTER, base, value, ahead, rest) is not None:
            return

    def write(task: Any) -> None:
        values, *index = task.inputs
        with np.errstate(all="ignore"):
            values = values.astype(task.outputs[0].dtype)
        try:
            task.outputs[0][_key(rest, index)] = values
        except IndexError as error:
            raise IndexError(_AXIS.sub("for dimension with size", str(error))) from None

    inputs = [source, *(part for part in rest if isinstance(part, Tensor))]
    core.host_task("setitem", base._device_id, write, [t._ref for t in inputs], [base._ref])


def install() -> None:
    """Give Tensor the methods that the type in C calls for such an index (py_index.c)."""
    Tensor._getitem = getitem  # type: ignore[attr-defined]
    Tensor._setitem = setitem  # type: ignore[attr-defined]
