"""The compiled core: this module finds it, compares it with the sources and loads it.

The shared object contains two modules. cffi makes one, with `ffi` and `lib`. The other is
`operators`, for the most frequent ops (core/python/py_operators.c). No other module imports the
shared object; modules above import all three names from `minitensor.backend.core`.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

from minitensor import fingerprint

try:
    import numpy  # noqa: F401  (the core needs it, and its absence has the same remedy)

    from minitensor.backend._core import __file__ as _file
    from minitensor.backend._core import ffi, lib
except ModuleNotFoundError as error:
    raise fingerprint.not_built(error) from error
fingerprint.check(getattr(lib, "mt_fingerprint", int)())  # an older core has none: 0

if TYPE_CHECKING:
    from minitensor.backend import _operators as operators
else:
    _spec = importlib.util.spec_from_file_location("minitensor.backend._operators", _file)
    operators = sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(operators)

__all__ = ["ffi", "lib", "load_once", "loaded", "operators"]


def load_once(name: str) -> None:
    """Refuse to load a module a second time that keeps the process's state; the first one stays.

    Raises:
        ImportError: `importlib.reload` was called, or the module was removed from `sys.modules` and
            imported again.
    """
    if name in operators.LOADED:
        raise ImportError(
            f"[import] {name} is loaded and keeps the tensors' state, so it can't be loaded a "
            "second time; use the loaded modules, or start a new process"
        )


def loaded(name: str) -> None:
    """Record that a module is completely loaded."""
    operators.LOADED.add(name)


load_once(__name__)
loaded(__name__)
