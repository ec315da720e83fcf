"""`ProcessPoolExecutor`: the interface of `concurrent.futures`, on the pool's engine.

The problem. The standard executor breaks as a whole when one worker dies: every future fails with
BrokenProcessPool, also those whose tasks had nothing to do with it, and the executor is of no more
use.

The solution. The engine (`engine.py`) knows the task of each worker. A dead worker fails one
future, by WorkerLostError, which is a BrokenProcessPool; the executor goes on.

What it guarantees. Everything else is the standard executor's: a future that is cancelled before it
begins never runs, `shutdown` waits for the futures or cancels them, and an initializer that fails
fails all futures.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from multiprocessing import util
from multiprocessing.context import BaseContext
from typing import Any

from . import _default
from .cores import cores
from .engine import Engine, Task
from .worker_errors import InitializerError

__all__ = ["ProcessPoolExecutor"]


class _FutureTask(Task):
    __slots__ = ("future", "limit", "running")

    def __init__(
        self, future: Future[Any], limit: float | None, function: Any, args: Any, kwds: Any
    ) -> None:
        self.future, self.limit = future, limit
        self.running: bool | None = None  # None: it has not begun; False: it was cancelled before
        self.function, self.args, self.kwds = function, args, kwds

    def begins(self) -> bool:
        if self.running is None:
            self.running = self.future.set_running_or_notify_cancel()
        return self.running

    def done(self, good: bool, value: Any) -> None:
        if not self.begins():
            return
        if good:
            self.future.set_result(value)
        else:
            self.future.set_exception(value)


def _call_each(function: Callable[..., Any], chunk: list[tuple[Any, ...]]) -> list[Any]:
    return [function(*args) for args in chunk]


class ProcessPoolExecutor(Executor):
    """Run calls in worker processes.

    A worker that dies fails its own future, by WorkerLostError; another one takes its place.

    Args:
        max_workers: the number of workers; None for the number of cores that the process may use.
            Workers start as tasks need them.
        mp_context: the context whose processes the workers are; None for the default one.
        initializer, initargs: a function that each worker calls first, and its arguments. If it
            fails in three workers in a row, all futures fail with InitializerError.
        max_tasks_per_child: the number of tasks after which a worker is replaced; None for no
            limit.
        task_timeout: the seconds that a task may run; then its future fails with TaskTimeoutError,
            and its worker is replaced.

    Example:
        >>> import minitensor.multiprocessing as mp
        >>> context = mp.get_context("fork")
        >>> with mp.ProcessPoolExecutor(2, mp_context=context) as executor:
        ...     list(executor.map(abs, [-1, 2, -3]))
        [1, 2, 3]
    """

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: BaseContext | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_tasks_per_child: int | None = None,
        task_timeout: float | None = None,
    ) -> None:
        if max_workers is not None and max_workers < 1:
            raise ValueError(
                f"[ProcessPoolExecutor] max_workers must be at least 1, got {max_workers}"
            )
        if initializer is not None and not callable(initializer):
            raise TypeError(
                f"[ProcessPoolExecutor] initializer must be a callable, got {initializer!r}"
            )
        if max_tasks_per_child is not None:
            if not isinstance(max_tasks_per_child, int):
                raise TypeError(
                    "[ProcessPoolExecutor] max_tasks_per_child must be an int, got "
                    f"{max_tasks_per_child!r}"
                )
            if max_tasks_per_child < 1:
                raise ValueError(
                    "[ProcessPoolExecutor] max_tasks_per_child must be at least 1, got "
                    f"{max_tasks_per_child}"
                )
        self._limit = task_timeout
        self._engine = Engine(
            max_workers or cores(),
            mp_context or _default.context.get_context(),
            None,
            initializer,
            tuple(initargs),
            max_tasks_per_child,
            lazy=True,
            name="ProcessPoolExecutor",
        )
        self._shut = False
        # At the exit of the interpreter, and of a process of multiprocessing, the tasks are done
        # first, as by the standard executor.
        self._end = util.Finalize(None, _finish, (self._engine,), exitpriority=20)
        util.Finalize(self, self._engine.close)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a worker call `fn(*args, **kwargs)`.

        Returns:
            A Future of what it returns.

        Raises:
            RuntimeError: the executor is shut down, or belongs to another process.
            InitializerError: no worker could be initialized.
        """
        if self._shut:
            raise RuntimeError("[submit] cannot schedule new futures after shutdown")
        if isinstance(self._engine.broken, InitializerError):
            raise self._engine.broken
        if not self._engine.is_alive():
            raise RuntimeError(
                f"[submit] the executor has ended, or belongs to process {self._engine.pid}, which "
                "is not this one; make one in each process"
            )
        future: Future[Any] = Future()
        self._engine.submit(_FutureTask(future, self._limit, fn, args, kwargs))
        return future

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
    ) -> Iterator[Any]:
        """Return an iterator of `fn(*args)` for the arguments of the iterables, in their order.

        Args:
            fn: the function.
            iterables: an argument each; the shortest ends the call.
            timeout: the seconds after which `next` raises TimeoutError, from this call on.
            chunksize: the number of calls that a worker gets at once.

        Raises:
            ValueError: chunksize is below 1.
        """
        if chunksize < 1:
            raise ValueError(f"[map] chunksize must be at least 1, got {chunksize}")
        if chunksize == 1:
            return super().map(fn, *iterables, timeout=timeout)
        calls = zip(*iterables)
        chunks = iter(lambda: list(itertools.islice(calls, chunksize)), [])
        end = None if timeout is None else time.monotonic() + timeout
        futures = [self.submit(_call_each, fn, chunk) for chunk in chunks]
        return _results(futures, end)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks.

        Args:
            wait: whether to wait until all futures are done and the workers have ended.
            cancel_futures: whether to cancel the futures that have not begun.
        """
        self._shut = True
        if cancel_futures:
            self._engine.drop(lambda task: task.future.cancel())  # type: ignore[attr-defined]
        self._engine.close()
        if wait:
            self._engine.join()
            self._end.cancel()


def _finish(engine: Engine) -> None:
    engine.close()
    engine.join()


def _results(futures: list[Future[Any]], end: float | None) -> Iterator[Any]:
    futures.reverse()
    try:
        while futures:
            left = None if end is None else end - time.monotonic()
            yield from futures.pop().result(left)
    finally:
        for future in futures:
            future.cancel()
