"""Forks by every way there is, in random order, while threads compute, allocate, fail and free.

    python tests/stress/fork_chaos.py [-n 500] [--seed 1]

Each child looks at its parent's values, computes, uses NumPy's BLAS, forks again now and then, and
is killed now and then.  Some have another user, no descriptors or no place in the shared memory,
become another program, stand still for a while, or end with work in their queue whose effects must
be there. The threads compute, allocate, fail, free, leave cycles to the garbage collector, wait in
`synchronize`, and for room in a short queue.  Each fork counts as right when its child said
exactly what it had to say and ended as it had to; in the end no process, no descriptor and no
memory, shared or not, may be left over.  The seed fixes the order of ways, values, grandchildren
and kills; how the threads interleave is the machine's.  Ends with 1 when anything was wrong.
"""

from __future__ import annotations

import argparse
import atexit
import concurrent.futures
import ctypes
import errno
import faulthandler
import gc
import multiprocessing
import os
import pickle
import random
import resource
import select
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import minitensor.multiprocessing
from minitensor import Tensor, ops, runtime, trace
from minitensor.backend import lifecycle
from minitensor.backend.core import ffi, lib
from minitensor.multiprocessing.reductions import dumps
from minitensor.sharing import Channel, have_arena, sharing_stats

PATIENCE = 60  # seconds after which a child that says nothing hangs
QUEUE = 8  # tasks that a stream takes before its submitter has to wait
SIZE = 40_000  # elements: more than runs in the submitter's thread


def answer(x: Tensor, k: int) -> str:
    """What a child has to say: the parent's value, one of its own, BLAS, and that it is a child."""
    own = float(ops.abs(ops.exp(x * 0) * k).sum())
    product = float((np.full((64, 64), k) @ np.eye(64)).sum())
    return f"{float(x.sum())} {own} {product} {lib.mt_thread_count()}"


def expected(k: int) -> str:
    return f"{float(SIZE * k)} {float(SIZE * k)} {float(64 * 64 * k)} 1"


def check(x: Tensor, k: int, plan: str) -> str:
    """The life of a child: `plan` says how it goes on."""
    if plan == "grandchild":
        said = by_fork(x, k, "")
        return said if said != expected(k) else answer(x, k)
    if plan == "threads":
        said = from_threads(x, k, "")
        return said if said != expected(k) else answer(x, k)
    if plan == "dies":
        y = ops.exp(x)  # noqa: F841  (work in flight)
        os.kill(os.getpid(), signal.SIGKILL)
    if plan == "exits":
        y = ops.exp(x)  # noqa: F841
        sys.exit(7)
    return answer(x, k)


def full(k: float) -> Tensor:
    return ops.abs(Tensor(np.full(SIZE, k, np.float32)))


def read(pid: int, reader: int, plan: str) -> str:
    """What a child said, once it has ended as it should."""
    text = b""
    while True:
        if not select.select([reader], [], [], PATIENCE)[0]:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return f"hangs: {text!r}"
        try:
            chunk = os.read(reader, 4096)
        except OSError:  # the other side of a terminal is gone
            break
        if not chunk:
            break
        text += chunk
    os.close(reader)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if plan in CODES:
        return "as planned" if code == CODES[plan] else f"ended by {code}"
    return text.decode() if code == 0 else f"ended by {code}: {text.decode()}"


def read_all(reader: int) -> str:
    text = b""
    while select.select([reader], [], [], PATIENCE)[0] and (chunk := os.read(reader, 4096)):
        text += chunk
    os.close(reader)
    return text.decode()


CODES = {"dies": -signal.SIGKILL, "exits": 7}


def right(k: int, plan: str) -> str:
    return "as planned" if plan in CODES else expected(k)


def child(writer: int, x: Tensor, k: int, plan: str) -> None:
    code = 0
    try:
        os.write(writer, check(x, k, plan).encode())
    except SystemExit as end:
        code = int(str(end))
    except BaseException as error:
        os.write(writer, repr(error).encode())
        code = 1
    os._exit(code)


def by_fork(x: Tensor, k: int, plan: str) -> str:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        child(writer, x, k, plan)
    os.close(writer)
    return read(pid, reader, plan)


def by_forkpty(x: Tensor, k: int, plan: str) -> str:
    pid, terminal = os.forkpty()
    if pid == 0:
        child(1, x, k, plan)
    return read(pid, terminal, plan)


