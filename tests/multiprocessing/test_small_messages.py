"""Small messages take a short way in C; what arrives is what the pickler's way brings."""

from __future__ import annotations

import collections
import enum
import pickle
import threading
from queue import Empty, Full
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minitensor as mt
import minitensor.multiprocessing as mp
from minitensor import Tensor, ops
from minitensor.backend.core import operators
from minitensor.multiprocessing.reductions import dumps

CONTEXT = mp.get_context("fork")
Pair = collections.namedtuple("Pair", "a b")
MOST = 1 << 12  # bytes of a text, of bytes and of a tensor on the short way


class Whole(int):
    """A subclass of a plain type."""


class Color(enum.IntEnum):
    RED = 1


def quick(value: Any) -> Any:
    return operators.small_message(value, 1 << 14)


@pytest.fixture
def short_way() -> None:
    """Skip in a process in which a test has held a thread of the core: the short way is off."""
    if quick(Tensor([1.0])) is None:
        pytest.skip("a test of races has run in this process before")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.tuples(inner, inner) | st.lists(inner, max_size=3),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def queues() -> list[Any]:
    return [CONTEXT.Queue(), CONTEXT.Queue(3), CONTEXT.SimpleQueue(), CONTEXT.JoinableQueue()]


@given(PLAIN)
@settings(max_examples=60)
def test_plain_values(queues: list[Any], value: Any) -> None:
    message = quick(value)
    assert message is None or message == pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    for queue in queues:
        queue.put(value)
        assert repr(queue.get()) == repr(value)


def test_what_takes_the_short_way() -> None:
    for value in (
        1, 2**62, -1.5, "x" * MOST, b"x" * MOST, None, True, (), (1, "a", None), (1,) * 16,
    ):  # fmt: skip
        assert quick(value) is not None, value
    for value in (
        2**64, "x" * (MOST + 1), b"x" * (MOST + 1), (1,) * 17, (1, (2,)), [1], {}, 1j, Whole(1),
        Color.RED, Pair(1, 2), bytearray(1), np.float64(1), np.int64(1), object,
    ):  # fmt: skip
        assert quick(value) is None, value


@pytest.mark.parametrize("value", [Whole(3), Color.RED, Pair(1, 2), 2**70, "ü" * 70_000])
def test_other_types_arrive_as_they_are(queues: list[Any], value: Any) -> None:
    for queue in queues:
        queue.put(value)
        there = queue.get()
        assert type(there) is type(value) and there == value


@pytest.mark.parametrize("dtype", ["bool_", "int64", "float16", "bfloat16", "complex64"])
def test_tensors_of_each_dtype(short_way: None, queues: list[Any], dtype: str) -> None:
    whole = ops.ones((7, 3), getattr(mt, dtype))
    for t in (whole, whole.T, whole[1], whole[::2], whole[::-1], whole[2, 1], whole[:0]):
        assert (quick(t) is None) == (t.size == 0)
        for queue in queues:
            queue.put(t)
            there = queue.get()
            assert (there.shape, there.dtype) == (t.shape, t.dtype) and bool((there == t).all())
            there += there
            assert bool((whole == 1).all())


@pytest.mark.parametrize("n", [MOST // 4 - 1, MOST // 4, MOST // 4 + 1])
def test_tensors_at_the_limit(short_way: None, queues: list[Any], n: int) -> None:
    t = Tensor(np.arange(n, dtype=np.float32))
    assert (quick(t) is None) == (4 * n > MOST)
    assert pickle.loads(quick(t) or dumps(t)).tolist() == list(range(n))
    assert operators.small_message(t, 4 * n - 1) is None
    queues[0].put(t)
    assert queues[0].get().tolist() == list(range(n))


def test_tensors_that_python_has_to_send(queues: list[Any]) -> None:
    gate = threading.Event()
    pending = ops.host_call(lambda: np.float32(gate.wait(60)), [], shape=(), dtype="float32")
    assert quick(pending) is None
    gate.set()
    queues[0].put(pending)
    assert float(queues[0].get()) == 1
    shared = Tensor([1.0]).share_memory_()
    assert quick(shared) is None
    with pytest.raises(ZeroDivisionError):
        queues[0].put(Tensor([1]) // Tensor([0]))
    assert queues[0].empty()


def test_a_full_queue() -> None:
    queue = CONTEXT.Queue(2)
    for value in (1, Tensor([2.0])):
        queue.put(value)
    with pytest.raises(Full):
        queue.put(3, block=False)
    with pytest.raises(Full):
        queue.put(3, timeout=0.001)
    thread = threading.Thread(target=queue.put, args=(3,))
    thread.start()
    assert [float(queue.get(timeout=60)) for _ in range(3)] == [1, 2, 3]
    thread.join(60)
    with pytest.raises(Empty):
        queue.get(block=False)
    assert queue.qsize() == 0
    for value in range(2):
        queue.put(value)  # every place is free again


def test_the_order_holds_when_the_pipe_is_full() -> None:
    queue = CONTEXT.Queue()
    for n in range(4000):  # more than a socket has room for
        queue.put(n if n % 3 else [n])
    assert queue._feeder.thread is not None
    got = [queue.get(timeout=60) for _ in range(4000)]
    assert [n if isinstance(n, int) else n[0] for n in got] == list(range(4000))
    queue.put("last")
    assert queue.get(timeout=60) == "last" and queue.qsize() == 0


def test_a_closed_queue_and_a_closed_end() -> None:
    queue = CONTEXT.Queue()
    queue.put(1)
    queue.close()
    with pytest.raises(ValueError, match="closed"):
        queue.put(2)
    with pytest.raises((ValueError, OSError), match="closed"):
        queue.get()
    simple = CONTEXT.SimpleQueue()
    simple.close()
    for call in (lambda: simple.put(1), simple.get):
        with pytest.raises(OSError, match="closed"):
            call()


def test_no_reader_and_no_writer() -> None:
    queue = CONTEXT.SimpleQueue()
    queue._reader.close()
    with pytest.raises(BrokenPipeError):
        queue.put(1)
    queue = CONTEXT.SimpleQueue()
    queue.put(5)
    queue._writer.close()
    assert queue.get() == 5
    with pytest.raises(EOFError):
        queue.get()
