"""The standard `multiprocessing`, for programs with tensors: change the import and nothing else.

All differences from the standard package:

* `context.py`: our contexts and processes, whose factories make our queues and pools. The start
  method is the standard one's: a program has one, whichever of the two packages sets it.
* `queues.py`: `put` pickles at the call. An object that cannot be pickled raises there, and the
  value sent is the one at the put.
* `pool.py`: a pool made without a context takes ours.
* `reductions.py`: how objects become bytes.

Every other submodule is the standard module itself, under our name (`_alias.py`). Safe forks need
nothing from this package: they rely on `os.register_at_fork`, for every kind of fork. The import
starts no thread and opens no file.
"""

import importlib as _importlib
import sys as _sys
from multiprocessing import SUBDEBUG, SUBWARNING  # noqa: F401  (public, but in no __all__)
from multiprocessing import __all__ as _names

from . import _alias

_alias.install()

from minitensor.sharing import sharing_stats  # noqa: E402, F401

# After the finder, which these imports may need. They register tensors with the pickler.
from . import context, reductions  # noqa: E402, F401

# The public names of this Python version, each from our default context (as the standard one does).
__all__ = list(_names)
globals().update((_name, getattr(context._default_context, _name)) for _name in __all__)


def __getattr__(name: str) -> object:
    # The standard package has a submodule as an attribute as soon as any module has imported it
    # (`process` and `reduction` from the start, `pool` or `util` after an import by a library).
    # Programs rely on that.
    if f"multiprocessing.{name}" in _sys.modules:
        return _importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