def _process(writer: object, x: Tensor, k: int, plan: str) -> None:
    writer.send(check(x, k, plan))  # type: ignore[attr-defined]


def _by_process(package: object) -> Callable[[Tensor, int, str], str]:
    def by_process(x: Tensor, k: int, plan: str) -> str:
        context = package.get_context("fork")  # type: ignore[attr-defined]
        reader, writer = context.Pipe(duplex=False)
        process = context.Process(target=_process, args=(writer, x, k, plan))
        process.start()
        writer.close()
        try:
            said = reader.recv() if reader.poll(PATIENCE) else "hangs"
        except EOFError:
            said = "as planned" if plan in CODES else "said nothing"
        process.join(PATIENCE)
        code = process.exitcode
        process.close()
        reader.close()
        return said if code == CODES.get(plan, 0) else f"ended by {code}: {said}"

    return by_process


def _pooled(arguments: tuple[np.ndarray, int]) -> str:
    x, k = arguments
    return answer(Tensor(x), k)


def _by_pool(package: object) -> Callable[[Tensor, int, str], str]:
    def by_pool(x: Tensor, k: int, plan: str) -> str:
        with package.get_context("fork").Pool(2,
            maxtasksperchild=1) as pool:  # type: ignore[attr-defined]
            said = {
                result.get(PATIENCE)
                for result in [pool.apply_async(_pooled, ((x.numpy(), k),)) for _ in range(3)]
            }
        pool.join()
        return right(k, plan) if said == {expected(k)} else f"{said}"

    return by_pool


def by_executor(x: Tensor, k: int, plan: str) -> str:
    context = minitensor.multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
        said = executor.submit(_pooled, (x.numpy(), k)).result(PATIENCE)
    return right(k, plan) if said == expected(k) else said


def by_pool_left_early(x: Tensor, k: int, plan: str) -> str:
    """The pool ends while its workers still have tasks."""
    with minitensor.multiprocessing.get_context("fork").Pool(2) as pool:
        said = next(pool.imap_unordered(_pooled, [(x.numpy(), k)] * 6))
    pool.join()
    return right(k, plan) if said == expected(k) else said


