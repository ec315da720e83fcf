"""minitensor: the tensor framework whose programs may fork.

The layers, each of which imports only from those below it:

    0  errors, config, trace, fork, dtype, optable, ...    what everything else speaks of
    1  backend                                             devices and the C core
    2  context, tensor, runtime                            where things are, and what they are
    3  ops                                                 what one can do with them
    4  multiprocessing                                     and with other processes
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from minitensor import context, device_context, fork, ops, runtime
from minitensor.context import get_context, get_current_device, set_context, set_device
from minitensor.dtype import (
    DType,
    bfloat16,
    bool_,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from minitensor.errors import DeviceBusyError, DeviceError, DeviceLostError, DeviceMemoryError, StaleHandleError
from minitensor.tensor import Tensor, tensor

__version__ = "0.1.0"
__all__ = [
    "DType", "DeviceBusyError", "DeviceError", "DeviceLostError", "DeviceMemoryError", "StaleHandleError", "Tensor", "bfloat16", "bool_",
    "complex64", "complex128", "context", "device_context", "float16", "float32", "float64", "fork", "get_context", "get_current_device",
    "int8", "int16", "int32", "int64", "manual_seed", "ops", "runtime", "set_context", "set_device", "set_seed", "tensor", "uint8", "uint16",
    "uint32", "uint64",
]  # fmt: skip


if TYPE_CHECKING:  # a type checker that sees the function below takes any name for right
    from minitensor import multiprocessing as multiprocessing
    from minitensor.ops import manual_seed, set_seed
else:

    def __getattr__(name: str) -> object:
        if name in ("manual_seed", "set_seed"):  # their family is imported when it is asked for
            return getattr(ops, name)
        if name == "multiprocessing":  # imports the standard package
            return import_module("minitensor.multiprocessing")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "multiprocessing"})
