"""Write the stubs that type checkers read: minitensor/ops/__init__.pyi and _methods.pyi.

    .venv/bin/python docs/stubs.py

The package must be built: the stubs say what its functions say of themselves.  A function of the
op table has its parameters from its row; every other one has its signature, and overloads for the
other spellings of its keywords (`dim` for `axis`).  A method has its function's signature without
the first parameter.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from minitensor import Tensor, ops
from minitensor.ops.reduce import IN_PYTHON
from minitensor.optable import ELEMENTWISE

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "minitensor"
IMPORTS = {  # what annotations name, in the order in which ruff sorts it
    "collections.abc": ["Callable", "Sequence"],
    "typing": ["Any", "Literal", "SupportsIndex", "overload"],
    "typing_extensions": ["Self"],
    "minitensor.tensor": ["Tensor"],
    "minitensor.typing": [
        "AxisLike", "DeviceLike", "DTypeLike", "FourierNorm", "IndexLike", "Operand", "RealLike",
        "Reduction", "ShapeLike", "TensorLike",
    ],
}  # fmt: skip
WIDTH = 100
IN_PLACE = "add sub mul truediv floordiv mod pow and or xor lshift rshift".split()
BY_HAND = """    def __divmod__(self, other: Operand) -> tuple[Tensor, Tensor]: ...
    def __round__(self, ndigits: int | None = 0) -> Tensor: ...
    def __matmul__(self, other: Operand) -> Tensor: ...
    def __rmatmul__(self, other: Operand) -> Tensor: ...
    def __imatmul__(self, other: Operand) -> Self: ...
    def __getitem__(self, key: IndexLike) -> Tensor: ...
    def __setitem__(self, key: IndexLike, value: TensorLike) -> None: ...
    @property
    def T(self) -> Tensor: ...
    @property
    def mT(self) -> Tensor: ...
"""
Parameter = tuple[str, str, str]  # stars and name, annotation, default


def parameters(function: Any, annotation: str = "TensorLike") -> tuple[list[Parameter], str]:
    """Return the parameters and the result of a function; those of the op table have operands."""
    signature = inspect.signature(function)
    result: list[Parameter] = []
    starred = False
    for p in signature.parameters.values():
        if p.kind is p.KEYWORD_ONLY and not starred:
            result.append(("*", "", ""))
            starred = True
        stars = "*" if p.kind is p.VAR_POSITIONAL else ""
        starred = starred or bool(stars)
        kind = annotation if p.annotation is p.empty else str(p.annotation)
        result.append((stars + p.name, kind, "" if p.default is p.empty else repr(p.default)))
    returns = signature.return_annotation
    return result, "Tensor" if returns is signature.empty else str(returns)


def definition(name: str, given: list[Parameter], returns: str, doc: str, indent: str) -> str:
    """Return one function of a stub, on one line where it fits."""
    parts = []
    for stars, kind, default in given:
        text = f"{stars}: {kind}" if kind else stars
        parts.append(f"{text} = {default}" if default else text)
    end = " ...\n"
    if doc:
        if len(indent) + len(doc) + 7 > WIDTH:
            ahead = " " * (len(indent) + 7)
            doc = textwrap.fill(doc, WIDTH, initial_indent=ahead, subsequent_indent=ahead[:-3])
            doc = doc.lstrip()
        close = '"""' if len(indent) + len(doc) + 10 <= WIDTH else f'\n{indent}    """'
        end = f'\n{indent}    """{doc}{close}\n'
    line = f"{indent}def {name}({', '.join(parts)}) -> {returns}:"
    if len(line + " ...") > WIDTH:
        inner = "".join(f"{indent}    {part},\n" for part in parts)
        line = f"{indent}def {name}(\n{inner}{indent}) -> {returns}:"
    return line + end


def keyword_only(given: list[Parameter], name: str) -> list[Parameter]:
    """Return the parameters with `name`, and all after it, as keywords only."""
    at = next(i for i, p in enumerate(given) if p[0] == name)
    if any(p[0].startswith("*") for p in given[:at]):
        return given
    return [*given[:at], ("*", "", ""), *(p for p in given[at:] if p[0] != "*")]


def spelled(given: list[Parameter], spellings: dict[str, str]) -> Iterator[list[Parameter]]:
    """Yield the signatures of a function whose parameters have several spellings.

    A parameter with a default takes the other spellings as further keywords; one without makes an
    overload for each.
    """
    names = [p[0] for p in given]
    if "*" in spellings.values():  # `reshape(t, 2, 3)`, `reshape(t, shape=(2, 3))`
        yield given
        several = next(p for p in given if p[0].startswith("*"))
        for keyword in spellings:
            yield [*given[: given.index(several)], ("*", "", ""), (keyword, several[1], "")]
        return
    kinds = {name: (kind, default) for name, kind, default in given}
    optional = [
        (a, f"{kinds[n][0]}", "...") for a, n in spellings.items() if n in names and kinds[n][1]
    ]
    if optional:
        star = [] if any(p[0].startswith("*") for p in given) else [("*", "", "")]
        given = [*given, *star, *optional]
    required = [n for n in names if n in spellings.values() and not kinds[n][1]]
    choices = [[n, *(a for a, of in spellings.items() if of == n)] for n in required]
    for chosen in itertools.product(*choices):
        one = given
        for name, other in zip(required, chosen):
            if other != name:
                one = keyword_only(one, name)
                one = [(other, *p[1:]) if p[0] == name else p for p in one]
        yield one


