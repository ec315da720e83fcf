"""The standard `multiprocessing`, for programs with tensors: change the import and nothing else.

What differs from the standard package, all of it:

* `context.py`: our contexts and processes, so that what they make is ours. The start method is the standard one's: a
  program has one, whichever of the two packages sets it.
* `queues.py`: `put` pickles at the call. What can't be sent raises there and then, and a value is the one at the put.
* `pool.py`: a pool made without a context takes ours.
* `reductions.py`: how objects become bytes.

Every other submodule is the standard module itself, under our name (`_alias.py`). Forking safely needs nothing from
this package: it hangs on `os.register_at_fork`, for every kind of fork. Importing starts nothing and opens nothing.
"""

import importlib as _importlib
import sys as _sys
from multiprocessing import SUBDEBUG, SUBWARNING  # noqa: F401  (public by use, in no __all__)
from multiprocessing import __all__ as _names

from . import _alias

_alias.install()

from minitensor.sharing import sharing_stats  # noqa: E402, F401

from . import context, reductions  # noqa: E402, F401  (their own imports may need the finder; tensors are registered)

# The names of whatever Python runs, each from our default context, as the standard package does it.
__all__ = list(_names)
globals().update((_name, getattr(context._default_context, _name)) for _name in __all__)


def __getattr__(name: str) -> object:
    # The standard package has a submodule as attribute as soon as anybody has imported it (`process` and `reduction`
    # from the start, `pool` or `util` thanks to some library), and programs came to rely on that.
    if f"multiprocessing.{name}" in _sys.modules:
        return _importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
