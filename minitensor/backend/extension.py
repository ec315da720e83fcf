"""The compiled core: found, compared with the sources, loaded.  No other module imports it.

The shared object has two modules.  cffi makes one, with `ffi` and `lib`; the other is `operators`,
for the ops that programs call all the time (core/python/py_operators.c).  Modules above the door import all
three from `minitensor.backend.core`.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

from minitensor import fingerprint

try:
    import numpy  # noqa: F401  (the core needs it as well, and a missing one has the same remedy)

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
    """Refuse to load a module again that keeps the process's state; the first one goes on.

    Raises:
        ImportError: by `importlib.reload`, and by an import after the module was taken out of
            `sys.modules`.
    """
    if name in operators.LOADED:
        raise ImportError(
            f"[import] {name} is loaded and keeps the tensors' state, so it can't be loaded a "
            "second time; use the modules that are there, or start a new process"
        )


def loaded(name: str) -> None:
    """Note that a module has been loaded to its end."""
    operators.LOADED.add(name)


load_once(__name__)
loaded(__name__)
