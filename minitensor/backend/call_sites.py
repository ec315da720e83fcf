"""The lines of the user's program that issue ops, by number.

The core keeps a number with each task, and an error that rises later names the line.  Number 0 is
no line.  A number is never given twice, so the list grows with the program's text, not with its
run time.
"""

from __future__ import annotations

import os
import threading
from types import FrameType

from minitensor.backend.extension import load_once, loaded

__all__ = ["number_of", "renew_lock", "text_of"]

load_once(__name__)

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_sites: list[tuple[str, int]] = [("", 0)]  # file and line, by number
_numbers: dict[tuple[str, int], int] = {}
_lock = threading.Lock()


def renew_lock() -> None:
    """Make the lock anew in a forked child: another thread of the parent may have held it."""
    global _lock
    _lock = threading.Lock()


def number_of(inner: FrameType) -> int:
    """Return the number of the user's line that led to a frame.

    Returns:
        The number when the line is the frame's own; -1 - number when the frame is one of the
        package's, and the line one of its callers'.
    """
    frame: FrameType | None = inner
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    if frame is None:
        return -1
    key = (frame.f_code.co_filename, frame.f_lineno)
    number = _numbers.get(key)
    if number is None:
        with _lock:
            number = _numbers.setdefault(key, len(_sites))
            if number == len(_sites):
                _sites.append(key)
    return number if frame is inner else -1 - number


def text_of(number: int) -> str:
    """Return a line as `file:line`, or "" for number 0."""
    name, line = _sites[number]
    return f"{name}:{line}" if name else ""


loaded(__name__)
