"""The op table: one row declares an op.

A row gives the name, the kind, the dtype rule, the scalar expression in C, the NumPy oracle and the doc line.  From it come
the C kernels (`core/build/_build.py` expands the expressions for each dtype), the function in `minitensor.ops`,
the operator on Tensor, the NumPy code that runs where there is no kernel (float16, complex), the conformance test on
every backend and the line in docs/ops.md.  To add an elementwise op, add a row.

Expressions.  `a`, `b`, `c` are the operands in the dtype that the op computes in, `T` is that C type and `UT` its
unsigned twin.  Functions of <math.h> are type-generic, and mostly our own
(elementary.h).  `FAIL` marks an element that has no result; the op then
raises what its row's `error` says where the value is read.  An expression may be one string for every kind of dtype the
op takes, or a mapping from kinds ("b", "iu", "f") to strings; a kind that is not named is refused with a TypeError.
Signed integers wrap (the core is compiled with -fwrapv).

This module imports nothing but the standard library: the build reads it before the package exists.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

__all__ = ["Op", "ELEMENTWISE", "REDUCTIONS", "OPS", "Rule"]

Rule = Literal["same", "float", "compare", "logical", "test", "bitwise", "where", "index", "sum"]
"""How dtypes follow from the inputs':

* same: computes and returns in the promoted dtype
* float: the same, integers and bools going to float32 first
* compare: computes in the promoted dtype, returns bool
* logical: computes and returns bool
* test: computes in a float dtype, returns bool
* bitwise: like same (its expressions name integers and bools only)
* where: the first input is a bool, the others promote
* sum: (reductions) integers and bools widen to 64 bits, signed or unsigned
* index: (reductions) returns int64
"""


class Op(NamedTuple):
    """A row of the table."""

    name: str
    inputs: int
    rule: Rule
    c: str | dict[str, str]
    numpy: str  # an expression over `np`, `sp` (our special functions) and the operands a, b, c
    doc: str
    complex: bool = False  # NumPy computes it for complex numbers, too
    operator: str = ""  # "add" stands for __add__, and for __radd__ of a binary op
    aliases: tuple[str, ...] = ()
    error: tuple[str, str] = ("", "")  # what FAIL raises: exception, sentence
    special_case: tuple[str, str] = ("", "")  # the kind of arguments for which `c` doesn't hold, and the expression that holds there (elementwise.h)
    domain: tuple[float, float] | None = None  # where the tests draw ordinary values from
    ulp: int = 4  # how far from the oracle a result may be
    params: tuple[str, ...] = ("input", "other", "third")

    @property
    def reduction(self) -> bool:
        return self in REDUCTIONS

    @property
    def documentation(self) -> str:
        """What help() says of its function."""
        return f"{self.doc}\n\nElement by element, with broadcasting; NumPy's name for it: `{self.numpy}`."

    @property
    def kinds(self) -> str:
        """The kinds of dtype that it computes in."""
        named = "biuf" if isinstance(self.c, str) else "".join(self.c)
        if self.rule in ("float", "test"):
            named = "f"
        elif self.rule == "logical":
            named = "b"
        return named + ("c" if self.complex else "")

    def expression(self, kind: str) -> str | None:
        """The C expression for a kind of dtype, or None where it has none."""
        if kind not in self.kinds or kind == "c":
            return None
        if isinstance(self.c, str):
            return self.c
        return next((text for kinds, text in self.c.items() if kind in kinds), None)


def _unary(name: str, rule: Rule, c: str | dict[str, str], numpy: str, doc: str, **rest: object) -> Op:
    return Op(name, 1, rule, c, numpy, doc, **rest)  # type: ignore[arg-type]


def _binary(name: str, rule: Rule, c: str | dict[str, str], numpy: str, doc: str, **rest: object) -> Op:
    return Op(name, 2, rule, c, numpy, doc, **rest)  # type: ignore[arg-type]


_ZERO = ("ZeroDivisionError", "integer division by zero")
_NEGATIVE_POWER = ("ValueError", "an integer to a negative integer power; cast to a float first")

ELEMENTWISE: tuple[Op, ...] = (
    # --- one operand -----------------------------------------------------------------------------------------------
    _unary("abs", "same", {"bu": "a", "i": "(T)(a < 0 ? -a : a)", "f": "fabs(a)"}, "np.abs(a)", "Absolute value.",
           operator="abs", aliases=("absolute",)),
    _unary("neg", "same", {"iu": "(T)(0 - (UT)a)", "f": "-a"}, "np.negative(a)", "The number with its sign turned.",
           complex=True, operator="neg", aliases=("negative",)),
    _unary("positive", "same", {"iuf": "a"}, "np.positive(a)", "The number itself, in a tensor of its own.",
           complex=True, operator="pos"),
    _unary("square", "same", {"iu": "(T)((UT)a * (UT)a)", "f": "a * a"}, "np.square(a)", "a times a.", complex=True),
    _unary("sqrt", "float", "sqrt(a)", "np.sqrt(a)", "Square root.", complex=True, domain=(0, 1e6)),
    _unary("rsqrt", "float", "1 / sqrt(a)", "1 / np.sqrt(a)", "One over the square root.", domain=(1e-3, 1e6)),
    _unary("exp", "float", "exp(a)", "np.exp(a)", "e to the power a.", complex=True,
           special_case=("exp", "exp_special(a)"), domain=(-80, 80)),
    _unary("exp2", "float", "exp2(a)", "np.exp2(a)", "2 to the power a.",
           special_case=("exp2", "exp2_special(a)"), domain=(-100, 100)),
    _unary("expm1", "float", "expm1(a)", "np.expm1(a)", "exp(a) - 1, exact near 0.",
           special_case=("exp", "expm1_special(a)"), domain=(-80, 80)),
    _unary("log", "float", "log(a)", "np.log(a)", "Natural logarithm.", complex=True,
           special_case=("log", "log_special(a)"), domain=(1e-6, 1e6)),
    _unary("log2", "float", "log2(a)", "np.log2(a)", "Logarithm to base 2.",
           special_case=("log", "log2_special(a)"), domain=(1e-6, 1e6)),
    _unary("log10", "float", "log10(a)", "np.log10(a)", "Logarithm to base 10.",
           special_case=("log", "log10_special(a)"), domain=(1e-6, 1e6)),
    _unary("log1p", "float", "log1p(a)", "np.log1p(a)", "log(1 + a), exact near 0.",
           special_case=("log1p", "log1p_special(a)"), domain=(-0.9, 1e6)),
    _unary("sin", "float", "sin(a)", "np.sin(a)", "Sine of an angle in radians.", complex=True,
           special_case=("angle", "libm_sin(a)"), domain=(-1e3, 1e3)),
    _unary("cos", "float", "cos(a)", "np.cos(a)", "Cosine of an angle in radians.", complex=True,
           special_case=("angle", "libm_cos(a)"), domain=(-1e3, 1e3)),
    _unary("tan", "float", "tan(a)", "np.tan(a)", "Tangent of an angle in radians.", complex=True,
           special_case=("angle", "libm_tan(a)"), domain=(-1, 1)),
    _unary("asin", "float", "asin(a)", "np.arcsin(a)", "Arc sine, in radians.", aliases=("arcsin",), domain=(-1, 1)),
    _unary("acos", "float", "acos(a)", "np.arccos(a)", "Arc cosine, in radians.", aliases=("arccos",), domain=(-1, 1)),
    _unary("atan", "float", "atan(a)", "np.arctan(a)", "Arc tangent, in radians.", aliases=("arctan",)),
    _unary("sinh", "float", "sinh(a)", "np.sinh(a)", "Hyperbolic sine.", complex=True, domain=(-80, 80)),
    _unary("cosh", "float", "cosh(a)", "np.cosh(a)", "Hyperbolic cosine.", complex=True, domain=(-80, 80)),
    _unary("tanh", "float", "tanh(a)", "np.tanh(a)", "Hyperbolic tangent.", complex=True),
    _unary("asinh", "float", "asinh(a)", "np.arcsinh(a)", "Inverse hyperbolic sine.", aliases=("arcsinh",)),
    _unary("acosh", "float", "acosh(a)", "np.arccosh(a)", "Inverse hyperbolic cosine.", aliases=("arccosh",),
           domain=(1, 1e6)),
    _unary("atanh", "float", "atanh(a)", "np.arctanh(a)", "Inverse hyperbolic tangent.", aliases=("arctanh",),
           domain=(-0.99, 0.99)),
    _unary("ceil", "same", {"biu": "a", "f": "ceil(a)"}, "np.ceil(a) if a.dtype.kind not in 'biu' else a",
           "The smallest whole number not below a."),
    _unary("floor", "same", {"biu": "a", "f": "floor(a)"}, "np.floor(a) if a.dtype.kind not in 'biu' else a",
           "The largest whole number not above a."),
    _unary("trunc", "same", {"biu": "a", "f": "trunc(a)"}, "np.trunc(a) if a.dtype.kind not in 'biu' else a",
           "The whole part of a."),
    _unary("rint", "same", {"biu": "a", "f": "rint(a)"}, "np.rint(a) if a.dtype.kind not in 'biu' else a",
           "The nearest whole number, halves to even.", aliases=()),
    _unary("sign", "same", {"i": "(T)((a > 0) - (a < 0))", "bu": "(T)(a != 0)",
                            "f": "a != a ? a : (T)((a > 0) - (a < 0))"},
           "np.sign(a) if a.dtype != bool else a", "-1, 0 or 1 by the sign of a; NaN stays NaN."),
    _unary("reciprocal", "float", "1 / a", "np.reciprocal(a)", "One over a.", complex=True, aliases=("inv",)),
    _unary("erf", "float", "erf(a)", "sp.erf(a)", "The error function.", domain=(-5, 5), ulp=8),
    _unary("sigmoid", "float", "sigmoid(a)", "sp.sigmoid(a)", "1 / (1 + exp(-a)).",
           special_case=("exp", "sigmoid_special(a)"), domain=(-80, 80), ulp=8),
    _unary("isnan", "test", "a != a", "np.isnan(a)", "True where a is not a number.", complex=True),
    _unary("isinf", "test", "fabs(a) == (T)INFINITY", "np.isinf(a)", "True where a is infinite.", complex=True),
    _unary("isfinite", "test", "fabs(a) < (T)INFINITY", "np.isfinite(a)", "True where a is neither infinite nor NaN.",
           complex=True),
    _unary("logical_not", "logical", "!a", "np.logical_not(a)", "True where a is zero."),
    _unary("bitwise_not", "bitwise", {"b": "!a", "iu": "(T)~a"}, "np.invert(a)", "Every bit turned.",
           operator="invert", aliases=("bitwise_invert",)),
    # --- two operands ----------------------------------------------------------------------------------------------
    _binary("add", "same", {"b": "a | b", "iu": "(T)((UT)a + (UT)b)", "f": "a + b"}, "np.add(a, b)", "Sum.",
            complex=True, operator="add"),
    _binary("sub", "same", {"iu": "(T)((UT)a - (UT)b)", "f": "a - b"}, "np.subtract(a, b)", "Difference.",
            complex=True, operator="sub", aliases=("subtract",)),
    _binary("mul", "same", {"b": "a & b", "iu": "(T)((UT)a * (UT)b)", "f": "a * b"}, "np.multiply(a, b)", "Product.",
            complex=True, operator="mul", aliases=("multiply",)),
    _binary("true_divide", "float", "a / b", "np.true_divide(a, b)", "Quotient, always a float.",
            complex=True, operator="truediv"),
    _binary("floor_divide", "same",
            {"i": "b == 0 ? FAIL : b == -1 ? (T)(0 - (UT)a) : (T)(a / b - ((a % b != 0) && ((a < 0) != (b < 0))))",
             "u": "b == 0 ? FAIL : (T)(a / b)", "f": "mt_floor_divide(a, b)"},
            "sp.floor_divide(a, b)", "Quotient, rounded down.", operator="floordiv", error=_ZERO),
    _binary("remainder", "same",
            {"i": "b == 0 ? FAIL : b == -1 ? 0 : (T)(a % b + ((a % b != 0) && ((a < 0) != (b < 0)) ? b : 0))",
             "u": "b == 0 ? FAIL : (T)(a % b)", "f": "mt_remainder(a, b)"},
            "np.remainder(a, b)", "What floor_divide leaves; it has the divisor's sign.", operator="mod", error=_ZERO),
    _binary("fmod", "same", {"i": "b == 0 ? FAIL : b == -1 ? 0 : (T)(a % b)", "u": "b == 0 ? FAIL : (T)(a % b)",
                             "f": "fmod(a, b)"},
            "np.fmod(a, b)", "What a division rounded towards zero leaves; it has the dividend's sign.", error=_ZERO),
    _binary("pow", "same", {"i": "b < 0 ? FAIL : (T)mt_ipow((uint64_t)a, (uint64_t)b)",
                            "u": "(T)mt_ipow((uint64_t)a, (uint64_t)b)", "f": "pow(a, b)"},
            "np.power(a, b)", "a to the power b.", complex=True, operator="pow", aliases=("power",),
            error=_NEGATIVE_POWER, domain=(0.1, 10)),
    _binary("maximum", "same", {"biu": "a > b ? a : b", "f": "mt_larger(a, b)"},
            "np.maximum(a, b)", "The larger of two; NaN wins."),
    _binary("minimum", "same", {"biu": "a < b ? a : b", "f": "mt_smaller(a, b)"},
            "np.minimum(a, b)", "The smaller of two; NaN wins."),
    _binary("atan2", "float", "atan2(a, b)", "np.arctan2(a, b)", "Angle of the point (b, a), in radians.",
            aliases=("arctan2",)),
    _binary("hypot", "float", "hypot(a, b)", "np.hypot(a, b)", "sqrt(a*a + b*b) without overflow."),
    _binary("eq", "compare", "a == b", "np.equal(a, b)", "True where equal.", complex=True, operator="eq",
            aliases=("equal",)),
    _binary("ne", "compare", "a != b", "np.not_equal(a, b)", "True where not equal.", complex=True, operator="ne",
            aliases=("not_equal",)),
    _binary("lt", "compare", "a < b", "np.less(a, b)", "True where a is less.", operator="lt", aliases=("less",)),
    _binary("le", "compare", "a <= b", "np.less_equal(a, b)", "True where a is not greater.", operator="le",
            aliases=("less_equal",)),
    _binary("gt", "compare", "a > b", "np.greater(a, b)", "True where a is greater.", operator="gt",
            aliases=("greater",)),
    _binary("ge", "compare", "a >= b", "np.greater_equal(a, b)", "True where a is not less.", operator="ge",
            aliases=("greater_equal",)),
    _binary("logical_and", "logical", "a & b", "np.logical_and(a, b)", "True where both are non-zero."),
    _binary("logical_or", "logical", "a | b", "np.logical_or(a, b)", "True where one is non-zero."),
    _binary("logical_xor", "logical", "a ^ b", "np.logical_xor(a, b)", "True where exactly one is non-zero."),
    _binary("bitwise_and", "bitwise", {"biu": "a & b"}, "np.bitwise_and(a, b)", "And, bit by bit.", operator="and"),
    _binary("bitwise_or", "bitwise", {"biu": "a | b"}, "np.bitwise_or(a, b)", "Or, bit by bit.", operator="or"),
    _binary("bitwise_xor", "bitwise", {"biu": "a ^ b"}, "np.bitwise_xor(a, b)", "Exclusive or, bit by bit.",
            operator="xor"),
    _binary("bitwise_left_shift", "bitwise",
            {"i": "b < 0 ? FAIL : (UT)b < 8 * sizeof(T) ? (T)((UT)a << b) : 0",
             "u": "b < 8 * sizeof(T) ? (T)(a << b) : 0"},
            "np.left_shift(a, b)", "Bits moved up by b.", operator="lshift",
            error=("ValueError", "a shift by a negative number of bits")),
    _binary("bitwise_right_shift", "bitwise",
            {"i": "b < 0 ? FAIL : (UT)b < 8 * sizeof(T) ? (T)(a >> b) : (T)(a < 0 ? -1 : 0)",
             "u": "b < 8 * sizeof(T) ? (T)(a >> b) : 0"},
            "np.right_shift(a, b)", "Bits moved down by b.", operator="rshift",
            error=("ValueError", "a shift by a negative number of bits")),
    # --- three operands --------------------------------------------------------------------------------------------
    Op("where", 3, "where", "a ? b : c", "np.where(a, b, c)", "Elements of input where the condition holds, else other.",
       complex=True, params=("condition", "input", "other")),
    Op("clamp", 3, "same", {"biu": "(a < b ? b : a) > c ? c : (a < b ? b : a)", "f": "mt_smaller(mt_larger(a, b), c)"},
       "np.minimum(np.maximum(a, b), c)", "Elements below `min` become `min`, those above `max` become `max`; either or both may be left out, NaN stays.",
       params=("input", "min", "max")),
    Op("lerp", 3, "float", "a + c * (b - a)", "a + c * (b - a)", "input + weight * (end - input).",
       params=("input", "end", "weight"), domain=(-100, 100), ulp=64),
)

REDUCTIONS: tuple[Op, ...] = (
    # The expression says how the running value `a` takes in the next element `b`; folds.h adds the better-than-naive
    # summation, the position of argmin and argmax, and the division of mean.
    Op("sum", 1, "sum", {"iu": "(T)((UT)a + (UT)b)", "f": "a + b"}, "np.sum(a, axis=axis, keepdims=keepdims)",
       "Sum of the elements; of no elements, 0.", complex=True),
    Op("prod", 1, "sum", {"iu": "(T)((UT)a * (UT)b)", "f": "a * b"}, "np.prod(a, axis=axis, keepdims=keepdims)",
       "Product of the elements; of no elements, 1.", complex=True),
    Op("amin", 1, "same", {"biu": "b < a ? b : a", "f": "a != a ? a : b != b ? b : b < a ? b : a"},
       "np.min(a, axis=axis, keepdims=keepdims)", "The least element; NaN wins."),
    Op("amax", 1, "same", {"biu": "b > a ? b : a", "f": "a != a ? a : b != b ? b : b > a ? b : a"},
       "np.max(a, axis=axis, keepdims=keepdims)", "The greatest element; NaN wins."),
    Op("any", 1, "logical", "a | b", "np.any(a, axis=axis, keepdims=keepdims)", "True where one element is non-zero."),
    Op("all", 1, "logical", "a & b", "np.all(a, axis=axis, keepdims=keepdims)", "True where no element is zero."),
    Op("mean", 1, "float", "a + b", "sp.mean(a, axis, keepdims)", "The arithmetic mean.", complex=True),
    Op("argmin", 1, "index", {"biuf": "b < a"}, "sp.argmin(a, axis, keepdims)",
       "Position of the first least element; NaN wins."),
    Op("argmax", 1, "index", {"biuf": "b > a"}, "sp.argmax(a, axis, keepdims)",
       "Position of the first greatest element; NaN wins."),
)

OPS: dict[str, Op] = {op.name: op for op in ELEMENTWISE + REDUCTIONS}
CODES: dict[str, int] = {name: code for code, name in enumerate(OPS)}
