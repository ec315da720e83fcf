"""How processes end: queued work is done and unread errors are reported, on each way out."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# `end` is called in a process of its own; each line of the file OUT is an op that was done.
PRELUDE = """
import importlib, os, sys, threading
OUT, METHOD, PACKAGE = sys.argv[1:]
import numpy as np
from minitensor import Tensor, ops, runtime
loaded_before = "multiprocessing.util" in sys.modules
mp = importlib.import_module(PACKAGE)

def done(name):
    with open(OUT, "a") as file:
        file.write(name + "\\n")
    return 0.0

def queue_work(name="queued"):
    ops.host_call(lambda: done(name), [], shape=(), dtype="float32")

def slow():
    # a queue that is still full when the target returns: the worker has to come through it first
    gate = threading.Event()
    ops.host_call(lambda: float(gate.wait(60)), [], shape=(), dtype="float32")
    for i in range(20):
        ops.exp(Tensor(np.ones(100_000)))
    queue_work()
    gate.set()

def fail(a):
    raise OSError("no such thing")

def fails():
    Tensor([1]) // Tensor([0])
    ops.host_call(fail, [Tensor([1.0])], shape=1, dtype="float32", name="lookup")

def many(n):
    zero = Tensor([0])
    for i in range(n):
        Tensor([1]) // zero

def read():
    failed = Tensor([1]) // Tensor([0])
    try:
        failed.asnumpy()
    except ZeroDivisionError:
        pass
    Tensor([2]) // Tensor([0])
    try:
        runtime.synchronize()
    except ZeroDivisionError:
        pass

def main():
    process = mp.get_context(METHOD).Process(target=end)
    process.start()
    process.join()
    print("exit", process.exitcode, flush=True)
"""

METHODS = ["fork", "spawn", "forkserver"]
PACKAGES = ["multiprocessing", "minitensor.multiprocessing"]
Run = Callable[..., Any]


def run_in(
    folder: Path, text: str, method: str = "fork", package: str = "multiprocessing",
    **environment: str,
) -> tuple[str, str, str]:
    """Run a program in a folder; return its output, its errors, and the file OUT."""
    program, out = folder / "program.py", folder / "out"
    program.write_text(PRELUDE + text + '\nif __name__ == "__main__":\n    main()\n')
    out.write_text("")
    result = subprocess.run(
        [sys.executable, program, out, method, package], text=True, capture_output=True,
        timeout=120, env={**os.environ, **environment},
    )
    return result.stdout, result.stderr, out.read_text()  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return functools.partial(run_in, tmp_path)


ENDS = {  # the target of a process, and the exit code
    "returns": ("slow()", 0),
    "exits": ("slow(); sys.exit(3)", 3),
    "raises": ("slow(); raise LookupError('this')", 1),
    "a finalizer": ("util.Finalize(None, slow, exitpriority=-1000)", 0),
    "a finalizer of a finalizer": (
        "util.Finalize(None, lambda: util.Finalize(None, slow, exitpriority=-7), exitpriority=7)",
        0,
    ),
    "a thread": (
        "last = threading.Event(); util.Finalize(None, last.set, exitpriority=-1000); "
        "threading.Thread(target=lambda: (last.wait(60), slow())).start()",
        0,
    ),
    "an executor's thread": (
        "from concurrent.futures import ThreadPoolExecutor; ThreadPoolExecutor(1).submit(slow)",
        0,
    ),
}
WAYS = [("returns", "minitensor.multiprocessing"), *((how, "multiprocessing") for how in ENDS)]
# All of them in one program, side by side; each writes a file of its own.
ALL_ENDS = """
import json

def end(how, body):
    global OUT
    from multiprocessing import util
    OUT += "." + how
    exec(body, {**globals(), **locals()})

def main():
    context = mp.get_context(METHOD)
    ends = json.loads(os.environ["ENDS"])
    processes = {how: context.Process(target=end, args=(how, ends[how])) for how in ends}
    for process in processes.values():
        process.start()
    for process in processes.values():
        process.join()
    codes = {how: process.exitcode for how, process in processes.items()}
    done = {how: open(OUT + "." + how).read() for how in ends if os.path.exists(OUT + "." + how)}
    print(json.dumps([codes, done]))
"""


@pytest.fixture(scope="module")
def all_ends(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Any]:
    """Return the exit codes, the files and the errors of ENDS, for a start method and a package."""

    @functools.cache
    def run(method: str, package: str) -> Any:
        bodies = json.dumps({how: ENDS[how][0] for how, of in WAYS if of == package})
        folder = tmp_path_factory.mktemp("ends")
        out, err, _ = run_in(folder, ALL_ENDS, method, package, ENDS=bodies)
        return *json.loads(out), err

    return run


@pytest.mark.parametrize("how, package", WAYS)
@pytest.mark.parametrize("method", METHODS)
def test_what_is_queued_is_done(
    all_ends: Callable[[str, str], Any], how: str, method: str, package: str
) -> None:
    codes, done, err = all_ends(method, package)
    assert (codes[how], done.get(how)) == (ENDS[how][1], "queued\n"), err
    assert "Exception ignored" not in err


@pytest.mark.parametrize("method", METHODS)
def test_a_pools_worker(run: Run, method: str) -> None:
    text = """
