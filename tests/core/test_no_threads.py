"""A system that refuses threads: the caller or the waiter of an op runs it, and nothing hangs."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from children import in_child
from races import until

from minitensor import Tensor, config, fork, ops, runtime
from minitensor.backend.core import lib

LIMIT = config.get("MINITENSOR_INLINE_ELEMENTS")  # additions
LARGE = LIMIT + 40_000  # more than what runs at its call


@pytest.fixture
def refused() -> Iterator[None]:
    """Refuse threads; a fork has ended the workers that there were."""
    runtime.synchronize()
    assert in_child(lambda: 1) == "1"
    assert lib.mt_thread_count() == 0
    lib.mt_refuse_threads(-1)
    yield
    lib.mt_refuse_threads(0)
    runtime.synchronize()


def chain(n: int = LARGE) -> float:
    x = Tensor(np.full(n, 2.0))
    y = ops.exp(ops.log(x))
    y += 1
    return round(float((y * x).sum()), 3)


def waiting(gate: threading.Event) -> Tensor:
    """Return a host call that waits for another thread, so that its submitter must not run it."""
    return ops.host_call(lambda: float(gate.wait(60)), [], shape=(), dtype="float32")


pytestmark = pytest.mark.usefixtures("refused")


@pytest.mark.parametrize("n", [1, LIMIT // 64, LIMIT // 64 + 1, LARGE])
def test_values_are_right(n: int) -> None:
    assert chain(n) == 6.0 * n
    a = np.random.default_rng(0).standard_normal((200, 200))
    np.testing.assert_allclose(ops.matmul(Tensor(a), Tensor(a)).asnumpy(), a @ a)
    np.testing.assert_array_equal(ops.sort(Tensor(a))[0].asnumpy(), np.sort(a))
    assert lib.mt_thread_count() == lib.mt_pool_size() == 0


def test_an_op_on_an_idle_stream_is_done_at_its_call() -> None:
    x = Tensor(np.ones(LARGE))
    seen = threading.Event()
    ops.exp(x)
    # it may wait for another thread, so it is left in the queue
    ops.host_call(lambda: float(seen.set() or 0), [], shape=(), dtype="float32")
    assert not seen.is_set()
    assert runtime.current_stream().query() and seen.is_set()


def test_a_queue_is_run_by_who_waits() -> None:
    gate = threading.Event()
    first = waiting(gate)
    x = Tensor(np.ones(LARGE, "f4"))
    y = ops.log(ops.exp(x) * x)
    gate.set()
    assert float(y.sum()) == LARGE and first.item() == 1


def test_across_streams() -> None:
    gate = threading.Event()
    first = waiting(gate)
    x = ops.ones(LARGE) * first
    sides = [runtime.Stream() for _ in range(5)]
    for side in sides:  # each waits for the one before
        with runtime.StreamCtx(side):
            x = x + 1
    gate.set()
    assert float(x.min()) == 6
    for side in sides:
        side.synchronize()


def test_a_worker_waits_for_a_stream_without_one() -> None:
    gate = threading.Event()
    lib.mt_refuse_threads(0)
    side = runtime.Stream()
    with runtime.StreamCtx(side):
        first = ops.exp(ops.zeros(LARGE))
        side.synchronize()  # it has a worker now
    lib.mt_refuse_threads(-1)
    assert lib.mt_thread_count() >= 1
    # on the default stream, which has none unless it served above
    x = ops.ones(LARGE) * waiting(gate)
    with runtime.StreamCtx(side):
        y = x + first
    gate.set()
    assert float(y.max()) == 2


def test_events_and_those_who_only_ask() -> None:
    gate, event, side = threading.Event(), runtime.Event(enable_timing=True), runtime.Stream()
    gate.set()
    waiting(gate)
    event.record()
    side.wait_event(event)
    with runtime.StreamCtx(side):
        x = ops.exp(ops.zeros(LARGE))
    until(event.query)
    until(side.query)
    event.synchronize()
    assert float(x.sum()) == LARGE
    runtime.synchronize()


def test_a_full_queue_is_run_by_the_submitter() -> None:
    gate = threading.Event()
    gate.set()
    try:
        lib.mt_set_queue_bound(4, 2**31)
        first = waiting(gate)
        t = ops.zeros(1) * first
        for _ in range(50):
            t = t + 1
        assert t.item() == 50
    finally:
        lib.mt_set_queue_bound(4096, 2**31)


def test_host_calls_that_compute_wait_and_fail() -> None:
    outer = ops.host_call(
        lambda: float(ops.exp(ops.zeros(LARGE)).sum()), [], shape=(), dtype="float32"
    )
    failed = ops.host_call(lambda: 1 / 0, [], shape=(), dtype="float32", name="bad")
    assert outer.item() == LARGE
    with pytest.raises(ZeroDivisionError, match=r"\[bad\]"):
        failed.item()


def test_from_many_threads() -> None:
    results: list[float] = []
    threads = [threading.Thread(target=lambda: results.append(chain())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [6.0 * LARGE] * 6


def test_forks() -> None:
    gate = threading.Event()
    gate.set()
    value = ops.ones(LARGE) * waiting(gate)  # queued, for the fork to run
    assert in_child(lambda: (float(value.sum()), chain())) == f"({float(LARGE)}, {6.0 * LARGE})"
    assert chain() == 6.0 * LARGE


def test_a_fork_inside_a_host_call_that_others_wait_for() -> None:
    seen: list[str] = []
    t = ops.host_call(
        lambda: float(not seen.append(in_child(chain))), [], shape=(), dtype="float32"
    )
    with runtime.StreamCtx(runtime.Stream()):
        y = ops.ones(LARGE) * t
    assert float(y.sum()) == LARGE and seen == [f"{6.0 * LARGE}"]


def test_a_fork_beside_a_worker_that_runs_the_task_of_another_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C ends the drain: the task stays the parent's, and the fork does not wait for it."""
    lib.mt_refuse_threads(0)
    side, gate, entered = runtime.Stream(), threading.Event(), threading.Event()
    with runtime.StreamCtx(side):
        ops.exp(ops.zeros(LARGE))
    side.synchronize()  # it has a worker now
    lib.mt_refuse_threads(-1)
    first = ops.host_call(
        lambda: float(entered.set() or gate.wait(60)), [], shape=(), dtype="float32"
    )
    with runtime.StreamCtx(side):
        y = first + 1
    assert entered.wait(60)
    with monkeypatch.context() as patch:
        patch.setattr(fork, "interrupted", lambda: True)
        text = in_child(lambda: first.item())
    assert (
        "RuntimeError" in text and "was still being computed when this process was forked" in text
    )
    gate.set()
    assert y.item() == 2


def test_threads_come_back_when_they_can() -> None:
    assert chain() == 6.0 * LARGE and lib.mt_thread_count() == 0
    lib.mt_refuse_threads(0)
    assert chain() == 6.0 * LARGE and lib.mt_thread_count() == 1


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_a_refusal_in_between(n: int) -> None:
    lib.mt_refuse_threads(n)
    assert [chain() for _ in range(10)] == [6.0 * LARGE] * 10


@pytest.mark.skipif(
    sys.platform != "linux" or os.getuid() != 0, reason="takes another user's limit on processes"
)
def test_the_systems_own_refusal() -> None:
    """After a fork that fails, too: an ordinary user at RLIMIT_NPROC."""
    import resource

    def limited() -> object:
        lib.mt_refuse_threads(0)
        before = chain()  # starts threads
        os.setuid(65534)
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        with pytest.raises(BlockingIOError):
            os.fork()
        return before, chain(), [chain() for _ in range(3)], lib.mt_thread_count()

    right = 6.0 * LARGE
    assert in_child(limited) == f"({right}, {right}, {[right] * 3}, 0)"
