"""How tensors travel between the processes of a family: their form in a message.

The problem. A tensor in a message means its value at that moment, like any Python object, and its
bytes are not to be copied. The message may take any transport: our queues, standard ones, pipes,
pools, managers, executors, arguments of a process.

The solution. All of these pickle with the standard package's ForkingPickler, so the conversion is
registered there (`reduce`). A plain `pickle.dumps`, to a file for example, is unaffected and copies
the value. A small tensor goes into the message. The storage of a larger tensor moves into the arena
(`core/arena/arena.c`, `move_to_arena.c`) when it is first sent, and the message contains a token of
it. The token is a reference: the storage lives as long as a process has it or may still receive it.

Two views of one storage in one message arrive as two views of one storage: the second travels as a
view of the first, and pickle writes an object once. A slice of a much larger storage travels as its
own extent. If the storage is in the arena already, only a slice that fits into the message does so:
a token of a larger slice costs nothing more, except that it keeps the whole storage.

A session (`pack`) is one message of our own queues. It knows the queue's channel, so that the
references in a queue without users are dropped. When pickling fails it ends the tokens that it has
made. When two slices of one storage turn out to need more of it than the first had requested, it
starts again with the extent of both. Messages by other transports have no session.

Where a reader may be unable to read shared memory, the value is copied into the message: in a queue
that a stranger uses, from a process that is no member, and by transports with unknown readers from
a process that cannot be found in /proc. A reader that is a guest of the family, or belongs to
another family, makes a copy when it receives. Memory that the reader cannot read at all is refused,
and the error says why.
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
from minitensor.backend.core import complete, ffi, lib, operators
from minitensor.dtype import uint8
from minitensor.errors import StaleHandleError
from minitensor.tensor import Tensor, _checked, as_device, empty, wrap

from .arena import (
    Start,
    address,
    can_be_found,
    have_arena,
    is_here,
    places_of,
    reap,
    room_text,
    start_of,
    why_no_arena,
)
from .channel import Channel

__all__ = [
    "apart",
    "inline_bytes",
    "make_shared",
    "note_token",
    "pack",
    "read_from_family",
    "readers",
    "reduce",
    "sharing_stats",
]

_cpu = as_device("CPU")
_TRIES = 100  # to move a storage that other threads keep using; then it is copied


# --- sending --------------------------------------------------------------------------------------
class _Message:
    """The state of the message that a thread is pickling."""

    __slots__ = ("channel", "tokens", "storages")

    def __init__(self, channel: Channel | None, tokens: list[list[int]]) -> None:
        self.channel = channel  # None: the readers are unknown
        self.tokens = tokens  # each in a list that the step that makes the token fills
        # By the storage's id: the first view in the message; the first byte that travels, and the
        # one after the last.
        self.storages: dict[int, list[Any]] = {}


class _Again(Exception):
    """A second slice of a storage needs more of it than the first."""


class _Session(threading.local):
    message: _Message | None = None


_session = _Session()


def pack(
    dumps: Callable[[object], Any],
    obj: object,
    channel: Channel | None = None,
    tokens: list[list[int]] | None = None,
) -> Any:
    """Return `dumps(obj)`, the present value of an object, as one message of a channel.

    Args:
        dumps: pickles an object with ForkingPickler's reducers.
        obj: the object.
        channel: the channel of the message's readers; None if they are unknown.
        tokens: receives the tokens in the message, which belong to the channel. A sender that does
            not send the message has to end them; if pickling fails, `pack` ends them.

    Raises:
        Exception: whatever pickling raises; there is no message then.
    """
    tokens = [] if tokens is None else tokens
    session, message = _session, _Message(channel, tokens)
    around = session.message  # an object's __reduce__ may send another message
    while True:
        try:
            session.message = message
            return dumps(obj)
        except BaseException as error:
            # This has no effect on a status.
            deque(map(lib.mt_arena_unsend, chain.from_iterable(tokens)), 0)
            tokens.clear()
            for storage in message.storages.values():
                storage[0] = None
            if not isinstance(error, _Again):
                raise
        finally:
            try:
                session.message = around
            finally:  # also after a KeyboardInterrupt there: the thread's next message is a new one
                session.message = around


def apart(call: Callable[[Any], Any], argument: Any) -> Any:
    """Return `call(argument)`; what the call pickles is no part of the present message."""
    session = _session
    around, session.message = session.message, None
    try:
        return call(argument)
    finally:
        session.message = around


# First views in messages without a session.
_others: weakref.WeakValueDictionary[tuple[int, int, int], Tensor] = weakref.WeakValueDictionary()


def inline_bytes() -> int:
    """Return the maximum bytes of a tensor or a buffer that travel inside the message."""
    global _small_bytes
    if _small_bytes < 0:
        _small_bytes = config.get("MINITENSOR_INLINE_BYTES")
    return _small_bytes


_small_bytes = -1  # not read yet


def _first(t: Tensor, extent: Any) -> tuple[Tensor, Any]:
    """Return the message's first view of a tensor's storage, and the extent that travels.

    The first view may be the tensor itself.
    """
    key, message = extent.storage, _session.message
    if message is None:
        first = _others.setdefault((key, extent.low, extent.high), t)
        # The first view may belong to an earlier message; its extent may have changed since.
        now = lib.mt_extent_of(first._ref, inline_bytes(), 0, 0)
        if (now.storage, now.low, now.high) != (key, extent.low, extent.high):
            first = _others[key, extent.low, extent.high] = t
        return first, extent
    storage = message.storages.get(key)
    if storage is None:
        message.storages[key] = [t, extent.low, extent.high]
        return t, extent
    first, low, high = storage
    extent = lib.mt_extent_of(t._ref, inline_bytes(), low, high)
    storage[:] = t if first is None else first, extent.low, extent.high
    if first is not None and first is not t and (extent.low, extent.high) != (low, high):
        raise _Again
    return storage[0], extent


def readers() -> tuple[int, Start | None] | None:
    """Return the channel of the message's tokens (0: none), and the `Start` of its new process.

    None: a reader may be unable to read shared memory, so the message has to contain copies.
    """
    message = _session.message
    if message is not None and message.channel is not None:
        return (message.channel.id, None) if message.channel.by_reference() else None
    popen = get_spawning_popen()
    if popen is not None:
        start = start_of(popen)
        if start is None or not have_arena():
            return None
        return start.channel, None if start.written else start
    return (0, None) if have_arena() and can_be_found() else None


def note_token() -> list[int]:
    """Return the place of the present message's next token.

    The step that makes the token sets it: after Ctrl-C the token is noted, or not made.
    """
    made, message = [0], _session.message
    if message is not None:
        message.tokens.append(made)
    return made


def _token(t: Tensor, extent: Any, channel: int) -> int:
    """Return a token of the extent, which is in the arena then; 0 if there is no room."""
    made = note_token()
    complete = (extent.low, extent.high) == (0, extent.nbytes)
    whole = extent.in_arena or extent.shared_mutable or complete
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
        # Other threads keep using the storage, a NumPy array views it, or only a part travels.
        copy = _copy(t, extent.low, extent.high - extent.low)
        for made[0] in () if copy is None else map(lib.mt_send, (copy._ref,), (channel,)):
            break
    return max(made[0], 0)


def _copy(t: Tensor, low: int, nbytes: int) -> Tensor | None:
    """Return a copy of a part of a tensor's storage, in the arena; None if there is no room."""
    ref = lib.mt_empty_shared(_cpu.activate(), nbytes)
    if ref < 0:
        lib.mt_call_drop(ref)
        return None
    copy, source = wrap(ref), t._view((nbytes,), (1,), low, uint8)
    lib.mt_release(_checked(lib.mt_copy(copy._ref, source._ref)))
    core.wait(copy._ref)
    return copy


