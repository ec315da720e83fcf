"""What core/python/py_operators.c and py_tensor.c defines."""

from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

from minitensor.dtype import DType
from minitensor.tensor import Tensor

class TensorBase:
    """What a Tensor is in C: one reference of the core."""

    @property
    def _h(self) -> int: ...  # the reference, of which it owns one count
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> DType: ...
    @property
    def strides(self) -> tuple[int, ...]: ...
    @property
    def _offset(self) -> int: ...
    @property
    def _number(self) -> int: ...  # the core's, of its device
    @property
    def ndim(self) -> int: ...
    @property
    def size(self) -> int: ...
    def _unary(self) -> Tensor: ...
    def _binary(self, other: Any) -> Tensor: ...

    __neg__ = __pos__ = __abs__ = __invert__ = _unary
    __add__ = __sub__ = __mul__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = _binary
    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rpow__ = _binary
    __and__ = __or__ = __xor__ = __lshift__ = __rshift__ = __rand__ = __ror__ = __rxor__ = _binary
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _binary  # type: ignore[assignment]

FUNCTIONS: dict[str, Callable[..., Tensor]]
LOADED: set[str]

def array(ref: int) -> np.ndarray: ...
def become(tensor: Any, other: TensorBase, /) -> Any: ...
def read_only_array(ref: int) -> np.ndarray: ...
def fork_prepare() -> None: ...
def wrap(ref: int) -> Tensor: ...
def bind(
    *,
    tensor: type[Tensor] = ...,
    dtypes: tuple[DType, ...] = ...,
    ndarray: type[np.ndarray] = ...,
    finish: Callable[[int], int] = ...,
    dispatch_slow: Callable[..., Any] = ...,
    site: Callable[[FrameType], int] = ...,
    synchronous: bool = ...,
) -> None: ...
