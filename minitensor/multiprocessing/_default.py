"""The default context, in a place that the modules below `context.py` can read.

A pool without a context takes the default one, and a context makes pools, so one of the two modules
has to stand above the other. `context.py` stands above, and assigns this name when it is imported.
That is before any other module of the package reads it.
"""

from __future__ import annotations

from multiprocessing.context import BaseContext

__all__ = ["context"]

context: BaseContext
