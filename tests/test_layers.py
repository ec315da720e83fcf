"""The layers hold: every module imports from its own layer or from those below, wherever in its text the import stands."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "minitensor"
TOP = 99

LAYERS = {  # a package stands for all that is in it; the longest name that fits counts
    "minitensor": TOP,  # __init__.py itself, which re-exports
    "minitensor.errors": 0,
    "minitensor.config": 0,
    "minitensor.trace": 0,
    "minitensor.threads": 0,
    "minitensor.fork": 0,
    "minitensor.dtype": 0,
    "minitensor.optable": 0,
    "minitensor.opdocs": 0,
    "minitensor.fingerprint": 0,
    "minitensor.special": 0,
    "minitensor.printing": 0,
    "minitensor.convert": 0,
    "minitensor.backend": 1,
    "minitensor.context": 2,
    "minitensor.runtime": 2,
    "minitensor.device_context": 2,
    "minitensor.sharing": 2,
    "minitensor.tensor": 2,
    "minitensor.exchange": 2,
    "minitensor.typing": 2,
    "minitensor.ops": 3,
    "minitensor.multiprocessing": 4,
    "minitensor.smi": 5,
}

pytestmark = pytest.mark.skipif(not PACKAGE.is_dir(), reason="the sources are not here: an installed package is tested")


def layer(module: str) -> int | None:
    """The layer of a module; None when nobody has said which."""
    if module == "minitensor":
        return TOP
    parts = module.split(".")
    for length in range(len(parts), 1, -1):
        if (found := LAYERS.get(".".join(parts[:length]))) is not None:
            return found
    return None


def sources() -> dict[str, Path]:
    """Every module of the package by name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _statements(node: ast.AST, inside: bool = False) -> Iterator[tuple[ast.stmt, bool]]:
    """The import statements that run, and whether they stand in a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child, inside
        elif isinstance(child, ast.If) and _is_type_checking(child.test):
            for other in child.orelse:
                yield from _statements(ast.Module([other], []), inside)
        else:
            function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from _statements(child, inside or function)


def imports(name: str, text: str, package: bool, modules: set[str]) -> Iterator[tuple[str, int, bool]]:
    """What a module imports of ours: module, line, and whether in a function."""
    for node, inside in _statements(ast.parse(text)):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            assert isinstance(node, ast.ImportFrom)
            base = name.split(".") if package else name.split(".")[:-1]
            origin = ".".join([*base[: len(base) - node.level + 1], node.module or ""]).rstrip(".") if node.level else node.module or ""
            # `from package import module` imports the module, `from module import name` the module before it
            targets = [f"{origin}.{a.name}" if f"{origin}.{a.name}" in modules else origin for a in node.names]
        for target in targets:
            if target.split(".")[0] == "minitensor":
                yield target, node.lineno, inside


def graph() -> dict[str, list[tuple[str, int, bool]]]:
    found = sources()
    modules = set(found)
    return {
        name: list(imports(name, path.read_text(encoding="utf-8"), path.name == "__init__.py", modules))
        for name, path in found.items()
    }


def test_every_module_has_a_layer():
    unknown = [name for name in sources() if layer(name) is None]
    assert not unknown, f"say in tests/test_layers.py which layer they are: {', '.join(unknown)}"


def test_imports_point_down():
    wrong = []
    for name, edges in graph().items():
        for target, line, _ in edges:
            own, other = layer(name), layer(target)
            if own is not None and own != TOP and (other is None or other > own):
                wrong.append(f"{name}:{line} (layer {own}) imports {target} (layer {'none' if other is None else other})")
    assert not wrong, "\n".join(wrong)


def test_no_cycles():
    """What imports run when a module is loaded makes no circle; a package and its own modules count as told apart."""
    loads = {name: {target for target, _, inside in edges if not inside and target != name} for name, edges in graph().items()}
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            pytest.fail("a circle: " + " -> ".join([*path[path.index(name) :], name]))
        if name not in done:
            for target in sorted(loads.get(name, ())):
                visit(target, [*path, name])
            done.add(name)

    for name in loads:
        visit(name, [])


def test_the_only_place_that_registers_at_fork():
    users = [name for name, path in sources().items() if "os.register_at_fork(" in path.read_text(encoding="utf-8")]
    assert users == ["minitensor.fork"]


def test_config_is_the_only_reader_of_our_environment_variables():
    def reads(text: str) -> bool:
        return any(
            isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv") for node in ast.walk(ast.parse(text))
        )

    readers = {name for name, path in sources().items() if reads(path.read_text(encoding="utf-8"))}
    assert readers <= {"minitensor.config", "minitensor.backend.native._build"}  # the build runs before there is a package


EXAMPLE = """
import minitensor.smi
from typing import TYPE_CHECKING
from . import sibling
from ..ops import log
from minitensor import tensor
if TYPE_CHECKING:
    from minitensor.smi import Table
else:
    import minitensor.fork
def late():
    from minitensor.multiprocessing import queues
"""


def test_the_parser_sees_them_all():
    modules = {"minitensor.tensor", "minitensor.backend.sibling", "minitensor.multiprocessing.queues"}
    found = {(target, inside) for target, _, inside in imports("minitensor.backend.one", EXAMPLE, False, modules)}
    assert found == {
        ("minitensor.smi", False),
        ("minitensor.backend.sibling", False),
        ("minitensor.ops", False),
        ("minitensor.tensor", False),
        ("minitensor.fork", False),
        ("minitensor.multiprocessing.queues", True),
    }


if __name__ == "__main__":  # the graph, for people
    for module, edges in graph().items():
        sys.stdout.write(f"{layer(module)} {module}: {', '.join(sorted({target for target, *_ in edges}))}\n")
