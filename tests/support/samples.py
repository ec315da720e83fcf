"""Sources and functions for pipelines, at the top of a module: spawned workers import them."""

from __future__ import annotations

import os
import random
import signal
from typing import Any

import numpy as np

import minitensor.dataset as ds
from minitensor import ops


class Numbers:
    """Two columns: the index, and an array of `width` times the index."""

    def __init__(self, count: int, width: int = 3) -> None:
        self.count, self.width = count, width

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[int, Any]:
        return index, np.full(self.width, index, np.float32)


class Draws(Numbers):
    """A sample holds what each global generator draws; every third uses none."""

    def __getitem__(self, index: int) -> Any:
        if index % 3 == 2:
            return np.full(4, float(index))
        drawn = [random.random(), np.random.rand(), np.random.randn(), float(ops.rand(1)[0])]
        return np.array(drawn)


class Seeded(Numbers):
    """A sample draws from a generator of its own."""

    def __getitem__(self, index: int) -> Any:
        return np.random.default_rng(ds.sample_seed()).random()


class Broken(Numbers):
    """One sample raises."""

    def __getitem__(self, index: int) -> Any:
        if index == 7:
            raise KeyError("no such file")
        return super().__getitem__(index)


class Ends(Numbers):
    """One sample ends its process: by a signal, or by an exit code."""

    def __init__(self, count: int, how: str, width: int = 3) -> None:
        super().__init__(count, width)
        self.how, self.parent = how, os.getpid()

    def __getitem__(self, index: int) -> Any:
        if index == 7 and os.getpid() != self.parent:
            if self.how == "exit":
                os._exit(3)
            os.kill(os.getpid(), getattr(signal, self.how))
        return super().__getitem__(index)


class Pids(Numbers):
    """A sample is its process."""

    def __getitem__(self, index: int) -> int:
        return os.getpid()


class Refused:
    """An object that can't be pickled, and an exception that can't be unpickled."""

    def __reduce__(self) -> Any:
        raise TypeError("not for the post")


class Unknown:
    """An object that can be pickled, but not unpickled."""

    def __reduce__(self) -> Any:
        return raise_odd, ()


class Odd(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__("odd")


def raise_odd(*values: Any) -> Any:
    raise Odd(1, 2)


def double(x: Any) -> Any:
    return x * 2


def negate(x: Any) -> Any:
    return -x


def is_even(n: Any, *rest: Any) -> bool:
    return int(n) % 2 == 0


def count_rows(n: list[Any], x: list[Any], info: ds.BatchInfo) -> Any:
    return [one + info.get_batch_num() for one in n], np.stack(x) + info.get_epoch_num()


def fail_in_batch(*values: Any) -> Any:
    raise ArithmeticError("uneven")
