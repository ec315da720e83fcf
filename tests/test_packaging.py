"""The wheel and the source distribution, installed elsewhere; the error without a compiler.

No network: the builds run without isolation, with the setuptools, wheel and cffi of the environment
that runs the tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import cffi
import ml_dtypes
import numpy
import pytest

import minitensor

ROOT = Path(__file__).resolve().parent.parent
FILES = ("pyproject.toml", "setup.py", "setup.cfg", "MANIFEST.in", "README.md", "LICENSE")
PROGRAM = "import minitensor as m; print(m.ops.log(m.Tensor(2.0))); print(m.__file__)"

pytest.importorskip("setuptools")
pytest.importorskip("wheel")
pytestmark = pytest.mark.skipif(
    not (ROOT / "minitensor").is_dir(),
    reason="the sources are not here: an installed package is tested",
)


def run(*command: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [str(word) for word in command], cwd=cwd, env={**kept, "PIP_NO_INDEX": "1", **environment},
        capture_output=True,
        text=True, stdin=subprocess.DEVNULL, timeout=800,
    )  # fmt: skip


def checked(*command: object, cwd: Path, **environment: str) -> str:
    done = run(*command, cwd=cwd, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def pip(*words: object, cwd: Path, **environment: str) -> str:
    return checked(
        sys.executable, "-m", "pip", "--disable-pip-version-check", *words, cwd=cwd, **environment
    )


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Return the sources as a clone has them, without anything that was built."""
    tree = tmp_path / "sources"
    tree.mkdir()
    for name in FILES:
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, tree)
    shutil.copytree(
        ROOT / "minitensor",
        tree / "minitensor",
        ignore=shutil.ignore_patterns("__pycache__", "*.so", "generated", "_core.c"),
    )
    return tree


def compute(wheel: Path, folder: Path) -> None:
    """Install a wheel into a new environment, which takes only the dependencies from this one."""
    here = folder / "environment"
    venv.create(here, with_pip=False, symlinks=True)
    python = here / "bin" / "python"
    packages = Path(
        checked(
            python, "-c", "import sysconfig; print(sysconfig.get_path('platlib'))", cwd=folder
        ).strip()
    )
    pip("install", "--no-deps", "--target", packages, wheel, cwd=folder)
    outer = {str(Path(module.__file__).parents[1]) for module in (numpy, cffi, ml_dtypes)}
    (packages / "outer.pth").write_text("".join(f"{path}\n" for path in sorted(outer)))
    value, file = checked(python, "-c", PROGRAM, cwd=folder).splitlines()
    assert value == "0.6931472"
    assert Path(file).is_relative_to(packages)


@pytest.mark.timeout(900)  # it may compile the whole core: two minutes of one core, when it is idle
def test_source_distribution_and_the_wheel_made_of_it(sources, tmp_path):
    program = f"from setuptools import build_meta; print(build_meta.build_sdist({str(tmp_path)!r}))"
    checked(sys.executable, "-c", program, cwd=sources, CC="/nonexistent")  # it compiles nothing
    [archive] = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    tree = {
        str(path.relative_to(sources))
        for path in (sources / "minitensor").rglob("*")
        if path.suffix in (".py", ".c", ".h")
    }
    # which is made at each build
    assert sorted(name for name in tree - names if "/generated/" not in name) == []
    assert "LICENSE" in names
    assert not [name for name in names if name.endswith(".so") or "/generated/" in name]

    # The objects of the checkout serve the wheel: `objects.py` compiles those of other contents.
    unpacked = tmp_path / archive.name.removesuffix(".tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path)
    if (ROOT / "build/objects").is_dir():
        shutil.copytree(ROOT / "build/objects", unpacked / "build/objects")
    pip(
        "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", tmp_path / "built", unpacked,
        cwd=tmp_path,
    )  # fmt: skip
    [wheel] = (tmp_path / "built").glob("*.whl")
    assert wheel.name.startswith(f"minitensor-{minitensor.__version__}-cp310-abi3-")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "minitensor/backend/_core.abi3.so", "minitensor/py.typed", "minitensor/ops/__init__.pyi",
        "minitensor/ops/_methods.pyi",
    } <= names
    # they belong to the source distribution
    assert not [name for name in names if name.endswith((".c", ".h"))]
    assert [name for name in names if name.endswith("LICENSE")]
    compute(wheel, tmp_path)


def test_without_a_compiler_one_sentence_says_so(sources, tmp_path):
    done = run(
        sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--target",
        tmp_path / "target", sources,
        cwd=tmp_path, CC="/nonexistent",
    )  # fmt: skip
    assert done.returncode != 0
    assert (
        "[build] minitensor's core is C and no C compiler was found (tried /nonexistent); install "
        "one"
        in done.stdout + done.stderr
    )
    assert "apt install gcc python3-dev" in done.stdout + done.stderr
