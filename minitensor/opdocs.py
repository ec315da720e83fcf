"""The docstrings of the functions of the op table, made from their rows.

The build compiles them into the core, beside each function, so they cost no time at import. This
module imports only the standard library: the build reads it before the package exists.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minitensor.optable import Op

__all__ = ["documentation"]

_KINDS = {"b": "bool", "i": "int", "u": "uint", "f": "float", "c": "complex"}
_COMPUTED = {  # the operands of an op whose rule casts them first
    "float": "bool, int, uint, float{complex}",
    "test": "bool, int, uint, float{complex}",
    "logical": "any dtype",
}
_RESULTS = {
    "same": "in the dtype {of}",
    "float": "in the dtype {of}; ints and bools become float32",
    "compare": "of bools",
    "logical": "of bools",
    "test": "of bools",
    "bitwise": "in the dtype {of}",
    "where": "in the dtype that `input` and `other` promote to",
}


def _takes(op: Op) -> str:
    """Return the dtypes of an operand."""
    if op.rule in _COMPUTED:
        return _COMPUTED[op.rule].format(complex=" or complex" if op.complex else "")
    names = [_KINDS[kind] for kind in "biufc" if kind in op.kinds]
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _wrapped(text: str) -> str:
    """Return a line of a section, wrapped and indented."""
    return textwrap.fill(text, 88, initial_indent="    ", subsequent_indent="        ")


def _arguments(op: Op) -> str:
    takes = _takes(op)
    lines = []
    for i, name in enumerate(op.params[: op.inputs]):
        shape = f"of a shape that broadcasts with `{op.params[0]}`" if i else "of any shape"
        kind = "any dtype, cast to bool" if op.rule == "where" and i == 0 else takes
        lines.append(_wrapped(f"{name}: a tensor, or what `Tensor(...)` takes, {shape}; {kind}."))
    return "Args:\n" + "\n".join(lines)


def _returns(op: Op) -> str:
    shape = "the shape that the operands broadcast to" if op.inputs > 1 else "the shape of `input`"
    of = "that the operands promote to" if op.inputs > 1 else "of `input`"
    text = f"A new tensor of {shape}, {_RESULTS[op.rule].format(of=of)}."
    return "Returns:\n" + textwrap.indent(textwrap.fill(text, 84), "    ")


def _raises(op: Op) -> str:
    lines = ["TypeError: an operand is not tensor-like, or has another dtype."]
    if op.inputs > 1:
        lines.append("ValueError: the shapes do not broadcast.")
        lines.append("OverflowError: a Python int is beyond 64 bits.")
    if op.error[0]:
        lines.append(f"{op.error[0]}: {op.error[1]}; raised by the read of the value.")
    return "Raises:\n" + "\n".join(map(_wrapped, lines))


def _example(op: Op) -> str:
    if not op.example:
        return _comparison(op)
    *operands, printed = op.example
    call = ", ".join(f"Tensor({o})" if o.startswith("[") else o for o in operands)
    lines = ["from minitensor import Tensor, ops", f"print(ops.{op.name}({call}))"]
    return "Example:\n" + "".join(f"    >>> {line}\n" for line in lines) + f"    {printed}"


def _comparison(op: Op) -> str:
    """Return the example of a row without one: the op and NumPy agree."""
    values = [0.5, 1.0, 2.0]
    if op.domain is not None:
        values = [op.domain[0], sum(op.domain) / 2, op.domain[1]]
    operands = "abc"[: op.inputs]
    lines = ["import numpy as np", "from minitensor import Tensor, ops"]
    lines += [f"{name} = np.array({values}, np.float32)" for name in operands]
    call = ", ".join(f"Tensor({name})" for name in operands)
    lines.append(f"bool(np.allclose(ops.{op.name}({call}), {op.numpy}))")
    return "Example:\n" + "".join(f"    >>> {line}\n" for line in lines) + "    True"


def documentation(op: Op) -> str:
    """Return the docstring of a function of the op table."""
    parts = [op.doc]
    found = re.fullmatch(r"(np\.\w+)\([abc, ]+\)", op.numpy)
    if found:
        parts.append(f"NumPy's form: `{found[1]}({', '.join(op.params[: op.inputs])})`.")
    parts += [_arguments(op), _returns(op), _raises(op), _example(op)]
    return "\n\n".join(parts)
