"""`ProcessPoolExecutor`: the standard executor's ways, and a worker's death that stays its own."""

from __future__ import annotations

import concurrent.futures
import os
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pool_targets as targets
import pytest

import minitensor.multiprocessing as mp


def test_a_worker_that_dies_fails_one_future(ctx: Any) -> None:
    with mp.ProcessPoolExecutor(2, ctx) as executor:
        things = [0, 1, targets.killed, 3, 4, targets.leaves, 6]
        futures = [executor.submit(targets.fault_or_value, thing) for thing in things]
        for thing, future in zip(things, futures):
            if callable(thing):
                with pytest.raises(BrokenProcessPool) as caught:
                    future.result()
                assert isinstance(caught.value, mp.WorkerLostError)
            else:
                assert future.result() == thing
        assert [*executor.map(abs, range(-20, 0), chunksize=3)] == [*range(20, 0, -1)]
        with pytest.raises(LookupError, match="no") as error:
            executor.submit(targets.fail, "no").result()
        assert "a call of fail" in str(error.value.__cause__)


@pytest.fixture
def executor() -> Any:
    with mp.ProcessPoolExecutor(2, mp.get_context("fork")) as executor:
        yield executor


def test_map(executor: Any) -> None:
    assert [*executor.map(pow, [2, 3, 4], [3, 2])] == [8, 9]
    assert [*executor.map(pow, range(7), range(7), chunksize=2)] == [n**n for n in range(7)]
    assert [*executor.map(abs, [])] == []
    with pytest.raises(ValueError, match="chunksize"):
        executor.map(abs, [1], chunksize=0)
    with pytest.raises(LookupError):
        list(executor.map(targets.fail, ["no", "no"], chunksize=2))


@pytest.mark.parametrize("chunksize", [1, 2])
def test_map_with_a_timeout(executor: Any, chunksize: int) -> None:
    event = mp.get_context("fork").Event()
    with mp.ProcessPoolExecutor(1, mp.get_context("fork"), initializer=set_event,
                                initargs=(event,)) as one:  # fmt: skip
        results = one.map(wait_for_event, range(3), timeout=0.05, chunksize=chunksize)
        with pytest.raises(concurrent.futures.TimeoutError):
            next(results)
        event.set()


_event: Any = None


def set_event(event: Any) -> None:
    global _event
    _event = event


def wait_for_event(value: int) -> int:
    _event.wait(60)
    return value


def test_futures_that_wait_can_be_cancelled() -> None:
    event = mp.get_context("fork").Event()
    executor = mp.ProcessPoolExecutor(1, mp.get_context("fork"), set_event, (event,))
    futures = [executor.submit(wait_for_event, n) for n in range(40)]
    assert futures[-1].cancel()
    executor.shutdown(wait=False, cancel_futures=True)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(abs, 1)
    event.set()
    executor.shutdown()
    states = {future.cancelled() for future in futures[20:]}
    assert states == {True}
    for n, future in enumerate(futures):
        if future.cancelled():
            with pytest.raises(CancelledError):
                future.result(0)
        else:
            assert future.result(0) == n


def test_shutdown_waits_for_what_was_submitted(executor: Any) -> None:
    futures = [executor.submit(abs, -n) for n in range(50)]
    executor.shutdown(wait=True)
    assert [future.result(0) for future in futures] == [*range(50)]


def test_an_initializer_that_fails() -> None:
    with mp.ProcessPoolExecutor(2, mp.get_context("fork"), targets.fail, ("no",)) as executor:
        futures = [executor.submit(abs, n) for n in range(9)]
        for future in futures:
            with pytest.raises(mp.InitializerError, match="LookupError: no"):
                future.result()
        with pytest.raises(BrokenProcessPool):
            executor.submit(abs, 1)


def test_workers_are_replaced_after_their_tasks() -> None:
    with mp.ProcessPoolExecutor(
        1, mp.get_context("fork"), max_tasks_per_child=2, task_timeout=60
    ) as executor:
        pids = [executor.submit(os.getpid).result() for _ in range(6)]
    assert len({*pids}) == 3 and all(pids[n] == pids[n + 1] for n in (0, 2, 4))


def test_a_task_that_takes_too_long() -> None:
    with mp.ProcessPoolExecutor(1, mp.get_context("fork"), task_timeout=0.2) as executor:
        stopped, after = executor.submit(targets.stop), executor.submit(abs, -1)
        with pytest.raises(mp.TaskTimeoutError):
            stopped.result()
        assert after.result() == 1


def test_workers_start_as_tasks_need_them(executor: Any) -> None:
    assert executor._engine.processes == []
    assert executor.submit(abs, -1).result() == 1
    assert len(executor._engine.processes) == 1


def test_what_is_no_number_of_workers() -> None:
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="max_workers"):
            mp.ProcessPoolExecutor(wrong)
        with pytest.raises(ValueError, match="max_tasks"):
            mp.ProcessPoolExecutor(1, max_tasks_per_child=wrong)
    with pytest.raises(TypeError, match="max_tasks"):
        mp.ProcessPoolExecutor(1, max_tasks_per_child=1.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="initializer"):
        mp.ProcessPoolExecutor(1, initializer=1)  # type: ignore[arg-type]


def test_a_forked_child_is_told_to_make_its_own(executor: Any) -> None:
    from children import in_child

    assert executor.submit(abs, -1).result() == 1
    assert "make one in each process" in in_child(lambda: executor.submit(abs, 1))
