"""How tensors travel between the processes of a family: what goes into a message, and what comes out.

The problem.  A tensor in a message means its value at that moment, like any Python object; and its bytes are not to be copied.  The
message may go by any way: our queues, standard ones, pipes, pools, managers, executors, arguments of a process.

The solution.  They all pickle with the standard package's ForkingPickler, so that is where it happens (`reduce`); a plain
`pickle.dumps`, to a file, say, is not concerned and copies the value.  A small tensor goes into the message.  A larger one's storage moves
into the arena (`backend/native/arena.c`, `shared.c`) on its first journey, and the message has a token of it.  The token is a reference: the
storage lives as long as anybody has it or may still receive it.

Two views of one storage in one message arrive as two views of one storage: the second goes as a view of the first, and pickle
writes an object once.  A slice of a much larger storage goes as its own extent; of a storage that is in the
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
from collections import deque
from collections.abc import Callable
from itertools import chain, starmap
from typing import Any

from minitensor import config, fork, trace
from minitensor.backend import native
from minitensor.backend.native import ffi, finish, lib
from minitensor.dtype import uint8
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
        if inherited and _attach(inherited):
            return True
        cap = config.get("MINITENSOR_ARENA_FREE") or min(1 << 30, _memory() // 8)
        status = lib.mt_arena_create(config.get("MINITENSOR_ARENA"), cap)
        if status != 0:
            trace.record("sharing.no_arena", reason=os.strerror(-status))
            return False
        _announce()
        trace.record("sharing.arena", inode=lib.mt_arena_inode())
        return True


def _address() -> str:
    """Where others find the arena: its inode, and who has it open where."""
    global _own_address
    if not _own_address:
        fd = lib.mt_arena_file()
        places = ([(os.getpid(), fd)] if fd >= 0 else []) + _places[-3:]
        _own_address = ",".join([str(lib.mt_arena_inode()), *(f"{pid}:{fd}" for pid, fd in places)])
    return _own_address


_own_address = ""


def _announce() -> None:
    global _own_address
    _own_address = ""
    config.hand_down("MINITENSOR_ARENA_AT", _address())


def _attach(address: str) -> bool:
    inode, *texts = address.split(",")
    places = [(int(pid), int(fd)) for pid, _, fd in (text.partition(":") for text in texts)]
    for pid, fd in places:
        if lib.mt_arena_attach(f"/proc/{pid}/fd/{fd}".encode(), int(inode)) == 0:
            _places[:] = places
            _announce()
            trace.record("sharing.attached", inode=int(inode), at=pid)
            return True
    return False


def _after_in_child() -> None:
    global _lock, _own_address
    _lock = threading.Lock()
    _own_address = ""
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


def _is_here(address: str) -> bool:
    """Is the arena of a message's sender ours?"""
    if not lib.mt_arena_inode():
        with _lock:
            if not lib.mt_arena_inode():
                _attach(address)
    return bool(lib.mt_arena_member()) and (address == _own_address or int(address.partition(",")[0]) == lib.mt_arena_inode())


# --- sending ---------------------------------------------------------------------------------------------------------
class _Message:
    """What the message that a thread is pickling has so far."""

    __slots__ = ("channel", "tokens", "firsts", "extents")

    def __init__(self, channel: int, tokens: list[list[int]]) -> None:
        self.channel = channel
        self.tokens = tokens  # each in a list that is filled in the same step that makes it
        self.firsts: dict[int, Tensor] = {}  # by storage: its first view in the message
        self.extents: dict[int, tuple[int, int]] = {}  # and what of the storage travels, in bytes


class _Again(Exception):
    """A second slice of a storage needs more of it than the first."""


class _Session(threading.local):
    message: _Message | None = None


_session = _Session()


def pack(dumps: Callable[[object], Any], obj: object, channel: int, tokens: list[list[int]]) -> Any:
    """Return `dumps(obj)` as one message of a channel.

    `tokens` receives the tokens in it, which belong to the channel; when pickling fails they are taken back.
    """
    session, message = _session, _Message(channel, tokens)
    around = session.message  # an object's own __reduce__ may send another message
    while True:
        session.message = message
        try:
            return dumps(obj)
        except BaseException as error:
            deque(map(lib.mt_arena_unsend, chain.from_iterable(tokens)), 0)  # does nothing for a status
            tokens.clear()
            message.firsts = {}
            if not isinstance(error, _Again):
                raise
        finally:
            session.message = around


_others: weakref.WeakValueDictionary[tuple[int, int, int], Tensor] = weakref.WeakValueDictionary()  # first views in messages without a session


def _small() -> int:
    """Up to so many bytes travel inside the message."""
    global _small_bytes
    if _small_bytes < 0:
        _small_bytes = config.get("MINITENSOR_INLINE_BYTES")
    return _small_bytes


_small_bytes = -1  # not asked for yet


def _first(t: Tensor, extent: Any) -> tuple[Tensor, Any]:
    """The first view of a tensor's storage in the message that is being pickled, perhaps itself; and what of the storage travels."""
    key, message = extent.storage, _session.message
    if message is None:
        first = _others.setdefault((key, extent.low, extent.high), t)
        now = lib.mt_extent_of(first._h, _small(), 0, 0)  # it is of an earlier message, perhaps: more may travel with it now, or less
        if (now.storage, now.low, now.high) != (key, extent.low, extent.high):
            first = _others[key, extent.low, extent.high] = t
        return first, extent
    known = message.extents.get(key)
    if known is not None:
        extent = lib.mt_extent_of(t._h, _small(), *known)
    message.extents[key] = extent.low, extent.high
    first = message.firsts.setdefault(key, t)
    if first is not t and known != (extent.low, extent.high):
        raise _Again
    return first, extent


