"""The exclusive card: its holder, the refusal of others, and that the holder's end frees it."""

from __future__ import annotations

import errno
import gc
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from children import in_child

from minitensor import (
    DeviceBusyError,
    DeviceError,
    DeviceMemoryError,
    Tensor,
    context,
    device_context,
    ops,
    runtime,
)
from minitensor.backend import get_backend
from minitensor.backend.ascend import cards, lock
from minitensor.backend.core import ffi, lib

HOLDER = """
import os, sys
from minitensor import Tensor, context, ops
context.set_device("Ascend", int(sys.argv[1]))
ops.log(Tensor(2.0)).asnumpy()
print(os.getpid(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give this test cards of its own."""
    monkeypatch.setenv("MINITENSOR_ASCEND_LOCK_DIR", str(tmp_path / "locks"))
    return tmp_path / "locks"


@pytest.fixture
def hold() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a program that computes on a card and then stays; return once it has the card."""
    started: list[subprocess.Popen[str]] = []

    def start(index: int = 0, program: str = HOLDER) -> subprocess.Popen[str]:
        process = subprocess.Popen([sys.executable, "-c", program, str(index)],
            stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)  # fmt: skip
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == f"{process.pid}\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def python(program: str, **environment: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
        timeout=60,
                          env={**os.environ, **environment})  # fmt: skip
    assert done.stderr == ""
    return done.stdout


TRY = """
from minitensor import DeviceBusyError, Tensor, context
context.set_context(device_target="Ascend")
try:
    print(Tensor(2.0).device)
except DeviceBusyError as error:
    print(error.code, error)
