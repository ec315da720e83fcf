"""From rows to tensors: arrays of a sample, arrays of a batch, and where their memory lies.

A worker assembles a batch in the memory that the program's process reads it from: `Memory.array`
makes an array whose bytes lie in a block of the family's shared memory, the samples are copied into
it, and `Memory.finish` gives the tensor of these bytes.  The message carries a token of the block
(`minitensor/sharing/pickling.py`), and no byte is copied on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minitensor import config
from minitensor.backend import core
from minitensor.backend.core import ffi, lib
from minitensor.dtype import DType, from_numpy, uint8
from minitensor.exchange import Exchange
from minitensor.sharing import have_arena
from minitensor.tensor import Tensor, as_device, empty, wrap

__all__ = ["Memory", "as_array", "collate", "stack"]

Make = Callable[[tuple[int, ...], np.dtype[Any]], np.ndarray[Any, Any]]


def as_array(value: Any) -> Any:
    """Return a value of a sample as a NumPy array; a dict stays one."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, Exchange):
        array = value.asnumpy()
        return array if array.flags.writeable else array.copy()
    return value if isinstance(value, dict) else np.asarray(value)


def collate(
    names: list[str], rows: Sequence[tuple[Any, ...]], make: Make
) -> tuple[np.ndarray[Any, Any], ...]:
    """Return the columns of rows, each as one array with a new first axis."""
    return tuple([stack(name, [row[i] for row in rows], make) for i, name in enumerate(names)])


def stack(name: str, values: Any, make: Make) -> Any:
    """Return the values of a column as one array.

    Raises:
        ValueError: their shapes differ.
        TypeError: a value is no array.
    """
    if isinstance(values, np.ndarray):
        return values
    arrays = [as_array(value) for value in values]
    first = arrays[0]
    if isinstance(first, dict) or first.dtype == object:
        raise TypeError(
            f"[batch] column {name!r} must hold arrays or numbers, got {type(values[0]).__name__}; "
            "give a per_batch_map that makes arrays"
        )
    shape, dtype = first.shape, first.dtype
    for i, array in enumerate(arrays):
        if array.shape != shape:
            raise ValueError(
                f"[batch] the rows of column {name!r} must have one shape, got {shape} in row 0 "
                f"and {array.shape} in row {i}; pad them in map or per_batch_map"
            )
        if array.dtype != dtype:
            dtype = np.result_type(dtype, array.dtype)
    out = make((len(arrays), *shape), dtype)
    if shape:
        for i, array in enumerate(arrays):
            out[i] = array
    else:
        out[...] = arrays
    return out


def _dtype_of(array: np.ndarray[Any, Any]) -> DType | None:
    """Return the dtype of an array's tensor; None if no tensor can hold it."""
    if not array.dtype.isnative:
        return None
    try:
        return from_numpy(array.dtype)
    except TypeError:
        return None


class Memory:
    """Where the arrays of a batch lie, and how they become the values of a result.

    Args:
        where: "arrays" for arrays that stay arrays; "tensors" for the memory of tensors; "shared"
            for tensors in shared memory, which are sent to another process.
    """

    def __init__(self, where: str) -> None:
        self._cpu = as_device("CPU")
        self._plain = where == "arrays"
        self._shared = where == "shared" and have_arena()
        self._least = config.get("MINITENSOR_INLINE_BYTES")  # smaller ones travel in the message
        self._made: dict[int, tuple[Any, Tensor]] = {}  # by the array's id

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        """Return a new array of arbitrary values; a large one lies in the memory of a tensor."""
        nbytes = int(np.prod(shape)) * dtype.itemsize
        if self._plain or nbytes <= self._least or dtype.hasobject:
            return np.empty(shape, dtype)
        tensor = self._bytes(nbytes)
        # Not by `asnumpy`: its array would be read-only, and would keep the block from moving.
        owner = ffi.gc(lib.mt_data(tensor._ref), lambda _, tensor=tensor: None)
        array = np.frombuffer(ffi.buffer(owner, nbytes), dtype).reshape(shape)
        self._made[id(array)] = array, tensor
        return array

    def _bytes(self, nbytes: int) -> Tensor:
        if self._shared:
            ref = lib.mt_empty_shared(self._cpu.activate(), nbytes)
            if ref >= 0:
                return wrap(ref)
            lib.mt_call_drop(ref)  # no room in shared memory: the message copies
        tensor = empty((nbytes,), uint8, self._cpu)
        core.wait(tensor._ref)
        return tensor

    def finish(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return a row's arrays as tensors where they shall be, and forget those made for it."""
        if self._plain:
            return row
        made = self._made
        try:
            return tuple([self._tensor(value, made) for value in row])
        finally:
            made.clear()

    def _tensor(self, value: Any, made: dict[int, tuple[Any, Tensor]]) -> Any:
        if not isinstance(value, np.ndarray) or (dtype := _dtype_of(value)) is None:
            return value
        if id(value) not in made:
            if not self._shared or value.nbytes <= self._least:
                return Tensor(value)
            copy = self.array(value.shape, value.dtype)
            copy[...] = value
            value = copy
        return made[id(value)][1]._view(value.shape, value.strides, 0, dtype)
