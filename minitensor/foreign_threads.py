"""Native threads that are neither Python's nor ours: what a fork can't make safe, and how to see it.

A forked child has the forking thread only.  Our own threads end before a fork and Python renews the locks of its own, but a
pool that another library keeps in C (OpenMP, a BLAS, an event loop) is copied as memory without its threads, and whatever lock
one of them held stays locked.  Nobody can mend that from outside; it can be listed.

Linux tells it in /proc; elsewhere `foreign` raises, for "none" would be a guess.
"""

from __future__ import annotations

import os
import re
import threading
from typing import NamedTuple

__all__ = ["NativeThread", "OURS", "count", "describe", "foreign", "has_proc", "libraries"]

OURS = "minitensor:"  # how the names of the core's threads begin
_POOLS = (  # compiled when somebody asks
    r"/(lib[\w.+-]*?(?:openblas|mkl_rt|mkl_core|blis|atlas|armpl|gomp|iomp5|libomp|omp5|tbb|nvomp|torch_cpu)[\w.+-]*?\.so[\w.]*)"
)


has_proc = os.path.isdir("/proc/self/task")


class NativeThread(NamedTuple):
    """A thread as the kernel knows it."""

    tid: int
    name: str


def count() -> int:
    """Return how many threads the process has, by one system call; 1 where /proc has gone since the start (chroot, another mount namespace)."""
    try:
        return os.stat("/proc/self/task").st_nlink - 2
    except OSError:
        return 1


def foreign() -> list[NativeThread]:
    """The threads of this process that neither Python's `threading` nor minitensor has started.

    Raises:
        NotImplementedError: where the system has no /proc to read it from.
    """
    if not has_proc:
        raise NotImplementedError("[fork] this system has no /proc/self/task: its native threads can't be listed")
    tids = [int(name) for name in os.listdir("/proc/self/task")]
    known = {threading.get_native_id(), os.getpid(), *(thread.native_id for thread in threading.enumerate())}
    found = []
    for tid in sorted(set(tids) - known):
        try:
            with open(f"/proc/self/task/{tid}/comm") as file:
                name = file.read().strip()
        except OSError:  # it has ended meanwhile
            continue
        if not name.startswith(OURS):
            found.append(NativeThread(tid, name))
    return found


def libraries() -> list[str]:
    """The libraries in this process that are known for keeping threads: OpenMP runtimes, BLAS, TBB."""
    with open("/proc/self/maps") as file:
        return sorted(set(re.findall(_POOLS, file.read())))


def describe(threads: list[NativeThread]) -> str:
    """A sentence for people: how many, their names, and whose they may be."""
    names = ", ".join(f"{thread.name} ({thread.tid})" for thread in threads[:8]) + (", ..." if len(threads) > 8 else "")
    owners = ", ".join(libraries()) or "none of the known OpenMP or BLAS libraries is loaded"
    return f"{len(threads)} native thread{'s' * (len(threads) != 1)} of other libraries: {names}; loaded here: {owners}"
