"""How objects become the bytes of a message.

Every transport pickles with the reducers that are registered on the standard package's
ForkingPickler; for a tensor the reducer is `minitensor.sharing.reduce`. So a tensor means the same
in our queues, in a standard queue, a pipe, a pool, a manager or an executor. Our own transports
also send large buffers apart (`sharing/pickler.py`).
"""

from __future__ import annotations

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


def _dumps(obj: object) -> Any:
    if ForkingPickler is not reduction.ForkingPickler:
        return ForkingPickler.dumps(obj, pickle.HIGHEST_PROTOCOL)
    return sharing.pickled(obj)


# dumps(obj, channel, tokens) pickles the present value of an object. A partial is faster than a
# function, and each message calls it.
dumps = partial(sharing.pack, _dumps)
