"""The executor's participation in forks and in the exit of processes.

The problem.  Every op that was called must be done, and every error that was not read must be
reported, however the process ends.  `atexit` is not enough: the children of multiprocessing's fork
and forkserver end by `os._exit`.  Up to Python 3.12 they skip the functions of `atexit`; later
versions run only those that the child registered.

The solution.  All processes of multiprocessing, in the standard package and in minitensor's, call
`util._exit_function` before they end, whether the target returned, raised or called `sys.exit`.
`_finish` is therefore one of its finalizers (`util.Finalize`), with the lowest priority: finalizers
of the program run before it, and it also waits for the work that they queue.  A child first clears
its parent's finalizers, and `util.register_after_fork` registers this one again.  The module does
not import `multiprocessing.util`.  A process that ends through it has loaded it, so the module
looks it up in `sys.modules` at import and at each fork.

Up to Python 3.12 such a process joins its threads after the finalizers, and calls no function of
minitensor afterwards.  `_finish` therefore joins the threads itself, by the function that Python
calls next in any case.

The guarantee.  The wait lasts at most MINITENSOR_EXIT_SECONDS and logs each second what it waits
for.  An error is reported once: not if it was read or raised before, and not in a child if it is
the parent's.  Ops still work after `_finish`; only the exit of the interpreter (`_shutdown`, by
`atexit`) ends the workers.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable

from minitensor import config, fork, trace
from minitensor.backend import call_sites
from minitensor.backend.core import SLICE_MS, exception, ffi, lib, operators, pending_work

__all__: list[str] = []

_log = logging.getLogger("minitensor")
_PATIENCE_MS = 1000  # a longer wait logs what it waits for


def _drain(
    what: str, limit_ms: float = float("inf"), poll: Callable[[int], int] = lib.mt_fork_drain
) -> bool:
    """Call `poll(milliseconds)` until it returns something other than MT_TIMEOUT.

    Args:
        what: the action that waits, for the log.
        limit_ms: the maximum time of the wait.
        poll: the wait of one slice; the default closes the gate and waits for empty streams.

    Returns:
        False if the limit is over.
    """
    waited = 0
    while poll(SLICE_MS) == lib.MT_TIMEOUT:
        waited += SLICE_MS
        if waited % _PATIENCE_MS == 0:
            waiting_for = pending_work()
            trace.record("fork.draining", what=what, waiting_for=waiting_for)
            _log.warning(
                "[fork] %s waits for queued work: %s",
                what,
                "; ".join(waiting_for) or "another fork",
            )
        if waited >= limit_ms:
            return False
    return True


# --- fork -----------------------------------------------------------------------------------------
def _before_fork() -> None:
    _watch_end()
    threads = lib.mt_thread_count() + lib.mt_pool_size()
    try:
        if not fork.interrupted() and _drain("a fork"):
            trace.record("fork.drained")
    finally:  # after Ctrl-C too: the fork goes on, and unfinished work stays the parent's
        operators.fork_prepare()
    trace.record("fork.joined", threads=threads)


def _after_in_child() -> None:
    lib.mt_fork_child()
    call_sites.renew_lock()
    _watch_end()


# --- the end --------------------------------------------------------------------------------------
_LAST = -sys.maxsize  # multiprocessing runs finalizers from the highest priority to the lowest
# The process that registered `_finish`, and the module that calls it.
_watched: tuple[int, object] = (0, None)
_gave_up = False  # a wait at this process's exit took too long; later waits return at once


def _watch_end(after_fork: object = None) -> None:
    """Make multiprocessing call `_finish` at the end of this process, if it is loaded."""
    global _watched
    util = sys.modules.get("multiprocessing.util")
    if (
        util is None
        or not hasattr(util, "Finalize")
        or (_watched == (os.getpid(), util) and not after_fork)
    ):
        return
    if _watched[1] is not util:
        util.register_after_fork(_finish, _watch_end)
    util.Finalize(None, _finish, exitpriority=_LAST)
    _watched = os.getpid(), util


def _end(what: str, poll: Callable[[int], int]) -> None:
    """Wait a limited time for queued work, then report the unread errors."""
    global _gave_up
    try:
        if not _drain(what, 0 if _gave_up else 1000 * config.get("MINITENSOR_EXIT_SECONDS"), poll):
            if not _gave_up:
                _log.error("[shutdown] abandons queued work: %s", "; ".join(pending_work()))
            _gave_up = True
    finally:
        _report_errors()


def _streams_done(timeout_ms: int) -> int:
    """Wait for the tasks that each stream has received so far."""
    for stream in range(1, lib.mt_stream_count() + 1):
        if lib.mt_stream_sync(stream, timeout_ms) == lib.MT_TIMEOUT:
            return int(lib.MT_TIMEOUT)
    return int(lib.MT_OK)


def _finish() -> None:
    """Finish a process that multiprocessing ends; first join its threads, which may queue work."""
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        threading._shutdown()  # type: ignore[attr-defined]
    _end("the end of the process", _streams_done)


def _shutdown() -> None:
    """Finish the queued work and the workers before the interpreter exits.

    Work that exceeds the limit, or whose wait Ctrl-C ends, is abandoned: its thread stops at its
    next call of the interpreter.
    """
    try:
        _end("the end of the program", lib.mt_fork_drain)
    finally:
        lib.mt_shutdown()


def _report_errors() -> None:
    """Write the errors that were not read to stderr, as Python does for a thread."""
    for stream in range(1, lib.mt_stream_count() + 1):
        while (error := lib.mt_stream_take_error(stream)) != ffi.NULL:
            told = exception(error)
            cause = told.__cause__
            if isinstance(cause, KeyboardInterrupt):  # the main thread has raised it
                continue
            lines = [
                "Exception ignored in minitensor: ",
                *traceback.format_exception_only(type(told), told),
            ]
            if cause is not None:
                lines += traceback.format_exception(type(cause), cause, cause.__traceback__)
            try:
                sys.stderr.write("".join(lines))
                sys.stderr.flush()
            except (AttributeError, OSError, ValueError):  # stderr is missing or closed
                return


fork.register(_before_fork, lib.mt_fork_parent, _after_in_child, name="executor", level=1)
atexit.register(_shutdown)
_watch_end()
