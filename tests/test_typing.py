"""What type checkers see: the stubs are current, a user's program has types, mistakes are found."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import minitensor
from minitensor import typing as public

HERE = Path(__file__).resolve().parent / "typing"
ROOT = HERE.parent.parent
GOOD, BAD = HERE / "good.py", HERE / "bad.py"
SOURCES = pytest.mark.skipif(
    not (ROOT / "minitensor").is_dir(),
    reason="the sources are not here: an installed package is tested",
)
Findings = list[tuple[Path, int, str, str]]  # file, line, "error" or "information", text


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stubs", ROOT / "docs" / "stubs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@SOURCES
@pytest.mark.parametrize("stub", ["ops/__init__.pyi", "ops/_methods.pyi"])
def test_stubs_are_up_to_date(generator: ModuleType, stub: str) -> None:
    written = (ROOT / "minitensor" / stub).read_text(encoding="utf-8").splitlines()
    made = generator.STUBS[stub]().splitlines()
    assert made == written, f"minitensor/{stub} is not what the functions say; run docs/stubs.py"


def run(module: str, *arguments: object) -> str:
    """Return what a type checker prints, with the package where the tests find it."""
    package = Path(minitensor.__file__).parent.parent
    environment = {**os.environ, "MYPYPATH": str(package) if (package / "docs").is_dir() else ""}
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=HERE, env=environment, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


def mypy(*files: Path) -> Findings:
    said = run("mypy", "--strict", "--config-file=", "--cache-dir", os.devnull, *files)
    lines = re.findall(r"^(\w+\.py):(\d+): (\w+): (.*)$", said, re.MULTILINE)
    names = {"note": "information"}
    return [
        (HERE / name, int(line), names.get(kind, kind), text) for name, line, kind, text in lines
    ]


def pyright(*files: Path) -> Findings:
    said = json.loads(run("pyright", "--outputjson", "--pythonpath", sys.executable, *files))
    return [
        (Path(one["file"]), one["range"]["start"]["line"] + 1, one["severity"], one["message"])
        for one in said["generalDiagnostics"]
    ]


CHECKERS = pytest.mark.parametrize(
    "check",
    [
        pytest.param(
            checker,
            id=checker.__name__,
            marks=pytest.mark.skipif(
                importlib.util.find_spec(checker.__name__) is None,
                reason=f"{checker.__name__} is not installed; `make lint` installs it",
            ),
        )
        for checker in (mypy, pyright)
    ],
)


@CHECKERS
def test_a_program_has_types_and_its_mistakes_are_found(check: Callable[..., Findings]) -> None:
    found = check(GOOD, BAD)
    assert [one for one in found if one[0] == GOOD and one[2] == "error"] == []
    revealed = {line: text for file, line, kind, text in found if file == GOOD and "ype" in text}
    lines = GOOD.read_text(encoding="utf-8").splitlines()
    wanted = {n for n, line in enumerate(lines, 1) if line.startswith("reveal_type(")}
    assert set(revealed) == wanted and len(wanted) > 15
    of_results = [text.partition("->")[2] or text for text in revealed.values()]
    unknown = re.compile(r'"(Any|object|Unknown)"|-> (Any|Unknown)')
    assert [text for text in of_results if unknown.search(text)] == []

    lines = BAD.read_text(encoding="utf-8").splitlines()
    planted = {n for n, line in enumerate(lines, 1) if "# wrong:" in line}
    assert {line for file, line, kind, _ in found if file == BAD and kind == "error"} == planted
    assert len(planted) >= 10


@SOURCES
def test_the_program_runs() -> None:
    done = subprocess.run([sys.executable, GOOD], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_each_public_type_is_documented_and_there() -> None:
    assert all(hasattr(public, name) for name in public.__all__)
    assert {"TensorLike", "DTypeLike", "DeviceLike", "ShapeLike", "AxisLike"} <= set(public.__all__)
