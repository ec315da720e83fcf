"""A pipe of messages that needs no lock: what our queues are made of.

The problem. A standard queue is a pipe of bytes, so a message must be read by one process from its first byte to its last, and
a lock sees to that. A process that is killed while it waits in `get` holds the lock for ever, and the others starve.

The solution. A pair of sockets that keep messages apart (AF_UNIX, SOCK_SEQPACKET): the kernel hands each message, whole, to one
reader and takes it, whole, from one writer. Nobody holds anything while he waits. The descriptors don't block; who has to wait does
so in `poll`, and asks again. A reader that was answered at once the last time looks for a moment before he sleeps: an idle core
takes as long to wake up as everything else of a small message's journey.

A message that is too large for a packet goes into a block of the shared memory (`backend/native/arena.c`), and the packet has the
block's token. It is written once and unpickled where it lies; if nobody ever takes it, it goes with the queue.

What it guarantees. A message arrives once, whole, or not at all; a reader killed at any moment takes at most the one message with
it that it had already received; a writer killed at any moment leaves no half of one.

The ends are the standard package's Connections in everything else: `send`, `recv`, `poll`, `fileno`, `multiprocessing.connection.wait`.
"""

from __future__ import annotations

import io
import os
import select
import socket
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any

from minitensor.backend.native import ffi, lib
from minitensor.sharing import Channel, have_arena, room_text

from .reductions import ForkingPickler, dumps

__all__ = ["PacketEnd", "available", "pair"]

PACKET = 1 << 16  # bytes of a message that go into a packet; a socket takes some 200 KiB before a writer has to wait
_AWAKE_MS = 0.2  # so long a reader stays awake for the next message, if the last one came as soon: waking up takes up to a quarter of that
_INSIDE, _BLOCK = b"\0", b"\1"  # how a packet begins: the message follows, or the token and the size of the block that has it


def available() -> bool:
    """Can there be such pipes here?  If not, the queues are the standard ones."""
    return hasattr(socket, "SOCK_SEQPACKET") and have_arena()


class PacketEnd(Connection):
    """One end of a pipe of messages; `channel` is who uses it."""

    def __init__(self, handle: int, readable: bool, writable: bool, channel: Channel) -> None:
        super().__init__(handle, readable, writable)
        self.channel = channel
        self._awake_ms = _AWAKE_MS

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (reduction.DupFd(self.fileno()), self.readable, self.writable, self.channel)

    # --- writing -----------------------------------------------------------------------------------------------------
    def packet(self, message: Any) -> tuple[Any, ...]:
        """What of a message goes into the packet: buffers.  A large one is copied into shared memory now.

        Raises:
            MemoryError: when there is no room for it.
        """
        nbytes = len(message)
        if nbytes <= PACKET:
            return _INSIDE, message
        block = lib.mt_arena_alloc(nbytes)
        if block < 0:
            raise MemoryError(f"[put] {room_text()}")
        try:
            ffi.memmove(lib.mt_arena_data(block), message, nbytes)
            token = lib.mt_arena_send(block, self.channel.number)
        finally:
            lib.mt_arena_drop(block)
        if token < 0:
            raise MemoryError(f"[put] {room_text()}")
        return _BLOCK, token.to_bytes(8, "little") + nbytes.to_bytes(8, "little")

    def write_now(self, packet: tuple[Any, ...]) -> bool:
        """Hands a packet to the kernel; False: the socket is full.  BrokenPipeError when nobody can read it any more."""
        try:
            os.writev(self._handle, packet)
        except BlockingIOError:
            return False
        return True

    def write(self, packet: tuple[Any, ...]) -> None:
        """The same, waiting for room."""
        while not self.write_now(packet):
            poll = select.poll()
            poll.register(self._handle, select.POLLOUT)
            poll.poll()

    def _send_bytes(self, buf: Any) -> None:
        self.write(self.packet(buf))

    def send(self, obj: object) -> None:
        """Send an object as it is now; waits while the pipe is full."""
        self._check_closed()  # type: ignore[attr-defined]
        self._check_writable()  # type: ignore[attr-defined]
        self._send_bytes(dumps(obj, self.channel))

    # --- reading -----------------------------------------------------------------------------------------------------
    def read_now(self) -> Any:
        """The next message; None: there is none yet.  EOFError when nobody can send one any more."""
        try:
            data = os.read(self._handle, PACKET + 1)
        except BlockingIOError:
            return None
        if not data:
            raise EOFError
        if data[:1] == _INSIDE:
            return memoryview(data)[1:]
        block = lib.mt_arena_claim(int.from_bytes(data[1:9], "little"))
        if block < 0:
            raise EOFError("[get] the message's memory is gone: nobody used the queue for a while")
        owner = ffi.gc(ffi.cast("char *", lib.mt_arena_data(block)), lambda _: lib.mt_arena_drop(block))
        return memoryview(ffi.buffer(owner, int.from_bytes(data[9:17], "little")))

    def wait(self, seconds: float | None) -> bool:
        """Waits until there may be something to read; False: the time is over."""
        took = lib.mt_packet_wait(self._handle, -1 if seconds is None else max(0, -int(-seconds * 1000 // 1)), self._awake_ms)
        self._awake_ms = _AWAKE_MS if 0 <= took < _AWAKE_MS else 0  # a wait is likely to be as long as the one before
        return took >= 0

    def read(self) -> Any:
        """The next message, waiting for it."""
        while (message := self.read_now()) is None:
            self.wait(None)
        return message

    def recv(self) -> Any:
        """Receive an object."""
        self._check_closed()  # type: ignore[attr-defined]
        self._check_readable()  # type: ignore[attr-defined]
        return ForkingPickler.loads(self.read())

    def _recv_bytes(self, maxsize: int | None = None) -> io.BytesIO | None:
        message = self.read()
        if maxsize is not None and len(message) > maxsize:
            return None
        buffer = io.BytesIO()
        buffer.write(message)
        return buffer


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
