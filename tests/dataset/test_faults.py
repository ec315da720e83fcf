"""Dead workers, exceptions, early ends and forks; each start method."""

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import samples
from children import in_child

import minitensor.dataset as ds
import minitensor.dataset.workers as engine
import minitensor.multiprocessing as mp
from minitensor.multiprocessing import sharing_stats


@pytest.fixture(params=[1, 2])
def workers(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def over(source: Any, workers: int = 2, columns: Any = ("n", "x")) -> ds.GeneratorDataset:
    return ds.GeneratorDataset(source, columns, shuffle=False, num_parallel_workers=workers)


def outcomes(rows: Any) -> list[Any]:
    """The first column of each row, or the error in its place."""
    found = []
    while True:
        try:
            found.append(np.asarray(next(rows)[0]).tolist())
        except StopIteration:
            return found
        except ds.SampleError as error:
            found.append(error)


# --- each start method ----------------------------------------------------------------------------
def test_start_methods(ctx: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(engine, "get_context", lambda: ctx)
    data = over(samples.Ends(20, "SIGKILL", width=9000)).map(samples.negate, "x").batch(4)
    with data.create_tuple_iterator(num_epochs=1) as rows:
        assert next(rows)[1].asnumpy()[:, 8999].tolist() == [0.0, -1.0, -2.0, -3.0]
        found = outcomes(rows)
    error = found.pop(0)
    assert found == [[i + j for j in range(4)] for i in range(8, 20, 4)]
    assert (error.index, error.position, error.epoch) == (7, 7, 0)


def test_a_pipeline_that_cannot_be_sent(monkeypatch: Any) -> None:
    monkeypatch.setattr(engine, "get_context", lambda: mp.get_context("spawn"))
    for data, reason in (
        (over(samples.Numbers(4)).map(lambda n: n, "n"), "lambda"),
        (over([(1, samples.Refused())]), "not for the post"),
    ):
        with pytest.raises(
            ds.SampleError, match=f"can't be sent to a worker: .*{reason}"
        ) as caught:
            next(data.create_tuple_iterator())
        assert caught.value.__cause__ is not None


# --- exceptions -----------------------------------------------------------------------------------
def test_an_exception_takes_the_place_of_its_batch(workers: int) -> None:
    with over(samples.Broken(20), workers).batch(4).create_tuple_iterator(num_epochs=1) as rows:
        found = outcomes(rows)
    error = found.pop(1)
    assert found == [[i, i + 1, i + 2, i + 3] for i in (0, 8, 12, 16)]
    assert str(error).startswith(
        "[dataset] sample 7 of Broken can't be read (position 7 of epoch 0): "
        "KeyError: 'no such file'"
    )
    assert type(error.__cause__) is KeyError
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    assert 'raise KeyError("no such file")' in text  # the line of the source, from the worker too
    again = pickle.loads(pickle.dumps(error))
    assert (again.index, str(again)) == (7, str(error))


@pytest.mark.parametrize(
    "broken",
    [
        (lambda d: d.map(samples.raise_odd, "n"), "sample 0 of Numbers .*Odd: odd"),
        (lambda d: d.filter(samples.raise_odd), "sample 0 of Numbers .*Odd: odd"),
        (lambda d: d.batch(2, per_batch_map=samples.fail_in_batch), "batch 0 of .*: uneven"),
        (lambda d: d.map(lambda n: n[None].repeat(n + 1), "n").batch(2), "one shape, got .* row 1"),
        (lambda d: d.map(lambda n: {"a": 1}, "n").batch(2), "give a per_batch_map"),
        (lambda d: d.map(lambda n: (n, n), "n"), "one value for each of the columns n, got 2"),
        (lambda d: d.map(lambda n: {"a": samples.Refused()}, "n"), "not for the post|None"),
    ],
)
def test_each_stage_that_raises(workers: int, broken: Any) -> None:
    make, text = broken
    if "post" in text and workers == 1:
        return  # the row goes nowhere
    with make(over(samples.Numbers(4), workers)).create_tuple_iterator(num_epochs=1) as rows:
        with pytest.raises(ds.SampleError, match=text):
            next(rows)


def test_sources_whose_samples_are_no_rows(workers: int) -> None:
    for source, columns, types, text in (
        ([(1, 2)], ["a"], None, "one value for each of the columns a, got 2"),
        ([1], ["a"], ["int8"], "must have the type"),
    ):
        data = ds.GeneratorDataset(source, columns, types, num_parallel_workers=workers)
        with data.create_tuple_iterator() as rows, pytest.raises(ds.SampleError, match=text):
            next(rows)


def test_an_error_of_filter_ends_the_iterator(workers: int) -> None:
    rows = over(samples.Broken(20), workers).filter(samples.is_even).create_tuple_iterator()
    found = outcomes(rows)
    assert found[:-1] == [0, 2, 4, 6][: len(found) - 1] and found[-1].index == 7
    assert list(rows) == []


# --- deaths ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "end", [("SIGKILL", "was killed by SIGKILL"), ("SIGTERM", "SIGTERM"), ("exit", "exit code 3")]
)
def test_a_dead_worker_names_its_sample(end: Any) -> None:
    how, text = end
    with over(samples.Ends(30, how)).batch(3).create_tuple_iterator(num_epochs=2) as rows:
        for epoch in range(2):
            found = outcomes(rows)
            error = found.pop(2)
            assert found == [[i, i + 1, i + 2] for i in range(0, 30, 3) if i != 6]
            assert (error.index, error.epoch) == (7, epoch)
            assert "sample 7 of Ends can't be read" in str(error) and text in str(error)


def test_each_task_of_dying_workers_is_answered_once() -> None:
    """One row in three kills its worker."""
    data = over([(i, i) for i in range(30)]).map(_die_at_thirds, "n")
    with data.create_tuple_iterator(num_epochs=1) as rows:
        found = outcomes(rows)
    assert [f.index if isinstance(f, ds.SampleError) else f for f in found] == [*range(30)]
    assert sum(isinstance(one, ds.SampleError) for one in found) == 10


@pytest.mark.parametrize("how", ["dies", "is not for the post", "is unknown here"])
def test_rows_that_share_a_message_fail_alone(how: str, monkeypatch: Any) -> None:
    """Messages of 64 rows, from the second one on; one row in fifty fails."""
    monkeypatch.setattr(engine, "_SECONDS", 1e9)

    def some_fail(n: Any) -> Any:
        if n % 50 == 25 and how == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if n % 50 == 25:
            return {"a": samples.Refused() if "post" in how else samples.Unknown()}
        return n

    rows = over(samples.Numbers(300)).map(some_fail, "n").create_tuple_iterator(num_epochs=1)
    with rows:
        found = outcomes(rows)
    assert len(found) == 300
    bad = [i for i, one in enumerate(found) if isinstance(one, ds.SampleError)]
    assert [one for one in found if not isinstance(one, ds.SampleError)] == [
        i for i in range(300) if i not in bad
    ]
    if how == "is unknown here":  # the message as a whole can't be read
        assert {*range(25, 300, 50)} <= {*bad}
    else:
        assert bad == [*range(25, 300, 50)]


def _die_at_thirds(n: Any) -> Any:
    if n % 3 == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return n


def test_idle_workers_may_be_killed() -> None:
    rows = over(samples.Numbers(40)).batch(4).create_tuple_iterator(num_epochs=1)
    with rows:
        first = next(rows)[0].asnumpy().tolist()
        for child in mp.active_children():
            os.kill(child.pid, signal.SIGSTOP)  # it may be in the middle of a sample
            os.kill(child.pid, signal.SIGKILL)
        found = outcomes(rows)
    good = [one for one in found if not isinstance(one, ds.SampleError)]
    assert first == [0, 1, 2, 3] and len(found) == 9
    assert [one[0] for one in good] == sorted(one[0] for one in good)
    assert len(found) - len(good) <= 2  # what they were at


def test_a_worker_that_dies_before_its_first_sample(monkeypatch: Any) -> None:
    def dies(*arguments: Any) -> None:
        os._exit(4)

    monkeypatch.setattr(engine, "get_context", lambda: mp.get_context("fork"))
    monkeypatch.setattr(engine, "_work", dies)
    with over(samples.Numbers(4)).create_tuple_iterator(num_epochs=1) as rows:
        found = outcomes(rows)
    assert len(found) == 4
    assert all("exit code 4 before its first sample" in str(error) for error in found)


def test_a_stopped_worker_does_not_hold_up_the_end() -> None:
    rows = over(samples.Numbers(40)).batch(4).create_tuple_iterator(num_epochs=1)
    next(rows)
    for child in mp.active_children():
        os.kill(child.pid, signal.SIGSTOP)
    rows.close()


def test_large_keys_and_large_answers_do_not_block_each_other() -> None:
    """Both pipes are full at once, with what travels inside the messages."""

    def generate() -> Any:
        for i in range(12):
            yield i, np.array(["x" * 40_000] * 4)  # 640 KB, no tensor

    data = over(generate).map(samples.is_even, "n")
    with data.create_tuple_iterator(num_epochs=1) as rows:
        assert outcomes(rows) == [i % 2 == 0 for i in range(12)]


# --- early ends -----------------------------------------------------------------------------------
def test_an_epoch_that_is_left_early() -> None:
    data = over(samples.Numbers(100, 9000)).batch(2)
    for _row in data:
        break
    del _row
    rows = data.create_dict_iterator()
    next(rows)
    del rows
    gc.collect()
    assert mp.active_children() == []
    assert sharing_stats()["in_flight"] == 0


def test_workers_live_for_all_epochs() -> None:
    data = over(samples.Pids(8), columns="pid")
    with data.create_tuple_iterator(num_epochs=5) as rows:
        pids = [{int(pid) for (pid,) in rows} for _ in range(5)]
        assert len(set.union(*pids)) <= 2 and os.getpid() not in set.union(*pids)
        assert list(rows) == []


def test_many_epochs_take_no_more_memory() -> None:
    def memory() -> tuple[int, int, int]:
        stats = sharing_stats()
        return stats["blocks"], stats["in_flight"], len(os.listdir("/proc/self/fd"))

    data = over(samples.Numbers(8, 9000)).batch(4)
    with data.create_tuple_iterator(num_epochs=200) as rows:
        seen = []
        for _ in range(200):
            assert [x.asnumpy()[0, 0] for _, x in rows] == [0.0, 4.0]
            seen.append(memory())
    # what is ahead differs from moment to moment, and is bounded
    assert max(blocks for blocks, _, _ in seen[20:]) <= max(b for b, _, _ in seen[:20]) + 4
    assert len({fds for _, _, fds in seen[:-1]}) == 1


def test_ctrl_c_ends_the_iterator() -> None:
    started, go = mp.Event(), mp.Event()

    def slow(n: Any) -> Any:
        started.set()
        go.wait()
        return n

    rows = over(samples.Numbers(4)).map(slow, "n").create_tuple_iterator()

    def interrupt() -> None:
        started.wait()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        next(rows)
    thread.join()
    assert mp.active_children() == [] and list(rows) == []


# --- forks ----------------------------------------------------------------------------------------
def test_a_forked_child_leaves_the_workers_alone() -> None:
    rows = over(samples.Numbers(20)).batch(4).create_tuple_iterator(num_epochs=1)
    assert next(rows)[0].asnumpy().tolist() == [0, 1, 2, 3]

    def child() -> Any:
        try:
            next(rows)
        except RuntimeError as error:
            text = str(error)
        rows.close()
        new = over(samples.Numbers(4)).batch(4).create_tuple_iterator(num_epochs=1)
        return text, next(new)[0].asnumpy().tolist(), list(new)

    text = in_child(child)
    assert "must be used by the process that created it" in text and "[0, 1, 2, 3], []" in text
    assert [n[0] for n in outcomes(rows)] == [4, 8, 12, 16]


ORPHANS = """
import os, sys, time
import minitensor.dataset as ds
class Source:
    def __len__(self): return 1000
    def __getitem__(self, i):
        if i == 3: time.sleep(60)
        return os.getpid()
data = ds.GeneratorDataset(Source(), "p", shuffle=False, num_parallel_workers=2)
rows = data.create_tuple_iterator()
print(os.getpid(), *{int(next(rows)[0]) for _ in range(2)}, flush=True)
next(rows), next(rows)
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="it waits for processes of others")
def test_no_worker_outlives_a_killed_program() -> None:
    """Neither an idle one nor one in the middle of a sample, which never ends."""
    program = subprocess.Popen([sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    _, *pids = map(int, program.stdout.readline().split())
    descriptors = [os.pidfd_open(pid) for pid in pids]
    program.kill()
    program.wait()
    program.stdout.close()
    for fd in descriptors:
        assert select.select([fd], [], [], 30)[0], "a worker lives"
        os.close(fd)


def test_exit_without_close() -> None:
    text = ORPHANS.replace("if i == 3: time.sleep(60)", "pass").replace(
        "next(rows), next(rows)", ""
    )
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    for pid in map(int, done.stdout.split()[1:]):
        assert not Path(f"/proc/{pid}").exists()
