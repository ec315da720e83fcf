"""How tensors travel between the processes of a family: what goes into a message, and what comes out.

The problem.  A tensor in a message means its value at that moment, like any Python object; and its bytes are not to be copied.  The
message may go by any way: our queues, standard ones, pipes, pools, managers, executors, arguments of a process.

The solution.  They all pickle with the standard package's ForkingPickler, so that is where it happens (`reduce`); a plain
`pickle.dumps`, to a file, say, is not concerned and copies the value.  A small tensor goes into the message.  A larger one's storage moves
into the arena (`core/arena/arena.c`, `move_to_arena.c`) on its first journey, and the message has a token of it.  The token is a reference: the
storage lives as long as anybody has it or may still receive it.

Two views of one storage in one message arrive as two views of one storage: the second goes as a view of the first, and pickle
writes an object once.  A slice of a much larger storage goes as its own extent; of a storage that is in the
arena already only one that fits into the message, for a larger one costs nothing there but that it keeps the whole.

A session (`pack`) is one message of our own queues.  It knows the queue's channel, so that references in a queue that nobody has
any more are given up; when pickling fails it takes back the tokens that it has made; and when two slices of one storage turn
out to need more of it than the first had asked for, it begins again with what both need.  Messages by other ways do without.

Where a reader can't be relied on to read shared memory, the value is copied into the message: in a queue that a stranger uses, from a process
that is no member, and by ways of which nothing is known from a process that can't be looked up.  A reader that is a guest of the
family, or belongs to another one, has a copy made when it receives.  What it can't read at all is refused, and says why.
"""

from __future__ import annotations

import errno
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from itertools import chain, starmap
from multiprocessing.context import get_spawning_popen
from typing import Any

from minitensor import config, trace
from minitensor.backend import core
from minitensor.backend.core import complete, ffi, lib
from minitensor.dtype import uint8
from minitensor.errors import StaleHandleError
from minitensor.tensor import Tensor, _checked, as_device, empty, wrap

from .arena import Start, address, can_be_found, have_arena, is_here, places_of, reap, room_text, start_of, why_no_arena
from .channel import Channel

__all__ = ["apart", "pack", "reduce", "make_shared", "sharing_stats"]

_cpu = as_device("CPU")
_TRIES = 100  # of a storage that another thread is at work on; then it is copied


# --- sending ---------------------------------------------------------------------------------------------------------
class _Message:
    """What the message that a thread is pickling has so far."""

    __slots__ = ("channel", "tokens", "storages")

    def __init__(self, channel: Channel | None, tokens: list[list[int]]) -> None:
        self.channel = channel  # None: which processes read it isn't known
        self.tokens = tokens  # each in a list that is filled in the same step that makes it
        self.storages: dict[int, list[Any]] = {}  # by id: the first view in the message, and the bytes that travel: from, to


class _Again(Exception):
    """A second slice of a storage needs more of it than the first."""


class _Session(threading.local):
    message: _Message | None = None


_session = _Session()


def pack(
    dumps: Callable[[object], Any], obj: object, channel: Channel | None = None, tokens: list[list[int]] | None = None
) -> Any:
    """Return `dumps(obj)`, the object as it is now, as one message of a channel.

    Args:
        tokens: receives the tokens in the message, which belong to the channel.  A sender that does
            not send the message after all has to end them; when pickling fails, `pack` does.

    Raises:
        Exception: what pickling raises; the message is not made.
    """
    tokens = [] if tokens is None else tokens
    session, message = _session, _Message(channel, tokens)
    around = session.message  # an object's own __reduce__ may send another message
    while True:
        try:
            session.message = message
            return dumps(obj)
        except BaseException as error:
            deque(map(lib.mt_arena_unsend, chain.from_iterable(tokens)), 0)  # does nothing for a status
            tokens.clear()
            for storage in message.storages.values():
                storage[0] = None
            if not isinstance(error, _Again):
                raise
        finally:
            try:
                session.message = around
            finally:  # also when Ctrl-C came there: the thread's next message is another one
                session.message = around


