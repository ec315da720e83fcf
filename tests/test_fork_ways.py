"""Every way into a fork, every way out of a child, and the moments at which a fork is awkward."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest
from children import in_child
from races import held

import minitensor.multiprocessing
from minitensor import Tensor, ops, runtime, trace
from minitensor.backend.native import lib

PACKAGES = pytest.mark.parametrize("package", [multiprocessing, minitensor.multiprocessing], ids=["standard", "ours"])


def busy() -> Tensor:
    """A value that a worker thread has still to make."""
    return ops.exp(ops.log(Tensor(np.full(300_000, 2.0, np.float32))))


def compute() -> float:
    return round(float(busy().sum()), 1)


def run(program: str, *, signals: Callable[[subprocess.Popen[str]], None] | None = None, **env: str) -> tuple[int, str, str]:
    """A program in an interpreter of its own: exit code, output, errors."""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env={**os.environ, **env})  # fmt: skip
    try:
        if signals is not None:
            signals(process)
        output, error = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    return process.returncode, output, error


class Thread(threading.Thread):
    """A thread whose failure is the test's."""

    def __init__(self, target: Callable[[], object]) -> None:
        super().__init__()
        self.work, self.result, self.error = target, None, None
        self.start()

    def run(self) -> None:
        try:
            self.result = self.work()
        except BaseException as error:
            self.error = error

    def finish(self) -> object:
        self.join(60)
        assert not self.is_alive()
        if self.error is not None:
            raise self.error
        return self.result


# --- ways in ----------------------------------------------------------------------------------------------------------
def test_forkpty() -> None:
    value = busy()
    pid, terminal = os.forkpty()
    if pid == 0:
        try:
            os.write(1, f"{float(value.sum())} {compute()}".encode())
        finally:
            os._exit(0)
    output = b""
    while True:
        try:
            chunk = os.read(terminal, 1000)
        except OSError:  # Linux says EIO when the other side of a terminal is gone
            break
        if not chunk:
            break
        output += chunk
    os.close(terminal)
    assert (output, os.waitpid(pid, 0)[1]) == (b"600000.0 600000.0", 0)


def test_from_a_thread() -> None:
    assert Thread(lambda: in_child(compute)).finish() == "600000.0"


def test_from_a_signal_handler_while_the_main_thread_waits() -> None:
    seen: list[str] = []
    gate = threading.Event()

    def handler(number: int, frame: object) -> None:
        gate.set()  # the wait that the signal interrupts ends only now
        seen.append(in_child(compute))

    previous = signal.signal(signal.SIGUSR1, handler)
    entered = threading.Event()

    def wait(a: np.ndarray) -> np.ndarray:
        entered.set()
        assert gate.wait(60)
        return a

    try:
        t = ops.host_call(wait, [Tensor([1.0])], shape=1, dtype="float32")
        sender = Thread(lambda: entered.wait(60) and os.kill(os.getpid(), signal.SIGUSR1))
        runtime.synchronize()
        sender.finish()
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert (seen, t.tolist()) == (["600000.0"], [1.0])


def test_from_a_signal_handler_in_the_middle_of_a_fork() -> None:
    """The first fork waits for a task that the handler lets end; the handler forks, too."""
    program = """
import concurrent.futures.thread, os, signal, sys, threading
import numpy as np
from minitensor import Tensor, ops
sys.path.insert(0, %r)
from children import in_child
gate = threading.Event()
def handler(number, frame):
    gate.set()
    print("inner", in_child(lambda: float(ops.exp(Tensor(0.0)))))
signal.signal(signal.SIGUSR1, handler)
def wait(a):
    os.kill(os.getpid(), signal.SIGUSR1)
    return a if gate.wait(30) else None
t = ops.host_call(wait, [Tensor([1.0])], shape=1, dtype="float32")
print("outer", in_child(lambda: t.tolist()), t.tolist())
"""
    assert run(program % os.path.dirname(__file__)) == (0, "inner 1.0\nouter [1.0] [1.0]\n", "")


