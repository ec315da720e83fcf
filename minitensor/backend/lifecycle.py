"""The executor's part in forks, and in the ends of processes.

The problem.  Every op that was called has to be done, and every error that was not read has to be
told, however the process ends.  `atexit` is not enough: the children of multiprocessing's fork and
forkserver end by `os._exit`, up to Python 3.12 without `atexit`'s functions, since then with only
those that the child registered.

The solution.  All processes of multiprocessing, the standard package's and ours, call
`util._exit_function` before they end, whether the target returned, raised or called `sys.exit`.  So
`_finish` is one of its finalizers (`util.Finalize`), with the lowest priority: users' finalizers run
before it, and what these queue is waited for, too.  A child first clears its parent's finalizers;
`util.register_after_fork` brings this one back.  `multiprocessing.util` is not imported for that: a
process that ends by it has loaded it, so it is looked for at import and at each fork.

Up to Python 3.12 such a process joins its threads only after the finalizers, and then calls nothing
of ours any more.  So `_finish` joins the threads itself, by the function that comes next in any case.

What is guaranteed.  The wait lasts MINITENSOR_EXIT_SECONDS at most, and says each second what it is
for.  An error is told once: not if it was read or raised before, and not in a child if it is the
parent's.  Ops still work after `_finish`; only the end of the interpreter (`_shutdown`, by `atexit`)
ends the workers.
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
from minitensor.backend import native
from minitensor.backend.native import SLICE_MS, ffi, lib, operators, pending_work

__all__: list[str] = []

_log = logging.getLogger("minitensor")
_PATIENCE_MS = 1000  # a wait that lasts longer says what it is for


def _drain(what: str, limit_ms: float = float("inf"), poll: Callable[[int], int] = lib.mt_fork_drain) -> bool:
    """Call `poll(milliseconds)` until it no longer returns MT_TIMEOUT; return False when that takes longer than the limit.

    The default lets no new work in and waits until the streams are empty.
    """
    waited = 0
    while poll(SLICE_MS) == lib.MT_TIMEOUT:
        waited += SLICE_MS
        if waited % _PATIENCE_MS == 0:
            waiting_for = pending_work()
            trace.record("fork.draining", what=what, waiting_for=waiting_for)
            _log.warning("[fork] %s waits for what is queued: %s", what, "; ".join(waiting_for) or "another fork")
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
    finally:  # also when Ctrl-C ended the wait: the fork goes on, and what is still at work stays the parent's
        operators.fork_prepare()
    trace.record("fork.joined", threads=threads)


def _after_in_child() -> None:
    lib.mt_fork_child()
    native.renew_sites_lock()
    _watch_end()


# --- the end --------------------------------------------------------------------------------------
_LAST = -sys.maxsize  # multiprocessing's finalizers run from the highest priority to the lowest
_watched: tuple[int, object] = (0, None)  # the process whose end is watched, and the module it ends by
_gave_up = False  # a wait for this process's end took too long; the next one does not try again


def _watch_end(after_fork: object = None) -> None:
    """Have multiprocessing call `_finish` when this process ends, if multiprocessing is there."""
    global _watched
    util = sys.modules.get("multiprocessing.util")
    if util is None or not hasattr(util, "Finalize") or (_watched == (os.getpid(), util) and not after_fork):
        return
    if _watched[1] is not util:
        util.register_after_fork(_finish, _watch_end)
    util.Finalize(None, _finish, exitpriority=_LAST)
    _watched = os.getpid(), util


def _end(what: str, poll: Callable[[int], int]) -> None:
    """Wait for what is queued, for a limited time, and tell the errors that were not read."""
    global _gave_up
    try:
        if not _drain(what, 0 if _gave_up else 1000 * config.get("MINITENSOR_EXIT_SECONDS"), poll):
            if not _gave_up:
                _log.error("[shutdown] gives up what is still queued: %s", "; ".join(pending_work()))
            _gave_up = True
    finally:
        _tell_errors()


def _streams_done(timeout_ms: int) -> int:
    """Wait for what each stream was given so far."""
    for stream in range(1, lib.mt_stream_count() + 1):
        if lib.mt_stream_sync(stream, timeout_ms) == lib.MT_TIMEOUT:
            return int(lib.MT_TIMEOUT)
    return int(lib.MT_OK)


def _finish() -> None:
    """Finish a process that multiprocessing ends; after its threads, since what they queue has to be done, too."""
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        threading._shutdown()  # type: ignore[attr-defined]
    _end("the end of the process", _streams_done)


def _shutdown() -> None:
    """Finish before the interpreter goes: queued work is done, the workers end, nothing calls Python.

    Work that is stuck, or that Ctrl-C ends the wait for, is left behind: it stops where it next needs the interpreter.
    """
    try:
        _end("the end of the program", lib.mt_fork_drain)
    finally:
        lib.mt_shutdown()


def _tell_errors() -> None:
    """Write the errors that were neither read nor told to stderr, as Python does for a thread."""
    for stream in range(1, lib.mt_stream_count() + 1):
        while (error := lib.mt_stream_take_error(stream)) != ffi.NULL:
            told = native.exception(error)
            cause = told.__cause__
            if isinstance(cause, KeyboardInterrupt):  # it has risen in the main thread
                continue
            lines = ["Exception ignored in minitensor: ", *traceback.format_exception_only(type(told), told)]
            if cause is not None:
                lines += traceback.format_exception(type(cause), cause, cause.__traceback__)
            try:
                sys.stderr.write("".join(lines))
                sys.stderr.flush()
            except (AttributeError, OSError, ValueError):  # there is no stderr, or it is closed
                return


fork.register(_before_fork, lib.mt_fork_parent, _after_in_child, name="executor", level=1)
atexit.register(_shutdown)
_watch_end()
