"""A pipe of messages that needs no lock: what our queues are made of.

The problem. A standard queue is a pipe of bytes, so a message must be read by one process from its first byte to its last, and
a lock sees to that. A process that is killed while it waits in `get` holds the lock for ever, and the others starve.

The solution. A pair of sockets that keep messages apart (AF_UNIX, SOCK_SEQPACKET): the kernel hands each message, whole, to one
reader and takes it, whole, from one writer. Nobody holds anything while he waits. The descriptors don't block; who has to wait does
so in `poll`, and asks again. A reader that was answered at once the last time looks for a moment before he sleeps: an idle core
takes as long to wake up as everything else of a small message's journey.

A message that is too large for a packet goes into a block of the shared memory (`backend/native/arena.c`), and the packet has
the block's token. It is written once and unpickled where it lies; a message that no process takes goes with the queue.

A packet lists the references that its message makes. A sender that fails, and a receiver that takes a message and can't use it,
end them at once (`Packet.drop`, `discard`). Ctrl-C may rise after any call of a function, also between the call that sends and
the statement that notes it. So the step that sends, reads or counts also notes that it was done, inside one call of C:
`done.extend(map(os.writev, ...))` leaves `done` empty if and only if nothing was written.

What it guarantees. A message arrives once, whole, or not at all; a reader killed at any moment takes at most the one message with
it that it had already received; a writer killed at any moment leaves no half of one. Nothing here takes a lock, so a signal
handler or a finalizer may use the queue that it has interrupted.

The ends are the standard package's Connections in everything else: `send`, `recv`, `poll`, `fileno`, `multiprocessing.connection.wait`.
"""

from __future__ import annotations

import io
import os
import select
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from itertools import chain, starmap
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any

from minitensor.backend.native import ffi, lib
from minitensor.sharing import Channel, have_arena

from .reductions import ForkingPickler, dumps

__all__ = ["ONCE", "Packet", "PacketEnd", "available", "discard", "loads", "pair", "unpack"]

PACKET = 1 << 16  # bytes of a message that go into a packet; a socket takes some 200 KiB before a writer has to wait
LISTED = 4096  # references of a message that its packet lists; more than these go with the queue if nobody takes them
ONCE = ((),)  # the arguments of starmap() for one call without arguments
_AWAKE_MS = 0.2  # so long a reader stays awake for the next message, if the last one came as soon: waking up takes up to a quarter of that
_HEAD = struct.Struct("<BH")  # how a packet begins: where the message is, and how many references are listed next
_INSIDE, _IN_BLOCK = 0, 1
_PLAIN = _HEAD.pack(_INSIDE, 0)
_BLOCK = struct.Struct("<qq")  # the token and the size of the block that has the message
_LONGEST = _HEAD.size + PACKET


def available() -> bool:
    """Can there be such pipes here?  If not, the queues are the standard ones."""
    return hasattr(socket, "SOCK_SEQPACKET") and have_arena()


class Packet:
    """A message on its way out, and whether the pipe, or the thread that writes to it, has taken it over (`gone`)."""

    __slots__ = ("parts", "tokens", "gone")

    def __init__(self) -> None:
        self.parts: tuple[Any, ...] = ()
        self.tokens: list[list[int]] = []  # of what the message refers to, as `sharing.pack` lists them
        self.gone: list[Any] = []

    def drop(self) -> None:
        """Give back what the message refers to: it is not sent after all."""
        _end(chain.from_iterable(self.tokens))


def _end(tokens: Iterable[int]) -> None:
    """End the flight of tokens; one that was claimed, or is a status, stays as it is."""
    deque(map(lib.mt_arena_unsend, tokens), 0)


