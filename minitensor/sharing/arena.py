"""Membership in the family's shared memory: how a process gets a slot and gives its children one.

The problem. A message refers to memory that its reader must be able to open, whatever the reader
is: a forked child, a spawned process, a process that the standard package started, one that has
changed its user or has no /proc.

The solution. The first process creates the arena (`core/arena/arena.c`). A forked child inherits
it, with a slot of its own. A spawned process receives two descriptors with the data that it starts
from (`Start`): the arena's, and one that keeps the lock of a slot that its parent has reserved. So
the child is a member before its first line runs, or its parent knows that the child is a guest,
which exchanges copies.

A process may start without these descriptors (the standard package's `spawn`, when no argument was
a tensor). Such a process looks for the arena at the first message that needs it: the message or the
environment says which relative has the arena open (`/proc/PID/fd/N`, of the same user, checked by
its inode). A sender that cannot be found in this way does not rely on it (`can_be_found`).
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

from minitensor import config, fork, trace
from minitensor.backend.core import ffi, lib

__all__ = [
    "Start",
    "address",
    "can_be_found",
    "have_arena",
    "is_here",
    "places_of",
    "reap",
    "room_text",
    "start_of",
    "why_no_arena",
]

# (pid, descriptor) of relatives that have the arena open, the closest relative last.
_places: list[tuple[int, int]] = []
_lock = threading.Lock()
_why_none = ""  # the reason why the system gives no arena


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def have_arena() -> bool:
    """Join the family's arena, or create one; return False where this process cannot."""
    global _why_none
    if lib.mt_arena_member():
        return True
    with _lock:
        if lib.mt_arena_member() or lib.mt_arena_inode():
            return bool(lib.mt_arena_member())  # a guest stays one
        inherited = config.get("MINITENSOR_ARENA_AT")
        if inherited and _attach(inherited):
            return True
        cap = config.get("MINITENSOR_ARENA_FREE") or min(1 << 30, _memory() // 8)
        status = lib.mt_arena_create(config.get("MINITENSOR_ARENA"), cap)
        if status != 0:
            reason = "no /proc to open it by" if status == -2 else os.strerror(-status)
            if reason != _why_none:
                trace.record("sharing.no_arena", reason=reason)
            _why_none = reason
            return False
        _announce()
        trace.record("sharing.arena", inode=lib.mt_arena_inode())
        return True


def why_no_arena() -> str:
    """Return why this process has no slot in shared memory."""
    guest = ffi.string(lib.mt_arena_why_guest()).decode()
    if guest:
        return f"this process is no member of its family's shared memory: {guest}"
    if lib.mt_arena_member():
        return (
            "a process that uses it was started by a process that had closed the descriptor of the "
            "shared memory"
        )
    return f"the system gives no memory that processes could share ({_why_none})"


def room_text() -> str:
    """Return why the core refused this thread's last request for shared memory."""
    text = ffi.new("char[400]")
    lib.mt_arena_explain(text, 400)
    return ffi.string(text).decode(errors="replace")


def address() -> str:
    """Return the arena's inode and the (pid, descriptor) pairs that have it open, as text."""
    global _own_address
    if not _own_address:
        fd = lib.mt_arena_file()
        places = ([(os.getpid(), fd)] if fd >= 0 else []) + _places[-3:]
        _own_address = ",".join([str(lib.mt_arena_inode()), *(f"{pid}:{fd}" for pid, fd in places)])
    return _own_address


_own_address = ""


def places_of(address: str) -> tuple[int, list[tuple[int, int]]]:
    """Return the inode and the (pid, descriptor) pairs of an address."""
    inode, *texts = address.split(",")
    pairs = (text.partition(":") for text in texts)
    return int(inode), [(int(pid), int(fd)) for pid, _, fd in pairs]


def can_be_found() -> bool:
    """Return whether a process of the same user can find this process's arena in /proc.

    The descriptor must be open, and the directory must belong to the user.
    """
    try:
        return lib.mt_arena_file() >= 0 and os.stat("/proc/self/fd").st_uid == os.geteuid()
    except OSError:
        return False


def _announce() -> None:
    global _own_address
    _own_address = ""
    config.hand_down("MINITENSOR_ARENA_AT", address())


def _attach(address: str) -> bool:
    inode, places = places_of(address)
    for pid, fd in places:
        if lib.mt_arena_attach(f"/proc/{pid}/fd/{fd}".encode(), inode) == 0:
            _places[:] = places
            _announce()
            trace.record("sharing.attached", inode=inode, at=pid)
            return True
    return False


def is_here(address: str) -> bool:
    """Return whether a sender's arena is this process's, as a member or a guest."""
    if address == _own_address:
        return True
    if not lib.mt_arena_inode():
        with _lock:
            if not lib.mt_arena_inode():
                _attach(address)
    return int(address.partition(",")[0]) == lib.mt_arena_inode() != 0


def reap() -> int:
    """Release what dead processes of the family held, and return their number.

    A member also does so once a second.
    """
    _close_started()
    ended = lib.mt_arena_reap() if lib.mt_arena_member() else 0
    if ended:
        trace.record("sharing.reaped", processes=ended)
    return ended


# --- fork -----------------------------------------------------------------------------------------
_forked_from = (0, -1)


def _before_fork() -> None:
    global _forked_from
    _close_started()
    _forked_from = os.getpid(), lib.mt_arena_file()


def _after_in_child() -> None:
    global _lock, _own_address
    _lock = threading.Lock()
    _own_address = ""
    if not lib.mt_arena_inode():
        return
    _starts.clear()
    if _forked_from[1] >= 0:
        _places.append(_forked_from)
    if lib.mt_arena_member():
        _announce()
    else:
        trace.record("sharing.guest", reason=ffi.string(lib.mt_arena_why_guest()).decode())


fork.register(before=_before_fork, after_in_child=_after_in_child, name="sharing", level=2)


# --- spawned processes ----------------------------------------------------------------------------
class Start:
    """The arena's descriptor and a slot, for one process that is being spawned.

    Each start has one; pickle writes it once.
    """

    def __init__(self) -> None:
        lock = ffi.new("int *", -1)
        self.written = False  # it stands in the data already
        self.slot = lib.mt_arena_reserve(lock)  # or -errno: the process will be a guest
        self.lock = lock[0]
        self.channel = lib.mt_channel_new()  # of the references in the process's arguments
        if self.channel < 0:
            self.channel = 0
        self.uses(self.channel)

    def uses(self, channel: int) -> None:
        """Add the new process to a channel's users before it runs."""
        if channel and self.slot > 0:
            lib.mt_channel_join_for(channel, self.slot)
        elif channel:
            lib.mt_channel_add_guest(channel, False)

    def close(self) -> None:
        """Close this process's copies of what the new process has received."""
        lock, self.lock = self.lock, -1
        channel, self.channel = self.channel, 0
        if lock >= 0:
            os.close(lock)
        if channel:
            lib.mt_channel_leave(channel)

    def place(self) -> Start | str:
        """Return what data for the new process contains: this start, once; then the address."""
        return address() if self.written else self

    def __reduce__(self) -> tuple[Any, ...]:
        from multiprocessing.reduction import DupFd

        lock = DupFd(self.lock) if self.lock >= 0 else None
        return _enter, (address(), DupFd(lib.mt_arena_file()), lock, self.slot, self.channel)


def _enter(address: str, file: Any, lock: Any, slot: int, channel: int) -> str:
    """Take the slot, in the new process.

    Returns:
        The arena's address; the messages in the same pickle refer to it.
    """
    status = lib.mt_arena_enter(file.detach(), -1 if lock is None else lock.detach(), slot)
    if status == 0:
        _places[:] = places_of(address)[1]
        _announce()
        if channel:
            lib.mt_channel_join(channel)
        trace.record("sharing.entered", inode=lib.mt_arena_inode(), slot=slot)
    else:
        reason = ffi.string(lib.mt_arena_why_guest()).decode() or os.strerror(-status)
        trace.record("sharing.guest", reason=reason)
    return address


# Of processes that the standard package starts; it gives no notice when they have started.
_starts: list[tuple[Any, Start]] = []


def start_of(popen: Any) -> Start | None:
    """Return the `Start` for the process of `popen`; None if this process has no arena open."""
    start: Start | None = popen.__dict__.get("_minitensor_start")
    if start is None and (have_arena() or lib.mt_arena_inode()) and lib.mt_arena_file() >= 0:
        _close_started()
        start = popen.__dict__["_minitensor_start"] = Start()
        _starts.append((weakref.ref(popen), start))
    return start


def _close_started() -> None:
    for entry in _starts[:]:
        popen = entry[0]()
        if popen is None or getattr(popen, "pid", None) is not None:
            entry[1].close()
            _starts.remove(entry)
