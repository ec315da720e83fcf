"""The fork protocol, with every kind of fork and a look at each of its steps."""

from __future__ import annotations

import concurrent.futures
import logging
import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from children import in_child

import minitensor.multiprocessing
from minitensor import Tensor, fork, ops, trace
from minitensor.backend.core import lib


def busy() -> Tensor:
    """Return a tensor that a worker thread has still to compute."""
    return ops.exp(ops.log(Tensor(np.full(300_000, 2.0, np.float32))))


def compute() -> float:
    return round(float(busy().sum()), 1)


def test_the_child_computes_and_has_its_parents_values() -> None:
    value = busy()
    text = in_child(lambda: (round(float(value.sum()), 1), compute(), lib.mt_thread_count()))
    assert text == "(600000.0, 600000.0, 1)"
    assert compute() == 600_000


@pytest.mark.parametrize(
    "package", [multiprocessing, minitensor.multiprocessing], ids=["standard", "ours"]
)
def test_with_multiprocessing(package: object) -> None:
    context = package.get_context("fork")  # type: ignore[attr-defined]
    busy()
    with context.Pool(2) as pool:
        assert pool.map(np.log, [2.0]) == [np.log(2.0)]
        assert pool.apply(compute) == 600_000
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
        busy()
        assert executor.submit(compute).result() == 600_000


def test_the_child_has_blas() -> None:
    a = np.eye(300) * 2  # large enough for the library's own threads
    before = a @ a
    product = ops.matmul(Tensor(a), Tensor(a))
    text = in_child(
        lambda: (
            float((a @ a).sum()),
            float(ops.matmul(Tensor(a), Tensor(a)).sum()),
            float(product.sum()),
        )
    )
    assert text == "(1200.0, 1200.0, 1200.0)" and before.sum() == 1200


def test_grandchildren() -> None:
    text = in_child(lambda: f"{compute()} {in_child(lambda: f'{compute()} {in_child(compute)}')}")
    assert text.count("600000.0") == 3 and "Error" not in text


def test_forks_while_threads_compute() -> None:
    stop, failures = threading.Event(), []

    def work() -> None:
        try:
            while not stop.is_set():
                assert compute() == 600_000
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert [in_child(compute) for _ in range(50)] == ["600000.0"] * 50
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures


