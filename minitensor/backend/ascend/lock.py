"""The exclusive lock on a simulated card: one process at a time, and never a stale one.

The problem.  A card belongs to a process from its first task until the process ends or lets go.  It must become free
when the process crashes or is killed, a second process must be told at once who has it, and a fork must neither share
nor drop it.

What fails.  A file whose existence is the lock outlives a crash.  A pid file wants somebody to decide whether that
pid still is who it was.  `flock` and open-file-description locks belong to the open file, so a forked child holds
them too, and they stay held after a SIGKILL of the parent for as long as any child lives.

The solution.  POSIX record locks (F_SETLK).  The kernel ties them to the process, drops them at its end however it
ends, doesn't give them to a forked child, and names the holder's pid (F_GETLK).  They have traps of their own:

  * The lock goes when the process closes *any* descriptor of the file, also one that a harmless reader opened.  So a
    process has one descriptor of each lock file, opened here, and while it holds the lock nobody here opens the file
    again.
  * A forked child inherits that descriptor but not the lock.  It closes the descriptor first thing: that drops only
    locks of the closing process, of which there are none.  From then on the child is a process like any other.
  * Code that makes a daemon of its process may close every descriptor, and so gives the card away unawares.  It
    usually does that in a child, which never had the lock.  What can be done here is not to close, later, a
    descriptor whose number means another file by now.
  * `exec` ends the program that holds the card: O_CLOEXEC closes the descriptor, and the lock goes.
  * A holder in another pid namespace (a container that shares the folder) has pid 0 in F_GETLK.  The file's text then
    says who it is, as the holder itself sees its pid.
  * A lock file is never removed: whoever had it open would go on locking a file that nobody else finds.  If a cleaner
    of the temporary folder removes it, the one who comes next makes a new one, and exclusion is lost for those that
    hold the old.

Where the files lie.  In a temporary folder everybody may make files, also in our name.  So the folder is the user's
own (0700, not a symbolic link, owner checked), and the files are 0600, opened with O_NOFOLLOW, and checked like the
folder: a regular file, of the same user, that nobody else can write to.  The price: users
of one machine don't see each other's locks, and simulate a set of cards each.  So do processes of one user whose
TMPDIR differs; MINITENSOR_ASCEND_LOCK_DIR brings them together.

What is guaranteed.  `claim` never waits: it returns with the lock or raises with the holder's name.
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

_COMMAND = 120  # so many characters of a command are shown
# struct flock of the 64-bit Linux ABI: type, whence, start, length, pid; elsewhere the first two come last.
_FLOCK = struct.Struct("hhqqi4x" if sys.platform == "linux" else "qqihh")
_claims: dict[str, Claim] = {}  # by path
_guard = threading.Lock()


@dataclass(frozen=True)
class Holder:
    """Who has a card: pid and command line.  The command is "" when it can't be found out."""

    pid: int
    command: str

    def __str__(self) -> str:
        return f"process {self.pid}" + (f" ({self.command})" if self.command else "")


