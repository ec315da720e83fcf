"""The ops, by family.

Every function is here under its name (`ops.log`, `ops.reshape`); importing this package also gives Tensor its operators and
methods.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the names come from the families at import

    def __getattr__(name: str) -> Any: ...


_FAMILIES = ("elementwise", "reduce", "shape", "joining", "creation", "indexing", "selection", "linalg", "random", "nn", "losses", "host")

for _family in _FAMILIES:
    _module = import_module(f"{__name__}.{_family}")
    for _name in _module.__all__:
        globals()[_name] = getattr(_module, _name)
    getattr(_module, "install", lambda: None)()