@pytest.mark.parametrize("registered", ["before", "after"])
def test_from_atexit(registered: str) -> None:
    program = """
import atexit, os, sys
sys.path.insert(0, %r)
def at_exit():
    from children import in_child
    t = ops.exp(Tensor(np.zeros(300_000, np.float32)))
    print(in_child(lambda: (float(t.sum()), float(ops.abs(t).sum()))), float(t.sum()))
BEFORE
import numpy as np
from minitensor import Tensor, ops
AFTER
queued = ops.exp(Tensor(np.zeros(300_000)))
"""
    register = "atexit.register(at_exit)"
    program = program.replace("BEFORE", register if registered == "before" else "")
    program = program.replace("AFTER", register if registered == "after" else "").replace("%r", repr(os.path.dirname(__file__)))
    code, output, error = run(program)
    if "can't fork at interpreter shutdown" in error and sys.version_info[:2] == (3, 12):
        return  # 3.12 alone refuses it
    assert (code, output, error) == (0, "(300000.0, 300000.0) 300000.0\n", "")


@PACKAGES
def test_workers_that_a_pool_replaces(package: object) -> None:
    busy()
    with package.get_context("fork").Pool(2, maxtasksperchild=1) as pool:  # type: ignore[attr-defined]
        assert [pool.apply_async(compute).get(60) for _ in range(6)] == [600_000] * 6


# --- awkward moments --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("point", ["SUBMIT", "TAKEN", "RUN", "JOIN", "ALLOC"])
def test_a_fork_meets_a_thread_at(point: str) -> None:
    """Two threads compute and fork; one of them is held at a point of the core until the other is where it has to wait."""
    with held(getattr(lib, f"MT_POINT_{point}")) as hold:
        if point == "JOIN":  # reached by the fork itself: meanwhile others submit
            busy()
            forking = Thread(lambda: in_child(compute))
            hold.wait()
            computing = Thread(compute)
        else:
            runtime.empty_cache()  # or no memory would be asked of the system
            computing = Thread(compute)
            hold.wait()
            forking = Thread(lambda: in_child(compute))
        hold.go()
        assert (forking.finish(), computing.finish()) == ("600000.0", 600_000)


def test_a_task_in_hand_is_waited_for() -> None:
    with held(lib.MT_POINT_RUN) as hold:
        t = busy()
        hold.wait()  # done, but nobody knows
        trace.clear()
        warned = threading.Event()
        forking = Thread(lambda: (in_child(lambda: float(t.sum())), warned.set())[0])
        assert not warned.is_set() and "fork.joined" not in [event.kind for event in trace.events("fork")]
        hold.go()
        assert forking.finish() == "600000.0"


def test_while_another_thread_waits_in_synchronize() -> None:
    go = threading.Event()
    t = ops.host_call(lambda a: a if go.wait(60) else None, [Tensor([1.0])], shape=1, dtype="float32")
    waiting = Thread(runtime.synchronize)
    forking = Thread(lambda: in_child(lambda: (t.tolist(), compute())))
    go.set()
    assert forking.finish() == "([1.0], 600000.0)"
    waiting.finish()


def test_while_another_thread_is_blocked_on_the_bound_of_queued_work() -> None:
    program = """
import sys, threading
import numpy as np
sys.path.insert(0, %r)
from children import in_child
from minitensor import Tensor, ops, runtime
go, ones = threading.Event(), np.ones(100_000, np.float32)
first = ops.host_call(lambda a: a if go.wait(30) else None, [Tensor([1.0])], shape=1, dtype="float32")
def submit():
    for i in range(20):
        done.append(ops.exp(Tensor(ones)))
done = []
thread = threading.Thread(target=submit)
thread.start()
while len(done) < 3:  # the first host task, three of these; the next has to wait
    pass
threading.Timer(0.1, go.set).start()
print(in_child(lambda: round(float(ops.log(done[2]).sum()))), first.tolist())
thread.join()
print(len(done), all(np.allclose(t.asnumpy(), np.e) for t in done))
"""
    assert run(program % os.path.dirname(__file__), MINITENSOR_QUEUE_TASKS="4") == (0, "100000 [1.0]\n20 True\n", "")


