"""Elementwise functions that NumPy or SciPy computes, one row each.

They are rows of the same form as those of the op table (`minitensor/optable.py`), without C: few
programs call them, and NumPy computes them well. A row has the name, the number of operands, the
dtype rule, the kinds of dtype, the expression, the sentence of the documentation and an example.
The functions of mathematical physics are SciPy's, which is imported at the first call.

Half precision is computed in float32 and rounded once. Python numbers are weak, as in the op table:
only a higher kind of number changes the dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import CodeType
from typing import Any

import numpy as np

from minitensor.dtype import (
    DType,
    bool_,
    complex64,
    complex128,
    float32,
    float64,
    int64,
    promote,
    to_float,
)
from minitensor.opdocs import documentation
from minitensor.ops._dispatch import as_tensor, host
from minitensor.optable import Op
from minitensor.tensor import Tensor

# The kinds of dtype that a row takes.  _EXACT: half types as well are computed as what they are.
_ANY, _REAL, _NUMBERS = {"biufc": ""}, {"biuf": ""}, {"iuf": ""}
_INTS, _EXACT = {"iu": ""}, {"f": "exact"}


def _row(
    name: str, inputs: int, rule: Any, kinds: dict[str, str], numpy: str, doc: str, *example: str,
    params: str = "input other", domain: tuple[float, float] = (-10, 10),
) -> Op:  # fmt: skip
    """Return a row; its example is the operands and the printed result."""
    return Op(
        name, inputs, rule, kinds, numpy, doc, complex="c" in "".join(kinds), domain=domain,
        params=tuple(params.split()), example=example,
    )  # fmt: skip


ROWS: tuple[Op, ...] = (
    # --- one operand ------------------------------------------------------------------------------
    _row("conj", 1, "same", _ANY, "np.conjugate(a)", "Return the complex conjugate.",
         "[1 + 2j]", "[1.-2.j]"),
    _row("sgn", 1, "same", _ANY, "np.where(a == 0, 0, a / np.abs(np.where(a == 0, 1, a)))",
         "Return the sign; of a complex number its direction.", "[-3.0, 0.0, 3 + 4j]",
         "[-1. +0.j   0. +0.j   0.6+0.8j]"),
    _row("frac", 1, "same", _NUMBERS, "a - np.trunc(a)", "Return the part behind the point.",
         "[1.25, -2.5]", "[ 0.25 -0.5 ]", params="x"),
    _row("deg2rad", 1, "float", _REAL, "np.deg2rad(a)", "Convert degrees to radians.",
         "[180.0], 'float64'", "[3.14159265]", params="x"),
    _row("rad2deg", 1, "float", _REAL, "np.rad2deg(a)", "Convert radians to degrees.",
         "[3.14159265], 'float64'", "[179.99999979]", params="x"),
    _row("sinc", 1, "float", _REAL, "np.sinc(a)",
         "Return sin(pi * input) / (pi * input), and 1 at 0.",
         "[0.0, 0.5], 'float64'", "[1.         0.63661977]"),
    _row("signbit", 1, "test", _REAL, "np.signbit(a)",
         "Return True where the sign bit is set, also of -0.0 and NaN.", "[-0.0, 1.0]",
         "[ True False]", params="x"),
    _row("isneginf", 1, "test", _REAL, "np.isneginf(a)", "Return True where an element is -inf.",
         "[float('-inf'), 1.0]", "[ True False]"),
    _row("isposinf", 1, "test", _REAL, "np.isposinf(a)", "Return True where an element is +inf.",
         "[float('inf'), 1.0]", "[ True False]"),
    _row("isreal", 1, "test", _ANY, "np.isreal(a)",
         "Return True where an element has no imaginary part.", "[1.0, 1j]", "[ True False]"),
    _row("erfc", 1, "float", _REAL, "erfc(a)", "Return 1 - erf(input), accurate for large input.",
         "[0.0, 10.0], 'float64'", "[1.00000000e+00 2.08848758e-45]"),
    _row("lgamma", 1, "float", _REAL, "lgamma(a)",
         "Return the logarithm of the gamma function's absolute value.", "[4.0], 'float64'",
         "[1.79175947]"),
    _row("i0", 1, "float", _REAL, "np.i0(a)",
         "Return the modified Bessel function of the first kind and order 0.", "[1.0], 'float64'",
         "[1.26606588]"),
    _row("digamma", 1, "float", _REAL, "sc.digamma(a)", "Return the derivative of lgamma.",
         "[1.0], 'float64'", "[-0.57721566]"),
    _row("erfinv", 1, "float", _REAL, "sc.erfinv(a)", "Return the inverse of erf.",
         "[0.5], 'float64'", "[0.47693628]", domain=(-0.99, 0.99)),
    *(
        _row(f"bessel_{name}", 1, "float", _REAL, f"sc.{name}(a)",
             f"Return the {'modified ' * modified}Bessel function of the {kind} kind and order "
             f"{order}{', divided by exp(|x|)' * (factor < 0)}"
             f"{', times exp(x)' * (factor > 0)}.",
             "[1.0], 'float64'", printed, domain=(0.1, 10), params="x")
        for name, modified, kind, order, factor, printed in (
            ("i0", True, "first", 0, 0, "[1.26606588]"),
            ("i0e", True, "first", 0, -1, "[0.46575961]"),
            ("i1", True, "first", 1, 0, "[0.5651591]"),
            ("i1e", True, "first", 1, -1, "[0.20791042]"),
            ("j0", False, "first", 0, 0, "[0.76519769]"),
            ("j1", False, "first", 1, 0, "[0.44005059]"),
            ("k0", True, "second", 0, 0, "[0.42102444]"),
            ("k0e", True, "second", 0, 1, "[1.14446308]"),
            ("k1", True, "second", 1, 0, "[0.60190723]"),
            ("k1e", True, "second", 1, 1, "[1.63615349]"),
            ("y0", False, "second", 0, 0, "[0.08825696]"),
            ("y1", False, "second", 1, 0, "[-0.78121282]"),
        )
    ),
    # --- two operands -----------------------------------------------------------------------------
    _row("copysign", 2, "float", _REAL, "np.copysign(a, b)",
         "Return the first number with the sign of the second.", "[1.0, 2.0]", "[-3.0, 0.0]",
         "[-1.  2.]", params="x other"),
    _row("nextafter", 2, "same", _EXACT, "np.nextafter(a, b)",
         "Return the next number after the first in the direction of the second.",
         "[1.0], 'float64'", "[2.0], 'float64'", "[1.]"),
    _row("ldexp", 2, "float", _REAL, "a * np.exp2(b)", "Return x * 2**other.",
         "[1.5, 2.0]", "[1, 3]", "[ 3. 16.]", params="x other"),
    _row("fmax", 2, "same", _REAL, "np.fmax(a, b)",
         "Return the larger of two numbers; if one is NaN, the other.", "[1.0, float('nan')]",
         "[2.0, 3.0]", "[2. 3.]"),
    _row("fmin", 2, "same", _REAL, "np.fmin(a, b)",
         "Return the smaller of two numbers; if one is NaN, the other.", "[1.0, float('nan')]",
         "[2.0, 3.0]", "[1. 3.]"),
    _row("gcd", 2, "same", _INTS, "np.gcd(a, b)", "Return the greatest common divisor.",
         "[12, 7]", "[18, 0]", "[6 7]"),
    _row("lcm", 2, "same", _INTS, "np.lcm(a, b)", "Return the least common multiple.",
         "[12, 7]", "[18, 2]", "[36 14]"),
    _row("heaviside", 2, "same", _EXACT, "np.heaviside(a, b)",
         "Return 0 where input is negative, 1 where it is positive, and `values` where it is 0.",
         "[-1.0, 0.0, 2.0]", "[0.5]", "[0.  0.5 1. ]", params="input values"),
    _row("logaddexp", 2, "float", _REAL, "np.logaddexp(a, b)",
         "Return log(exp(input) + exp(other)), without overflow in between.",
         "[1000.0], 'float64'", "[1000.0], 'float64'", "[1000.69314718]"),
    _row("logaddexp2", 2, "float", _REAL, "np.logaddexp2(a, b)",
         "Return log2(2**input + 2**other), without overflow in between.", "[1000.0]", "[1000.0]",
         "[1001.]"),
    _row("truncate_div", 2, "same", _NUMBERS, "truncate_div(a, b)",
         "Return the quotient, rounded towards zero.", "[7, -7]", "[2, 2]", "[ 3 -3]",
         params="x y"),
    _row("truncate_mod", 2, "same", _NUMBERS, "np.fmod(a, b)",
         "Return the remainder of truncate_div; it has the sign of `x`.", "[7, -7]", "[3, 3]",
         "[ 1 -1]", params="x y"),
    _row("xlogy", 2, "float", _ANY, "np.where((a == 0) & (b == b), 0, a * np.log(b))",
         "Return input * log(other), and 0 where `input` is 0.", "[0.0, 2.0], 'float64'",
         "[0.0, 1.0], 'float64'", "[0. 0.]"),
    _row("xdivy", 2, "float", _ANY, "np.where((a == 0) & (b == b), 0, a / b)",
         "Return x / y, and 0 where `x` is 0.", "[0.0, 2.0]", "[0.0, 4.0]",
         "[0.  0.5]", params="x y"),
    _row("igamma", 2, "float", _REAL, "sc.gammainc(a, b)",
         "Return the lower incomplete gamma function of order `input`, divided by gamma(input).",
         "[1.0], 'float64'", "[1.0], 'float64'", "[0.63212056]", domain=(0.1, 10)),
    _row("igammac", 2, "float", _REAL, "sc.gammaincc(a, b)",
         "Return the upper incomplete gamma function of order `input`, divided by gamma(input).",
         "[1.0], 'float64'", "[1.0], 'float64'", "[0.36787944]", domain=(0.1, 10)),
    _row("zeta", 2, "float", _REAL, "sc.zeta(a, b)",
         "Return Hurwitz's zeta function: the sum of (k + other)**-input over k from 0.",
         "[2.0], 'float64'", "[1.0], 'float64'", "[1.64493407]", domain=(1.5, 10)),
)  # fmt: skip


# --- computing ------------------------------------------------------------------------------------
_NAMES: dict[str, Any] = {
    "np": np,
    "erfc": np.vectorize(math.erfc, otypes=[np.float64]),
    "lgamma": np.vectorize(lambda x: math.inf if x <= 0 and x == math.floor(x) or abs(x) == math.inf
                           else math.lgamma(x), otypes=[np.float64]),
    "truncate_div": lambda a, b: np.trunc(a / b) if a.dtype.kind == "f" else (
        np.where(b == 0, 0, (np.abs(a) // np.where(b == 0, 1, np.abs(b))) * np.sign(a) * np.sign(b))
    ),
}  # fmt: skip


def _scipy(op: str) -> Any:
    try:
        import scipy.special  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        raise ImportError(
            f"[{op}] SciPy must be installed, which computes this op, got none; run "
            "`pip install minitensor[scipy]`"
        ) from None
    return scipy.special


def operands(op: str, values: tuple[Any, ...]) -> tuple[list[Tensor], DType]:
    """Return the operands as tensors, and the dtype that they promote to."""
    first = next((v for v in values if isinstance(v, Tensor)), None)
    weak = [isinstance(v, (bool, int, float, complex)) for v in values]
    tensors = [as_tensor(v, op, first) for v in values]
    strong = [t.dtype for t, is_weak in zip(tensors, weak) if not is_weak]
    dtype = strong[0] if strong else tensors[0].dtype
    for other in strong[1:] if strong else [t.dtype for t in tensors[1:]]:
        dtype = promote(dtype, other)
    order = "biufc"
    for t, is_weak in zip(tensors, weak):
        kind = t.dtype.kind
        if is_weak and strong and order.index(kind) > order.index(dtype.kind.replace("u", "i")):
            dtype = complex128 if kind == "c" and dtype is float64 else (
                {"i": int64, "f": float32, "c": complex64}[kind]
            )  # fmt: skip
    return tensors, dtype


def compute(op: Op, function: Callable[..., Any], values: tuple[Any, ...]) -> Tensor:
    tensors, dtype = operands(op.name, values)
    if op.rule in ("float", "test"):
        dtype = to_float(dtype)
    if dtype.kind not in (op.kinds if op.rule == "same" else op.kinds + "f"):
        raise TypeError(
            f"[{op.name}] the operands must be {'complex or ' * op.complex}"
            f"{'integers' if op.kinds == 'iu' else 'floats' if op.kinds == 'f' else 'real'}, got "
            f"{dtype}"
        )
    try:
        shape = np.broadcast_shapes(*(t.shape for t in tensors))
    except ValueError:
        shapes = " and ".join(str(t.shape) for t in tensors)
        raise ValueError(f"[{op.name}] the shapes must broadcast, got {shapes}") from None
    within = dtype if op.c == _EXACT else dtype.compute or dtype  # a half type's is float32
    inputs = [t.astype(within, copy=False) for t in tensors]
    return host(op.name, function, inputs, shape, bool_ if op.rule == "test" else dtype)


def _define(op: Op) -> Callable[..., Tensor]:
    """Return the function of a row."""
    code: CodeType = compile(f"lambda {', '.join('ab'[: op.inputs])}: {op.numpy}", op.name, "eval")
    loaded: list[Callable[..., Any]] = []

    def run() -> Callable[..., Any]:
        if not loaded:
            names = {**_NAMES, "sc": _scipy(op.name)} if "sc." in op.numpy else _NAMES
            loaded.append(eval(code, names))
        return loaded[0]

    names = ", ".join(op.params[: op.inputs])
    made = f"lambda {names}: compute(op, run(), ({names},))"
    function: Callable[..., Tensor] = eval(made, {"compute": compute, "op": op, "run": run})
    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = documentation(op)
    function.__module__ = __name__
    return function


FUNCTIONS: dict[str, Callable[..., Tensor]] = {op.name: _define(op) for op in ROWS}
globals().update(FUNCTIONS)
__all__ = list(FUNCTIONS)
