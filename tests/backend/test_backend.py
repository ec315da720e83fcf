"""A backend is found by its name, says what it lacks, and may come from another package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy_backend import NumPyBackend

from minitensor import DeviceError, Tensor, backend, bfloat16, ops
from minitensor.backend import Backend, Task

backend.register(NumPyBackend)


def test_the_built_in_ones() -> None:
    assert backend.available()[:2] == ["CPU", "Ascend"] and "NumPy" in backend.available()
    assert backend.get_device("CPU") is backend.get_device("CPU", 0)
    assert (
        str(backend.get_device("Ascend", 3)) == "Ascend:3"
        and not backend.get_device("Ascend", 3).active
    )


@pytest.mark.parametrize(
    ("name", "index", "error", "text"),
    [
        ("TPU", 0, ValueError, r"no device target|not.*'TPU'.*CPU, Ascend"),
        ("cpu", 0, ValueError, "did you mean 'CPU'"),
        ("NumPy", -1, ValueError, "must be at least 0, got -1"),
        ("NumPy", 2, DeviceError, r"ret\[107001\]. Got device count\[2\] and device id\[2\]"),
    ],
)
def test_devices_there_are_not(name: str, index: int, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        backend.get_device(name, index)
    assert getattr(caught.value, "code", 107001) == 107001


def test_a_backend_without_a_name() -> None:
    class Nameless(Backend):
        def launch(self, task: Task) -> None:
            task.reference()

    with pytest.raises(ValueError, match="Nameless has no name"):
        backend.register(Nameless)


def test_every_op_runs_there() -> None:
    numpy_backend = backend.get_backend("NumPy")
    assert isinstance(numpy_backend, NumPyBackend)
    numpy_backend.launched.clear()
    t = Tensor([1.0, 4.0], device="NumPy:1")
    result = ops.sqrt(t) + t
    np.testing.assert_array_equal(result.asnumpy(), np.array([2, 6], np.float32))
    assert result.device == "NumPy:1" and {"sqrt", "add"} <= set(numpy_backend.launched)
    assert ops.matmul(t, t).tolist() == 17.0
    assert t.to("CPU").device == "CPU" and t.to("Ascend:7").to("NumPy").tolist() == [1.0, 4.0]


def test_a_dtype_it_lacks_is_a_type_error_at_the_call() -> None:
    with pytest.raises(TypeError, match="must be one that NumPy:0 supports, got BFloat16"):
        Tensor([1.0], dtype=bfloat16, device="NumPy")
    with pytest.raises(TypeError, match="has no BFloat16"):
        Tensor([1.0], device="NumPy").astype(bfloat16)


def test_an_op_it_lacks_is_a_type_error_at_the_call() -> None:
    @backend.register
    class Adder(Backend):
        name = "Adder"
        ops = frozenset({"add"})

        def launch(self, task: Task) -> None:
            task.reference()

    t = Tensor([1.0], device="Adder")
    assert (t + t).tolist() == [2.0]
    with pytest.raises(
        TypeError,
        match=r"^\[mul\] Adder can't do it; bring the tensor to the host with t.to\('CPU'\)",
    ):
        t * t


def test_a_backend_that_fails_is_told_of_where_the_value_is_read() -> None:
    @backend.register
    class Broken(Backend):
        name = "Broken"

        def launch(self, task: Task) -> None:
            raise OSError("the wire is loose")

    t = ops.exp(Tensor([1.0], device="Broken"))
    with pytest.raises(
        OSError, match=r"^\[exp\] the wire is loose \(issued at .*test_backend.py:\d+\)$"
    ):
        t.asnumpy()


def test_an_installed_backend_is_found_by_its_entry_point(tmp_path: Path) -> None:
    metadata = tmp_path / "numpy_backend-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy-backend\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[minitensor.backends]\nNumPy = numpy_backend:NumPyBackend\n"
    )
    program = """
import sys
from minitensor import Tensor, backend, context, ops
assert backend.available() == ["CPU", "Ascend", "NumPy"], backend.available()
assert "numpy_backend" not in sys.modules
context.set_context(device_target="NumPy", device_id=1)
t = ops.exp(Tensor(0.0))
print(t.device, t, backend.get_backend("NumPy").launched)
"""
    paths = [
        str(tmp_path),
        str(Path(__file__).parents[1] / "support"),
        os.environ.get("PYTHONPATH", ""),
    ]
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
        timeout=60,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None,
                              paths))})  # fmt: skip
    assert (done.stdout, done.stderr) == ("NumPy:1 1.0 ['exp']\n", "")
