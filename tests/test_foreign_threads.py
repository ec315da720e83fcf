"""The list of other libraries' native threads, and the fork that is refused beside them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from children import in_child

from minitensor import Tensor, foreign_threads, ops, trace

pytestmark = pytest.mark.skipif(not foreign_threads.has_proc, reason="the system has no /proc")

FOREIGN = """
import ctypes, os, subprocess, sys, threading
import numpy as np
import minitensor
from minitensor import Tensor, ops, foreign_threads, trace
ops.exp(Tensor(np.ones(1_000_000)))           # a thread of ours
other = threading.Thread(target=threading.Event().wait, daemon=True)
other.start()                                 # one of Python's
libc = ctypes.CDLL(None)
ident = ctypes.c_ulong()
assert not foreign_threads.foreign(), foreign_threads.foreign()
pause = ctypes.cast(libc.pause, ctypes.c_void_p)
# A thread of another library.
assert libc.pthread_create(ctypes.byref(ident), None, pause, None) == 0
libc.pthread_setname_np(ident, b"somebody")
print([t.name for t in foreign_threads.foreign()])
subprocess.run(["true"], check=True)          # no fork of Python's, in any mode
try:
    pid = os.fork()
except RuntimeError as error:
    print(error)
    os._exit(0)
if pid == 0:
    os._exit(0)
os.waitpid(pid, 0)
print([event.fields["threads"] for event in trace.events("fork.foreign")])
os._exit(0)
"""


def run(**env: str) -> list[str]:
    env = {
        **os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore::DeprecationWarning",
        **env,
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-u", "-c", FOREIGN], capture_output=True, text=True, timeout=60, env=env
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_trace_notes_them() -> None:
    assert run() == ["['somebody']", "[['somebody']]"]


def test_strict_refuses_and_lists_them() -> None:
    listed, refusal = run(MINITENSOR_FORK="strict")
    assert listed == "['somebody']"
    assert refusal.startswith(
        "[fork] MINITENSOR_FORK=strict refuses to fork beside 1 native thread of other libraries: "
        "somebody ("
    )
    assert "blas" in refusal and "use the start method spawn" in refusal


def test_strict_lets_a_fork_pass_that_is_safe() -> None:
    program = """
import os, pty
import numpy as np
from minitensor import Tensor, ops
t = ops.exp(Tensor(np.zeros(1_000_000)))
pid, terminal = pty.fork()
if pid == 0:
    os._exit(0)
import multiprocessing
fork = multiprocessing.get_context("fork")
child = fork.Process(target=lambda: print(float(t.sum()), flush=True))
child.start()
child.join()
print(os.waitpid(pid, 0)[1], child.exitcode)
"""
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "MINITENSOR_FORK": "strict"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=env
    )
    assert (done.stdout, done.stderr) == ("1000000.0\n0 0\n", "")


def test_our_own_threads_are_none_of_them() -> None:
    ops.exp(Tensor(np.ones(1_000_000)))
    names = [thread.name for thread in foreign_threads.foreign()]
    assert not [name for name in names if name.startswith(foreign_threads.OURS)]
    assert foreign_threads.count() >= len(names) + threading.active_count()


def test_a_child_has_one_thread() -> None:
    ops.exp(Tensor(np.ones(1_000_000)))
    trace.clear()
    assert in_child(lambda: (foreign_threads.count(), foreign_threads.foreign())) == "(1, [])"
