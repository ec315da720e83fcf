"""The trace: events of forks, devices and shared memory.

`record` keeps an event in memory.  With `MINITENSOR_TRACE=FILE` it also appends the event to that
file, as one line of JSON.  One `os.write` to a descriptor opened with O_APPEND writes a whole line,
so the processes of a family may share a file, and a fork can't copy a locked lock.  Ops are not
traced: they are too frequent.

A trace file that can't be written does not stop the program: the logger `minitensor` names the
variable and the reason, once in each family of forked processes, and events stay in memory.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections import deque
from contextlib import suppress
from typing import Any, NamedTuple

from minitensor import config

__all__ = ["Event", "record", "events", "clear"]


class Event(NamedTuple):
    """Describe an event.

    Attributes:
        kind: a dotted name such as `fork.drained`.
        time: seconds of the monotonic clock, which all processes of a machine share.
        pid: the process.
        thread: the name of the thread.
        fields: details, by name.
    """

    kind: str
    time: float
    pid: int
    thread: str
    fields: dict[str, Any]


_events: deque[Event] = deque(maxlen=10_000)  # its append is atomic under the GIL
# The path, the descriptor, and the file's device and inode; a forked child uses the same ones.
_file: tuple[str, int, tuple[int, int]] | None = None
_unusable = ""  # the path that this process no longer tries to write


def _thread_name() -> str:
    # threading.current_thread() would leave a dummy Thread behind for each worker of the core.
    thread = threading._active.get(threading.get_ident())  # type: ignore[attr-defined]
    return thread.name if thread is not None else "worker"


def record(kind: str, **fields: Any) -> None:
    """Record an event.

    Args:
        kind: a dotted name such as `fork.drained`.
        **fields: details; they must convert to JSON or to str.

    Example:
        >>> from minitensor import trace
        >>> trace.record("example.step", number=1)
        >>> trace.events("example")[-1].fields
        {'number': 1}
    """
    global _unusable
    event = Event(kind, time.monotonic(), os.getpid(), _thread_name(), fields)
    _events.append(event)
    path = config.get("MINITENSOR_TRACE")
    if not path or path == _unusable:
        return
    import json  # few programs need it, and it is a tenth of the import time of minitensor

    line = (json.dumps(event._asdict(), default=str) + "\n").encode()
    try:
        if os.write(_descriptor(path), line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        _unusable = path
        logging.getLogger("minitensor").error(
            "[trace] MINITENSOR_TRACE must be a file that can be written, got %r (%s); "
            "set it to another path or unset it; until then events stay in memory",
            path,
            error.strerror,
        )


def _descriptor(path: str) -> int:
    """Return the descriptor of the trace file; open the file unless it is still open."""
    global _file
    if _file is not None and _file[0] == path:
        with suppress(OSError):  # a daemon has closed its descriptors
            if _identity(_file[1]) == _file[2]:
                return _file[1]
    # O_NONBLOCK: a FIFO without a reader is an error, and so is a full FIFO.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    descriptor = os.open(path, flags, 0o600)
    _file = path, descriptor, _identity(descriptor)
    return descriptor


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def events(prefix: str = "") -> list[Event]:
    """Return the events of this process and of the processes that it was forked from.

    Args:
        prefix: the beginning of the kinds to return; "" means all.

    Returns:
        The events, oldest first; memory keeps the last 10,000.

    Example:
        >>> from minitensor import trace
        >>> [event.kind for event in trace.events("no.such.kind")]
        []
    """
    return [event for event in list(_events) if event.kind.startswith(prefix)]


def clear() -> None:
    """Delete the events in memory.

    Example:
        >>> from minitensor import trace
        >>> trace.clear()
        >>> trace.events()
        []
    """
    _events.clear()
