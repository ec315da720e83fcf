"""The engine of pools and executors: tasks, workers, and what happens when one of them fails.

The problem. In the standard pool all workers share one pipe for tasks and one for results. A worker
that is killed takes its task with it, and the caller waits for ever, because no process knows which
worker had which task. The standard executor knows as little, and breaks as a whole. An initializer
that fails starts new workers without end.

What fails: repeating a lost task. It may have had its effect already, or it is what kills workers.

The solution. Each worker has pipes of its own (`task_pipe.py`), and the engine hands out tasks one
by one, so it knows what each worker has. A worker may get some short tasks in advance. One thread
owns all of this state. It waits for results, for the end of workers, for commands and for the next
time limit in one `poll`, without waking up in between. Other threads, and signal handlers, append
to a deque and wake it; so there is no lock that any of them could hold.

When a worker ends, the engine reads the results that it has left, takes back the tasks that it has
not read, and hands them out anew. A task that was begun and has no result fails with
WorkerLostError. Then a new worker takes the place. The same is done, on purpose, to end one task:
first the engine takes back what the worker has not begun, then it looks for the result, and only
then it kills the worker; so the task that is ended is the one that was meant.

What it guarantees.

* Each task is done exactly once: by its value, its exception, or the error that says what happened.
  No task runs twice.
* A task whose worker dies fails at once; all others go on.
* A worker that ends before it is initialized counts as a failed try. After `TRIES` in a row, when
  no worker is left that works, every task fails with InitializerError.
* Workers that end without having done anything are replaced more and more slowly.
* No worker survives the engine's process (`worker.py`), nor its end (`terminate`).

An engine belongs to the process that made it. A forked child closes the ends that it inherited.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import select
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from multiprocessing.pool import RemoteTraceback
from socket import socketpair
from typing import Any

from minitensor import runtime

from . import handles, task_pipe
from .cores import cores
from .handles import Task, Worker, deadline
from .task_pipe import Message
from .worker import WORDS
from .worker_errors import InitializerError, TaskTimeoutError, WorkerLostError, ending

__all__ = ["Engine", "Task"]

_Source = tuple[Iterator["Task | None"], Callable[[BaseException], None]]

AHEAD = 16  # tasks at most that a worker has in advance; it has so many if they are short
LONG = 0.002  # seconds; a worker has only one task in advance after one that took longer
TRIES = 3  # workers in a row that may fail to initialize
GRACE = 0.5  # seconds between SIGTERM and SIGKILL when an engine is terminated
SLOWEST = 5.0  # seconds at most until a worker that did nothing is replaced


class Engine:
    """Run tasks in worker processes.

    Args:
        size: the number of workers.
        context: the context whose processes the workers are.
        make_process: makes a process from the context and the arguments of `Process`.
        initializer, initargs: a function that each worker calls first, and its arguments.
        tasks_per_worker: the number of tasks after which a worker is replaced; None for no limit.
        lazy: whether a worker starts only when a task needs it.
        name: what errors call the pool.

    Raises:
        OSError: a process can't be started.

    The methods may be called in any thread. `submit`, `feed`, `has_more`, `wake` and
    `terminate(wait=False)` may also be called in a signal handler.

    Example:
        >>> import minitensor.multiprocessing as mp
        >>> from minitensor.multiprocessing.engine import Engine, Task
        >>> class Printed(Task):
        ...     def done(self, good, value):
        ...         print(value)
        >>> engine = Engine(1, mp.get_context("fork"))
        >>> engine.submit(Printed(abs, (-1,)))
        >>> engine.close()
        >>> engine.join()
        1
    """

    def __init__(
        self,
        size: int,
        context: Any,
        make_process: Callable[..., Any] | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        tasks_per_worker: int | None = None,
        lazy: bool = False,
        name: str = "Pool",
    ) -> None:
        self.size, self.name, self.pid = size, name, os.getpid()
        self.processes: list[Any] = []
        self.broken: BaseException | None = None  # why no worker can be had
        self._context, self._make = context, make_process or (lambda c, **kwds: c.Process(**kwds))
        self._initializer, self._initargs = initializer, initargs
        self._tasks_per_worker, self._lazy = tasks_per_worker, lazy
        self._threads = max(1, min(runtime.get_num_threads(), cores()) // size)
        self._numbers = itertools.count()
        # What other threads write:
        self._submitted: deque[Task] = deque()
        self._new_sources: deque[_Source] = deque()
        self._commands: deque[Callable[[], None]] = deque()
        self._closing = self._ending = self._ended = False
        self._asleep = self._news = False
        self._room = True  # whether a task more would be handed out, or a worker started for it
        # What belongs to the engine's thread:
        self._waiting: deque[Task] = deque()  # taken back, to be handed out first
        self._back: deque[Task] = deque()  # being taken back
        self._sources: deque[_Source] = deque()
        self._workers: dict[int, Worker] = {}  # by rank
        self._idle: deque[Worker] = deque()
        self._partly: deque[Worker] = deque()
        self._failures = 0  # workers in a row that ended without having done anything
        self._tries = 0  # those of them that were not initialized
        self._start_at = 0.0  # when the next worker may be started
        self._deadlines = False  # whether a worker, or the task that it runs, may have a deadline
        self._watched: dict[int, tuple[Callable[[Worker], None], Worker]] = {}
        self._poll = select.poll()
        self._wake_r, self._wake_w = socketpair()
        self._wake_r.setblocking(False)
        self._wake_w.setblocking(False)
        self._wakes = self._wake_r.fileno()
        self._poll.register(self._wakes, select.POLLIN)
        self._thread = threading.Thread(target=self._run, name=f"{name}Engine", daemon=True)
        handles.owners.add(self)
        try:
            if not lazy:
                self._start_first()
            self._thread.start()
        except BaseException:
            self._give_up_start()
            raise

    # --- for any thread ---------------------------------------------------------------------------
    def submit(self, task: Task) -> None:
        """Have a task run.  Its `done` is called later, also if the engine has ended."""
        self._submitted.append(task)
        self.has_more()
        if self._ended:
            self._fail_rest()

    def feed(self, tasks: Iterator[Task | None], abandon: Callable[[BaseException], None]) -> None:
        """Have the tasks of an iterator run; the engine asks for one when a worker is free.

        Args:
            tasks: an iterator that never waits; None stands for "none yet", and the program calls
                `has_more` when there is one, and `wake` at the end.
            abandon: is called in place of all further tasks when the engine ends.
        """

        self._new_sources.append((tasks, abandon))
        self.wake()
        if self._ended:
            self._fail_rest()

    def has_more(self) -> None:
        """Say that there is a task more; it is looked at when a worker has room for it."""
        self._news = True
        if self._room:
            self.wake()

    def wake(self) -> None:
        """Have the engine look for news at once."""
        self._news = True
        if self._asleep:
            with contextlib.suppress(OSError):  # full: it wakes anyway; closed: it has ended
                self._wake_w.send(b"x")

    def call(self, function: Callable[[], Any]) -> Any:
        """Call a function in the engine's thread, where no task is done meanwhile.

        Returns:
            What it returned; None if the engine has ended.
        """
        if threading.current_thread() is self._thread:
            return function()
        returned: list[Any] = []
        done = threading.Event()

        def run() -> None:
            returned.append(function())
            done.set()

        self._commands.append(run)
        self.wake()
        while not done.wait(1):
            if not self._thread.is_alive():
                return None
        return returned[0]

    def drop(self, tasks_of: Callable[[Task], bool]) -> None:
        """End tasks: those that wait, by CancelledError, and those that run, with their workers.

        Args:
            tasks_of: says of a task whether it is to be ended.
        """
        self.call(lambda: self._drop(tasks_of))

    def close(self) -> None:
        """End when all tasks are done."""
        self._closing = True
        self.wake()

    def terminate(self, wait: bool = True) -> None:
        """End now: kill the workers; the tasks that are not done fail with CancelledError."""
        self._ending = True
        self.wake()
        if wait:
            self.join()

    def join(self) -> None:
        """Wait until the engine has ended."""
        if self.pid == os.getpid() and threading.current_thread() is not self._thread:
            self._thread.join()

    def is_alive(self) -> bool:
        """Return whether the engine runs, in this process."""
        return self.pid == os.getpid() and self._thread.is_alive()

    # --- the thread -------------------------------------------------------------------------------
    def _run(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        for worker in self._workers.values():
            self._watch(worker)
        try:
            while self._one_round():
                pass
        except BaseException as error:
            self.broken = error
            raise
        finally:
            self._finish()

    def _one_round(self) -> bool:
        """Hand out tasks, wait for what happens next, and act on it; return False at the end."""
        self._news = False  # first: what is new from now on ends the wait at once
        while self._commands:
            self._commands.popleft()()
        while self._new_sources:
            self._sources.append(self._new_sources.popleft())
        self._maintain()
        self._hand_out()
        if self._ending or self._is_finished():
            return False
        self._room = bool(
            self._idle or self._partly or self.broken or len(self._workers) < self.size
        )
        self._asleep = True
        patience = self._patience()
        events = self._poll.poll(0 if self._news or self._ending else patience)
        self._asleep = False
        for handle, _ in events:
            if handle == self._wakes:
                self._wake_r.recv(4096)
            elif handle in self._watched:
                act, worker = self._watched[handle]
                act(worker)
        if self._deadlines:
            self._end_late()
        return True

    def _is_finished(self) -> bool:
        """Return whether the engine is closed, all tasks are done, and the workers have ended."""
        if not self._closing or self._commands or self._has_tasks():
            return False
        for worker in [*self._workers.values()]:
            if not worker.has and not worker.leaving:
                self._dismiss(worker)
        return not self._workers

    def _has_tasks(self) -> bool:
        """Return whether there are tasks that no worker has."""
        return bool(self._submitted or self._waiting or self._sources or self._new_sources)

    def _patience(self) -> float | None:
        """Return the milliseconds until something is to be done without an event; None: never."""
        soonest = math.inf
        if self._deadlines:
            soonest = min(map(deadline, self._workers.values()), default=math.inf)
            self._deadlines = soonest < math.inf
        if self._start_at and len(self._workers) < self._wanted():
            soonest = min(soonest, self._start_at)
        return max(0, 1000 * (soonest - time.monotonic()) + 1) if soonest < math.inf else None

    def _finish(self) -> None:
        """End all workers and all tasks."""
        try:
            self._closing = self._ending = True
            self._end_workers()
        finally:
            self._ended = True  # from now on, who adds a task ends it
            self._close_wakes()
            self._fail_rest()

    def _fail_rest(self) -> None:
        """End the tasks that are left when the engine has ended; in any thread."""
        error = self.broken or CancelledError(
            f"[{self.name}] it was terminated before the task was done"
        )
        with contextlib.suppress(IndexError):
            while True:
                _done(self._waiting.popleft(), False, error)
        with contextlib.suppress(IndexError):
            while True:
                _done(self._submitted.popleft(), False, error)
        for sources in (self._sources, self._new_sources):
            with contextlib.suppress(IndexError):
                while True:
                    sources.popleft()[1](error)
        with contextlib.suppress(IndexError):
            while True:
                self._commands.popleft()()

    def _end_workers(self) -> None:
        for worker in self._workers.values():
            if worker.process.exitcode is None:
                worker.process.terminate()
        patience = time.monotonic() + GRACE
        for worker in self._workers.values():
            worker.process.join(max(0.0, patience - time.monotonic()))
            if worker.process.exitcode is None:
                worker.process.kill()
                worker.process.join()
        for worker in [*self._workers.values()]:
            self._settle(worker)

    # --- workers ----------------------------------------------------------------------------------
    def _start_first(self) -> None:
        for rank in range(self.size):
            self._workers[rank] = worker = self._start(rank)
            self.processes.append(worker.process)
            if worker.unread is not None:
                self._idle.append(worker)

    def _give_up_start(self) -> None:
        for process in self.processes:
            if process.exitcode is None:
                process.terminate()
        for process in self.processes:
            process.join()
        for worker in self._workers.values():
            worker.close()
        self._close_wakes()

    def forked(self) -> list[Worker]:
        """Close what wakes the engine, in a forked child; return the workers, whose ends it has."""
        self._wake_r.close()
        self._wake_w.close()
        return [*self._workers.values()]

    def _close_wakes(self) -> None:
        self._asleep = False
        self._wake_r.close()
        self._wake_w.close()
        handles.owners.discard(self)

    def _start(self, rank: int) -> Worker:
        """Start a worker."""
        worker = Worker(rank)
        worker.start(
            self._context, self._make, self.size, self._threads, self._initializer, self._initargs
        )
        return worker

    def _watch(self, worker: Worker) -> None:
        for handle, act in (
            (worker.results.fileno(), self._take_results),
            (worker.leave(self._context), self._take_leave),
        ):
            self._watched[handle] = act, worker
            self._poll.register(handle, select.POLLIN)

    def _unwatch(self, handle: int) -> None:
        if self._watched.pop(handle, None):
            self._poll.unregister(handle)

    def _maintain(self) -> None:
        """Start the workers that are missing and wanted."""
        while (
            len(self._workers) < self._wanted()
            and not isinstance(self.broken, InitializerError)
            and time.monotonic() >= self._start_at
        ):
            rank = next(r for r in range(self.size) if r not in self._workers)
            try:
                worker = self._start(rank)
            except Exception as error:
                self._slow_down(error)
                return
            self._workers[rank] = worker
            self.processes.append(worker.process)
            self._watch(worker)
            if worker.unread is not None:
                self._list(worker)

    def _wanted(self) -> int:
        """Return the number of workers that there should be."""
        if len(self._workers) == self.size or not (self._lazy or self._closing):
            return self.size
        tasks = len(self._submitted) + len(self._waiting)
        tasks += sum(len(worker.has) for worker in self._workers.values())
        return self.size if self._sources else min(self.size, tasks)

    def _slow_down(self, error: Exception | None = None) -> None:
        """Wait before the next start; if no worker is left, fail the tasks by `error`."""
        self._failures += 1
        self._start_at = time.monotonic() + min(SLOWEST, 0.05 * 2 ** min(self._failures, 10))
        if error is not None and not any(worker.ready for worker in self._workers.values()):
            self.broken = error

    def _take_leave(self, worker: Worker) -> None:
        """Settle the tasks of a worker that has ended; another one takes its place."""
        process = worker.process
        process.join(1)
        if process.exitcode is None:  # it has closed what it was watched by
            process.kill()
            process.join(1)
        self._settle(worker)
        if worker.did_something or (worker.leaving and worker.ready):
            self._failures, self._start_at = 0, 0.0
        elif worker.ready:
            self._slow_down()
        else:
            self._tries += 1
            if self._tries >= TRIES:
                self._slow_down(
                    worker.verdict
                    or InitializerError(
                        f"[{self.name}] {self._tries} workers in a row ended before they were "
                        f"initialized; the last, process {process.pid}, {ending(process.exitcode)}"
                    )
                )

    def _settle(self, worker: Worker) -> None:
        """Read what a dead worker left; each of its tasks is done, or waits again."""
        self._take_results(worker)
        self._take_back(worker)
        process, code = worker.process, worker.process.exitcode
        words = self._last_words(worker) if worker.has else ""
        for task in worker.has:
            error: Exception = worker.verdict or WorkerLostError(
                f"[{self.name}] {process.name} (rank {worker.rank}, process {process.pid}) "
                f"{ending(code)} while it ran {task}"
                + (f"; its last words:\n{words}" if words else ""),
                str(task),
                process.pid,
                code,
                words,
            )
            if self._ending:
                error = CancelledError(f"[{self.name}] it was terminated while it ran {task}")
            _done(task, False, error)
            worker.did_something = True
        worker.has.clear()
        for handle in (worker.leave(self._context), worker.results.fileno()):
            self._unwatch(handle)
        worker.close()
        del self._workers[worker.rank]
        self.processes.remove(process)

    def _last_words(self, worker: Worker) -> str:
        with contextlib.suppress(OSError, EOFError):
            if worker.lifeline.poll():
                return os.read(worker.lifeline.fileno(), WORDS).decode(errors="replace").strip()
        return ""

    # --- tasks ------------------------------------------------------------------------------------
    def _hand_out(self) -> None:
        """Give tasks to workers: first to idle ones, then in advance."""
        while self.broken and (task := self._next_task()):
            _done(task, False, self.broken)
        while (worker := self._free_worker()) is not None:
            task = self._next_task()
            if task is None:
                self._list(worker)
                break
            if not task.begins():
                self._list(worker)
                _done(task, False, CancelledError(f"[{self.name}] {task} was cancelled"))
            else:
                self._give(worker, task)
        while self._idle and self._steal():
            pass

    def _free_worker(self) -> Worker | None:
        while self._idle:
            worker = self._idle.popleft()
            if not worker.has and self._may_get(worker):
                return worker
        while self._partly:
            worker = self._partly.popleft()
            worker.listed = False
            if len(worker.has) <= worker.ahead and self._may_get(worker):
                return worker
        return None

    def _may_get(self, worker: Worker) -> bool:
        return (
            not worker.leaving
            and self._workers.get(worker.rank) is worker
            and (worker.ready or worker.unread is not None)
            and worker.given != self._tasks_per_worker
        )

    def _list(self, worker: Worker) -> None:
        """Note that a worker may have room for tasks."""
        if not worker.has:
            self._idle.append(worker)
        elif worker.unread and len(worker.has) <= worker.ahead and not worker.listed:
            worker.listed = True
            self._partly.append(worker)

    def _next_task(self) -> Task | None:
        if self._waiting:
            return self._waiting.popleft()
        if self._submitted:
            return self._submitted.popleft()
        for _ in range(len(self._sources)):
            try:
                task = next(self._sources[0][0])
            except StopIteration:
                self._sources.popleft()
                continue
            if task is not None:
                return task
            self._sources.rotate(-1)
        return None

    def _give(self, worker: Worker, task: Task) -> None:
        task.number = next(self._numbers)
        try:
            sent = task_pipe.send(
                worker.tasks, task.number, (task.function, task.args, task.kwds), waits=False
            )
        except task_pipe.Gone:  # its end is reported next
            self._waiting.appendleft(task)
            return
        except Exception as error:
            _done(task, False, error)
            self._list(worker)
            return
        if not sent:
            self._waiting.appendleft(task)
            return
        if not worker.has:
            worker.since = time.monotonic()
            self._deadlines |= task.limit is not None
        worker.has.append(task)
        worker.given += 1
        self._list(worker)
        self._dismiss_if_worn(worker)

    def _dismiss_if_worn(self, worker: Worker) -> None:
        if worker.given == self._tasks_per_worker and not worker.leaving:
            self._dismiss(worker)

    def _dismiss(self, worker: Worker) -> None:
        """Have a worker end after its tasks; if its pipe is full, it is told later."""
        try:
            worker.leaving = task_pipe.send(worker.tasks, task_pipe.END, waits=False)
        except task_pipe.Gone:
            worker.leaving = True

    def _take_results(self, worker: Worker) -> None:
        """Take the results that a worker has sent."""
        taken = 0
        try:
            while (message := task_pipe.read(worker.results)) is not None:
                self._take_result(worker, message)
                taken += 1
                if worker.ready and not worker.has:
                    break
        except task_pipe.Gone:
            self._unwatch(worker.results.fileno())
            worker.end_by = time.monotonic() + GRACE
            self._deadlines = True
        if 2 * taken > worker.ahead:  # it works off its tasks faster than it is given new ones
            worker.ahead = min(2 * worker.ahead, AHEAD)

    def _take_result(self, worker: Worker, message: Message) -> None:
        if message.number == task_pipe.READY:
            worker.ready, worker.since, self._tries = True, time.monotonic(), 0
            self._deadlines = True
            self.broken = None
            self._list(worker)
            return
        good, value = bool(message.good), None
        if worker.verdict is not None:  # the decision stands
            message.drop()
            good, value, message.text = False, worker.verdict, ""
        else:
            try:
                value = message.load()
            except Exception as error:
                good, value = False, error
        if message.number == task_pipe.FAILED:
            worker.verdict = error = InitializerError(
                f"[{self.name}] the initializer failed in {worker.process.name} (process "
                f"{worker.process.pid}): {type(value).__name__}: {value}"
            )
            error.__cause__ = self._told(value, message.text, worker, "the initializer")
            return
        task = worker.take(message.number)
        worker.did_something = True
        now = time.monotonic()
        if now > worker.since + LONG:
            worker.ahead = 1
        worker.since = now
        if worker.has and worker.has[0].limit is not None:
            self._deadlines = True
        if not good and message.text:
            value = self._told(value, message.text, worker, str(task))
        self._list(worker)
        self._dismiss_if_worn(worker)
        _done(task, good, value)

    def _told(self, error: Any, text: str, worker: Worker, what: str) -> Any:
        """Return an exception with the worker's traceback as its cause."""
        error.__cause__ = RemoteTraceback(
            f'\n"""\nIn {worker.process.name} (rank {worker.rank}, process {worker.process.pid}), '
            f'{what}:\n{text}"""'
        )
        return error

    def _take_back(self, worker: Worker) -> None:
        """Take back the tasks that a worker has not begun; they wait again, as the first.

        The worker may read its next task between two reads of the engine, so what is taken back
        need not be the end of what the worker has: each message says which task it is.
        """
        if worker.unread is None:
            return
        with contextlib.suppress(task_pipe.Gone):
            while (message := task_pipe.read(worker.unread)) is not None:
                message.drop()
                if message.number == task_pipe.END:
                    worker.leaving = False
                else:
                    self._back.append(worker.take(message.number))
        if self._back:
            worker.given -= len(self._back)
            self._list(worker)  # it has room again
        while self._back:
            self._waiting.appendleft(self._back.pop())

    def _steal(self) -> bool:
        """Take back one task that waits behind another, for an idle worker."""
        for worker in self._workers.values():
            if len(worker.has) > 1:
                before = len(worker.has)
                self._take_back(worker)
                if len(worker.has) < before:
                    self._hand_out()
                    return True
        return False

    def _end_task(self, worker: Worker, error: Exception) -> bool:
        """End the running task of a worker by killing it; return False if it was done meanwhile."""
        task = worker.has[0]
        self._take_back(worker)
        self._take_results(worker)
        if not worker.has or worker.has[0] is not task or worker.verdict:
            return False
        worker.verdict = error
        worker.leaving = True
        worker.process.kill()
        return True

    def _end_late(self) -> None:
        """End the tasks that have reached their limit, and workers that can't give results."""
        now = time.monotonic()
        for worker in [*self._workers.values()]:
            if now < deadline(worker):
                continue
            if worker.end_by <= now:
                worker.end_by = math.inf
                worker.process.kill()
                continue
            task = worker.has[0]
            self._end_task(
                worker,
                TaskTimeoutError(
                    f"[{self.name}] {task} took longer than its task_timeout of {task.limit} "
                    f"seconds; its worker, process {worker.process.pid}, was ended"
                ),
            )

    def _drop(self, tasks_of: Callable[[Task], bool]) -> None:
        for worker in [*self._workers.values()]:
            # Again, since the worker may have begun another one of them meanwhile.
            while any(map(tasks_of, worker.has)) and worker.verdict is None:
                running, count = worker.has[0], len(worker.has)
                if tasks_of(running):
                    error = CancelledError(f"[{self.name}] {running} was cancelled while it ran")
                    self._end_task(worker, error)
                else:
                    self._take_back(worker)
                    self._take_results(worker)
                    if len(worker.has) == count:
                        break
        for queue in (self._waiting, self._submitted):
            for task in [task for task in queue if tasks_of(task)]:
                with contextlib.suppress(ValueError):
                    queue.remove(task)
                    _done(task, False, CancelledError(f"[{self.name}] {task} was cancelled"))


def _done(task: Task, good: bool, value: Any) -> None:
    """Tell a task its outcome; what its callbacks raise is reported, and harms nothing."""
    try:
        task.done(good, value)
    except BaseException:
        threading.excepthook(
            threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread()))
        )
