"""Buffers in messages: the memory of arrays, frames and tables travels like that of a tensor.

The problem. NumPy's arrays, pandas' frames, Arrow's tables and torch's tensors consist of a few
large buffers, and pickle copies each of them into the message, then out of it again.

The solution. Pickle's protocol 5 hands over each buffer (PickleBuffer) instead of copying it. A
buffer that is larger than what travels inside a message is copied into a block of the arena
(`place`), which only the message holds. The pickle lies inside a second one (`around`), whose
reduction opens the buffers and unpickles the first with them. So the message is an ordinary pickle,
and every transport that pickles by `reductions.dumps` can carry it.

What it guarantees. The receiver's buffer is its own. The first process that opens a buffer has its
block alone, reads and writes in place, and nothing is copied (`core/arena/exclusive.c`). The block
is freed with the last object that uses the buffer. A guest and a process of another family get a
copy. Where a reader may be unable to read shared memory, and where the arena has no room, the
buffer stays in the pickle. A buffer that is unpickled a second time raises a StaleHandleError,
because the first receiver may have written to it.
"""

from __future__ import annotations

import io
import pickle
from array import array
from functools import partial
from itertools import starmap
from typing import Any

from minitensor.backend.core import ffi, lib
from minitensor.errors import StaleHandleError

from .arena import Start, address, is_here
from .pickling import inline_bytes, note_token, read_from_family, readers

__all__ = ["around", "held_bytes", "opened", "place"]

Placed = list[tuple[int, int, "Start | None"]]  # of each buffer: token, bytes, the new process


def place(placed: Placed, buffer: pickle.PickleBuffer) -> bool:
    """Copy a pickled buffer into shared memory, and note it; return True if it stays in the pickle.

    Args:
        placed: receives the buffer's token and size.
        buffer: the buffer that pickle hands over.
    """
    try:
        view = buffer.raw()
    except BufferError:
        return True  # pickle raises its own error
    if view.nbytes <= inline_bytes():
        return True
    to = readers()
    if to is None:
        return True
    made = note_token()
    given = ffi.NULL, 0, ffi.from_buffer(view), view.nbytes, to[0]
    for made[0] in starmap(lib.mt_message_send, (given,)):
        break
    if made[0] <= 0:
        return True
    placed.append((made[0], view.nbytes, to[1]))
    return False


class _Around:
    """A pickle with its buffers, as an object of the message's pickle."""

    def __init__(self, inner: Any, placed: Placed) -> None:
        start = placed[0][2]
        records = array("q", [number for record in placed for number in record[:2]])
        self.form = address() if start is None else start.place(), bytes(inner), records.tobytes()

    def __reduce__(self) -> tuple[Any, ...]:
        return opened, self.form


def around(inner: Any, placed: Placed) -> memoryview:
    """Return the message of a pickle whose buffers were placed."""
    file = io.BytesIO()
    pickle.Pickler(file, pickle.HIGHEST_PROTOCOL).dump(_Around(inner, placed))
    return file.getbuffer()


def opened(address: str, inner: bytes, records: bytes) -> Any:
    """Return the object of a pickle whose buffers lie in the arena at `address`."""
    numbers = iter(array("q", records))
    return pickle.loads(inner, buffers=starmap(partial(_open, address), zip(numbers, numbers)))


def _open(address: str, token: int, nbytes: int) -> Any:
    """Return the bytes of a token as a writable buffer that is the receiver's own."""
    if not is_here(address):
        return read_from_family(address, partial(_copy, token, nbytes))
    held = ffi.gc(ffi.new("int64_t *"), lib.mt_message_close)  # first, so that it is closed always
    data = lib.mt_buffer_open(token, nbytes, held)
    if data == ffi.NULL:
        raise StaleHandleError(
            "[unpickle] the memory of a buffer in this message is gone, or another process has "
            "received it; unpickle a message with arrays once"
        )
    return held_bytes(data, held, nbytes)


def held_bytes(data: Any, held: Any, nbytes: int) -> memoryview:
    """Return the bytes at `data`, which keep what `held` closes."""
    # The bytes keep `data` alive, and `data` keeps `held`. Their release runs no Python code, where
    # a KeyboardInterrupt would be lost.
    return memoryview(ffi.buffer(ffi.gc(data, [held].append), nbytes))


def _copy(token: int, nbytes: int, path: bytes, inode: int) -> tuple[Any, int]:
    out = bytearray(nbytes)
    error = lib.mt_arena_copy_from(path, inode, token, ffi.from_buffer(out), nbytes)
    return (None if error else memoryview(out)), error
