"""How tensors travel between the processes of a family: what goes into a message, and what comes out.

The problem.  A tensor in a message means its value at that moment, like any Python object; and its bytes are not to be copied.  The
message may go by any way: our queues, standard ones, pipes, pools, managers, executors, arguments of a process.

The solution.  They all pickle with the standard package's ForkingPickler, so that is where it happens (`reduce`); a plain
`pickle.dumps`, to a file, say, is not concerned and copies the value.  A small tensor goes into the message.  A larger one's storage moves
into the arena (`backend/native/arena.c`, `shared.c`) on its first journey, and the message has a token of it.  The token is a reference: the
storage lives as long as anybody has it or may still receive it.

Two views of one storage in one message arrive as two views of one storage: the storage is an object of its own in the message
(`Storage`), and pickle writes an object once.  A slice of a much larger storage goes as its own extent; of a storage that is in the
arena already only one that fits into the message, for a larger one costs nothing there but that it keeps the whole.

A session (`pack`) is one message of our own queues.  It knows the queue's channel, so that references in a queue that nobody has
any more are given up; when pickling fails it takes back the tokens that it has made; and when two slices of one storage turn
out to need more of it than the first had asked for, it begins again with what both need.  Messages by other ways do without.

A receiver finds the arena by itself: a message says where the sender has it open (`/proc/PID/fd/N`, for the same user only, and
checked by its inode), and processes that we start have it in their environment.  Nothing is passed along, and nothing has a name.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

from minitensor import config, fork, trace
from minitensor.backend import native
from minitensor.backend.native import ffi, lib
from minitensor.dtype import DTYPES, uint8
from minitensor.errors import StaleHandleError
from minitensor.tensor import Tensor, _checked, as_device, empty, wrap

__all__ = ["Channel", "have_arena", "pack", "reap", "reduce", "share_with_everyone", "sharing_stats"]

_TRIES = 100  # of a storage that another thread is at work on; then it is copied


# --- the arena of this process ---------------------------------------------------------------------------------------
_places: list[tuple[int, int]] = []  # (pid, descriptor) of relatives that have it open, the next of kin last
_lock = threading.Lock()


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def have_arena() -> bool:
    """Makes this process a member of its family's arena, or the first of a new one; False where there can be none."""
    if lib.mt_arena_member():
        return True
    with _lock:
        if lib.mt_arena_member() or lib.mt_arena_inode():
            return bool(lib.mt_arena_member())  # a child that found no place in it has none
        inherited = config.get("MINITENSOR_ARENA_AT")
        if inherited:
            inode, *places = inherited.split(",")
            if _attach(int(inode), [tuple(map(int, place.split(":"))) for place in places]):
                return True
        cap = config.get("MINITENSOR_ARENA_FREE") or min(1 << 30, _memory() // 8)
        status = lib.mt_arena_create(config.get("MINITENSOR_ARENA"), cap)
        if status != 0:
            trace.record("sharing.no_arena", reason=os.strerror(-status))
            return False
        _announce()
        trace.record("sharing.arena", inode=lib.mt_arena_inode())
        return True


def _announce() -> None:
    inode, places = _address()
    config.hand_down("MINITENSOR_ARENA_AT", ",".join([str(inode), *(f"{pid}:{fd}" for pid, fd in places)]))


def _address() -> tuple[int, tuple[tuple[int, int], ...]]:
    """Where others find the arena: its inode, and who has it open."""
    fd = lib.mt_arena_file()
    own = ((os.getpid(), fd),) if fd >= 0 else ()
    return lib.mt_arena_inode(), (*own, *_places[-3:])


def _attach(inode: int, places: Any) -> bool:
    for pid, fd in places:
        if lib.mt_arena_attach(f"/proc/{pid}/fd/{fd}".encode(), inode) == 0:
            _places[:] = places
            _announce()
            trace.record("sharing.attached", inode=inode, at=pid)
            return True
    return False


def _after_in_child() -> None:
    global _lock
    _lock = threading.Lock()
    if lib.mt_arena_inode():
        _places.append(_forked_from)
        if lib.mt_arena_member():
            _announce()


_forked_from = (0, -1)


def _before_fork() -> None:
    global _forked_from
    _forked_from = os.getpid(), lib.mt_arena_file()


fork.register(before=_before_fork, after_in_child=_after_in_child, name="sharing", level=2)


# --- channels --------------------------------------------------------------------------------------------------------
class Channel:
    """Which processes use a queue: what is on its way in a queue that nobody uses any more is given up.

    Pickled, it is the same channel in another process; a fork takes it along.
    """

    def __init__(self) -> None:
        self.id = lib.mt_channel_new() if have_arena() else 0
        if self.id < 0:  # no room for another one: what travels in it is not given up before the family ends
            self.id = 0

    @property
    def number(self) -> int:
        return self.id & 0xFFFF

    def others(self) -> int:
        """How many other processes use it; -1: that can't be known."""
        return lib.mt_channel_others(self.id) if self.id and lib.mt_arena_member() else -1

    def __reduce__(self) -> tuple[Any, ...]:
        return _join, (self.id, _address())

    def __del__(self) -> None:
        if self.id and lib is not None:
            lib.mt_channel_leave(self.id)
            self.id = 0


def _join(id: int, address: Any) -> Channel:
    channel = object.__new__(Channel)
    channel.id = 0
    if id and _is_here(address) and lib.mt_channel_join(id) == lib.MT_OK:
        channel.id = id
    return channel


def _is_here(address: Any) -> bool:
    """Is the arena of a message's sender ours?"""
    inode, places = address
    if not lib.mt_arena_inode():
        with _lock:
            if not lib.mt_arena_inode():
                _attach(inode, places)
    return bool(lib.mt_arena_member() and lib.mt_arena_inode() == inode)


# --- sending ---------------------------------------------------------------------------------------------------------
class _Session(threading.local):
    """The message that this thread is pickling."""

    channel = 0
    active = False
    tokens: list[int]
    storages: dict[int, Storage]
    extents: dict[int, tuple[int, int]]  # by storage: what of it has to travel, in bytes


class _Again(Exception):
    """A second slice of a storage needs more of it than the first."""


_session = _Session()


def pack(dumps: Callable[[object], Any], obj: object, channel: int) -> Any:
    """`dumps(obj)` as one message of a channel, to which the tokens in it belong; when it fails they are taken back."""
    session = _session
    session.extents = {}
    while True:
        session.active, session.channel, session.tokens, session.storages = True, channel, [], {}
        try:
            return dumps(obj)
        except BaseException as error:
            for token in session.tokens:
                lib.mt_arena_unsend(token)
            if not isinstance(error, _Again):
                raise
        finally:
            session.active, session.channel, session.tokens, session.storages = False, 0, [], {}


class Storage:
    """A storage in a message, or the part of it that travels: pickled once, whatever number of views the message has."""

    __slots__ = ("tensor", "low", "nbytes", "everyone", "sent", "__weakref__")

    def __init__(self, tensor: Tensor, low: int, nbytes: int, everyone: bool) -> None:
        self.tensor, self.low, self.nbytes, self.everyone = tensor, low, nbytes, everyone
        self.sent = tensor  # whose storage the message refers to: the tensor's own, or a copy

    def _bytes(self) -> Tensor:
        return self.tensor._view((self.nbytes,), (1,), self.low, uint8)

    def _copy(self) -> Tensor | None:
        """A copy in the arena; None: there is no room."""
        ref = lib.mt_empty_shared(as_device("CPU").activate(), uint8.code, 1, [self.nbytes])
        if ref < 0:
            lib.mt_call_drop(ref)
            return None
        copy = wrap(ref)
        source = self._bytes()
        lib.mt_release(_checked(lib.mt_copy(copy._h, source._h)))
        return copy

    def _token(self) -> int:
        """A token of it in the arena; 0: there is no room."""
        extent = lib.mt_extent_of(self.tensor._h)
        whole = self.everyone or extent.in_arena or (self.low, self.nbytes) == (0, extent.nbytes)
        status = _move(self.tensor) if whole else lib.MT_VALUE_ERROR
        if status in (lib.MT_TIMEOUT, lib.MT_VALUE_ERROR) and not self.everyone:
            # Other threads don't let go of it, an array looks at it, or only a part travels.
            copy = self._copy()
            if copy is None:
                return 0
            self.sent, status = copy, lib.MT_OK
        token = -lib.MT_TIMEOUT
        for _ in range(_TRIES):
            if status != lib.MT_OK or token != -lib.MT_TIMEOUT:
                break
            native.wait(self.sent._h)
            token = lib.mt_send(self.sent._h, _session.channel)
        return max(token, 0)

    def __reduce__(self) -> tuple[Any, ...]:
        if (self.nbytes > config.get("MINITENSOR_INLINE_BYTES") or self.everyone) and have_arena():
            token = self._token()
            if token:
                if _session.active:
                    _session.tokens.append(token)
                return _open, (token, self.nbytes, self.everyone, _address())
            if self.everyone:
                raise MemoryError("[pickle] no room for another reference to memory that everyone writes to; receive what was sent")
        lib.mt_arena_note(0, 1)
        return _open_bytes, (self._value(),)

    def _value(self) -> bytes:
        native.wait(self.tensor._h)
        lib.mt_pin(self.tensor._h)
        try:
            return bytes(ffi.buffer(lib.mt_storage_base(self.tensor._h, ffi.NULL) + self.low, self.nbytes))
        finally:
            lib.mt_unpin(self.tensor._h)


_others: weakref.WeakValueDictionary[tuple[int, int, int], Storage] = weakref.WeakValueDictionary()  # of messages without a session


def _move(t: Tensor, everyone: bool = False) -> int:
    """Moves a tensor's storage into the arena: MT_OK, or why not."""
    status = lib.MT_TIMEOUT
    for _ in range(_TRIES):
        native.wait(t._h, unused=True)
        status = lib.mt_share(t._h, everyone)
        if status != lib.MT_TIMEOUT:
            break
    return status


def _storage(t: Tensor, extent: Any) -> Storage:
    """What of a tensor's storage goes into the message that is being pickled."""
    size, low, high, key, everyone = extent.nbytes, extent.low, extent.high, extent.storage, bool(extent.everyone)
    if _session.active and key in _session.extents:
        known = _session.extents[key]
        low, high = min(low, known[0]), max(high, known[1])
    there = extent.in_arena and high - low > config.get("MINITENSOR_INLINE_BYTES")
    if everyone or there or 2 * (high - low) > size:
        low, high = 0, size
    found = _session.storages.get(key) if _session.active else _others.get((key, low, high))
    if found is not None and (low, high) == (found.low, found.low + found.nbytes):
        return found
    if not _session.active:
        storage = _others[key, low, high] = Storage(t, low, high - low, everyone)
        return storage
    _session.extents[key] = low, high
    if found is not None:
        raise _Again
    storage = _session.storages[key] = Storage(t, low, high - low, everyone)
    return storage


def reduce(t: Tensor) -> tuple[Any, ...]:
    """What a tensor becomes in a message to another process."""
    if not t._device.backend.host_visible:
        raise TypeError(f"[pickle] a tensor on {t.device} can't travel: its memory is that device's; send t.to(\"CPU\")")
    native.wait(t._h)
    if t.size == 0:
        return empty, (t.shape, t.dtype, None)
    extent = lib.mt_extent_of(t._h)
    storage = _storage(t, extent)
    return _receive, (storage, t.dtype.code, t.shape, t.strides, extent.offset - storage.low)


def share_with_everyone(t: Tensor) -> None:
    """`Tensor.share_memory_`."""
    if not t._device.backend.host_visible:
        raise TypeError(f"[share_memory_] a tensor on {t.device} can't be shared: its memory is that device's; t.to(\"CPU\") can")
    if not have_arena():
        raise MemoryError("[share_memory_] this system gives no memory that processes could share")
    status = _move(t, everyone=True)
    if status == lib.MT_VALUE_ERROR:
        raise ValueError("[share_memory_] a NumPy array looks at the memory and would stay behind; drop it first, or share t.copy()")
    if status == lib.MT_TIMEOUT:
        raise RuntimeError("[share_memory_] other threads are at work on the tensor all the time; let them end first")
    if status != lib.MT_OK:
        raise MemoryError(f"[share_memory_] no room for {t.nbytes} bytes in the shared memory")


# --- receiving -------------------------------------------------------------------------------------------------------
def _open(token: int, nbytes: int, everyone: bool, address: Any) -> Tensor:
    """The bytes of a storage that was sent."""
    if not _is_here(address):
        raise StaleHandleError(
            "[unpickle] the message refers to shared memory of another family of processes, or one that can't be found any more; "
            "only a process that the sender's family has started can receive it"
        )
    return wrap(_checked(lib.mt_receive(as_device("CPU").activate(), token, nbytes, everyone)))


def _receive(base: Tensor, dtype: int, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Tensor:
    return base._view(shape, strides, offset, DTYPES[dtype])


def _open_bytes(data: bytes) -> Tensor:
    t = empty((len(data),), uint8, as_device("CPU"))
    ffi.memmove(lib.mt_data(t._h), data, len(data))
    return t


# --- seeing it -------------------------------------------------------------------------------------------------------
def reap() -> int:
    """Gives back what ended processes of the family had; how many there were.  Also done once a second by whoever allocates."""
    ended = lib.mt_arena_reap() if lib.mt_arena_member() else 0
    if ended:
        trace.record("sharing.reaped", processes=ended)
    return ended


def sharing_stats() -> dict[str, int]:
    """What the family shares now; the trace has it, too.

    Returns:
        processes: members of the arena.  blocks, bytes: live memory.  in_flight: references in messages that nobody has unpickled.
        channels: queues in use.  free_bytes: memory kept for the next tensors.  reaped: ended processes whose part was given
        up.  copied: copies on write.  inline_sent: tensors that went inside their message.  capacity: address space.  All zero
        when this process shares nothing yet.
    """
    numbers = ffi.new("mt_arena_numbers *")
    if lib.mt_arena_member():
        reap()
        lib.mt_arena_stats(numbers)
    fields = ("processes", "blocks", "bytes", "in_flight", "channels", "free_bytes", "reaped", "copied", "inline_sent", "capacity")
    stats = {name: getattr(numbers, name) for name in fields}
    trace.record("sharing.stats", **stats)
    return stats
