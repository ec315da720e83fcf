"""The op table: one row declares an op.

A row has the name, the number of operands, the dtype rule, the scalar expression in C, the NumPy
oracle and the sentence of the documentation. From it come the C kernels (`core/build/_build.py`
expands the expressions for each dtype), the function in `minitensor.ops`, the operator of Tensor,
the NumPy code where there is no kernel (complex), the conformance test on every backend
and the line in docs/ops.md. To add an elementwise op, add a row.

Expressions. `a`, `b`, `c` are the operands in the dtype that the op computes in; `T` is that C type
and `UT` its unsigned twin. Functions of <math.h> are type-generic, and mostly our own
(elementary.h). `FAIL` marks an element without a result; the op then raises the error of its row
where the value is read. An expression may be one string for every kind of dtype that the op takes,
or a mapping from kinds ("b", "iu", "f") to strings; other kinds are refused with a TypeError.
Signed integers wrap (the core is compiled with -fwrapv).

This module imports only the standard library: the build reads it before the package exists.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = [
    "ARRAY_KERNELS", "ArrayKernel", "COSTS", "ELEMENTWISE", "OPS", "Op", "REDUCTIONS", "Rule",
]  # fmt: skip

Rule = Literal["same", "float", "compare", "logical", "test", "bitwise", "where", "index", "sum"]
"""How the dtypes of the computation and the result follow from those of the inputs:

