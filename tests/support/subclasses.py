"""Subclasses of Tensor for the tests of transports, in a module that each process can import."""

from __future__ import annotations

from typing import Any

import numpy as np

from minitensor import Tensor


class Named(Tensor):
    """A subclass with a __dict__ and an argument."""

    def __init__(self, data: Any, name: str) -> None:
        super().__init__(data)
        self.name = name


class Slotted(Tensor):
    __slots__ = ("scale", "__private", "unset")

    def __init__(self, data: Any, scale: float) -> None:
        super().__init__(data)
        self.scale, self.__private = scale, "mine"

    def private(self) -> str:
        return self.__private


class Mixin:
    def greet(self) -> str:
        return f"hello {self.name}"  # type: ignore[attr-defined]


class Mixed(Mixin, Named):
    pass


class Stateful(Named):
    """A subclass with a state of its own, which pickling keeps."""

    def __getstate__(self) -> Any:
        return ["state", self.name]

    def __setstate__(self, state: Any) -> None:
        self.name = f"{state[0]} of {state[1]}"


class Reduced(Named):
    """A subclass with a reduced form of its own, which pickling keeps."""

    def __reduce__(self) -> Any:
        return Reduced, (self.tolist(), self.name + " again")


class Extended(Named):
    """A subclass that adds to the reduced form of Tensor."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        function, arguments, state = super().__reduce_ex__(protocol)
        return function, arguments, {**state, "protocol": int(protocol)}


class WithNew(Tensor):
    def __new__(cls, data: Any, *, unit: str) -> WithNew:
        self = super().__new__(cls)
        self.unit, self.made = unit, True
        return self

    def __init__(self, data: Any, *, unit: str) -> None:
        super().__init__(data)

    def __getnewargs_ex__(self) -> Any:
        return (None,), {"unit": self.unit}

    def __getstate__(self) -> Any:
        return None


def describe(t: Any) -> tuple[Any, ...]:
    """Return what must arrive unchanged."""
    names = ("name", "scale", "unit", "made")
    return (
        type(t).__name__,
        t.shape,
        t.dtype.name,
        float(np.sum(t.asnumpy())),
        {n: getattr(t, n) for n in names if hasattr(t, n)},
    )


def add_to_the_first(things: list[Any]) -> list[Any]:
    """Add 1 to the first in place; return the descriptions of all, and the things themselves."""
    things[0] += 1
    return [*map(describe, things), *things]