"""


# --- two programs, one card -----------------------------------------------------------------------
def test_the_second_program_is_told_which_process_has_the_card_and_what_to_do(
    hold: Callable[..., subprocess.Popen[str]],
) -> None:
    holder = hold()
    said = python(TRY)
    assert said.startswith(
        "507033 [Ascend:0] device busy: Ascend kernel runtime initialization failed, other "
        "processes"
    )
    assert f"may be occupying this card: held by process {holder.pid} (" in said
    assert f"{Path(sys.executable).name} -c import os, sys from minitensor" in said
    assert (
        'end it, use another device (set_device("Ascend", 1)), or compute on CPU '
        '(set_context(device_target="CPU"))'
        in said
    )


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, None])
def test_the_holders_end_frees_the_card_however_it_ends(
    end: signal.Signals | None, hold: Callable[..., subprocess.Popen[str]]
) -> None:
    holder = hold()
    assert "device busy" in python(TRY)
    if end is not None:
        holder.send_signal(end)
    holder.communicate()  # closes its input: without a signal it ends by itself
    assert python(TRY) == "Ascend:0\n"


def test_a_card_that_is_free_is_named_and_none_when_all_are_taken(
    hold: Callable[..., subprocess.Popen[str]],
) -> None:
    hold(0), hold(1)
    assert 'set_device("Ascend", 2)' in python(TRY)
    assert "all devices are taken" in python(TRY, MINITENSOR_ASCEND_DEVICES="2")
    assert "occupying card 1" in python(TRY, ASCEND_RT_VISIBLE_DEVICES="1,2")


def test_a_holder_without_proc_is_named_by_what_it_wrote(
    hold: Callable[..., subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = hold()
    monkeypatch.setattr(lock, "_command", lambda pid: "")
    said = f"process {holder.pid} ({lock._one_line([sys.executable, '-c', HOLDER, '0'])})"
    assert str(lock.holder(0)) == said
    monkeypatch.setattr(lock, "_holder_pid", lambda descriptor: 0)  # in another pid namespace
    assert str(lock.holder(0)) == said


FAR = "/" + "/".join(["folder"] * 60)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["python", "program.py", "-x"], "python program.py -x"),
        ([f"{FAR}/python", f"{FAR}/my program.py", "-x"], ".../python .../my program.py -x"),
        (["python", "-m", "package", f"{FAR}/"], "python -m package .../folder"),
        (["python", "-c", "import os\nos.listdir('/')"], "python -c import os os.listdir('/')"),
        (["worker: " + FAR], ".../folder"),  # a process that has set its title
        ([""], ""),
        ([], ""),
        (["x" * 120], "x" * 120),
        (["x" * 121], "x" * 78 + "..." + "x" * 39),
    ],
)  # fmt: skip
def test_a_command_is_one_line(arguments: list[str], line: str) -> None:
    assert lock._one_line(arguments) == line


@pytest.mark.parametrize("length", [1, 10, 50, 60, 61, 100, 150, 200, 250])
def test_a_command_keeps_the_programs_name(length: int) -> None:
    for folder in "/" + "f" * length, FAR:
        line = lock._one_line(
            [f"{folder}/python", "-u", f"{folder}/program.py", *["argument"] * length]
        )
        assert "python" in line and "program.py argument" in line and len(line) <= 120
        line = lock._one_line([f"{folder}/python", "-m", "package.module", *[folder] * length])
        assert "-m package.module" in line and len(line) <= 120
        line = lock._one_line([f"{folder}/python", "-c", f"import os; os.stat('{folder}')"])
        assert "-c import os; os.stat('/" in line and len(line) <= 120
    name = "n" * length + ".py"
    line = lock._one_line(["python", f"{FAR}/{name}"])
    assert (
        len(line) <= 120 and line.endswith(".py") and (length > 57 or line == f"python .../{name}")
    )


def test_a_look_at_the_holder_does_not_take_or_drop_the_card() -> None:
    assert lock.holder(5) is None
    claim = lock.claim(5)
    try:
        assert lock.claim(5) is claim
        assert lock.holder(5) == lock.Holder(os.getpid(), lock._command("self"))
        assert f"process {os.getpid()}" in in_child(lambda: lock.holder(5))
    finally:
        claim.release()
    assert lock.holder(5) is None


# --- the folder -----------------------------------------------------------------------------------
def test_the_files_are_the_users_own(folder: Path) -> None:
    lock.claim(0).release()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "ascend-0.lock").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_others_may_write_to_is_refused(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(
        DeviceError, match=r"writable only to you, got drwxrwxrwx.*MINITENSOR_ASCEND_LOCK_DIR"
    ):
        lock.claim(0)


def test_symbolic_links_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DeviceError, match="lock files"):
        lock.claim(0)
    folder.unlink()
    folder.mkdir(mode=0o700)
    (folder / "ascend-0.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(DeviceError, match="ascend-0.lock, must belong to you, be no link"):
        lock.claim(0)
    assert not (tmp_path / "victim").exists()


KINDS: dict[str, Callable[[Path], object]] = {
    "a folder": lambda path: path.mkdir(),
    "a FIFO": lambda path: os.mkfifo(path),
    "a link": lambda path: path.symlink_to(path.parent / "other"),
    "a dangling link": lambda path: path.symlink_to(path.parent / "nothing"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a socket": lambda path: socket_at(path),
    "a device": lambda path: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3)),
    "writable to all": lambda path: (path.touch(), path.chmod(0o666)),
    "another user's": lambda path: (path.touch(), os.chown(path, 12345, -1)),
}


def socket_at(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        there = os.open(path.parent, os.O_PATH)  # a socket's path has little room
        listener.bind(f"/proc/self/fd/{there}/{path.name}")
        os.close(there)


@pytest.mark.parametrize("look", [lock.claim, lock.holder])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_lock_file_is_refused(
    kind: str, look: Callable[[int], object], folder: Path
) -> None:
    folder.mkdir(mode=0o700)
    (folder / "other").touch(mode=0o600)
    path = folder / "ascend-0.lock"
    try:
        KINDS[kind](path)
    except PermissionError:
        pytest.skip(f"this user can't make {kind}")
    before, descriptors = path.lstat(), os.listdir("/proc/self/fd")
    with pytest.raises(
        DeviceError,
        match=rf"the lock file, {re.escape(str(path))}, must belong to you, .* got .*; remove it, "
              rf"or set MINI",
    ):
        look(0)
    assert path.lstat() == before and os.listdir("/proc/self/fd") == descriptors
    assert sorted(file.name for file in folder.iterdir()) == ["ascend-0.lock", "other"]
    assert lock.holder(1) is None  # another card's file is as good as ever


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("a folder",)] + ["a file"])
def test_what_is_no_folder_is_refused(kind: str, folder: Path) -> None:
    (folder.parent / "other").mkdir(mode=0o700)
    try:
        (lambda path: path.touch())(folder) if kind == "a file" else KINDS[kind](folder)
    except PermissionError:
        pytest.skip(f"this user can't make {kind}")
    with pytest.raises(
        DeviceError,
        match=rf"{re.escape(str(folder))}, .*set MINITENSOR_ASCEND_LOCK_DIR to a folder",
    ):
        lock.claim(0)
    assert list((folder.parent / "other").iterdir()) == []


@pytest.mark.parametrize(
    "path", ["/proc/nothing", "/dev/null/locks", "/" + "x" * 300, "/" + ("x" * 200 + "/") * 30]
)
def test_a_folder_that_cannot_be_made_is_named(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINITENSOR_ASCEND_LOCK_DIR", path)
    with pytest.raises(
        DeviceError,
        match=r"^\[Ascend\] the folder of the lock files, /.*, can't be used \(.*set "
              r"MINITENSOR_ASCEND",
    ):
        lock.claim(0)


def test_a_folder_without_rights_is_named(folder: Path) -> None:
    folder.mkdir(mode=0o500)
    program = "from minitensor.backend.ascend import lock\nlock.claim(0)"
    if os.getuid() == 0:
        pytest.skip("root has every right")
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert (
        "DeviceError: [Ascend] the lock file, " in done.stderr
        and "can't be used (Permission denied)" in done.stderr
    )


def test_a_file_system_without_locks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(lock.fcntl, "lockf", refuse)
    descriptors = os.listdir("/proc/self/fd")
    with pytest.raises(
        DeviceError,
        match=r"ascend-0.lock, can't be used \(No locks available\); set MINITENSOR_ASCEND",
    ):
        lock.claim(0)
    assert os.listdir("/proc/self/fd") == descriptors


def test_a_descriptor_that_means_another_file_by_now_is_not_closed(tmp_path: Path) -> None:
    claim = lock.claim(0)
    os.close(claim.descriptor)  # as code does that makes a daemon of its process
    other = os.open(tmp_path / "other", os.O_CREAT | os.O_RDWR)
    if other != claim.descriptor:
        os.dup2(other, claim.descriptor)
        os.close(other)
    claim.release()
    os.close(claim.descriptor)  # still open: raises otherwise


# --- forks ----------------------------------------------------------------------------------------
FORKS = """
import os
from minitensor import Tensor, context, ops, runtime
context.set_device("Ascend", 0)
t = ops.log(Tensor(2.0))

