"""What other processes do with shared memory in test_shared_writes.py."""

from __future__ import annotations

from typing import Any

from minitensor import Tensor


def add_under_lock(t: Tensor, lock: Any, rounds: int) -> None:
    for _ in range(rounds):
        with lock:
            t += 1


def write_and_set(t: Tensor, written: Any, read: Any, rounds: int) -> None:
    for value in range(1, rounds + 1):
        t[...] = value
        written.set()
        assert read.wait(60)
        read.clear()


def write_and_put(t: Tensor, queue: Any, answers: Any, rounds: int) -> None:
    for value in range(1, rounds + 1):
        t[...] = value
        queue.put(value)
        assert answers.get(timeout=60) == value


_kept: list[Tensor] = []


def keep(t: Tensor) -> None:
    _kept.append(t)


def fill_row(row: int) -> int:
    _kept[0][row] = row + 1
    return row


def add(t: Tensor) -> None:
    t += 1
