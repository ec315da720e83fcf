"""Each module imports from its own layer or from those below, wherever the import stands.

The floors of the C core hold, too: every file includes and uses what lies on its own floor or
below."""

from __future__ import annotations

import ast
import ctypes
import re
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
    "minitensor.foreign_threads": 0,
    "minitensor.fork": 0,
    "minitensor.dtype": 0,
    "minitensor.optable": 0,
    "minitensor.opdocs": 0,
    "minitensor.fingerprint": 0,
    "minitensor.oracles": 0,
    "minitensor.tensor_repr": 0,
    "minitensor.tensor_input": 0,
    "minitensor.core": 0,
    "minitensor.backend": 1,
    "minitensor.context": 2,
    "minitensor.memory": 2,
    "minitensor.runtime": 2,
    "minitensor.device_context": 2,
    "minitensor.sharing": 2,
    "minitensor.tensor": 2,
    "minitensor.exchange": 2,
    "minitensor.share_memory": 3,
    "minitensor.typing": 2,
    "minitensor.ops": 3,
    "minitensor.multiprocessing": 4,
    "minitensor.dataset": 5,
    "minitensor.smi": 5,
}

pytestmark = pytest.mark.skipif(
    not PACKAGE.is_dir(), reason="the sources are not here: an installed package is tested"
)


def layer(module: str) -> int | None:
    """Return the layer of a module; None when the map names none."""
    if module == "minitensor":
        return TOP
    parts = module.split(".")
    for length in range(len(parts), 1, -1):
        if (found := LAYERS.get(".".join(parts[:length]))) is not None:
            return found
    return None


def sources() -> dict[str, Path]:
    """Return every module of the package by name."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _statements(node: ast.AST, inside: bool = False) -> Iterator[tuple[ast.stmt, bool]]:
    """Yield the import statements that run, and whether they stand in a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.Import, ast.ImportFrom)):
            yield child, inside
        elif isinstance(child, ast.If) and _is_type_checking(child.test):
            for other in child.orelse:
                yield from _statements(ast.Module([other], []), inside)
        else:
            function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from _statements(child, inside or function)


def imports(
    name: str, text: str, package: bool, modules: set[str]
) -> Iterator[tuple[str, int, bool]]:
    """Yield what a module imports of ours: module, line, and whether in a function."""
    for node, inside in _statements(ast.parse(text)):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            assert isinstance(node, ast.ImportFrom)
            base = name.split(".") if package else name.split(".")[:-1]
            origin = (
                ".".join([*base[: len(base) - node.level + 1], node.module or ""]).rstrip(".")
                if node.level
                else node.module or ""
            )
            # `from package import module` imports the module, `from module import name` the module
            # before it
            targets = [
                f"{origin}.{a.name}" if f"{origin}.{a.name}" in modules else origin
                for a in node.names
            ]
        for target in targets:
            if target.split(".")[0] == "minitensor":
                yield target, node.lineno, inside


