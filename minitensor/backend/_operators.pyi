"""What core/python/py_operators.c and py_tensor.c defines."""

from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import numpy as np

from minitensor.dtype import DType
from minitensor.ops._methods import TensorMethods
from minitensor.tensor import Tensor

class TensorBase(TensorMethods):
    """What a Tensor is in C: one reference of the core."""

    @property
    def _ref(self) -> int: ...  # the reference, of which it owns one count
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> DType: ...
    @property
    def strides(self) -> tuple[int, ...]: ...
    @property
    def _offset(self) -> int: ...
    @property
    def _device_id(self) -> int: ...  # the core's, of its device
    @property
    def ndim(self) -> int: ...
    @property
    def size(self) -> int: ...

FUNCTIONS: dict[str, Callable[..., Tensor]]
LOADED: set[str]

def array(ref: int) -> np.ndarray: ...
def become(tensor: Any, other: TensorBase, /) -> Any: ...
def array_op(
    kernel: int, op: str, dtype: int, shape: Sequence[int], numbers: tuple[float, ...], /,
    *tensors: Any,
) -> Any: ...
def array_op_into(
    kernel: int, op: str, targets: tuple[Any, ...], numbers: tuple[float, ...], /, *tensors: Any
) -> Any: ...
def current_device(number: int, /) -> None: ...
def empty(size: Any, dtype: Any, place: Any, /) -> Any: ...
def filled(op: str, size: Any, value: Any, dtype: Any, place: Any, /) -> Any: ...
def range(start: Any, end: Any, step: Any, dtype: Any, place: Any, /) -> Any: ...
def make(
    kernel: int, op: str, size: Any, dtype: Any, place: Any, numbers: tuple[Any, ...], /
) -> Any: ...
def read_only_array(ref: int) -> np.ndarray: ...
def fork_prepare() -> None: ...
def wrap(ref: int) -> Tensor: ...
def bind(
    *,
    tensor: type[Tensor] = ...,
    dtypes: tuple[DType, ...] = ...,
    ndarray: type[np.ndarray] = ...,
    complete: Callable[[int], int] = ...,
    dispatch_slow: Callable[..., Any] = ...,
    site: Callable[[FrameType], int] = ...,
    synchronous: bool = ...,
) -> None: ...
