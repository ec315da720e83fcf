"""Workers that die, stop and fail: each fault is its task's, and the pool goes on."""

from __future__ import annotations

import contextlib
import os
import signal
from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError
from types import SimpleNamespace
from typing import Any

import pool_targets as targets
import pytest
from races import until

import minitensor.multiprocessing as mp
from minitensor.multiprocessing import engine, handles

NAMES = list(targets.FAULTS)


@pytest.fixture(scope="module", params=mp.get_all_start_methods())
def pool(request: pytest.FixtureRequest) -> Iterator[Any]:
    """One pool for all faults: what one leaves behind, the next one meets."""
    with mp.get_context(request.param).Pool(2) as pool:
        yield pool


def is_whole(pool: Any) -> None:
    """Check that the pool has its workers, and that each answers."""
    assert pool.map(abs, range(-9, 0)) == list(range(9, 0, -1))
    until(lambda: is_manned(pool))  # a worker that was killed may not have been replaced yet


def is_manned(pool: Any) -> bool:
    return len(pool._pool) == 2 and all(worker.is_alive() for worker in [*pool._pool])


def test_tasks_are_taken_back_by_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker reads a task between two reads of the engine."""

    class Numbered(engine.Task):
        def __init__(self, number: int) -> None:
            super().__init__(abs, (number,))
            self.number = number

    messages = [SimpleNamespace(number=n, drop=lambda: None) for n in (1, 3)]
    monkeypatch.setattr(
        engine.task_pipe, "read", lambda reader: messages.pop(0) if messages else None
    )
    listed: list[Any] = []
    of_engine = SimpleNamespace(
        _back=deque(), _waiting=deque([Numbered(9)]), _list=listed.append
    )
    worker = handles.Worker(0)
    try:
        worker.has.extend(map(Numbered, range(5)))
        worker.given = 5
        engine.Engine._take_back(of_engine, worker)  # type: ignore[arg-type]
        assert [task.number for task in worker.has] == [0, 2, 4]
        assert [task.number for task in of_engine._waiting] == [1, 3, 9]
        assert listed == [worker]
        assert worker.given == 3 and worker.take(2).number == 2
        assert worker.take(engine.task_pipe.UNREADABLE).number == 0
    finally:
        worker.close()
        for end in worker.theirs:
            end.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_fault_fails_its_task_and_no_other(pool: Any, name: str) -> None:
    fault, code = targets.FAULTS[name]
    things = [0, 1, 2, fault, 4, 5, 6, 7]
    results, values = pool.imap(targets.fault_or_value, things), []
    for thing in things:
        if thing is not fault:
            values.append(next(results))
            continue
        with pytest.raises(mp.WorkerLostError, match="while it ran task 3 of imap") as caught:
            next(results)
        error = caught.value
        assert (error.exitcode, error.task) == (code, "task 3 of imap(fault_or_value)")
        assert str(error.pid) in str(error)
        if name == "sys.exit":
            assert error.last_words == "my last words"
    assert values == [0, 1, 2, 4, 5, 6, 7]
    is_whole(pool)


def test_each_way_to_call_has_its_error(pool: Any) -> None:
    fault = targets.leaves
    seen: list[object] = []
    with pytest.raises(mp.WorkerLostError, match="apply"):
        pool.apply(fault)
    with pytest.raises(mp.WorkerLostError, match="starmap"):
        pool.starmap(targets.fault_or_value, [(1,), (fault,)], chunksize=1)
    pool.apply_async(fault, error_callback=seen.append).wait()
    assert isinstance(seen[0], mp.WorkerLostError)
    values, lost = [], 0
    results = pool.imap_unordered(targets.fault_or_value, iter([1, fault, 2]))
    for _ in range(3):
        try:
            values.append(next(results))
        except mp.WorkerLostError:
            lost += 1
    assert (sorted(values), lost) == ([1, 2], 1)
    is_whole(pool)


def test_no_task_runs_twice(pool: Any, tmp_path: Any) -> None:
    """Tasks in advance wait behind the fault: they run once, in another worker."""
    path = str(tmp_path / "begun")
    things = [targets.killed if i in (3, 20) else i for i in range(40)]
    results = pool.starmap_async(
        targets.append_line_or_fault, [(path, thing) for thing in things], chunksize=1
    )
    with pytest.raises(mp.WorkerLostError):
        results.get()
    with open(path) as file:
        begun = sorted(file.read().split())
    assert begun == sorted("fault" if callable(thing) else str(thing) for thing in things)


def test_idle_workers_that_are_killed(pool: Any) -> None:
    is_whole(pool)
    for worker, number in zip([*pool._pool], (signal.SIGKILL, signal.SIGTERM)):
        os.kill(worker.pid, number)
        worker.join(60)
    is_whole(pool)


def test_a_task_that_takes_too_long(pool: Any) -> None:
    event = pool._ctx.Manager  # noqa: F841
    with pytest.raises(mp.TaskTimeoutError, match=r"task_timeout of 0\.2 seconds") as caught:
        pool.apply(targets.stop, task_timeout=0.2)
    assert isinstance(caught.value, (mp.TimeoutError, TimeoutError))
    results = pool.imap(targets.fault_or_value, [1, targets.stop, 3], task_timeout=5)
    assert next(results) == 1
    results.cancel()
    is_whole(pool)
    assert pool.map(abs, [-1, 2], task_timeout=60) == [1, 2]


def test_memory_above_a_limit_is_the_tasks_error(pool: Any) -> None:
    with pytest.raises(MemoryError) as caught:
        pool.apply(targets.out_of_memory, (1 << 30,))
    assert "out_of_memory" in str(caught.value.__cause__)
    is_whole(pool)


def test_a_remote_traceback_names_its_worker(pool: Any) -> None:
    with pytest.raises(LookupError, match="no") as caught:
        pool.map(targets.fail, ["no"])
    text = str(caught.value.__cause__)
    pids = [worker.pid for worker in pool._pool]
    assert any(f"process {pid})" in text for pid in pids)
    assert "task 0 of map(fail)" in text and "raise LookupError(text)" in text


def test_a_worker_that_leaves_its_descriptors_to_a_grandchild(pool: Any, tmp_path: Any) -> None:
    """No pipe of such a worker ends with it."""
    path = tmp_path / "pid"
    try:
        with pytest.raises(mp.WorkerLostError):
            pool.apply(targets.leaves_a_grandchild, (str(path),))
        is_whole(pool)
    finally:
        os.kill(int(path.read_text()), signal.SIGKILL)


def test_an_exception_that_is_no_exception(pool: Any) -> None:
    with pytest.raises(targets.Unusual, match="no"):
        pool.apply(targets.raise_unusual)
    is_whole(pool)


def test_a_callback_that_raises_harms_nothing(
    pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    reported: list[Any] = []
    monkeypatch.setattr("threading.excepthook", reported.append)
    assert pool.apply_async(abs, (-1,), callback=targets.fail).get() == 1
    assert pool.map_async(abs, [-1, 2], callback=targets.fail).get() == [1, 2]
    until(lambda: [type(args.exc_value) for args in reported] == [LookupError] * 2)


# --- cancel ---------------------------------------------------------------------------------------
def test_cancel(pool: Any) -> None:
    running = pool.apply_async(targets.stop)
    assert running.cancel()
    with pytest.raises(CancelledError):
        running.get(60)
    assert not running.cancel()  # it is over
    done = pool.apply_async(abs, (-1,))
    assert done.get() == 1 and not done.cancel() and done.get() == 1
    many = pool.map_async(targets.fault_or_value, [targets.stop] * 50, chunksize=1)
    assert many.cancel()
    with pytest.raises(CancelledError):
        many.get(60)
    for way in (pool.imap, pool.imap_unordered):
        for things in ([targets.stop] * 50, iter([targets.stop] * 500)):
            results = way(targets.fault_or_value, things)
            assert results.cancel()
            with pytest.raises(CancelledError):
                next(results)
            with pytest.raises(StopIteration):
                next(results)
    is_whole(pool)


def test_terminate_ends_every_wait(ctx: Any) -> None:
    with ctx.Pool(2) as pool:
        waiting = pool.apply_async(targets.stop)
        pool.apply(abs, (-1,))
        several = pool.map_async(targets.fault_or_value, [targets.stop] * 30, chunksize=1)
        results = pool.imap(targets.fault_or_value, iter([targets.stop] * 500))
        workers = [*pool._pool]
    for result in (waiting, several):
        with pytest.raises(CancelledError):
            result.get(60)
    with pytest.raises(CancelledError):
        next(results)
    assert not any(worker.is_alive() for worker in workers)
    with pytest.raises(ValueError, match="not running"):
        pool.apply(abs, (1,))


# --- initializers ---------------------------------------------------------------------------------
def test_an_initializer_that_fails_ends_the_pool(ctx: Any) -> None:
    with ctx.Pool(2, targets.fail, ("at once",)) as pool:
        with pytest.raises(mp.InitializerError, match="LookupError: at once") as caught:
            pool.apply(abs, (-1,))
        assert "raise LookupError(text)" in str(caught.value.__cause__.__cause__)
        with pytest.raises(mp.InitializerError):
            pool.map(abs, range(100), chunksize=1)
        with pytest.raises(mp.InitializerError):
            next(pool.imap(abs, iter(range(100))))
        until(lambda: not pool._pool)  # and no new ones start


def test_initializers_that_end_their_worker(ctx: Any) -> None:
    pickles = ctx.get_start_method() != "fork"
    initializer, given = (abs, (targets.Deadly(),)) if pickles else (targets.killed, ())
    with ctx.Pool(1, initializer, given) as pool:
        with pytest.raises(mp.InitializerError, match="ended before they were initialized"):
            pool.apply(abs, (-1,))


def test_an_initializer_that_cannot_be_pickled() -> None:
    for method in {"spawn", "forkserver"} & {*mp.get_all_start_methods()}:
        with pytest.raises((AttributeError, TypeError), match="pickle"):
            mp.get_context(method).Pool(2, lambda: None)


def test_an_initializer_that_fails_once(ctx: Any) -> None:
    with ctx.Pool(2, targets.fail_once, (ctx.Value("i", 0),)) as pool:
        is_whole(pool)


# --- what workers know ----------------------------------------------------------------------------
def test_workers_have_a_rank_and_a_state(ctx: Any) -> None:
    assert mp.current_worker() is None
    with ctx.Pool(1) as pool:
        pid, rank, size = pool.apply(targets.pid_and_rank)
        assert (rank, size) == (0, 1)
        assert [pool.apply(targets.count_calls) for _ in range(3)] == [1, 2, 3]
        with contextlib.suppress(mp.WorkerLostError):
            pool.apply(targets.killed)
        replaced, rank, _ = pool.apply(targets.pid_and_rank)
        assert (rank, pool.apply(targets.count_calls)) == (0, 1) and replaced != pid


def test_nested_pools(ctx: Any) -> None:
    with ctx.Pool(1) as pool:
        method = ctx.get_start_method()
        assert pool.apply(targets.inner_pool, (method, 3)) == [3, 2, 1]
