"""The documents say what is so: the generated pages, the README's program, the links."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from children import in_child

import minitensor
from minitensor.opdocs import documentation
from minitensor.ops import spectral, ufuncs
from minitensor.optable import ELEMENTWISE

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

pytestmark = pytest.mark.skipif(
    not (ROOT / "docs").is_dir(), reason="the sources are not here: an installed package is tested"
)


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["ops.md", "configuration.md"])
def test_generated_pages_are_up_to_date(generator, page):
    written = (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines()
    made = generator.PAGES[page]().splitlines()
    assert sorted(set(made) ^ set(written)) == [], (
        f"docs/{page} is not what the code says; run `make docs`"
    )
    assert made == written


def test_every_public_op_is_on_the_page(generator):
    from minitensor import ops

    page = generator.ops_page()
    public = [
        name
        for name in vars(ops)
        if not name.startswith("_")
        and getattr(vars(ops)[name], "__module__", "").startswith("minitensor.ops")
    ]
    assert [name for name in public if f"`{name}`" not in page and f"`{name}(" not in page] == []


def test_the_readme_runs_and_prints_what_it_says(tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    programs = re.findall(r"```python\n(.*?)```\s*```\n(.*?)```", text, re.DOTALL)
    assert programs and len(programs) == text.count("```python")
    for number, (program, output) in enumerate(programs):
        path = tmp_path / f"program{number}.py"
        path.write_text(program, encoding="utf-8")
        done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=60)
        assert (done.stdout, done.stderr, done.returncode) == (output, "", 0)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_named_files_and_make_targets_exist(page):
    text = page.read_text(encoding="utf-8")
    files = re.findall(r"`((?:minitensor|tests|docs|examples|tools)/[\w./]*\w)`", text)
    assert [name for name in files if not (ROOT / name).exists()] == []
    targets = set(
        re.findall(
            r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
        )
    )
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) <= targets


def examples() -> list[doctest.DocTest]:
    """Yield every docstring of the package with an example; each begins with nothing imported."""
    found = {}
    for module in pkgutil.walk_packages(minitensor.__path__, "minitensor."):
        name = module.name.rpartition(".")[2]
        if name.startswith(("_core", "_build", "popen_spawn_win32")):
            continue
        loaded = importlib.import_module(module.name)
        for test in doctest.DocTestFinder().find(loaded, module.name, globs={}):
            if test.examples:
                found[test.name] = test
    return list(found.values())


@pytest.mark.parametrize("example", examples(), ids=lambda test: test.name)
def test_each_example_of_a_docstring_runs_as_it_stands(example, tmp_path):
    def run() -> str:
        said: list[str] = []
        tmp_path.chmod(0o700)
        # this test's process may have a card
        os.environ["MINITENSOR_ASCEND_LOCK_DIR"] = str(tmp_path)
        doctest.DocTestRunner(verbose=False).run(example, out=said.append)
        return "".join(said)

    assert in_child(run) == ""  # what an example sets holds in the child only


def test_every_example_is_found():
    """Compare with the files' text: an example that no test finds would rot."""
    makers = ("opdocs.py", "spectral.py")  # which make docstrings
    sources = [path for path in (ROOT / "minitensor").rglob("*.py") if path.name not in makers]
    written = "".join(path.read_text(encoding="utf-8") for path in sources)
    of_rows = [op for op in ELEMENTWISE if inspect.isbuiltin(getattr(minitensor.ops, op.name))]
    transforms = {name: getattr(spectral, name).__doc__ for name in spectral.__all__}
    made = [*map(documentation, (*of_rows, *ufuncs.ROWS)), *transforms.values()]
    lines = written.count(">>> ") + sum(text.count(">>> ") for text in made)
    found = {test.docstring: len(test.examples) for test in examples()}  # t.max has amax's
    assert lines == sum(found.values()) > 40
