"""What runs in a worker: its tasks, and its end with the process that it works for.

The problem. A worker whose pool was killed must not stay. The standard worker learns of it only by
the end of its pipe of tasks: never while a task runs, and never when a sibling has inherited the
pipe's other end. PR_SET_PDEATHSIG depends on the thread that started the worker. A thread that
watches needs the GIL, which a task in C may keep; and a process with a second thread gets warnings
when it forks.

The solution. Each worker has a socket whose other end only the pool has, its lifeline. The kernel
is asked to send SIGKILL to the worker when the other end is closed (O_ASYNC with F_SETSIG). It
costs nothing meanwhile. Forked processes close the ends that they inherit (`engine.py`). Where the
system has no F_SETSIG, a thread watches.

The lifeline also carries the worker's last words: the stack that `faulthandler` writes when the
process crashes, and the text of `sys.exit(text)`.

A worker is not a daemonic process for itself, so that a task may have processes of its own, such as
a pool. It leaves Ctrl-C to its parent: it ends without a word.
"""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import os
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import process, util
from multiprocessing.connection import Connection
from multiprocessing.pool import MaybeEncodingError
from typing import Any

from minitensor import runtime

from . import task_pipe

__all__ = ["CurrentWorker", "Place", "current_worker", "work"]

_F_SETSIG = 10  # of Linux; the module fcntl names it from 3.14 on
WORDS = 1 << 14  # maximum bytes of last words


@dataclass
class CurrentWorker:
    """Describe the worker that this process is.

    Args:
        rank: its number in the pool, from 0; the worker that replaces it has the same.
        size: the number of workers of the pool.
        task: the number of the task that runs, counted by the pool; None between tasks.
        state: whatever the program keeps from one task to the next.
    """

    rank: int
    size: int
    task: int | None = None
    state: dict[Any, Any] = field(default_factory=dict)


_current: CurrentWorker | None = None


def current_worker() -> CurrentWorker | None:
    """Return what this process is in its pool or executor; None if it is no worker.

    Returns:
        The worker: `rank`, `size`, `task` and the dict `state`, which lives as long as the process.

    Example:
        >>> import minitensor.multiprocessing as mp
        >>> mp.current_worker() is None
        True
        >>> with mp.get_context("fork").Pool(1) as pool:
        ...     pool.apply(mp.current_worker).rank
        0
    """
    return _current


@dataclass
class Place:
    """What a worker starts from.

    Args:
        tasks, results, lifeline: the worker's ends of its pipes.
        rank, size: as of `CurrentWorker`.
        threads: the number of threads for an op.
        initializer, initargs: the function to call first, and its arguments.
        masked: the signals that its starter had blocked; None if it was started by another process.
    """

    tasks: Connection
    results: Connection
    lifeline: Connection
    rank: int
    size: int
    threads: int
    initializer: Callable[..., object] | None
    initargs: tuple[Any, ...]
    masked: set[int] | None


def work(place: Place) -> None:
    """Run the tasks of a worker until there are no more."""
    global _current
    _watch(place.lifeline)
    try:
        if place.masked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, place.masked)
        process.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
        runtime.set_num_threads(place.threads)
        _current = CurrentWorker(place.rank, place.size)
        if _initialize(place):
            while _one_task(place, _current):
                pass
    except KeyboardInterrupt:
        if _current is not None and _current.task is not None:
            _end_by_interrupt()
    except task_pipe.Gone:
        util.debug("worker found its pipe closed -- exiting")
    except SystemExit as error:
        if isinstance(error.code, str):
            with contextlib.suppress(OSError):
                os.write(place.lifeline.fileno(), error.code.encode()[:WORDS])
        raise


def _initialize(place: Place) -> bool:
    try:
        if place.initializer is not None:
            place.initializer(*place.initargs)
    except Exception as error:
        _give(place.results, task_pipe.FAILED, error, False, _text_of(error))
        return False
    task_pipe.send(place.results, task_pipe.READY)
    place.initializer, place.initargs = None, ()
    return True


def _one_task(place: Place, me: CurrentWorker) -> bool:
    """Run the next task; return False if there is none any more."""
    message = task_pipe.read(place.tasks, waits=True)
    if message is None or message.number == task_pipe.END:
        return False
    me.task = message.number
    value: Any = None
    try:
        function, args, kwds = message.load()
        message = None
        value = function(*args, **kwds)
    except (SystemExit, KeyboardInterrupt):
        raise
    except BaseException as error:
        _give(place.results, me.task, error, False, _text_of(error))
        # the frames of the traceback refer to the task's values
        error.__traceback__ = None
    else:
        _give(place.results, me.task, value, True)
    me.task = None
    return True


def _give(results: Connection, number: int, content: object, good: bool, text: str = "") -> None:
    """Send a result; if it can't be pickled, the error that says so."""
    try:
        task_pipe.send(results, number, content, good, text)
        return
    except task_pipe.Gone:
        raise
    except Exception as error:
        refusal = error
    try:
        wrapped = MaybeEncodingError(refusal, content)
    except Exception:  # of the content's __repr__
        wrapped = MaybeEncodingError(refusal, object.__repr__(content))
    task_pipe.send(results, number, wrapped, False, text)


def _text_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


def _end_by_interrupt() -> None:
    """End by SIGINT, as the parent is to see it, and without a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.kill(os.getpid(), signal.SIGINT)


def _watch(lifeline: Connection) -> None:
    """Have this process killed when the pool's process ends; write last words to the pool."""
    handle = lifeline.fileno()
    os.set_blocking(handle, False)
    try:
        fcntl.fcntl(handle, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(handle, _F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(handle, fcntl.F_GETFL)
        fcntl.fcntl(handle, fcntl.F_SETFL, flags | os.O_ASYNC)
    except (OSError, AttributeError):
        threading.Thread(target=_wait_for_end, args=(lifeline,), daemon=True).start()
    else:
        if lifeline.poll():  # it ended before
            os._exit(1)
    if not faulthandler.is_enabled():
        faulthandler.enable(handle, all_threads=False)


def _wait_for_end(lifeline: Connection) -> None:
    lifeline.poll(None)
    os._exit(1)
