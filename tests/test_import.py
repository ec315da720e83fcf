"""Importing the package changes nothing in the process but its memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import minitensor
from minitensor import fingerprint
from minitensor.backend.core import lib

PROGRAM = """
import json, os, sys, threading, signal
import numpy, ml_dtypes, cffi  # what they do at their import is theirs
def state():
    return {
        "threads": sorted(os.listdir("/proc/self/task")),
        "python threads": threading.active_count(),
        "descriptors": sorted((n, os.readlink(f"/proc/self/fd/{n}"))
                              for n in os.listdir("/proc/self/fd")
                              if os.path.exists(f"/proc/self/fd/{n}")),
        "children": open(f"/proc/self/task/{os.getpid()}/children").read(),
        "environment": dict(os.environ),
        "signals": [str(signal.getsignal(s))
                    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
        "folder": os.getcwd(),
    }
before = state()
modules = set(sys.modules)
import minitensor
after = state()
new = sorted(set(sys.modules) - modules)
standard = [m for m in new if m.split(".")[0] in ("multiprocessing", "asyncio", "subprocess")]
print(json.dumps({"before": before, "after": after, "standard": standard, "all": new}))
"""


def python(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="it looks into Linux's /proc")
def test_import_starts_and_opens_nothing():
    seen = json.loads(python(PROGRAM))
    assert seen["after"] == seen["before"]
    assert seen["standard"] == []
    # on demand
    late = "minitensor.multiprocessing", "minitensor.dataset"
    assert not [name for name in seen["all"] if name.startswith(late)]


def test_import_makes_no_device_busy(tmp_path):
    python(
        "import minitensor",
        MINITENSOR_DEVICE_TARGET="Ascend",
        MINITENSOR_ASCEND_LOCK_DIR=str(tmp_path),
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "module",
    [
        "minitensor", "minitensor.ops", "minitensor.multiprocessing", "minitensor.fork",
        "minitensor.tensor", "minitensor.dataset",
    ],
)
def test_each_module_may_be_the_first(module):
    assert (
        python(f"import {module}, minitensor; print(minitensor.ops.log(minitensor.Tensor(2.0)))")
        == "0.6931472\n"
    )


NAMES = """
import json
import minitensor
from minitensor import ops
def public(names): return sorted(name for name in names if not name.startswith("__"))
found = {}
for module in (minitensor, ops):
    star = {}
    exec(f"from {module.__name__} import *", star)
    found[module.__name__] = {
        "all": sorted(module.__all__), "dir": public(dir(module)), "star": public(star),
        "missing": [name for name in module.__all__ if not hasattr(module, name)],
        "twice": len(module.__all__) - len(set(module.__all__)),
    }
print(json.dumps(found))
"""


def test_dir_and_all_are_what_a_user_may_use() -> None:
    for module, found in json.loads(python(NAMES)).items():
        assert found["all"] == found["dir"] == found["star"], module
        assert (found["missing"], found["twice"]) == ([], 0)
        assert not [
            name
            for name in found["all"]
            if name.startswith("_") or name in ("Any", "annotations", "import_module")
        ]


def test_dataset_is_an_attribute() -> None:
    program = "import minitensor; print(minitensor.dataset.NumpySlicesDataset([1]).get_col_names())"
    assert python(program) == "['column_0']\n"


def test_multiprocessing_is_an_attribute() -> None:
    program = (
        "import minitensor; import sys; assert 'minitensor.multiprocessing' not in sys.modules; "
    )
    assert python(program + "print(minitensor.multiprocessing.Queue.__name__)") == "Queue\n"


@pytest.mark.parametrize("name", ["sharing", "threads.foreign", "foreign_threads.foreign"])
def test_modules_are_there_also_by_former_names(name: str) -> None:
    assert python(f"import minitensor; print(minitensor.{name} is not None)") == "True\n"


@pytest.mark.parametrize(
    ("module", "name", "hint"),
    [
        (minitensor, "tensr", "tensor"),
        (minitensor, "Tensr", "Tensor"),
        (minitensor, "FLOAT32", "float32"),
        (minitensor, "oness", "ops.ones"),
        (minitensor, "matmul", "ops.matmul"),
        (minitensor.ops, "oness", "ones"),
        (minitensor.ops, "Log", "log"),
        (minitensor.ops, "soft_max", "softmax"),
    ],
)
def test_a_misspelt_name_gets_the_nearest_one(module: Any, name: str, hint: str) -> None:
    with pytest.raises(AttributeError) as raised:
        getattr(module, name)
    assert str(raised.value) == f"[{module.__name__}] no name {name!r}; did you mean {hint!r}?"
    assert raised.value.name == name  # type: ignore[attr-defined]


@pytest.mark.parametrize("module", [minitensor, minitensor.ops])
@pytest.mark.parametrize("name", ["qqqqqq", "_lo", "__lo__"])
def test_a_name_unlike_all_others_and_a_private_one_get_no_hint(module: Any, name: str) -> None:
    with pytest.raises(AttributeError) as raised:
        getattr(module, name)
    assert str(raised.value) == f"[{module.__name__}] no name {name!r}"


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("minitensor.oness", "did you mean 'ops.ones'?"),
        ("minitensor.ops.oness", "did you mean 'ones'?"),
        ("minitensor.Tensor([1.0]).reshpe", "Did you mean: 'reshape'?"),  # by Python itself
    ],
)
def test_a_traceback_names_the_nearest_one_once(line: str, hint: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import minitensor\n{line}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    said = done.stderr.rstrip().rpartition("\n")[2]
    assert said.startswith("AttributeError: ") and said.endswith(hint)
    assert said.lower().count("did you mean") == 1


def test_a_private_name_loads_no_family() -> None:
    program = "import sys; from minitensor import ops; before = set(sys.modules); "
    assert (
        python(program + "print(hasattr(ops, '__wrapped__'), set(sys.modules) - before)")
        == "False set()\n"
    )


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


# --- a core that is not there, or was built from other sources ------------------------------------
ROOT = Path(__file__).resolve().parent.parent
SOURCES = pytest.mark.skipif(
    not (ROOT / "minitensor").is_dir(),
    reason="the sources are not here: an installed package is tested",
)
REMEDY = "run `make .venv/.installed` or `pip install -e .` in the folder of the sources"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return a copy of the package with its core."""
    left_out = shutil.ignore_patterns("__pycache__", "generated", "*.c", "*.o")
    return Path(shutil.copytree(ROOT / "minitensor", tmp_path / "minitensor", ignore=left_out))


# An installation for development finds modules that a copy of the package lacks.
ALONE = (
    "import sys; "
    "sys.meta_path[:] = [f for f in sys.meta_path if 'Editable' not in getattr(f, '__name__', "
    "'')]; "
)


def imported(package: Path, module: str = "minitensor") -> str:
    """Return the last line that an import of the copy prints, or "" when it prints nothing."""
    program = (
        f"{ALONE} sys.path.insert(0, {str(package.parent)!r}); import {module}; print(end='')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.returncode in (0, 1)
    return done.stdout + done.stderr[-1000:].rpartition("\nImportError: ")[2].strip()


@SOURCES
@pytest.mark.parametrize(
    "module",
    ["minitensor", "minitensor.backend.core", "minitensor.ops", "minitensor.multiprocessing"],
)
def test_without_a_core_the_import_says_what_to_run(module: str, package: Path) -> None:
    next((package / "backend").glob("_core*.so")).unlink()
    said = imported(package, module)
    assert said == (
        f"[import] minitensor is not built for this Python, {sys.executable}, which finds no "
        f"module minitensor.backend._core; {REMEDY}"
    )


@SOURCES
@pytest.mark.parametrize("name", [*fingerprint.TABLES, *fingerprint.HEADERS])
def test_a_core_built_from_other_sources_is_refused(name: str, package: Path) -> None:
    assert imported(package) == ""
    path = package / name
    path.write_bytes(path.read_bytes() + b"\n")
    said = imported(package)
    assert said.startswith("[import] the C core was built from another ") and said.endswith(REMEDY)
    built = f"{lib.mt_fingerprint():016x}"
    assert name in said
    assert (built[6:11] if name in fingerprint.HEADERS else built[:6]) in said


@SOURCES
def test_an_installation_without_headers_compares_the_tables(package: Path) -> None:
    for name in fingerprint.HEADERS:
        (package / name).unlink()
    assert imported(package) == ""
    with open(package / "optable.py", "a") as file:
        file.write("\n")
    assert "built from another dtype.py or optable.py" in imported(package)


@SOURCES
def test_the_core_has_the_fingerprint_of_the_sources() -> None:
    assert lib.mt_fingerprint() == fingerprint.compute()
    fingerprint.check_sources(lib.mt_fingerprint())


@SOURCES
def test_the_sources_are_what_the_build_reads() -> None:
    names = fingerprint.sources()
    assert (
        set(fingerprint.HEADERS) < set(names) == {name for name in names if "generated" not in name}
    )
    folder = ROOT / "minitensor" / Path(fingerprint.HEADERS[0]).parent
    there = {
        path.relative_to(ROOT / "minitensor").as_posix()
        for kind in ("*.c", "*.h", "*.inc", "*.py")
        for path in folder.rglob(kind)
    }
    assert set(names) == {name for name in there if "/generated/" not in name}


def test_each_part_of_a_fingerprint_is_compared_by_itself() -> None:
    here = fingerprint.compute()
    fingerprint.check(here ^ 1)  # other C sources: an import goes on
    for bit, check in ((0, fingerprint.check_sources), (19, fingerprint.check_sources),
        (20, fingerprint.check),
                       (39, fingerprint.check), (40, fingerprint.check),
                       (63, fingerprint.check)):  # fmt: skip
        if bit < 40 and not fingerprint.sources():
            continue
        with pytest.raises(ImportError, match="was built from another"):
            check(here ^ 1 << bit)


ONE_TEST = "def test_that_runs(): print('it ran')\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a copy of the package, its core and C sources, our conftest.py and two tests."""
    left_out = shutil.ignore_patterns("__pycache__", "generated", "*.o")
    shutil.copytree(ROOT / "minitensor", tmp_path / "minitensor", ignore=left_out)
    for folder in ("tests", "tests/sharing"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"test_{Path(folder).name}.py").write_text(ONE_TEST, encoding="utf-8")
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    return tmp_path


def run_pytest(tree: Path, *arguments: str) -> tuple[int, str, str]:
    """Run pytest in a tree; return its exit code, its standard output and its errors."""
    program = f"{ALONE} import pytest; sys.exit(pytest.main())"
    command = [sys.executable, "-c", program, "-s", "-p", "no:cacheprovider", "-p", "no:randomly"]
    done = subprocess.run(
        [*command, *arguments], cwd=tree, capture_output=True, text=True, timeout=100
    )
    return done.returncode, done.stdout, done.stderr


A_SOURCE = next((name for name in fingerprint.sources() if name.endswith(".c")), "")


@SOURCES
@pytest.mark.parametrize("name", ["optable.py", "dtype.py", *fingerprint.HEADERS, A_SOURCE])
def test_pytest_refuses_a_core_built_from_other_sources(name: str, tree: Path) -> None:
    path = tree / "minitensor" / name
    date = path.stat()
    path.write_bytes(path.read_bytes() + b"\n")
    os.utime(path, ns=(date.st_atime_ns, date.st_mtime_ns))  # contents count, not dates
    code, out, err = run_pytest(tree, "tests")
    assert (code, out) == (pytest.ExitCode.USAGE_ERROR, "")
    assert err.startswith("Exit: [import] the C core was built from another ") and err.endswith(
        REMEDY + "\n"
    )
    assert err.count("\n") == 1


@SOURCES
def test_pytest_runs_when_sources_are_newer_and_the_same(tree: Path) -> None:
    for name in (*fingerprint.TABLES, *fingerprint.sources()):
        os.utime(tree / "minitensor" / name)
    code, out, err = run_pytest(tree, "tests")
    assert (code, out.count("it ran"), err) == (0, 2, "")


@SOURCES
@pytest.mark.parametrize("arguments", [("tests/sharing",), ("-n", "2", "tests")])
def test_pytest_without_a_core_says_what_to_run(arguments: tuple[str, ...], tree: Path) -> None:
    next((tree / "minitensor" / "backend").glob("_core*.so")).unlink()
    code, out, err = run_pytest(tree, *arguments)
    assert (code, out) == (pytest.ExitCode.USAGE_ERROR, "")
    assert (
        err.startswith("Exit: [import] minitensor is not built for this Python")
        and err.count("\n") == 1
    )


@SOURCES
def test_an_error_of_an_import_that_is_no_stale_core_is_shown_whole(tree: Path) -> None:
    with open(tree / "minitensor" / "errors.py", "a", encoding="utf-8") as file:
        file.write("import no_such_module\n")
    code, out, err = run_pytest(tree, "tests")
    assert code != 0 and "it ran" not in out
    assert "no_such_module" in err + out and "Traceback" in err + out


def test_without_numpy_the_import_says_what_to_run() -> None:
    program = "import sys; sys.modules['numpy'] = None; import minitensor"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.stderr.rstrip().endswith(f"which finds no module numpy; {REMEDY}")
