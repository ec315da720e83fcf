"""What iterators raise when a sample can't be read."""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from collections.abc import Sequence
from typing import Any, NamedTuple

from .nodes import Node, parts
from .randomness import BATCH, EPOCH, INDEX, POSITION

__all__ = ["Failure", "SampleError", "dead", "failed", "in_one_line"]


class SampleError(RuntimeError):
    """Report a sample that can't be read: an exception of the program's code, or a dead worker.

    The exception of the program's code is the cause; that of a worker has the worker's traceback as
    its own cause.

    Args:
        message: the text.
        index: the sample's index in its source; -1 where there is none.
        position: its position in the epoch.
        epoch: the number of the epoch.

    Example:
        >>> import minitensor.dataset as ds
        >>> data = ds.NumpySlicesDataset([1, 0], shuffle=False).map(lambda x: 1 // int(x))
        >>> try:
        ...     rows = list(data)
        ... except ds.SampleError as error:
        ...     error.index, error.__cause__
        (1, ZeroDivisionError('integer division or modulo by zero'))
    """

    def __init__(self, message: str, index: int = -1, position: int = -1, epoch: int = -1) -> None:
        super().__init__(message)
        self.index, self.position, self.epoch = index, position, epoch

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str(self), self.index, self.position, self.epoch)


class RemoteTraceback(Exception):
    """The traceback of a worker, as the cause of the exception that it belongs to."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


class Failure(NamedTuple):
    """Why a row can't be had, in a form that travels."""

    at: tuple[int, ...]  # `Reading.at`
    text: str
    traceback: str = ""  # of a worker
    pickled: bytes | None = None  # the exception of a worker, where pickle can hold it

    def error(self, root: Node, cause: BaseException | None = None) -> SampleError:
        """Return the exception to raise; `cause` is the one of this process, if there is one."""
        if cause is None and self.traceback:
            cause = remote = RemoteTraceback(self.traceback)
            try:
                if self.pickled is not None:
                    cause = pickle.loads(self.pickled)
                    cause.__cause__ = remote
            except Exception:  # its class is unknown here, for example: the text stands for it
                cause = remote
        at = self.at
        error = SampleError(
            f"[dataset] {_what(root, at)}: {self.text}", at[INDEX], at[POSITION], at[EPOCH]
        )
        error.__cause__ = cause
        return error


def _what(root: Node, at: Sequence[int]) -> str:
    """Return the text that names what was being read."""
    if at[BATCH] >= 0:
        return f"batch {at[BATCH]} of epoch {at[EPOCH]} can't be put together"
    where = f"position {at[POSITION]} of epoch {at[EPOCH]}"
    if at[INDEX] < 0:
        return f"the row at {where} can't be read"
    sources = sorted({one.source_name for one in parts(root) if one.source_name})
    return f"sample {at[INDEX]} of {' or '.join(sources)} can't be read ({where})"


def in_one_line(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(type(error), error)).strip()


def failed(error: BaseException, at: Sequence[int], travels: bool = True) -> Failure:
    """Return the failure of an exception; `travels` if another process will raise it."""
    text = in_one_line(error)
    if not travels:
        return Failure(tuple(at), text)
    try:
        pickled: bytes | None = pickle.dumps(error)
        pickle.loads(pickled)  # type: ignore[arg-type]
    except Exception:  # whatever the exception's own methods raise: its text is sent
        pickled = None
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    text += f" (in worker process {os.getpid()})"
    return Failure(tuple(at), text, "".join(lines), pickled)


def dead(pid: int | None, code: int | None, at: Sequence[int], began: bool) -> Failure:
    """Return the failure of a worker process that has ended."""
    if code is not None and code < 0:
        try:
            how = f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            how = f"was killed by signal {-code}"
    else:
        how = f"ended with exit code {code}"
    if began:
        return Failure(tuple(at), f"worker process {pid} {how} while it read this")
    return Failure(
        (-1,) * len(at),
        f"worker process {pid} {how} before its first sample; its standard error says why",
    )
