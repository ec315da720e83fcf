"""What happened, for people who want to see: forks, devices, streams.

`record` keeps an event in memory, and with `MINITENSOR_TRACE=FILE` also appends it to that file as one line of JSON.
One `os.write` to a descriptor opened with O_APPEND puts a line down whole, so the processes of a family may share a file and
there is no lock that a fork could copy in a locked state.  Ops are not traced: they are too many and too fast.

A file that can't be written ends no program: the logger `minitensor` names the variable and the
reason, once in each family of forked processes, and events stay in memory.
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
    """Something that happened: `time` in seconds of the monotonic clock, which all processes of a machine share."""

    kind: str
    time: float
    pid: int
    thread: str
    fields: dict[str, Any]


_events: deque[Event] = deque(maxlen=10_000)  # its append is atomic under the GIL
# The path, the descriptor, and the file's device and inode; a forked child goes on with them.
_file: tuple[str, int, tuple[int, int]] | None = None
_unusable = ""  # the path that this process has given up


def _thread_name() -> str:
    # threading.current_thread() would leave a dummy Thread behind for each worker of the core.
    thread = threading._active.get(threading.get_ident())  # type: ignore[attr-defined]
    return thread.name if thread is not None else "worker"


def record(kind: str, **fields: Any) -> None:
    """Note an event; `kind` is a dotted name such as `fork.drained`."""
    global _unusable
    event = Event(kind, time.monotonic(), os.getpid(), _thread_name(), fields)
    _events.append(event)
    path = config.get("MINITENSOR_TRACE")
    if not path or path == _unusable:
        return
    import json  # for few programs, and a tenth of what importing minitensor would take

    line = (json.dumps(event._asdict(), default=str) + "\n").encode()
    try:
        if os.write(_descriptor(path), line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        _unusable = path
        logging.getLogger("minitensor").error(
            "[trace] MINITENSOR_TRACE must be a file that can be written, got %r (%s); "
            "set it to another path, or unset it; until then events stay in memory",
            path,
            error.strerror,
        )


def _descriptor(path: str) -> int:
    """Return the trace's descriptor; opens the file unless its descriptor is still the one it was."""
    global _file
    if _file is not None and _file[0] == path:
        with suppress(OSError):  # a program that makes a daemon of itself has closed it
            if _identity(_file[1]) == _file[2]:
                return _file[1]
    # O_NONBLOCK: a FIFO that nobody reads is an error, and a full one too.
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    descriptor = os.open(path, flags, 0o600)
    _file = path, descriptor, _identity(descriptor)
    return descriptor


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def events(prefix: str = "") -> list[Event]:
    """The events of this process and of those it was forked from, the oldest first, whose kind begins with `prefix`."""
    return [event for event in list(_events) if event.kind.startswith(prefix)]


def clear() -> None:
    """Forgets the events in memory."""
    _events.clear()
