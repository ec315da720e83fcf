"""Conversion of data to an array: numbers, nested lists, buffers, arrays of other libraries.

Python's own numbers have no dtype: floats become float32, ints int64, as in MindSpore. Arrays keep
their dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minitensor.dtype import DType, complex128, float32, from_numpy, int64

__all__ = ["to_numpy"]

_TAKES = (
    "a number, a bool, a list or tuple of them, a NumPy array, a Tensor, or an object with a "
    "buffer, __array__ or __dlpack__"
)
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
            f"[Tensor] lists must be nested at most {_DEEPEST} deep, as a tensor's dimensions, got "
            "deeper ones, or a list that contains itself"
        )
    return data


def _without_tensors(data: Any, room: int) -> list[Any]:
    """Return a list with its tensors replaced by arrays; `room` is the depth still allowed."""
    if not room:
        data = [_too_deep(element) for element in data]
    return [
        _without_tensors(e, room - 1)
        if isinstance(e, (list, tuple))
        else (e._value() if _is_tensor(e) else e)
        for e in data
    ]


def to_numpy(data: Any, dtype: DType | None) -> np.ndarray:
    """Return a user's data as an array, which need not be a copy.

    Args:
        data: a number, a nested list, an array, a tensor or a buffer.
        dtype: the dtype of the result; None to take the data's.

    Raises:
        TypeError: the data is no array of numbers, or its dtype is not supported.
        ValueError: lists are nested too deeply.
    """
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
            raise TypeError(
                "[Tensor] all lists of one level must have the same length and hold numbers "
                f"({error}); pad them or make one tensor of each"
            ) from error
        if array.size == 0 and python:
            array = array.astype(np.float32)
    elif isinstance(data, (np.ndarray, np.generic)):
        array = np.asarray(data)
    elif data is None or isinstance(data, (str, bytes, dict, set, range)):
        raise TypeError(f"[Tensor] the data must be {_TAKES}, got {type(data).__name__}")
    elif hasattr(data, "__array__"):
        array = np.asarray(data)
    elif hasattr(data, "__dlpack__"):
        array = np.from_dlpack(data)
    else:
        try:
            array = np.asarray(memoryview(data))
        except TypeError:
            raise TypeError(
                f"[Tensor] the data must be {_TAKES}, got {type(data).__name__}"
            ) from None
    if array.dtype == object and python:
        raise TypeError("[Tensor] every element must be a number, and an integer fit into 64 bits")
    if dtype is not None:
        from_numpy(array.dtype)
        if array.dtype.kind == "c" and dtype.kind not in "cb":
            raise TypeError(
                f"[Tensor] complex data must have a complex dtype, got {dtype}; take its real part"
            )
        with np.errstate(all="ignore"):
            return array.astype(dtype.numpy)
    if python:
        natural = {"f": float32, "i": int64, "u": None, "c": complex128}.get(array.dtype.kind)
        if natural is not None:
            array = array.astype(natural.numpy)
    from_numpy(array.dtype)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))
