"""Exceptions, and the one place where a status of the C core becomes one.

Every message has the form `[op] what was wrong, what was given, what would do`.  The classes are ones that people already
catch; ours are subclasses of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

__all__ = [
    "DeviceError", "DeviceBusyError", "DeviceLostError", "DeviceMemoryError", "StaleHandleError", "STATUSES", "did_you_mean", "no_name",
    "translate",
]  # fmt: skip


class DeviceError(RuntimeError):
    """A device can't do what was asked.  `code` is the CANN code where there is one (107001, ...), else 0."""

    code: int = 0

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.code)


class DeviceBusyError(DeviceError):
    """An exclusive device belongs to another process; the message names it."""


class DeviceLostError(DeviceError):
    """A tensor lies on a device that belongs to the process which this one was forked from."""


class DeviceMemoryError(DeviceError, MemoryError):
    """A device has no room for what was asked."""


class StaleHandleError(RuntimeError):
    """A message refers to a tensor whose memory is gone: it was unpickled before, or by a process outside the family."""


#: what each status of the core (`core.h`) is in Python
STATUSES: dict[str, type[Exception]] = {
    "MT_TYPE_ERROR": TypeError,
    "MT_VALUE_ERROR": ValueError,
    "MT_INDEX_ERROR": IndexError,
    "MT_MEMORY_ERROR": MemoryError,
    "MT_RUNTIME_ERROR": RuntimeError,
    "MT_ZERO_DIVISION_ERROR": ZeroDivisionError,
    "MT_DEVICE_LOST": DeviceLostError,
    "MT_STALE": StaleHandleError,
}


def translate(status: str, op: str, message: str, where: str = "") -> Exception:
    """The exception for a status of the C core.

    `where` is the user's line that issued the op, for an error that only running could find.
    """
    return STATUSES[status](f"[{op}] {message}" + (f" (issued at {where})" if where else ""))


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the nearest of those there are, or "".

    A name behind dots is compared by its last part.
    """
    import difflib

    by_word = {one.rpartition(".")[2]: one for one in reversed([*names])}
    near = difflib.get_close_matches(name, by_word, 1)
    if not near:  # NAME, Name and name count as the same
        by_word = {word.lower(): one for word, one in by_word.items()}
        near = difflib.get_close_matches(name.lower(), by_word, 1)
    return f"; did you mean {by_word[near[0]]!r}?" if near else ""


def no_name(module: str, name: str, names: Callable[[], Iterable[str]]) -> AttributeError:
    """Return the error of a module's `__getattr__` for a name that it lacks.

    Private names get no suggestion: programs ask for them to find out whether they are there.
    """
    hint = "" if name.startswith("_") else did_you_mean(name, names())
    # With a name and without an object, Python's traceback adds no suggestion of its own.
    return AttributeError(f"[{module}] no name {name!r}{hint}", name=name)
