"""The pickler of our transports: the standard package's, with buffers that travel apart.

The standard package's ForkingPickler makes its table of reducers for each message, at several times
the cost of pickling a small message. This one keeps the table until a registration changes it, or
the program imports a library whose arrays have reducers (`arrays.py`). It hands large buffers to
`buffers.py`.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from functools import partial
from multiprocessing import reduction
from typing import Any

from .arrays import libraries, reducers
from .buffers import Placed, around, place

__all__ = ["pickled"]


class _Table(dict[type, Any]):
    """The reducers by type, and what they were made from."""

    sources: tuple[dict[type, Any], ...] = ()
    loaded: tuple[Any, ...] = ()

    def current(self) -> _Table:
        extra = reduction.ForkingPickler._extra_reducers  # type: ignore[attr-defined]
        sources, loaded = (copyreg.dispatch_table, extra), libraries()
        if sources == self.sources and loaded == self.loaded:
            return self
        given = sources[0] | sources[1]
        table = _Table(given | reducers(given))
        table.sources, table.loaded = (sources[0].copy(), sources[1].copy()), loaded
        return table


_table = _Table()


def pickled(obj: object) -> memoryview:
    """Return the pickle of an object for another process.

    Both processes run the same Python, so the highest protocol is safe.
    """
    global _table
    file = io.BytesIO()
    placed: Placed = []
    pickler = pickle.Pickler(file, pickle.HIGHEST_PROTOCOL, True, partial(place, placed))
    pickler.dispatch_table = _table = _table.current()
    pickler.dump(obj)
    return around(file.getbuffer(), placed) if placed else file.getbuffer()
