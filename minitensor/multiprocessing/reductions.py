"""How objects become the bytes that travel.

One pickler for everything: the standard package's ForkingPickler, with whatever is registered on it; for a tensor that is
`minitensor.sharing.reduce`. So a tensor means the same in our queues, in a standard queue, a pipe, a pool, a manager or an executor.
"""

from __future__ import annotations

import pickle
from multiprocessing import context

from minitensor import sharing
from minitensor.tensor import Tensor

__all__ = ["ForkingPickler", "dumps", "register"]

ForkingPickler = context.reduction.ForkingPickler  # as the standard queues do: a program may have set another `reducer`
register = ForkingPickler.register
register(Tensor, sharing.reduce)


def _dumps(obj: object) -> memoryview:
    # Both sides run the same Python, so the highest protocol is safe, and an array's bytes are copied once less.
    return ForkingPickler.dumps(obj, pickle.HIGHEST_PROTOCOL)


def dumps(obj: object, channel: int = 0) -> memoryview:
    """Pickle `obj` as it is now, for a message of `channel`; the error of an object that can't be sent is the caller's."""
    return sharing.pack(_dumps, obj, channel)
