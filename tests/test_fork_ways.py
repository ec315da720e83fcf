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

import children
import numpy as np
import pytest
from children import in_child
from races import held, until_in

import minitensor.multiprocessing
from minitensor import Tensor, ops, runtime, trace
from minitensor.backend import core, lifecycle
from minitensor.backend.core import lib

SUPPORT = os.path.dirname(children.__file__)
PACKAGES = pytest.mark.parametrize(
    "package", [multiprocessing, minitensor.multiprocessing], ids=["standard", "ours"]
)


def busy() -> Tensor:
    """Return a tensor that a worker thread has still to compute."""
    return ops.exp(ops.log(Tensor(np.full(300_000, 2.0, np.float32))))


def compute() -> float:
    return round(float(busy().sum()), 1)


def run(program: str, **env: str) -> tuple[int, str, str]:
    """Run a program in an interpreter of its own; return exit code, output and errors."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60,
        env={**os.environ, **env},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


class Thread(threading.Thread):
    """A thread that raises its error again at `finish`."""

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


# --- ways in --------------------------------------------------------------------------------------
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
        main = threading.get_ident()
        sender = Thread(
            lambda: (
                entered.wait(60),
                until_in(main, core.wait_slices),
                os.kill(os.getpid(), signal.SIGUSR1),
            )
        )
        runtime.synchronize()
        sender.finish()
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert (seen, t.tolist()) == (["600000.0"], [1.0])


def test_from_a_signal_handler_in_the_middle_of_a_fork() -> None:
    """Fork in a handler that ends the task for which the first fork waits."""
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
    assert run(program % SUPPORT) == (0, "inner 1.0\nouter [1.0] [1.0]\n", "")


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
    program = program.replace("AFTER", register if registered == "after" else "").replace(
        "%r", repr(SUPPORT)
    )
    code, output, error = run(program)
    if "can't fork at interpreter shutdown" in error and sys.version_info[:2] == (3, 12):
        return  # 3.12 alone refuses it
    assert (code, output, error) == (0, "(300000.0, 300000.0) 300000.0\n", "")


@PACKAGES
def test_workers_that_a_pool_replaces(package: object) -> None:
    busy()
    with package.get_context("fork").Pool(2,
        maxtasksperchild=1) as pool:  # type: ignore[attr-defined]
        assert [pool.apply_async(compute).get(60) for _ in range(6)] == [600_000] * 6


# --- awkward moments ------------------------------------------------------------------------------
@pytest.mark.parametrize("point", ["SUBMIT", "ALLOC"])
def test_a_fork_passes_a_thread_that_is_held_at(point: str) -> None:
    """The thread has taken nothing yet and holds no lock."""
    runtime.synchronize()
    runtime.empty_cache()  # or no memory would be asked of the system
    with held(getattr(lib, f"MT_POINT_{point}")) as hold:
        computing = Thread(compute)
        hold.wait()
        assert in_child(compute) == "600000.0"
        hold.go()
        assert computing.finish() == 600_000


@pytest.mark.parametrize("point", ["TAKEN", "RUN"])
def test_a_fork_waits_for_a_task_that_is_held_at(point: str) -> None:
    with held(getattr(lib, f"MT_POINT_{point}")) as hold:
        t = busy()
        hold.wait()
        trace.clear()
        forking = Thread(lambda: in_child(lambda: (float(t.sum()), compute())))
        until_in(forking.ident, lifecycle._drain)
        assert [event.kind for event in trace.events("fork")] == ["fork.begin"]
        hold.go()
        assert forking.finish() == "(600000.0, 600000.0)"


def test_an_op_waits_for_a_fork_that_is_held_while_it_joins_a_thread() -> None:
    with held(lib.MT_POINT_JOIN) as hold:
        busy()
        forking = Thread(lambda: in_child(compute))
        hold.wait()
        by_the_host = Thread(
            lambda: ops.exp(Tensor(np.zeros(20_000, np.complex64))).asnumpy().sum().real
        )
        until_in(by_the_host.ident, core._submit)
        with held(lib.MT_POINT_SUBMIT) as submitting:
            computing = Thread(compute)
            submitting.wait()
            submitting.go()
        assert computing.is_alive() and by_the_host.is_alive() and forking.is_alive()
        hold.go()
        assert (forking.finish(), computing.finish(), by_the_host.finish()) == (
            "600000.0",
            600_000,
            20_000,
        )


def test_a_second_fork_waits_for_one_that_is_held() -> None:
    with held(lib.MT_POINT_JOIN) as hold:
        busy()
        first = Thread(lambda: in_child(compute))
        hold.wait()
        trace.clear()
        second = Thread(lambda: in_child(compute))
        until_in(second.ident, lifecycle._drain)
        assert [event.kind for event in trace.events("fork")] == ["fork.begin"]
        hold.go()
        assert (first.finish(), second.finish()) == ("600000.0", "600000.0")


def test_while_another_thread_waits_in_synchronize() -> None:
    go = threading.Event()
    t = ops.host_call(
        lambda a: a if go.wait(60) else None, [Tensor([1.0])], shape=1, dtype="float32"
    )
    waiting = Thread(runtime.synchronize)
    until_in(waiting.ident, core.wait_slices)
    forking = Thread(lambda: in_child(lambda: (t.tolist(), compute())))
    until_in(forking.ident, lifecycle._drain)
    go.set()
    assert forking.finish() == "([1.0], 600000.0)"
    waiting.finish()


def test_while_another_thread_is_blocked_on_the_bound_of_queued_work() -> None:
    program = """
