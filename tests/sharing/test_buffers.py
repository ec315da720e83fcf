"""Arrays, frames and other buffers travel in shared memory, and belong to who receives them."""

from __future__ import annotations

import concurrent.futures
import gc
import os
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import buffer_targets as targets
import ml_dtypes
import numpy as np
import pytest
import sharing_targets
from family import LARGE, faults, large, stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minitensor.multiprocessing as mp
from minitensor import Tensor, config, errors
from minitensor.backend.core import lib
from minitensor.multiprocessing.reductions import dumps, register

INLINE = config.get("MINITENSOR_INLINE_BYTES")
N = 50_000


class Sub(np.ndarray):
    """A program's subclass."""


@pytest.fixture
def echo(ctx: Any) -> Iterator[Callable[..., Any]]:
    """Call a function in another process, by two queues."""
    questions, answers = ctx.Queue(), ctx.Queue()
    process = ctx.Process(target=sharing_targets.serve, args=(questions, answers))
    process.start()

    def call(function: Callable[..., Any], *arguments: Any) -> Any:
        questions.put((function, arguments))
        result = answers.get(timeout=60)
        if isinstance(result, BaseException):
            raise result
        return result

    yield call
    questions.put(None)
    process.join(60)
    assert process.exitcode == 0


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """No block and no reference is left after a test."""
    before = stats()
    yield
    after = stats()
    assert [after[k] - before[k] for k in ("blocks", "in_flight")] == [0, 0]


def travelled(value: Any) -> Any:
    """Return what arrives of a value, with the message in between."""
    return pickle.loads(dumps(value))


def arrays() -> dict[str, np.ndarray]:
    """Return arrays of each kind, larger than what travels inside a message."""
    whole = np.arange(2 * N, dtype=np.float64).reshape(200, -1)
    pairs = np.zeros(N, [("a", "i4"), ("b", "f8", (2,)), ("c", "S3")])
    pairs["b"] = 7
    frozen = whole.copy()
    frozen.flags.writeable = False
    return {
        "C": whole,
        "Fortran": np.asfortranarray(whole),
        "transposed": whole.T,
        "strided": whole[::2, 1::3],
        "reversed": whole[::-1],
        "broadcast": np.broadcast_to(np.arange(3.0), (N, 3)),
        "read-only": frozen,
        "structured": pairs,
        "field": pairs["b"],
        "dates": np.arange(N).astype("M8[s]"),
        "strings": np.full(N, "grün"),
        "bytes": np.full(N, b"abc"),
        "big-endian": np.arange(N, dtype=">i8"),
        "bfloat16": np.arange(N).astype(ml_dtypes.bfloat16),
        "complex": np.full((5, N), 1j),
        "bool": np.ones(4 * N, bool),
        "one axis of one": whole[:, :, None],
        "recarray": pairs.view(np.recarray),
        "matrix": np.asmatrix(whole),
        "subclass": whole.view(Sub),
        "objects": np.array([1, "two", None] * N, object),
    }


@pytest.mark.parametrize("name", arrays())
def test_each_kind_arrives_as_pickle_would_bring_it(name: str) -> None:
    a = arrays()[name]
    there, expected = travelled(a), pickle.loads(pickle.dumps(a, 5))
    assert targets.describe(there)[:-1] == targets.describe(expected)[:-1]
    assert np.array_equal(there, a)
    assert there.dtype == a.dtype
    assert dict(there.dtype.metadata or {}) == dict(a.dtype.metadata or {})


def test_masked_arrays_and_memory_maps(tmp_path: Any) -> None:
    masked = np.ma.masked_less(np.arange(float(N)), 5)
    there = travelled(masked)
    assert there.mask.sum() == 5 and there.sum() == masked.sum()
    file = np.memmap(tmp_path / "data", np.float64, "w+", shape=(N,))
    file[:] = 3
    there = travelled(file)
    assert type(there) is np.memmap and there.sum() == 3 * N
    there[0] = 5
    assert file[0] == 3