def attempt(name, check):
    try:
        print(depth, name, check(), flush=True)
    except Exception as error:
        print(depth, name, type(error).__name__, str(error).replace(str(root), "ROOT"), flush=True)

def another():
    context.set_device("Ascend", depth)
    return ops.log(Tensor(2.0)).device

root, depth = os.getpid(), 0
for depth in (1, 2):
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0
        if depth > 1:
            os._exit(0)
        break
    attempt("target", context.get_current_device)
    attempt("op", lambda: t + 1)
    attempt("value", t.asnumpy)
    attempt("parent's", lambda: Tensor(2.0, device="Ascend:0"))
    attempt("another", another)
    attempt("memory", lambda: runtime.memory_stats()["capacity"] > 0)
else:
    os._exit(0)
depth = 0
attempt("value", lambda: round(t.item(), 3))
attempt("another", lambda: Tensor(2.0, device="Ascend:1").device)
"""


def test_two_forks_deep() -> None:
    lines = python(FORKS).splitlines()
    lost = (
        "the tensor is on Ascend:0 of process ROOT, from which this process was forked; "
        "move it to the host there"
    )
    assert len(lines) == 14
    for depth in (1, 2):
        said = [line.removeprefix(f"{depth} ") for line in lines if line.startswith(f"{depth} ")]
        assert said[0] == "target CurrentDevice(device_target='CPU', device_id=0)"
        assert said[1].startswith(f'op DeviceLostError [add] {lost} with t.to("CPU")')
        assert said[2].startswith(f'value DeviceLostError [to] {lost} with t.to("CPU")')
        assert (
            said[3].startswith("parent's DeviceBusyError [Ascend:0]")
            and "held by process ROOT (" in said[3]
        )
        assert said[4:] == [f"another Ascend:{depth}", "memory True"]
    # the child's end has freed what it took
    assert lines[12:] == ["0 value 0.693", "0 another Ascend:1"]


def test_a_childs_end_does_not_free_the_parents_card() -> None:
    claim = lock.claim(0)
    try:
        assert in_child(lambda: lock._claims) == "{}"
        assert "device busy" in python(TRY)
    finally:
        claim.release()
    assert python(TRY) == "Ascend:0\n"


def test_the_card_of_a_parent_that_has_ended_can_be_taken() -> None:
    program = """