def _tensor_bytes(t: Tensor, extent: Any, token: int = 0, with_bytes: bool = False) -> bytearray:
    packed = bytearray(extent.head + (extent.high - extent.low if with_bytes else 0))
    lib.mt_pack(t._ref, extent.low, extent.high, token, with_bytes, ffi.from_buffer(packed))
    return packed


def reduce(t: Tensor) -> tuple[Any, ...]:
    """Return a tensor's form in a message to another process, as `__reduce__` does.

    Raises:
        TypeError: the tensor's memory belongs to a device.
        RuntimeError: the tensor is shared_mutable, and a reader may be unable to open the arena.
        MemoryError: the tensor is shared_mutable, and the arena has no room for a token.
    """
    small = inline_bytes()
    extent = lib.mt_extent_of(t._ref, small, 0, 0)
    if not extent.ready:
        core.wait(t._ref)
        extent = lib.mt_extent_of(t._ref, small, 0, 0)
    if not core.devices[extent.device].backend.host_visible:
        raise TypeError(
            f"[pickle] a tensor on {t.device} can't travel: its memory belongs to that device; "
            'send t.to("CPU")'
        )
    if extent.size == 0:
        return empty, (t.shape, t.dtype, None)
    first, extent = _first(t, extent)
    if first is not t:
        return _receive_view, (first, _tensor_bytes(t, extent))
    if extent.high - extent.low > small or extent.shared_mutable:
        to = readers()
        token = 0 if to is None else _token(t, extent, to[0])
        if token:
            where = to[1] or address()  # type: ignore[index]
            return _receive, (_tensor_bytes(t, extent, token), where)
        if extent.shared_mutable and to is None:
            reason = "the reader may be unable to"
            if not lib.mt_arena_member():
                reason = why_no_arena()
            raise RuntimeError(
                f"[pickle] a tensor of share_memory_ must have readers that can open its memory: "
                f"{reason}; send t.copy()"
            )
        if extent.shared_mutable:
            raise MemoryError(
                f"[pickle] no further reference to a tensor of share_memory_ fits: {room_text()}"
            )
    lib.mt_arena_note(0, 1)
    return _receive, (_tensor_bytes(t, extent, with_bytes=True),)