def from_threads(x: Tensor, k: int, plan: str) -> str:
    """Three threads fork at once."""
    start, said = threading.Barrier(3), []

    def fork() -> None:
        start.wait(PATIENCE)
        said.append(by_fork(x, k, plan))

    threads = [threading.Thread(target=fork) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return said[0] if len(set(said)) == 1 and len(said) == 3 else f"{said}"


def from_host_task(x: Tensor, k: int, plan: str) -> str:
    """Fork in a task's Python callback, on its stream's thread; queued values stay the parent's."""
    said: list[str] = []
    x.asnumpy()  # what is queued behind the task is the parent's
    ops.host_call(
        lambda a: (said.append(by_fork(x, k, plan)), a)[1], [Tensor([1.0])], shape=1,
        dtype="float32",
    ).asnumpy()
    return said[0]


def from_signal_handler(x: Tensor, k: int, plan: str) -> str:
    said: list[str] = []
    previous = signal.signal(signal.SIGUSR1, lambda *_: said.append(by_fork(x, k, plan)))
    os.kill(os.getpid(), signal.SIGUSR1)
    while not said:
        ops.exp(x).asnumpy()
    signal.signal(signal.SIGUSR1, previous)
    return said[0]


def _told(x: Tensor, k: int, plan: str, life: Callable[[int], str]) -> str:
    """A child that lives otherwise, and tells the descriptor that it is given what it came to."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, life(writer).encode())
        except BaseException as error:
            os.write(writer, repr(error).encode())
        os._exit(0)
    os.close(writer)
    return read(pid, reader, "")


def from_atexit(x: Tensor, k: int, plan: str) -> str:
    """While a child ends: after the framework's own last step, and before it."""

    def life(writer: int) -> str:
        said: list[str] = []
        atexit._clear()  # what this child inherited is its parent's to do
        atexit.register(lambda: said.append(by_fork(x, k, plan)))
        atexit.register(lifecycle._shutdown)
        atexit.register(lambda: said.append(by_fork(x, k, plan)))
        y = ops.exp(x)  # noqa: F841  (work in flight)
        atexit._run_exitfuncs()
        # after the last step all runs at its call: there are no threads any more
        before, after = said[0], said[1].removesuffix(" 0")
        return before if before in (after, after + " 1") else f"{said}"

    return _told(x, k, plan, life)


def refused(x: Tensor, k: int, plan: str) -> str:
    """A fork that fails, in a child that may have no more processes, and one that doesn't."""

    def life(writer: int) -> str:
        soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
        y = ops.exp(x)  # noqa: F841  (work in flight)
        if os.getuid() == 0:
            os.setuid(65534)
        resource.setrlimit(resource.RLIMIT_NPROC, (1, hard))
        try:
            os.fork()
            return "not refused"
        except BlockingIOError:
            resource.setrlimit(resource.RLIMIT_NPROC, (soft, hard))
        return by_fork(x, k, plan)

    return _told(x, k, plan, life)


def _with_another_user(writer: int) -> None:
    if os.getuid() == 0:
        os.setuid(65534)


def _without_descriptors(writer: int) -> None:
    os.closerange(3, writer)
    os.closerange(writer + 1, 256)


def _after(change: Callable[[int], None]) -> Callable[[Tensor, int, str], str]:
    """Fork in a process that has changed what it needs to give its child a place."""

    def by_changed(x: Tensor, k: int, plan: str) -> str:
        return _told(x, k, plan, lambda writer: (change(writer), by_fork(x, k, plan))[1])

    return by_changed


def without_a_place(x: Tensor, k: int, plan: str) -> str:
    """Fork a guest of the shared memory, which gets copies."""
    lib.mt_arena_refuse_places(errno.EMFILE)
    try:
        return by_fork(x, k, plan)
    finally:
        lib.mt_arena_refuse_places(0)


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import fork_chaos
k = int(sys.argv[2])
fork_chaos.child(1, fork_chaos.full(k), k, sys.argv[3])
"""


def by_exec(x: Tensor, k: int, plan: str) -> str:
    """Let a child become another program while it has queued work and shared memory."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        y = ops.exp(x), full(k).share_memory_()  # noqa: F841
        os.dup2(writer, 1)
        arguments = "-c", PROGRAM, os.path.dirname(os.path.abspath(__file__)), str(k), plan
        os.execv(sys.executable, [sys.executable, *arguments])
    os.close(writer)
    return read(pid, reader, plan)


def stopped(x: Tensor, k: int, plan: str) -> str:
    """Stop a child for a while, at any place; what it holds meanwhile stops no other process."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        child(writer, x, k, plan)
    os.close(writer)
    time.sleep(k % 7 * 0.001)  # where it is by then is up to chance
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    meanwhile = by_fork(x, k, "")
    os.kill(pid, signal.SIGCONT)
    said = read(pid, reader, plan)
    return said if meanwhile == expected(k) else meanwhile


def _listen(queue: object, writer: int, k: int) -> None:
    """Interrupt the parent, which puts, and report what came from where."""
    came, interrupts = Counter[str](), 5
    while True:
        if interrupts:
            os.kill(os.getppid(), signal.SIGUSR1)
            interrupts -= 1
            if not interrupts:
                os.write(writer, b"+")
        origin, t = queue.get()  # type: ignore[attr-defined]
        if origin == "end":
            break
        came[origin if float(t.sum()) == SIZE * k else "broken"] += 1
    os.write(writer, f"{came['main']} {came['handler']} {came['broken']}".encode())


def handler_puts(x: Tensor, k: int, plan: str) -> str:
    """A signal handler puts into the queue into which the main thread is putting."""
    context = minitensor.multiprocessing.get_context("fork")
    queue = context.SimpleQueue() if k % 2 else context.Queue()
    ran = 0

    def handle(*_: object) -> None:
        nonlocal ran
        ran += 1
        queue.put(("handler", x))

    previous = signal.signal(signal.SIGUSR1, handle)
    reader, writer = os.pipe()
    process = context.Process(target=_listen, args=(queue, writer, k))
    process.start()
    os.close(writer)
    for _ in range(12):
        queue.put(("main", x))
    if not select.select([reader], [], [], PATIENCE)[0] or os.read(reader, 1) != b"+":
        process.kill()
    signal.signal(signal.SIGUSR1, previous)
    queue.put(("end", None))
    said = read_all(reader)
    process.join()
    process.close()
    queue.close()
    return right(k, plan) if said == f"12 {ran} 0" else f"{said} of 12 {ran}"


def _end(t: Tensor, writer: int, k: int, how: int) -> None:
    """Queue work and end: by a return, an exit, an exception, or as the package's children do."""
    for _ in range(10):
        t += k
        tell = lambda a: (os.write(writer, b"x"), a)[1]  # noqa: E731
        ops.host_call(tell, [full(k)], shape=SIZE, dtype="float32")
    if how == 1:
        sys.exit(7)
    if how == 2:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the traceback is not the run's
        raise ValueError
    if how == 3:
        multiprocessing.util._exit_function()
        os._exit(3)


def with_work_left(x: Tensor, k: int, plan: str) -> str:
    """Require that queued work is done when a process has ended, however Python ended it."""
    context, how = minitensor.multiprocessing.get_context("fork"), k % 4
    t = Tensor(np.zeros(SIZE, np.float32)).share_memory_()
    reader, writer = os.pipe()
    process = context.Process(target=_end, args=(t, writer, k, how))
    process.start()
    os.close(writer)
    said = read_all(reader)
    process.join(PATIENCE)
    code = process.exitcode
    process.close()
    written = bool((t.asnumpy() == 10 * k).all())
    done = said == "x" * 10 and written and code == (0, 7, 1, 3)[how]
    return right(k, plan) if done else f"ended by {code} ({how}): {said}, written: {written}"


def killed_at_any_moment(x: Tensor, k: int, plan: str) -> str:
    """Kill a child: before, in, or after its hooks."""
    pid = os.fork()
    if pid == 0:
        while True:
            answer(x, k)
    time.sleep(k % 7 * 0.001)  # where it is by then is up to chance; every place must do
    os.kill(pid, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return right(k, plan) if code == -signal.SIGKILL else f"ended by {code}"


WAYS: dict[str, tuple[int, Callable[[Tensor, int, str], str]]] = {  # by name: how often, and how
    "os.fork": (30, by_fork),
    "os.forkpty": (8, by_forkpty),
    "multiprocessing": (8, _by_process(multiprocessing)),
    "minitensor.multiprocessing": (8, _by_process(minitensor.multiprocessing)),
    "Pool, standard": (1, _by_pool(multiprocessing)),
    "Pool, ours": (1, _by_pool(minitensor.multiprocessing)),
    "ProcessPoolExecutor": (1, by_executor),
    "threads at once": (6, from_threads),
    "a host task": (8, from_host_task),
    "a signal handler": (8, from_signal_handler),
    "atexit": (4, from_atexit),
    "refused": (4, refused),
    "killed": (8, killed_at_any_moment),
    "another user": (4, _after(_with_another_user)),
    "no descriptors": (4, _after(_without_descriptors)),
    "no place": (8, without_a_place),
    "exec": (2, by_exec),
    "stopped": (6, stopped),
    "Pool, left early": (1, by_pool_left_early),
    "a handler puts": (4, handler_puts),
    "work left": (4, with_work_left),
}
PLANS = ("", "", "", "", "grandchild", "threads", "dies", "exits")


def disturb(stop: threading.Event, seed: int, failures: list[str]) -> None:
    """Compute, allocate, fail and free in a thread of the parent, at times on another stream."""
    dice = random.Random(seed)
    while not stop.is_set():
        try:
            with runtime.StreamCtx(runtime.Stream() if dice.random() < 0.3 else None):
                k = dice.randrange(1, 9)
                x = Tensor(np.full(dice.choice([10, SIZE, 200_000]), k, np.int32))
                y = ops.abs(x * x)
                if dice.random() < 0.3:
                    failed = y // (x - k)
                    try:
                        failed.asnumpy()
                        failures.append("an error was lost")
                    except ZeroDivisionError:
                        pass
                if dice.random() < 0.5:
                    y = ops.host_call(lambda a: a, [y], shape=y.shape, dtype=y.dtype)
                if int(y[0]) != k * k:
                    failures.append(f"{int(y[0])} for {k * k}")
                if dice.random() < 0.3:
                    for _ in range(3 * QUEUE):  # more than the queue has room for
                        y = ops.abs(y + x)
                    del y
                if dice.random() < 0.3:
                    cycle = [ops.exp(x)]
                    cycle.append(cycle)  # type: ignore[arg-type]
                    del cycle
                if dice.random() < 0.3:
                    try:
                        runtime.synchronize()
                    except ZeroDivisionError:  # the other thread's error
                        pass
                if dice.random() < 0.05:
                    runtime.empty_cache()
                if dice.random() < 0.05:
                    gc.collect()
        except BaseException as error:
            failures.append(repr(error))
            return


def holdings() -> tuple[int, ...]:
    """Return children, descriptors, bytes, the shared memory's contents and broken invariants.

    A queue that a guest has had keeps its channel as long as the family lives.  So a channel is
    left over if this process has it, or, which is a fault, if no process and no guest has.
    """
    trace.clear()
    gc.collect()
    try:
        # what the threads have queued and let go of has its memory until it has run
        runtime.synchronize()
    except ZeroDivisionError:  # theirs
        pass
    runtime.empty_cache()
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        children = 1
    except ChildProcessError:
        children = 0
    shared = sharing_stats()
    here = children, len(os.listdir("/proc/self/fd")), runtime.memory_allocated("CPU")
    there = shared["processes"], shared["blocks"], shared["in_flight"]
    channels = sum(isinstance(thing, Channel) for thing in gc.get_objects())
    return *here, *there, channels, lib.mt_arena_check(ffi.new("char[4096]"), 4096)


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main(n: int, seed: int) -> int:
    faulthandler.enable()
    if sys.platform == "linux":  # whoever is orphaned becomes our child, and is counted
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    lib.mt_set_queue_bound(QUEUE, 1 << 30)
    have_arena()
    dice, wrong, done = random.Random(seed), Counter[str](), Counter[str]()
    # what the standard library opens once and keeps
    for way in ("Pool, ours", "Pool, standard", "ProcessPoolExecutor"):
        WAYS[way][1](Tensor(np.full(SIZE, 1.0, np.float32)), 1, "")
    before = holdings()
    stop, failures = threading.Event(), []
    threads = [
        threading.Thread(target=disturb, args=(stop, seed + i, failures), daemon=True)
        for i in range(2)
    ]
    for thread in threads:
        thread.start()
    names, weights = list(WAYS), [often for often, _ in WAYS.values()]
    begin, settled = time.monotonic(), 0
    for i in range(n):
        way, plan, k = dice.choices(names, weights)[0], dice.choice(PLANS), dice.randrange(1, 100)
        # a hang of the parent ends the run, with every thread's stack
        faulthandler.dump_traceback_later(3 * PATIENCE, exit=True)
        shared = dice.random() < 0.5
        x = pickle.loads(dumps(full(k))) if shared else full(k)
        said = WAYS[way][1](x, k, plan)
        done[way] += 1
        if said != right(k, plan):
            wrong[way] += 1
            print(f"{i}: {way} {plan or 'plain'}: {said}, not {right(k, plan)}", flush=True)
        if i == n // 4:  # by then the heaps of the threads are as large as they get
            settled = resident()
        if (i + 1) % 500 == 0:
            print(
                f"{i + 1} of {n}, {sum(wrong.values())} wrong, {time.monotonic() - begin:.0f} s, "
                f"{resident() >> 20} MiB",
                flush=True,
            )
    faulthandler.cancel_dump_traceback_later()
    stop.set()
    for thread in threads:
        thread.join()
    del x
    after = holdings()
    print(f"{sum(done.values()) - sum(wrong.values())} of {n} right, seed {seed}, in "
          f"{time.monotonic() - begin:.0f} s: "
          + ", ".join(f"{way} {count}" for way, count in done.most_common()))  # fmt: skip
    kinds = ("children", "descriptors", "bytes of tensors",
             "members", "shared blocks", "references in flight", "channels", "faults")  # fmt: skip
    found = dict(zip(kinds, zip(before, after)))
    found["MiB of memory since a quarter of the run"] = settled >> 20, resident() >> 20
    print("; ".join(f"{name}: {b} before, {a} after" for name, (b, a) in found.items()))
    # an allocator's noise
    left = [name for name, (b, a) in found.items() if a > b + 24 * name.startswith("MiB")]
    for fault in failures + [f"left over: {name}" for name in left]:
        print(fault)
    return int(bool(wrong or failures or left))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("-n", type=int, default=500, help="how many times to fork")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sys.exit(main(arguments.n, arguments.seed))
