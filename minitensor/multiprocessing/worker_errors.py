"""The errors of workers: lost ones, tasks that take too long, initializers that fail.

`BrokenProcessPool` is the base of two of them, because programs written for the standard executor
catch it where a worker has died.
"""

from __future__ import annotations

import multiprocessing
import signal
from concurrent.futures.process import BrokenProcessPool

__all__ = ["InitializerError", "TaskTimeoutError", "WorkerLostError", "ending"]


class WorkerLostError(BrokenProcessPool):
    """Report that a worker ended while it ran a task.

    Args:
        message: the text.
        task: the task that failed, in words.
        pid: the worker's process.
        exitcode: its exit code; the negative number of the signal that ended it; None if unknown.
        last_words: what the worker wrote about its end: the Python stack of a crash, or the text of
            `sys.exit(text)`; "" if nothing.

    Example:
        >>> import os, minitensor.multiprocessing as mp
        >>> with mp.get_context("fork").Pool(1) as pool:
        ...     try:
        ...         pool.apply(os._exit, (3,))
        ...     except mp.WorkerLostError as error:
        ...         print(error.exitcode)
        3
    """

    def __init__(
        self,
        message: str,
        task: str = "",
        pid: int = 0,
        exitcode: int | None = None,
        last_words: str = "",
    ) -> None:
        super().__init__(message)
        self.task, self.pid, self.exitcode, self.last_words = task, pid, exitcode, last_words

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.task, self.pid, self.exitcode, self.last_words)


class InitializerError(BrokenProcessPool):
    """Report that no worker of a pool could be initialized; the cause has the traceback."""


class TaskTimeoutError(multiprocessing.TimeoutError, TimeoutError):
    """Report that a task took longer than its `task_timeout`; its worker was ended."""


def ending(exitcode: int | None) -> str:
    """Return in words how a process ended.

    Args:
        exitcode: as of `Process.exitcode`.
    """
    if exitcode is None:
        return "ended"
    if exitcode >= 0:
        return f"ended with exit code {exitcode}"
    try:
        name = signal.Signals(-exitcode).name
    except ValueError:
        name = "unknown"
    hint = ", as the system does when memory is short" if name == "SIGKILL" else ""
    return f"was ended by signal {-exitcode} ({name}{hint})"