def _token(t: Tensor, extent: Any) -> int:
    """A token of what has to travel, in the arena; 0: there is no room."""
    message = _session.message
    channel = 0 if message is None else message.channel
    made = [0]  # set in the same step that makes a token: Ctrl-C finds it noted, or not made
    if message is not None:
        message.tokens.append(made)
    whole = extent.everyone or extent.in_arena or (extent.low, extent.high) == (0, extent.nbytes)
    if whole:
        for made[0] in map(lib.mt_send, (t._h,), (channel,)):
            break
    else:
        made[0] = -lib.MT_VALUE_ERROR
    for _ in range(_TRIES):
        if made[0] != -lib.MT_TIMEOUT:
            break
        native.wait(t._h, unused=True)
        for made[0] in map(lib.mt_send, (t._h,), (channel,)):
            break
    if made[0] in (-lib.MT_TIMEOUT, -lib.MT_VALUE_ERROR) and not extent.everyone:
        # Other threads don't let go of it, an array looks at it, or only a part travels.
        copy = _copy(t, extent.low, extent.high - extent.low)
        for made[0] in () if copy is None else map(lib.mt_send, (copy._h,), (channel,)):
            break
    return max(made[0], 0)


def _copy(t: Tensor, low: int, nbytes: int) -> Tensor | None:
    """A copy of a part of a tensor's storage, in the arena, with its value; None: there is no room."""
    ref = lib.mt_empty_shared(as_device("CPU").activate(), nbytes)
    if ref < 0:
        lib.mt_call_drop(ref)
        return None
    copy, source = wrap(ref), t._view((nbytes,), (1,), low, uint8)
    lib.mt_release(_checked(lib.mt_copy(copy._h, source._h)))
    native.wait(copy._h)
    return copy


def _parcel(t: Tensor, extent: Any, token: int = 0, with_bytes: bool = False) -> bytearray:
    parcel = bytearray(extent.head + (extent.high - extent.low if with_bytes else 0))
    lib.mt_pack(t._h, extent.low, extent.high, token, with_bytes, ffi.from_buffer(parcel))
    return parcel


def reduce(t: Tensor) -> tuple[Any, ...]:
    """What a tensor becomes in a message to another process."""
    native.wait(t._h)
    small = _small()
    extent = lib.mt_extent_of(t._h, small, 0, 0)
    if not native.devices[extent.device].backend.host_visible:
        raise TypeError(f"[pickle] a tensor on {t.device} can't travel: its memory is that device's; send t.to(\"CPU\")")
    if extent.size == 0:
        return empty, (t.shape, t.dtype, None)
    first, extent = _first(t, extent)
    if first is not t:
        return _receive_view, (first, _parcel(t, extent))
    if (extent.high - extent.low > small or extent.everyone) and have_arena():
        token = _token(t, extent)
        if token:
            return _receive, (_parcel(t, extent, token), _address())
        if extent.everyone:
            raise MemoryError("[pickle] no room for another reference to memory that everyone writes to; receive what was sent")
    lib.mt_arena_note(0, 1)
    return _receive, (_parcel(t, extent, with_bytes=True),)


def _move(t: Tensor) -> int:
    """Moves a tensor's storage to where everyone writes to it: MT_OK, or why not."""
    status = lib.MT_TIMEOUT
    for _ in range(_TRIES):
        native.wait(t._h, unused=True)
        status = lib.mt_share(t._h, True)
        if status != lib.MT_TIMEOUT:
            break
    return status


def share_with_everyone(t: Tensor) -> None:
    """`Tensor.share_memory_`."""
    if not t._device.backend.host_visible:
        raise TypeError(f"[share_memory_] a tensor on {t.device} can't be shared: its memory is that device's; t.to(\"CPU\") can")
    if not have_arena():
        raise MemoryError("[share_memory_] this system gives no memory that processes could share")
    status = _move(t)
    if status == lib.MT_VALUE_ERROR:
        raise ValueError("[share_memory_] a NumPy array looks at the memory and would stay behind; drop it first, or share t.copy()")
    if status == lib.MT_TIMEOUT:
        raise RuntimeError("[share_memory_] other threads are at work on the tensor all the time; let them end first")
    if status != lib.MT_OK:
        raise MemoryError(f"[share_memory_] no room for {t.nbytes} bytes in the shared memory")


# --- receiving -------------------------------------------------------------------------------------------------------
def _receive(parcel: bytes, address: str | None = None) -> Tensor:
    """The tensor of a parcel; `address` is the sender's arena, where that has the bytes."""
    if address is not None and not _is_here(address):
        raise StaleHandleError(
            "[unpickle] the message refers to shared memory of another family of processes, or one that can't be found any more; "
            "only a process that the sender's family has started can receive it"
        )
    device = as_device("CPU").activate()
    given = device, ffi.from_buffer(parcel), len(parcel)
    ref: int = 0
    tensor: Any = None  # each is set in the same step that makes it: Ctrl-C finds it noted, or not made
    try:
        for ref in starmap(lib.mt_receive, (given,)):  # noqa: B007
            break
        while ref < 0:  # memory had to be waited for, or something is wrong and this raises it
            call, ref = ref, 0
            lib.mt_release(finish(call))
            for ref in starmap(lib.mt_receive, (given,)):  # noqa: B007
                break
        for tensor in map(wrap, (ref,)):  # noqa: B007
            break
        return tensor
    except BaseException:
        if ref > 0 and tensor is None:
            lib.mt_release(ref)
        raise


def _receive_view(first: Tensor, parcel: bytes) -> Tensor:
    return wrap(_checked(lib.mt_receive_view(first._h, ffi.from_buffer(parcel), len(parcel))))


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
