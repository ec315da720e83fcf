"""Streams, events, waiting and memory.  Events of `threading` force races; nothing is timed."""

from __future__ import annotations

import contextlib
import gc
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from children import in_child

from minitensor import Tensor, float32, ops, runtime
from minitensor.backend import core
from minitensor.backend.core import lib
from minitensor.tensor import empty


class Gate:
    """A host call that waits until the test opens the gate."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()

    def call(self, t: Tensor) -> Tensor:
        def wait(a: np.ndarray) -> np.ndarray:
            self.entered.set()
            assert self.open.wait(60)
            return a + 1

        return ops.host_call(wait, [t], shape=t.shape, dtype=t.dtype, name="gated")


@pytest.fixture
def gate() -> Iterator[Gate]:
    result = Gate()
    yield result
    result.open.set()
    runtime.synchronize()


def test_submission_returns_before_the_work_is_done(gate: Gate) -> None:
    t = gate.call(Tensor([1.0]))
    later = t * 2  # queued behind a task that can't end before the next line
    assert not runtime.current_stream().query()
    gate.open.set()
    assert later.tolist() == [4.0]
    runtime.synchronize()
    assert runtime.current_stream().query()


def test_streams_run_side_by_side(gate: Gate) -> None:
    blocked = gate.call(Tensor([1.0]))
    side = runtime.Stream()
    with runtime.StreamCtx(side):
        beside = ops.host_call(lambda a: a * 3, [Tensor([2.0])], shape=1, dtype="float32")
        assert runtime.current_stream() == side
    assert beside.tolist() == [6.0]
    assert not runtime.default_stream().query()
    gate.open.set()
    assert blocked.tolist() == [2.0]


def test_data_orders_streams_by_itself(gate: Gate) -> None:
    t = gate.call(Tensor([1.0]))
    with runtime.StreamCtx(runtime.Stream()):
        doubled = t * 2  # on another stream, of a value that is still to come
        t += 10  # and written to behind that
    again = t + 0
    gate.open.set()
    assert (doubled.tolist(), again.tolist()) == ([4.0], [12.0])


def test_events_order_streams(gate: Gate) -> None:
    order: list[str] = []
    t = Tensor([0.0])

    def note(name: str) -> Tensor:
        return ops.host_call(lambda a: order.append(name) or a, [t], shape=1, dtype="float32")

    event = runtime.Event()
    side = runtime.Stream()
    gate.call(Tensor([1.0]))
    note("first")
    event.record()
    assert not event.query()
    side.wait_event(event)
    with runtime.StreamCtx(side):
        last = note("second")
    assert order == []
    gate.open.set()
    last.asnumpy()
    event.synchronize()
    assert event.query() and order == ["first", "second"]
    third = runtime.Stream()
    third.wait_stream(side)
    third.synchronize()


def test_timing() -> None:
    begin, end = runtime.Event(enable_timing=True), runtime.Event(enable_timing=True)
    with pytest.raises(RuntimeError, match="not recorded"):
        begin.elapsed_time(end)
    begin.record()
    t = ops.host_call(lambda a: a, [Tensor([1.0])], shape=1, dtype="float32")
    end.record()
    end.synchronize()
    assert begin.elapsed_time(end) >= 0 and t.tolist() == [1.0]
    with pytest.raises(RuntimeError, match="records no time"):
        begin.elapsed_time(runtime.Event())


def test_an_event_never_recorded_holds_nobody_up() -> None:
    event = runtime.Event()
    event.synchronize()
    event.wait()
    assert event.query() and (Tensor([1.0]) + 1).tolist() == [2.0]


def test_the_current_stream_is_the_threads_own() -> None:
    seen: list[Any] = []
    side = runtime.Stream()
    with runtime.StreamCtx(side):
        thread = threading.Thread(target=lambda: seen.append(runtime.current_stream()))
        thread.start()
        thread.join()
        with runtime.StreamCtx(None):
            assert runtime.current_stream() == side
    assert seen == [runtime.default_stream()] != [side]
    with pytest.raises(TypeError, match=r"^\[set_cur_stream\]"):
        runtime.set_cur_stream(3)  # type: ignore[arg-type]


def test_streams_are_used_again() -> None:
    before = lib.mt_stream_count()
    for _ in range(50):
        with runtime.StreamCtx(runtime.Stream()):
            t = ops.host_call(lambda a: a, [Tensor([1.0])], shape=1, dtype="float32")
        t.asnumpy()
        runtime.synchronize()
    assert lib.mt_stream_count() <= before + 3


def test_an_error_is_told_once_and_to_those_who_depend_on_it() -> None:
    def fail(a: np.ndarray) -> np.ndarray:
        raise OSError("no such thing")

    failed = ops.host_call(fail, [Tensor([1.0])], shape=1, dtype="float32", name="lookup")
    depends, other = failed + 1, Tensor([1.0]) + 1
    with pytest.raises(
        OSError, match=r"^\[lookup\] no such thing \(issued at .*test_runtime.py:\d+\)$"
    ) as caught:
        runtime.synchronize()
    assert isinstance(caught.value.__cause__, OSError)
    runtime.synchronize()  # told once
    for t in (failed, depends, depends):
        with pytest.raises(OSError, match=r"^\[lookup\]"):
            t.asnumpy()
    assert other.tolist() == [2.0]


def test_an_error_keeps_no_array_of_the_memory_that_its_task_had() -> None:
    def fail(a: np.ndarray) -> np.ndarray:
        kept = a[:1]
        raise OSError(len(kept))

    with pytest.raises(OSError) as caught:
        ops.host_call(fail, [Tensor([1.0])], shape=1, dtype="float32").asnumpy()
    step = caught.value.__cause__.__traceback__  # type: ignore[union-attr]
    names = []
    while step is not None:
        names.append(step.tb_frame.f_code.co_name)
        assert not any(isinstance(value, np.ndarray) for value in step.tb_frame.f_locals.values())
        step = step.tb_next
    assert names[-1] == "fail"


def test_an_error_that_was_read_is_not_told_again() -> None:
    failed = Tensor([1]) // Tensor([0])
    with pytest.raises(ZeroDivisionError):
        failed.asnumpy()
    runtime.synchronize()


def test_ops_inside_a_host_call_run_on_the_spot() -> None:
    def inside(a: np.ndarray) -> np.ndarray:
        return ops.exp(Tensor(a) * 0).asnumpy() + 1

    assert ops.host_call(inside, [Tensor([5.0])], shape=1, dtype="float32").tolist() == [2.0]


def test_a_host_call_that_waits_for_what_comes_after_it_is_told_so(gate: Gate) -> None:
    later: list[Tensor] = []

    def inside(a: np.ndarray) -> np.ndarray:
        assert gate.open.wait(60)
        return later[0].asnumpy()

    t = ops.host_call(inside, [Tensor([5.0])], shape=1, dtype="float32")
    later.append(t + 1)
    gate.open.set()
    with pytest.raises(
        RuntimeError, match="can't wait for a value that its own stream comes to after it"
    ):
        t.asnumpy()


def done_by_the_waiter(function: Callable[[], object], wait: Callable[[Tensor], object]) -> None:
    """Queue host calls and wait for each, until this thread has run one.

    The worker may be first at a call; a test cannot force that order.
    """
    here = threading.get_ident()
    for _ in range(5000):
        seen = []

        def run(task: Any, seen: list[int] = seen) -> None:
            seen.append(threading.get_ident())
            task.outputs[0][...] = 1
            if seen[0] == here:
                function()

        t = empty((20_000,), float32)  # more than what runs at its call
        core.host_task("probe", t._device_id, run, [], [t._ref], steps=1000)
        wait(t)
        assert len(seen) == 1 and t.asnumpy().all()
        if seen[0] == here:
            return
    raise AssertionError("a worker was always there first")


def test_who_waits_for_a_short_host_call_does_it_when_nobody_has_begun() -> None:
    done_by_the_waiter(lambda: None, lambda t: core.wait(t._ref))
    done_by_the_waiter(lambda: None, lambda t: runtime.synchronize())
    done_by_the_waiter(lambda: ops.log(Tensor([1.0])).asnumpy(), lambda t: core.wait(t._ref))
    inside = []
    done_by_the_waiter(
        lambda: inside.append(in_child(lambda: (ops.exp(Tensor([0.0])) + 1).item())),
        lambda t: core.wait(t._ref),
    )
    assert inside == ["2.0"]
    assert runtime.current_stream().query()


def test_what_goes_wrong_in_the_thread_that_waits() -> None:
    def fail(error: BaseException) -> Callable[[], object]:
        def function() -> None:
            raise error

        return function

    with pytest.raises(ValueError, match=r"\[probe\] nothing fits"):
        done_by_the_waiter(fail(ValueError("nothing fits")), lambda t: core.wait(t._ref))
    for wait in (lambda t: core.wait(t._ref), lambda t: runtime.synchronize()):
        with pytest.raises(KeyboardInterrupt):
            done_by_the_waiter(fail(KeyboardInterrupt()), wait)
        with contextlib.suppress(KeyboardInterrupt):  # the stream's record of it
            runtime.synchronize()
        assert (Tensor([1.0]) + 1).item() == 2 and ops.inverse(Tensor(np.eye(200))).asnumpy()[
            3, 3
        ] == 1


def test_a_full_queue_makes_the_submitter_wait(gate: Gate) -> None:
    try:
        lib.mt_set_queue_bound(4, 2**31)
        gate.call(Tensor([1.0]))
        t = Tensor([1.0])
        submitted: list[int] = []
        three = threading.Event()

        def submit() -> None:
            nonlocal t
            for i in range(8):
                t = t + 1
                submitted.append(i)
                if i == 2:
                    three.set()

        assert gate.entered.wait(60)
        thread = threading.Thread(target=submit)
        thread.start()
        assert three.wait(60)
        thread.join(0.2)
        assert thread.is_alive() and len(submitted) == 3  # one runs, three wait, the fourth has to
        gate.open.set()
        thread.join()
        assert t.tolist() == [9.0]
    finally:
        lib.mt_set_queue_bound(4096, 2**31)


def test_memory_is_counted() -> None:
    gc.collect()  # errors of tests before hold tensors in cycles
    runtime.synchronize()
    runtime.empty_cache()
    before = runtime.memory_stats()
    t = ops.zeros(2_000_000)
    assert runtime.memory_allocated() >= before["total_allocated_memory"] + t.nbytes
    runtime.reset_peak_memory_stats()
    top = runtime.max_memory_allocated()
    del t
    runtime.synchronize()  # the work that fills it holds it, too
    assert (
        runtime.memory_allocated() == before["total_allocated_memory"]
        and runtime.max_memory_allocated() == top
    )
    assert runtime.memory_reserved() >= before["total_reserved_memory"] + 8_000_000
    assert runtime.empty_cache() >= 8_000_000
    assert runtime.memory_reserved() == runtime.memory_allocated()
    assert runtime.memory_stats("Ascend").keys() == before.keys()


def test_freed_blocks_are_used_again() -> None:
    first = ops.zeros(100_000)
    address = lib.mt_data(first._ref)
    runtime.synchronize()
    del first
    second = ops.zeros(100_000)
    assert lib.mt_data(second._ref) == address


def test_temporaries_of_queued_work_live_until_it_is_done(gate: Gate) -> None:
    t = gate.call(Tensor(np.ones(1000, np.float32)))
    for _ in range(100):
        t = t + Tensor(np.ones(1000, np.float32))
    gate.open.set()
    assert t.asnumpy().min() == t.asnumpy().max() == 102
    assert t.dtype is float32


def test_a_thread_that_ends_leaves_its_work_to_be_done(gate: Gate) -> None:
    results: list[Tensor] = []
    thread = threading.Thread(target=lambda: results.append(gate.call(Tensor([1.0])) * 2))
    thread.start()
    thread.join()
    gate.open.set()
    assert results[0].tolist() == [4.0] and os.getpid() > 0


# --- errors pile up nowhere -----------------------------------------------------------------------
def failing(zero: Tensor) -> Tensor:
    return Tensor([1]) // zero


@pytest.mark.parametrize("n", [1, 10, 11, 5000])
def test_errors_that_were_read_leave_nothing_behind(n: int) -> None:
    runtime.synchronize()
    zero, before = Tensor([0]), lib.mt_error_count()
    for _ in range(n):
        with pytest.raises(ZeroDivisionError):
            failing(zero).item()
    gc.collect()
    # the last one may still be in the frame of what was caught
    assert lib.mt_error_count() <= before + 1
    runtime.synchronize()


def told() -> list[str]:
    """Return what `synchronize` raises until it returns."""
    texts = []
    while True:
        try:
            runtime.synchronize()
        except Exception as error:
            texts.append(f"{error}")
        else:
            return texts


KEPT = lib.MT_ERRORS_KEPT


@pytest.mark.parametrize("n", [1, KEPT, KEPT + 1, 5000])
def test_of_errors_that_nobody_reads_the_first_are_kept_and_the_number_of_the_others(
    n: int,
) -> None:
    runtime.synchronize()
    zero, before = Tensor([0]), lib.mt_error_count()
    for _ in range(n):
        failing(zero)
    assert lib.mt_error_count() - before == min(n, KEPT)
    texts = told()
    assert len(texts) == min(n, KEPT + 1)
    assert all(text.startswith("[floor_divide]") for text in texts[:KEPT])
    if n > KEPT:
        assert texts[-1].startswith(f"[synchronize] {n - KEPT} more ops of this stream have failed")
    assert lib.mt_error_count() == before
    runtime.synchronize()


def read(t: Tensor) -> None:
    with pytest.raises(ZeroDivisionError):
        t.asnumpy()


def test_errors_leave_the_account_in_any_order() -> None:
    zero = Tensor([0])
    failed = [failing(zero) for _ in range(KEPT + 5)]
    # the first, the last and one in the middle of those kept, and two that are counted
    for i in (0, KEPT - 1, 4, KEPT, KEPT + 3):
        read(failed[i])
        read(failed[i])
    assert [text.partition("]")[0] for text in told()] == ["[floor_divide"] * (KEPT - 3) + [
        "[synchronize"
    ]
    failed += [failing(zero) for _ in range(KEPT + 5)]
    for t in failed[: KEPT + 5]:  # told already: they count no more
        read(t)
    texts = told()
    assert len(texts) == KEPT + 1 and texts[-1].startswith("[synchronize] 5 more ops")
    for t in failed:
        read(t)
    assert told() == []


def test_errors_of_several_threads_and_streams() -> None:
    def work() -> None:
        zero = Tensor([0])
        with runtime.StreamCtx(runtime.Stream()):
            for i in range(300):
                t = failing(zero)
                if i % 3:
                    read(t)

    before = len(told())
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    texts = told()
    more = sum(int(text.split()[1]) for text in texts if text.startswith("[synchronize]"))
    assert before == 0 and len([text for text in texts if text.startswith("[floor")]) + more == 400
    assert told() == []


def test_an_error_in_the_account_of_the_parent_is_none_in_the_child() -> None:
    failed = [failing(Tensor([0])) for _ in range(KEPT + 5)]

    def in_the_child() -> object:
        first = len(told())
        read(failed[0]), read(failed[-1])
        failing(Tensor([0]))
        return first, len(told())

    assert in_child(in_the_child) == "(0, 1)"
    assert len(told()) == KEPT + 1