def test_while_the_garbage_collector_frees_tensors() -> None:
    stop = threading.Event()

    def litter() -> None:
        while not stop.is_set():
            cycle: list[object] = [ops.exp(Tensor(np.zeros(20_000))), Tensor(np.zeros(100)).asnumpy()]
            cycle.append(cycle)
            del cycle
            gc.collect()

    threads = [Thread(litter) for _ in range(2)]
    try:
        assert [in_child(lambda: (gc.collect() >= 0, compute())) for _ in range(20)] == ["(True, 600000.0)"] * 20
    finally:
        stop.set()
        for thread in threads:
            thread.finish()


def test_during_an_asynchronous_error() -> None:
    for _ in range(20):
        failed = ops.exp(Tensor(np.ones(300_000, np.int32)) // Tensor(np.zeros(300_000, np.int32)))
        after = failed + 1
        child = in_child(lambda after=after: after.asnumpy())
        assert child.startswith("ZeroDivisionError: [floor_divide] integer division by zero (issued at ")
        assert in_child(lambda: runtime.synchronize()) == "None"  # the parent's to be told of
        with pytest.raises(ZeroDivisionError):
            after.asnumpy()


def test_a_thread_that_ends_while_its_tasks_run() -> None:
    go, made = threading.Event(), []
    thread = Thread(lambda: made.append(
        ops.host_call(lambda a: a * 2 if go.wait(60) else None, [Tensor([1.0])], shape=1, dtype="float32") + 1
    ))  # fmt: skip
    thread.finish()
    go.set()
    assert in_child(lambda: made[0].tolist()) == "[3.0]" and made[0].tolist() == [3.0]


# --- interrupts -------------------------------------------------------------------------------------------------------
def test_ctrl_c_ends_the_wait_of_a_fork() -> None:
    program = """
import os, signal, threading
from minitensor import Tensor, ops
go, entered = threading.Event(), threading.Event()
def wait(a):
    entered.set()
    return a if go.wait(30) else None
stuck = ops.host_call(wait, [Tensor([1.0])], shape=1, dtype="float32", name="stuck")
behind = stuck + 1
entered.wait()
reader, writer = os.pipe()
def child():
    for t in stuck, behind, ops.exp(Tensor(0.0)):
        try:
            os.write(writer, f"{t.tolist()}\\n".encode())
        except RuntimeError as error:
            os.write(writer, f"{error}\\n".encode())
    os._exit(0)
import minitensor
minitensor.fork.register(after_in_child=child)
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    pid = os.fork()
    threading.Event().wait(30)
except KeyboardInterrupt:
    print("interrupted")
go.set()
print(stuck.tolist(), behind.tolist(), ops.exp(Tensor(0.0)))
os.waitpid(pid, 0)
print(os.read(reader, 1000).decode())
"""
    code, output, error = run(program, PYTHONWARNINGS="ignore::DeprecationWarning")  # a thread lives here: the stuck one
    assert (code, error) == (0, "")
    lines = output.splitlines()
    assert lines[:2] == ["interrupted", "[1.0] [2.0] 1.0"]
    assert lines[2].startswith("[stuck] was still being computed when this process was forked (issued at ")
    assert lines[3].startswith("[add] was still queued when this process was forked (issued at ")
    assert lines[4] == "1.0"


# --- ends of a child --------------------------------------------------------------------------------------------------
ENDS: dict[str, tuple[Callable[[], object], int]] = {
    "sys.exit": (lambda: sys.exit(3), 3),
    "os._exit": (lambda: os._exit(4), 4),
    "an exception": (lambda: 1 // 0, 1),
    "a signal": (lambda: os.kill(os.getpid(), signal.SIGTERM), -signal.SIGTERM),
    "SIGKILL": (lambda: os.kill(os.getpid(), signal.SIGKILL), -signal.SIGKILL),
}


def _end(how: str, end: Callable[[], object]) -> None:
    if how == "an exception":
        sys.stderr = open(os.devnull, "w")  # its traceback is not of this test run
    queued = [busy() for _ in range(3)]
    end()
    del queued


@pytest.mark.parametrize("how", ENDS)
@PACKAGES
def test_a_child_ends_by(how: str, package: object) -> None:
    end, code = ENDS[how]
    process = package.get_context("fork").Process(target=_end, args=(how, end))  # type: ignore[attr-defined]
    value = busy()
    process.start()
    process.join(60)
    assert process.exitcode == code
    assert round(float(value.sum()), 1) == 600_000


@pytest.mark.parametrize("how", ENDS)
def test_a_plain_child_ends_by(how: str) -> None:
    end, code = ENDS[how]
    program = """
import os, signal, sys
import numpy as np
from minitensor import Tensor, ops
value = ops.exp(Tensor(np.zeros(300_000, np.float32)))
pid = os.fork()
if pid == 0:
    queued = [ops.exp(value) for _ in range(3)]
    sys.stderr = None
    END
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), float(value.sum()))
"""
    ends = {"sys.exit": "sys.exit(3)", "os._exit": "os._exit(4)", "an exception": "1 // 0",
            "a signal": "os.kill(os.getpid(), signal.SIGTERM)", "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)"}  # fmt: skip
    assert run(program.replace("END", ends[how])) == (0, f"{code} 300000.0\n", "")


# --- the end of the program -------------------------------------------------------------------------------------------
def test_queued_work_is_done_before_the_program_ends() -> None:
    program = """
import numpy as np
from minitensor import Tensor, ops
t = Tensor(np.zeros(100_000, np.float32))
for _ in range(20):
    t = ops.log(ops.exp(t))
ops.host_call(lambda a: print("last", float(a.sum())) or a, [t], shape=t.shape, dtype=t.dtype)
print("end")
"""
    assert run(program) == (0, "end\nlast 0.0\n", "")


STUCK = """
import os, signal, sys, threading
from minitensor import Tensor, ops
entered = threading.Event()
def wait(a):
    entered.set()
    threading.Event().wait()
stuck = ops.host_call(wait, [Tensor([1.0])], shape=1, dtype="float32", name="stuck")
behind = [stuck + i for i in range(10)]
entered.wait()
print("end", flush=True)
"""


def test_stuck_work_does_not_keep_the_program() -> None:
    code, output, error = run(STUCK, MINITENSOR_EXIT_SECONDS="1")
    assert (code, output) == (0, "end\n")
    assert "[shutdown] gives up what is still queued: stuck (<string>:8) and 10 more" in error


def test_ctrl_c_ends_the_wait_at_the_end() -> None:
    program = STUCK + """
import logging
class Interrupts(logging.Handler):
    def emit(self, record):  # the wait lasts: Ctrl-C
        os.kill(os.getpid(), signal.SIGINT)
logging.getLogger("minitensor").addHandler(Interrupts())
"""
    code, output, error = run(program)
    assert (code, output) == (0, "end\n") and "KeyboardInterrupt" in error


def test_the_exit_code_of_an_interrupted_program_is_pythons() -> None:
    program = """
import os, signal, threading
from minitensor import Tensor, ops
go = threading.Event()
t = ops.host_call(lambda a: a if go.wait(30) else None, [Tensor([1.0])], shape=1, dtype="float32")
def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    import time; time.sleep(0.2)  # the interrupt ends the read before its value can
    go.set()
threading.Timer(0.2, interrupt).start()
t.asnumpy()
"""
    code, _, error = run(program)
    assert code == -signal.SIGINT and error.rstrip().endswith("KeyboardInterrupt")


def test_many_children_leave_nothing_behind() -> None:
    def descriptors() -> list[str]:
        return sorted(os.listdir("/proc/self/fd"))

    gc.collect()
    in_child(compute)
    before = descriptors()
    assert [in_child(compute) for _ in range(20)] == ["600000.0"] * 20
    assert descriptors() == before
