"""A message of another version's format is refused, by name, and read by none as what it is not."""

from __future__ import annotations

import struct

import pytest

from minitensor import Tensor, ops
from minitensor.multiprocessing import message_pipe, reductions
from minitensor.sharing import pickling, sharing_stats


def parts(value: object) -> tuple[object, list[object]]:
    """Return what a tensor becomes in a message of the standard package's pipes, taken apart."""
    receive, arguments = pickling.reduce(value)
    return receive, list(arguments)


@pytest.mark.parametrize("format", [0, 1000, -1, 2**31 - 1])
@pytest.mark.parametrize("size", [3, 100_000], ids=["inside", "in shared memory"])
def test_a_tensor_of_another_format_is_refused(size: int, format: int) -> None:
    before = sharing_stats()["in_flight"]
    receive, arguments = parts(ops.arange(size))
    packed = bytes(arguments[0])
    (ours,) = struct.unpack_from("<i", packed)
    arguments[0] = struct.pack("<i", format) + packed[4:]
    with pytest.raises(ValueError, match=rf"^\[unpickle\] the sender's message has format "
                                         rf"{format}, "
                       rf"and this process reads format {ours}; "
                       "run one version of minitensor in both"):  # fmt: skip
        receive(*arguments)
    # the same bytes in this format, read once
    assert receive(packed, *arguments[1:]).shape == (size,)
    assert sharing_stats()["in_flight"] == before


@pytest.mark.parametrize("n", [0, 3, 4, 39])
def test_too_few_bytes_are_no_tensor_of_any_format(n: int) -> None:
    receive, arguments = parts(ops.arange(3))
    with pytest.raises(ValueError, match="not what a tensor becomes in a message"):
        receive(bytes(arguments[0])[:n])


def test_a_view_of_another_format_is_refused() -> None:
    t = Tensor([1.0, 2.0, 3.0])
    packed = bytes(parts(t)[1][0])  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="has format 999"):
        pickling._receive_view(t, struct.pack("<i", 999) + packed[4:])


@pytest.mark.parametrize("message", [1, list(range(100_000))], ids=["plain", "in a block"])
def test_a_packet_of_another_format_is_refused(message: object) -> None:
    reader, writer = message_pipe.pair()
    taken: list[bytes] = [b""]
    with reader, writer:
        writer.send(message)
        reader.read(taken)
        other = bytes([taken[0][0] + 4]) + taken[0][1:]
        with pytest.raises(
            ValueError,
            match=r"^\[get\] the sender's packet must have format "
            rf"{message_pipe.FORMAT}, got format {message_pipe.FORMAT + 1}; ",
        ):
            message_pipe.unpack(other)
        message_pipe.discard(other)  # touches nothing of what it can't read
        assert reductions.ForkingPickler.loads(message_pipe.unpack(taken[0])) == message
