"""Elementwise functions: the rows of the op table, and functions that combine them."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from minitensor.backend.core import operators
from minitensor.dtype import as_dtype
from minitensor.ops._dispatch import WRONG, as_tensor, assign, host, name_op, named
from minitensor.optable import ELEMENTWISE
from minitensor.tensor import Tensor

if TYPE_CHECKING:
    from minitensor.typing import DTypeLike, TensorLike

# by name and alias: C functions (core/python/py_operators.c)
FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    name: operators.FUNCTIONS[op.name] for op in ELEMENTWISE for name in (op.name, *op.aliases)
}
globals().update(FUNCTIONS)  # a function below may replace one


# --- operators ------------------------------------------------------------------------------------
def _take_result(self: Tensor, code: int, result: Tensor) -> Tensor:
    """Assign the result of an operator such as += whose op can't write to the tensor directly."""
    op, order = ELEMENTWISE[code].name, "biufc"
    if order.index(result.dtype.kind.replace("u", "i")) > order.index(
        self.dtype.kind.replace("u", "i")
    ):
        raise TypeError(
            f"[{op}] the result must fit into the tensor's dtype {self.dtype}, got {result.dtype}; "
            "write t = t ..."
        )
    assign(self, result, op)
    return self


def install() -> None:
    """Give Tensor its aliases, and the functions below."""
    setattr(Tensor, "_take_result", _take_result)  # noqa: B010
    for op in ELEMENTWISE:
        if op.inputs <= 2:
            for alias in op.aliases:
                setattr(Tensor, alias, getattr(Tensor, op.name))
    setattr(Tensor, "__divmod__", lambda self, other: (self // other, self % other))  # noqa: B010
    for method in (round, div, divide, lerp, clamp, clip, cast, isclose, allclose, nan_to_num):
        setattr(Tensor, method.__name__, method)
    Tensor.__round__ = (  # type: ignore[assignment]
        lambda self, ndigits=0: round(self, decimals=ndigits or 0)
    )
    Tensor.astype = astype  # type: ignore[assignment]


# --- combinations ---------------------------------------------------------------------------------
_abs, _rint, _trunc, _where = (
    FUNCTIONS["abs"],
    FUNCTIONS["rint"],
    FUNCTIONS["trunc"],
    FUNCTIONS["where"],
)


def round(input: TensorLike, *, decimals: int = 0) -> Tensor:
    """Round to a number of decimals; round halves to even.

    Args:
        input: a tensor-like of any shape and dtype.
        decimals: the number of decimals; a negative number rounds to tens, hundreds and so on.

    Returns:
        A new tensor of the input's shape and dtype.

    Raises:
        TypeError: the input is not tensor-like, or is complex.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.round(Tensor([0.5, 1.5, 2.25]), decimals=1))
        [0.5 1.5 2.2]
    """
    input = as_tensor(input, "round")
    if decimals == 0 or (input.dtype.kind in "biu" and decimals > 0):
        try:
            return _rint(input)
        except WRONG as error:
            name_op(error, "round")
            raise
    factor = 10.0 ** builtins.abs(decimals)
    wide = (
        cast(input, "float64") if input.dtype.kind in "iu" else input
    )  # float32 holds integers to 2**24
    if decimals > 0:
        return _rint(input * factor) / factor
    result = _rint(wide / factor) * factor
    return cast(result, input.dtype)


def lerp(input: TensorLike, end: TensorLike, weight: TensorLike) -> Tensor:
    """Interpolate linearly: return input + weight * (end - input).

    Args:
        input: a tensor-like of any shape; bool, int, uint or float.
        end: a tensor-like of a shape that broadcasts with `input`.
        weight: a tensor-like of a shape that broadcasts with `input`.

    Returns:
        A new tensor of the broadcast shape and the dtype that the operands promote to, at least
        float32.

    Raises:
        TypeError: an operand is not tensor-like, or is complex.
        ValueError: the shapes do not broadcast.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.lerp(Tensor([0.0, 10.0]), Tensor([1.0, 20.0]), 0.5))
        [ 0.5 15. ]
    """
    return FUNCTIONS["lerp"](input, end, weight)


def div(
    input: TensorLike, other: TensorLike, *, rounding_mode: Literal["floor", "trunc"] | None = None
) -> Tensor:
    """Return the quotient, rounded as `rounding_mode` says.

    Args:
        input: the dividend, a tensor-like of any shape and dtype.
        other: the divisor, a tensor-like of a shape that broadcasts with `input`.
        rounding_mode: None for the exact quotient, "floor" to round down, "trunc" to round towards
            zero.

    Returns:
        A new tensor: floats without a rounding mode, the dtype that the operands promote to with
            one.

    Raises:
        TypeError: an operand is not tensor-like, or is complex where a mode is given.
        ValueError: the shapes do not broadcast, or the rounding mode is another one.
        ZeroDivisionError: a rounded division of integers by zero; raised by the read of the value.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.div(Tensor([7, -7]), 2), ops.div(Tensor([7, -7]), 2, rounding_mode="trunc"))
        [ 3.5 -3.5] [ 3 -3]
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


@named
def gelu(input: TensorLike, approximate: Literal["none", "tanh"] = "none") -> Tensor:
    """Return input * Phi(input), with Phi the normal distribution.

    Args:
        input: a tensor-like of any shape; bool, int, uint or float.
        approximate: "none", or "tanh" for the approximation of Hendrycks and Gimpel (2016).

    Returns:
        A new tensor of the input's shape; float32 for integers and bools.

    Raises:
        TypeError: the input is not tensor-like, or is complex.
        ValueError: `approximate` is another one.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.gelu(Tensor([0.0, 10.0])))
        [ 0. 10.]
    """
    if approximate == "none":
        return FUNCTIONS["gelu"](input)
    if approximate != "tanh":
        raise ValueError(f"[gelu] approximate must be 'none' or 'tanh', got {approximate!r}")
    x = as_tensor(input, "gelu")
    factor = 2 * math.sqrt(2 / math.pi)  # 1 + tanh(y) is 2 * sigmoid(2 * y)
    return x * FUNCTIONS["sigmoid"](x * (FUNCTIONS["square"](x) * (0.044715 * factor) + factor))


@named
def softplus(input: TensorLike, beta: float = 1, threshold: float = 20) -> Tensor:
    """Return log(1 + exp(beta * input)) / beta.

    Args:
        input: a tensor-like of any shape; bool, int, uint or float.
        beta: the factor of the input; not 0.
        threshold: where beta * input is above it, the result is the input itself.

    Returns:
        A new tensor of the input's shape; float32 for integers and bools.

    Raises:
        TypeError: the input is not tensor-like, or is complex.
        ValueError: beta is 0.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.softplus(Tensor([-200.0, 30.0])))
        [ 0. 30.]
    """
    if beta == 0:
        raise ValueError(f"[softplus] beta must not be 0, got {beta}")
    if beta == 1 and threshold == 20:
        return FUNCTIONS["softplus"](input)
    x = as_tensor(input, "softplus")
    y = x * beta
    rest = FUNCTIONS["log1p"](FUNCTIONS["exp"](-_abs(y)))  # exp can't overflow
    return _where(y > threshold, x, (FUNCTIONS["maximum"](y, 0) + rest) / beta)


def _truncated(input: Any, other: Any, rounding_mode: str) -> Tensor:
    if rounding_mode != "trunc":
        raise ValueError(
            f"[div] rounding_mode must be None, 'floor' or 'trunc', got {rounding_mode!r}"
        )
    remainder = FUNCTIONS["fmod"](input, other)
    if remainder.dtype.kind in "iu":  # exact: fmod is the remainder of a truncated division
        return FUNCTIONS["floor_divide"](FUNCTIONS["sub"](input, remainder), other)
    return _trunc(FUNCTIONS["true_divide"](input, other))


divide = div


def clamp(
    input: TensorLike, min: TensorLike | None = None, max: TensorLike | None = None
) -> Tensor:
    """Limit the elements to the range from `min` to `max`, each of which may be None; NaN stays.

    Args:
        input: a tensor-like of any shape; bool, int, uint or float.
        min: the least value, a tensor-like that broadcasts with `input`; None sets no bound.
        max: the greatest value, a tensor-like that broadcasts with `input`; None sets no bound.

    Returns:
        A new tensor of the dtype that the operands promote to.

    Raises:
        TypeError: an operand is not tensor-like, or is complex.
        ValueError: the shapes do not broadcast.
        OverflowError: the bounds exclude every integer of the input's dtype.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.clamp(Tensor([1, 5, 9]), 2, 8))
        [2 5 8]
    """
    return _clamped("clamp", as_tensor(input, "clamp"), min, max)


def _clamped(op: str, input: Tensor, min: Any, max: Any) -> Tensor:
    kind, bits = input.dtype.kind, 8 * input.dtype.itemsize
    if kind in "iu":  # a bound outside the dtype has no effect; cast, it would wrap
        least, greatest = (
            (0, (1 << bits) - 1) if kind == "u" else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        )
        if (min.__class__ is int and min > greatest) or (max.__class__ is int and max < least):
            raise OverflowError(
                f"[{op}] min and max must leave a value of {input.dtype}, from {least} to "
                f"{greatest}, got {min} and {max}"
            )
        min = None if min.__class__ is int and min <= least else min
        max = None if max.__class__ is int and max >= greatest else max
    if min is None and max is None:
        return input.copy()
    if max is None:
        return FUNCTIONS["maximum"](input, min)
    return FUNCTIONS["minimum"](input, max) if min is None else FUNCTIONS["clamp"](input, min, max)


@named
def clip(input: TensorLike, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
    """Limit the elements to the range from `min` to `max`; an alias of `clamp`.

    Args:
        input: a tensor-like of any shape; bool, int, uint or float.
        min: the least value, a tensor-like that broadcasts with `input`; None sets no bound.
        max: the greatest value, a tensor-like that broadcasts with `input`; None sets no bound.

    Returns:
        A new tensor of the dtype that the operands promote to.

    Raises:
        TypeError: an operand is not tensor-like, or is complex.
        ValueError: the shapes do not broadcast.
        OverflowError: the bounds exclude every integer of the input's dtype.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.clip(Tensor([1, 5, 9]), max=6))
        [1 5 6]
    """
    return _clamped("clip", as_tensor(input, "clip"), min, max)


@operators.fast
def cast(input: TensorLike, dtype: DTypeLike) -> Tensor:
    """Return the elements in another dtype, in new memory.

    A float is cut off towards zero, an integer beyond the new dtype wraps, and every number but
    zero is True.

    Args:
        input: a tensor-like of any shape and dtype.
        dtype: the new dtype.

    Returns:
        A new tensor of the input's shape.

    Raises:
        TypeError: `dtype` names no dtype, or complex numbers would lose their imaginary part.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.cast(Tensor([1.7, -1.7]), "int8"))
        [ 1 -1]
    """
    return operators.cast(as_tensor(input, "cast"), as_dtype(dtype, "cast").code)


@operators.fast
def astype(self: Tensor, dtype: DTypeLike, copy: bool = True) -> Tensor:
    """Return the tensor in another dtype.

    Args:
        dtype: the new dtype.
        copy: False returns the tensor itself if it has that dtype already.

    Returns:
        A tensor of the same shape; a new one unless `copy` is False.

    Raises:
        TypeError: `dtype` names no dtype, or complex numbers would lose their imaginary part.

    Example:
        >>> from minitensor import Tensor
        >>> print(Tensor([1.7, -1.7]).astype("int8"))
        [ 1 -1]
    """
    wanted = as_dtype(dtype, "astype")
    if not copy and wanted is self.dtype:
        return self
    try:
        return operators.cast(self, wanted.code)
    except WRONG as error:
        name_op(error, "astype")
        raise


@named
def isclose(
    input: TensorLike,
    other: TensorLike,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
) -> Tensor:
    """Return True where |input - other| <= atol + rtol * |other|.

    Args:
        input: a tensor-like of any shape and dtype.
        other: a tensor-like of a shape that broadcasts with `input`.
        rtol: the tolerance relative to `other`.
        atol: the absolute tolerance.
        equal_nan: True takes two NaNs for close; infinities are close to equal infinities only.

    Returns:
        A new tensor of bools.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the shapes do not broadcast.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.isclose(Tensor([1.0, 2.0]), Tensor([1.0, 2.1])))
        [ True False]
    """
    a, b = as_tensor(input, "isclose"), as_tensor(other, "isclose")
    if a.dtype.kind not in "fc" and b.dtype.kind not in "fc":
        a, b = cast(a, "float64"), cast(b, "float64")
    isfinite, isnan = FUNCTIONS["isfinite"], FUNCTIONS["isnan"]
    near = (_abs(a - b) <= atol + rtol * _abs(b)) & isfinite(a) & isfinite(b)
    result = near | (a == b)
    return result | (isnan(a) & isnan(b)) if equal_nan else result


@named
def allclose(
    input: TensorLike,
    other: TensorLike,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
) -> bool:
    """Return True if all elements are close, as `isclose` defines it; wait for the values.

    Args:
        input: a tensor-like of any shape and dtype.
        other: a tensor-like of a shape that broadcasts with `input`.
        rtol: the tolerance relative to `other`.
        atol: the absolute tolerance.
        equal_nan: True takes two NaNs for close.

    Returns:
        A Python bool.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the shapes do not broadcast.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.allclose(Tensor([1.0]), Tensor([1.0 + 1e-7]))
        True
    """
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


@named
def nan_to_num(
    input: TensorLike, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """Replace NaN and infinities by numbers.

    Args:
        input: a tensor-like of any shape and dtype.
        nan: what replaces NaN.
        posinf: what replaces infinity; None means the dtype's greatest number.
        neginf: what replaces minus infinity; None means the dtype's least number.

    Returns:
        A new tensor of the input's shape and dtype.

    Raises:
        TypeError: the input is not tensor-like.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.nan_to_num(Tensor([1.0, float("nan")])))
        [1. 0.]
    """
    a = as_tensor(input, "nan_to_num")
    if a.dtype.kind == "c":
        return host(
            "nan_to_num",
            np.nan_to_num,
            [a],
            a.shape,
            a.dtype,
            {"nan": nan, "posinf": posinf, "neginf": neginf},
        )
    if a.dtype.kind != "f":
        return a.copy()
    import ml_dtypes

    limits = ml_dtypes.finfo(a.dtype.numpy)
    a = _where(FUNCTIONS["isnan"](a), float(nan), a)
    a = _where(a == float("inf"), float(limits.max) if posinf is None else posinf, a)
    return _where(a == float("-inf"), float(limits.min) if neginf is None else neginf, a)


def is_tensor(value: TensorLike) -> bool:
    """Return True if `value` is a Tensor.

    Args:
        value: any object.

    Returns:
        A Python bool.

    Raises:
        TypeError: no value is given.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.is_tensor(Tensor(1)), ops.is_tensor(1)
        (True, False)
    """
    return isinstance(value, Tensor)


__all__ = [
    *FUNCTIONS,
    "round",
    "div",
    "divide",
    "clip",
    "cast",
    "isclose",
    "allclose",
    "nan_to_num",
    "is_tensor",
]
