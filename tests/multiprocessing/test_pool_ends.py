"""How pools end: with their process, by Ctrl-C, and by the interpreter's exit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from races import until

PROGRAM = """
import os, sys, threading, time
import minitensor.multiprocessing as mp

def say(*lines):  # in one write: workers write to the same pipe
    os.write(1, "".join(f"{line}\\n" for line in lines).encode())

def keep_the_gil():
    # a loop in C, which lets no other thread run
    say(os.getpid())
    sum(1 for _ in iter(int, 1))

def pools():
    global kept
    kept = pool = mp.get_context(METHOD).Pool(3)
    idle = [worker.pid for worker in pool._pool]
    pool.map(abs, range(9))
    say(*idle)
    pool.apply_async(time.sleep, (60,))
    pool.apply_async(keep_the_gil)

if __name__ == "__main__":
    METHOD = sys.argv[1]
    thread = threading.Thread(target=pools)  # the thread that starts the workers ends before them
    thread.start()
    thread.join()
    say("ready")
    WAIT
"""


def start(method: str, wait: str) -> tuple[subprocess.Popen[str], list[int]]:
    """Start the program; return it and the processes of its workers."""
    program = PROGRAM.replace("METHOD)", f"{method!r})").replace("WAIT", wait)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-c", program, method],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    pids, lines = [], iter(process.stdout)
    for line in lines:
        if line == "ready\n":
            break
        pids.append(int(line))
    return process, pids


def is_gone(pid: int) -> bool:
    """Return whether a process has ended; one that only has to be reaped has."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_no_worker_survives_its_killed_parent(ctx: Any) -> None:
    process, pids = start(ctx.get_start_method(), "time.sleep(60)")
    assert len(pids) >= 3
    process.kill()
    process.communicate()
    until(lambda: all(map(is_gone, pids)))


@pytest.mark.parametrize("whole_group", [True, False])
def test_ctrl_c_ends_a_pool(ctx: Any, whole_group: bool) -> None:
    process, pids = start(ctx.get_start_method(), "kept.apply(time.sleep, (60,))")
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert said.rstrip().endswith("KeyboardInterrupt") and said.count("Traceback") == 1
    assert all(map(is_gone, pids))


def test_a_pool_that_was_left_open_ends_with_its_process(ctx: Any) -> None:
    process, pids = start(ctx.get_start_method(), "pass")
    process.communicate(timeout=60)
    assert process.returncode == 0 and all(map(is_gone, pids))


def test_an_idle_pool_never_wakes_up() -> None:
    program = """
    import time, threading
    import minitensor.multiprocessing as mp
    pool = mp.get_context("fork").Pool(2)
    pool.map(abs, range(9))
    def switches(pid, thread):
        with open(f"/proc/{pid}/task/{thread}/status") as file:
            return int(file.read().split("voluntary_ctxt_switches:")[1].split()[0])
    def asleep():
        seen = [switches(w.pid, w.pid) for w in pool._pool]
        return seen + [switches("self", pool._engine._thread.native_id)]
    before = asleep()
    while True:  # until nothing is under way any more
        time.sleep(0.1)
        after = asleep()
        if after == before:
            break
        before = after
    time.sleep(1)
    print(sum(asleep()) - sum(before))
    """
    program = "\n".join(line[4:] for line in program.splitlines())
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=env
    )
    assert done.stdout == "0\n", done.stderr
