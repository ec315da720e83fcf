"""The standard `multiprocessing`, for programs with tensors: change the import and nothing else.

All differences from the standard package:

* `context.py`: our contexts and processes, whose factories make our queues and pools. The start
  method is the standard one's: a program has one, whichever of the two packages sets it.
* `queues.py`: `put` pickles at the call. An object that cannot be pickled raises there, and the
  value sent is the one at the put.
* `pool.py`: a worker that dies fails its task, and no other; `task_timeout` and `cancel` end one.
* `executor.py`: `ProcessPoolExecutor`, on the same engine.
* `reductions.py`: how objects become bytes.

Every other submodule is the standard module itself, under our name (`_alias.py`). Safe forks need
nothing from this package: they rely on `os.register_at_fork`, for every kind of fork. The import
starts no thread and opens no file.
"""

import importlib as _importlib
import sys as _sys
from multiprocessing import SUBDEBUG, SUBWARNING  # noqa: F401  (public, but in no __all__)
from multiprocessing import __all__ as _names
from typing import TYPE_CHECKING as _TYPE_CHECKING

from . import _alias

_alias.install()

from minitensor.sharing import sharing_stats  # noqa: E402, F401

# After the finder, which these imports may need. They register tensors with the pickler.
from . import context, reductions  # noqa: E402, F401

# The public names of this Python version, each from our default context (as the standard one does).
__all__ = list(_names)
globals().update((_name, getattr(context._default_context, _name)) for _name in __all__)

# Names that the standard package lacks, and their modules, which are imported when one is used.
_ADDED = {
    "InitializerError": "worker_errors",
    "ProcessPoolExecutor": "executor",
    "TaskTimeoutError": "worker_errors",
    "WorkerLostError": "worker_errors",
    "current_worker": "worker",
}
if _TYPE_CHECKING:
    from .executor import ProcessPoolExecutor  # noqa: F401
    from .worker import current_worker  # noqa: F401
    from .worker_errors import InitializerError, TaskTimeoutError, WorkerLostError  # noqa: F401


def __getattr__(name: str) -> object:
    if name in _ADDED:
        return getattr(_importlib.import_module(f"{__name__}.{_ADDED[name]}"), name)
    # The standard package has a submodule as an attribute as soon as any module has imported it
    # (`process` and `reduction` from the start, `pool` or `util` after an import by a library).
    # Programs rely on that.
    if f"multiprocessing.{name}" in _sys.modules:
        return _importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
