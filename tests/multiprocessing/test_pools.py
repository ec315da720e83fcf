"""Pools with pickles that fail on arrival, and pools that end while tasks are under way."""

import concurrent.futures.process
import gc
import inspect
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
import targets

import minitensor.multiprocessing as mp
from minitensor import Tensor
from minitensor.errors import StaleHandleError
from minitensor.multiprocessing import message_pipe

STRESS = Path(__file__).parents[1] / "stress"
ERRORS = [
    ValueError("no"), ImportError("no"), MemoryError("no"), EOFError("no"), OSError("no"),
    StaleHandleError("no"),
]  # fmt: skip


@pytest.fixture(params=[None, 1], ids=["lasting workers", "a worker for each task"])
def pool(ctx, request):
    with ctx.Pool(2, maxtasksperchild=request.param) as pool:
        yield pool


# --- what can't be unpickled ----------------------------------------------------------------------
def test_a_task_that_its_worker_cannot_unpickle(pool):
    # a spawned worker takes its second
    for error in ERRORS[:2] if pool._maxtasksperchild else ERRORS:
        with pytest.raises(type(error), match="no") as caught:
            pool.apply(targets.identity, (targets.Arrives(targets.WORKER, error),))
        assert "RemoteTraceback" in repr(caught.value.__cause__)
    assert pool.map(targets.identity, range(5)) == list(range(5))


def test_a_result_that_the_pool_cannot_unpickle(pool):
    for error in ERRORS[:2] if pool._maxtasksperchild else ERRORS:
        with pytest.raises(type(error), match="no"):
            pool.apply(targets.Arrives, (targets.PARENT, error))
    assert pool.map(targets.identity, range(5)) == list(range(5))


def test_an_exception_that_the_pool_cannot_unpickle(pool):
    with pytest.raises(TypeError, match="argument") as caught:
        pool.apply(targets.raise_unpicklable)
    assert "WantsTwo" in str(caught.value.__cause__)  # what the worker raised
    assert pool.apply(targets.identity, (1,)) == 1


def test_each_way_to_call_has_the_error_where_it_belongs(ctx):
    bad, seen, failures = targets.Arrives(targets.WORKER, LookupError("no")), [], []
    with ctx.Pool(2) as pool:
        with pytest.raises(LookupError):
            pool.map(targets.identity, [1, bad, 3])
        with pytest.raises(LookupError):
            pool.starmap(targets.pair, [(1, 2), (bad, 3)], chunksize=1)
        results = pool.imap(targets.identity, [1, bad, 3])
        assert next(results) == 1
        with pytest.raises(LookupError):
            next(results)
        assert list(results) == [3]
        unordered, values, errors = pool.imap_unordered(targets.identity, [1, bad, 3]), [], 0
        for _ in range(3):
            try:
                values.append(next(unordered))
            except LookupError:
                errors += 1
        assert (sorted(values), errors) == ([1, 3], 1)
        chunks = pool.imap(targets.identity, [1, 2, bad, 3], chunksize=2)
        assert [next(chunks), next(chunks)] == [1, 2]
        with pytest.raises(LookupError):
            next(chunks)
        pool.apply_async(
            targets.identity, (bad,), callback=seen.append, error_callback=failures.append
        ).wait()
        pool.apply_async(
            targets.identity, (1,), callback=seen.append, error_callback=failures.append
        ).wait()
        pool.close()
        pool.join()
    assert seen == [1] and [type(error) for error in failures] == [LookupError]


def test_on_standard_pipes(monkeypatch):
    monkeypatch.setattr(message_pipe, "available", lambda: False)
    with mp.get_context("fork").Pool(2) as pool:
        with pytest.raises(LookupError):
            pool.apply(targets.identity, (targets.Arrives(targets.WORKER, LookupError("no")),))
        with pytest.raises(LookupError):
            pool.apply(targets.Arrives, (targets.PARENT, LookupError("no")))
        assert pool.map(targets.identity, range(5)) == list(range(5))
        next(pool.imap(targets.identity, [b"x" * 50_000] * 30))


def test_a_failed_message_gives_back_its_tensors(ctx):
    tensor = Tensor(np.ones(100_000, np.float32))
    with ctx.Pool(1) as pool:
        pool.apply(targets.identity, (tensor,))
        before = mp.sharing_stats()["in_flight"]
        for where in (targets.WORKER, targets.PARENT):
            make = targets.Arrives if where == targets.PARENT else targets.identity
            given = (
                (where, LookupError("no"), tensor)
                if where == targets.PARENT
                else (targets.Arrives(where, LookupError("no"), tensor),)
            )
            for _ in range(3):
                with pytest.raises(LookupError):
                    pool.apply(make, given)
        assert mp.sharing_stats()["in_flight"] <= before


