"""A pipe of messages without a lock: the transport of the queues.

The problem. A standard queue is a pipe of bytes. One process must read a message from its first
byte to its last, and a lock ensures this. A process that is killed while it waits in `get` keeps
the lock, and the other readers starve.

The solution. A pair of sockets that keep messages apart (AF_UNIX, SOCK_SEQPACKET): the kernel hands
each message, whole, to one reader and accepts it, whole, from one writer. A waiting process holds
nothing. The descriptors are non-blocking; a process that has to wait calls `poll` and tries again.
A reader whose last message came at once polls actively for a moment before it sleeps: an idle core
needs as long to wake up as the rest of a small message's path.

A message that exceeds a packet lies in a block of the shared memory (`core/arena/arena.c`), and the
packet holds the block's token. The sender writes it once; the reader unpickles it in place. A
message that no process takes is released with the queue.

A packet lists the references of its message. A sender that fails, and a receiver that cannot use a
message it took, end these references at once (`Packet.drop`, `discard`). A KeyboardInterrupt may
rise after any call of a function, also between the call that sends and the statement that notes it.
It cannot rise between a step of a C iterator and the assignment of its value. So each send and
count is a loop of one step, `for packet.gone in starmap(os.writev, ...): break`: it is noted if and
only if it was done. A read is one call of C, which notes what it read (`take_packet`). A small
message of plain values, or of one tensor that fits in it, has no references; one call of C pickles
it, and one sends it (`core/python/py_packets.c`).

What it guarantees. A message arrives once, whole, or not at all. A reader killed at any moment
takes at most one message with it, the one that it had already received. A writer killed at any
moment leaves no partial message. No function here takes a lock, so a signal handler or a finalizer
may use the queue that it has interrupted.

In everything else the ends are Connections of the standard package: `send`, `recv`, `poll`,
`fileno`, `multiprocessing.connection.wait`.
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
from itertools import chain, starmap
from multiprocessing import reduction
from multiprocessing.connection import Connection
from operator import itemgetter
from typing import Any

from minitensor.backend.core import ffi, lib, operators
from minitensor.sharing import (
    Channel,
    have_arena,
    held_bytes,
    inline_bytes,
    room_text,
    why_no_arena,
)

from .reductions import ForkingPickler, dumps

__all__ = ["Packet", "PacketEnd", "available", "discard", "pair", "unpack"]

PACKET = 1 << 16  # maximum bytes of a message inside a packet; a socket buffers some 200 KiB
LISTED = 4096  # maximum references that a packet lists; the queue's end releases further ones
# Milliseconds for which a reader polls actively, if the last message came within them; waking up
# takes up to a quarter of that.
_AWAKE_MS = 0.2
# The head of a packet is one byte, if its message has no references. Otherwise the head is an
# int64: its lowest byte says where the message lies, the bytes above it count the references in the
# list that follows. The first byte also contains the format's number, which grows with each change
# of the packet's layout.
FORMAT = 1
_PLAIN, _INSIDE, _IN_BLOCK = 4 * FORMAT, 4 * FORMAT + 1, 4 * FORMAT + 2
_PLAIN_HEAD = bytes([_PLAIN])
_BLOCK = struct.Struct("<qq")  # token and size of the block that contains the message
# One call each, which a signal can't divide (core/python/py_packets.c).
small_message = operators.small_message
send_packet, take_packet = operators.send_packet, operators.take_packet
QUICK = ForkingPickler is reduction.ForkingPickler  # the program pickles as the package does
_made = itemgetter(0)  # of a token's list: the token, or a negative status


def available() -> bool:
    """Return whether this system has message pipes; without them queues use standard pipes."""
    return hasattr(socket, "SOCK_SEQPACKET") and have_arena()


class Packet:
    """An outgoing message and the steps done for it.

    `gone`, `place` and `task` are False until the step is done, then what its call returned.
    """

    # Class attributes as defaults: creating a packet costs less than with an __init__.
    parts: tuple[Any, ...] = ()
    tokens: Sequence[list[int]] = ()  # the message's references, as `sharing.pack` lists them
    gone: Any = False  # the pipe, or the feeder, has the message
    place: Any = False  # the put has taken a place of the queue
    task: Any = False  # the put has counted a task

    def drop(self) -> None:
        """End the references of a message that is not sent."""
        _end(chain.from_iterable(self.tokens))


def _end(tokens: Iterable[int]) -> None:
    """End tokens; a claimed token, or a status, stays as it is."""
    deque(map(lib.mt_arena_unsend, tokens), 0)


class PacketEnd(Connection):
    """One end of a pipe of messages; `channel` counts the processes that use it."""

    def __init__(self, handle: int, readable: bool, writable: bool, channel: Channel) -> None:
        super().__init__(handle, readable, writable)
        self.channel = channel
        self._awake_ms = _AWAKE_MS

    def __reduce__(self) -> tuple[Any, ...]:
        handle = reduction.DupFd(self.fileno())
        return _rebuild, (handle, self.readable, self.writable, self.channel)

    # --- writing ----------------------------------------------------------------------------------
    def fill(self, packet: Packet, message: Any, head: bytes = b"") -> None:
        """Store the bytes of `head` and `message` as the message of a packet.

        Raises:
            MemoryError: the shared memory has no room for a large message.
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
            packet.parts = (
                array("q", [listed << 8 | _IN_BLOCK, *map(_made, tokens)]),
                self._block(packet, head, message),
            )

    def _block(self, packet: Packet, head: bytes, message: Any) -> bytes:
        """Copy a message into a block of the shared memory; return the block's record."""
        if not self.channel.carries_blocks():
            raise MemoryError(
                f"[put] a message must have fewer than {PACKET} bytes where a reader may be unable "
                f"to read shared memory ({why_no_arena()}), got {len(head) + len(message)} bytes; "
                "send smaller messages"
            )
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
        """Send a packet; return False if the socket is full.

        Raises:
            BrokenPipeError: every reader is closed.
            OSError: this end is closed.
        """
        try:
            for packet.gone in starmap(os.writev, ((self._handle, packet.parts),)):  # noqa: B020
                break
        except BlockingIOError:
            return False
        except TypeError:
            # A signal handler may have closed this end during the put.
            self._check_closed()  # type: ignore[attr-defined]
            raise
        return True

    def wait_for_room(self, seconds: float | None = None) -> None:
        """Wait until the socket has room for a packet, at most `seconds`."""
        self._check_closed()  # type: ignore[attr-defined]
        poll = select.poll()
        poll.register(self._handle, select.POLLOUT)
        poll.poll(None if seconds is None else 1000 * seconds)

    def write(self, packet: Packet) -> None:
        """Send a packet; wait while the socket is full."""
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
        """Send the present value of an object; wait while the pipe is full."""
        if self._handle is None or not self._writable:  # inline: a call costs more than the test
            self._check_closed()  # type: ignore[attr-defined]
            self._check_writable()  # type: ignore[attr-defined]
        if QUICK:
            message = small_message(obj, inline_bytes())
            if message is not None and send_packet(self._handle, 0, message):
                return
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

    # --- reading ----------------------------------------------------------------------------------
    def read_now(self, taken: list[Any]) -> bool:
        """Read the next packet into `taken[0]`; return False if there is none yet.

        Raises:
            EOFError: every writer is closed.
            OSError: this end is closed.
        """
        if not take_packet(self._handle, 0, taken):
            return False
        if not taken[0]:
            raise EOFError
        return True

    def wait(self, seconds: float | None) -> bool:
        """Wait until there may be a packet to read; return False after `seconds`."""
        self._check_closed()  # type: ignore[attr-defined]
        limit_ms = -1 if seconds is None else max(0, -int(-seconds * 1000 // 1))
        took = lib.mt_packet_wait(self._handle, limit_ms, self._awake_ms)
        # The next wait is likely to be as long as this one.
        self._awake_ms = _AWAKE_MS if 0 <= took < _AWAKE_MS else 0
        return took >= 0

    def read(self, taken: list[Any]) -> None:
        """Read the next packet into `taken[0]`; wait until there is one."""
        while not self.read_now(taken):
            self.wait(None)

    def recv(self) -> Any:
        """Receive an object; wait until there is one."""
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
    """Return the message of a packet that was read."""
    if packet[0] == _PLAIN:
        return memoryview(packet)[1:]
    if packet[0] >> 2 != FORMAT:
        raise ValueError(
            f"[get] the sender's packet must have format {FORMAT}, got format {packet[0] >> 2}; "
            "run one version of minitensor in both processes"
        )
    rest = memoryview(packet)[8 + 8 * (packet[1] | packet[2] << 8) :]
    if packet[0] == _INSIDE:
        return rest
    token, nbytes = _BLOCK.unpack(rest)
    # Created first, so that the block is released whatever happens.
    held = ffi.gc(ffi.new("int64_t *"), lib.mt_message_close)
    data = lib.mt_message_open(token, nbytes, held)
    if data == ffi.NULL:
        raise EOFError(
            "[get] the message's memory is gone: for a while no process used the queue; "
            "keep the queue open until its messages are read"
        )
    return held_bytes(data, held, nbytes)


def discard(packet: bytes | None) -> None:
    """End the references of a packet that was read, except those that a process has claimed."""
    if packet and packet[0] in (_INSIDE, _IN_BLOCK):
        end = 8 + 8 * (packet[1] | packet[2] << 8)
        tokens = array("q", packet[8:end])
        if packet[0] == _IN_BLOCK:
            tokens.append(_BLOCK.unpack_from(packet, end)[0])
        _end(tokens)


def _rebuild(df: Any, readable: bool, writable: bool, channel: Channel) -> PacketEnd:
    return PacketEnd(df.detach(), readable, writable, channel)


def pair() -> tuple[PacketEnd, PacketEnd]:
    """Return the reader and the writer of a new pipe."""
    reader, writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel = Channel()
    ends = []
    for end, readable in ((reader, True), (writer, False)):
        end.setblocking(False)
        ends.append(PacketEnd(end.detach(), readable, not readable, channel))
    return ends[0], ends[1]
