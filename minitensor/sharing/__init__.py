"""Tensors that travel between processes.

The modules are layers in this order: the family's shared memory (`arena`), the processes that use a
queue (`channel`), a tensor's form in a message (`pickling`), that of other libraries' arrays
(`buffers`, `arrays`), and the pickler that uses them (`pickler`). The standard package's pickler
calls `reduce` for each tensor.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from multiprocessing.context import get_spawning_popen
from multiprocessing.reduction import ForkingPickler
from typing import Any

from minitensor.tensor import Tensor

from .arena import Start, have_arena, reap, room_text, start_of, why_no_arena
from .buffers import held_bytes
from .channel import Channel
from .pickler import pickled
from .pickling import apart, inline_bytes, make_shared, pack, reduce, sharing_stats

__all__ = [
    "Channel",
    "have_arena",
    "held_bytes",
    "inline_bytes",
    "make_shared",
    "pack",
    "pickled",
    "reap",
    "reduce",
    "room_text",
    "sharing_stats",
    "started",
    "why_no_arena",
]

ForkingPickler.register(Tensor, reduce)


class _Started:
    """A process object in the data that its new process starts from.

    The new process first takes its slot, then unpickles the process object.
    """

    def __init__(self, process: Any) -> None:
        self._name, self._process = process._name, process
        self.start: Start | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        self.start = start_of(get_spawning_popen())
        if self.start is not None:
            self.start.written = True  # pickle writes it before the process
        return _begin, (self.start, bytes(pickled(self._process)))


def _begin(address: str | None, process: bytes) -> Any:
    return pickle.loads(process)


def started(popen: Callable[[Any], Any], process: Any) -> Any:
    """Return `popen(process)`, which spawns the process as a member of the family."""
    wrapped = _Started(process)
    try:
        return apart(popen, wrapped)
    finally:
        if wrapped.start is not None:
            wrapped.start.close()
