"""Contexts and process classes: the standard ones, whose factories return our queues and pools.

One start method for a program. `multiprocessing.set_start_method` and ours set the same state, and
each sees the other's value; this package keeps no state of its own. The start method says how *this
program* starts its children, and a drop-in must not split it in two. With separate states, a
program that changed the import in its main file would say `set_start_method("spawn")`, and the
libraries it uses, still on the standard package, would go on forking. The shared state also
prepares children: the standard code that prepares a child sets the start method there, and ours
follows.

Process classes. In the standard package `isinstance(p, multiprocessing.Process)` is False for a
process that came from `get_context("spawn")`: its classes are siblings. Code that checks types asks
whether an object is a process. So our classes are subclasses of both `Process` classes, the
standard one and our own, and of their standard counterpart. The base that overrides stands last:
each class takes the specifics of its method (how to start) from its standard counterpart, and from
ours only what the counterpart does not define.
"""

from __future__ import annotations

import multiprocessing as _package
import sys
from collections.abc import Callable, Iterable
from multiprocessing import context as _standard
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any

from minitensor import sharing

from . import _default
from ._alias import fall_back

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from . import pool, queues

__all__ = _standard.__all__
__getattr__, __dir__ = fall_back(__name__, _standard)


class BaseContext(_standard.BaseContext):
    """The base of all our contexts: the factories of our queues, pipes and pools."""

    def Queue(self, maxsize: int = 0) -> queues.Queue:
        """Return a queue of at most `maxsize` messages (0: no limit); `put` pickles at the call."""
        from .queues import Queue

        return Queue(maxsize, ctx=self.get_context())

    def JoinableQueue(self, maxsize: int = 0) -> queues.JoinableQueue:
        """Return a queue that also counts the tasks not yet done."""
        from .queues import JoinableQueue

        return JoinableQueue(maxsize, ctx=self.get_context())

    def Pipe(self, duplex: bool = True) -> tuple[Connection, Connection]:
        """Return the two ends of a pipe; with `duplex` False, a reader and a writer."""
        from .pipes import Pipe

        return Pipe(duplex)

    def SimpleQueue(self) -> queues.SimpleQueue:
        """Return a queue without a thread; `put` waits while the pipe is full."""
        from .queues import SimpleQueue

        return SimpleQueue(ctx=self.get_context())

    def Pool(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        *,
        task_timeout: float | None = None,
    ) -> pool.Pool:
        """Return a pool of worker processes; `pool.Pool` describes the arguments."""
        from .pool import Pool

        return Pool(
            processes,
            initializer,
            initargs,
            maxtasksperchild,
            self.get_context(),
            task_timeout=task_timeout,
        )

    def get_context(self, method: str | None = None) -> _standard.BaseContext:
        """Return this context, or the one for `method`.

        Raises:
            ValueError: this platform has no such start method.
        """
        if method is None:
            return self
        if method not in _concrete_contexts:
            raise ValueError(
                f"[get_context] cannot find context for {method!r}; "
                f"this platform has {', '.join(_concrete_contexts)}"
            )
        context = _concrete_contexts[method]
        context._check_available()
        return context


class Process(_package.Process):
    """A process started by the program's start method."""

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Any:
        return _default_context.get_context().Process._Popen(process_obj)

    @staticmethod
    def _after_fork() -> None:
        _default_context.get_context().Process._after_fork()

    def join(self, timeout: float | None = None) -> None:
        """Wait until the process ends, at most `timeout` seconds; release its shared memory."""
        super().join(timeout)
        if self.exitcode is not None:
            sharing.reap()


class DefaultContext(_standard.DefaultContext, BaseContext):
    """The standard package's default context, with our concrete contexts in place of its own."""

    Process = Process

    def __init__(self) -> None:
        # The standard constructor would reset the start method. This class keeps no state.
        pass

    @property
    def _default_context(self) -> _standard.BaseContext:
        return _ours(_standard._default_context._default_context)

    @property
    def _actual_context(self) -> _standard.BaseContext | None:
        actual = _standard._default_context._actual_context
        return None if actual is None else _ours(actual)

    @_actual_context.setter
    def _actual_context(self, context: _standard.BaseContext | None) -> None:
        name = None if context is None else context._name
        concrete = None if name is None else _standard._concrete_contexts[name]
        _standard._default_context._actual_context = concrete


def _ours(context: _standard.BaseContext) -> _standard.BaseContext:
    # A context that a library added to the standard table has no counterpart here; it is returned.
    return _concrete_contexts.get(context._name, context)


class SpawnProcess(_standard.SpawnProcess, Process):
    """A process that starts in a new interpreter."""

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Any:
        return sharing.started(_standard.SpawnProcess._Popen, process_obj)


class SpawnContext(_standard.SpawnContext, BaseContext):
    """The context whose processes start in a new interpreter."""

    Process = SpawnProcess


_concrete_contexts: dict[str, _standard.BaseContext] = {"spawn": SpawnContext()}

if sys.platform != "win32":

    class ForkProcess(_standard.ForkProcess, Process):
        """A process that starts by a fork."""

        # `Process` asks the default context; if that is this one, it would ask `Process` again.
        _after_fork = staticmethod(BaseProcess._after_fork)

    class ForkServerProcess(_standard.ForkServerProcess, Process):
        """A process that a server forks."""

        @staticmethod
        def _Popen(process_obj: BaseProcess) -> Any:
            return sharing.started(_standard.ForkServerProcess._Popen, process_obj)

        _after_fork = staticmethod(BaseProcess._after_fork)

    class ForkContext(_standard.ForkContext, BaseContext):
        """The context whose processes start by a fork."""

        Process = ForkProcess

    class ForkServerContext(_standard.ForkServerContext, BaseContext):
        """The context whose processes a server forks."""

        Process = ForkServerProcess

    _concrete_contexts.update(fork=ForkContext(), forkserver=ForkServerContext())

_default_context = _default.context = DefaultContext()
