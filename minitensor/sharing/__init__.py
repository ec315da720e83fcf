"""Tensors that travel between processes: the family's shared memory (`arena`), which processes use a queue (`channel`), and what of a tensor
goes into a message (`pickling`).  They are layers in this order; the standard package's pickler calls `reduce` for each tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing.context import get_spawning_popen
from multiprocessing.reduction import ForkingPickler
from typing import Any

from minitensor.tensor import Tensor

from .arena import Start, have_arena, reap, room_text, start_of, why_no_arena
from .channel import Channel
from .pickling import make_shared, pack, reduce, sharing_stats

__all__ = ["Channel", "have_arena", "pack", "reap", "reduce", "room_text", "make_shared", "sharing_stats", "started", "why_no_arena"]

ForkingPickler.register(Tensor, reduce)


class _Started:
    """A process object on its way to the process that it becomes, with the place that this one takes before it is unpickled."""

    def __init__(self, process: Any) -> None:
        self._name, self._process = process._name, process
        self.start: Start | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        self.start = start_of(get_spawning_popen())
        return _begin, (self.start, self._process)


def _begin(address: str | None, process: Any) -> Any:
    return process


def started(popen: Callable[[Any], Any], process: Any) -> Any:
    """Return `popen(process)`, which spawns it as a member of the family."""
    wrapped = _Started(process)
    try:
        return popen(wrapped)
    finally:
        if wrapped.start is not None:
            wrapped.start.close()
