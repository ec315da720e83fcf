"""Holding a stream's worker, so that a test says what it finds in its queue."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from minitensor import ops


@contextmanager
def queued() -> Iterator[None]:
    """Keep the tasks of the block queued until its end, so that the worker sees them at once."""
    gate = threading.Event()
    blocker = ops.host_call(lambda: float(gate.wait(60)), [], shape=(), dtype="float32")
    try:
        yield
    finally:
        gate.set()
        assert blocker.item() == 1.0
