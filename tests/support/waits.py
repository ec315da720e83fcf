"""Every kind of wait there is, interrupted by Ctrl-C:  python tests/support/waits.py KIND

Prints the milliseconds from the signal to its exception, and ends with 0 when the wait ended by
KeyboardInterrupt and everything can be used afterwards.  None of the waits can end by itself before
that; and the signal is sent to the main thread when that sleeps in one.
"""

from __future__ import annotations

import concurrent.futures
import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from children import in_child

import minitensor.multiprocessing
from minitensor import Tensor, config, context, ops, runtime
from minitensor.backend.core import lib

# Elements: more than run at the call.
BIG = config.get("MINITENSOR_INLINE_ELEMENTS") + 1000
mp: Any = minitensor.multiprocessing.get_context("fork")
entered, go = threading.Event(), threading.Event()  # the stuck task runs; it may end
released = mp.Event()  # the children may end
sent = 0.0


def asleep(ident: int) -> bool:
    """Return whether the main thread sleeps in one of the functions, without the GIL."""
    place = None
    for _ in range(50):
        frame = sys._current_frames()[ident]
        now = id(frame), frame.f_lasti
        # gives up the GIL: it could go on if it wanted to
        with open(f"/proc/self/task/{os.getpid()}/stat") as file:
            state = file.read().rpartition(")")[2].split()[0]
        if frame.f_code.co_name == "<module>" or state != "S" or place not in (None, now):
            return False
        place = now
    return True


def until(condition: Callable[[], bool]) -> None:
    """Spin until the condition holds; after a minute print all threads' stacks and end."""
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            faulthandler.dump_traceback()
            os._exit(1)


def interrupt_main() -> None:
    """Send SIGINT to the main thread.

    One sent to the process may land in a thread that is being born: then it is noted there, and
    nothing ends the system call in which the main thread sleeps.
    """
    ident = threading.main_thread().ident
    assert ident is not None
    signal.pthread_kill(ident, signal.SIGINT)


def interrupt(ident: int, begun: threading.Event) -> None:
    global sent
    begun.wait()
    until(lambda: asleep(ident))
    sent = time.perf_counter()
    interrupt_main()


def stuck() -> Tensor:
    def wait(a: np.ndarray) -> np.ndarray:
        entered.set()
        go.wait()
        return a + 1

    t = ops.host_call(wait, [Tensor([1.0])], shape=1, dtype="float32")
    entered.wait()
    return t


def no_memory() -> None:
    """Make each new block wait for an old one, while other work keeps the wait alive."""

    def goes_on() -> None:
        with runtime.StreamCtx(runtime.Stream()):
            while not go.wait(1):
                y[0] = 1.0

    y = Tensor([0.0])
    threading.Thread(target=goes_on).start()
    runtime.empty_cache()
    device = context.current_device().id
    lib.mt_device_set_capacity(device, max(runtime.memory_allocated(), 1))


def fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    signal.pause()  # the interrupt comes when the fork is over


def at_the_gate(then: Callable[[], object]) -> Callable[[], object]:
    """Wait while another thread forks, which takes until the stuck task ends."""
    from minitensor.backend import lifecycle

    forking = threading.Thread(target=lambda: in_child(lambda: None))
    forking.start()
    until(
        lambda: any(
            frame.f_code is lifecycle._drain.__code__ for frame in sys._current_frames().values()
        )
    )
    return then


def child(*held: object) -> Any:
    """Start a process that holds a queue, and ends when the wait is over."""
    process = mp.Process(target=_child, args=held)
    process.start()
    return process


def _child(*held: object) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    released.wait()


def full(queue: Any) -> Callable[[], object]:
    def put() -> None:
        while True:
            queue.put(b"x" * 50_000)

    return put


def joinable() -> Any:
    queue = mp.JoinableQueue()
    queue.put(1)
    return queue


def pool_result() -> Callable[[], object]:
    pool = mp.Pool(1)
    return lambda: pool.apply(_child)


def executor_result() -> Callable[[], object]:
    executor = concurrent.futures.ProcessPoolExecutor(1, mp_context=mp)
    future = executor.submit(_child)
    return future.result


def event() -> runtime.Event:
    event = runtime.Event()
    event.record()
    return event


x = Tensor(np.ones(BIG, np.float32))
array = np.ones(BIG, np.float32)

# What is prepared, with the stuck task already running or not; and what waits.
WITH_STUCK: dict[str, Callable[[Tensor], Callable[[], object]]] = {
    "reading a value": lambda t: t.asnumpy,
    "printing": lambda t: lambda: str(t + 1),
    "runtime.synchronize": lambda t: runtime.synchronize,
    "Stream.synchronize": lambda t: runtime.current_stream().synchronize,
    "Event.synchronize": lambda t: event().synchronize,
    "a full queue of tasks": lambda t: (
        lib.mt_set_queue_bound(1, 2**31),
        lambda: [ops.exp(x) for _ in range(3)],
    )[1],
    "an op on NumPy's memory": lambda t: lambda: Tensor.from_numpy(array) + 1,
    "synchronous mode": lambda t: (runtime.launch_blocking(), lambda: ops.exp(x))[1],
    "memory for an op": lambda t: (no_memory(), lambda: ops.exp(x))[1],
    "memory for a tensor": lambda t: (no_memory(), lambda: Tensor(array))[1],
    "an op while another thread forks": lambda t: at_the_gate(lambda: ops.exp(x)),
    "Event.record while another thread forks": lambda t: at_the_gate(
        lambda: runtime.Event().record()
    ),
    "os.fork": lambda t: fork,
    "Process.start": lambda t: lambda: (child(), signal.pause()),
    "Queue.put of a value": lambda t: lambda: mp.Queue().put(t),
}
ALONE: dict[str, Callable[[], Callable[[], object]]] = {
    "Queue.get": lambda: (queue := mp.Queue(), child(queue), queue.get)[2],
    "Queue.put, bounded": lambda: full(mp.Queue(2)),
    "SimpleQueue.get": lambda: (queue := mp.SimpleQueue(), child(queue), queue.get)[2],
    "SimpleQueue.put": lambda: full(mp.SimpleQueue()),
    "JoinableQueue.join": lambda: joinable().join,
    "Process.join": lambda: child().join,
    "Pool.apply": pool_result,
    "ProcessPoolExecutor": executor_result,
}
KINDS = [*WITH_STUCK, *ALONE]


def main(kind: str) -> None:
    begun = threading.Event()
    thread = threading.Thread(target=interrupt, args=(threading.get_ident(), begun))
    how = ALONE[kind]() if kind in ALONE else WITH_STUCK[kind](stuck())
    thread.start()
    try:
        begun.set()
        how()
        raise AssertionError("not interrupted")
    except KeyboardInterrupt:
        taken = time.perf_counter() - sent
    thread.join()
    go.set()
    released.set()
    lib.mt_set_queue_bound(4096, 2**31)
    lib.mt_device_set_capacity(context.current_device().id, 0)
    runtime.synchronize()
    value = float(ops.exp(x * 0).sum())
    assert value == BIG and in_child(lambda: float(ops.exp(x * 0).sum())) == f"{value}"
    print(f"{1000 * taken:.1f}")


if __name__ == "__main__":
    main(sys.argv[1])
