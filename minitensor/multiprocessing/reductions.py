"""How objects become the bytes that travel.

One pickler for everything: the standard package's ForkingPickler, with whatever is registered on it; for a tensor that is
`minitensor.sharing.reduce`. So a tensor means the same in our queues, in a standard queue, a pipe, a pool, a manager or an executor.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from functools import partial
from multiprocessing import context, reduction
from typing import Any

from minitensor import sharing
from minitensor.tensor import Tensor

__all__ = ["ForkingPickler", "dumps", "register"]

ForkingPickler = context.reduction.ForkingPickler  # as the standard queues do: a program may have set another `reducer`
register = ForkingPickler.register
if ForkingPickler is not reduction.ForkingPickler:
    register(Tensor, sharing.reduce)


class _Table(dict[type, Any]):
    """The standard pickler's table of reducers, made anew when one was registered."""

    sources: tuple[dict[type, Any], ...] = ()

    def current(self) -> _Table:
        sources = copyreg.dispatch_table, reduction.ForkingPickler._extra_reducers  # type: ignore[attr-defined]
        if sources == self.sources:
            return self
        table = _Table(sources[0] | sources[1])
        table.sources = sources[0].copy(), sources[1].copy()
        return table


_table = _Table()


def _dumps(obj: object) -> Any:
    # Both sides run the same Python, so the highest protocol is safe, and an array's bytes are copied once less.
    global _table
    if ForkingPickler is not reduction.ForkingPickler:
        return ForkingPickler.dumps(obj, pickle.HIGHEST_PROTOCOL)
    # What the standard one does, but for the table, which it makes for each message: that takes several times what pickling a small one does.
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = _table = _table.current()
    pickler.dump(obj)
    return buffer.getbuffer()


dumps = partial(sharing.pack, _dumps)  # (obj, channel, tokens): pickles an object as it is now; a partial, since each message calls it