def overloads() -> dict[str, list[str]]:
    """Return the overloads that stand in the sources, by function."""
    found: dict[str, list[str]] = {}
    for path in sorted((PACKAGE / "ops").glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and "overload" in map(
                ast.unparse, node.decorator_list
            ):
                found.setdefault(node.name, []).append(
                    ast.unparse(node).replace(":\n    ...", ": ...")
                )
    return found


WRITTEN = overloads()


def first_line(function: Any) -> str:
    """Return the sentence that a function's documentation begins with."""
    return (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ")


def function(name: str, it: Callable[..., Any], indent: str = "", of_tensor: bool = False) -> str:
    """Return a function of a stub, or the method that it is of Tensor."""
    written = WRITTEN.get(it.__name__)
    if type(it).__name__ in ("builtin_function_or_method", "method_descriptor"):
        it = IN_PYTHON.get(it.__name__, it)  # knows its annotations
    if written:
        lines = [line for text in written for line in text.splitlines()]
        if of_tensor:
            lines = [line.replace("input: TensorLike", "self") for line in lines]
        return "".join(f"{indent}{line}\n" for line in lines)
    given, returns = parameters(it)
    first = given[0][0] if given else ""
    spellings = dict(getattr(it, "spellings", {}))
    if of_tensor:
        given = [("self", "", ""), *given[1:]]
        spellings = {alias: of for alias, of in spellings.items() if of != first}
    variants = list(spelled(given, spellings))
    doc = first_line(it)
    if len(variants) == 1:
        return definition(name, variants[0], returns, doc, indent)
    return "".join(
        f"{indent}@overload\n" + definition(name, v, returns, "", indent) for v in variants
    )


def stub(title: str, body: str) -> str:
    """Return the text of a stub: a title, the imports that the body needs, and the body."""
    code = re.sub(r'""".*?"""', "", body, flags=re.DOTALL)
    sections: dict[str, str] = {"": "", "typing_extensions": "", "minitensor": ""}
    for module, names in IMPORTS.items():
        used = [name for name in names if re.search(rf"\b{name}\b", code)]
        line = f"from {module} import {', '.join(used)}\n"
        if len(line) > WIDTH:
            line = f"from {module} import (\n" + "".join(f"    {name},\n" for name in used) + ")\n"
        section = module.split(".")[0] if module.split(".")[0] in sections else ""
        sections[section] += line if used else ""
    imports = "\n".join(filter(None, sections.values()))
    title = f'"""{title}  Generated by docs/stubs.py."""'
    return f"{title}\n\n{imports}\n{body}"


def ops_stub() -> str:
    """Return the text of minitensor/ops/__init__.pyi."""
    names = list(ops.__all__)
    listed = "".join(f'    "{name}",\n' for name in names)
    functions = "".join(function(name, getattr(ops, name)) for name in names)
    return stub("Types of the ops.", f"__all__ = [\n{listed}]\n\n" + functions)


def own_names() -> set[str]:
    """Return what the classes under and of Tensor define where a type checker sees it."""
    names = {"shape", "dtype", "strides", "ndim", "size"}
    for path in (PACKAGE / "tensor.py", PACKAGE / "exchange.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                for item in node.body:
                    if isinstance(item, ast.FunctionDef):
                        names.add(item.name)
                    elif isinstance(item, ast.Assign):
                        names |= {t.id for t in item.targets if isinstance(t, ast.Name)}
    return names


def operators() -> str:
    """Return the operators of the op table, and those that write in place."""
    lines = []
    for op in ELEMENTWISE:
        name = op.operator
        if not name:
            continue
        if op.inputs == 1:
            lines.append(f"def __{name}__(self) -> Tensor: ...")
        elif name in ("eq", "ne"):
            lines.append(
                f"def __{name}__(self, other: object) -> Tensor: ...  # type: ignore[override]"
            )
        elif op.rule == "compare":
            lines.append(f"def __{name}__(self, other: Operand) -> Tensor: ...")
        else:
            lines += [
                f"def __{way}{name}__(self, other: Operand) -> Tensor: ..." for way in ("", "r")
            ]
        if name in IN_PLACE:
            lines.append(f"def __i{name}__(self, other: Operand) -> Self: ...")
    return "".join(f"    {line}\n" for line in lines)


def methods_stub() -> str:
    """Return the text of minitensor/ops/_methods.pyi."""
    known = own_names() | {"T", "mT"}
    names = [n for n in dir(Tensor) if not n.startswith("_") and n not in known]
    functions = "".join(method(name) for name in names)
    body = "class TensorMethods:\n" + operators() + BY_HAND + functions
    return stub("Types of the methods that the ops give to Tensor.", body)


def method(name: str) -> str:
    """Return a method of Tensor, as its function has it."""
    it = getattr(Tensor, name)
    return function(name, it, "    ", of_tensor=True)


STUBS = {"ops/__init__.pyi": ops_stub, "ops/_methods.pyi": methods_stub}

if __name__ == "__main__":
    dir(ops)  # publishes all families
    for path, write in STUBS.items():
        (PACKAGE / path).write_text(write(), encoding="utf-8")