def test_tensors_of_one_task_are_views_of_one_memory(ctx):
    tensor = Tensor(np.zeros(100_000, np.float32))
    with ctx.Pool(1) as pool:
        assert pool.apply(targets.are_one_memory, (tensor[:60_000], tensor[30_000:]))
        first, second = pool.apply(targets.overlapping)
        assert targets.are_one_memory(first, second)


@pytest.mark.parametrize(
    "nbytes", [message_pipe.PACKET - 1000, message_pipe.PACKET, 3 * message_pipe.PACKET]
)
def test_sizes_on_both_sides_of_a_packet(ctx, nbytes):
    with ctx.Pool(1) as pool:
        for n in range(nbytes - 200, nbytes, 40):
            assert len(pool.apply(targets.identity, (b"x" * n,))) == n
            with pytest.raises(LookupError):
                pool.apply(
                    targets.identity,
                    (targets.Arrives(targets.WORKER, LookupError("no"), b"x" * n),),
                )


def test_an_executor_is_broken_by_what_cannot_be_unpickled(ctx):
    # The large ones fill the executor's pipe, which is the standard package's.  Its thread that
    # writes there may hang, with the standard package's workers, too, in versions that do not
    # close the pipe's reader when the executor breaks (up to 3.11.4).
    source = inspect.getsource(concurrent.futures.process)
    ends = "call_queue._reader.close" in source or "call_queue._terminate_broken" in source
    for large in (b"", b"x" * 50_000) if ends else (b"",):
        with ProcessPoolExecutor(4, mp_context=ctx) as executor:
            bad = targets.Arrives(targets.WORKER, LookupError("no"), large)
            futures = [executor.submit(targets.identity, bad) for _ in range(10)]
            for future in futures:
                with pytest.raises(BrokenProcessPool):
                    future.result()
    with ProcessPoolExecutor(1, mp_context=ctx) as executor, pytest.raises(BrokenProcessPool):
        executor.submit(targets.Arrives, targets.PARENT, LookupError("no")).result()


# --- the end --------------------------------------------------------------------------------------
def test_the_end_while_results_fill_their_pipe():
    """The workers send large results after the reader of results has ended."""
    for _ in range(20):
        with mp.get_context("fork").Pool(4) as pool:
            next(pool.imap_unordered(targets.large, range(300)))


def test_early_ends(ctx):
    """Each round ends and closes its descriptors at once; pool_ends.py has more rounds."""
    program = STRESS / "pool_ends.py"
    method = ctx.get_start_method()
    rounds = {"fork": "60", "forkserver": "5", "spawn": "3"}[method]
    subprocess.run(
        [sys.executable, program, method, "-n", rounds], check=True, timeout=110,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


def test_an_iterator_that_was_left_keeps_no_descriptor():
    context, counts = mp.get_context("fork"), []
    gc.disable()
    try:
        for _ in range(4):
            with context.Pool(1) as pool:
                results = pool.imap(targets.identity, range(100))
                next(results)
            del pool, results
            counts.append(len(os.listdir("/proc/self/fd")))
    finally:
        gc.enable()
    assert counts == [counts[0]] * 4


def test_an_idle_worker_ends_silently_by_ctrl_c():
    program = """
    import os, signal
    import minitensor.multiprocessing as mp
    from races import until
    def asleep(pid):
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "S"
    context = mp.get_context("fork")
    barrier = context.Barrier(2)
    def meet(_):
        barrier.wait(60)
    with context.Pool(2) as pool:
        pool.map(meet, range(2), chunksize=1)  # each worker runs one
        workers = list(pool._pool)
        for worker in workers:
            until(lambda: asleep(worker.pid))  # in `get`: its result is here
            os.kill(worker.pid, signal.SIGINT)
            # `join` returns before the exit code is known when the pool's thread reaps the worker.
            until(lambda: worker.exitcode is not None)
        # Without a chunk size, `map` divides by the number of workers, which may be 0 just now.
        print(*[worker.exitcode for worker in workers], pool.map(abs, [-1, 2], chunksize=1))
    """
    program = "\n".join(line[4:] for line in program.splitlines())
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=env
    )
    assert (done.stdout, done.stderr) == ("0 0 [1, 2]\n", "")