@given(
    hnp.arrays(
        st.sampled_from(["u1", "<i2", "f4", "c16"]),
        hnp.array_shapes(min_dims=0, max_dims=3, max_side=4),
        elements=st.just(0),
        fill=st.nothing(),
    ),
    st.integers(-1, 1),
    st.data(),
)
@settings(max_examples=25)
def test_sizes_at_the_limit(a: np.ndarray, step: int, data: Any) -> None:
    """An array of the inline size, one element less and one more, cut in any way."""
    n = INLINE // a.itemsize + step
    whole = np.arange(4 * n).astype(a.dtype)[: 2 * n]
    part = data.draw(st.sampled_from([whole[:n], whole[::2], whole[n:], whole[:n][::-1]]))
    there = travelled((part, a))
    assert np.array_equal(there[0], part) and np.array_equal(there[1], a)
    assert there[0].dtype == part.dtype and there[0].flags.writeable


def test_a_large_array_lies_in_a_block_until_its_last_view_is_gone() -> None:
    before = stats()["blocks"]
    message = bytes(dumps([np.zeros(N), np.ones(N)]))
    assert len(message) < 2000 and stats()["in_flight"] >= 2
    first, second = pickle.loads(message)
    assert stats()["blocks"] == before + 2
    view = memoryview(second[5:10])
    del first, second
    assert stats()["blocks"] == before + 1 and view[0] == 1
    del view


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_bytes_keep_their_type(kind: type) -> None:
    value = kind(os.urandom(1 << 20))
    there = travelled([value, value])
    assert type(there[0]) is kind and there[0] == value and there[0] is there[1]


def test_any_object_that_offers_its_buffer() -> None:
    there = travelled(pickle.PickleBuffer(bytearray(b"x" * N)))
    assert bytes(there) == b"x" * N
    there[0] = 7
    assert travelled(pickle.PickleBuffer(b"y" * N))[0] == ord("y")
    with pytest.raises((BufferError, pickle.PicklingError)):
        dumps(pickle.PickleBuffer(np.zeros((300, 300))[:, ::2]))


def test_one_array_twice_is_one_array() -> None:
    a = np.zeros(N)
    first, second, t = travelled((a, a, Tensor(a)))
    assert first is second and float(t.sum()) == 0


# --- whose the values are -------------------------------------------------------------------------
def test_the_value_is_that_of_the_put_and_the_receivers_own(echo: Callable[..., Any]) -> None:
    for n in (10, N):
        a = np.zeros(n)
        b = echo(targets.add_one, a)
        c = echo(targets.add_one, b)
        b += 10
        assert (a.max(), b.min(), c.min(), c.max()) == (0, 11, 2, 2)


def test_a_put_takes_the_value_of_its_moment(ctx: Any) -> None:
    queue, a = ctx.Queue(), np.zeros(N)
    queue.put(a)
    a += 1
    queue.put(a)
    first, second = queue.get(), queue.get()
    assert (first.max(), second.min()) == (0, 1)
    first += 5
    assert (a.max(), second.max()) == (1, 1)


def test_every_way(ctx: Any) -> None:
    a = np.full(N, 2.0)
    for queue in (ctx.Queue(), ctx.SimpleQueue(), ctx.JoinableQueue()):
        queue.put(a)
        assert targets.add_one(queue.get()).sum() == 3 * N
    ours, theirs = ctx.Pipe()
    theirs.send(a)
    assert targets.add_one(ours.recv()).sum() == 3 * N
    with ctx.Pool(1) as pool:
        results = pool.map(targets.add_one, [a, a + 1])
        assert [r.sum() for r in results] == [3 * N, 4 * N]
        results[0] += 1
        del results
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=ctx) as executor:
        assert executor.submit(targets.add_one, a).result(60).sum() == 3 * N
    process = ctx.Process(target=targets.exits_with_the_first, args=(a,), kwargs={})
    process.start()
    process.join(60)
    assert process.exitcode == 2 and a[-1] == 2


def test_arguments_with_tensors_queues_and_arrays(ctx: Any) -> None:
    queue = ctx.Queue()
    value = [np.ones(N), large(2), np.arange(5)]
    process = ctx.Process(target=targets.puts, args=(queue, value, "returns"))
    process.start()
    a, t, b = queue.get(timeout=60)
    process.join(60)
    assert (a.sum(), float(t.sum()), b.tolist()) == (N, 2 * LARGE, [0, 1, 2, 3, 4])