class PacketEnd(Connection):
    """One end of a pipe of messages; `channel` is who uses it."""

    def __init__(self, handle: int, readable: bool, writable: bool, channel: Channel) -> None:
        super().__init__(handle, readable, writable)
        self.channel = channel
        self._awake_ms = _AWAKE_MS

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (reduction.DupFd(self.fileno()), self.readable, self.writable, self.channel)

    # --- writing -----------------------------------------------------------------------------------------------------
    def pickle(self, packet: Packet, obj: object, head: bytes = b"") -> None:
        """Make `obj`, as it is now, the message of a packet; `head` stands before its bytes.

        Raises:
            MemoryError: when the shared memory has no room for a large message.
        """
        self._fill(packet, dumps(obj, self.channel.number, packet.tokens), head)

    def _fill(self, packet: Packet, message: Any, head: bytes = b"") -> None:
        tokens = [t for made in packet.tokens for t in made if t > 0][:LISTED] if packet.tokens else ()
        nbytes = len(head) + len(message)
        if nbytes + 8 * len(tokens) <= PACKET:
            if not tokens:
                packet.parts = _PLAIN, head, message
                return
            where, parts = _INSIDE, (head, message)
        else:
            where, parts = _IN_BLOCK, (self._block(packet, head, message), b"")
        packet.parts = _HEAD.pack(where, len(tokens)), struct.pack(f"<{len(tokens)}q", *tokens), *parts

    def _block(self, packet: Packet, head: bytes, message: Any) -> bytes:
        """Copy a message into a block of the shared memory; what the packet has in its place."""
        made: list[int] = []
        packet.tokens.append(made)
        sizes = len(head), len(message)
        made.extend(starmap(lib.mt_message_send, ((head, sizes[0], ffi.from_buffer(message), sizes[1], self.channel.number),)))
        if made[0] == -lib.MT_VALUE_ERROR:
            raise MemoryError("[put] too many messages are in flight; receive what was sent")
        if made[0] < 0:
            raise MemoryError(
                f"[put] no room in the shared memory for a message of {sum(sizes)} bytes; receive what was sent, or send less"
            )
        return _BLOCK.pack(made[0], sum(sizes))

    def write_now(self, packet: Packet, *then: Callable[[], object]) -> bool:
        """Hand a packet to the kernel, and in the same step do `then`; False: the socket is full.

        Raises:
            BrokenPipeError: when no process can read it any more.
            OSError: when this end is closed.
        """
        try:
            packet.gone.extend(chain(map(os.writev, (self._handle,), (packet.parts,)), *[starmap(f, ONCE) for f in then]))
        except BlockingIOError:
            return False
        except TypeError:
            self._check_closed()  # type: ignore[attr-defined]  # by a signal handler, since the put began
            raise
        return True

    def wait_for_room(self, seconds: float | None = None) -> None:
        """Wait until the socket may take a packet, or the time is over."""
        self._check_closed()  # type: ignore[attr-defined]
        poll = select.poll()
        poll.register(self._handle, select.POLLOUT)
        poll.poll(None if seconds is None else 1000 * seconds)

    def write(self, packet: Packet, *then: Callable[[], object]) -> None:
        """Hand a packet to the kernel as `write_now` does, waiting for room."""
        while not self.write_now(packet, *then):
            self.wait_for_room()

    def _send_bytes(self, buf: Any) -> None:
        packet = Packet()
        try:
            self._fill(packet, buf)
            self.write(packet)
        except BaseException:
            if not packet.gone:
                packet.drop()
            raise

    def send(self, obj: object) -> None:
        """Send an object as it is now; waits while the pipe is full."""
        self._check_closed()  # type: ignore[attr-defined]
        self._check_writable()  # type: ignore[attr-defined]
        packet = Packet()
        try:
            self.pickle(packet, obj)
            self.write(packet)
        except BaseException:
            if not packet.gone:
                packet.drop()
            raise

    # --- reading -----------------------------------------------------------------------------------------------------
    def read_now(self, taken: list[bytes]) -> bool:
        """Append the next packet to `taken`; False: there is none yet.

        Raises:
            EOFError: when no process can send one any more.
            OSError: when this end is closed.
        """
        try:
            taken.extend(map(os.read, (self._handle,), (_LONGEST,)))
        except BlockingIOError:
            return False
        except TypeError:
            self._check_closed()  # type: ignore[attr-defined]  # by a signal handler, since the get began
            raise
        if not taken[0]:
            taken.clear()
            raise EOFError
        return True

    def wait(self, seconds: float | None) -> bool:
        """Wait until there may be something to read; False: the time is over."""
        self._check_closed()  # type: ignore[attr-defined]
        took = lib.mt_packet_wait(self._handle, -1 if seconds is None else max(0, -int(-seconds * 1000 // 1)), self._awake_ms)
        self._awake_ms = _AWAKE_MS if 0 <= took < _AWAKE_MS else 0  # a wait is likely to be as long as the one before
        return took >= 0

    def read(self, taken: list[bytes]) -> None:
        """Append the next packet to `taken`, waiting for it."""
        while not self.read_now(taken):
            self.wait(None)

    def recv(self) -> Any:
        """Receive an object."""
        self._check_closed()  # type: ignore[attr-defined]
        self._check_readable()  # type: ignore[attr-defined]
        taken: list[bytes] = []
        try:
            self.read(taken)
            return loads(taken[0])
        except BaseException:
            discard(*taken)
            raise

    def _recv_bytes(self, maxsize: int | None = None) -> io.BytesIO | None:
        taken: list[bytes] = []
        self.read(taken)
        message = unpack(taken[0])
        if maxsize is not None and len(message) > maxsize:
            return None
        return io.BytesIO(message)


def unpack(packet: bytes) -> memoryview:
    """The message of a packet that was read."""
    listed = packet[1] | packet[2] << 8
    rest = memoryview(packet)[_HEAD.size + 8 * listed :]
    if packet[0] == _INSIDE:
        return rest
    token, nbytes = _BLOCK.unpack(rest)
    held = ffi.gc(ffi.new("int64_t *"), lib.mt_message_close)  # made first: whatever happens, it gives the block back
    data = lib.mt_message_open(token, held)
    if data == ffi.NULL:
        raise EOFError("[get] the message's memory is gone: nobody used the queue for a while")
    return memoryview(ffi.buffer(ffi.gc(data, lambda _, held=held: None), nbytes))  # the bytes keep the block


def loads(packet: bytes) -> Any:
    """The object of a packet that was read; if this raises, the packet is to be discarded."""
    return ForkingPickler.loads(unpack(packet))


def discard(*packets: bytes) -> None:
    """Give back what the messages of packets that were read refer to, as far as nobody has claimed it."""
    for packet in packets:
        listed = packet[1] | packet[2] << 8
        tokens = struct.unpack_from(f"<{listed}q", packet, _HEAD.size)
        _end(tokens if packet[0] == _INSIDE else (*tokens, _BLOCK.unpack_from(packet, _HEAD.size + 8 * listed)[0]))


def _rebuild(df: Any, readable: bool, writable: bool, channel: Channel) -> PacketEnd:
    return PacketEnd(df.detach(), readable, writable, channel)


def pair() -> tuple[PacketEnd, PacketEnd]:
    """A reader and a writer."""
    reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel = Channel()
    ends = []
    for end, readable in ((reader, True), (writer, False)):
        end.setblocking(False)
        ends.append(PacketEnd(end.detach(), readable, not readable, channel))
    return ends[0], ends[1]
