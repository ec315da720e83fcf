"""Act at the n-th line that a call runs in our package: send a signal, or Ctrl-C.

Signals arrive between any two calls of functions; here they are forced at each place in turn, not
waited for.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from linecache import getline
from pathlib import Path
from types import FrameType
from typing import Any

import minitensor

HERE = str(Path(minitensor.__file__).parent)


def at_line(
    n: int, act: Callable[[], object], call: Callable[[], object], part: str = "multiprocessing"
) -> bool:
    """Run `call()`, and `act()` at its n-th line in the package's files with `part` in their path.

    Returns False where the call has fewer lines.
    """
    left = n

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left
        path, name = frame.f_code.co_filename, frame.f_code.co_name
        # where nothing can be raised
        if not path.startswith(HERE) or part not in path[len(HERE) :] or name == "__del__":
            return None
        # The interpreter handles no signal at a `try:`, which its table of handlers may leave out.
        if event == "line" and getline(path, frame.f_lineno).strip() != "try:":
            if left == 0:
                sys.settrace(None)
                left = -1
                act()
            left -= left > 0
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return left < 0


def interrupt() -> None:
    raise KeyboardInterrupt


def interrupted(call: Callable[[], object], part: str = "") -> Iterator[int]:
    """Run `call()` with Ctrl-C at its first line, at its second, and so on; yield after each."""
    n = 0
    while True:
        try:
            if not at_line(n, interrupt, call, part):
                return
        except KeyboardInterrupt:
            pass
        yield n
        n += 1