def test_threads_that_fork_at_once_take_turns() -> None:
    start, results = threading.Barrier(4), []

    def forks() -> None:
        start.wait()
        results.extend(in_child(compute) for _ in range(10))

    threads = [threading.Thread(target=forks) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["600000.0"] * 40


def test_a_fork_inside_a_host_call() -> None:
    go, queued = threading.Event(), []

    def forks(a: np.ndarray) -> np.ndarray:
        assert go.wait(60)
        said.append(in_child(lambda: (compute(), queued[0].asnumpy())))
        return a + 1

    said: list[str] = []
    t = ops.host_call(forks, [Tensor([1.0])], shape=1, dtype="float32")
    queued.append(t * 2)
    go.set()
    assert queued[0].tolist() == [4.0]  # the parent's queue goes on
    assert said[0].startswith(
        "RuntimeError: [mul] was still queued when this process was forked (issued at "
    )


def test_the_parents_errors_are_the_parents() -> None:
    failed = Tensor([1]) // Tensor([0])
    text = in_child(lambda: minitensor.runtime.synchronize())
    assert text == "None"
    with pytest.raises(ZeroDivisionError):
        failed.asnumpy()


def test_no_threads_at_the_fork_and_no_warning_about_them() -> None:
    # "always" and not "error": the interpreter drops an exception that this warning becomes.
    program = """
import os, warnings
warnings.simplefilter("always")
import numpy as np
from minitensor import Tensor, fork, ops
def threads():
    return len(os.listdir("/proc/self/task"))
fork.register(before=lambda: print(threads(), flush=True), level=0)  # comes last
t = ops.exp(Tensor(np.ones(1_000_000)))
print(threads() > 1, flush=True)
pid = os.fork()
if pid == 0:
    os._exit(0 if threads() == 1 and abs(t.asnumpy()[0] - np.e) < 1e-9 else 1)
print(os.waitpid(pid, 0)[1], ops.log(Tensor(1.0)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
        timeout=60,
                          env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})  # fmt: skip
    assert (done.stdout, done.stderr) == ("True\n1\n0 0.0\n", "")


def test_the_steps_are_traced() -> None:
    busy()
    trace.clear()
    in_child(compute)
    kinds = [event.kind for event in trace.events("fork")]
    assert [kind for kind in kinds if kind != "fork.foreign_threads"] == [
        "fork.begin", "fork.drained", "fork.joined", "fork.parent",
    ]  # fmt: skip
    assert "fork.child" in in_child(lambda: [event.kind for event in trace.events("fork")])


def test_a_drain_that_lasts_says_what_it_waits_for() -> None:
    go, said = threading.Event(), []

    class Opens(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())
            go.set()  # the fork goes on only now

    handler, log = Opens(), logging.getLogger("minitensor")
    log.addHandler(handler)
    try:
        t = ops.host_call(
            lambda a: a if go.wait(60) else None, [Tensor([1.0])], shape=1, dtype="float32",
            name="patient",
        )  # fmt: skip
        assert in_child(compute) == "600000.0"
    finally:
        log.removeHandler(handler)
    assert t.tolist() == [1.0]
    assert (
        said[0].startswith("[fork] a fork waits for queued work: patient (")
        and "test_fork.py:" in said[0]
    )


def test_participants_run_in_the_order_of_their_layers(caplog: pytest.LogCaptureFixture) -> None:
    steps: list[str] = []
    members = [
        fork.register(*(lambda s=step, n=name: steps.append(f"{s} {n}") for step in ("before",
            "parent", "child")), name=name, level=level)
        for name, level in (("high", 8), ("low", 7), ("user", fork.USER))
    ]  # fmt: skip

    def fail() -> None:
        steps.append("failing")
        raise RuntimeError("on purpose")

    members.append(
        fork.register(
            before=fail, after_in_parent=fail, after_in_child=fail, name="broken", level=7
        )
    )
    reports: list[str] = []
    try:
        with caplog.at_level(logging.ERROR, "minitensor"):
            child = in_child(lambda: (steps, [record.getMessage() for record in caplog.records]))
        reports = [record.getMessage() for record in caplog.records]
    finally:
        for member in members:
            fork.unregister(member)
    # of equal levels, the last one registered runs first
    before = ["before user", "before high", "failing", "before low"]
    assert steps == [*before, "parent low", "failing", "parent high", "parent user"]

    def reported(*phases: str) -> list[str]:
        return [f"[fork] participant broken failed {phase}; the fork goes on" for phase in phases]

    assert child == repr(
        (
            [*before, "child low", "failing", "child high", "child user"],
            reported("before the fork", "in the child"),
        )
    )
    assert reports == reported("before the fork", "in the parent") and "on purpose" in caplog.text
    with pytest.raises(ValueError, match="must be registered"):
        fork.unregister(members[0])


def test_a_tensor_freed_by_another_hook_in_the_middle_of_a_fork() -> None:
    held = [ops.zeros(1000) for _ in range(10)]
    # Lower than the executor's level: runs after it has taken its locks.
    member = fork.register(
        before=held.clear, after_in_child=lambda: ops.zeros(10).sum(), name="drops", level=0
    )
    try:
        assert in_child(compute) == "600000.0"
    finally:
        fork.unregister(member)
    assert not held


def test_an_op_in_the_middle_of_a_fork_runs_on_the_spot() -> None:
    seen: list[float] = []
    member = fork.register(before=lambda: seen.append(compute()), name="computes", level=0)
    try:
        assert in_child(compute) == "600000.0"
    finally:
        fork.unregister(member)
    assert seen == [600_000.0]


def test_spawn_has_nothing_of_this() -> None:
    trace.clear()
    with minitensor.multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(compute) == 600_000
    assert trace.events("fork") == []


def test_subprocess_is_left_alone() -> None:
    value = busy()
    trace.clear()
    assert subprocess.run(["true"], check=True).returncode == 0
    assert trace.events("fork") == [] and round(float(value.sum())) == 600_000


def test_a_fork_that_fails_leaves_the_parent_as_it_was() -> None:
    program = """
import os, resource, threading
import numpy as np
from minitensor import Tensor, fork, ops
steps = []
fork.register(*(lambda step=step: steps.append(step) for step in ("before", "parent", "child")))
large = Tensor(np.zeros(300_000))
t = ops.exp(large)  # on a thread, which the fork joins
limits = resource.getrlimit(resource.RLIMIT_NPROC)
os.setuid(65534)
resource.setrlimit(resource.RLIMIT_NPROC, (1, limits[1]))
try:
    os.fork()
except BlockingIOError:
    print("refused", float(t.asnumpy().sum()), float(ops.exp(Tensor(0.0))), steps)
resource.setrlimit(resource.RLIMIT_NPROC, limits)
print(float(ops.exp(large).sum()))  # here, and in another thread
other = threading.Thread(target=lambda: print(float(ops.exp(large).sum())))
other.start()
other.join()
pid = os.fork()
if pid == 0:
    os._exit(int(float(ops.exp(large).sum()) != 300_000))
print(os.waitpid(pid, 0)[1])
"""
    if os.getuid() != 0:
        program = program.replace("os.setuid(65534)\n", "")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
        timeout=60,
                          env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})  # fmt: skip
    assert (done.stdout, done.stderr) == (
        "refused 300000.0 1.0 ['before', 'parent']\n300000.0\n300000.0\n0\n",
        "",
    )
