"""Every submodule of the standard package, under our name.

The problem. A program that says `import multiprocessing.pool` and changes its imports must find
`pool`, and `shared_memory`, `dummy.connection`, `resource_tracker`, and the modules of later Python
versions. What fails: a package that only re-exports the standard names has no submodules at all. A
package that puts the standard folder on its `__path__` loads each file a second time; then there
are two resource trackers, two `current_process()`, two classes `Connection`.

The solution. A finder on `sys.meta_path`, for names below `minitensor.multiprocessing` alone. A
submodule that has a file of ours is ours. Any other name is bound to the standard module itself:
`exec_module` puts that object in `sys.modules`. The import system supports this replacement, so the
standard module stays untouched (its `__spec__` above all). Our own submodules look up other names
in the standard one (`fall_back`) at each access, so they expose all of it and never a stale copy.

What it guarantees. isinstance, monkeypatching, pickling by module name and module state are the
standard package's. A module that cannot be imported here fails with the standard module's error.
Importing this package imports no further modules. The finder stands first on the path, because a
standard *package* below us (`dummy`) has a `__path__` of its own, and the usual finder would load
its files again under our name.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

__all__ = ["fall_back", "install"]

OURS = __name__.rpartition(".")[0]
STANDARD = "multiprocessing"


class _Loader:
    """Bind a name of ours to the standard module."""

    def __init__(self, standard: str) -> None:
        self.standard = standard

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None  # an empty module; exec_module replaces it at once

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = importlib.import_module(self.standard)


class _Finder:
    """Find `minitensor.multiprocessing.*`: our file if there is one, else the standard module."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(OURS + "."):
            return None
        tail = fullname[len(OURS) + 1 :]
        if "." not in tail:
            own = PathFinder.find_spec(fullname, path, target)
            if own is not None:
                return own
        standard = f"{STANDARD}.{tail}"
        if importlib.util.find_spec(standard) is None:
            return None
        return ModuleSpec(fullname, _Loader(standard))


def install() -> None:
    """Put the finder first on `sys.meta_path`, once."""
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)


def fall_back(
    name: str, standard: ModuleType
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return `__getattr__` and `__dir__` of our module `name`, which extends `standard`."""

    def module_getattr(attribute: str) -> object:
        try:
            return getattr(standard, attribute)
        except AttributeError:
            raise AttributeError(f"module {name!r} has no attribute {attribute!r}") from None

    def module_dir() -> list[str]:
        return sorted({*vars(standard), *vars(sys.modules[name])})

    return module_getattr, module_dir
