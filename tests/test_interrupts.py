"""Ctrl-C: in every kind of wait (`waits.py`), at awkward moments, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import waits

SUPPORT = Path(__file__).parent / "support"


def run(program: str, **env: str) -> tuple[int, str, str]:
    """Run a program that finds the tests' helpers; return its exit code, output and errors."""
    # Whoever was started in the background of a shell ignores Ctrl-C, and so do those that it
    # starts.
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + program
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
        timeout=100,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join([str(SUPPORT),
                              *sys.path]), **env})  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("kind", waits.KINDS)
def test_it_ends_every_wait_and_leaves_all_usable(kind: str) -> None:
    code, output, error = run(f"import waits; waits.main({kind!r})")
    assert (code, error) == (0, "") and float(output) > 0


# Python looks for signals after each call of C: the exception comes when the call has already done
# its work.
def test_in_the_moment_when_a_task_is_queued() -> None:
    program = """
import threading
import numpy as np
import waits
from minitensor import Tensor, ops, runtime
from minitensor.backend.core import lib
from races import held
x = Tensor(np.ones(waits.BIG, np.float32))
for _ in range(3):
    with held(lib.MT_POINT_SUBMIT) as hold:
        thread = threading.Thread(target=lambda: (hold.wait(), waits.interrupt_main(), hold.go()))
        thread.start()
        try:
            ops.exp(x)
        except KeyboardInterrupt:
            print("interrupted")
        thread.join()
runtime.synchronize()
print(float(x.sum()) == waits.BIG)
"""
    code, output, error = run(program)
    assert (code, error) == (0, "") and output == "interrupted\n" * 3 + "True\n"


def test_in_a_host_task_that_runs_at_its_call() -> None:
    program = """
import threading
import waits
from minitensor import Tensor, ops, runtime
from minitensor.backend.core import lib
from races import held
x = Tensor([[1.0, 2.0], [3.0, 4.0]], "complex64")  # no kernel has complex numbers
with held(lib.MT_POINT_SUBMIT) as hold:
    thread = threading.Thread(target=lambda: (hold.wait(), waits.interrupt_main(), hold.go()))
    thread.start()
    try:
        ops.cumsum(x, 0)
        print("not interrupted")
    except KeyboardInterrupt:
        print("interrupted")
    thread.join()
runtime.synchronize()  # and no error is raised twice
print(ops.cumsum(x, 0).asnumpy().real.tolist())
"""
    assert run(program) == (0, "interrupted\n[[1.0, 2.0], [4.0, 6.0]]\n", "")


# --- in the middle of a fork ----------------------------------------------------------------------
def test_the_wait_of_a_fork() -> None:
    """Ctrl-C ends the wait, not the fork; the work under way stays the parent's."""
    program = """
import os, signal, threading
import minitensor
import waits
from minitensor import Tensor, ops
x = Tensor(0.0)
stuck = waits.stuck()
behind = stuck + 1
reader, writer = os.pipe()
def child():
    for t in stuck, behind, ops.exp(x):
        try:
            os.write(writer, f"{t.tolist()}\\n".encode())
        except RuntimeError as error:
            os.write(writer, f"{error}\\n".encode())
    os._exit(0)
minitensor.fork.register(BEFORE, after_in_child=child)
begun = threading.Event()
if AWAIT:
    threading.Thread(target=waits.interrupt, args=(threading.get_ident(), begun)).start()
begun.set()
try:
    pid = os.fork()
    signal.pause()
except KeyboardInterrupt:
    print("interrupted")
waits.go.set()
print(stuck.tolist(), behind.tolist(), ops.exp(x))
os.waitpid(pid, 0)
print(os.read(reader, 1000).decode())
"""
    in_the_wait = program.replace("BEFORE", "None").replace("AWAIT", "True")
    # And before it: then there is no wait at all.
    before_it = program.replace("BEFORE", "lambda: waits.interrupt_main()").replace(
        "AWAIT", "False"
    )
    for text in in_the_wait, before_it:
        # a thread lives here: the stuck one
        code, output, error = run(text, PYTHONWARNINGS="ignore::DeprecationWarning")
        assert (code, error) == (0, "")
        lines = output.splitlines()
        assert lines[:2] == ["interrupted", "[2.0] [3.0] 1.0"]
        assert lines[2].startswith(
            "[wait] was still being computed when this process was forked (issued at "
        )
        assert lines[3].startswith(
            "[add] was still queued when this process was forked (issued at "
        )
        assert lines[4] == "1.0"


def test_a_fork_whose_wait_was_ended_while_another_thread_begins_one() -> None:
    program = """
import signal, threading
import minitensor
import waits
from children import in_child
others = threading.Event()
def in_both():
    if threading.current_thread() is threading.main_thread():
        waits.interrupt_main()
        threading.Event().is_set()  # where it rises, if not in the line before
    else:
        others.set()
def in_main():
    if threading.current_thread() is threading.main_thread():
        thread.start()
        others.wait()
minitensor.fork.register(in_main, level=minitensor.fork.USER)
minitensor.fork.register(in_both, level=minitensor.fork.USER + 1)
thread = threading.Thread(target=lambda: in_child(lambda: None))
try:
    in_child(lambda: None)
    signal.pause()
except KeyboardInterrupt:
    thread.join()
    print("interrupted")
"""
    assert run(program, PYTHONWARNINGS="ignore::DeprecationWarning") == (0, "interrupted\n", "")


# --- the end of the program -----------------------------------------------------------------------
def test_the_exit_code_of_an_interrupted_program_is_pythons() -> None:
    program = """
import atexit, threading
import waits
t = waits.stuck()
atexit.register(waits.go.set)  # before the framework's own wait at the end
begun = threading.Event()
threading.Thread(target=waits.interrupt, args=(threading.get_ident(), begun)).start()
def read():
    begun.set()
    t.asnumpy()
read()
"""
    code, _, error = run(program)
    assert code == -signal.SIGINT and error.rstrip().endswith("KeyboardInterrupt")


STUCK = """
import os, signal
import waits
stuck = waits.stuck()
behind = [stuck + i for i in range(10)]
print("end", flush=True)
"""


def test_stuck_work_does_not_keep_the_program() -> None:
    code, output, error = run(STUCK, MINITENSOR_EXIT_SECONDS="1")
    assert (code, output) == (0, "end\n")
    assert (
        "[shutdown] abandons queued work: wait (" in error
        and "waits.py:" in error
        and " and 10 more" in error
    )


def test_it_ends_the_wait_at_the_end() -> None:
    program = STUCK + """
import logging
class Interrupts(logging.Handler):
    def emit(self, record):  # the wait lasts: Ctrl-C
        waits.interrupt_main()
logging.getLogger("minitensor").addHandler(Interrupts())
"""
    code, output, error = run(program)
    assert (code, output) == (0, "end\n") and "KeyboardInterrupt" in error