def task(i):
    slow()
    return fails()

def main():
    pool = mp.get_context(METHOD).Pool(1)
    pool.apply(task, (0,))
    pool.close()
    pool.join()
"""
    _, err, done = run(text, method)
    assert done == "queued\n" and err.count("Exception ignored in minitensor") == 2


def test_an_executors_worker(run: Run) -> None:
    text = """
def main():
    from concurrent.futures import ProcessPoolExecutor
    with ProcessPoolExecutor(1, mp_context=mp.get_context("fork")) as executor:
        executor.submit(slow).result()
"""
    assert run(text)[2] == "queued\n"


def test_a_forked_child_that_ends_as_multiprocessings_do(run: Run) -> None:
    text = """
def main():
    from multiprocessing import util
    fails()
    if os.fork() == 0:
        slow()
        util._exit_function()
        os._exit(0)
    os.wait()
"""
    _, err, done = run(text)
    assert done == "queued\n"
    assert err.count("Exception ignored in minitensor") == 2  # by the process that queued them


def test_a_program_that_loads_multiprocessing_late(run: Run) -> None:
    out, _, done = run("def end():\n    slow()\n    print(loaded_before, flush=True)")
    assert (out, done) == ("False\nexit 0\n", "queued\n")
    text = """
def end():
    slow()
main_before = main
def main():
    for name in [name for name in sys.modules if name.startswith("multiprocessing")]:
        del sys.modules[name]
    global mp
    mp = importlib.import_module("multiprocessing")
    main_before()
"""
    assert run(text)[::2] == ("exit 0\n", "queued\n")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("package", PACKAGES)
def test_errors_that_were_not_read_are_told(run: Run, method: str, package: str) -> None:
    out, err, _ = run("def end():\n    fails()", method, package)
    lines = err.splitlines()
    told = [line for line in lines if line.startswith("Exception ignored in minitensor: ")]
    assert out == "exit 0\n" and len(told) == 2, err
    assert "ZeroDivisionError: [floor_divide]" in told[0] and "program.py:" in told[0]
    assert "OSError: [lookup] no such thing (issued at " in told[1]
    assert lines[-1] == "OSError: no such thing" and any(line.endswith("in fail") for line in lines)


def test_in_the_main_process(run: Run) -> None:
    _, err, done = run("def main():\n    slow()\n    fails()")
    assert done == "queued\n" and err.count("Exception ignored in minitensor: ") == 2


@pytest.mark.parametrize("method", METHODS)
def test_errors_that_were_read_are_not_told_again(run: Run, method: str) -> None:
    out, err, _ = run("def end():\n    read()", method)
    assert (out, err) == ("exit 0\n", "")


def test_an_error_of_the_parent_is_not_told_by_the_child(run: Run) -> None:
    out, err, _ = run(
        "parent = main\ndef end():\n    pass\ndef main():\n    many(20)\n    parent()\n    "
        "os._exit(0)"
    )
    assert (out, err) == ("exit 0\n", "")


@pytest.mark.parametrize("n, lines", [(10, 10), (11, 11), (500, 11)])
def test_of_many_errors_the_first_are_told_and_how_many_more(run: Run, n: int, lines: int) -> None:
    _, err, _ = run(f"def end():\n    many({n})")
    told = err.splitlines()
    assert len(told) == lines and all(
        line.startswith("Exception ignored in minitensor: ") for line in told
    )
    if n > 10:
        assert f"{n - 10} more ops of this stream have failed" in told[-1]


def test_a_closed_stderr_changes_nothing(run: Run) -> None:
    out, err, _ = run("def end():\n    fails()\n    os.close(2)\n    sys.stderr = None")
    assert (out, err) == ("exit 0\n", "")


@pytest.mark.parametrize("method", METHODS)
def test_the_wait_is_bounded_and_says_what_it_is_for(run: Run, method: str) -> None:
    text = """
def end():
    wait = lambda: float(threading.Event().wait())
    ops.host_call(wait, [], shape=(), dtype="float32", name="stuck")
"""
    out, err, _ = run(text, method, MINITENSOR_EXIT_SECONDS="1")
    assert (
        "exit 0" in out
        and "waits for queued work: stuck (" in err
        and err.count("abandons queued work: stuck (") == 1
    )


def test_ops_work_in_later_finalizers(run: Run) -> None:
    text = """
def late():
    done(str(float((Tensor(np.ones(100_000)) + 1).sum())))
def end():
    from multiprocessing import util
    slow()
    util.Finalize(None, late, exitpriority=-sys.maxsize - 1)
"""
    assert run(text)[::2] == ("exit 0\n", "queued\n200000.0\n")
