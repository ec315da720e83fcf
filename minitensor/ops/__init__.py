"""The ops, by family.

Every function is here under its name (`ops.log`, `ops.reshape`); importing this package also gives Tensor its operators and
methods.

Importing takes time that short programs and pool workers notice, so the families that many programs never ask for are imported
together when somebody asks for a name that is not here yet, of the package or of a Tensor.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from minitensor.tensor import Tensor

_FIRST = ("elementwise", "reduce", "shape", "indexing")
_later = ["joining", "creation", "selection", "linalg", "random", "nn", "losses", "host"]


def _publish(family: str) -> None:
    module = import_module(f"{__name__}.{family}")
    globals().update({name: getattr(module, name) for name in module.__all__})
    getattr(module, "install", lambda: None)()


def _publish_the_rest() -> None:
    for family in list(_later):  # two threads may be here: a family that is published twice is the same
        _publish(family)
    _later.clear()


def __getattr__(name: str) -> Any:
    if _later and not name.startswith("__"):
        _publish_the_rest()
        if name in globals():
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    _publish_the_rest()
    return sorted(globals())


def _method_of_the_rest(self: Tensor, name: str) -> Any:
    if _later and not name.startswith("_"):
        _publish_the_rest()
        return getattr(self, name)
    raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _operator_of_the_rest(name: str) -> Any:
    def operator(self: Tensor, other: Any) -> Any:
        _publish_the_rest()  # it is another one now
        return getattr(Tensor, name)(self, other)

    return operator


for _family in _FIRST:
    _publish(_family)
Tensor.__getattr__ = _method_of_the_rest  # type: ignore[method-assign]
for _name in ("__matmul__", "__rmatmul__", "__imatmul__"):
    setattr(Tensor, _name, _operator_of_the_rest(_name))
