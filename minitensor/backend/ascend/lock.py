"""The exclusive lock on a simulated card: one holder at a time, and never a stale lock.

The problem.  A card belongs to a process from its first task until the process ends or releases the
card.  A crash or a kill of the process must free the card, a second process must get an error at
once that names the holder, and a fork must neither share nor drop the lock.

What fails.  A file whose existence is the lock survives a crash.  A pid file requires a decision
whether the pid still names the same process.  `flock` and open-file-description locks belong to the
open file: a forked child holds them too, and after a SIGKILL of the parent they stay held as long
as any child lives.

The solution.  POSIX record locks (F_SETLK).  The kernel ties them to the process, drops them
however the process ends, does not pass them to a forked child, and names the holder's pid
(F_GETLK).  They have traps of their own:

  * The kernel drops the lock when the process closes *any* descriptor of the file, even a
    descriptor that only reads.  A process therefore has one descriptor of each lock file, opened in
    this module, and the module does not open the file again while it holds the lock.
  * A forked child inherits the descriptor without the lock.  It closes the descriptor first of all.
    That drops the locks of the closing process, and the child has none.  Afterwards the child is
    like any other process.
  * A process that becomes a daemon may close every descriptor, and thereby drop the lock without
    notice.  Usually this happens in a child, which never had the lock.  The module checks a
    descriptor before it closes it, because the number may name another file by then.
  * `exec` ends the program that holds the card: O_CLOEXEC closes the descriptor, which drops the
    lock.
  * A holder in another pid namespace (a container that shares the folder) has pid 0 in F_GETLK.
    The text of the file then names the holder, by the pid in its own namespace.
  * The module never removes a lock file, because a process with the old file open would lock a file
    that no other process finds.  If a cleaner of the temporary folder removes it, the next process
    makes a new file, and the holder of the old one loses exclusion.

The place of the files.  Every user may make files in a temporary folder, under any name.  The
folder therefore belongs to the user (0700, not a symbolic link, owner checked).  The files are
0600, opened with O_NOFOLLOW, and checked like the folder: a regular file of the same user, writable
to no other user.  The price: each user of a machine simulates a separate set of cards.  So do
processes of one user with different TMPDIR; MINITENSOR_ASCEND_LOCK_DIR gives them one folder.

The guarantee.  `claim` never waits: it returns with the lock, or raises with the holder.
"""

from __future__ import annotations

import os
import stat
import struct
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from minitensor import config, errors, fork

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["Claim", "Holder", "claim", "holder"]

_COMMAND = 120  # maximum length of a command in a message
# struct flock of 64-bit Linux: type, whence, start, length, pid; elsewhere the first two come last.
_FLOCK = struct.Struct("hhqqi4x" if sys.platform == "linux" else "qqihh")
_claims: dict[str, Claim] = {}  # by path
_guard = threading.Lock()


@dataclass(frozen=True)
class Holder:
    """Name the holder of a card: pid and command line; an unknown command is ""."""

    pid: int
    command: str

    def __str__(self) -> str:
        return f"process {self.pid}" + (f" ({self.command})" if self.command else "")


@dataclass(eq=False)
class Claim:
    """Represent a lock that this process holds."""

    path: str
    descriptor: int
    pid: int
    _file: tuple[int, int]

    def release(self) -> None:
        """Release the card."""
        with _guard:
            if _claims.pop(self.path, None) is self:
                self._close()

    def _close(self) -> None:
        with suppress(OSError):  # the program may have closed the descriptor
            if _identity(self.descriptor) == self._file:
                os.close(self.descriptor)  # drops the lock if this process holds it


def _identity(file: int | str) -> tuple[int, int]:
    status = os.stat(file) if isinstance(file, int) else os.lstat(file)
    return status.st_dev, status.st_ino


_REMEDY = "set MINITENSOR_ASCEND_LOCK_DIR to a folder that only you can write to"


@contextmanager
def _explain(what: str, path: str) -> Iterator[None]:
    """Raise DeviceError with the path and the remedy in place of an OSError."""
    try:
        yield
    except BlockingIOError:
        raise
    except OSError as error:
        raise errors.DeviceError(
            f"[Ascend] the {what}, {path}, can't be used ({error.strerror or error}); {_REMEDY}"
        ) from error


