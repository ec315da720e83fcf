"""Elementwise functions that ops of the table make up: limits, products, powers, differences.

And functions that mean something to a graph compiler or to automatic differentiation: without
either, `stop_gradient` and `depend` return their value, and `partial` is Python's.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from minitensor.dtype import complex128, float64
from minitensor.ops import reduce
from minitensor.ops._dispatch import as_tensor, axis_aliases, named, normalize_axis
from minitensor.ops.elementwise import FUNCTIONS
from minitensor.ops.joining import concat
from minitensor.ops.shape import _one_int
from minitensor.ops.ufuncs import FUNCTIONS as OF_NUMPY
from minitensor.ops.ufuncs import operands
from minitensor.tensor import Tensor

if TYPE_CHECKING:
    from minitensor.typing import AxisLike, RealLike, TensorLike

__all__ = [
    "addcdiv", "addcmul", "addn", "accumulate_n", "approximate_equal", "clip_by_global_norm",
    "clip_by_norm", "clip_by_value", "depend", "diff", "float_power", "is_complex",
    "is_floating_point", "logit", "mvlgamma", "partial", "polygamma", "stop_gradient",
]  # fmt: skip

_log, _abs, _mul, _maximum, _minimum = (
    FUNCTIONS[name] for name in ("log", "abs", "mul", "maximum", "minimum")
)
_lgamma = OF_NUMPY["lgamma"]



@named
def addcmul(
    input: TensorLike, tensor1: TensorLike, tensor2: TensorLike, value: RealLike = 1
) -> Tensor:
    """Return input + value * tensor1 * tensor2.

    Args:
        input: a tensor-like of any dtype.
        tensor1: a tensor-like of a shape that broadcasts.
        tensor2: a tensor-like of a shape that broadcasts.
        value: the factor, a number or a tensor of one.

    Returns:
        A new tensor of the broadcast shape and the dtype that the operands promote to.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the shapes do not broadcast.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.addcmul(Tensor([1.0, 2.0]), Tensor([3.0, 4.0]), Tensor([5.0, 6.0]), 2))
        [31. 50.]
    """
    t = as_tensor(input, "addcmul")
    product = _mul(as_tensor(tensor1, "addcmul", t), tensor2)
    return t + (product if value.__class__ is int and value == 1 else _mul(product, value))


@named
def addcdiv(
    input: TensorLike, tensor1: TensorLike, tensor2: TensorLike, value: RealLike = 1
) -> Tensor:
    """Return input + value * tensor1 / tensor2.

    Args:
        input: a tensor-like of any dtype.
        tensor1: the dividends, a tensor-like of a shape that broadcasts.
        tensor2: the divisors, a tensor-like of a shape that broadcasts.
        value: the factor, a number or a tensor of one.

    Returns:
        A new tensor of the broadcast shape; float or complex.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the shapes do not broadcast.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.addcdiv(Tensor([1.0, 2.0]), Tensor([3.0, 4.0]), Tensor([2.0, 8.0])))
        [2.5 2.5]
    """
    t = as_tensor(input, "addcdiv")
    quotient = FUNCTIONS["true_divide"](as_tensor(tensor1, "addcdiv", t), tensor2)
    return t + (quotient if value.__class__ is int and value == 1 else _mul(quotient, value))


@named
def addn(x: Sequence[TensorLike]) -> Tensor:
    """Return the sum of tensors of one shape.

    Args:
        x: a list or tuple of at least one tensor-like, all of one shape.

    Returns:
        A new tensor of that shape and the dtype that the tensors promote to.

    Raises:
        TypeError: x is no list or tuple, or an element is not tensor-like.
        ValueError: x is empty, or the shapes differ.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.addn([Tensor([1, 2]), Tensor([3, 4]), Tensor([5, 6])]))
        [ 9 12]
    """
    if isinstance(x, Tensor):
        return x.copy()
    if not isinstance(x, (list, tuple)):
        raise TypeError(f"[addn] x must be a list or tuple of tensors, got {type(x).__name__}")
    tensors = [as_tensor(one, "addn") for one in x]
    if len({t.shape for t in tensors}) != 1:
        shapes = [t.shape for t in tensors] or "no tensor"
        raise ValueError(f"[addn] x must have tensors of one shape, got {shapes}")
    return functools.reduce(FUNCTIONS["add"], tensors) if len(tensors) > 1 else tensors[0].copy()


accumulate_n = addn


@named
def approximate_equal(x: TensorLike, y: TensorLike, tolerance: float = 1e-5) -> Tensor:
    """Return True where two numbers differ by less than the tolerance.

    Args:
        x: a tensor-like; int, uint or float.
        y: a tensor-like of a shape that broadcasts.
        tolerance: the first difference that is too large.

    Returns:
        A new tensor of the broadcast shape, of bools.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the shapes do not broadcast.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.approximate_equal(Tensor([1.0, 2.0]), Tensor([1.000001, 2.1])))
        [ True False]
    """
    return FUNCTIONS["lt"](_abs(FUNCTIONS["sub"](x, y)), tolerance)


@named
def clip_by_value(x: Any, clip_value_min: Any = None, clip_value_max: Any = None) -> Any:
    """Limit the elements to a range.

    Args:
        x: a tensor-like, or a list or tuple of tensor-likes.
        clip_value_min: the least value, a number or tensor; None for no limit.
        clip_value_max: the greatest value, a number or tensor; None for no limit.

    Returns:
        A new tensor of the broadcast shape, or a list or tuple of such.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: both limits are None, or the shapes do not broadcast.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.clip_by_value(Tensor([1, 5, 9]), 2, 8))
        [2 5 8]
    """
    if clip_value_min is None and clip_value_max is None:
        raise ValueError("[clip_by_value] a limit must be given, got None for both")
    if isinstance(x, (list, tuple)) and any(isinstance(one, Tensor) for one in x):
        return type(x)(clip_by_value(one, clip_value_min, clip_value_max) for one in x)
    result = as_tensor(x, "clip_by_value")
    if clip_value_min is not None:
        result = _maximum(result, clip_value_min)
    return result if clip_value_max is None else _minimum(result, clip_value_max)


@axis_aliases
def clip_by_norm(x: TensorLike, max_norm: float, axis: AxisLike | None = None) -> Tensor:
    """Scale a tensor whose norm is greater than `max_norm` down to that norm.

    Args:
        x: a tensor-like; float.
        max_norm: the greatest norm, 2-norms over `axis`.
        axis: the axis or the axes of a norm; None for all.

    Returns:
        A new tensor of the shape and dtype of `x`.

    Raises:
        TypeError: the input is not tensor-like.
        ValueError: an axis is out of range, or the norm is not above 0.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.clip_by_norm(Tensor([3.0, 4.0]), 1.0))
        [0.6 0.8]
    """
    t = as_tensor(x, "clip_by_norm")
    if not _real("clip_by_norm", max_norm, "max_norm") > 0:
        raise ValueError(f"[clip_by_norm] max_norm must be above 0, got {max_norm}")
    norms = FUNCTIONS["sqrt"](reduce.sum(t * t, axis, keepdims=True))
    return t * (max_norm / _maximum(norms, max_norm))


@named
def clip_by_global_norm(
    x: Sequence[TensorLike], clip_norm: float = 1.0, use_norm: TensorLike | None = None
) -> tuple[Tensor, ...]:
    """Scale tensors by one factor, so that their common norm is at most `clip_norm`.

    The common norm is the square root of the sum of the squares of all elements.

    Args:
        x: a list or tuple of tensor-likes; float.
        clip_norm: the greatest norm, above 0.
        use_norm: the norm, if it is known; None to compute it.

    Returns:
        A tuple of new tensors of the shapes and dtypes of those in `x`.

    Raises:
        TypeError: x is no list or tuple, or an element is not tensor-like.
        ValueError: x is empty, or the norm is not above 0.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.clip_by_global_norm([Tensor([3.0]), Tensor([4.0])])[1])
        [0.8]
    """
    op = "clip_by_global_norm"
    if not isinstance(x, (list, tuple)):
        raise TypeError(f"[{op}] x must be a list or tuple of tensors, got {type(x).__name__}")
    if not x or not _real(op, clip_norm, "clip_norm") > 0:
        raise ValueError(
            f"[{op}] x must have tensors and clip_norm be above 0, got {len(x)} and {clip_norm}"
        )
    tensors = [as_tensor(one, op) for one in x]
    if use_norm is None:
        squares = [reduce.sum(FUNCTIONS["square"](t.astype("float32", False))) for t in tensors]
        use_norm = FUNCTIONS["sqrt"](addn(squares))
    scale = clip_norm / _maximum(use_norm, clip_norm)
    return tuple((t * scale).astype(t.dtype, False) for t in tensors)


@axis_aliases
def diff(
    x: TensorLike,
    n: int = 1,
    axis: int = -1,
    prepend: TensorLike | None = None,
    append: TensorLike | None = None,
) -> Tensor:
    """Return the differences of neighbours along an axis.

    Args:
        x: a tensor-like of at least one dimension and any dtype; for bools "differs from".
        n: how many times differences are taken.
        axis: the axis.
        prepend: what to place ahead of `x` along the axis first; None for nothing.
        append: what to place behind it; None for nothing.

    Returns:
        A new tensor of the dtype of `x`, by n shorter along the axis.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: n is negative, or the axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.diff(Tensor([1, 4, 9, 16])))
        [3 5 7]
    """
    t = as_tensor(x, "diff")
    axis = normalize_axis("diff", axis, t.ndim)
    n = _one_int("diff", n, "n")
    if n < 0:
        raise ValueError(f"[diff] n must not be negative, got {n}")
    if n == 0:
        return t.copy()
    ends = [None if e is None else as_tensor(e, "diff", t) for e in (prepend, append)]
    one = [*t.shape[:axis], 1, *t.shape[axis + 1 :]]
    ahead, behind = (e if e is None or e.ndim else e.broadcast_to(one) for e in ends)
    parts = [part for part in (ahead, t, behind) if part is not None]
    t = concat(parts, axis) if len(parts) > 1 else t
    rest = (slice(None),) * axis
    subtract = FUNCTIONS["ne" if t.dtype.kind == "b" else "sub"]
    for _ in range(n):
        t = subtract(t[rest + (slice(1, None),)], t[rest + (slice(None, -1),)])
    return t


@named
def float_power(input: TensorLike, exponent: TensorLike) -> Tensor:
    """Return the input to the power of the exponent, in double precision.

    Args:
        input: a tensor-like of any dtype.
        exponent: a tensor-like of a shape that broadcasts.

    Returns:
        A new tensor of the broadcast shape; float64 or complex128.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the shapes do not broadcast.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.float_power(Tensor([2, 4]), Tensor([-1.0, 0.5])))
        [0.5 2. ]
    """
    (base, power), dtype = operands("float_power", (input, exponent))
    wide = complex128 if dtype.kind == "c" else float64
    return FUNCTIONS["pow"](base.astype(wide, False), power.astype(wide, False))


def is_complex(input: Tensor) -> bool:
    """Return True if a tensor has complex elements.

    Args:
        input: a tensor.

    Returns:
        A bool.

    Raises:
        TypeError: the input is not a tensor.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.is_complex(Tensor([1j]))
        True
    """
    return _kind("is_complex", input) == "c"


def is_floating_point(input: Tensor) -> bool:
    """Return True if a tensor has float elements.

    Args:
        input: a tensor.

    Returns:
        A bool.

    Raises:
        TypeError: the input is not a tensor.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.is_floating_point(Tensor([1]))
        False
    """
    return _kind("is_floating_point", input) == "f"


def _real(op: str, value: Any, what: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"[{op}] {what} must be a number, got {value!r}") from None


def _kind(op: str, input: Any) -> str:
    if not isinstance(input, Tensor):
        raise TypeError(f"[{op}] input must be a tensor, got {type(input).__name__}")
    return input.dtype.kind


@named
def logit(input: TensorLike, eps: float | None = None) -> Tensor:
    """Return log(input / (1 - input)), the inverse of the sigmoid function.

    Args:
        input: a tensor-like; bool, int, uint or float.
        eps: limits the input to the range from eps to 1 - eps; None for no limit, so that input
            outside the range from 0 to 1 becomes NaN.

    Returns:
        A new tensor of the input's shape and float dtype.

    Raises:
        TypeError: the input is not tensor-like, or is complex.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.logit(Tensor([0.5, 0.0]), 0.1))
        [ 0.        -2.1972246]
    """
    t = as_tensor(input, "logit")
    if t.dtype.kind == "c":
        raise TypeError(f"[logit] input must be real, got {t.dtype}")
    if eps is not None:
        limit = _real("logit", eps, "eps")
        t = _minimum(_maximum(t, limit), 1 - limit)
    return _log(t / (1 - t))


@named
def polygamma(n: int, input: TensorLike) -> Tensor:
    """Return a derivative of digamma; SciPy computes it.

    Args:
        n: which derivative, at least 0.
        input: a tensor-like; bool, int, uint or float.

    Returns:
        A new tensor of the input's shape and float dtype.

    Raises:
        TypeError: the input is not tensor-like, or is complex.
        ValueError: n is negative.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.polygamma(1, Tensor([1.0], "float64")))
        [1.64493407]
    """
    n = _one_int("polygamma", n, "n")
    if n < 0:
        raise ValueError(f"[polygamma] n must not be negative, got {n}")
    if n == 0:
        return OF_NUMPY["digamma"](input)
    sign = -math.factorial(n) if n % 2 == 0 else math.factorial(n)
    return OF_NUMPY["zeta"](float(n + 1), input) * sign


@named
def mvlgamma(input: TensorLike, p: int) -> Tensor:
    """Return the logarithm of the multivariate gamma function.

    The sum of lgamma(input - i / 2) over i from 0 to p - 1, plus log(pi) * p * (p - 1) / 4
    (https://en.wikipedia.org/wiki/Multivariate_gamma_function).

    Args:
        input: a tensor-like of numbers above (p - 1) / 2; int, uint or float.
        p: the number of dimensions, at least 1.

    Returns:
        A new tensor of the input's shape and float dtype.

    Raises:
        TypeError: the input is not tensor-like, or is complex.
        ValueError: p is less than 1.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.mvlgamma(Tensor([3.0], "float64"), 2))
        [1.55019499]
    """
    p = _one_int("mvlgamma", p, "p")
    if p < 1:
        raise ValueError(f"[mvlgamma] p must be at least 1, got {p}")
    t = as_tensor(input, "mvlgamma")
    terms = (_lgamma(t - i / 2) for i in range(p))
    return functools.reduce(FUNCTIONS["add"], terms) + math.log(math.pi) * p * (p - 1) / 4


def stop_gradient(value: Any) -> Any:
    """Return the value: there are no gradients to stop.

    Args:
        value: anything.

    Returns:
        The value itself.

    Raises:
        Nothing: every value is taken.

    Example:
        >>> from minitensor import ops
        >>> ops.stop_gradient(1)
        1
    """
    return value


def depend(value: Any, expr: Any) -> Any:
    """Return the value, after the expression: Python has computed both in this order.

    Args:
        value: what to return.
        expr: what a graph compiler would compute before.

    Returns:
        The value itself.

    Raises:
        Nothing: every value is taken.

    Example:
        >>> from minitensor import ops
        >>> ops.depend(1, None)
        1
    """
    return value


def partial(func: Callable[..., Any], *args: Any, **keywords: Any) -> Callable[..., Any]:
    """Return a function with some of its arguments given: Python's `functools.partial`.

    Args:
        func: a function.
        args: its first arguments.
        keywords: further arguments.

    Returns:
        The function of the other arguments.

    Raises:
        TypeError: func is not callable.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.partial(ops.add, Tensor([1, 2]))(Tensor([3, 4])))
        [4 6]
    """
    if not callable(func):
        raise TypeError(f"[partial] func must be callable, got {type(func).__name__}")
    return functools.partial(func, *args, **keywords)