def test_a_received_tensor_is_writable_in_place_where_no_other_has_it(
    echo: Callable[..., Any],
) -> None:
    t = echo(sharing_targets.make, N)
    echo(sharing_targets.same, None)  # the other process has dropped its own
    before = np.asarray(t).ctypes.data
    a = t.asnumpy()
    assert a.ctypes.data == before
    a[0] = 5
    assert float(t[0]) == 5
    t += 1
    assert (a[0], a[1]) == (6, 2)  # the array and the tensor stay one memory
    assert float(echo(sharing_targets.same, t)[0]) == 6  # a copy is sent
    a[1] = 9
    assert float(t[1]) == 9
    del a
    gc.collect()
    again = echo(sharing_targets.same, t)  # the block itself is sent again
    assert np.asarray(again).ctypes.data == before
    del again


@pytest.mark.parametrize("n", [N, 5_000_000])  # copied, and mapped privately
def test_a_tensor_that_its_sender_keeps_is_writable_too(ctx: Any, n: int) -> None:
    queue, t = ctx.Queue(), Tensor(np.ones(n, np.float32))
    queue.put(t)
    queue.put(t)
    received, other = queue.get(), queue.get()
    array = received.asnumpy()
    array[0] = 5
    received += 1
    assert (array[0], array[-1], float(received[0])) == (6, 2, 6)
    assert (float(t[0]), float(other[0]), float(t[-1])) == (1, 1, 1)
    t += 10
    del other
    assert (array[0], array[1], float(t[0])) == (6, 2, 11)
    del array
    queue.put(received)
    assert float(queue.get()[0]) == 6
    del t, received
    gc.collect()
    queue.put(Tensor(np.full(n, 3, np.float32)))  # the block is used again
    assert float(queue.get().sum()) == 3 * n


def test_dlpack_of_a_tensor_that_no_other_has_copies_nothing(echo: Callable[..., Any]) -> None:
    t = echo(sharing_targets.make, N)
    echo(sharing_targets.same, None)
    before = stats()["copied"]
    there = np.from_dlpack(t)
    assert stats()["copied"] == before and lib.mt_in_arena(t._ref) and there.sum() == N


def test_a_message_gives_its_buffers_once(ctx: Any) -> None:
    message = bytes(dumps(np.zeros(N)))
    first = pickle.loads(message)
    with pytest.raises(errors.StaleHandleError, match="unpickle a message with arrays once"):
        pickle.loads(message)
    first += 1
    del first
    with pytest.raises(errors.StaleHandleError):
        pickle.loads(message)


