"""What an engine has of its tasks and workers: `Task`, and `Worker`, the handle of a process.

The ends of pipes that an engine keeps must be in no other process: a worker lives as long as its
lifeline has an end elsewhere, and a pipe ends with its last writer. Descriptors that Python makes
are closed by exec. A fork copies them, so each forked child closes what it inherited, except what a
new worker is to use.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import threading
from collections import deque
from collections.abc import Callable
from multiprocessing import util
from multiprocessing.connection import Connection
from socket import AF_UNIX, SOCK_STREAM, socketpair
from typing import Any

from minitensor import fork

from . import task_pipe
from .worker import Place, work

__all__ = ["Task", "Worker", "deadline", "owners"]


class Task:
    """A call for a worker.

    Args:
        function, args, kwds: what the worker calls.

    `limit` has the seconds that it may run; None for no limit.
    """

    __slots__ = ("function", "args", "kwds", "number")
    limit: float | None = None

    def __init__(self, function: Any, args: Any = (), kwds: Any = {}) -> None:  # noqa: B006
        self.function, self.args, self.kwds = function, args, kwds

    def begins(self) -> bool:
        """Return whether it is still to run; called when a worker is to get it."""
        return True

    def done(self, good: bool, value: Any) -> None:
        """Take the value, or the exception; called once, in the engine's thread."""
        raise NotImplementedError(f"[Task] {type(self).__name__} must define done")

    def __str__(self) -> str:
        """Return what errors call the task."""
        return f"a call of {getattr(self.function, '__qualname__', self.function)}"


class Worker:
    """A worker as the engine sees it: its process, its pipes and its tasks."""

    def __init__(self, rank: int) -> None:
        self.rank = rank
        tasks, self.tasks = task_pipe.pipe()
        self.results, results = task_pipe.pipe()
        mine, theirs = socketpair(AF_UNIX, SOCK_STREAM)
        self.lifeline = Connection(mine.detach())
        # The ends that the process gets; the engine keeps `unread`, to take tasks back.
        self.theirs: tuple[Connection, ...] = tasks, results, Connection(theirs.detach())
        self.unread = tasks if task_pipe.takes_back(tasks) else None
        self.process: Any = None
        self._pidfd = self._leave = -1
        self.has: deque[Task] = deque()  # the task that runs, then those in advance
        self.given = 0
        self.since = 0.0  # when the running task was begun, at the latest
        self.ready = False
        self.did_something = False
        self.end_by = math.inf  # when it is killed, because it has closed its pipe
        self.leaving = False  # it has got its END
        self.ahead = 1  # the tasks that it may have in advance
        self.listed = False  # in the engine's list of workers with room
        self.verdict: Exception | None = None  # the error of the running task, if it is ended

    def take(self, number: int) -> Task:
        """Take the task of a message from those that the worker has, by its number.

        A message that cannot be read has no number: a result is the running task's.
        """
        task = next((task for task in self.has if task.number == number), self.has[0])
        self.has.remove(task)
        return task

    def start(
        self,
        context: Any,
        make: Callable[..., Any],
        size: int,
        threads: int,
        initializer: Callable[..., object] | None,
        initargs: tuple[Any, ...],
    ) -> None:
        """Start the process; the arguments are those of `Engine` and of `Place`.

        Raises:
            Exception: whatever starting a process raises; nothing is left then.
        """
        # Ctrl-C is for the parent until the worker can end by it quietly. The children of a fork
        # server have its mask of signals, not this thread's.
        masks = getattr(context, "_name", "") != "forkserver"
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masks else set()
        masked = {*map(int, before)} - {int(signal.SIGINT)} if masks else None
        tasks, results, lifeline = self.theirs
        place = Place(
            tasks, results, lifeline, self.rank, size, threads, initializer, initargs, masked
        )
        try:
            self.process = process = make(context, target=work, args=(place,))
            process.name = process.name.replace("Process", "PoolWorker")
            process.daemon = True
            _starting.worker = self
            process.start()
        except BaseException:
            self.close()
            raise
        finally:
            _starting.worker = None
            if masks:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            for end in self.theirs:
                if end is not self.unread:
                    task_pipe.close(end)
            self.theirs = ()
        util.debug("added worker")

    def leave(self, context: Any) -> int:
        """Return the descriptor that tells the process's end.

        A process that the worker forked has the sentinel, too. The process's own descriptor tells
        the end for sure. So does a fork server's sentinel, which also has the exit code.
        """
        if self._leave < 0:
            self._leave = self.process.sentinel
            if getattr(context, "_name", "") in ("fork", "spawn") and hasattr(os, "pidfd_open"):
                with contextlib.suppress(OSError):
                    self._leave = self._pidfd = os.pidfd_open(self.process.pid)
        return self._leave

    def ends(self) -> list[Connection]:
        """Return the ends that the engine keeps."""
        kept = [self.tasks, self.results, self.lifeline]
        return kept if self.unread is None else [*kept, self.unread]

    def close(self, used: tuple[Connection, ...] = ()) -> None:
        """Close the engine's ends, except those that are used."""
        for end in self.ends():
            if end not in used and not end.closed:
                task_pipe.close(end)
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1


def deadline(worker: Worker) -> float:
    """Return the time at which a worker, or the task that it runs, is to be ended."""
    if worker.has and worker.ready and worker.verdict is None:
        limit = worker.has[0].limit
        if limit is not None:
            return min(worker.since + limit, worker.end_by)
    return worker.end_by


# --- forks ----------------------------------------------------------------------------------------
class _Starting(threading.local):
    worker: Worker | None = None  # the one that this thread starts


_starting = _Starting()
owners: set[Any] = set()  # the engines of this process


def _after_in_child() -> None:
    """Close the ends that a forked child inherits, except those that it is to use."""
    mine, _starting.worker = _starting.worker, None
    workers = [worker for engine in owners for worker in engine.forked()]
    owners.clear()
    theirs: tuple[Connection, ...] = ()
    if mine is not None:
        workers.append(mine)
        theirs = mine.theirs
    for worker in workers:
        worker.close(theirs)


fork.register(after_in_child=_after_in_child, name="pools", level=4)
