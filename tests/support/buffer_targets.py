"""What other processes do with arrays and other buffers in the tests."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np


def add_one(value: Any) -> Any:
    """Write to an array in place, and return it."""
    value += 1
    return value


def describe(a: Any) -> tuple[Any, ...]:
    """Return what has to arrive unchanged: type, dtype, shape, layout, read-only flag, bytes."""
    flags = a.flags.c_contiguous, a.flags.f_contiguous, a.flags.writeable
    return type(a).__name__, a.dtype, a.shape, flags, a.tobytes("A")


def puts(queue: Any, value: Any, how: str) -> None:
    """Put a value and end, or be killed."""
    queue.put(value)
    if how == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)


def takes_and_is_killed(queue: Any, ready: Any) -> None:
    """Take a value, write to it, and be killed."""
    value = queue.get()
    value += 1
    ready.put(float(value[0]))
    os.kill(os.getpid(), signal.SIGKILL)


def exits_with_the_first(a: Any) -> None:
    """End with the first element as exit code, after a write to the argument."""
    a[-1] = 5
    os._exit(int(a[0]))


def fill(n: int) -> np.ndarray:
    return np.full(n, 3.0)
