"""What other processes do in the tests of sharing."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Any

import numpy as np

from minitensor import Tensor, ops, trace
from minitensor.backend.core import lib


def serve(questions: Any, answers: Any) -> None:
    while (question := questions.get()) is not None:
        function, arguments = question
        try:
            answers.put(function(*arguments))
        except BaseException as error:
            answers.put(error)
        del question, arguments


def same(t: Any) -> Any:
    return t


def double(t: Tensor) -> Tensor:
    return t * 2


def make(n: int) -> Tensor:
    return ops.ones(n)


def total(t: Tensor) -> float:
    return float(t.sum())


def add_in_place(t: Tensor, value: float) -> Tensor:
    t += value
    return t


def write_through_the_first(views: list[Tensor]) -> list[bool]:
    """Return whether a write to the first view shows in each other; all share elements with it."""
    first, *others = views
    before = [float(t.sum()) for t in others]
    first += 1
    return [float(t.sum()) > b for t, b in zip(others, before)]


def exits_with_the_first(t: Tensor) -> None:
    os._exit(int(t[0]))


def puts_and_ends(queue: Any, how: str) -> None:
    queue.put(Tensor(np.ones(50_000, np.float32)))
    if how == "exits":
        raise SystemExit(3)
    if how == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)


def gets(queue: Any, answers: Any, ready: Any) -> None:
    ready.put(None)
    answers.put(float(queue.get().sum()))


def holds_until_killed(queue: Any, ready: Any) -> None:
    held = [queue.get() for _ in range(10)]
    ready.put(len(held))
    queue.get()




def echo_doubled(there: Any, back: Any, n: int) -> None:
    """Answer with twice the tensor, and leave what else came as it is."""
    for _ in range(n):
        message = there.get()
        back.put(message * 2 if isinstance(message, Tensor) else [message[0] * 2, *message[1:]])


def put_when_told(queue: Any, told: Any, value: Any) -> None:
    told.recv()
    queue.put(value)


def who_are_you(there: Any, back: Any, argument: Tensor) -> None:
    reasons = [event.fields["reason"] for event in trace.events() if event.kind == "sharing.guest"]
    first, second = there.get(), there.get()
    values = float(first.max()), float(argument.max()), float(second.max())
    back.put((bool(lib.mt_arena_member()), reasons[0] if reasons else "", *values))
    back.put(second * 2)


class KillsItsReceiver:
    """An object that kills the process that unpickles it."""

    def __reduce__(self) -> Any:
        return _kill_me, ()


def _kill_me() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def answers_twice(end: Any) -> None:
    end.send(end.recv() * 2)


class Gate:
    """An object that, when unpickled, waits until the other end of its pipe is closed."""

    def __init__(self, end: Any) -> None:
        self.end = end

    def __reduce__(self) -> Any:
        return _pass, (self.end,)


def _pass(end: Any) -> None:
    with contextlib.suppress(EOFError):
        end.recv()


def tell_total(gate: None, t: Tensor, answers: Any) -> None:
    answers.put(float(t.sum()))
