"""The messages between a pool and one worker.

The problem. A task that its worker cannot unpickle is an error of that task, and so is a result
that the pool cannot unpickle. Whoever receives such a message must still learn which task it is
about. And when a worker dies, the pool must know which tasks it had not begun.

The solution. A message has a head that can always be read: a number, which is the task's or one of
the signs below, and a text (the traceback of an exception). The content is pickled apart from it.
Each worker has two pipes of its own (`message_pipe.py`): one for tasks, one for results. The pool
keeps the reading end of the pipe of tasks, too, and takes back what the worker has not read.

What it guarantees. A task was begun if and only if its worker has read it. A worker that dies at
any moment leaves whole messages, and nothing of it harms another worker.

Where message pipes are missing, the pipes are standard ones. The pool cannot take a task back from
such a pipe, so it sends one to an idle worker only, and counts it as begun.
"""

from __future__ import annotations

import os
import struct
from multiprocessing.connection import Connection, Pipe
from typing import Any

from . import message_pipe
from .message_pipe import _PLAIN_HEAD, PACKET, Packet, PacketEnd
from .reductions import ForkingPickler, dumps

__all__ = [
    "END",
    "FAILED",
    "READY",
    "UNREADABLE",
    "Gone",
    "Message",
    "close",
    "pipe",
    "read",
    "send",
    "takes_back",
]

# In place of a task's number: no more tasks; the worker is initialized; its initializer failed; the
# message is too large for the memory of its receiver, and so is its head.
END, READY, FAILED, UNREADABLE = -1, -2, -3, -4
_HEAD = struct.Struct("<qqI")  # the number, whether it is a value, the size of the text behind it


class Gone(Exception):
    """The process at the other end of the pipe has closed it."""


def pipe() -> tuple[Connection, Connection]:
    """Return the reader and the writer of a new pipe."""
    return message_pipe.pair() if message_pipe.available() else Pipe(duplex=False)


def takes_back(reader: Connection) -> bool:
    """Return whether the pool can take unread messages back from a pipe."""
    return isinstance(reader, PacketEnd)


def send(
    writer: Connection,
    number: int,
    content: object = None,
    good: bool = True,
    text: str = "",
    waits: bool = True,
) -> bool:
    """Send a message.

    Args:
        writer: the pipe's end.
        number: the task's number, or a sign.
        content: what is pickled.
        good: whether the content is a value, and not an exception.
        text: the traceback of an exception.
        waits: whether to wait while the pipe is full.

    Returns:
        False if the pipe is full, and nothing was sent.

    Raises:
        Gone: the pipe has no reader any more.
        Exception: whatever pickling raises; nothing was sent.
    """
    said = text.encode("utf-8", "replace") if text else b""
    head = _HEAD.pack(number, good, len(said))
    if said:
        head += said
    if not isinstance(writer, PacketEnd):
        message = b"".join((head, dumps(content)))
        try:
            writer.send_bytes(message)
        except OSError as error:
            raise Gone from error
        return True
    tokens: list[list[int]] = []
    message = dumps(content, writer.channel, tokens)
    if not tokens and len(head) + len(message) <= PACKET:
        # As the rest does, in a third of the time: there is nothing to drop.
        try:
            os.writev(writer._handle, (_PLAIN_HEAD, head, message))  # type: ignore[attr-defined]
            return True
        except BlockingIOError:
            if not waits:
                return False
        except (OSError, TypeError) as error:
            raise Gone from error
    packet = Packet()
    try:
        packet.tokens = tokens
        writer.fill(packet, message, head)
        try:
            while not writer.write_now(packet):
                if not waits:
                    return False
                writer.wait_for_room()
        except OSError as error:
            raise Gone from error
        return True
    finally:
        if packet.gone is False:
            packet.drop()


class Message:
    """A message that was read: the number of its task, and its content, still pickled."""

    __slots__ = ("number", "good", "text", "_pickle", "_packet")
    _pickle: Any

    def __init__(self, packet: bytes | None, message: Any = None) -> None:
        self._packet = packet
        if message is None:
            try:
                message = message_pipe.unpack(packet)  # type: ignore[arg-type]
            except Exception as error:
                self.number, self.good, self.text, self._pickle = UNREADABLE, False, "", error
                return
        self.number, self.good, nbytes = _HEAD.unpack_from(message)
        end = _HEAD.size + nbytes
        self.text = str(message[_HEAD.size : end], "utf-8") if nbytes else ""
        self._pickle = message[end:]

    def load(self) -> Any:
        """Return the content.

        Raises:
            Exception: whatever unpickling raises; the memory in the message is released then.
        """
        try:
            if self.number == UNREADABLE:
                raise self._pickle
            return ForkingPickler.loads(self._pickle)
        except BaseException:
            self.drop()
            raise

    def drop(self) -> None:
        """Release the memory in a message that is not unpickled."""
        message_pipe.discard(self._packet)


def read(reader: Connection, waits: bool = False) -> Message | None:
    """Return the next message of a pipe; None if there is none yet.

    Args:
        reader: the pipe's end.
        waits: whether to wait for a message.

    Raises:
        Gone: the pipe has no writer any more, or is closed.
    """
    if not isinstance(reader, PacketEnd):
        try:
            if not waits and not reader.poll():
                return None
            return Message(None, memoryview(reader.recv_bytes()))
        except (EOFError, OSError) as error:
            raise Gone from error
    taken: list[Any] = [None]
    try:
        while not reader.read_now(taken):
            if not waits:
                return None
            reader._awake_ms = 0  # a worker that polled actively would take the pool's core
            reader.wait(None)
        return Message(taken[0])
    except (EOFError, OSError) as error:
        raise Gone from error
    except BaseException:
        message_pipe.discard(taken[0])
        raise


def close(end: Connection) -> None:
    """Close an end, and no longer use its channel."""
    end.close()
    if isinstance(end, PacketEnd):
        end.channel = None  # type: ignore[assignment]