def apart(call: Callable[[Any], Any], argument: Any) -> Any:
    """Return `call(argument)`, which may be made while a message is pickled and pickles something that is no part of it."""
    session = _session
    around, session.message = session.message, None
    try:
        return call(argument)
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
        now = lib.mt_extent_of(first._ref, _small(), 0, 0)  # it is of an earlier message, perhaps: more may travel with it now, or less
        if (now.storage, now.low, now.high) != (key, extent.low, extent.high):
            first = _others[key, extent.low, extent.high] = t
        return first, extent
    storage = message.storages.get(key)
    if storage is None:
        message.storages[key] = [t, extent.low, extent.high]
        return t, extent
    first, low, high = storage
    extent = lib.mt_extent_of(t._ref, _small(), low, high)
    storage[:] = t if first is None else first, extent.low, extent.high
    if first is not None and first is not t and (extent.low, extent.high) != (low, high):
        raise _Again
    return storage[0], extent


def _readers() -> tuple[int, Start | None] | None:
    """What is known of the message's readers: the channel that its tokens belong to (0: none), and the process that is being started with it.

    None: a reader may be unable to read shared memory, so that the message has to carry copies.
    """
    message = _session.message
    if message is not None and message.channel is not None:
        return (message.channel.id, None) if message.channel.by_reference() else None
    popen = get_spawning_popen()
    if popen is not None:
        start = start_of(popen)
        return None if start is None or not have_arena() else (start.channel, start)
    return (0, None) if have_arena() and can_be_found() else None


def _token(t: Tensor, extent: Any, channel: int) -> int:
    """A token of what has to travel, in the arena; 0: there is no room."""
    message = _session.message
    made = [0]  # set in the same step that makes a token: Ctrl-C finds it noted, or not made
    if message is not None:
        message.tokens.append(made)
    whole = extent.in_arena or extent.shared_mutable or (extent.low, extent.high) == (0, extent.nbytes)
    if whole:
        for made[0] in map(lib.mt_send, (t._ref,), (channel,)):
            break
        if made[0] > 0:
            return made[0]
    else:
        made[0] = -lib.MT_VALUE_ERROR
    for _ in range(_TRIES):
        if made[0] != -lib.MT_TIMEOUT:
            break
        core.wait(t._ref, unused=True)
        for made[0] in map(lib.mt_send, (t._ref,), (channel,)):
            break
    if made[0] in (-lib.MT_TIMEOUT, -lib.MT_VALUE_ERROR) and not extent.shared_mutable:
        # Other threads don't let go of it, an array looks at it, or only a part travels.
        copy = _copy(t, extent.low, extent.high - extent.low)
        for made[0] in () if copy is None else map(lib.mt_send, (copy._ref,), (channel,)):
            break
    return max(made[0], 0)


def _copy(t: Tensor, low: int, nbytes: int) -> Tensor | None:
    """A copy of a part of a tensor's storage, in the arena, with its value; None: there is no room."""
    ref = lib.mt_empty_shared(_cpu.activate(), nbytes)
    if ref < 0:
        lib.mt_call_drop(ref)
        return None
    copy, source = wrap(ref), t._view((nbytes,), (1,), low, uint8)
    lib.mt_release(_checked(lib.mt_copy(copy._ref, source._ref)))
    core.wait(copy._ref)
    return copy


def _pack(t: Tensor, extent: Any, token: int = 0, with_bytes: bool = False) -> bytearray:
    packed = bytearray(extent.head + (extent.high - extent.low if with_bytes else 0))
    lib.mt_pack(t._ref, extent.low, extent.high, token, with_bytes, ffi.from_buffer(packed))
    return packed


def reduce(t: Tensor) -> tuple[Any, ...]:
    """What a tensor becomes in a message to another process."""
    small = _small()
    extent = lib.mt_extent_of(t._ref, small, 0, 0)
    if not extent.ready:
        core.wait(t._ref)
        extent = lib.mt_extent_of(t._ref, small, 0, 0)
    if not core.devices[extent.device].backend.host_visible:
        raise TypeError(f"[pickle] a tensor on {t.device} can't travel: its memory is that device's; send t.to(\"CPU\")")
    if extent.size == 0:
        return empty, (t.shape, t.dtype, None)
    first, extent = _first(t, extent)
    if first is not t:
        return _receive_view, (first, _pack(t, extent))
    if extent.high - extent.low > small or extent.shared_mutable:
        readers = _readers()
        token = 0 if readers is None else _token(t, extent, readers[0])
        if token:
            return _receive, (_pack(t, extent, token), readers[1] or address())  # type: ignore[index]
        if extent.shared_mutable and readers is None:
            reason = "the reader may not be able to" if lib.mt_arena_member() else why_no_arena()
            raise RuntimeError(f"[pickle] memory that all processes write to can't be handed on: {reason}; a copy, t.copy(), can")
        if extent.shared_mutable:
            raise MemoryError(f"[pickle] no other reference to memory that all processes write to can be made: {room_text()}")
    lib.mt_arena_note(0, 1)
    return _receive, (_pack(t, extent, with_bytes=True),)


