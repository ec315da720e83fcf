"""minitensor: the tensor framework whose programs may fork.

The layers, each of which imports only from those below it:

    0  errors, config, trace, fork, dtype, optable, ...    words that all layers use
    1  backend                                             devices and the C core
    2  context, tensor, runtime                            tensors and where they lie
    3  ops, share_memory                                   functions of tensors
    4  multiprocessing                                     tensors between processes
    5  dataset                                             data read by worker processes
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

# NumPy comes first.  CPython takes memory for frames in chunks, and gives a chunk back when its
# first function returns.  In the depth of the imports below, NumPy's import would lie across the
# end of a chunk: 1,500 calls of mmap and munmap.
try:
    import numpy  # noqa: F401
except ModuleNotFoundError:
    pass  # backend/extension.py says what to do

from minitensor import backend, context, dtype, errors, foreign_threads, fork, ops, trace
from minitensor import share_memory as _share_memory  # noqa: F401  (gives Tensor a method)
from minitensor.context import get_context, get_current_device, set_context, set_device
from minitensor.dtype import *  # noqa: F403
from minitensor.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceLostError,
    DeviceMemoryError,
    StaleHandleError,
)
from minitensor.tensor import Tensor, tensor

__version__ = "0.1.0"
__all__ = [
    "DeviceBusyError", "DeviceError", "DeviceLostError", "DeviceMemoryError", "StaleHandleError",
    "Tensor", "backend", "context", "dataset", "device_context", "errors", "foreign_threads",
    "fork", "get_context", "get_current_device", "manual_seed", "multiprocessing", "ops", "runtime",
    "set_context", "set_device", "set_seed", "tensor", "trace",
]  # fmt: skip
__all__ += dtype.__all__

_MOVED = {"threads": "foreign_threads"}  # former names of modules


if TYPE_CHECKING:  # with the function below, a type checker would accept any name
    from minitensor import dataset as dataset
    from minitensor import device_context as device_context
    from minitensor import multiprocessing as multiprocessing
    from minitensor import runtime as runtime
    from minitensor.ops import manual_seed, set_seed
else:

    def __getattr__(name: str) -> object:
        if name in ("manual_seed", "set_seed"):  # ops imports them at the first access
            return getattr(ops, name)
        if not name.startswith("_") and (module := _submodule(_MOVED.get(name, name))) is not None:
            return module  # such as runtime, or multiprocessing, which imports the standard one
        raise errors.no_name(__name__, name, _names)


def _submodule(name: str) -> ModuleType | None:
    full = f"{__name__}.{name}"
    spec = find_spec(full)
    # A folder without a module has a spec without an origin.
    return None if spec is None or spec.origin is None else import_module(full)


def _names() -> Iterator[str]:
    yield from __all__
    yield from (f"ops.{name}" for name in ops.__all__)


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
