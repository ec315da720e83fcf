"""Channels: the processes that use a queue.

When a queue's last user is gone, the tokens in the queue's messages are dropped. A pickled channel
is the same channel in another process. A forked child is a user of its parent's channels.
"""

from __future__ import annotations

from multiprocessing.context import get_spawning_popen
from typing import Any

from minitensor.backend.core import lib

from .arena import Start, address, have_arena, is_here, start_of

__all__ = ["Channel"]


class Channel:
    """The set of processes that use a queue.

    With `id` 0 the users are not counted, and no message may refer to shared memory.
    """

    def __init__(self) -> None:
        self.id = lib.mt_channel_new() if have_arena() else 0
        if self.id < 0:  # the arena has no room for a channel: messages carry copies
            self.id = 0

    def carries_blocks(self) -> bool:
        """Return whether every possible reader of its messages can read shared memory."""
        return lib.mt_channel_carries(self.id) > 0

    def by_reference(self) -> bool:
        """Return whether a tensor in its messages may be a reference."""
        return lib.mt_channel_carries(self.id) == 2

    def has_others(self) -> bool | None:
        """Return whether another live process uses it; None where that cannot be known."""
        found = lib.mt_channel_has_others(self.id) if self.id and lib.mt_arena_member() else -1
        return None if found < 0 else bool(found)

    def seen_by_senders(self) -> Channel:
        """Return the channel for a sender, which does not count as a user."""
        seen = object.__new__(_Seen)
        seen.id = self.id
        return seen

    def __reduce__(self) -> tuple[Any, ...]:
        popen = get_spawning_popen()
        start = self._start()
        if start is not None:
            start.uses(self.id)
        elif popen is not None and self.id:
            lib.mt_channel_add_guest(self.id, True)
        return _join, (self.id, _where(start))

    def _start(self) -> Start | None:
        """Return the `Start` of the process that receives the pickle, if one is being spawned."""
        popen = get_spawning_popen()
        return start_of(popen) if popen is not None and self.id else None

    def __del__(self) -> None:
        if self.id and lib is not None:
            lib.mt_channel_leave(self.id)
            self.id = 0


def _where(start: Start | None) -> str | Start:
    """Return how the receiver of a pickle finds the arena."""
    return address() if start is None else start.place()


def _join(id: int, address: str) -> Channel:
    channel = object.__new__(Channel)
    channel.id = 0
    if id and is_here(address):
        # A guest is no user, but its messages belong to the channel.
        if not lib.mt_arena_member() or lib.mt_channel_join(id) == lib.MT_OK:
            channel.id = id
    return channel


class _Seen(Channel):
    """A channel that this process only sends to, without being a user."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _see, (self.id, _where(self._start()))

    def __del__(self) -> None:
        pass


def _see(id: int, address: str) -> Channel:
    channel = object.__new__(_Seen)
    channel.id = id if id and is_here(address) else 0
    return channel
