"""What happened, for people who want to see: forks, devices, streams.

`record` keeps an event in memory, and with `MINITENSOR_TRACE=FILE` also appends it to that file as one line of JSON.
One `os.write` to a descriptor opened with O_APPEND puts a line down whole, so the processes of a family may share a file and
there is no lock that a fork could copy in a locked state.  Ops are not traced: they are too many and too fast.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
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
_file: tuple[str, int] | None = None  # path and descriptor; a forked child goes on with both


def _thread_name() -> str:
    # threading.current_thread() would leave a dummy Thread behind for each worker of the core.
    thread = threading._active.get(threading.get_ident())  # type: ignore[attr-defined]
    return thread.name if thread is not None else "worker"


def record(kind: str, **fields: Any) -> None:
    """Notes an event; `kind` is a dotted name such as `fork.drained`."""
    global _file
    event = Event(kind, time.monotonic(), os.getpid(), _thread_name(), fields)
    _events.append(event)
    path = config.get("MINITENSOR_TRACE")
    if not path:
        return
    import json  # for few programs, and a tenth of what importing minitensor would take

    if _file is None or _file[0] != path:
        _file = path, os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.write(_file[1], (json.dumps(event._asdict(), default=str) + "\n").encode())


def events(prefix: str = "") -> list[Event]:
    """The events of this process and of those it was forked from, the oldest first, whose kind begins with `prefix`."""
    return [event for event in list(_events) if event.kind.startswith(prefix)]


def clear() -> None:
    """Forgets the events in memory."""
    _events.clear()