def _check(what: str, path: str, status: os.stat_result, is_kind: Callable[[int], bool]) -> None:
    """Raise DeviceError unless the file has the right kind, this owner, and no other writer."""
    if not is_kind(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise errors.DeviceError(
            f"[Ascend] the {what}, {path}, must belong to you, be no link, and be writable only to "
            f"you, got {stat.filemode(status.st_mode)} of user {status.st_uid}; remove it, or "
            f"{_REMEDY}"
        )


def _folder() -> str:
    path = config.get("MINITENSOR_ASCEND_LOCK_DIR")
    what = "folder of the lock files"
    with _explain(what, path or "below the temporary folder"):
        if not path:
            path = os.path.join(tempfile.gettempdir(), f"minitensor-{os.geteuid()}")
        if not os.path.islink(path):  # _check reports a link
            os.makedirs(path, mode=0o700, exist_ok=True)
        _check(what, path, os.lstat(path), stat.S_ISDIR)
    return path


def _open(card: int) -> tuple[str, int]:
    if fcntl is None:
        raise errors.DeviceError(
            "[Ascend] the system must have POSIX record locks, got none; compute on CPU"
        )
    path = os.path.join(_folder(), f"ascend-{card}.lock")
    with _explain("lock file", path):
        # O_NONBLOCK and O_NOCTTY: opening a file of any kind waits for nothing and changes nothing.
        try:
            flags = (
                os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
            )
            descriptor = os.open(path, flags, 0o600)
        except OSError:
            with suppress(FileNotFoundError):
                _check("lock file", path, os.lstat(path), stat.S_ISREG)
            raise
    try:
        _check("lock file", path, os.fstat(descriptor), stat.S_ISREG)
    except errors.DeviceError:
        os.close(descriptor)
        raise
    return path, descriptor


def _lock(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # POSIX allows EAGAIN and EACCES
        return False
    return True


def _holder_pid(descriptor: int) -> int | None:
    """Return the holder's pid, None if the lock is free, 0 for another pid namespace."""
    linux = sys.platform == "linux"
    question = (
        _FLOCK.pack(fcntl.F_WRLCK, 0, 0, 0, 0) if linux else _FLOCK.pack(0, 0, 0, fcntl.F_WRLCK, 0)
    )
    answer = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
    kind, pid = (answer[0], answer[4]) if linux else (answer[3], answer[2])
    return None if kind == fcntl.F_UNLCK else max(pid, 0)


def _cut(text: str, length: int) -> str:
    """Return `text`, shortened in its middle to at most `length` characters."""
    head = (length - 3) * 2 // 3
    return text if len(text) <= length else f"{text[:head]}...{text[head + 3 - length :]}"


def _one_line(arguments: list[str]) -> str:
    """Return a command as one line of at most _COMMAND characters with the program's name.

    Folders of long paths are dropped first.  The text of `python -c` is not a path and keeps its
    beginning.
    """
    words = [" ".join(word.split()) for word in arguments]
    if len(" ".join(words)) > _COMMAND:
        for i, word in enumerate(words):
            if "/" in word and (i == 0 or words[i - 1] != "-c"):
                words[i] = ".../" + _cut(word.rstrip("/").rpartition("/")[2], _COMMAND // 2)
    return _cut(" ".join(words), _COMMAND)


def _command(pid: int | str) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return _one_line(file.read().rstrip(b"\0").decode(errors="replace").split("\0"))
    except OSError:
        return ""


def _holder(descriptor: int) -> Holder | None:
    pid = _holder_pid(descriptor)
    if pid is None:
        return None
    said, _, command = os.pread(descriptor, 512, 0).decode(errors="replace").strip().partition(" ")
    if pid == 0:
        return Holder(int(said) if said.isdigit() else 0, command)
    return Holder(pid, _command(pid) or (command if said == str(pid) else ""))


def _open_locked(card: int) -> tuple[str, int, Holder | None]:
    """Open the file and take the lock, without a wait.

    Returns:
        The path, the descriptor, and None or the holder that was faster.
    """
    while True:
        path, descriptor = _open(card)
        try:
            with _explain("lock file", path):  # a file system without locks, for example
                while not _lock(descriptor):
                    other = _holder(descriptor)
                    if other is not None:  # None: the holder has just ended; try again
                        return path, descriptor, other
            if _identity(descriptor) == _identity(path):
                return path, descriptor, None
        except FileNotFoundError:
            pass  # removed between open and lock: try again with a new file
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def claim(card: int) -> Claim:
    """Acquire a card for this process, or raise at once.

    Args:
        card: the number of the card.

    Returns:
        The claim; the existing one if this process already holds the card.

    Raises:
        BlockingIOError: another process holds the card; `args[0]` is its Holder.
        DeviceError: the lock file or its folder is unsafe or unusable.
    """
    with _guard:
        mine = _claims.get(os.path.join(_folder(), f"ascend-{card}.lock")) if fcntl else None
        if mine is not None:
            return mine
        path, descriptor, other = _open_locked(card)
        if other is not None:
            os.close(descriptor)
            raise BlockingIOError(other)
        pid = os.getpid()
        with suppress(OSError):  # a full disk is harmless: only messages use the text
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{pid} {_command('self') or _one_line(sys.argv)}\n".encode(), 0)
        result = _claims[path] = Claim(path, descriptor, pid, _identity(descriptor))
        return result


def holder(card: int) -> Holder | None:
    """Return the holder of a card.

    Args:
        card: the number of the card.

    Returns:
        The Holder, or None if the card is free.

    Raises:
        DeviceError: the lock file or its folder is unsafe or unusable.
    """
    with _guard:
        if fcntl and os.path.join(_folder(), f"ascend-{card}.lock") in _claims:
            # Opening and closing the file would drop the lock.
            return Holder(os.getpid(), _command("self"))
        path, descriptor = _open(card)
        try:
            with _explain("lock file", path):
                return _holder(descriptor)
        finally:
            os.close(descriptor)


def _forget_in_child() -> None:
    global _guard
    _guard = threading.Lock()
    for inherited in _claims.values():
        inherited._close()
    _claims.clear()


fork.register(after_in_child=_forget_in_child, name="ascend lock", level=1)
