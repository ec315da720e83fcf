"""No circle is left among the modules of the package, and one door leads to the C core.

Every import that runs counts, at a module's top and in a function.  Those in functions are for
laziness alone; a table names each of them with its reason.  An import for a type checker never
runs, and counts for nothing: where a function imports the same module, that is the one to mend.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "minitensor"

pytestmark = pytest.mark.skipif(
    not PACKAGE.is_dir(), reason="the sources are not here: an installed package is tested"
)

LAZY = {  # an import in a function: why it waits until the function is called
    "backend -> importlib.metadata": "an eighth of what importing minitensor takes",
    "backend.host_tasks -> minitensor.oracles": "for an op without a kernel alone",
    "dataset.progress -> tqdm.auto": "optional, and for a bar alone",
    "dtype -> ml_dtypes": "a program without bfloat16 does not need it",
    "dtype -> numpy": "the build reads dtypes in an environment without NumPy",
    "errors -> difflib": "for a misspelt name alone",
    "fork -> signal": "for a Ctrl-C during a fork alone",
    "multiprocessing.context -> minitensor.multiprocessing.pipes": "on demand, as there",
    "multiprocessing.context -> minitensor.multiprocessing.pool": "on demand, as there",
    "multiprocessing.context -> minitensor.multiprocessing.queues": "on demand, as there",
    "multiprocessing.progress -> tqdm.auto": "for a bar alone, where it is installed",
    "multiprocessing.places -> multiprocessing.synchronize": "fails where there are no semaphores",
    "ops.elementwise -> ml_dtypes": "a program without bfloat16 does not need it",
    "ops.random -> hashlib": "loads OpenSSL",
    "ops.ufuncs -> scipy.special": "SciPy is optional, and takes longer than minitensor",
    "share_memory -> minitensor.sharing": "imports the standard multiprocessing",
    "sharing.arrays -> jax": "for a message with such an array alone",
    "sharing.arrays -> torch": "for a message with such a tensor alone",
    "sharing.arena -> multiprocessing.reduction": "for a process that is spawned alone",
    "tensor -> copy": "to copy a subclass alone",
    "trace -> json": "a tenth of what importing minitensor takes, for a trace file alone",
}
BY_NAME = {  # a module that imports others by a name that it computes
    "minitensor": "submodules, when asked for: multiprocessing imports the standard one",
    "minitensor.backend": "a backend, when its first device is asked for",
    "minitensor.multiprocessing": "submodules that the standard package has loaded",
    "minitensor.multiprocessing._alias": "the standard package's submodules",
    "minitensor.ops": "the families of ops, most of them when a name is asked for",
}


class Import(NamedTuple):
    """One import of a module."""

    target: str
    line: int
    in_function: bool


def sources() -> dict[str, Path]:
    """Return every module of the package by name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def statements(node: ast.AST, inside: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Yield the imports below a node, import_module included, and whether a function has them."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child, inside
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                yield from statements(ast.Module([other], []), inside)
            continue
        if isinstance(child, ast.Call) and re.search(
            r"\bimport_module$|^__import__$", ast.unparse(child.func)
        ):
            yield child, inside
        function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from statements(child, inside or function)


def imports(name: str, text: str, package: bool, modules: set[str]) -> Iterator[Import]:
    """Yield what a module imports; "?" stands for a name that it computes."""
    base = name.split(".") if package else name.split(".")[:-1]
    for node, inside in statements(ast.parse(text)):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = base[: len(base) - node.level + 1] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            # `from package import module` imports the module, `from module import name` does not
            targets = [
                f"{origin}.{a.name}" if f"{origin}.{a.name}" in modules else origin
                for a in node.names
            ]
        else:
            assert isinstance(node, ast.Call)
            given = node.args[0] if node.args else None
            targets = [given.value if isinstance(given, ast.Constant) else "?"]
        for target in dict.fromkeys(targets):
            yield Import(target, node.lineno, inside)


def graph() -> dict[str, list[Import]]:
    """Return what each module imports."""
    found = sources()
    return {
        name: list(
            imports(name, path.read_text(encoding="utf-8"), path.stem == "__init__", set(found))
        )
        for name, path in found.items()
    }


def circle(edges: dict[str, set[str]]) -> list[str]:
    """Return a circle of a graph, from a node to itself; [] when there is none."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name not in done:
            for target in sorted(edges.get(name, ())):
                if found := visit(target, [*path, name]):
                    return found
            done.add(name)
        return []

    return next((found for name in edges if (found := visit(name, []))), [])


def test_no_circle_is_left() -> None:
    """Count a package and its own modules as separate nodes."""
    edges = {name: {one.target for one in found} - {name} for name, found in graph().items()}
    assert circle(edges) == []


def test_imports_in_functions_are_for_laziness() -> None:
    found = {}
    for name, edges in graph().items():
        for one in edges:
            if one.in_function and one.target != "?":
                edge = f"{name.removeprefix('minitensor.')} -> {one.target}"
                found[edge] = f"{edge} in line {one.line}"
    unknown = [where for edge, where in found.items() if edge not in LAZY]
    assert not unknown, "import at the module's top, or say in LAZY why not:\n" + "\n".join(unknown)
    assert set(LAZY) - set(found) == set()


def test_modules_that_import_by_name_are_known() -> None:
    assert {name for name, edges in graph().items() for one in edges if one.target == "?"} == set(
        BY_NAME
    )


def test_one_module_imports_the_compiled_core() -> None:
    users = [
        name
        for name, path in sources().items()
        if re.search(r"import.*\b_core\b|\b_core import", path.read_text(encoding="utf-8"))
    ]
    assert users == ["minitensor.backend.extension"]


def test_one_door_leads_to_it() -> None:
    users = {
        name
        for name, edges in graph().items()
        for one in edges
        if one.target == "minitensor.backend.extension"
    }
    assert users == {
        f"minitensor.backend.{name}" for name in ("base", "call_sites", "core", "host_tasks")
    }


def test_one_bind() -> None:
    """Python tells C what C needs in one place, and modules above call it in one place."""
    calls = [
        (name, ast.unparse(node.func))
        for name, path in sources().items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and re.search(r"(^|\.)bind$", ast.unparse(node.func))
    ]
    assert set(calls) == {
        ("minitensor.backend.core", "operators.bind"),
        ("minitensor.ops._dispatch", "core.bind"),
    }
    assert calls.count(("minitensor.ops._dispatch", "core.bind")) == 1


EXAMPLE = """
import json
import minitensor.smi
from typing import TYPE_CHECKING
from . import sibling
from ..ops import log
if TYPE_CHECKING:
    from minitensor.smi import Table
else:
    import minitensor.fork
class Late:
    def late(self):
        from minitensor.multiprocessing import queues
        return import_module("minitensor.tensor"), importlib.import_module(f"{queues}")
"""


def test_the_parser_sees_them_all() -> None:
    modules = {
        "minitensor.tensor",
        "minitensor.backend.sibling",
        "minitensor.multiprocessing.queues",
    }
    found = {
        (one.target, one.in_function)
        for one in imports("minitensor.backend.one", EXAMPLE, False, modules)
    }
    assert found == {
        ("json", False),
        ("minitensor.smi", False),
        ("typing", False),
        ("minitensor.backend.sibling", False),
        ("minitensor.ops", False),
        ("minitensor.fork", False),
        ("minitensor.multiprocessing.queues", True),
        ("minitensor.tensor", True),
        ("?", True),
    }


@pytest.mark.parametrize(
    ("edges", "found"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"c"}, "c": {"b"}}, ["b", "c", "b"]),
        ({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": set()}, []),
    ],
)
def test_a_circle_is_found(edges: dict[str, set[str]], found: list[str]) -> None:
    assert circle(edges) == found
