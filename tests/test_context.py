"""Which device, and which mode."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import minitensor as mt
from minitensor import Tensor, context, device_context, get_context, set_context, set_device


@pytest.fixture(autouse=True)
def afterwards_on_cpu() -> Iterator[None]:
    yield
    set_context(
        device_target="CPU", device_id=0, pynative_synchronize=False, deterministic="OFF",
        max_device_memory="1024GB",
    )  # fmt: skip


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as locks:  # devices of its own
        return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
            timeout=60,
                              env={**os.environ, "MINITENSOR_ASCEND_LOCK_DIR": locks,
                                  **environment})  # fmt: skip


def test_defaults() -> None:
    assert {key: get_context(key) for key in ("device_target", "device_id", "mode",
        "max_device_memory", "pynative_synchronize",
                                              "deterministic")} == {
        "device_target": "CPU", "device_id": 0, "mode": 1, "max_device_memory": 1024.0,
        "pynative_synchronize": False,
        "deterministic": "OFF"}  # fmt: skip
    assert isinstance(get_context("max_device_memory"), float)
    assert (
        context.get_current_device() == ("CPU", 0)
        and context.get_current_device().device_target == "CPU"
    )


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: get_context("foo"), ValueError, "argument foo is not recognized"),
        (lambda: get_context(1), TypeError, "str"),
        (lambda: set_context(mode="a"), TypeError,
         "The parameter 'mode' must be <class 'int'>, but got <class 'str'>"),
        (lambda: set_context(mode=2), ValueError, "mode"),
        (lambda: set_context(mode=0), RuntimeError, "no graph mode"),
        (lambda: set_context("CPU"), TypeError, "positional"),
        (lambda: set_context(device_target="TPU"), ValueError, "CPU, Ascend"),
        (lambda: set_context(device_target="cpu"), ValueError, "CPU, Ascend"),
        (lambda: set_context(device_id=-1), ValueError, "4095"),
        (lambda: set_context(device_id=4096), ValueError, "4095"),
        (lambda: set_context(device_id=True), TypeError, "device_id"),
        (lambda: set_context(deterministic="on"), ValueError, "ON"),
        (lambda: set_context(max_device_memory="0GB"), ValueError, "5GB"),
        (lambda: set_context(max_device_memory=5), TypeError, "max_device_memory"),
        (lambda: set_context(max_device_memory="5 apples"), ValueError, "5GB"),
        (lambda: set_context(speed=9), ValueError, "argument speed"),
        (lambda: set_context(pynative_synchronize=1), TypeError, "bool"),
        (lambda: set_device("CPU", -1), ValueError, "at least 0"),
        (lambda: set_device("GPU"), ValueError, "CPU, Ascend"),
        (lambda: set_device("ascend"), ValueError, "did you mean 'Ascend'"),
        (lambda: set_device("Ascend", 99), mt.DeviceError,
         r"ret\[107001\]. Got device count\[8\] and device id\[99\]"),
        (lambda: set_device(3), TypeError, "device_target"),
    ],
)  # fmt: skip
def test_mistakes(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_settings_are_kept() -> None:
    assert (
        set_context(
            device_target="Ascend", device_id=3, max_device_memory="5GB", deterministic="ON"
        )
        is None
    )
    assert context.get_current_device() == ("Ascend", 3) and get_context("max_device_memory") == 5.0
    assert get_context("deterministic") == "ON"
    set_device("CPU")
    assert get_context("device_target") == "CPU"


def test_an_unknown_setting_changes_nothing() -> None:
    with pytest.raises(ValueError, match="not recognized"):
        set_context(device_target="Ascend", foo=1)
    assert get_context("device_target") == "CPU"


def test_naming_a_device_does_not_take_it_and_using_it_does() -> None:
    done = python(
        """
from minitensor import Tensor, context, set_context, set_device
set_context(device_target="Ascend", device_id=2)
assert not context.current_device().active
set_context(device_id=1)
t = Tensor(1.0)
assert t.device == "Ascend:1" and context.current_device().active
set_context(device_id=1)
set_device("Ascend", 1)
for call, error in ((lambda: set_context(device_id=2), TypeError),
                    (lambda: set_device("Ascend", 2), RuntimeError),
                    (lambda: set_device("CPU"), RuntimeError)):
    try:
        call()
    except error as e:
        print(e)