def graph() -> dict[str, list[tuple[str, int, bool]]]:
    found = sources()
    modules = set(found)
    return {
        name: list(
            imports(name, path.read_text(encoding="utf-8"), path.name == "__init__.py", modules)
        )
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
                wrong.append(
                    f"{name}:{line} (layer {own}) imports {target} (layer "
                    f"{'none' if other is None else other})"
                )
    assert not wrong, "\n".join(wrong)


def test_no_cycles():
    """Imports at load make no circle; a package and each of its modules are separate nodes."""
    loads = {
        name: {target for target, _, inside in edges if not inside and target != name}
        for name, edges in graph().items()
    }
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
    users = [
        name
        for name, path in sources().items()
        if "os.register_at_fork(" in path.read_text(encoding="utf-8")
    ]
    assert users == ["minitensor.fork"]


def test_config_is_the_only_reader_of_our_environment_variables():
    def reads(text: str) -> bool:
        return any(
            isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv")
            for node in ast.walk(ast.parse(text))
        )

    readers = {name for name, path in sources().items() if reads(path.read_text(encoding="utf-8"))}
    # the build runs before there is a package
    assert readers <= {"minitensor.config", "minitensor.core.build._build"}


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
    modules = {
        "minitensor.tensor",
        "minitensor.backend.sibling",
        "minitensor.multiprocessing.queues",
    }
    found = {
        (target, inside)
        for target, _, inside in imports("minitensor.backend.one", EXAMPLE, False, modules)
    }
    assert found == {
        ("minitensor.smi", False),
        ("minitensor.backend.sibling", False),
        ("minitensor.ops", False),
        ("minitensor.tensor", False),
        ("minitensor.fork", False),
        ("minitensor.multiprocessing.queues", True),
    }


# --- the C core -----------------------------------------------------------------------------------

CORE = PACKAGE / "core"
# "": types.h and generated/
FLOORS = [
    "", "base", "kernels", "memory", "arena", "tensor", "fusion", "executor", "api", "transport",
    "python",
]  # fmt: skip
# Headers that no other floor includes.  The executor's lock and the arena's tables are reached only
# through them.
PRIVATE = {"executor/executor.h", "arena/arena.h", "python/py_core.h"}


def c_files() -> dict[str, str]:
    """Return each C file of the core, by path below core/, without comments and strings."""
    found = {}
    for path in sorted(p for suffix in ("c", "h", "inc") for p in CORE.rglob(f"*.{suffix}")):
        name = path.relative_to(CORE).as_posix()
        found[name] = without_comments(path.read_text(encoding="utf-8"))
    return {
        name: text for name, text in found.items() if name not in ("core.h", "generated/core_c.h")
    }


def without_comments(text: str) -> str:
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    return re.sub(
        r"""(#include [^\n]*)|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""",
        lambda m: m[1] or '""',
        text,
    )


def floor(name: str) -> int:
    folder = name.rpartition("/")[0].split("/")[0]
    if name.startswith("generated/isa_"):  # the array kernels of an instruction set
        folder = "kernels"
    return FLOORS.index("" if folder == "generated" else folder)


def includes(text: str) -> list[str]:
    return [
        name
        for name in re.findall(r'^#include "([^"]+)"', text, flags=re.M)
        if name != "generated/core_c.h"
    ]


def without_prototypes(header: str) -> str:
    """Return what stands in the bodies and macros of a header."""
    depth, inside = 0, re.findall(r"^#define(?:\\\n|[^\n])*", header, flags=re.M)
    for part in re.split(r"([{}])", header):
        depth += (part == "{") - (part == "}")
        if depth:
            inside.append(part)
    return " ".join(inside)


def defined(text: str) -> set[str]:
    """Return the names of external linkage that a C file defines."""
    text = re.sub(r"^\s*#(?:\\\n|[^\n])*", "", text, flags=re.M)
    outside, depth = [], 0  # bodies become {}
    for part in re.split(r"([{}])", text):
        depth -= part == "}"
        if depth == 0:
            outside.append(part)
        depth += part == "{"
    names = set()
    for statement in re.findall(r"[^;}]*(?:\{\}|;)", "".join(outside).replace("{};", "{} ;")):
        head = re.sub(
            r"__attribute__\s*\(\(.*?\)\)", "", re.sub(r"_Atomic\([^()]*\)", "int", statement)
        ).strip()
        if re.match(r"(static|typedef|extern|enum)\b", head) or head == ";":
            continue
        function = re.search(r"(\w+)\s*\((?:[^()]|\([^()]*\))*\)\s*\{\}$", head)
        variable = re.match(r"[\w*\s]+?\b(\w+)\s*(?:\[[^]]*\]\s*)*(?:;|=)", head)
        if function or variable:
            names.add((function or variable)[1])  # type: ignore[index]
    return names - {"struct"}


def definitions() -> dict[str, str]:
    """Return for each symbol of the core the file that defines it."""
    return {
        symbol: name
        for name, text in c_files().items()
        if name.endswith(".c")
        for symbol in defined(text)
    }


def c_graph() -> dict[str, dict[str, str]]:
    """Return for each C file what it uses: files, and by what."""
    where, edges = definitions(), {}
    for name, text in c_files().items():
        uses = {target: "#include" for target in includes(text)}
        used = without_prototypes(text) if name.endswith(".h") else text
        for symbol in set(re.findall(r"\w+", used)) & set(where):
            target = where[symbol]
            # a header's inline functions may use what its own file defines
            if target.rsplit(".", 1)[0] != name.rsplit(".", 1)[0]:
                uses.setdefault(target, symbol)
        edges[name] = uses
    return edges


def test_c_files_use_their_own_floor_and_those_below():
    wrong = [
        f"{name} ({FLOORS[floor(name)]}) uses {target} ({FLOORS[floor(target)]}): {what}"
        for name, uses in c_graph().items() for target,
        what in uses.items() if floor(target) > floor(name)
    ]  # fmt: skip
    assert not wrong, "\n".join(wrong)


def test_no_cycles_of_c_files():
    edges, done = c_graph(), set()

    def visit(name: str, path: list[str]) -> None:
        if name in path:
            circle = [*path[path.index(name) :], name]
            pytest.fail(
                "a circle: "
                + ", ".join(f"{a} -> {b} ({edges[a][b]})" for a, b in zip(circle, circle[1:]))
            )
        if name not in done:
            for target in sorted(edges.get(name, ())):
                visit(target, [*path, name])
            done.add(name)

    for name in edges:
        visit(name, [])


def test_private_headers_stay_on_their_floor():
    wrong = [f"{name} includes {target}" for name,
        text in c_files().items() for target in includes(text)
             if target in PRIVATE and floor(target) != floor(name)]  # fmt: skip
    assert not wrong, wrong


def test_every_symbol_is_public_or_in_a_header_of_its_floor():
    """Require a header beside its file for each symbol that core.h does not declare."""
    public = set(
        re.findall(r"\b(mt_\w+)\(", without_comments((CORE / "core.h").read_text(encoding="utf-8")))
    )
    where, texts = definitions(), c_files()
    assert public <= set(where)  # the parser finds them
    for symbol, name in where.items():
        headers = [
            text
            for header, text in texts.items()
            if header.endswith(".h") and floor(header) == floor(name)
        ]
        declared = any(re.search(rf"\b{symbol}\b", text) for text in headers)
        assert symbol in public or declared or symbol.startswith("PyInit_"), (
            f"{symbol} of {name} is in no header of its floor"
        )


def test_every_prototype_has_a_definition():
    where = definitions()
    for name, text in c_files().items():
        if name.endswith(".h") and not name.startswith(("generated/", "kernels/math/")):
            outside = re.sub(
                r"\{[^{}]*\}", "{}", re.sub(r"^\s*#(?:\\\n|[^\n])*", "", text, flags=re.M)
            )
            missing = set(
                re.findall(r"^(?!static|typedef)\w[\w *]*?\b(\w+)\([^{}]*?\);", outside, flags=re.M)
            ) - set(where)
            assert not missing, f"{name} declares what no file defines: {missing}"


def test_the_map_shows_every_file():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    chart = set(
        re.findall(
            r"\w+",
            text[
                text.index("core/  the C core") : text.index(
                    "────", text.index("core/  the C core")
                )
            ],
        )
    )
    stems = {
        name.rsplit("/", 1)[-1].split(".")[0]
        for name in c_files()
        if not name.startswith("generated/")
    }
    assert stems <= chart, stems - chart


def test_no_symbol_leaves_the_library():
    from minitensor.backend import _core

    library = ctypes.CDLL(_core.__file__)
    assert [symbol for symbol in definitions() if hasattr(library, symbol)] == ["PyInit__operators"]


C_EXAMPLE = """
#define A(x) {x}
static int hidden(void) { return 1; }
typedef struct { int a; } kind;
extern int elsewhere;
int prototype(int a);
_Thread_local kind *pointer;
_Atomic(const kind *) swapped = &other;
int table[2] = {1, 2};
__attribute__((constructor)) static void init(void) { }
bool function(int a, void (*f)(int)) {
    if (a) { f("{"); }
}
"""


def test_the_c_parser_sees_them_all():
    assert defined(without_comments(C_EXAMPLE)) == {"pointer", "swapped", "table", "function"}


if __name__ == "__main__":  # the graph, for people
    for module, edges in graph().items():
        sys.stdout.write(
            f"{layer(module)} {module}: {', '.join(sorted({target for target, *_ in edges}))}\n"
        )
    for module, uses in c_graph().items():
        sys.stdout.write(f"{floor(module)} {module}: {', '.join(sorted(uses))}\n")
