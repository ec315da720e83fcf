"""The progress of an epoch: a bar of tqdm, a line of text, or the program's function."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

__all__ = ["Progress", "progress_of"]

Progress = Callable[[int, "int | None"], object]


def progress_of(value: bool | Progress) -> Progress | None:
    """Return the function for the `progress` argument of an iterator.

    Raises:
        TypeError: the argument is neither a bool nor callable.
    """
    if callable(value):
        return value
    if not isinstance(value, bool):
        raise TypeError(f"[dataset] progress must be a bool or a function, got {value!r}")
    if not value:
        return None
    try:
        from tqdm.auto import tqdm  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        return _Line().show
    return _Bar(tqdm).show


class _Bar:
    """A bar of tqdm for each epoch."""

    def __init__(self, tqdm: Any) -> None:
        self._tqdm, self._bar = tqdm, None

    def show(self, rows: int, total: int | None) -> None:
        if self._bar is None:
            self._bar = self._tqdm(total=total)
        bar: Any = self._bar
        bar.update(rows - bar.n)
        if rows == total:
            bar.close()
            self._bar = None


class _Line:
    """A line on standard error, at most ten times a second."""

    def __init__(self) -> None:
        self._next = 0.0

    def show(self, rows: int, total: int | None) -> None:
        now, last = time.monotonic(), rows == total
        if now >= self._next or last:
            self._next = now + 0.1
            end = "\n" if last else ""
            of = "" if total is None else f" of {total}"
            print(f"\r{rows}{of}", end=end, file=sys.stderr, flush=True)
