"""Writes the pages that say what the code says: docs/ops.md and docs/configuration.md.

    make docs

Nothing of the package is imported, so it runs on a fresh clone with any Python: `config.py` and `optable.py` need nothing but
the standard library and are loaded by their path, and the families of ops are read as text.
"""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PACKAGE = HERE.parent / "minitensor"
NOTE = "<!-- Made by docs/generate.py; `make docs` makes it again. -->\n"
FAMILIES = {
    "elementwise": "Made of elementwise ops",
    "reduce": "Reductions: the functions",
    "shape": "Shape: views",
    "joining": "Shape: put together anew",
    "creation": "Creation",
    "selection": "Indexing and sorting",
    "linalg": "Linear algebra",
    "random": "Random numbers",
    "nn": "Neural networks",
    "losses": "Losses",
    "host": "Python functions as ops",
}
KINDS = {"b": "bool", "i": "int", "u": "uint", "f": "float", "c": "complex"}
RULES = {
    "same": "promotes",
    "float": "promotes, at least to float32",
    "compare": "bool",
    "logical": "bool",
    "test": "bool",
    "bitwise": "promotes",
    "where": "promotes input and other",
    "index": "int64",
    "sum": "integers widen to 64 bits",
}
SYMBOLS = {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**", "eq": "==", "ne": "!=",
           "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "and": "&", "or": "|", "xor": "^", "lshift": "<<", "rshift": ">>",
           "neg": "-x", "pos": "+x", "abs": "abs(x)", "invert": "~x"}  # fmt: skip


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"_minitensor_docs_{name}", PACKAGE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *[[cell.replace("|", "\\|") for cell in row] for row in rows]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def op_row(op: Any) -> list[str]:
    name = ", ".join(code(n) for n in (op.name, *op.aliases))
    kinds = " ".join(KINDS[kind] for kind in "biufc" if kind in op.kinds)
    if op.rule in ("float", "test", "logical"):
        kinds = "all" if op.complex else "all but complex"
    elif op.rule == "sum":
        kinds = f"bool {kinds}"
    fails = f" Raises {op.error[0]}: {op.error[1]}." if op.error[0] else ""
    return [name, code(SYMBOLS.get(op.operator, "")), kinds, RULES[op.rule], op.doc + fails]


def published(tree: ast.Module) -> list[str]:
    """The names in `__all__` that stand there as text."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__" and isinstance(node.value, (ast.List, ast.Tuple)):
            return [e.value for e in node.value.elts if isinstance(e, ast.Constant)]
    return []


def signature(function: ast.FunctionDef) -> str:
    """Parameters and defaults; the annotations would fill the page."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    missing = len(positional) - len(arguments.defaults)
    parts = [a.arg if i < missing else f"{a.arg}={ast.unparse(arguments.defaults[i - missing])}" for i, a in enumerate(positional)]
    if arguments.vararg:
        parts.append(f"*{arguments.vararg.arg}")
    elif arguments.kwonlyargs:
        parts.append("*")
    parts += [
        a.arg if d is None else f"{a.arg}={ast.unparse(d)}" for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults)
    ]
    return f"{function.name}({', '.join(parts)})"


def family(name: str) -> str:
    path = PACKAGE / "ops" / f"{name}.py"
    if not path.exists():
        return ""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    same = {  # `divide = div`
        target.id: node.value.id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    rows = []
    for public in published(tree):
        function = functions.get(public)
        if function is not None:
            first = (ast.get_docstring(function) or "").split("\n\n")[0].replace("\n", " ")
            rows.append([code(signature(function)), first])
        elif public in same:
            rows.append([code(public), f"The same as {code(same[public])}."])
        else:
            rows.append([code(public), ""])
    return f"\n## {FAMILIES[name]}\n\n" + table(["function", ""], rows) if rows else ""


def ops_page() -> str:
    ops = load("optable")
    head = ["name", "operator", "takes", "returns", ""]
    return (
        NOTE + "\n# Ops\n\nAll of them are functions of `minitensor.ops`; most are methods of `Tensor`, too. Where an op takes several tensors, they "
        "broadcast and promote (see [differences](differences.md)); a Python number beside a tensor counts by its kind only.\n"
        "Reductions take `axis` (also spelled `dim`) and `keepdims` (also `keepdim`, `keep_dims`).\n"
        "\n## The op table: element by element\n\n"
        "One row of `minitensor/optable.py` each: kernels, function, operator, conformance tests and this line come from it.\n\n"
        + table(head, [op_row(op) for op in ops.ELEMENTWISE])
        + "\n## The op table: reductions\n\n" + table(head, [op_row(op) for op in ops.REDUCTIONS])
        + "".join(family(name) for name in FAMILIES)
    )  # fmt: skip


def configuration_page() -> str:
    flags = load("config").FLAGS.values()
    return (
        NOTE + "\n# Configuration\n\nEvery environment variable that minitensor reads. Sizes are written as `5GB`, `512MB` or a number of bytes; "
        "units are powers of 1024. A value that can't be read is an error that names the variable "
        "and what would do. A program reads a variable when it first needs it: the core's when it imports minitensor, a device's "
        "at its first task, those of shared memory at the first message.\n\n"
        + table(["variable", "default", ""], [[code(f.name), code(f.default) or "empty", f.doc] for f in flags])
        + "\nWhat a program may set while it runs is in `minitensor.set_context` (see its docstring).\n"
    )  # fmt: skip


PAGES = {"ops.md": ops_page, "configuration.md": configuration_page}

if __name__ == "__main__":
    for page, write in PAGES.items():
        (HERE / page).write_text(write(), encoding="utf-8")
