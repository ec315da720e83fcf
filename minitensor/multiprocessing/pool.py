"""The pool of worker processes: the standard pool's methods, on our engine.

The problem. In the standard pool, a worker that is killed takes its task along, and the call waits
for ever; so does a call whose task the worker cannot unpickle, or whose result the pool cannot. An
initializer that fails starts workers without end. A callback that raises ends the thread that
reads results.

The solution. The engine (`engine.py`) has the workers and the tasks. This module has what the
standard pool's users know: the ways to call, the objects that they return, and the states of a
pool. The objects that calls return are in `results.py`. A list of arguments is cut into chunks by
the engine's thread when a worker is free. Any other iterable is the program's code, which may wait;
a thread of its own reads it, some tasks ahead (`Feeder`).

What it guarantees. Each call gets its value or an error. Results come in the standard pool's order,
and the classes are subclasses of its classes. After `terminate`, no call waits.

`ThreadPool` is the standard one: its values stay in the process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from multiprocessing import pool as _standard
from multiprocessing import util
from multiprocessing.context import BaseContext
from typing import Any

from . import _default
from ._alias import fall_back
from .cores import cores
from .engine import Engine
from .progress import Progress, shower
from .results import (
    ApplyResult,
    AsyncResult,  # noqa: F401  (a name of the standard module)
    Chunks,
    Feeder,
    IMapIterator,
    IMapUnorderedIterator,
    MapResult,
    PoolTask,
    tasks_of,
)

__all__ = _standard.__all__
__getattr__, __dir__ = fall_back(__name__, _standard)

INIT, RUN, CLOSE, TERMINATE = "INIT", "RUN", "CLOSE", "TERMINATE"
SHOWN = 100  # chunks at least of a call whose progress is shown, if it has so many tasks


class Pool(_standard.Pool):
    """A pool of processes that run tasks.

    A task whose worker ends fails with WorkerLostError, and another worker takes its place; the
    other tasks go on. docs/pool.md says what happens for each fault.

    Args:
        processes: the number of workers; None for the number of cores that the process may use.
        initializer, initargs: a function that each worker calls first, and its arguments. If it
            fails in three workers in a row, the calls raise InitializerError.
        maxtasksperchild: the number of tasks after which a worker is replaced; None for no limit.
        context: the context whose processes and queues the pool uses; None for the default one.
        task_timeout: the seconds that a task may run; then it fails with TaskTimeoutError, and its
            worker is replaced. Each call may set its own.

    Example:
        >>> import minitensor.multiprocessing as mp
        >>> with mp.get_context("fork").Pool(2) as pool:
        ...     pool.map(abs, [-1, 2, -3])
        [1, 2, 3]
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: BaseContext | None = None,
        *,
        task_timeout: float | None = None,
    ) -> None:
        self._pool: list[Any] = []
        self._state = INIT
        self._ctx = context or _default.context.get_context()
        self._cache: dict[int, Any] = {}
        self._task_timeout = task_timeout
        if processes is None:
            processes = cores()
        if processes < 1:
            raise ValueError(f"[Pool] processes must be at least 1, got {processes}")
        if maxtasksperchild is not None and (
            not isinstance(maxtasksperchild, int) or maxtasksperchild < 1
        ):
            raise ValueError(
                f"[Pool] maxtasksperchild must be a positive int or None, got {maxtasksperchild!r}"
            )
        if initializer is not None and not callable(initializer):
            raise TypeError(f"[Pool] initializer must be a callable, got {initializer!r}")
        self._processes, self._maxtasksperchild = processes, maxtasksperchild
        self._initializer, self._initargs = initializer, tuple(initargs)
        self._engine = Engine(
            processes, self._ctx, self.Process, initializer, self._initargs, maxtasksperchild
        )
        self._pool = self._engine.processes
        self._terminate = util.Finalize(self, _end, (self._engine,), exitpriority=15)
        self._state = RUN

    def _check_running(self) -> None:
        if self._state != RUN:
            raise ValueError("Pool not running")
        if not self._engine.is_alive():
            raise ValueError(
                f"[Pool] the pool belongs to process {self._engine.pid}; make one in each process"
            )

    def _repopulate_pool(self) -> None:
        self._engine.call(lambda: None)  # the engine starts what is missing before it waits again

    # --- the ways to call -------------------------------------------------------------------------
    def apply(
        self,
        func: Any,
        args: Any = (),
        kwds: Any = {},  # noqa: B006
        *,
        task_timeout: float | None = None,
    ) -> Any:
        """Return `func(*args, **kwds)`, computed by a worker."""
        return self.apply_async(func, args, kwds, task_timeout=task_timeout).get()

    def apply_async(
        self,
        func: Any,
        args: Any = (),
        kwds: Any = {},  # noqa: B006
        callback: Any = None,
        error_callback: Any = None,
        *,
        task_timeout: float | None = None,
    ) -> Any:
        """Have a worker call a function; return an AsyncResult."""
        self._check_running()
        result = ApplyResult(self, callback, error_callback)
        result._begin(self, "apply", func, task_timeout)
        self._engine.submit(PoolTask(result, 0, func, args, kwds))
        return result

    def map(
        self,
        func: Any,
        iterable: Any,
        chunksize: int | None = None,
        *,
        task_timeout: float | None = None,
        progress: bool | Callable[[Progress], object] | None = None,
    ) -> Any:
        """Return the list of `func(x)` for each x of an iterable.

        Args:
            func, iterable, chunksize: as of the standard pool.
            task_timeout: the seconds that one task may run; the pool's, by default.
            progress: True for a bar (tqdm's) or a line on stderr; a function for a call with a
                Progress after each chunk, in a thread of the pool.
        """
        return self.map_async(
            func, iterable, chunksize, task_timeout=task_timeout, progress=progress
        ).get()

    def starmap(
        self,
        func: Any,
        iterable: Any,
        chunksize: int | None = None,
        *,
        task_timeout: float | None = None,
        progress: bool | Callable[[Progress], object] | None = None,
    ) -> Any:
        """Return the list of `func(*args)` for each tuple of an iterable; otherwise as `map`."""
        return self.starmap_async(
            func, iterable, chunksize, task_timeout=task_timeout, progress=progress
        ).get()

    def map_async(
        self,
        func: Any,
        iterable: Any,
        chunksize: int | None = None,
        callback: Any = None,
        error_callback: Any = None,
        *,
        task_timeout: float | None = None,
        progress: bool | Callable[[Progress], object] | None = None,
    ) -> Any:
        """Begin a `map`; return an AsyncResult."""
        return self._map_async(
            func,
            iterable,
            _standard.mapstar,
            chunksize,
            callback,
            error_callback,
            task_timeout,
            progress,
        )

    def starmap_async(
        self,
        func: Any,
        iterable: Any,
        chunksize: int | None = None,
        callback: Any = None,
        error_callback: Any = None,
        *,
        task_timeout: float | None = None,
        progress: bool | Callable[[Progress], object] | None = None,
    ) -> Any:
        """Begin a `starmap`; return an AsyncResult."""
        return self._map_async(
            func,
            iterable,
            _standard.starmapstar,
            chunksize,
            callback,
            error_callback,
            task_timeout,
            progress,
        )

    def _map_async(
        self,
        func: Any,
        iterable: Any,
        mapper: Any,
        chunksize: int | None = None,
        callback: Any = None,
        error_callback: Any = None,
        task_timeout: float | None = None,
        progress: bool | Callable[[Progress], object] | None = None,
    ) -> Any:
        self._check_running()
        if not hasattr(iterable, "__len__"):
            iterable = list(iterable)
        length = len(iterable)
        if chunksize is None:
            if task_timeout is None and self._task_timeout is None:
                chunks = 4 * self._processes
                chunksize = -(-length // (max(chunks, SHOWN) if progress else chunks))
            else:
                chunksize = 1  # so that the limit ends one task and no other
        if length == 0:
            chunksize = 0
        result = MapResult(self, chunksize, length, callback, error_callback)
        what = "map" if mapper is _standard.mapstar else "starmap"
        result._begin(self, what, func, task_timeout)
        if length:
            result.show = shower(progress, length, result.what)
            self._feed(result, func, iterable, mapper, chunksize)
        return result

    def imap(
        self,
        func: Any,
        iterable: Any,
        chunksize: int = 1,
        *,
        task_timeout: float | None = None,
        progress: bool | Callable[[Progress], object] | None = None,
    ) -> Any:
        """Return an iterator of `func(x)` for each x of an iterable, in its order."""
        return self._imap(
            IMapIterator(self), "imap", func, iterable, chunksize, task_timeout, progress
        )

    def imap_unordered(
        self,
        func: Any,
        iterable: Any,
        chunksize: int = 1,
        *,
        task_timeout: float | None = None,
        progress: bool | Callable[[Progress], object] | None = None,
    ) -> Any:
        """Return an iterator of `func(x)` for each x of an iterable, as they are computed."""
        result = IMapUnorderedIterator(self)
        return self._imap(
            result, "imap_unordered", func, iterable, chunksize, task_timeout, progress
        )

    def _imap(
        self,
        result: IMapIterator,
        what: str,
        func: Any,
        iterable: Any,
        chunksize: int,
        task_timeout: float | None,
        progress: bool | Callable[[Progress], object] | None,
    ) -> Any:
        try:
            self._check_running()
            if chunksize < 1:
                raise ValueError(f"[{what}] chunksize must be at least 1, got {chunksize}")
            result._begin(self, what, func, task_timeout)
            length = len(iterable) if hasattr(iterable, "__len__") else None
            result.show = shower(progress, length, result.what)
            mapper = None if chunksize == 1 else _standard.mapstar
            self._feed(result, func, iterable, mapper, chunksize)
        except BaseException:
            self._cache.pop(result._job, None)
            raise
        return result if chunksize == 1 else Chunks(result)

    def _feed(self, job: Any, func: Any, iterable: Any, mapper: Any, size: int) -> None:
        """Have the tasks of a call run."""
        tasks = tasks_of(job, func, iterable, mapper, size)
        if type(iterable) in (list, tuple, range):  # no code of the program runs
            if isinstance(job, IMapIterator):
                job._set_length(-(-len(iterable) // size))
            self._engine.feed(tasks, job._fail)
        else:
            feeder = Feeder(self._engine, job, tasks)
            self._engine.feed(feeder, feeder.abandon)

    # --- the end ----------------------------------------------------------------------------------
    def close(self) -> None:
        """Take no more calls; the workers end when all tasks are done."""
        util.debug("closing pool")
        if self._state == RUN:
            self._state = CLOSE
            self._engine.close()

    def terminate(self) -> None:
        """End all workers now; calls that are not done raise CancelledError."""
        util.debug("terminating pool")
        self._state = TERMINATE
        self._terminate()
        self._engine.join()

    def join(self) -> None:
        """Wait until all workers have ended; `close` or `terminate` must have been called."""
        util.debug("joining pool")
        if self._state == RUN:
            raise ValueError("Pool is still running")
        if self._state not in (CLOSE, TERMINATE):
            raise ValueError("In unknown state")
        self._engine.join()


def _end(engine: Engine) -> None:
    """End a pool's engine: at the exit of the process, by `terminate`, or when no one has it."""
    engine.terminate(wait=util.is_exiting())  # a finalizer may hold what the engine waits for