import sys, threading
import numpy as np
sys.path.insert(0, %r)
from children import in_child
from minitensor import Tensor, fork, ops
from minitensor.backend import core
from races import until, until_in
# Complex numbers: the host computes them, and the trace shows what Python submits.
go, ones = threading.Event(), np.ones(100_000, np.complex64)
wait = lambda a: a if go.wait(30) else None
first = ops.host_call(wait, [Tensor([1.0])], shape=1, dtype="float32")
def submit():
    for i in range(20):
        done.append(ops.exp(Tensor(ones)))
done = []
thread = threading.Thread(target=submit)
thread.start()
until(lambda: len(done) == 3)  # the first host task, three of these; the next has to wait
until_in(thread.ident, core._submit)
fork.register(before=go.set)
print(in_child(lambda: round(float(ops.log(done[2]).asnumpy().real.sum()))), first.tolist())
thread.join()
print(len(done), all(np.allclose(t.asnumpy(), np.e, 1e-3) for t in done))
"""
    assert run(program % SUPPORT, MINITENSOR_QUEUE_TASKS="4") == (0, "100000 [1.0]\n20 True\n", "")


def test_while_the_garbage_collector_frees_tensors() -> None:
    stop = threading.Event()

    def litter() -> None:
        while not stop.is_set():
            cycle: list[object] = [
                ops.exp(Tensor(np.zeros(20_000))),
                Tensor(np.zeros(100)).asnumpy(),
            ]
            cycle.append(cycle)
            del cycle
            gc.collect()

    threads = [Thread(litter) for _ in range(2)]
    try:
        assert [in_child(lambda: (gc.collect() >= 0, compute())) for _ in range(20)] == [
            "(True, 600000.0)"
        ] * 20
    finally:
        stop.set()
        for thread in threads:
            thread.finish()


def test_during_an_asynchronous_error() -> None:
    for _ in range(20):
        failed = ops.exp(Tensor(np.ones(300_000, np.int32)) // Tensor(np.zeros(300_000, np.int32)))
        after = failed + 1
        child = in_child(lambda after=after: after.asnumpy())
        assert child.startswith(
            "ZeroDivisionError: [floor_divide] integer division by zero (issued at "
        )
        assert in_child(lambda: runtime.synchronize()) == "None"  # the parent's to be told of
        with pytest.raises(ZeroDivisionError):
            after.asnumpy()


def test_a_thread_that_ends_while_its_tasks_run() -> None:
    go, made = threading.Event(), []
    thread = Thread(lambda: made.append(
        ops.host_call(lambda a: a * 2 if go.wait(60) else None, [Tensor([1.0])], shape=1,
            dtype="float32") + 1
    ))  # fmt: skip
    thread.finish()
    go.set()
    assert in_child(lambda: made[0].tolist()) == "[3.0]" and made[0].tolist() == [3.0]


# --- ends of a child ------------------------------------------------------------------------------
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
    process = package.get_context("fork").Process(target=_end,
        args=(how, end))  # type: ignore[attr-defined]
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
            "a signal": "os.kill(os.getpid(), signal.SIGTERM)",
            "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)"}  # fmt: skip
    assert run(program.replace("END", ends[how])) == (0, f"{code} 300000.0\n", "")


# --- the end of the program -----------------------------------------------------------------------
def test_queued_work_is_done_before_the_program_ends() -> None:
    program = """
import atexit, threading
import numpy as np
from minitensor import Tensor, ops
gate = threading.Event()
ops.host_call(lambda: float(gate.wait(60)), [], shape=(), dtype="float32")
t = Tensor(np.zeros(100_000, np.float32))
for _ in range(20):
    t = ops.log(ops.exp(t))
ops.host_call(lambda a: print("last", float(a.sum())) or a, [t], shape=t.shape, dtype=t.dtype)
atexit.register(lambda: (print("end", flush=True), gate.set()))
"""
    assert run(program) == (0, "end\nlast 0.0\n", "")


def test_many_children_leave_nothing_behind() -> None:
    def descriptors() -> list[str]:
        return sorted(os.listdir("/proc/self/fd"))

    gc.collect()
    in_child(compute)
    before = descriptors()
    assert [in_child(compute) for _ in range(20)] == ["600000.0"] * 20
    assert descriptors() == before
