"""Exceptions, and the one place where a status of the C core becomes an exception.

Every message has the form `[op] X must be ..., got ...; remedy`.  The classes are Python's own
exceptions and subclasses of them, so that existing handlers catch them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

__all__ = [
    "DeviceBusyError",
    "DeviceError",
    "DeviceLostError",
    "DeviceMemoryError",
    "STATUSES",
    "StaleHandleError",
    "did_you_mean",
    "no_name",
    "translate",
]


class DeviceError(RuntimeError):
    """Report that a device can't do what the program asked.

    Args:
        message: the text.
        code: the CANN code (107001, ...), or 0.

    Example:
        >>> import minitensor
        >>> minitensor.errors.DeviceError("[Ascend:9] no such device", 107001).code
        107001
    """

    code: int = 0

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (str(self), self.code)


class DeviceBusyError(DeviceError):
    """Report that an exclusive device belongs to another process; the message names the process."""


class DeviceLostError(DeviceError):
    """Report that a tensor is on a device of the process from which this process was forked."""


class DeviceMemoryError(DeviceError, MemoryError):
    """Report that a device has too little free memory."""


class StaleHandleError(RuntimeError):
    """Report that the memory of a tensor in a message is gone.

    The message was unpickled before, or by a process outside the family.
    """


#: the exception for each status of the core (`core.h`)
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
    """Return the exception for a status of the C core.

    Args:
        status: a key of `STATUSES`.
        op: the name of the op.
        message: the core's text.
        where: the line of the program that called the op, for an error of its computation.
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