set_context(device_target="CPU")
assert Tensor(1.0).device == "CPU" and (t + 1).device == "Ascend:1"
"""
    )
    assert done.stderr == ""
    assert "can not be set repeatedly" in done.stdout and done.stdout.count("already") == 3


def test_the_environment_says_where_to_begin() -> None:
    program = (
        "from minitensor import context, Tensor; "
        "print(*context.get_current_device(), Tensor(1).device)"
    )
    assert (
        python(program, MINITENSOR_DEVICE_TARGET="Ascend", MINITENSOR_DEVICE_ID="5").stdout
        == "Ascend 5 Ascend:5\n"
    )
    wrong = python(program, MINITENSOR_DEVICE_ID="x")
    assert (
        "[config] MINITENSOR_DEVICE_ID must be a whole number from 0 to 2147483647, got 'x'"
        in wrong.stderr
    )
    done = python("from minitensor import device_context as d; print(d.ascend.device_count(), "
                  "d.ascend.is_available(), d.cpu.device_count())",
                  MINITENSOR_ASCEND_DEVICES="0")  # fmt: skip
    assert done.stdout == "0 False 1\n"
    assert device_context.ascend.device_count() == 8


def test_synchronous_mode_fails_at_the_call() -> None:
    set_context(pynative_synchronize=True)
    assert get_context("pynative_synchronize") is True
    with pytest.raises(ZeroDivisionError, match=r"issued at .*test_context.py"):
        Tensor([1]) // Tensor([0])
    with pytest.raises(ArithmeticError):
        mt.ops.host_call(lambda a: 1 / 0, [Tensor([1])], shape=1, dtype="float32")


def test_memory_is_bounded() -> None:
    done = python(
        """
from minitensor import Tensor, ops, set_context, runtime, DeviceMemoryError
set_context(device_target="Ascend", max_device_memory="0.001GB")
keep = ops.zeros(200_000)
for _ in range(3):
    try:
        ops.zeros(200_000)
    except DeviceMemoryError as e:
        print(isinstance(e, MemoryError), e.code, "EL0004" in str(e),
              "Malloc device memory failed, size[800000], ret[207001]" in str(e))
del keep
print(ops.zeros(200_000).size, runtime.memory_stats()["capacity"])
"""
    )
    assert done.stdout == "True 207001 True True\n" * 3 + "200000 1073741\n", done.stderr


def test_a_device_is_let_go_of_and_taken_again() -> None:
    done = python(
        """
import subprocess, sys
from minitensor import DeviceLostError, Tensor, runtime, set_context
set_context(device_target="Ascend")
program = "from minitensor import Tensor; print(Tensor(1.0, device='Ascend').device)"
other = [sys.executable, "-c", program]
t = Tensor([1.0])
kept = t.to("CPU")
assert b"DeviceBusyError" in subprocess.run(other, capture_output=True).stderr
runtime.release_device()
print(subprocess.run(other, capture_output=True, text=True).stdout.strip(), kept.tolist())
for look in (lambda: t + 1, t.asnumpy, lambda: repr(t)):
    try:
        look()
    except DeviceLostError as e:
        print("released" in str(e))
print((Tensor([2.0]) + 1).device)
"""
    )
    assert (done.stdout, done.stderr) == ("Ascend:0 [1.0]\nTrue\nTrue\nTrue\nAscend:0\n", "")


def test_a_spawned_child_meets_its_parents_device(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        """
import minitensor.multiprocessing as multiprocessing
from minitensor import DeviceBusyError, Tensor, get_context, ops

def child():
    try:
        ops.log(Tensor(2.0))
    except DeviceBusyError as error:
        print(get_context("device_target"), error)

if __name__ == "__main__":
    ops.log(Tensor(2.0))
    process = multiprocessing.get_context("spawn").Process(target=child)
    process.start()
    process.join()
"""
    )
    environment = {
        **os.environ,
        "MINITENSOR_DEVICE_TARGET": "Ascend",
        "MINITENSOR_ASCEND_LOCK_DIR": str(tmp_path / "locks"),
    }
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, timeout=60, env=environment
    )
    assert (
        done.stderr == ""
        and done.stdout.startswith("Ascend [Ascend:0] device busy: ")
        and "program.py" in done.stdout
    )
