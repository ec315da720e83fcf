"""A pipe of messages that needs no lock: what our queues are made of.

The problem. A standard queue is a pipe of bytes, so a message must be read by one process from its first byte to its last, and
a lock sees to that. A process that is killed while it waits in `get` holds the lock for ever, and the others starve.

The solution. A pair of sockets that keep messages apart (AF_UNIX, SOCK_SEQPACKET): the kernel hands each message, whole, to one
reader and takes it, whole, from one writer. Nobody holds anything while he waits. The descriptors don't block; who has to wait does
so in `poll`, and asks again. A reader that was answered at once the last time looks for a moment before he sleeps: an idle core
takes as long to wake up as everything else of a small message's journey.

A message that is too large for a packet goes into a block of the shared memory (`core/arena/arena.c`), and the packet has
the block's token. It is written once and unpickled where it lies; a message that no process takes goes with the queue.

A packet lists the references that its message makes. A sender that fails, and a receiver that takes a message and can't use it,
end them at once (`Packet.drop`, `discard`). Ctrl-C may rise after any call of a function, also between the call that sends and
the statement that notes it; but not between a step of an iterator of C's and the assignment of its value. So what is sent, read or
counted is a loop of one step, `for packet.gone in starmap(os.writev, ...): break`: it is noted if and only if it was done.

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
from array import array
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain, starmap
from multiprocessing import reduction
from multiprocessing.connection import Connection
from operator import itemgetter
from typing import Any

from minitensor.backend.core import ffi, lib
from minitensor.sharing import Channel, have_arena, room_text, why_no_arena

from .reductions import ForkingPickler, dumps

__all__ = ["Packet", "PacketEnd", "available", "discard", "pair", "unpack"]

PACKET = 1 << 16  # bytes of a message that go into a packet; a socket takes some 200 KiB before a writer has to wait
LISTED = 4096  # references of a message that its packet lists; more than these go with the queue if nobody takes them
_AWAKE_MS = 0.2  # so long a reader stays awake for the next message, if the last one came as soon: waking up takes up to a quarter of that
# How a packet begins: with one byte, and the message follows, which refers to nothing; or with an int64 that says where the message is
# and, above the lowest byte, how many references there are in the list that follows.
# The byte has the format's number, too, which grows with each change of what a packet is.
FORMAT = 1
_PLAIN, _INSIDE, _IN_BLOCK = 4 * FORMAT, 4 * FORMAT + 1, 4 * FORMAT + 2
_PLAIN_HEAD = bytes([_PLAIN])
_BLOCK = struct.Struct("<qq")  # the token and the size of the block that has the message
_LONGEST = 8 + PACKET
_made = itemgetter(0)  # of a token's list: the token, or the status that says why there is none


def available() -> bool:
    """Can there be such pipes here?  If not, the queues are the standard ones."""
    return hasattr(socket, "SOCK_SEQPACKET") and have_arena()


class Packet:
    """A message on its way out, and what was done for it so far: False until it is done, and then what the call returned."""

    # Defaults, which few packets need all of: making one costs less than with __init__.
    parts: tuple[Any, ...] = ()
    tokens: Sequence[list[int]] = ()  # of what the message refers to, as `sharing.pack` lists them
    gone: Any = False  # the pipe, or the thread that writes to it, has it
    place: Any = False  # of the queue's that was taken
    task: Any = False  # that was counted

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
        self._reads = iter(partial(os.read, handle, _LONGEST), None)  # each step is a read

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (reduction.DupFd(self.fileno()), self.readable, self.writable, self.channel)

    def _close(self) -> None:
        self._reads = iter(self._check_closed, None)  # type: ignore[attr-defined]  # which raises from now on
        super()._close()  # type: ignore[misc]

    # --- writing -----------------------------------------------------------------------------------------------------
    def fill(self, packet: Packet, message: Any, head: bytes = b"") -> None:
        """Make bytes the message of a packet; `head` stands before them.

        Raises:
            MemoryError: when the shared memory has no room for a large message.
        """
        nbytes = len(head) + len(message)
        if not packet.tokens and nbytes <= PACKET:
            packet.parts = (_PLAIN_HEAD, head, message) if head else (_PLAIN_HEAD, message)
            return
        tokens = packet.tokens if len(packet.tokens) <= LISTED else packet.tokens[:LISTED]
        listed = len(tokens)
        if nbytes + 8 * listed <= PACKET:
            packet.parts = array("q", [listed << 8 | _INSIDE, *map(_made, tokens)]), head, message
        else:
            packet.parts = array("q", [listed << 8 | _IN_BLOCK, *map(_made, tokens)]), self._block(packet, head, message)

    def _block(self, packet: Packet, head: bytes, message: Any) -> bytes:
        """Copy a message into a block of the shared memory; what the packet has in its place."""
        if not self.channel.carries_blocks():
            raise MemoryError(f"[put] a message of {len(head) + len(message)} bytes has to lie in shared memory, and a reader of it may not be "
                              f"able to see that: {why_no_arena()}; send less than {PACKET} bytes at a time")  # fmt: skip
        made = [0]
        packet.tokens = *packet.tokens, made
        sizes = len(head), len(message)
        given = head, sizes[0], ffi.from_buffer(message), sizes[1], self.channel.id
        for made[0] in starmap(lib.mt_message_send, (given,)):
            break
        if made[0] < 0:
            raise MemoryError(f"[put] {room_text()}")
        return _BLOCK.pack(made[0], sum(sizes))

    def write_now(self, packet: Packet) -> bool:
        """Hand a packet to the kernel; False: the socket is full.

        Raises:
            BrokenPipeError: when no process can read it any more.
            OSError: when this end is closed.
        """
        try:
            for packet.gone in starmap(os.writev, ((self._handle, packet.parts),)):  # noqa: B020
                break
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

    def write(self, packet: Packet) -> None:
        """Hand a packet to the kernel, waiting for room."""
        while not self.write_now(packet):
            self.wait_for_room()

    def _send_bytes(self, buf: Any) -> None:
        packet = Packet()
        try:
            self.fill(packet, buf)
            self.write(packet)
        except BaseException:
            if packet.gone is False:
                packet.drop()
            raise

    def send(self, obj: object) -> None:
        """Send an object as it is now; waits while the pipe is full."""
        if self._handle is None or not self._writable:  # asked here: a call takes longer than the question
            self._check_closed()  # type: ignore[attr-defined]
            self._check_writable()  # type: ignore[attr-defined]
        packet = Packet()
        try:
            tokens: list[list[int]] = []
            packet.tokens = tokens
            self.fill(packet, dumps(obj, self.channel, tokens))
            if not self.write_now(packet):
                self.write(packet)
        except BaseException:
            if packet.gone is False:
                packet.drop()
            raise

    # --- reading -----------------------------------------------------------------------------------------------------
    def read_now(self, taken: list[Any]) -> bool:
        """Make the next packet `taken[0]`; False: there is none yet.

        Raises:
            EOFError: when no process can send one any more.
            OSError: when this end is closed.
        """
        try:
            for taken[0] in self._reads:
                break
        except BlockingIOError:
            return False
        if not taken[0]:
            raise EOFError
        return True

    def wait(self, seconds: float | None) -> bool:
        """Wait until there may be something to read; False: the time is over."""
        self._check_closed()  # type: ignore[attr-defined]
        took = lib.mt_packet_wait(self._handle, -1 if seconds is None else max(0, -int(-seconds * 1000 // 1)), self._awake_ms)
        self._awake_ms = _AWAKE_MS if 0 <= took < _AWAKE_MS else 0  # a wait is likely to be as long as the one before
        return took >= 0

    def read(self, taken: list[Any]) -> None:
        """Make the next packet `taken[0]`, waiting for it."""
        while not self.read_now(taken):
            self.wait(None)

    def recv(self) -> Any:
        """Receive an object."""
        self._check_closed()  # type: ignore[attr-defined]
        self._check_readable()  # type: ignore[attr-defined]
        taken: list[Any] = [None]
        try:
            self.read(taken)
            return ForkingPickler.loads(unpack(taken[0]))
        except BaseException:
            discard(taken[0])
            raise

    def _recv_bytes(self, maxsize: int | None = None) -> io.BytesIO | None:
        taken: list[Any] = [None]
        self.read(taken)
        message = unpack(taken[0])
        if maxsize is not None and len(message) > maxsize:
            return None
        return io.BytesIO(message)


def unpack(packet: bytes) -> memoryview:
    """The message of a packet that was read."""
    if packet[0] == _PLAIN:
        return memoryview(packet)[1:]
    if packet[0] >> 2 != FORMAT:
        raise ValueError(f"[get] the sender's packet has format {packet[0] >> 2}, and this process reads format {FORMAT}; "
                         "run one version of minitensor in both")  # fmt: skip
    rest = memoryview(packet)[8 + 8 * (packet[1] | packet[2] << 8) :]
    if packet[0] == _INSIDE:
        return rest
    token, nbytes = _BLOCK.unpack(rest)
    held = ffi.gc(ffi.new("int64_t *"), lib.mt_message_close)  # made first: whatever happens, it gives the block back
    data = lib.mt_message_open(token, nbytes, held)
    if data == ffi.NULL:
        raise EOFError("[get] the message's memory is gone: nobody used the queue for a while")
    # The bytes keep `data`, and that keeps what holds `held`; no Python code runs in the end, where Ctrl-C would be lost.
    return memoryview(ffi.buffer(ffi.gc(data, [held].append), nbytes))


def discard(packet: bytes | None) -> None:
    """Give back what the message of a packet that was read refers to, as far as no process has claimed it."""
    if packet and packet[0] in (_INSIDE, _IN_BLOCK):
        end = 8 + 8 * (packet[1] | packet[2] << 8)
        tokens = array("q", packet[8:end])
        if packet[0] == _IN_BLOCK:
            tokens.append(_BLOCK.unpack_from(packet, end)[0])
        _end(tokens)


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
