"""What workers of pools run in the tests: faults, and what surrounds them."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time

import minitensor.multiprocessing as mp


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leaves() -> None:
    os._exit(3)


def exits() -> None:
    sys.exit("my last words")


def aborts() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.abort()


def crashes() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.string_at(0)


def interrupted() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)


def closes_everything() -> None:
    os.closerange(3, 1000)
    time.sleep(60)


class Deadly:
    """Ends the process that unpickles it, if that is a worker."""

    def __reduce__(self) -> tuple[object, ...]:
        return _end_worker, (os.getpid(),)


def _end_worker(maker: int) -> None:
    if os.getpid() != maker:
        os._exit(4)


#: by name: the function, and the exit code that the pool is to see
FAULTS = {
    "killed": (killed, -signal.SIGKILL),
    "os._exit": (leaves, 3),
    "sys.exit": (exits, 1),
    "abort": (aborts, -signal.SIGABRT),
    "segmentation fault": (crashes, -signal.SIGSEGV),
    "Ctrl-C for the worker alone": (interrupted, -signal.SIGINT),
    "closes all descriptors": (closes_everything, -signal.SIGKILL),
    "unpickling": (Deadly(), 4),
}


def fault_or_value(thing: object) -> object:
    """Have the fault, if it is one; otherwise return the value."""
    return thing() if callable(thing) else thing


def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def out_of_memory(nbytes: int) -> int:
    """Ask for memory above the limit, with what is in use as the limit."""
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + (16 << 20), hard))
    try:
        return len(bytearray(nbytes))
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def pid_and_rank(_: object = None) -> tuple[int, int, int]:
    me = mp.current_worker()
    assert me is not None
    return os.getpid(), me.rank, me.size


def count_calls() -> int:
    me = mp.current_worker()
    assert me is not None
    me.state["calls"] = me.state.get("calls", 0) + 1
    return me.state["calls"]


def fail(text: str) -> None:
    raise LookupError(text)


def fail_once(counter: object) -> None:
    """An initializer that fails in the first worker."""
    with counter.get_lock():  # type: ignore[attr-defined]
        counter.value += 1  # type: ignore[attr-defined]
        first = counter.value == 1  # type: ignore[attr-defined]
    if first:
        raise LookupError("the first")


def append_line(path: str, line: object) -> object:
    """Note that a task has begun."""
    with open(path, "a") as file:
        file.write(f"{line}\n")
    return line


def append_line_or_fault(path: str, thing: object) -> object:
    append_line(path, "fault" if callable(thing) else thing)
    return fault_or_value(thing)


def inner_pool(method: str, n: int) -> list[int]:
    with mp.get_context(method).Pool(2) as pool:
        return pool.map(abs, range(-n, 0))


def leaves_a_grandchild(path: str) -> None:
    """Die, and leave a process that has all descriptors of this one."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(reader, 1)  # until it is killed: it has the other end, too
    with open(path, "w") as file:
        file.write(str(pid))
    os.close(writer)
    killed()


class Unusual(BaseException):
    """Not an Exception."""


def raise_unusual() -> None:
    raise Unusual("no")