def _move(t: Tensor) -> int:
    """Moves a tensor's storage to where everyone writes to it: MT_OK, or why not."""
    status = lib.MT_TIMEOUT
    for _ in range(_TRIES):
        core.wait(t._ref, unused=True)
        status = lib.mt_share(t._ref, True)
        if status != lib.MT_TIMEOUT:
            break
    return status


def make_shared(t: Tensor) -> None:
    """`Tensor.share_memory_`."""
    if not t._device.backend.host_visible:
        raise TypeError(f"[share_memory_] a tensor on {t.device} can't be shared: its memory is that device's; t.to(\"CPU\") can")
    if not have_arena():
        raise MemoryError(f"[share_memory_] {why_no_arena()}")
    status = _move(t)
    if status == lib.MT_VALUE_ERROR:
        raise ValueError("[share_memory_] a NumPy array looks at the memory and would stay behind; drop it first, or share t.copy()")
    if status == lib.MT_TIMEOUT:
        raise RuntimeError("[share_memory_] other threads are at work on the tensor all the time; let them end first")
    if status != lib.MT_OK:
        raise MemoryError(f"[share_memory_] {room_text()}")


# --- receiving -------------------------------------------------------------------------------------------------------
def _receive(packed: bytes, address: str | None = None) -> Tensor:
    """The tensor of a packed; `address` is the sender's arena, where that has the bytes."""
    device = _cpu.activate()
    here = address is None or is_here(address)
    given: Any = device, ffi.from_buffer(packed), len(packed)
    receive, given = (lib.mt_receive, given) if here else (_receive_from, (address, *given))
    ref: int = 0
    tensor: Any = None  # each is set in the same step that makes it: Ctrl-C finds it noted, or not made
    try:
        for ref in starmap(receive, (given,)):  # noqa: B007
            break
        while ref < 0:  # memory had to be waited for, or something is wrong and this raises it
            call, ref = ref, 0
            lib.mt_release(complete(call))
            for ref in starmap(receive, (given,)):  # noqa: B007
                break
        for tensor in map(wrap, (ref,)):  # noqa: B007
            break
        return tensor
    except BaseException:
        if ref > 0 and tensor is None:
            lib.mt_release(ref)
        raise


def _receive_from(address: str, device: int, packed: Any, n: int) -> int:
    """A copy from the arena of another family, if this process may look into it."""
    inode, places = places_of(address)
    error = ffi.new("int *")
    for pid, fd in reversed(places):
        ref = lib.mt_receive_from(device, packed, n, f"/proc/{pid}/fd/{fd}".encode(), inode, error)
        if ref:
            return ref
        if error[0] == -errno.EXDEV:
            break
    reason = {
        -errno.EXDEV: "it is memory that all processes of that family write to",
        -errno.ESTALE: "its value is gone",
        -errno.ENOENT: "the processes that had it open are gone, or there is no /proc to look for them",
        -errno.EACCES: "those processes are another user's, or not dumpable",
    }.get(error[0], os.strerror(-error[0]) if error[0] else "the sender has closed its descriptors")
    raise StaleHandleError(
        f"[unpickle] the tensor lies in the shared memory of another family of processes, and can't be read from here: {reason}; start the reader "
        "with minitensor.multiprocessing, or send pickle.dumps(t), which has a copy"
    )


def _receive_view(first: Tensor, packed: bytes) -> Tensor:
    return wrap(_checked(lib.mt_receive_view(first._ref, ffi.from_buffer(packed), len(packed))))


# --- seeing it -------------------------------------------------------------------------------------------------------
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
