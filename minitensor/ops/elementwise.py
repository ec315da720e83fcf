"""Elementwise functions: the rows of the op table, and functions that combine them."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from minitensor.backend.native import finish, lib, operators
from minitensor.dtype import as_dtype
from minitensor.ops._dispatch import WRONG, as_tensor, assign, host, name_op, named
from minitensor.optable import ELEMENTWISE, Op
from minitensor.tensor import Tensor, wrap
from minitensor.typing import DTypeLike, TensorLike

FUNCTIONS: dict[str, Callable[..., Tensor]] = {  # by name and alias; they are C functions (backend/native/python_operators.c)
    name: operators.FUNCTIONS[op.name] for op in ELEMENTWISE for name in (op.name, *op.aliases)
}
globals().update(FUNCTIONS)  # a function below may replace one


# --- operators -------------------------------------------------------------------------------------------------------
_IN_PLACE = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift")


def _in_place(op: Op) -> Callable[..., Any]:
    compute = getattr(Tensor, f"__{op.operator}__")

    def method(self: Tensor, other: Any) -> Any:
        result = compute(self, other)
        if result is NotImplemented:
            return result
        order = "biufc"
        if order.index(result.dtype.kind.replace("u", "i")) > order.index(self.dtype.kind.replace("u", "i")):
            raise TypeError(f"[{op.name}] the result is {result.dtype}, which {self.dtype} can't hold; write t = t ... instead")
        assign(self, result, op.name)
        return self

    return method


def install() -> None:
    """Gives Tensor what its base class lacks: operators that write in place, aliases, and what is made of several ops."""
    for op in ELEMENTWISE:
        if op.operator in _IN_PLACE:
            setattr(Tensor, f"__i{op.operator}__", _in_place(op))
        if op.inputs <= 2:
            for alias in op.aliases:
                setattr(Tensor, alias, getattr(Tensor, op.name))
    setattr(Tensor, "__divmod__", lambda self, other: (self // other, self % other))  # noqa: B010
    for method in (round, div, clamp, clip, cast, isclose, allclose, nan_to_num):
        setattr(Tensor, method.__name__, method)
    Tensor.__round__ = lambda self, ndigits=0: round(self, decimals=ndigits or 0)  # type: ignore[assignment]
    Tensor.astype = astype  # type: ignore[assignment]


# --- combinations ----------------------------------------------------------------------------------------------------
_abs, _rint, _trunc, _where = FUNCTIONS["abs"], FUNCTIONS["rint"], FUNCTIONS["trunc"], FUNCTIONS["where"]


def round(input: TensorLike, *, decimals: int = 0) -> Tensor:
    """Rounds to `decimals` places, halves to even, as NumPy does.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.round(Tensor([0.5, 1.5, 2.25]), decimals=1)
        Tensor(shape=[3], dtype=Float32, value= [ 5.00000000e-01,  1.50000000e+00,  2.20000005e+00])
    """
    input = as_tensor(input, "round")
    if decimals == 0 or (input.dtype.kind in "biu" and decimals > 0):
        try:
            return _rint(input)
        except WRONG as error:
            name_op(error, "round")
            raise
    factor = 10.0 ** builtins.abs(decimals)
    wide = cast(input, "float64") if input.dtype.kind in "iu" else input  # float32 counts to 2**24
    if decimals > 0:
        return _rint(input * factor) / factor
    result = _rint(wide / factor) * factor
    return cast(result, input.dtype)


def div(input: TensorLike, other: TensorLike, *, rounding_mode: Literal["floor", "trunc"] | None = None) -> Tensor:
    """Quotient; with `rounding_mode` "floor" or "trunc" rounded down or towards zero, in the operands' dtype.

    Raises:
        ValueError: for another rounding mode.
    """
    try:
        if rounding_mode is None:
            return FUNCTIONS["true_divide"](input, other)
        if rounding_mode == "floor":
            return FUNCTIONS["floor_divide"](input, other)
        return _truncated(input, other, rounding_mode)
    except WRONG as error:
        name_op(error, "div")
        raise


def _truncated(input: Any, other: Any, rounding_mode: str) -> Tensor:
    if rounding_mode != "trunc":
        raise ValueError(f"[div] rounding_mode must be None, 'floor' or 'trunc', got {rounding_mode!r}")
    remainder = FUNCTIONS["fmod"](input, other)
    if remainder.dtype.kind in "iu":  # exact: what fmod leaves off is the rest of a truncated division
        return FUNCTIONS["floor_divide"](FUNCTIONS["sub"](input, remainder), other)
    return _trunc(FUNCTIONS["true_divide"](input, other))


divide = div


def clamp(input: TensorLike, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
    """Elements below `min` become `min`, those above `max` become `max`; either or both may be left out, NaN stays."""
    return _clamped("clamp", as_tensor(input, "clamp"), min, max)


def _clamped(op: str, input: Tensor, min: Any, max: Any) -> Tensor:
    kind, bits = input.dtype.kind, 8 * input.dtype.itemsize
    if kind in "iu":  # a bound that no element reaches bounds nothing; as an operand it would wrap
        least, greatest = (0, (1 << bits) - 1) if kind == "u" else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        if (min.__class__ is int and min > greatest) or (max.__class__ is int and max < least):
            raise OverflowError(f"[{op}] {input.dtype} goes from {least} to {greatest}, got min {min} and max {max}")
        min = None if min.__class__ is int and min <= least else min
        max = None if max.__class__ is int and max >= greatest else max
    if min is None and max is None:
        return input.copy()
    if max is None:
        return FUNCTIONS["maximum"](input, min)
    return FUNCTIONS["minimum"](input, max) if min is None else FUNCTIONS["clamp"](input, min, max)


@named
def clip(input: TensorLike, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
    """The same as `clamp`."""
    return _clamped("clip", as_tensor(input, "clip"), min, max)


def cast(input: TensorLike, dtype: DTypeLike) -> Tensor:
    """The elements in another dtype, in a tensor of its own.

    Floats are cut off towards zero; what an integer dtype can't hold wraps; everything but zero is True.

    Raises:
        TypeError: when `dtype` is none, or complex numbers would lose their imaginary part.
    """
    source = as_tensor(input, "cast")
    ref = lib.mt_cast(source._h, as_dtype(dtype, "cast").code)
    return wrap(ref if ref > 0 else finish(ref))


def astype(self: Tensor, dtype: DTypeLike, copy: bool = True) -> Tensor:
    """The tensor in another dtype; with `copy=False` itself when it has that dtype already."""
    return self if not copy and as_dtype(dtype, "astype") is self.dtype else cast(self, dtype)


@named
def isclose(input: TensorLike, other: TensorLike, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """True where |input - other| <= atol + rtol * |other|; infinities are close to themselves only."""
    a, b = as_tensor(input, "isclose"), as_tensor(other, "isclose")
    if a.dtype.kind not in "fc" and b.dtype.kind not in "fc":
        a, b = cast(a, "float64"), cast(b, "float64")
    isfinite, isnan = FUNCTIONS["isfinite"], FUNCTIONS["isnan"]
    near = (_abs(a - b) <= atol + rtol * _abs(b)) & isfinite(a) & isfinite(b)
    result = near | (a == b)
    return result | (isnan(a) & isnan(b)) if equal_nan else result


@named
def allclose(input: TensorLike, other: TensorLike, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Is `isclose` true everywhere?"""
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


@named
def nan_to_num(input: TensorLike, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """NaN and infinities replaced: by `nan`, and by the dtype's largest and least number unless others are given."""
    a = as_tensor(input, "nan_to_num")
    if a.dtype.kind == "c":
        return host("nan_to_num", np.nan_to_num, [a], a.shape, a.dtype, {"nan": nan, "posinf": posinf, "neginf": neginf})
    if a.dtype.kind != "f":
        return a.copy()
    import ml_dtypes

    limits = ml_dtypes.finfo(a.dtype.numpy)
    a = _where(FUNCTIONS["isnan"](a), float(nan), a)
    a = _where(a == float("inf"), float(limits.max) if posinf is None else posinf, a)
    return _where(a == float("-inf"), float(limits.min) if neginf is None else neginf, a)


def is_tensor(value: TensorLike) -> bool:
    """Is it a Tensor?"""
    return isinstance(value, Tensor)


__all__ = [*FUNCTIONS, "round", "div", "divide", "clip", "cast", "isclose", "allclose", "nan_to_num", "is_tensor"]
