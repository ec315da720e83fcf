"""Pipes whose messages belong to a channel.

The problem. A reference in a message keeps its memory until a reader unpickles the message. When a
pipe's end is closed with unread messages, or the processes that had it have ended, the sender's
family gets no notice.

The solution. Each readable end has a channel (`minitensor.sharing.Channel`), whose users are the
processes that have the end open. The messages of the other end belong to that channel. They are
released with its last user.

In everything else the ends are standard Connections, and the bytes are those of a standard pipe.
"""

from __future__ import annotations

from collections import deque
from itertools import chain
from multiprocessing import connection as _standard
from multiprocessing import reduction
from typing import Any

from minitensor.backend.core import lib
from minitensor.sharing import Channel, have_arena

from .reductions import dumps

__all__ = ["Pipe", "PipeEnd"]


class PipeEnd(_standard.Connection):
    """One end of a pipe.

    Args:
        reads: the channel of the processes that read at this end.
        writes: the channel of the processes that read at the other end.
    """

    def __init__(
        self,
        handle: int,
        readable: bool,
        writable: bool,
        reads: Channel | None,
        writes: Channel | None,
    ) -> None:
        super().__init__(handle, readable, writable)
        self.reads, self.writes = reads, writes

    def __reduce__(self) -> tuple[Any, ...]:
        handle = reduction.DupFd(self.fileno())
        return _rebuild, (handle, self.readable, self.writable, self.reads, self.writes)

    def _close(self) -> None:
        super()._close()  # type: ignore[misc]
        self.reads = None  # releases the unread messages if this was the last reader

    def send(self, obj: object) -> None:
        """Send the present value of an object."""
        self._check_closed()  # type: ignore[attr-defined]
        self._check_writable()  # type: ignore[attr-defined]
        tokens: list[list[int]] = []
        try:
            self._send_bytes(dumps(obj, self.writes, tokens))  # type: ignore[attr-defined]
        except BaseException:
            deque(map(lib.mt_arena_unsend, chain.from_iterable(tokens)), 0)
            raise


def _rebuild(
    df: Any, readable: bool, writable: bool, reads: Channel | None, writes: Channel | None
) -> PipeEnd:
    return PipeEnd(df.detach(), readable, writable, reads, writes)


def Pipe(duplex: bool = True) -> tuple[_standard.Connection, _standard.Connection]:
    """Return the two ends of a pipe; with `duplex` False, a reader and a writer."""
    ends = _standard.Pipe(duplex)
    if not have_arena():
        return ends
    channels = [Channel() if end.readable else None for end in ends]
    first, second = (
        PipeEnd(
            _handle_of(end),
            end.readable,
            end.writable,
            reads,
            None if other is None else other.seen_by_senders(),
        )
        for end, reads, other in zip(ends, channels, reversed(channels))
    )
    return first, second


def _handle_of(end: _standard.Connection) -> int:
    """Remove a connection's descriptor and return it."""
    handle, end._handle = end._handle, None  # type: ignore[attr-defined]
    return handle