def _move(t: Tensor) -> int:
    """Make a tensor's storage shared_mutable; return MT_OK or the core's status."""
    status = lib.MT_TIMEOUT
    for _ in range(_TRIES):
        core.wait(t._ref, unused=True)
        status = lib.mt_share(t._ref, True)
        if status != lib.MT_TIMEOUT:
            break
    return status


def make_shared(t: Tensor) -> None:
    """Move a tensor into memory that all processes write to: `Tensor.share_memory_`.

    Raises:
        TypeError: the tensor's memory belongs to a device.
        ValueError: a NumPy array views the memory.
        RuntimeError: other threads use the tensor all the time.
        MemoryError: there is no room in shared memory.
    """
    if not t._device.backend.host_visible:
        raise TypeError(
            f"[share_memory_] a tensor on {t.device} can't be shared: its memory belongs to that "
            'device; share t.to("CPU")'
        )
    if not have_arena():
        raise MemoryError(f"[share_memory_] {why_no_arena()}")
    status = _move(t)
    if status == lib.MT_VALUE_ERROR:
        raise ValueError(
            "[share_memory_] a NumPy array views the memory and would keep the old one; "
            "delete the array first, or share t.copy()"
        )
    if status == lib.MT_TIMEOUT:
        raise RuntimeError(
            "[share_memory_] other threads use the tensor all the time; let them end first"
        )
    if status != lib.MT_OK:
        raise MemoryError(f"[share_memory_] {room_text()}")


# --- receiving ------------------------------------------------------------------------------------
def _receive(packed: bytes, address: str | None = None) -> Tensor:
    """Return the tensor of packed bytes; `address` is the sender's arena if it has the value."""
    device = _cpu.activate()
    if address is None and type(packed) is bytes:  # from core/python/py_packets.c
        small: Tensor | None = operators.small_tensor(device, packed)
        if small is not None:
            return small
    here = address is None or is_here(address)
    given: Any = device, ffi.from_buffer(packed), len(packed)
    receive, given = (lib.mt_receive, given) if here else (_receive_from, (address, *given))
    ref: int = 0
    tensor: Any = None  # the step that makes each sets it: after Ctrl-C it is noted, or not made
    try:
        for ref in starmap(receive, (given,)):  # noqa: B007
            break
        while ref < 0:  # the call waits for memory, or raises the error
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
    def read(path: bytes, inode: int) -> tuple[int, int]:
        error = ffi.new("int *")
        return lib.mt_receive_from(device, packed, n, path, inode, error), error[0]

    copy: int = read_from_family(address, read)
    return copy


def read_from_family(address: str, read: Callable[[bytes, int], tuple[Any, int]]) -> Any:
    """Return a copy from another family's arena.

    Args:
        address: the arena's.
        read: takes the path and inode by which a process has the arena open; returns the copy, and
            0 or -errno.

    Raises:
        StaleHandleError: the copy is unreadable.
    """
    inode, places = places_of(address)
    error = 0
    for pid, fd in reversed(places):
        copy, error = read(f"/proc/{pid}/fd/{fd}".encode(), inode)
        if copy:
            return copy
        if error == -errno.EXDEV:
            break
    reason = {
        -errno.EXDEV: "it is memory that all processes of that family write to",
        -errno.ESTALE: "its value is gone",
        -errno.ENOENT: "the processes that had it open are gone, or there is no /proc",
        -errno.EACCES: "those processes belong to another user, or are not dumpable",
    }.get(error, os.strerror(-error) if error else "the sender has closed its descriptors")
    raise StaleHandleError(
        "[unpickle] the value lies in the shared memory of another family of processes, and this "
        f"process cannot read it: {reason}; start the reader with minitensor.multiprocessing, or "
        "send its pickle.dumps, which contains a copy"
    )


def _receive_view(first: Tensor, packed: bytes) -> Tensor:
    return wrap(_checked(lib.mt_receive_view(first._ref, ffi.from_buffer(packed), len(packed))))


# --- statistics -----------------------------------------------------------------------------------
_FIELDS = (
    "processes",
    "blocks",
    "bytes",
    "in_flight",
    "channels",
    "free_bytes",
    "reaped",
    "copied",
    "inline_sent",
    "capacity",
)


def sharing_stats() -> dict[str, int]:
    """Return what the family shares now, and record it in the trace.

    Returns:
        A dictionary of numbers, all zero while this process shares nothing.
        processes: members of the arena.
        blocks, bytes: live memory.
        in_flight: references in messages that no process has unpickled.
        channels: queues in use.
        free_bytes: memory kept for the next tensors.
        reaped: dead processes whose part was released.
        copied: copies on write.
        inline_sent: tensors that travelled inside their message.
        capacity: bytes of address space.

    Example:
        >>> from minitensor.multiprocessing import sharing_stats
        >>> "in_flight" in sharing_stats()
        True
    """
    numbers = ffi.new("mt_arena_numbers *")
    if lib.mt_arena_member():
        reap()
        lib.mt_arena_stats(numbers)
    stats = {name: getattr(numbers, name) for name in _FIELDS}
    trace.record("sharing.stats", **stats)
    return stats
