"""How what a user gives becomes an array: numbers, nested lists, buffers, arrays of other libraries.

Python's own numbers have no dtype: floats become float32, ints int64, as MindSpore has it.  Arrays keep theirs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minitensor.dtype import DType, complex128, float32, from_numpy, int64

__all__ = ["to_numpy"]

_TAKES = "a number, a bool, a list or tuple of them, a NumPy array, a Tensor, or an object with a buffer, __array__ or __dlpack__"
_DEEPEST = 16  # the core's MT_MAX_NDIM


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "_ref")  # tensor.py stands above this module


def _first_leaf(data: Any) -> Any:
    for _ in range(_DEEPEST):
        if not (isinstance(data, (list, tuple)) and data):
            return data
        data = data[0]
    return _too_deep(data)


def _too_deep(data: Any) -> Any:
    if isinstance(data, (list, tuple)):
        raise ValueError(
            f"[Tensor] lists are nested more than {_DEEPEST} deep, which a tensor has dimensions at "
            "most, or contain themselves"
        )
    return data


def _without_tensors(data: Any, room: int) -> list[Any]:
    """Return a list with arrays for its tensors; in it, lists may be nested `room` deep."""
    if not room:
        data = [_too_deep(element) for element in data]
    return [
        _without_tensors(e, room - 1)
        if isinstance(e, (list, tuple))
        else (e._value() if _is_tensor(e) else e)
        for e in data
    ]


def to_numpy(data: Any, dtype: DType | None) -> np.ndarray:
    """What a Tensor is made from, as an array that need not be a copy."""
    python = False
    if isinstance(data, (bool, int, float, complex)) and not isinstance(data, np.generic):
        array, python = np.asarray(data), True
    elif isinstance(data, (list, tuple)):
        leaf = _first_leaf(data)
        python = not isinstance(leaf, (np.ndarray, np.generic)) and not _is_tensor(leaf)
        data = _without_tensors(data, _DEEPEST - 1)
        try:
            array = np.array(data)
        except (ValueError, TypeError, OverflowError) as error:
            raise TypeError(f"[Tensor] the nested lists are no array ({error}); all lists of one level need one length") from error
        if array.size == 0 and python:
            array = array.astype(np.float32)
    elif isinstance(data, (np.ndarray, np.generic)):
        array = np.asarray(data)
    elif data is None or isinstance(data, (str, bytes, dict, set, range)):
        raise TypeError(f"[Tensor] takes {_TAKES}; got {type(data).__name__}")
    elif hasattr(data, "__array__"):
        array = np.asarray(data)
    elif hasattr(data, "__dlpack__"):
        array = np.from_dlpack(data)
    else:
        try:
            array = np.asarray(memoryview(data))
        except TypeError:
            raise TypeError(f"[Tensor] takes {_TAKES}; got {type(data).__name__}") from None
    if array.dtype == object and python:
        raise TypeError("[Tensor] an element is no number, or an integer too large for 64 bits")
    if dtype is not None:
        from_numpy(array.dtype)
        if array.dtype.kind == "c" and dtype.kind not in "cb":
            raise TypeError(f"[Tensor] complex data does not fit into {dtype}")
        with np.errstate(all="ignore"):
            return array.astype(dtype.numpy)
    if python:
        natural = {"f": float32, "i": int64, "u": None, "c": complex128}.get(array.dtype.kind)
        if natural is not None:
            array = array.astype(natural.numpy)
    from_numpy(array.dtype)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
