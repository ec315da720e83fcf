"""The fork protocol: the only place that calls `os.register_at_fork`.

The problem.  A forked child gets a copy of the memory and of one thread: the thread that called
fork.  A worker thread of the parent does not exist in the child, and its tasks are never done.  A
lock that another thread held is copied locked, and no thread will unlock it.  For these reasons
torch, jax and MindSpore hang in a child that is forked after a computation.

The solution.  At the moment of fork the framework has no threads.  Every part that owns a thread, a
lock or an external resource registers up to three functions:

    before    in the parent, before the fork: finish running work, join the threads, take the locks
              (so that no thread is inside the part)
    parent    in the parent, after the fork: release the locks; new work starts the threads again
    child     in the child, first of all: make new locks, have no threads, drop what belongs to the
              parent

They run in the order of the floors, the lowest first.  `before` runs in the reverse order, so that
a part can still rely on the parts below it.  Python calls the hooks for every fork that goes
through the interpreter: `os.fork`, every `multiprocessing`, the workers of an executor, a server's
pre-fork.  It does not call them for `subprocess`, which needs none.

Python runs before-hooks in the reverse order of registration.  Hooks that were registered earlier
(logging, concurrent.futures.thread; they take plain locks) therefore run after our drain, and a
signal handler may fork during the drain: these locks are still free.  This module imports
concurrent.futures.thread for that reason.  A later import may fail, because the program may have
given up the right to read the file.

The guarantee.  A participant that fails is reported (logger `minitensor`, and the trace), and the
others still run.  A fork that fails, for lack of processes for example, runs the parent's hooks
like any other.  Two threads that fork at the same time run one after the other: the second waits in
the executor's hook.  Ctrl-C ends the drain.  A hook can't cancel a fork, so the fork goes on;
unfinished work stays the parent's (in the child its values are errors), and the parent raises
KeyboardInterrupt as soon as the fork is over.

The limit.  Threads that other libraries keep in C are copied as memory without a thread
(`foreign_threads.py`).  The trace notes them at each fork.  With MINITENSOR_FORK=strict `os.fork`
and `os.forkpty` raise and list them.  A hook can't refuse a fork, so strict mode wraps Python's
functions; a fork that C code makes by itself is not checked.
"""

from __future__ import annotations

import _thread
import concurrent.futures.thread  # noqa: F401  (registers its hooks before this module's)
import functools
import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from minitensor import config, foreign_threads, trace

__all__ = ["register", "unregister", "interrupted", "Participant"]

_log = logging.getLogger("minitensor")
Hook = Callable[[], None]
USER = 9  # the level of participants that programs register: above all floors of minitensor


class Participant(NamedTuple):
    """Describe a part of the program that takes part in forks; `register` returns it."""

    name: str
    level: int
    before: Hook | None
    after_in_parent: Hook | None
    after_in_child: Hook | None


_participants: list[Participant] = []


def register(
    before: Hook | None = None,
    after_in_parent: Hook | None = None,
    after_in_child: Hook | None = None,
    *,
    name: str = "user",
    level: int = USER,
) -> Participant:
    """Register functions that run at every later fork.

    Args:
        before: runs in the forking thread before the fork; higher levels run first.
        after_in_parent: runs in the same thread of the parent after the fork, also after a failed
            fork.
        after_in_child: runs in the child before any other code of the program.
        name: the name of the participant in reports of a failure.
        level: its floor; the default is above all of minitensor.

    Returns:
        The participant, for `unregister`.

    Example:
        >>> import minitensor
        >>> connections = []
        >>> me = minitensor.fork.register(after_in_child=connections.clear)
        >>> minitensor.fork.unregister(me)
    """
    participant = Participant(name, level, before, after_in_parent, after_in_child)
    # A new list replaces the old one: a fork in progress keeps the list that it started with.
    global _participants
    _participants = sorted([*_participants, participant], key=lambda p: p.level)
    return participant


def unregister(participant: Participant) -> None:
    """Remove a participant.

    Args:
        participant: the result of `register`.

    Raises:
        ValueError: the participant is not registered.

    Example:
        >>> import minitensor
        >>> me = minitensor.fork.register(name="example")
        >>> minitensor.fork.unregister(me)
    """
    global _participants
    rest = [p for p in _participants if p is not participant]
    if len(rest) == len(_participants):
        raise ValueError(f"[fork] participant must be registered, got {participant.name}")
    _participants = rest


class _Interrupt(threading.local):
    """Hold a flag per thread, because forks of several threads may overlap."""

    pending = False  # Ctrl-C came while the hooks ran


_interrupt = _Interrupt()


def interrupted() -> bool:
    """Return True if Ctrl-C came since this fork began; its participants then stop waiting."""
    return _interrupt.pending


def _run(phase: str, hooks: list[tuple[str, Hook | None]]) -> None:
    for name, hook in hooks:
        if hook is None:
            continue
        try:
            hook()
        except KeyboardInterrupt:  # the protocol must finish; the interrupt comes later
            _interrupt.pending = True
            trace.record("fork.interrupted", participant=name, phase=phase)
        except BaseException as error:
            trace.record("fork.failed", participant=name, phase=phase, error=repr(error))
            _log.exception("[fork] participant %s failed %s; the fork goes on", name, phase)


def _before() -> None:
    trace.record("fork.begin")
    _run("before the fork", [(p.name, p.before) for p in reversed(_participants)])
    try:
        several = foreign_threads.has_proc and foreign_threads.count() > 1
        if several and (others := foreign_threads.foreign()):
            trace.record(
                "fork.foreign_threads",
                threads=[thread.name for thread in others],
                libraries=foreign_threads.libraries(),
            )
    except OSError as error:  # /proc disappeared since the start, or no descriptor is free
        trace.record("fork.foreign_threads", error=str(error))


def _after_in_parent() -> None:
    _run("in the parent", [(p.name, p.after_in_parent) for p in _participants])
    trace.record("fork.parent")
    if _interrupt.pending:
        _interrupt.pending = False
        _thread.start_new_thread(_interrupt_again, ())


def _interrupt_again() -> None:
    """Send SIGINT to the main thread again after the fork; Python drops exceptions of hooks."""
    import signal

    time.sleep(0.02)  # no event marks the return of os.fork; its last hooks take less time
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _after_in_child() -> None:
    _run("in the child", [(p.name, p.after_in_child) for p in _participants])
    _interrupt.pending = False  # it belongs to the parent
    trace.record("fork.child", parent=os.getppid())


def _strict(fork: Callable[[], Any]) -> Callable[[], Any]:
    @functools.wraps(fork)
    def guarded() -> Any:
        if others := foreign_threads.foreign():
            raise RuntimeError(
                "[fork] MINITENSOR_FORK=strict refuses to fork beside "
                f"{foreign_threads.describe(others)}; end them, start the program with "
                "OPENBLAS_NUM_THREADS=1 or OMP_NUM_THREADS=1, or use the start method spawn"
            )
        return fork()

    return guarded


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(
        before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )
    if config.get("MINITENSOR_FORK") == "strict":
        os.fork, os.forkpty = _strict(os.fork), _strict(os.forkpty)