import os
from minitensor import Tensor, context
context.set_device("Ascend", 0)
t = Tensor(1.0)
reader, writer = os.pipe()
if os.fork():
    os._exit(0)  # the parent ends here, with the card
os.close(writer)
os.read(reader, 1)  # until the parent has ended
context.set_device("Ascend", 0)
print(Tensor(2.0).device, Tensor(2.0).item())
try:
    t.asnumpy()
except Exception as error:
    print(type(error).__name__)
"""
    assert python(program) == "Ascend:0 2.0\nDeviceLostError\n"


# --- the device -----------------------------------------------------------------------------------
@pytest.mark.parametrize(("text", "visible"), [("", (0, 1, 2, 3)), ("2", (2,)), ("3, 1", (3, 1))])
def test_visible_devices(
    text: str, visible: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINITENSOR_ASCEND_DEVICES", "4")
    monkeypatch.setenv("ASCEND_RT_VISIBLE_DEVICES", text)
    assert cards() == visible and device_context.ascend.device_count() == len(visible)


@pytest.mark.parametrize("text", ["4", "0,4", "a", "0,,1", "-1", "1,1", "0 1", ","])
def test_visible_devices_that_are_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINITENSOR_ASCEND_DEVICES", "4")
    monkeypatch.setenv("ASCEND_RT_VISIBLE_DEVICES", text)
    with pytest.raises(
        ValueError, match=r"ASCEND_RT_VISIBLE_DEVICES must be .*, got .* machine has 0 to 3"
    ):
        cards()


def test_an_index_beyond_the_visible_ones() -> None:
    program = """
from minitensor import DeviceError, context
for index in (1, 2):
    try:
        print(context.set_device("Ascend", index))
    except DeviceError as error:
        print(error.code, error)
"""
    said = python(program, ASCEND_RT_VISIBLE_DEVICES="6,7").splitlines()
    assert said[0] == "None" and said[1].startswith("107001 ")
    assert "ret[107001]. Got device count[2] and device id[2]" in said[1]


def test_capacity_and_what_the_error_says() -> None:
    program = """
from minitensor import DeviceMemoryError, Tensor, context, ops, runtime
context.set_context(device_target="Ascend")
keep = ops.zeros((300_000,))
try:
    ops.zeros((300_000,))
except DeviceMemoryError as error:
    print(error.code, error)
print(runtime.memory_stats()["capacity"], keep.sum())
"""
    said, after = python(program, MINITENSOR_ASCEND_MEMORY="2MB").splitlines()
    assert said.startswith("207001 [") and "on Ascend:0" in said
    assert "EL0004: Malloc device memory failed, size[1200000], ret[207001]" in said
    assert after == "2097152 0.0"
    assert issubclass(DeviceMemoryError, MemoryError)


def test_the_host_sees_copies_only() -> None:
    t = Tensor([1.0, 2.0], device="Ascend:6")
    t.asnumpy()[0] = 5
    assert t.tolist() == [1.0, 2.0]
    gc.collect()  # the garbage of other tests holds memory, too
    before = runtime.memory_allocated("CPU")
    assert (
        t.to("Ascend:6") is t
        and ops.add(t, t).device == "Ascend:6"
        and runtime.memory_allocated("CPU") == before
    )


def test_tensors_are_aligned_and_counted_apart() -> None:
    # a reference is a number and keeps nothing alive
    held = [Tensor([i], device="Ascend:6") for i in range(5)]
    assert all(int(ffi.cast("intptr_t", lib.mt_data(t._ref))) % 512 == 0 for t in held)
    with pytest.raises(RuntimeError, match="CPU and on Ascend:6|Ascend:6 and on CPU"):
        Tensor([1.0], device="Ascend:6") + Tensor([1.0], device="CPU")


def test_letting_go() -> None:
    ascend = get_backend("Ascend")
    ascend.acquire(4)
    assert f"held by process {os.getpid()}" in in_child(lambda: ascend.acquire(4))
    ascend.release(4)
    ascend.release(4)
    assert in_child(lambda: ascend.acquire(4)) == "None"
    with pytest.raises(DeviceError, match=r"Got device count\[8\] and device id\[8\]"):
        ascend.acquire(8)
    assert context.get_context("device_target") == "CPU" and issubclass(
        DeviceBusyError, DeviceError
    )