@dataclass(eq=False)
class Claim:
    """A lock that this process holds."""

    path: str
    descriptor: int
    pid: int
    _file: tuple[int, int]

    def release(self) -> None:
        """Lets go of the card."""
        with _guard:
            if _claims.pop(self.path, None) is self:
                self._close()

    def _close(self) -> None:
        with suppress(OSError):  # somebody may have closed it before
            if _identity(self.descriptor) == self._file:
                os.close(self.descriptor)  # and the lock with it, when it is ours


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
    """Raise DeviceError unless the file is of the right kind, the user's, and writable to the user only."""
    if not is_kind(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise errors.DeviceError(
            f"[Ascend] the {what}, {path}, must be yours, no link, and nobody else may write to it; it is "
            f"{stat.filemode(status.st_mode)} of user {status.st_uid}; remove it, or {_REMEDY}"
        )


def _folder() -> str:
    path = config.get("MINITENSOR_ASCEND_LOCK_DIR")
    what = "folder of the lock files"
    with _explain(what, path or "below the temporary folder"):
        if not path:
            path = os.path.join(tempfile.gettempdir(), f"minitensor-{os.geteuid()}")
        if not os.path.islink(path):  # of a link, _check says it
            os.makedirs(path, mode=0o700, exist_ok=True)
        _check(what, path, os.lstat(path), stat.S_ISDIR)
    return path


def _open(card: int) -> tuple[str, int]:
    if fcntl is None:
        raise errors.DeviceError("[Ascend] this system has no POSIX record locks to hold a card with; compute on CPU")
    path = os.path.join(_folder(), f"ascend-{card}.lock")
    with _explain("lock file", path):
        try:  # O_NONBLOCK and O_NOCTTY: whatever lies there, opening it waits for nothing and changes nothing
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
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
    """Who has the lock: None for nobody, a pid, or 0 when that process has none here."""
    linux = sys.platform == "linux"
    question = _FLOCK.pack(fcntl.F_WRLCK, 0, 0, 0, 0) if linux else _FLOCK.pack(0, 0, 0, fcntl.F_WRLCK, 0)
    answer = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
    kind, pid = (answer[0], answer[4]) if linux else (answer[3], answer[2])
    return None if kind == fcntl.F_UNLCK else max(pid, 0)


def _cut(text: str, length: int) -> str:
    """Return `text` with so much of its middle left out that at most `length` characters remain."""
    head = (length - 3) * 2 // 3
    return text if len(text) <= length else f"{text[:head]}...{text[head + 3 - length :]}"


def _one_line(arguments: list[str]) -> str:
    """Return a command as one line of at most _COMMAND characters that keeps the program's name.

    The folders of long paths are left out first.  The text of `python -c` is no path, and keeps its beginning.
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


def _who(descriptor: int) -> Holder | None:
    pid = _holder_pid(descriptor)
    if pid is None:
        return None
    said, _, command = os.pread(descriptor, 512, 0).decode(errors="replace").strip().partition(" ")
    if pid == 0:
        return Holder(int(said) if said.isdigit() else 0, command)
    return Holder(pid, _command(pid) or (command if said == str(pid) else ""))


def _open_locked(card: int) -> tuple[str, int, Holder | None]:
    """Opens the file and takes the lock: path, descriptor, and None or who was faster.  Never waits."""
    while True:
        path, descriptor = _open(card)
        try:
            with _explain("lock file", path):  # a file system without locks, for example
                while not _lock(descriptor):
                    other = _who(descriptor)
                    if other is not None:  # else it has just ended, and the lock is there to be had
                        return path, descriptor, other
            if _identity(descriptor) == _identity(path):
                return path, descriptor, None
        except FileNotFoundError:
            pass  # removed between open and lock: once more, with a new file
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def claim(card: int) -> Claim:
    """Takes a card for this process, at once or not at all; the claim there is, when the process has it already.

    Raises:
        BlockingIOError: when another process has it; `args[0]` is its Holder.
        DeviceError: when the lock file or its folder can't be trusted, or not be used.
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
        with suppress(OSError):  # a full disk: only messages read it
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{pid} {_command('self') or _one_line(sys.argv)}\n".encode(), 0)
        result = _claims[path] = Claim(path, descriptor, pid, _identity(descriptor))
        return result


def holder(card: int) -> Holder | None:
    """Who has a card now; None when it is free.

    Raises:
        DeviceError: when the lock file or its folder can't be trusted, or not be used.
    """
    with _guard:
        if fcntl and os.path.join(_folder(), f"ascend-{card}.lock") in _claims:
            return Holder(os.getpid(), _command("self"))  # opening and closing the file would drop the lock
        path, descriptor = _open(card)
        try:
            with _explain("lock file", path):
                return _who(descriptor)
        finally:
            os.close(descriptor)


def _forget_in_child() -> None:
    global _guard
    _guard = threading.Lock()
    for inherited in _claims.values():
        inherited._close()
    _claims.clear()


fork.register(after_in_child=_forget_in_child, name="ascend lock", level=1)
