"""The fork protocol: the only place that hangs on `os.register_at_fork`.

What fork copies, and what breaks.  A forked child gets a copy of the memory, but of the threads only the one that called fork.
A worker thread that was running does not exist in the child; work that it was given is never done.  A lock that another
thread held is copied locked, and nobody will ever unlock it.  This is how torch, jax and MindSpore hang in a child forked after
a computation.

The solution.  At the moment of fork the framework has no threads.  Every part that owns a thread, a lock or something of the
outside world takes part with up to three functions:

    before    the parent, just before: finish what runs, end the threads, take the locks (so that nobody is inside)
    parent    the parent, just after: release the locks; threads start again when there is work
    child     the child, first thing: new locks, no threads, what belongs to the parent is let go of

They run in the order of the layers, the lowest first; `before` in the reverse order, so that a part can still rely on the parts
below it when its turn comes.  Python calls the hooks for every fork that goes through the interpreter: `os.fork`, every
`multiprocessing`, an executor's workers, a server's pre-fork.  It does not call them for `subprocess`, which needs none of this.

Python runs before-hooks in the reverse order of registration, so what was registered before us (logging, concurrent.futures.thread,
whose hooks take plain locks) comes after our wait.  A signal handler may therefore fork while we wait: those locks are still free.
That is why concurrent.futures.thread is imported here, and not when there is something to wait for: by then a program may have given up
the right to read the file.

What is guaranteed.  A participant that fails never stops the others, and is reported (logger `minitensor`, and the trace).  A
fork that fails, for want of processes, say, runs the parent's hooks like any other.  Two threads that fork at once take turns: the
executor's hook lets the second one wait.  Ctrl-C ends the wait: a hook can't call a fork off, so it goes on, what was still
at work stays the parent's (in the child those values are errors), and KeyboardInterrupt rises in the parent as soon as the fork is over.

What is not.  Threads that other libraries keep in C are copied as memory without a thread (`foreign_threads.py`).  The trace notes them at
each fork; with MINITENSOR_FORK=strict `os.fork` and `os.forkpty` raise instead, and list them.  That needs a function before
Python's own, since a hook can't refuse; a fork that C code calls by itself gets past it.
"""

from __future__ import annotations

import _thread
import concurrent.futures.thread  # noqa: F401  (registers its hooks before ours; see above)
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
USER = 9  # the level of participants that users register: above everything of ours


class Participant(NamedTuple):
    """A part of the program that takes part in forks."""

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
    """Takes part in every fork from now on.

    Args:
        before: called in the forking thread before the fork; participants of a higher level come first.
        after_in_parent: called in the same thread of the parent afterwards, also when the fork failed.
        after_in_child: called in the child before anything else runs there.
        name: what a report of its failure calls it.
        level: its layer; the default is above all of minitensor.

    Returns:
        The participant, for `unregister`.

    Example:
        >>> import minitensor
        >>> connections = []
        >>> me = minitensor.fork.register(after_in_child=connections.clear)
        >>> minitensor.fork.unregister(me)
    """
    participant = Participant(name, level, before, after_in_parent, after_in_child)
    # A new list, in place of a change of the old one: a fork that is under way keeps what it began with.
    global _participants
    _participants = sorted([*_participants, participant], key=lambda p: p.level)
    return participant


def unregister(participant: Participant) -> None:
    """No longer takes part.  Raises ValueError when it never did."""
    global _participants
    rest = [p for p in _participants if p is not participant]
    if len(rest) == len(_participants):
        raise ValueError(f"[fork] no such participant: {participant.name}")
    _participants = rest


class _Interrupt(threading.local):
    """Of each thread: other threads' forks may begin and end while one is under way."""

    pending = False  # Ctrl-C came while the hooks ran


_interrupt = _Interrupt()


def interrupted() -> bool:
    """Has Ctrl-C come since this fork began?  Then its participants should no longer wait for anything."""
    return _interrupt.pending


def _run(phase: str, hooks: list[tuple[str, Hook | None]]) -> None:
    for name, hook in hooks:
        if hook is None:
            continue
        try:
            hook()
        except KeyboardInterrupt:  # half a protocol is worse than a late interrupt
            _interrupt.pending = True
            trace.record("fork.interrupted", participant=name, phase=phase)
        except BaseException as error:
            trace.record("fork.failed", participant=name, phase=phase, error=repr(error))
            _log.exception("[fork] participant %s failed %s; the fork goes on", name, phase)


def _before() -> None:
    trace.record("fork.begin")
    _run("before the fork", [(p.name, p.before) for p in reversed(_participants)])
    try:
        if foreign_threads.has_proc and foreign_threads.count() > 1 and (others := foreign_threads.foreign()):
            trace.record("fork.foreign_threads", threads=[thread.name for thread in others], libraries=foreign_threads.libraries())
    except OSError as error:  # /proc is gone since the start, or no descriptor is left to read it by
        trace.record("fork.foreign_threads", error=str(error))


def _after_in_parent() -> None:
    _run("in the parent", [(p.name, p.after_in_parent) for p in _participants])
    trace.record("fork.parent")
    if _interrupt.pending:
        _interrupt.pending = False
        _thread.start_new_thread(_interrupt_again, ())


def _interrupt_again() -> None:
    """Gives Ctrl-C to the main thread once more, when its fork is over: what rises inside of hooks is lost."""
    import signal

    time.sleep(0.02)  # nothing tells when os.fork has returned; its last hooks take less
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _after_in_child() -> None:
    _run("in the child", [(p.name, p.after_in_child) for p in _participants])
    _interrupt.pending = False  # it is the parent's
    trace.record("fork.child", parent=os.getppid())


def _strict(fork: Callable[[], Any]) -> Callable[[], Any]:
    @functools.wraps(fork)
    def guarded() -> Any:
        if others := foreign_threads.foreign():
            raise RuntimeError(
                f"[fork] MINITENSOR_FORK=strict refuses to fork beside {foreign_threads.describe(others)}; end them, start the program "
                "with OPENBLAS_NUM_THREADS=1 or OMP_NUM_THREADS=1, or use the start method spawn"
            )
        return fork()

    return guarded


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
    if config.get("MINITENSOR_FORK") == "strict":
        os.fork, os.forkpty = _strict(os.fork), _strict(os.forkpty)
