"""Importing the package changes nothing in the process but its memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import minitensor
from minitensor import fingerprint
from minitensor.backend.native import lib

PROGRAM = """
import json, os, sys, threading, signal
import numpy, ml_dtypes, cffi  # what they do at their import is theirs
def state():
    return {
        "threads": sorted(os.listdir("/proc/self/task")),
        "python threads": threading.active_count(),
        "descriptors": sorted((n, os.readlink(f"/proc/self/fd/{n}")) for n in os.listdir("/proc/self/fd")
                              if os.path.exists(f"/proc/self/fd/{n}")),
        "children": open(f"/proc/self/task/{os.getpid()}/children").read(),
        "environment": dict(os.environ),
        "signals": [str(signal.getsignal(s)) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
        "folder": os.getcwd(),
    }
before = state()
modules = set(sys.modules)
import minitensor
after = state()
standard = [m for m in set(sys.modules) - modules if m.split(".")[0] in ("multiprocessing", "asyncio", "subprocess")]
print(json.dumps({"before": before, "after": after, "standard": standard, "all": sorted(set(sys.modules) - modules)}))
"""


def python(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="it looks into Linux's /proc")
def test_import_starts_and_opens_nothing():
    seen = json.loads(python(PROGRAM))
    assert seen["after"] == seen["before"]
    assert seen["standard"] == []
    assert not [name for name in seen["all"] if name.startswith("minitensor.multiprocessing")]  # on demand


def test_import_makes_no_device_busy(tmp_path):
    python("import minitensor", MINITENSOR_DEVICE_TARGET="Ascend", MINITENSOR_ASCEND_LOCK_DIR=str(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", ["minitensor", "minitensor.ops", "minitensor.multiprocessing", "minitensor.fork", "minitensor.tensor"])
def test_each_module_may_be_the_first(module):
    assert python(f"import {module}, minitensor; print(minitensor.ops.log(minitensor.Tensor(2.0)))") == "0.6931472\n"


def test_public_names_are_there():
    names = json.loads(python("import json, minitensor as m; print(json.dumps([n for n in m.__all__ if not hasattr(m, n)]))"))
    assert names == []


@pytest.mark.parametrize("name", ["set_seed", "manual_seed", "multiprocessing", "ops", "Tensor"])
def test_dir_lists_what_there_is(name: str) -> None:
    program = (
        f"import minitensor; print({name!r} in dir(minitensor), minitensor.{name} is not None)"
    )
    assert python(program) == "True True\n"


def test_multiprocessing_is_an_attribute() -> None:
    program = (
        "import minitensor; import sys; assert 'minitensor.multiprocessing' not in sys.modules; "
    )
    assert python(program + "print(minitensor.multiprocessing.Queue.__name__)") == "Queue\n"
    with pytest.raises(AttributeError, match="module 'minitensor' has no attribute 'nothing'"):
        minitensor.nothing  # noqa: B018


def test_a_star_brings_the_ops_and_nothing_else() -> None:
    program = """
from minitensor.ops import *
names = set(dir())
import minitensor.ops as ops
public = {name for name in names if not name.startswith("_")}
print(sorted(name for name in public if not getattr(ops, name).__module__.startswith("minitensor")))
print(public == set(ops.__all__), {"log", "matmul", "sort", "rand", "relu", "host_call"} <= public)
"""
    assert python(program) == "[]\nTrue True\n"


# --- a core that is not there, or was built from other sources --------------------------------------------------------
ROOT = Path(__file__).resolve().parent.parent
SOURCES = pytest.mark.skipif(
    not (ROOT / "minitensor").is_dir(),
    reason="the sources are not here: an installed package is tested",
)
REMEDY = "run `make .venv/.installed` or `pip install -e .` in the folder of the sources"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package with its core."""
    left_out = shutil.ignore_patterns("__pycache__", "generated", "*.c", "*.o")
    return Path(shutil.copytree(ROOT / "minitensor", tmp_path / "minitensor", ignore=left_out))


def imported(package: Path, module: str = "minitensor") -> str:
    """The last line that an import of the copy prints, or "" when it prints nothing."""
    program = (
        f"import sys; sys.path.insert(0, {str(package.parent)!r}); import {module}; print(end='')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.returncode in (0, 1)
    return done.stdout + done.stderr[-1000:].rpartition("\nImportError: ")[2].strip()


@SOURCES
@pytest.mark.parametrize(
    "module",
    ["minitensor", "minitensor.backend.native", "minitensor.ops", "minitensor.multiprocessing"],
)
def test_without_a_core_the_import_says_what_to_run(module: str, package: Path) -> None:
    next((package / "backend").glob("_core*.so")).unlink()
    said = imported(package, module)
    assert said == (
        f"[import] minitensor must be built for this Python, {sys.executable}, which has no module minitensor.backend._core; {REMEDY}"
    )


@SOURCES
@pytest.mark.parametrize("name", [*fingerprint.TABLES, *fingerprint.HEADERS])
def test_a_core_built_from_other_sources_is_refused(name: str, package: Path) -> None:
    assert imported(package) == ""
    path = package / name
    path.write_bytes(path.read_bytes() + b"\n")
    said = imported(package)
    assert said.startswith("[import] the C core must be built from the present ") and said.endswith(REMEDY)
    assert (
        name in said
        and f"{lib.mt_fingerprint():016x}"[8 * (name in fingerprint.HEADERS) :][:8] in said
    )


@SOURCES
def test_an_installation_without_headers_compares_the_tables(package: Path) -> None:
    for name in fingerprint.HEADERS:
        (package / name).unlink()
    assert imported(package) == ""
    with open(package / "optable.py", "a") as file:
        file.write("\n")
    assert "built from the present dtype.py and optable.py" in imported(package)


@SOURCES
def test_the_core_has_the_fingerprint_of_the_sources() -> None:
    assert lib.mt_fingerprint() == fingerprint.compute()


def test_without_numpy_the_import_says_what_to_run() -> None:
    program = "import sys; sys.modules['numpy'] = None; import minitensor"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.stderr.rstrip().endswith(f"which has no module numpy; {REMEDY}")