* same: computes and returns in the promoted dtype
* float: the same, with integers and bools cast to float32 first
* compare: computes in the promoted dtype, returns bool
* logical: computes and returns bool
* test: computes in a float dtype, returns bool
* bitwise: as same (its expressions exist for integers and bools only)
* where: the first input is a bool, the others promote
* sum: (reductions) integers and bools widen to 64 bits, signed or unsigned
* index: (reductions) returns int64, a position or a count
"""


class Op(NamedTuple):
    """A row of the table."""

    name: str
    inputs: int
    rule: Rule
    c: str | dict[str, str]
    numpy: str  # an expression over `np`, `sp` (oracles.py) and the operands a, b, c
    doc: str  # a sentence that begins with a verb
    complex: bool = False  # NumPy computes the op for complex numbers, too
    operator: str = ""  # "add" stands for __add__, and for __radd__ of a binary op
    aliases: tuple[str, ...] = ()
    error: tuple[str, str] = ("", "")  # what FAIL raises: exception, sentence
    # The kind of arguments for which `c` does not hold, and their expression (elementwise.h); a
    # string is that of floats.
    special_case: tuple[str, str | dict[str, str]] = ("", "")
    domain: tuple[float, float] | None = None  # the interval of the tests' ordinary values
    ulp: int = 4  # maximum error of a result, against the oracle
    params: tuple[str, ...] = ("input", "other", "third")
    example: tuple[str, ...] = ()  # operands, and the printed result; (): compare with NumPy

    @property
    def reduction(self) -> bool:
        return self in REDUCTIONS

    @property
    def kinds(self) -> str:
        """Return the kinds of dtype that the op computes in."""
        named = "biuf" if isinstance(self.c, str) else "".join(self.c)
        if self.rule in ("float", "test"):
            named = "f"
        elif self.rule == "logical":
            named = "b"
        return named + ("c" if self.complex else "")

    def expression(self, kind: str) -> str | None:
        """Return the C expression for a kind of dtype, or None."""
        if kind not in self.kinds or kind == "c":
            return None
        return _of_kind(self.c, kind)

    def special_expression(self, kind: str) -> str | None:
        """Return the C expression for special arguments of a kind of dtype, or None."""
        text = self.special_case[1]
        return _of_kind({"f": text} if isinstance(text, str) else text, kind) or None


def _of_kind(texts: str | dict[str, str], kind: str) -> str | None:
    if isinstance(texts, str):
        return texts
    return next((text for kinds, text in texts.items() if kind in kinds), None)


def _unary(
    name: str, rule: Rule, c: str | dict[str, str], numpy: str, doc: str, **rest: object
) -> Op:
    return Op(name, 1, rule, c, numpy, doc, **rest)  # type: ignore[arg-type]


def _binary(
    name: str, rule: Rule, c: str | dict[str, str], numpy: str, doc: str, **rest: object
) -> Op:
    return Op(name, 2, rule, c, numpy, doc, **rest)  # type: ignore[arg-type]


_ZERO = ("ZeroDivisionError", "integer division by zero")
_NEGATIVE_POWER = ("ValueError", "an integer to a negative integer power; cast to a float first")

ELEMENTWISE: tuple[Op, ...] = (
    # --- one operand ------------------------------------------------------------------------------
    _unary("abs", "same", {"bu": "a", "i": "(T)(a < 0 ? -a : a)", "f": "fabs(a)"}, "np.abs(a)",
           "Return the absolute value.",
           example=("[-1, 2]", "[1 2]"),
           operator="abs", aliases=("absolute",)),
    _unary("neg", "same", {"iu": "(T)(0 - (UT)a)", "f": "-a"}, "np.negative(a)",
           "Return the number with the opposite sign.",
           example=("[-1, 2]", "[ 1 -2]"),
           complex=True, operator="neg", aliases=("negative",)),
    _unary("positive", "same", {"iuf": "a"}, "np.positive(a)",
           "Return the number itself, in new memory.",
           example=("[-1, 2]", "[-1  2]"),
           complex=True, operator="pos"),
    _unary("square", "same", {"iu": "(T)((UT)a * (UT)a)", "f": "a * a"}, "np.square(a)",
           "Return the square.",
           example=("[-3, 2]", "[9 4]"), complex=True),
    _unary("sqrt", "float", "sqrt(a)", "np.sqrt(a)",
           "Return the square root; of a negative number NaN.",
           example=("[1.0, 16.0]", "[1. 4.]"), complex=True, domain=(0, 1e6)),
    _unary("rsqrt", "float", "1 / sqrt(a)", "1 / np.sqrt(a)",
           "Return the reciprocal of the square root.",
           example=("[1.0, 16.0]", "[1.   0.25]"), domain=(1e-3, 1e6)),
    _unary("exp", "float", "exp(a)", "np.exp(a)", "Return e to the power of each element.",
           example=("[0.0, 1.0], 'float64'", "[1.         2.71828183]"), complex=True,
           special_case=("exp", "exp_special(a)"), domain=(-80, 80)),
    _unary("exp2", "float", "exp2(a)", "np.exp2(a)", "Return 2 to the power of each element.",
           example=("[0.0, 3.0], 'float64'", "[1. 8.]"),
           special_case=("exp2", "exp2_special(a)"), domain=(-100, 100)),
    _unary("expm1", "float", "expm1(a)", "np.expm1(a)", "Return exp(input) - 1, accurate near 0.",
           example=("[0.0, 1.0], 'float64'", "[0.         1.71828183]"),
           special_case=("exp", "expm1_special(a)"), domain=(-80, 80)),
    _unary("log", "float", "log(a)", "np.log(a)", "Return the natural logarithm.",
           example=("[1.0, 2.0], 'float64'", "[0.         0.69314718]"), complex=True,
           special_case=("log", "log_special(a)"), domain=(1e-6, 1e6)),
    _unary("log2", "float", "log2(a)", "np.log2(a)", "Return the logarithm to base 2.",
           example=("[1.0, 8.0], 'float64'", "[0. 3.]"),
           special_case=("log", "log2_special(a)"), domain=(1e-6, 1e6)),
    _unary("log10", "float", "log10(a)", "np.log10(a)", "Return the logarithm to base 10.",
           example=("[1.0, 1000.0], 'float64'", "[0. 3.]"),
           special_case=("log", "log10_special(a)"), domain=(1e-6, 1e6)),
    _unary("log1p", "float", "log1p(a)", "np.log1p(a)", "Return log(1 + input), accurate near 0.",
           example=("[0.0, 1.0], 'float64'", "[0.         0.69314718]"),
           special_case=("log1p", "log1p_special(a)"), domain=(-0.9, 1e6)),
    _unary("sin", "float", "sin(a)", "np.sin(a)", "Return the sine of an angle in radians.",
           example=("[0.0, 1.0], 'float64'", "[0.         0.84147098]"), complex=True,
           special_case=("angle", "libm_sin(a)"), domain=(-1e3, 1e3)),
    _unary("cos", "float", "cos(a)", "np.cos(a)", "Return the cosine of an angle in radians.",
           example=("[0.0, 1.0], 'float64'", "[1.         0.54030231]"), complex=True,
           special_case=("angle", "libm_cos(a)"), domain=(-1e3, 1e3)),
    _unary("tan", "float", "tan(a)", "np.tan(a)", "Return the tangent of an angle in radians.",
           example=("[0.0, 1.0], 'float64'", "[0.         1.55740772]"), complex=True,
           special_case=("angle", "libm_tan(a)"), domain=(-1, 1)),
    _unary("asin", "float", "asin(a)", "np.arcsin(a)", "Return the arc sine, in radians.",
           example=("[0.0, 1.0], 'float64'", "[0.         1.57079633]"),
           aliases=("arcsin",), domain=(-1, 1)),
    _unary("acos", "float", "acos(a)", "np.arccos(a)", "Return the arc cosine, in radians.",
           example=("[0.0, 1.0], 'float64'", "[1.57079633 0.        ]"),
           aliases=("arccos",), domain=(-1, 1)),
    _unary("atan", "float", "atan(a)", "np.arctan(a)", "Return the arc tangent, in radians.",
           example=("[0.0, 1.0], 'float64'", "[0.         0.78539816]"), aliases=("arctan",)),
    _unary("sinh", "float", "sinh(a)", "np.sinh(a)", "Return the hyperbolic sine.",
           example=("[0.0, 1.0], 'float64'", "[0.         1.17520119]"),
           complex=True, domain=(-80, 80)),
    _unary("cosh", "float", "cosh(a)", "np.cosh(a)", "Return the hyperbolic cosine.",
           example=("[0.0, 1.0], 'float64'", "[1.         1.54308063]"),
           complex=True, domain=(-80, 80)),
    _unary("tanh", "float", "tanh(a)", "np.tanh(a)", "Return the hyperbolic tangent.",
           example=("[0.0, 1.0], 'float64'", "[0.         0.76159416]"), complex=True),
    _unary("asinh", "float", "asinh(a)", "np.arcsinh(a)", "Return the inverse hyperbolic sine.",
           example=("[0.0, 1.0], 'float64'", "[0.         0.88137359]"), aliases=("arcsinh",)),
    _unary("acosh", "float", "acosh(a)", "np.arccosh(a)", "Return the inverse hyperbolic cosine.",
           example=("[1.0, 2.0], 'float64'", "[0.        1.3169579]"), aliases=("arccosh",),
           domain=(1, 1e6)),
    _unary("atanh", "float", "atanh(a)", "np.arctanh(a)", "Return the inverse hyperbolic tangent.",
           example=("[0.0, 0.5], 'float64'", "[0.         0.54930614]"), aliases=("arctanh",),
           domain=(-0.99, 0.99)),
    _unary("ceil", "same", {"biu": "a", "f": "ceil(a)"},
           "np.ceil(a) if a.dtype.kind not in 'biu' else a",
           "Return the smallest whole number that is at least the element.",
           example=("[-1.5, 1.5]", "[-1.  2.]")),
    _unary("floor", "same", {"biu": "a", "f": "floor(a)"},
           "np.floor(a) if a.dtype.kind not in 'biu' else a",
           "Return the largest whole number that is at most the element.",
           example=("[-1.5, 1.5]", "[-2.  1.]")),
    _unary("trunc", "same", {"biu": "a", "f": "trunc(a)"},
           "np.trunc(a) if a.dtype.kind not in 'biu' else a",
           "Return the number without its fraction.",
           example=("[-1.5, 1.5]", "[-1.  1.]")),
    _unary("rint", "same", {"biu": "a", "f": "rint(a)"},
           "np.rint(a) if a.dtype.kind not in 'biu' else a",
           "Return the nearest whole number; round halves to even.",
           example=("[0.5, 1.5]", "[0. 2.]"), aliases=()),
    _unary("sign", "same", {"i": "(T)((a > 0) - (a < 0))", "bu": "(T)(a != 0)",
                            "f": "a != a ? a : (T)((a > 0) - (a < 0))"},
           "np.sign(a) if a.dtype != bool else a",
       "Return -1, 0 or 1 for the sign of a number; NaN stays NaN.",
           example=("[-2, 0, 5]", "[-1  0  1]")),
    _unary("reciprocal", "float", "1 / a", "np.reciprocal(a)", "Return the reciprocal.",
           example=("[1.0, 4.0]", "[1.   0.25]"), complex=True, aliases=("inv",)),
    _unary("erf", "float", "erf(a)", "sp.erf(a)", "Return the error function.",
           example=("[0.0, 1.0], 'float64'", "[0.         0.84270079]"), domain=(-5, 5), ulp=8),
    _unary("sigmoid", "float", "sigmoid(a)", "sp.sigmoid(a)",
           "Return the logistic function, 1 / (1 + exp(-input)).",
           example=("[0.0, 2.0], 'float64'", "[0.5        0.88079708]"),
           special_case=("exp", "sigmoid_special(a)"), domain=(-80, 80), ulp=8),
    _unary("silu", "float", "a * sigmoid(a)", "a * sp.sigmoid(a)",
           "Return input * sigmoid(input).", example=("[0.0, 100.0]", "[  0. 100.]"),
           special_case=("exp", "a * sigmoid_special(a)"), domain=(-80, 80), ulp=8),
    _unary("gelu", "float", "a * (T)0.5 * (erf(a * (T)0.7071067811865476) + 1)", "sp.gelu(a)",
           "Return input * Phi(input), with Phi the normal distribution.",
           example=("[0.0, 10.0]", "[ 0. 10.]"), domain=(-1, 10), ulp=8),
    _unary("mish", "float", "mish(a)", "sp.mish(a)",
           "Return input * tanh(log(1 + exp(input))).", example=("[0.0, 30.0]", "[ 0. 30.]"),
           special_case=("exp", "a > 0 ? a : a * exp_special(a)"), domain=(-80, 80), ulp=8),
    _unary("softplus", "float", "a > 20 ? a : mt_larger(a, 0) + log1p(exp(-fabs(a)))",
           "np.where(a > 20, a, np.logaddexp(a, a.dtype.type(0)))",
           "Return log(1 + exp(input)); above 20 the input itself.",
           example=("[-200.0, 30.0]", "[ 0. 30.]"),
           special_case=("exp", "a > 0 ? a : exp_special(a)"), domain=(-80, 80), ulp=8),
    _unary("hardsigmoid", "float", "mt_smaller(mt_larger(a + 3, 0), 6) / 6",
           "np.minimum(np.maximum(a + 3, 0), 6) / 6",
           "Return min(max(input + 3, 0), 6) / 6.",
           example=("[-3.0, 0.0, 3.0]", "[0.  0.5 1. ]")),
    _unary("hardswish", "float", "a * (mt_smaller(mt_larger(a + 3, 0), 6) / 6)",
           "a * (np.minimum(np.maximum(a + 3, 0), 6) / 6)",
           "Return input * hardsigmoid(input).", example=("[-3.0, 3.0]", "[-0.  3.]")),
    _unary("isnan", "test", "a != a", "np.isnan(a)", "Return True where an element is NaN.",
           example=("[1.0, float('nan')]", "[False  True]"), complex=True),
    _unary("isinf", "test", "fabs(a) == (T)INFINITY", "np.isinf(a)",
           "Return True where an element is infinite.",
           example=("[1.0, float('inf')]", "[False  True]"), complex=True),
    _unary("isfinite", "test", "fabs(a) < (T)INFINITY", "np.isfinite(a)",
           "Return True where an element is neither infinite nor NaN.",
           example=("[1.0, float('inf')]", "[ True False]"),
           complex=True),
    _unary("logical_not", "logical", "!a", "np.logical_not(a)",
           "Return True where an element is zero.",
           example=("[0, 2]", "[ True False]")),
    _unary("bitwise_not", "bitwise", {"b": "!a", "iu": "(T)~a"}, "np.invert(a)",
           "Return the number with every bit inverted; of a bool its negation.",
           example=("[0, 5]", "[-1 -6]"),
           operator="invert", aliases=("bitwise_invert", "invert")),
    # --- two operands -----------------------------------------------------------------------------
    _binary("add", "same", {"b": "a | b", "iu": "(T)((UT)a + (UT)b)", "f": "a + b"}, "np.add(a, b)",
           "Return the sum.",
           example=("[1, 2]", "[10, 20]", "[11 22]"),
            complex=True, operator="add"),
    _binary("sub", "same", {"iu": "(T)((UT)a - (UT)b)", "f": "a - b"}, "np.subtract(a, b)",
           "Return the difference.",
           example=("[10, 20]", "[1, 2]", "[ 9 18]"),
            complex=True, operator="sub", aliases=("subtract",)),
    _binary("mul", "same", {"b": "a & b", "iu": "(T)((UT)a * (UT)b)", "f": "a * b"},
           "np.multiply(a, b)", "Return the product.",
           example=("[1, 2]", "[10, 20]", "[10 40]"),
            complex=True, operator="mul", aliases=("multiply",)),
    _binary("true_divide", "float", "a / b", "np.true_divide(a, b)",
           "Return the quotient, as a float or complex number.",
           example=("[1, 3]", "[2, 2]", "[0.5 1.5]"),
            complex=True, operator="truediv"),
    _binary("floor_divide", "same", {"iuf": "floor_quotient(a, b)"}, "sp.floor_divide(a, b)",
            "Return the quotient, rounded down.", example=("[7, -7]", "[2, 2]", "[ 3 -4]"),
            operator="floordiv", aliases=("floor_div",), error=_ZERO,
            special_case=("division", {
                "i": "b == 0 ? FAIL : b == -1 ? (T)(0 - (UT)a) : "
                     "(T)(a / b - ((a % b != 0) && ((a < 0) != (b < 0))))",
                "u": "b == 0 ? FAIL : (T)(a / b)", "f": "any_quotient(a, b)"})),
    _binary("remainder", "same", {"iuf": "floor_rest(a, b)"}, "np.remainder(a, b)",
            "Return the remainder of floor_divide; it has the divisor's sign.",
            example=("[7, -7]", "[3, 3]", "[1 2]"), operator="mod", aliases=("floor_mod",),
            error=_ZERO,
            special_case=("division", {
                "i": "b == 0 ? FAIL : b == -1 ? 0 : "
                     "(T)(a % b + ((a % b != 0) && ((a < 0) != (b < 0)) ? b : 0))",
                "u": "b == 0 ? FAIL : (T)(a % b)", "f": "any_remainder(a, b)"})),
    _binary("fmod", "same", {"iuf": "trunc_rest(a, b)"}, "np.fmod(a, b)",
            "Return the remainder of a division rounded towards zero; it has the dividend's sign.",
            example=("[7, -7]", "[3, 3]", "[ 1 -1]"), error=_ZERO,
            special_case=("division", {
                "i": "b == 0 ? FAIL : b == -1 ? 0 : (T)(a % b)", "u": "b == 0 ? FAIL : (T)(a % b)",
                "f": "fmod(a, b)"})),
    _binary("pow", "same", {"i": "b < 0 ? FAIL : (T)mt_ipow((uint64_t)a, (uint64_t)b)",
                            "u": "(T)mt_ipow((uint64_t)a, (uint64_t)b)", "f": "pow(a, b)"},
            "np.power(a, b)", "Return the first operand to the power of the second.",
           example=("[2, 3]", "[3, 2]", "[8 9]"), complex=True, operator="pow", aliases=("power",),
            error=_NEGATIVE_POWER, special_case=("pow", "pow_special(a, b)"), domain=(0.1, 10)),
    _binary("maximum", "same", {"biu": "a > b ? a : b", "f": "mt_larger(a, b)"},
            "np.maximum(a, b)", "Return the larger of two numbers; NaN if one is NaN.",
           example=("[1, 5]", "[4, 2]", "[4 5]")),
    _binary("minimum", "same", {"biu": "a < b ? a : b", "f": "mt_smaller(a, b)"},
            "np.minimum(a, b)", "Return the smaller of two numbers; NaN if one is NaN.",
           example=("[1, 5]", "[4, 2]", "[1 2]")),
    _binary("atan2", "float", "atan2(a, b)", "np.arctan2(a, b)",
           "Return the angle of the point (other, input), in radians.",
           example=("[0.0, 1.0], 'float64'", "[1.0, 1.0], 'float64'", "[0.         0.78539816]"),
            aliases=("arctan2",)),
    _binary("hypot", "float", "hypot(a, b)", "np.hypot(a, b)",
           "Return sqrt(input**2 + other**2), without overflow in between.",
           example=("[3.0, 5.0]", "[4.0, 12.0]", "[ 5. 13.]")),
    _binary("eq", "compare", "a == b", "np.equal(a, b)",
           "Return True where the operands are equal.",
           example=("[1, 2]", "[1, 3]", "[ True False]"), complex=True, operator="eq",
            aliases=("equal",)),
    _binary("ne", "compare", "a != b", "np.not_equal(a, b)",
           "Return True where the operands differ.",
           example=("[1, 2]", "[1, 3]", "[False  True]"), complex=True, operator="ne",
            aliases=("not_equal",)),
    _binary("lt", "compare", "a < b", "np.less(a, b)",
           "Return True where the first operand is less.",
           example=("[1, 2]", "[1, 3]", "[False  True]"), operator="lt", aliases=("less",)),
    _binary("le", "compare", "a <= b", "np.less_equal(a, b)",
           "Return True where the first operand is less or equal.",
           example=("[1, 4]", "[1, 3]", "[ True False]"), operator="le",
            aliases=("less_equal",)),
    _binary("gt", "compare", "a > b", "np.greater(a, b)",
           "Return True where the first operand is greater.",
           example=("[1, 4]", "[1, 3]", "[False  True]"), operator="gt",
            aliases=("greater",)),
    _binary("ge", "compare", "a >= b", "np.greater_equal(a, b)",
           "Return True where the first operand is greater or equal.",
           example=("[1, 2]", "[1, 3]", "[ True False]"), operator="ge",
            aliases=("greater_equal",)),
    _binary("logical_and", "logical", "a & b", "np.logical_and(a, b)",
           "Return True where both operands are non-zero.",
           example=("[0, 2]", "[1, 3]", "[False  True]")),
    _binary("logical_or", "logical", "a | b", "np.logical_or(a, b)",
           "Return True where at least one operand is non-zero.",
           example=("[0, 2]", "[0, 3]", "[False  True]")),
    _binary("logical_xor", "logical", "a ^ b", "np.logical_xor(a, b)",
           "Return True where exactly one operand is non-zero.",
           example=("[0, 2]", "[1, 3]", "[ True False]")),
    _binary("bitwise_and", "bitwise", {"biu": "a & b"}, "np.bitwise_and(a, b)",
           "Return the bitwise and.",
           example=("[12, 5]", "[10, 4]", "[8 4]"), operator="and"),
    _binary("bitwise_or", "bitwise", {"biu": "a | b"}, "np.bitwise_or(a, b)",
           "Return the bitwise or.",
           example=("[12, 5]", "[10, 2]", "[14  7]"), operator="or"),
    _binary("bitwise_xor", "bitwise", {"biu": "a ^ b"}, "np.bitwise_xor(a, b)",
           "Return the bitwise exclusive or.",
           example=("[12, 5]", "[10, 4]", "[6 1]"),
            operator="xor"),
    _binary("bitwise_left_shift", "bitwise",
            {"i": "b < 0 ? FAIL : (UT)b < 8 * sizeof(T) ? (T)((UT)a << b) : 0",
             "u": "b < 8 * sizeof(T) ? (T)(a << b) : 0"},
            "np.left_shift(a, b)", "Return the first operand with its bits shifted left.",
           example=("[1, 3]", "[4, 1]", "[16  6]"), operator="lshift",
            error=("ValueError", "a shift by a negative number of bits")),
    _binary("bitwise_right_shift", "bitwise",
            {"i": "b < 0 ? FAIL : (UT)b < 8 * sizeof(T) ? (T)(a >> b) : (T)(a < 0 ? -1 : 0)",
             "u": "b < 8 * sizeof(T) ? (T)(a >> b) : 0"},
            "np.right_shift(a, b)",
            "Return the first operand with its bits shifted right; the sign stays.",
           example=("[16, -6]", "[4, 1]", "[ 1 -3]"), operator="rshift",
            error=("ValueError", "a shift by a negative number of bits")),
    # --- three operands ---------------------------------------------------------------------------
    Op("where", 3, "where", "a ? b : c", "np.where(a, b, c)",
       "Return `input` where the condition holds, and `other` elsewhere.",
           example=("[True, False]", "[1, 2]", "[10, 20]", "[ 1 20]"),
       complex=True, params=("condition", "input", "other")),
    Op("clamp", 3, "same",
       {"biu": "(a < b ? b : a) > c ? c : (a < b ? b : a)", "f": "mt_clamp(a, b, c)"},
       "np.minimum(np.maximum(a, b), c)",
       "Limit the elements to the range from `min` to `max`, each of which may be None; NaN stays.",
           example=("[1, 5, 9]", "2", "8", "[2 5 8]"),
       params=("input", "min", "max")),
    Op("lerp", 3, "float", "a + c * (b - a)", "a + c * (b - a)",
       "Interpolate linearly: return input + weight * (end - input).",
           example=("[0.0, 10.0]", "[1.0, 20.0]", "0.5", "[ 0.5 15. ]"),
       params=("input", "end", "weight"), domain=(-100, 100), ulp=64),
)

REDUCTIONS: tuple[Op, ...] = (
    # The expression combines the running value `a` with the next element `b`. folds.h adds the
    # accurate summation, the position of argmin and argmax, the division of mean, and the squares
    # of var and std.
    Op("sum", 1, "sum", {"iu": "(T)((UT)a + (UT)b)", "f": "a + b"},
       "np.sum(a, axis=axis, keepdims=keepdims)",
       "Return the sum of the elements; of no elements 0.", complex=True),
    Op("prod", 1, "sum", {"iu": "(T)((UT)a * (UT)b)", "f": "a * b"},
       "np.prod(a, axis=axis, keepdims=keepdims)",
       "Return the product of the elements; of no elements 1.", complex=True),
    Op("amin", 1, "same", {"biu": "b < a ? b : a", "f": "a != a ? a : b != b ? b : b < a ? b : a"},
       "np.min(a, axis=axis, keepdims=keepdims)", "Return the least element; NaN if one is NaN."),
    Op("amax", 1, "same", {"biu": "b > a ? b : a", "f": "a != a ? a : b != b ? b : b > a ? b : a"},
       "np.max(a, axis=axis, keepdims=keepdims)",
       "Return the greatest element; NaN if one is NaN."),
    Op("any", 1, "logical", "a | b", "np.any(a, axis=axis, keepdims=keepdims)",
       "Return True if at least one element is non-zero."),
    Op("all", 1, "logical", "a & b", "np.all(a, axis=axis, keepdims=keepdims)",
       "Return True if no element is zero."),
    Op("mean", 1, "float", "a + b", "sp.mean(a, axis, keepdims)",
       "Return the arithmetic mean, a float or complex number; of no elements NaN.", complex=True),
    Op("argmin", 1, "index", {"biuf": "b < a"}, "sp.argmin(a, axis, keepdims)",
       "Return the position of the first least element; of the first NaN if one is NaN."),
    Op("argmax", 1, "index", {"biuf": "b > a"}, "sp.argmax(a, axis, keepdims)",
       "Return the position of the first greatest element; of the first NaN if one is NaN."),
    Op("var", 1, "float", "b - a", "np.var(a, axis=axis, ddof=ddof, keepdims=keepdims)",
       "Return the variance: the mean of the squared distances from the mean."),
    Op("std", 1, "float", "b - a", "np.std(a, axis=axis, ddof=ddof, keepdims=keepdims)",
       "Return the standard deviation: the square root of the variance."),
    Op("count_nonzero", 1, "index", {"biuf": "a + (b != 0)"},
       "np.count_nonzero(a, axis=axis, keepdims=keepdims)",
       "Return how many elements are not zero.", complex=True),
)



class ArrayKernel(NamedTuple):
    """Declare a kernel that is neither elementwise nor a reduction: it computes on whole arrays.

    The build compiles core/kernels/arrays/<file>.h once for each instruction set; the file defines
    MT_ARRAY_KERNEL(<name>). `array_op` of ops/_dispatch.py calls it by its code.
    """

    name: str
    file: str
    # The kinds of dtype that it computes in, among those with a C type; "h": float16 and bfloat16;
    # "*": it moves elements of every dtype.  The dtype is that of the first input, or of the output
    # if there is no input.
    kinds: str
    # The cost of an element of the inputs, and of the outputs, as in COSTS.
    cost: tuple[int, int] = (10, 10)


ARRAY_KERNELS: tuple[ArrayKernel, ...] = (
    ArrayKernel("tri", "triangle", "*", (0, 2)),
    ArrayKernel("join", "join", "*", (0, 2)),
    ArrayKernel("move", "join", "*", (0, 2)),
    ArrayKernel("repeat", "join", "*", (0, 16)),
    ArrayKernel("tile", "join", "*", (0, 2)),
    ArrayKernel("fill", "fill", "*", (0, 1)),
    ArrayKernel("range", "fill", "biuf", (0, 3)),
    ArrayKernel("eye", "fill", "*", (0, 1)),
    ArrayKernel("uniform", "random", "f", (0, 9)),
    ArrayKernel("normal", "random", "f", (0, 15)),
    ArrayKernel("integers", "random", "iuf", (0, 20)),
    ArrayKernel("bernoulli", "random", "biuf", (0, 10)),
    ArrayKernel("permutation", "random", "i", (0, 46)),
    ArrayKernel("gather", "gather", "*", (0, 10)),
    ArrayKernel("scatter", "gather", "*", (10, 0)),
    ArrayKernel("scatter_add", "gather", "iuf", (10, 0)),
    ArrayKernel("count_true", "mask", "*", (1, 0)),
    ArrayKernel("compress", "mask", "*", (3, 0)),
    ArrayKernel("nonzero", "mask", "*", (10, 0)),
    ArrayKernel("mask_fill", "mask", "*", (2, 0)),
    ArrayKernel("mask_put", "mask", "*", (20, 0)),
    ArrayKernel("matmul", "matmul", "fh", (1, 1)),
    ArrayKernel("sort", "sort", "biufh", (120, 0)),
    ArrayKernel("topk", "sort", "biufh", (25, 0)),
    ArrayKernel("median", "sort", "biufh", (60, 0)),
    ArrayKernel("unique", "sort", "biufh", (120, 0)),
    ArrayKernel("searchsorted", "sort", "biufh", (0, 200)),
    ArrayKernel("scan", "scan", "biufh", (15, 0)),
    ArrayKernel("softmax", "softmax", "biufh", (15, 0)),
    ArrayKernel("cross_entropy", "softmax", "fh"),
    ArrayKernel("layer_norm", "softmax", "fh", (10, 0)),
)

# The time of an element of float32, beside that of an addition (some 0.1 ns), where it is not 1; at
# most 255.  The core finds out by it which tasks are short (core/executor/effort.c).
_COSTS: dict[int, str] = {
    2: "sqrt exp exp2 expm1 log log1p true_divide reciprocal sigmoid lerp clamp var std",
    4: "rsqrt log2 log10 sin cos tanh erf floor_divide remainder fmod",
    14: "tan asin acos atan sinh cosh atan2 hypot",
    20: "pow asinh acosh atanh",
}
COSTS: dict[str, int] = {name: cost for cost, names in _COSTS.items() for name in names.split()}

OPS: dict[str, Op] = {op.name: op for op in ELEMENTWISE + REDUCTIONS}
CODES: dict[str, int] = {name: code for code, name in enumerate(OPS)}
ARRAY_CODES: dict[str, int] = {kernel.name: code for code, kernel in enumerate(ARRAY_KERNELS)}
