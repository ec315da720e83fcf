"""The results of a pool's calls, and the tasks of a call.

The results are those of the standard pool, with `cancel`. They take each outcome once, in the
engine's thread, and ignore what comes after the call is over. Their classes are subclasses of the
standard ones.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError
from itertools import islice
from multiprocessing import pool as _standard
from typing import TYPE_CHECKING, Any

from .engine import Engine, Task
from .progress import Show

if TYPE_CHECKING:
    from .pool import Pool

__all__ = [
    "ApplyResult",
    "AsyncResult",
    "Chunks",
    "Feeder",
    "IMapIterator",
    "IMapUnorderedIterator",
    "MapResult",
    "PoolTask",
    "tasks_of",
]

FED = 64  # tasks that a thread reads ahead from an iterable


class PoolTask(Task):
    """A chunk of a call."""

    __slots__ = ("index", "job", "limit", "size")

    def __init__(
        self,
        job: Any,
        index: int,
        function: Any,
        args: Any,
        kwds: Any = {},  # noqa: B006
        size: int = 1,
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

    def _ignores(self) -> bool:
        """Return whether the outcome of a task comes too late."""
        return self.dropped or self._is_over()

    def _fail(self, error: BaseException) -> None:
        """End the call by an error, whatever its tasks do."""
        raise NotImplementedError(f"[Pool] {type(self).__name__} must define _fail")

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
        self.dropped = True  # from now on no outcome of a task counts
        self._engine.drop(lambda task: getattr(task, "job", None) is self)
        self._fail(CancelledError(f"[Pool] {self.what} was cancelled"))
        return True


class ApplyResult(_Job, _standard.ApplyResult):
    """The result of `apply_async`, as the standard one, with `cancel`."""

    def _set(self, i: int, obj: tuple[bool, Any]) -> None:
        if not self._ignores():
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
        if self._ignores():
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
        if not self._ignores():
            super()._set(i, obj)

    def _set_length(self, length: int) -> None:
        if not self._ignores():
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
        if not self._ignores():
            _standard.IMapUnorderedIterator._set(self, i, obj)


class Chunks:
    """The results of `imap` with chunks, one by one."""

    def __init__(self, chunks: IMapIterator) -> None:
        self._chunks = chunks
        self._items: Iterator[Any] = iter(())

    def __iter__(self) -> Chunks:
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


class Feeder:
    """Read an iterable of the program in a thread; the engine takes the tasks from here.

    Args:
        engine: is woken when there is a task.
        job: the result of the call.
        tasks: makes the tasks, in the thread.
    """

    def __init__(self, engine: Engine, job: Any, tasks: Iterator[PoolTask]) -> None:
        self._engine, self._job, self._tasks = engine, job, tasks
        self._ready: deque[PoolTask] = deque()
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

    def __iter__(self) -> Feeder:
        return self

    def __next__(self) -> PoolTask | None:
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


def tasks_of(job: Any, func: Any, iterable: Any, mapper: Any, size: int) -> Iterator[PoolTask]:
    """Return the tasks of a call, one by one."""
    items = iter(iterable)
    index = 0
    while not job.dropped:
        chunk = tuple(islice(items, size))
        if not chunk:
            return
        if mapper is None:
            yield PoolTask(job, index, func, chunk)
        else:
            yield PoolTask(job, index, mapper, ((func, chunk),), size=len(chunk))
        index += 1
