"""Channels: which processes use a queue.

What is on its way in a queue that no process uses any more is given up.  Pickled, a channel is the same one in another process;
a fork takes it along.
"""

from __future__ import annotations

from multiprocessing.context import get_spawning_popen
from typing import Any

from minitensor.backend.core import lib

from .arena import Start, address, have_arena, is_here, start_of

__all__ = ["Channel"]


class Channel:
    """The processes that use a queue.

    `id` 0: its users are not counted, and no message in it may refer to shared memory.
    """

    def __init__(self) -> None:
        self.id = lib.mt_channel_new() if have_arena() else 0
        if self.id < 0:  # no room for another one: its messages carry copies
            self.id = 0

    def carries_blocks(self) -> bool:
        """Return whether every process that may read a message of it can read what lies in shared memory."""
        return lib.mt_channel_carries(self.id) > 0

    def by_reference(self) -> bool:
        """Return whether a tensor in a message of it may be a reference."""
        return lib.mt_channel_carries(self.id) == 2

    def has_others(self) -> bool | None:
        """Return whether another process that lives uses it; None: that can't be known."""
        found = lib.mt_channel_has_others(self.id) if self.id and lib.mt_arena_member() else -1
        return None if found < 0 else bool(found)

    def seen_by_senders(self) -> Channel:
        """Return the channel as a sender has it that is no user of it."""
        seen = object.__new__(_Seen)
        seen.id = self.id
        return seen

    def __reduce__(self) -> tuple[Any, ...]:
        popen = get_spawning_popen()
        where = self._where()
        if isinstance(where, Start):
            where.uses(self.id)
        elif popen is not None and self.id:
            lib.mt_channel_add_guest(self.id, True)
        return _join, (self.id, where)

    def _where(self) -> str | Start:
        """Return how the process that it is pickled for finds the arena."""
        popen = get_spawning_popen()
        return (start_of(popen) if popen is not None and self.id else None) or address()

    def __del__(self) -> None:
        if self.id and lib is not None:
            lib.mt_channel_leave(self.id)
            self.id = 0


def _join(id: int, address: str) -> Channel:
    channel = object.__new__(Channel)
    channel.id = 0
    if id and is_here(address) and (not lib.mt_arena_member() or lib.mt_channel_join(id) == lib.MT_OK):
        channel.id = id  # a guest is no user of it, but its messages belong to it
    return channel


class _Seen(Channel):
    """A channel of which this process is no user: it only sends to those that are."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _see, (self.id, self._where())

    def __del__(self) -> None:
        pass


def _see(id: int, address: str) -> Channel:
    channel = object.__new__(_Seen)
    channel.id = id if id and is_here(address) else 0
    return channel
