"""Tensors between processes are values; `share_memory_` makes memory that all processes write."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import gc
import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import sharing_targets as targets
from family import LARGE, large, stats

import minitensor as mt
import minitensor.multiprocessing as mp
from minitensor import Tensor, ops
from minitensor.backend.core import lib
from minitensor.multiprocessing.reductions import dumps


@pytest.fixture
def echo(ctx: Any) -> Iterator[Callable[..., Any]]:
    """Call a function of targets in another process, with tensors as arguments and result."""
    questions, answers = ctx.Queue(), ctx.Queue()
    process = ctx.Process(target=targets.serve, args=(questions, answers))
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


# --- values ---------------------------------------------------------------------------------------
def test_a_value_is_the_one_at_the_put(ctx: Any) -> None:
    queue = ctx.Queue()
    t = large(1)
    queue.put(t)
    t += 1
    assert float(queue.get()[0]) == 1 and float(t[0]) == 2


def test_what_the_receiver_writes_is_its_own(echo: Callable[..., Any]) -> None:
    t = large(1)
    assert float(echo(targets.add_in_place, t, 5)[0]) == 6
    assert float(t[0]) == 1


def test_all_views_of_a_storage_move_together(ctx: Any) -> None:
    queue = ctx.Queue()
    t = large(1)
    view = t[10:20]
    queue.put(t)
    view += 1  # a copy of the storage, which t sees, too
    assert float(t[15]) == 2 and float(queue.get()[15]) == 1
    t[0] = 7
    assert float(t[0]) == 7


def test_a_tensor_that_comes_back_is_another_one(echo: Callable[..., Any]) -> None:
    t = large(3)
    u = echo(targets.same, t)
    u += 1
    assert (float(t[0]), float(u[0])) == (3, 4)
    t += 2
    assert (float(t[0]), float(u[0])) == (5, 4)


def test_no_bytes_are_copied_after_the_first_journey(echo: Callable[..., Any]) -> None:
    t = large()
    u = echo(targets.same, t)
    blocks = stats()["blocks"]
    for _ in range(5):
        u = echo(targets.same, u)
    assert stats()["blocks"] == blocks and float(u.sum()) == LARGE
    assert np.asarray(t).ctypes.data == np.asarray(u).ctypes.data  # the very same bytes


def test_a_slice_ships_its_extent(ctx: Any) -> None:
    queue = ctx.Queue()
    whole = Tensor(np.arange(1_000_000, dtype=np.float32))
    before = stats()["bytes"]
    queue.put(whole[:10_000])
    assert stats()["bytes"] - before < 100_000
    assert queue.get().tolist() == list(range(10_000))


def test_a_small_slice_does_not_keep_a_large_storage(ctx: Any) -> None:
    queue = ctx.Queue()
    whole = Tensor(np.arange(1_000_000, dtype=np.float32))
    queue.put(whole)
    queue.get()
    before = stats()["bytes"]
    queue.put(whole[5:1000])
    part = queue.get()
    del whole
    assert stats()["bytes"] < before - 3_000_000 and part.tolist() == list(range(5, 1000))


@pytest.mark.parametrize("n", [100, 1_000_000])
def test_aliasing_is_kept_inside_a_message(echo: Callable[..., Any], n: int) -> None:
    t = Tensor(np.zeros(n, np.float32))
    for views in ((t, t[10:30]), (t[10:30], t), (t[10:30], t[20:40]), (t[20:40], t[10:30], t[:22])):
        assert echo(targets.write_through_the_first, list(views)) == [True] * (len(views) - 1)
    assert float(t.sum()) == 0


def test_messages_are_apart(ctx: Any) -> None:
    queue = ctx.Queue()
    t = large()
    queue.put(t)
    queue.put(t)
    a, b = queue.get(), queue.get()
    a += 1
    assert (float(a[0]), float(b[0]), float(t[0])) == (2, 1, 1)


def test_arrays_for_reading_of_what_others_may_hold_are_read_only(
    echo: Callable[..., Any],
) -> None:
    t = large()
    received = echo(targets.same, t)
    array = np.asarray(received)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 5
    received += 1  # the array keeps the memory that it has
    assert (array[0], float(received[0])) == (1, 2)
    assert received.__buffer__(0).readonly and received.asnumpy().flags.writeable


def test_an_array_handed_out_earlier_keeps_its_memory(ctx: Any) -> None:
    queue = ctx.Queue()
    t = large()
    array = t.asnumpy()
    queue.put(t)
    array[0] = 5  # still the tensor's memory, and no longer the message's
    assert (float(t[0]), float(queue.get()[0])) == (5, 1)
    shared = np.ones(LARGE, np.float32)
    queue.put(Tensor.from_numpy(shared))
    shared[0] = 7
    assert float(queue.get()[0]) == 1


@dataclasses.dataclass
class Batch:
    x: Tensor
    more: dict[str, list[Tensor]]


def test_in_containers_of_all_kinds(ctx: Any) -> None:
    queue = ctx.Queue()
    queue.put(Batch(large(1), {"a": [large(2), Tensor(3.0)], "b": []}))
    batch = queue.get()
    assert [float(t.sum()) for t in (batch.x, *batch.more["a"])] == [LARGE, 2 * LARGE, 3]


@pytest.mark.parametrize(
    "dtype",
    [
        "bool_", "int8", "uint16", "int64", "float16", "bfloat16", "float32", "float64",
        "complex64", "complex128",
    ],
)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (300, 200)])
def test_every_dtype_and_shape(dtype: str, shape: tuple[int, ...]) -> None:
    t = ops.ones(shape, getattr(mt, dtype))
    u = pickle.loads(dumps(t))
    assert (u.shape, u.dtype) == (t.shape, t.dtype) and bool((u == t).all())
    v = pickle.loads(dumps(t.T if t.ndim == 2 else t))
    assert v.shape == (t.shape[::-1] if t.ndim == 2 else t.shape)


def test_strided_and_reversed_views(echo: Callable[..., Any]) -> None:
    t = Tensor(np.arange(600_00, dtype=np.int32).reshape(200, 300))
    for view in (t[::-1, ::3], t.T[5:, ::-2], t[3], t[:, 7]):
        assert np.array_equal(echo(targets.same, view).asnumpy(), view.asnumpy())


# --- ways -----------------------------------------------------------------------------------------
def test_every_way(ctx: Any) -> None:
    t = large(2)
    simple = ctx.SimpleQueue()
    simple.put(t)
    assert float(simple.get().sum()) == 2 * LARGE
    ours, theirs = ctx.Pipe()
    theirs.send(t)
    assert float(ours.recv().sum()) == 2 * LARGE
    with ctx.Pool(2) as pool:
        assert [float(r.sum()) for r in pool.map(targets.double, [t, large(3)])] == [
            4 * LARGE,
            6 * LARGE,
        ]
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=ctx) as executor:
        assert float(executor.submit(targets.double, t).result(60).sum()) == 4 * LARGE
    with ctx.Manager() as manager:
        shared = manager.list([t])
        assert float(shared[0].sum()) == 2 * LARGE
    process = ctx.Process(target=targets.exits_with_the_first, args=(t,))
    process.start()
    process.join(60)
    assert process.exitcode == 2


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_the_standard_packages_ways(method: str) -> None:
    context = multiprocessing.get_context(method)
    queue, answers = context.Queue(), context.Queue()
    process = context.Process(target=targets.serve, args=(queue, answers))
    process.start()
    t = large(2)
    queue.put((targets.double, (t,)))
    assert float(answers.get(timeout=60).sum()) == 4 * LARGE
    queue.put(None)
    process.join(60)
    assert process.exitcode == 0


def test_results_of_workers_are_read_where_they_lie(ctx: Any) -> None:
    with ctx.Pool(1) as pool:
        before = stats()["copied"]
        result = pool.apply(targets.make, (1_000_000,))
        assert float(result.sum()) == 1_000_000
        assert lib.mt_in_arena(result._ref) and stats()["copied"] == before


def test_plain_pickle_copies() -> None:
    t = large()
    data = pickle.dumps(t)
    assert len(data) > 4 * LARGE and not lib.mt_in_arena(t._ref)
    assert float(pickle.loads(data).sum()) == LARGE


# --- memory for everyone --------------------------------------------------------------------------
def test_shared_memory_is_written_by_all(echo: Callable[..., Any]) -> None:
    t = Tensor([0.0, 0.0]).share_memory_()
    view = t[1:]
    assert t.is_shared() and view.is_shared() and not large().is_shared()
    echo(targets.add_in_place, t, 5)
    assert t.tolist() == [5, 5]
    view += 1
    assert echo(targets.same, t).tolist() == [5, 6]
    t.asnumpy()[0] = 9
    assert echo(targets.total, t) == 15


def test_sharing_what_was_sent_before_leaves_the_others_their_value(
    echo: Callable[..., Any],
) -> None:
    t = large(1)
    other = echo(targets.same, t)
    t.share_memory_()
    t += 1
    assert (float(other[0]), float(t[0])) == (1, 2)


def test_what_an_array_looks_at_cant_be_shared() -> None:
    t = large()
    array = t.asnumpy()
    with pytest.raises(ValueError, match=r"^\[share_memory_\] a NumPy array views the memory"):
        t.share_memory_()
    del array
    gc.collect()
    assert t.share_memory_().is_shared()


# --- forks ----------------------------------------------------------------------------------------
def test_a_fork_takes_the_references_along() -> None:
    context = mp.get_context("fork")
    sent, answers = context.Queue(), context.SimpleQueue()
    t = large(1)
    sent.put(t)
    received = [sent.get()]
    process = context.Process(
        target=lambda: (received[0].__iadd__(1), answers.put((float(received[0][0]), float(t[0]))))
    )
    process.start()
    received.clear()
    gc.collect()
    assert answers.get() == (2, 1)
    process.join(60)
    assert process.exitcode == 0 and float(t[0]) == 1


def test_an_array_outlives_its_tensor(echo: Callable[..., Any]) -> None:
    t = echo(targets.same, large(3))
    array = t.asnumpy()
    del t
    gc.collect()
    assert array.sum() == 3 * LARGE
