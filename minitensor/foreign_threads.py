"""Native threads of other libraries: their list, and why a fork cannot make them safe.

A forked child has only the forking thread. Our own threads end before a fork, and Python renews the
locks of its own threads. A thread pool that another library keeps in C (OpenMP, a BLAS, an event
loop) is copied as memory without its threads, and a lock that one of them held stays locked. No
other code can repair that; this module lists these threads.

Linux lists threads in /proc. On other systems `foreign` raises, because an empty list would be a
guess.
"""

from __future__ import annotations

import os
import re
import threading
from typing import NamedTuple

__all__ = ["NativeThread", "OURS", "count", "describe", "foreign", "has_proc", "libraries"]

OURS = "minitensor:"  # the prefix of the names of the core's threads
_POOLS = (  # a pattern of libraries that keep threads, compiled at its first use
    r"/(lib[\w.+-]*?(?:openblas|mkl_rt|mkl_core|blis|atlas|armpl|gomp|iomp5|libomp|omp5|tbb|nvomp"
    r"|torch_cpu)[\w.+-]*?\.so[\w.]*)"
)


has_proc = os.path.isdir("/proc/self/task")


class NativeThread(NamedTuple):
    """A thread's kernel id and name."""

    tid: int
    name: str


def count() -> int:
    """Return the number of threads of the process, by one system call.

    Without /proc (after a chroot, or in another mount namespace) the result is 1.
    """
    try:
        return os.stat("/proc/self/task").st_nlink - 2
    except OSError:
        return 1


def foreign() -> list[NativeThread]:
    """Return the threads that neither Python's `threading` nor minitensor has started.

    Raises:
        NotImplementedError: the system has no /proc.

    Example:
        >>> from minitensor import foreign_threads
        >>> isinstance(foreign_threads.foreign(), list)
        True
    """
    if not has_proc:
        raise NotImplementedError(
            "[fork] this system has no /proc/self/task: its native threads can't be listed"
        )
    tids = [int(name) for name in os.listdir("/proc/self/task")]
    pythons = (thread.native_id for thread in threading.enumerate())
    known = {threading.get_native_id(), os.getpid(), *pythons}
    found = []
    for tid in sorted(set(tids) - known):
        try:
            with open(f"/proc/self/task/{tid}/comm") as file:
                name = file.read().strip()
        except OSError:  # the thread has ended
            continue
        if not name.startswith(OURS):
            found.append(NativeThread(tid, name))
    return found


def libraries() -> list[str]:
    """Return the loaded libraries that keep threads: OpenMP runtimes, BLAS, TBB."""
    with open("/proc/self/maps") as file:
        return sorted(set(re.findall(_POOLS, file.read())))


def describe(threads: list[NativeThread]) -> str:
    """Return a sentence with the number of threads, their names and their likely libraries."""
    names = ", ".join(f"{thread.name} ({thread.tid})" for thread in threads[:8])
    more = ", ..." if len(threads) > 8 else ""
    owners = ", ".join(libraries()) or "none of the known OpenMP or BLAS libraries is loaded"
    plural = "s" * (len(threads) != 1)
    return (
        f"{len(threads)} native thread{plural} of other libraries: {names}{more}; "
        f"loaded here: {owners}"
    )
