"""The pool of worker processes: the standard one, in our context, with our queues.

An argument that can't be pickled is the exception of that call (`apply`, `map`, `get()` of an asynchronous one), and
so is a result that can't, as MaybeEncodingError; the pool goes on. `ThreadPool` is the standard one: its values never
travel.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from multiprocessing import pool as _standard
from multiprocessing.context import BaseContext
from typing import Any

from minitensor import runtime

from ._alias import fall_back
from .context import _default_context

__all__ = _standard.__all__
__getattr__, __dir__ = fall_back(__name__, _standard)


def _begin(threads: int, initializer: Callable[..., object] | None, *initargs: Any) -> None:
    """What a worker does first.  The workers share the cores, so that they and the threads of their ops fit the machine."""
    runtime.set_num_threads(threads)
    if initializer is not None:
        initializer(*initargs)


class Pool(_standard.Pool):
    """A pool of processes that run tasks."""

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: BaseContext | None = None,
    ) -> None:
        context = context or _default_context.get_context()
        if initializer is None or callable(initializer):  # else the standard pool says what is wrong
            workers = processes or os.cpu_count() or 1
            initializer, initargs = _begin, (max(1, runtime.get_num_threads() // workers), initializer, *initargs)
        super().__init__(processes, initializer, initargs, maxtasksperchild, context)
