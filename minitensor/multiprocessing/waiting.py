"""Waiting for a queue's next message, for as long as a message can come.

The problem. A `get` waits for ever when every process that could put has ended.

The solution. A waiting reader checks every `SLICE` seconds whether another process uses the queue's
channel, and whether anything in its own process could put: another thread, a signal handler, a
queued task. Two successive checks must agree, because a process may put and end between the read
and the first check.

What it guarantees. EOFError is raised only when no put is possible, and then within a second. Where
that cannot be known, the reader waits.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from typing import Any

from minitensor.backend import core

from .message_pipe import PacketEnd

__all__ = ["SLICE", "take"]

SLICE = 0.4  # seconds between two checks of a waiting reader


def _may_put_here() -> bool:
    """Return whether anything in this process could put while this thread waits."""
    feeders = {t.ident for t in threading.enumerate() if t.name == "QueueFeederThread"}
    known = {t.ident for t in threading.enumerate()} | set(sys._current_frames())
    if known - feeders - {threading.get_ident()}:
        return True
    handlers = map(signal.getsignal, signal.valid_signals())
    return any(callable(h) and h is not signal.default_int_handler for h in handlers) or bool(
        core.pending_work()
    )


def _is_abandoned(reader: PacketEnd) -> bool:
    """Return whether certainly no process can send; False where that cannot be known."""
    return not _may_put_here() and reader.channel.has_others() is False


def take(reader: PacketEnd, deadline: float | None, taken: list[Any]) -> None:
    """Read the next packet into `taken[0]`; leave it unchanged if the deadline passes.

    Args:
        deadline: a value of `time.monotonic()`; None for no limit.

    Raises:
        EOFError: no process can put any more.
    """
    alone = False
    while not reader.read_now(taken):
        left = SLICE if deadline is None else deadline - time.monotonic()
        if left <= 0:
            return
        if reader.wait(min(left, SLICE)):
            continue
        if left >= SLICE:
            before, alone = alone, _is_abandoned(reader)
            if before and alone:
                raise EOFError(
                    "[get] every other process that had the queue has ended, the queue is empty, "
                    "and nothing in this process could put; put before the last process ends"
                )
