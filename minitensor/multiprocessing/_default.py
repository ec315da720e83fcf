"""The default context, where the modules that `context.py` loads find it.

A pool that is given no context takes the default one, and a context makes pools: one of the two has
to stand above the other.  `context.py` does, and fills this place when it is imported, which is
before any other module of the package can ask.
"""

from __future__ import annotations

from multiprocessing.context import BaseContext

context: BaseContext
