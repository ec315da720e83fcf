"""How objects become the bytes of a message.

One pickler serves every transport: the standard package's ForkingPickler, with all reducers that
are registered on it; for a tensor the reducer is `minitensor.sharing.reduce`. So a tensor means the
same in our queues, in a standard queue, a pipe, a pool, a manager or an executor.
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

# Looked up as the standard queues do: a program may have set another `reducer`.
ForkingPickler = context.reduction.ForkingPickler
register = ForkingPickler.register
if ForkingPickler is not reduction.ForkingPickler:
    register(Tensor, sharing.reduce)


class _Table(dict[type, Any]):
    """The standard pickler's table of reducers, rebuilt after a registration."""

    sources: tuple[dict[type, Any], ...] = ()

    def current(self) -> _Table:
        extra = reduction.ForkingPickler._extra_reducers  # type: ignore[attr-defined]
        sources = copyreg.dispatch_table, extra
        if sources == self.sources:
            return self
        table = _Table(sources[0] | sources[1])
        table.sources = sources[0].copy(), sources[1].copy()
        return table


_table = _Table()


def _dumps(obj: object) -> Any:
    # Both processes run the same Python, so the highest protocol is safe. It copies the bytes of an
    # array once less.
    global _table
    if ForkingPickler is not reduction.ForkingPickler:
        return ForkingPickler.dumps(obj, pickle.HIGHEST_PROTOCOL)
    # The standard `dumps` builds the table for each message, at several times the cost of pickling
    # a small message. The rest is the same.
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = _table = _table.current()
    pickler.dump(obj)
    return buffer.getbuffer()


# dumps(obj, channel, tokens) pickles the present value of an object. A partial is faster than a
# function, and each message calls it.
dumps = partial(sharing.pack, _dumps)
