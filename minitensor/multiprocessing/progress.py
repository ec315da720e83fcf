"""The progress of a call, shown as a bar, as a line, or given to a function.

`progress=True` uses tqdm where it is installed. Where it is not, a line on stderr has the count,
the rate and the time that is left; on a terminal the line is renewed, elsewhere it appears at the
end. A function gets a `Progress` after each chunk of tasks.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Progress", "Show", "shower"]

PAUSE = 0.1  # seconds at least between two lines


@dataclass(frozen=True)
class Progress:
    """Describe how far a call is.

    Args:
        done: the number of tasks that are done, failed ones included.
        total: the number of all tasks; None if it is unknown.
        seconds: the time since the call.
    """

    done: int
    total: int | None
    seconds: float

    @property
    def rate(self) -> float:
        """Tasks per second, on average."""
        return self.done / self.seconds if self.seconds > 0 else 0.0

    @property
    def left(self) -> float | None:
        """Seconds until the end at this rate; None if it cannot be known."""
        if self.total is None or not self.rate:
            return None
        return (self.total - self.done) / self.rate

    def __str__(self) -> str:
        of = "" if self.total is None else f" of {self.total}"
        left = "" if self.left is None else f", {self.left:.0f} s left"
        return f"{self.done}{of} tasks, {self.rate:.1f} per second{left}"


class Show:
    """Count the tasks that are done, and show the count.

    Args:
        total: the number of tasks; None if it is unknown.
        tell: is called with each Progress.
        end: is called when the call is over.
    """

    def __init__(
        self, total: int | None, tell: Callable[[Progress], object], end: Callable[[], object]
    ) -> None:
        self._total, self._tell, self._end = total, tell, end
        self._done, self._start, self._over = 0, time.monotonic(), False

    def add(self, tasks: int) -> None:
        """Note that so many more tasks are done."""
        self._done += tasks
        self._tell(Progress(self._done, self._total, time.monotonic() - self._start))
        if self._done == self._total:
            self.close()

    def close(self) -> None:
        """Note that the call is over."""
        if not self._over:
            self._over = True
            self._end()


def shower(
    progress: bool | Callable[[Progress], object] | None, total: int | None, what: str
) -> Show | None:
    """Return what shows the progress of a call; None if nothing is to be shown.

    Args:
        progress: True for a bar or a line; a function, which gets each Progress.
        total: the number of tasks; None if it is unknown.
        what: the name of the call.

    Raises:
        TypeError: progress is something else.
    """
    if progress is None or progress is False:
        return None
    if callable(progress):
        return Show(total, progress, lambda: None)
    if progress is not True:
        raise TypeError(
            f"[{what}] progress must be True, False or a function of a Progress, got {progress!r}"
        )
    try:
        from tqdm.auto import tqdm  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return _line(total, what)
    bar = tqdm(total=total, desc=what)
    return Show(total, lambda now: bar.update(now.done - bar.n), bar.close)


def _line(total: int | None, what: str) -> Show:
    last: list[Any] = [Progress(0, total, 0.0), 0.0]
    terminal = sys.stderr is not None and sys.stderr.isatty()

    def write(text: str) -> None:
        with contextlib.suppress(AttributeError, OSError, ValueError):  # closed, or none
            sys.stderr.write(text)
            sys.stderr.flush()

    def tell(now: Progress) -> None:
        last[0] = now
        if terminal and now.seconds >= last[1] + PAUSE:
            last[1] = now.seconds
            write(f"\r{what}: {now}\x1b[K")

    def end() -> None:
        write(f"\r{what}: {last[0]}\x1b[K\n" if terminal else f"{what}: {last[0]}\n")

    return Show(total, tell, end)
