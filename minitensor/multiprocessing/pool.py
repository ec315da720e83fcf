"""The pool of worker processes: the standard pool's methods, on our engine.

The problem. In the standard pool, a worker that is killed takes its task along, and the call waits
for ever; so does a call whose task the worker cannot unpickle, or whose result the pool cannot. An
initializer that fails starts workers without end. A callback that raises ends the thread that
reads results.

The solution. The engine (`engine.py`) has the workers and the tasks. This module has what the
standard pool's users know: the ways to call, the objects that they return, and the states of a
pool. A list of arguments is cut into chunks by the engine's thread when a worker is free. Any other
iterable is the program's code, which may wait; a thread of its own reads it (`_Feeder`), some tasks
ahead.

What it guarantees. Each call gets its value or an error. Results come in the standard pool's order,
and the classes are subclasses of its classes. After `terminate`, no call waits.

`ThreadPool` is the standard one: its values stay in the process.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from itertools import islice
from multiprocessing import pool as _standard
from multiprocessing import util
from multiprocessing.context import BaseContext
from typing import Any

from . import _default
from ._alias import fall_back
from .cores import cores
from .engine import Engine, Task
from .progress import Progress, Show, shower

__all__ = _standard.__all__
__getattr__, __dir__ = fall_back(__name__, _standard)

INIT, RUN, CLOSE, TERMINATE = "INIT", "RUN", "CLOSE", "TERMINATE"
SHOWN = 100  # chunks at least of a call whose progress is shown, if it has so many tasks
FED = 64  # tasks that a thread reads ahead from an iterable


class _PoolTask(Task):
    """A chunk of a call."""

    __slots__ = ("index", "job", "limit", "size")

    def __init__(
        self, job: Any, index: int, function: Any, args: Any, kwds: Any = {}, size: int = 1  # noqa: B006
    ) -> None:
        self.function, self.args, self.kwds = function, args, kwds
        self.job, self.index, self.size = job, index, size
        limit = job.task_timeout
        self.limit = None if limit is None else limit * size

    def done(self, good: bool, value: Any) -> None:
        job = self.job
        try:
            if job.show is not None:
                job.show.add(self.size)  # before a waiting `get` returns
        finally:
            job._set(self.index, (good, value))
        if job.show is not None and job._is_over():
            job.show.close()

    def begins(self) -> bool:
        return not self.job.dropped

    def __str__(self) -> str:
        return f"task {self.index} of {self.job.what}"


class _Job:
    """What the results of all ways to call have in common."""

    dropped = False
    task_timeout: float | None = None
    _called: tuple[str, Any] = "", None  # the way to call, and the function
    show: Show | None = None
    _engine: Engine
    _cache: dict[int, Any]
    _job: int

    def _begin(self, pool: Pool, what: str, function: Any, task_timeout: float | None) -> None:
        self._engine = pool._engine
        self.task_timeout = pool._task_timeout if task_timeout is None else task_timeout
        self._called = what, function

    @property
    def what(self) -> str:
        """What errors call the call."""
        way, function = self._called
        return f"{way}({getattr(function, '__qualname__', None) or type(function).__qualname__})"

    def _is_over(self) -> bool:
        return self._job not in self._cache

    def _fail(self, error: BaseException) -> None:
        """End the call by an error, whatever its tasks do."""
        raise NotImplementedError

    def cancel(self) -> bool:
        """End the call: `get` and `next` raise CancelledError.

        Tasks that have not begun never run. Those that run end with their workers, which are
        replaced.

        Returns:
            False if the call was done already.

        Example:
            >>> import time, minitensor.multiprocessing as mp
            >>> with mp.get_context("fork").Pool(1) as pool:
            ...     result = pool.apply_async(time.sleep, (60,))
            ...     result.cancel()
            True
        """
        return bool(self._engine.call(self._cancel))

    def _cancel(self) -> bool:
        if self._is_over():
            return False
        self.dropped = True
        self._engine.drop(lambda task: getattr(task, "job", None) is self)
        if self._is_over() and not isinstance(getattr(self, "_value", None), CancelledError):
            return False  # its result had come
        self._fail(CancelledError(f"[Pool] {self.what} was cancelled"))
        return True


class ApplyResult(_Job, _standard.ApplyResult):
    """The result of `apply_async`, as the standard one, with `cancel`."""

    def _set(self, i: int, obj: tuple[bool, Any]) -> None:
        if not self._is_over():
            self._end(*obj)

    def _end(self, success: bool, value: Any) -> None:
        self._success, self._value = success, value
        callback = self._callback if success else self._error_callback
        try:
            if callback:
                callback(value)
        finally:
            self._cache.pop(self._job, None)
            self._event.set()
            self._pool = None

    def _fail(self, error: BaseException) -> None:
        if not self._is_over():
            if self.show is not None:
                self.show.close()
            self._end(False, error)


AsyncResult = ApplyResult


class MapResult(ApplyResult, _standard.MapResult):
    """The result of `map_async` and `starmap_async`, as the standard one, with `cancel`."""

    def _set(self, i: int, obj: tuple[bool, Any]) -> None:
        if self._is_over():
            return
        success, value = obj
        self._number_left -= 1
        if success and self._success:
            self._value[i * self._chunksize : (i + 1) * self._chunksize] = value
        elif self._success:  # the first exception counts
            self._success, self._value = False, value
        if self._number_left == 0:  # the call is over when all its tasks are
            self._end(self._success, self._value)


class IMapIterator(_Job, _standard.IMapIterator):
    """The results of `imap`, as the standard ones, with `cancel`."""

    def _set(self, i: int, obj: tuple[bool, Any]) -> None:
        if not self._is_over():
            super()._set(i, obj)

    def _set_length(self, length: int) -> None:
        if not self._is_over():
            super()._set_length(length)

    def _fail(self, error: BaseException) -> None:
        with self._cond:
            if not self._is_over():
                self._unsorted.clear()
                self._items.append((False, error))
                self._index += 1
                self._length = self._index
                self._cache.pop(self._job)
                self._pool = None
                self._cond.notify_all()
        if self.show is not None:
            self.show.close()


class IMapUnorderedIterator(IMapIterator, _standard.IMapUnorderedIterator):
    """The results of `imap_unordered`, as the standard ones, with `cancel`."""

    def _set(self, i: int, obj: tuple[bool, Any]) -> None:
        if not self._is_over():
            _standard.IMapUnorderedIterator._set(self, i, obj)


class _Chunks:
    """The results of `imap` with chunks, one by one."""

    def __init__(self, chunks: IMapIterator) -> None:
        self._chunks = chunks
        self._items: Iterator[Any] = iter(())

    def __iter__(self) -> _Chunks:
        return self

    def next(self, timeout: float | None = None) -> Any:
        """Return the next result; raise TimeoutError after `timeout` seconds."""
        while True:
            for item in self._items:
                return item
            self._items = iter(self._chunks.next(timeout))

    __next__ = next

    def cancel(self) -> bool:
        """End the call, as `IMapIterator.cancel`."""
        return self._chunks.cancel()


class _Feeder:
    """Read an iterable of the program in a thread; the engine takes the tasks from here.

    Args:
        engine: is woken when there is a task.
        job: the result of the call.
        tasks: makes the tasks, in the thread.
    """

    def __init__(self, engine: Engine, job: Any, tasks: Iterator[_PoolTask]) -> None:
        self._engine, self._job, self._tasks = engine, job, tasks
        self._ready: deque[_PoolTask] = deque()
        self._count = 0
        self._error: Exception | None = None
        self._over = self._full = False
        self._room = threading.Event()
        threading.Thread(target=self._read, name="PoolFeeder", daemon=True).start()

    def _read(self) -> None:
        try:
            for task in self._tasks:
                self._count += 1
                self._ready.append(task)
                self._engine.has_more()
                while len(self._ready) >= FED and not self._job._is_over():
                    self._room.clear()
                    self._full = True
                    if len(self._ready) >= FED:  # the engine may have been faster
                        self._room.wait()
                if self._job._is_over():
                    return
        except Exception as error:
            self._error = error
        finally:
            self._over = True
            self._engine.wake()

    def __iter__(self) -> _Feeder:
        return self

    def __next__(self) -> _PoolTask | None:
        over = self._over
        if self._full and len(self._ready) <= FED // 2:
            self._full = False
            self._room.set()
        try:
            return self._ready.popleft()
        except IndexError:
            if not over:
                return None
        if self._error is not None:
            error, self._error = self._error, None
            self._job._set(self._count, (False, error))
            self._count += 1
        if isinstance(self._job, IMapIterator):
            self._job._set_length(self._count)
        raise StopIteration

    def abandon(self, error: BaseException) -> None:
        """End the call by an error, and the thread."""
        self._job._fail(error)
        self._ready.clear()
        self._room.set()


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
        self, func: Any, args: Any = (), kwds: Any = {}, *, task_timeout: float | None = None  # noqa: B006
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
        self._engine.submit(_PoolTask(result, 0, func, args, kwds))
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
        return result if chunksize == 1 else _Chunks(result)

    def _feed(self, job: Any, func: Any, iterable: Any, mapper: Any, size: int) -> None:
        """Have the tasks of a call run."""
        tasks = _tasks(job, func, iterable, mapper, size)
        if type(iterable) in (list, tuple, range):  # no code of the program runs
            if isinstance(job, IMapIterator):
                job._set_length(-(-len(iterable) // size))
            self._engine.feed(tasks, job._fail)
        else:
            feeder = _Feeder(self._engine, job, tasks)
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


def _tasks(job: Any, func: Any, iterable: Any, mapper: Any, size: int) -> Iterator[_PoolTask]:
    """Return the tasks of a call, one by one."""
    items = iter(iterable)
    index = 0
    while not job.dropped:
        chunk = tuple(islice(items, size))
        if not chunk:
            return
        if mapper is None:
            yield _PoolTask(job, index, func, chunk)
        else:
            yield _PoolTask(job, index, mapper, ((func, chunk),), size=len(chunk))
        index += 1
