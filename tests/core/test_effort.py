"""Which thread runs an op: its submitter up to a bound of work, else a worker or a waiter."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from children import in_child
from queueing import queued
from races import held

from minitensor import Tensor, config, ops, runtime
from minitensor.backend.core import lib
from minitensor.ops._dispatch import host
from minitensor.optable import ARRAY_KERNELS, COSTS, OPS

LIMIT = 6400  # additions
SMALL = LIMIT // 16  # above it, an op is queued if it continues a chain
ARRAY_COSTS = {kernel.name: kernel.cost for kernel in ARRAY_KERNELS}


Prepare = Callable[[int], Callable[[], object]]


@pytest.fixture(autouse=True)
def limit() -> Iterator[None]:
    runtime.synchronize()
    lib.mt_set_inline_limit(LIMIT)
    with runtime.StreamCtx(runtime.Stream()):
        yield
    runtime.synchronize()
    lib.mt_set_inline_limit(config.get("MINITENSOR_INLINE_ELEMENTS"))


def is_queued(call: Callable[[], object]) -> bool:
    """Return whether a call needs a worker: a fork ends all of them before it."""
    assert in_child(lambda: 1) == "1" and lib.mt_thread_count() == 0
    result = call()
    found = lib.mt_thread_count() > 0
    del result
    runtime.synchronize()
    return found


def floats(n: int, dtype: str = "float32") -> Tensor:
    return Tensor(np.linspace(0.5, 1.5, n, dtype=dtype))


def gathered(n: int) -> Callable[[], object]:
    x, index = floats(20 * LIMIT), Tensor(np.arange(n))
    return lambda: x[index]


def product(n: int) -> Callable[[], object]:
    row, column = floats(n).reshape(1, n), floats(n).reshape(n, 1)
    return lambda: ops.matmul(row, column)


def of(function: Callable[[Tensor], object], dtype: str = "float32") -> Prepare:
    """Return a function that makes the call on as many elements as it is told."""

    def prepare(n: int) -> Callable[[], object]:
        x = floats(n, dtype)
        return lambda: function(x)

    return prepare


def in_host(n: int) -> Callable[[], object]:
    x = floats(n)
    return lambda: host("double", lambda a: a * 2, (x,), (n,), x.dtype)


LARGEST: dict[str, tuple[Prepare, int]] = {  # that run at their call, by the call
    "add": (of(lambda x: x + 1), LIMIT),
    "add, float64": (of(lambda x: x + 1, "float64"), LIMIT // 2),
    "exp": (of(ops.exp), LIMIT // COSTS["exp"]),
    "pow": (of(lambda x: x**x), LIMIT // COSTS["pow"]),
    "cast": (of(lambda x: x.astype("float64")), LIMIT // 2),
    "sum": (of(ops.sum), LIMIT),
    "gather": (gathered, LIMIT // ARRAY_COSTS["gather"][1]),
    "sort": (of(ops.sort), LIMIT // ARRAY_COSTS["sort"][0]),
    "product of vectors": (product, (LIMIT - 1) * 4 // 9),
    "in Python": (in_host, LIMIT // 16),
}


@pytest.mark.parametrize("what", LARGEST)
def test_up_to_so_much_work_an_op_runs_at_its_call(what: str) -> None:
    prepare, most = LARGEST[what]
    below, above = prepare(most), prepare(most + 1)
    assert not is_queued(below)
    assert is_queued(above)


def test_what_an_op_reads_of_a_large_tensor_counts() -> None:
    x, rows = floats(20 * LIMIT), Tensor([3, 1, 2])
    assert not is_queued(lambda: x[rows])
    assert not is_queued(lambda: ops.index_select(x.reshape(-1, 4), 0, rows))
    assert not is_queued(lambda: x[5:].any())  # the first element decides


@pytest.mark.parametrize("n", [SMALL, SMALL + 1])
def test_an_op_that_continues_a_chain_is_queued(n: int) -> None:
    x = floats(n)
    first = x + 1
    assert is_queued(lambda: first * 2) == (n > SMALL)
    with queued():
        pass  # the stream is idle
    assert is_queued(lambda: x + 1) == (n > SMALL)  # chains are expected from now on


@pytest.mark.parametrize("look", ["item", "asnumpy", "wait"])
def test_an_op_after_a_look_at_a_value_continues_no_chain(look: str) -> None:
    x = floats(SMALL + 1)
    first = x + 1
    if look == "item":
        assert first[0].item() == 1.5
    elif look == "asnumpy":
        assert first.asnumpy()[0] == 1.5
    else:
        runtime.synchronize()
        lib.mt_wait(first._ref, 0)
    assert not is_queued(lambda: x * 2)


def test_without_fusion_there_are_no_chains() -> None:
    x = floats(SMALL + 1)
    lib.mt_set_fusion(0)
    try:
        first = x + 1
        assert not is_queued(lambda: first * 2)
    finally:
        lib.mt_set_fusion(1)


def test_single_ops_end_the_expectation_of_chains() -> None:
    x = floats(SMALL + 1)
    first = x + 1
    assert is_queued(lambda: first * 2)
    for _ in range(20):
        (x + 1).asnumpy()
    assert not is_queued(lambda: x + 1)


def test_a_waiter_takes_no_work_that_follows_a_task_not_yet_counted_done() -> None:
    """Or the stream would count the earlier task as its last one, and never be idle again."""
    lib.mt_set_inline_limit(0)
    x = floats(100)
    with held(lib.MT_POINT_RUN) as worker:
        first = x + 1
        worker.wait()  # it has run the task, and announced nothing
        second = x * 2
        assert lib.mt_wait(second._ref, 20) == lib.MT_TIMEOUT
        worker.go()
    np.testing.assert_array_equal(second.asnumpy(), x.asnumpy() * 2)
    np.testing.assert_array_equal(first.asnumpy(), x.asnumpy() + 1)
    assert runtime.current_stream().query()


def test_waiters_and_a_worker_share_a_queue() -> None:
    lib.mt_set_inline_limit(0)
    stream, results = runtime.current_stream(), []
    start = threading.Barrier(4)

    def use(k: int) -> None:
        with runtime.StreamCtx(stream):
            x = floats(50) * 0 + k
            start.wait(30)
            for i in range(50):
                y = (x + i) * 2
                results.append(float(y.sum()) == 100 * (k + i) and y[7].item() == 2 * (k + i))

    threads = [threading.Thread(target=use, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [True] * 200
    stream.synchronize()
    assert stream.query()


def test_costs_name_ops() -> None:
    assert COSTS.keys() <= OPS.keys()
    assert all(0 < cost < 256 for cost in COSTS.values())
    assert all(0 <= cost < 256 for costs in ARRAY_COSTS.values() for cost in costs)


@pytest.mark.parametrize("exponent", [2, 3, -1, 0.5, -0.5, 2.5, 4, 1.5])
def test_a_simple_power_is_as_cheap_as_an_addition(exponent: float) -> None:
    simple = exponent in (2, 3, -1, 0.5, -0.5)
    x, y = floats(LIMIT), floats(LIMIT + 1)
    assert is_queued(lambda: x**exponent) == (not simple)
    assert is_queued(lambda: y**exponent)