# --- forks ----------------------------------------------------------------------------------------
def child_says(function: Callable[[], object]) -> Any:
    """Return what a function returns in a forked child."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, pickle.dumps(function()))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        data = file.read()
    os.waitpid(pid, 0)
    return pickle.loads(data)


def test_a_fork_copies_the_values_of_received_arrays(ctx: Any) -> None:
    queue = ctx.Queue()
    queue.put((np.zeros(N), np.full(N, 7.0)))
    received = list(queue.get())
    a, b = received
    seen, wrote = os.pipe(), os.pipe()

    def child() -> tuple[float, ...]:
        os.read(seen[0], 1)  # the parent has written
        before = float(a[0]), float(a[N - 1])
        a[1] = 33
        os.write(wrote[1], b"x")
        inner = child_says(lambda: (a.__setitem__(2, 4), float(a[1]))[1])
        return *before, float(a[2]), inner, float(b.sum())

    pid_reader, pid_writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(pid_writer, pickle.dumps(child()))
        os._exit(0)
    a[0], a[N - 1] = 11, 22
    os.write(seen[1], b"x")
    os.read(wrote[0], 1)
    os.waitpid(pid, 0)
    result = pickle.loads(os.read(pid_reader, 4096))
    assert result == (0, 0, 0, 33, 7 * N)
    assert (a[0], a[1], a[2], a[N - 1]) == (11, 0, 0, 22)
    for fd in (*seen, *wrote, pid_reader, pid_writer):
        os.close(fd)
    # The memory is used again, and seen by others, after the arrays are gone.
    received.clear()
    a = b = None
    gc.collect()
    for value in (1, 2, 3):
        queue.put((np.full(N, value), np.full(N, value)))
        first, second = queue.get()
        assert first.sum() == second.sum() == value * N


def test_a_tensor_and_its_array_stay_one_memory_after_a_fork(ctx: Any) -> None:
    queue = ctx.Queue()
    queue.put(large(1))
    t = queue.get()
    a = t.asnumpy()

    def child() -> tuple[float, ...]:
        a[0] = 5
        t.__iadd__(1)
        return float(t[0]), float(a[0]), float(a[1])

    assert child_says(child) == (6, 6, 2)
    assert (float(t[0]), float(a[0])) == (1, 1)
    t += 2
    assert (a[0], float(t[1])) == (3, 3)
    a = None
    gc.collect()
    queue.put(t)  # the pages are private: a copy is sent
    assert float(queue.get().sum()) == 3 * LARGE


def test_a_child_without_a_slot_has_copies(ctx: Any) -> None:
    queue = ctx.Queue()
    queue.put(np.zeros(N))
    a = queue.get()
    lib.mt_arena_refuse_places(24)
    try:
        assert child_says(lambda: (a.__iadd__(1), float(a.sum()))[1]) == N
    finally:
        lib.mt_arena_refuse_places(0)
    assert a.sum() == 0


# --- faults ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["returns", "is killed"])
def test_a_sender_that_ends_has_delivered(how: str) -> None:
    context = mp.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=targets.puts, args=(queue, np.ones(N), how))
    process.start()
    process.join(60)
    assert queue.get(timeout=60).sum() == N


def test_a_receiver_that_is_killed_leaves_nothing() -> None:
    context = mp.get_context("fork")
    queue, ready = context.Queue(), context.Queue()
    process = context.Process(target=targets.takes_and_is_killed, args=(queue, ready))
    process.start()
    queue.put(np.zeros(N))
    assert ready.get(timeout=60) == 1
    process.join(60)


@pytest.mark.parametrize("steps", range(1, 26, 3))
@pytest.mark.parametrize("side", ["sends", "receives"])
def test_killed_at_any_step(side: str, steps: int) -> None:
    """Of the sender's protocol, or of the receiver's."""
    queue = mp.get_context("fork").Queue()
    message = dumps(np.zeros(N)) if side == "receives" else None
    pid = os.fork()
    if pid == 0:
        lib.mt_arena_signal_after(steps, 9)
        if message is None:
            queue.put(np.zeros(N))
        else:
            pickle.loads(message).__iadd__(1)
        os._exit(0)
    os.waitpid(pid, 0)
    lib.mt_arena_reap()
    if message is not None:
        try:
            assert pickle.loads(message).sum() == 0
        except errors.StaleHandleError:
            pass
    while not queue.empty():
        assert queue.get().sum() == 0
    queue.close()
    del queue
    gc.collect()
    lib.mt_arena_reap()
    assert faults() == ""


class Refuses:
    def __reduce__(self) -> Any:
        raise ZeroDivisionError


def _refuse() -> None:
    raise ZeroDivisionError


class RefusesThere:
    def __reduce__(self) -> Any:
        return _refuse, ()


def test_a_failed_pickle_leaves_nothing(ctx: Any) -> None:
    queue, a = ctx.Queue(), np.zeros(N)
    with pytest.raises(ZeroDivisionError):
        queue.put([a, Refuses()])
    for first in ([RefusesThere(), a], [a, RefusesThere()]):
        queue.put(first)
        with pytest.raises(ZeroDivisionError):
            queue.get()
    assert stats()["in_flight"] == 0


def test_without_room_the_bytes_stay_in_the_message() -> None:
    a = np.arange(N)
    lib.mt_arena_refuse_ways(7)
    try:
        big = np.arange(30_000_000 // 8)  # of a size that no freed block has
        message = dumps(big)
        assert len(message) > big.nbytes
    finally:
        lib.mt_arena_refuse_ways(0)
    assert np.array_equal(pickle.loads(message), big)
    assert np.array_equal(travelled(a), a)


def test_a_programs_own_reducer_is_used() -> None:
    from multiprocessing.reduction import ForkingPickler

    register(np.ndarray, lambda a: (list, ([a.shape],)))
    try:
        assert travelled(np.zeros(N)) == [(N,)]
    finally:
        del ForkingPickler._extra_reducers[np.ndarray]
    assert travelled(np.zeros(N)).shape == (N,)
