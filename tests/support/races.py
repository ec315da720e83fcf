"""Force races: hold a thread at a point of the core, or wait until a thread waits there."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from minitensor.backend.core import lib


class Held:
    """A point of the core (`enum mt_point`) at which the next thread waits."""

    def __init__(self, point: int) -> None:
        self._reached, reached = os.pipe()
        go, self._go = os.pipe()
        self._point = point
        self._ends = (self._reached, reached, go, self._go)
        lib.mt_hold_at(point, reached, go)

    def wait(self) -> None:
        """Wait until a thread is there."""
        assert select.select([self._reached], [], [], 30)[0], "no thread came to the point"
        os.read(self._reached, 1)

    def go(self) -> None:
        """Let the thread go on."""
        os.write(self._go, b"!")

    def close(self) -> None:
        lib.mt_hold_at(self._point, -1, -1)
        for end in self._ends:
            os.close(end)


@contextmanager
def held(point: int) -> Iterator[Held]:
    """Hold the next thread at `point`; the body has to let it go before it ends."""
    hold = Held(point)
    try:
        yield hold
    finally:
        hold.close()


def is_in(ident: int | None, *functions: Callable[..., Any]) -> bool:
    """Return whether a thread is in one of these functions."""
    codes = {function.__code__ for function in functions}
    frame: FrameType | None = sys._current_frames().get(ident or 0)
    while frame is not None and frame.f_code not in codes:
        frame = frame.f_back
    return frame is not None


def until(condition: Callable[[], bool]) -> None:
    """Yield the processor until the condition holds; raise after a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come to hold in a minute"
        os.sched_yield()


def until_in(ident: int | None, *functions: Callable[..., Any]) -> None:
    """Wait until a thread is in one of these functions, which only the test lets it leave."""
    until(lambda: is_in(ident, *functions))
