"""Functions of neural networks, made of ops of the table.

They run on every device and keep the dtype of floats.  float16 ends at 65504, and sums of squares
or exponentials exceed it: functions that add up compute halves in float32 and round the result.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from minitensor.dtype import float32, promote, to_float
from minitensor.ops import random, reduce, selection
from minitensor.ops._dispatch import (
    WRONG,
    array_op,
    as_ints,
    as_tensor,
    axis_aliases,
    name_op,
    named,
    normalize_axis,
)
from minitensor.ops.creation import zeros_like
from minitensor.ops.elementwise import FUNCTIONS, clamp
from minitensor.ops.linalg import matmul
from minitensor.optable import ARRAY_CODES
from minitensor.tensor import Tensor

if TYPE_CHECKING:
    from minitensor.typing import ShapeLike, TensorLike

__all__ = [
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "softsign", "logsigmoid",
    "hardtanh", "softmax", "log_softmax", "softmin", "dropout", "layer_norm", "linear", "dense",
    "embedding", "normalize", "cosine_similarity",
]  # fmt: skip

_where, _exp, _log = (FUNCTIONS[name] for name in ("where", "exp", "log"))
_maximum, _minimum, _expm1, _log1p, _abs = (
    FUNCTIONS[name] for name in ("maximum", "minimum", "expm1", "log1p", "abs")
)
_sigmoid, _square, _sqrt = (FUNCTIONS[name] for name in ("sigmoid", "square", "sqrt"))


def _float(value: Any, op: str) -> Tensor:
    t = as_tensor(value, op)
    if t.dtype.kind == "c":
        raise TypeError(f"[{op}] input must be real, got {t.dtype}; take its real part or abs")
    return t.astype(to_float(t.dtype), copy=False)


def _wide(t: Tensor) -> Tensor:
    return t.astype(float32) if t.dtype.itemsize == 2 else t


def _pair(op: str, input: Any, target: Any) -> tuple[Tensor, Tensor]:
    x = _float(as_tensor(input, op, target if isinstance(target, Tensor) else None), op)
    return x, _float(as_tensor(target, op, x), op)


# --- activations ----------------------------------------------------------------------------------
def relu(input: TensorLike) -> Tensor:
    """Return max(input, 0).

    Args:
        input: a tensor-like of any shape; bool, int, uint or float.

    Returns:
        A new tensor of the input's shape and dtype; int64 for bools.

    Raises:
        TypeError: the input is not tensor-like, or is complex.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.relu(Tensor([-1, 2])))
        [0 2]
    """
    try:
        return _maximum(input, 0)
    except WRONG as error:
        name_op(error, "relu")
        raise


@named
def relu6(input: TensorLike) -> Tensor:
    """Return min(max(input, 0), 6).

    Args:
        input: a tensor-like of any shape; bool, int, uint or float.

    Returns:
        A new tensor of the input's shape and dtype; int64 for bools.

    Raises:
        TypeError: the input is not tensor-like, or is complex.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.relu6(Tensor([-1, 2, 9])))
        [0 2 6]
    """
    return clamp(input, 0, 6)


def leaky_relu(input: TensorLike, alpha: float = 0.2) -> Tensor:
    """Return the input where it is positive, and alpha * input elsewhere.

    Args:
        input: a tensor-like of any shape; bool, int, uint or float.
        alpha: the slope for negative numbers.

    Returns:
        A new tensor of the input's shape; float32 for integers and bools.

    Raises:
        TypeError: the input is not tensor-like, or is complex.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.leaky_relu(Tensor([-1.0, 2.0]), 0.5))
        [-0.5  2. ]
    """
    x = _float(input, "leaky_relu")
    if 0 < alpha <= 1:
        return _maximum(x, x * alpha)
    return _where(x > 0, x, x * alpha)


def elu(input_x: TensorLike, alpha: float = 1.0) -> Tensor:
    """Return the input where it is positive, and alpha * (exp(input) - 1) elsewhere.

    Args:
        input_x: a tensor-like of any shape; bool, int, uint or float.
        alpha: the factor of the exponential.

    Returns:
        A new tensor of the input's shape; float32 for integers and bools.

    Raises:
        TypeError: the input is not tensor-like, or is complex.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.elu(Tensor([0.0, 2.0])))
        [0. 2.]
    """
    x = _float(input_x, "elu")
    return _where(x > 0, x, _expm1(_minimum(x, 0)) * alpha)


def celu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """Return max(0, x) + min(0, alpha * (exp(x / alpha) - 1)).

    Args:
        x: a tensor-like of any shape; bool, int, uint or float.
        alpha: the divisor in the exponential; not 0.

    Returns:
        A new tensor of the input's shape; float32 for integers and bools.

    Raises:
        TypeError: the input is not tensor-like, or is complex.
        ValueError: alpha is 0.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.celu(Tensor([0.0, 2.0])))
        [0. 2.]
    """
    if alpha == 0:
        raise ValueError(f"[celu] alpha must not be 0, got {alpha}")
    t = _float(x, "celu")
    return _maximum(t, 0) + _minimum(_expm1(t / alpha) * alpha, 0)


@named
def selu(input_x: TensorLike) -> Tensor:
    """Return scale * elu(input, alpha), with constants that keep mean and variance.

    The constants are those of Klambauer et al., Self-Normalizing Neural Networks (2017).

    Args:
        input_x: a tensor-like of any shape; bool, int, uint or float.

    Returns:
        A new tensor of the input's shape; float32 for integers and bools.

    Raises:
        TypeError: the input is not tensor-like, or is complex.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.selu(Tensor([0.0, 1.0])))
        [0.       1.050701]
    """
    return elu(input_x, 1.6732632423543772) * 1.0507009873554805


def softsign(x: TensorLike) -> Tensor:
    """Return x / (1 + |x|).

    Args:
        x: a tensor-like of any shape; bool, int, uint or float.

    Returns:
        A new tensor of the input's shape; float32 for integers and bools.

    Raises:
        TypeError: the input is not tensor-like, or is complex.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.softsign(Tensor([-1.0, 3.0])))
        [-0.5   0.75]
    """
    t = _float(x, "softsign")
    return t / (_abs(t) + 1)


def logsigmoid(x: TensorLike) -> Tensor:
    """Return log(sigmoid(x)), accurate for small results.

    Args:
        x: a tensor-like of any shape; bool, int, uint or float.

    Returns:
        A new tensor of the input's shape; float32 for integers and bools.

    Raises:
        TypeError: the input is not tensor-like, or is complex.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.logsigmoid(Tensor([-200.0])))
        [-200.]
    """
    t = _float(x, "logsigmoid")
    return _minimum(t, 0) - _log1p(_exp(-_abs(t)))


@named
def hardtanh(input: TensorLike, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """Limit the input to the range from `min_val` to `max_val`.

    Args:
        input: a tensor-like of any shape; bool, int, uint or float.
        min_val: the least value.
        max_val: the greatest value.

    Returns:
        A new tensor of the input's shape; float32 for integers and float bounds.

    Raises:
        TypeError: the input is not tensor-like, or is complex.
        ValueError: min_val is above max_val.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.hardtanh(Tensor([-3.0, 0.5])))
        [-1.   0.5]
    """
    if min_val > max_val:
        raise ValueError(
            f"[hardtanh] min_val must not be above max_val, got {min_val} and {max_val}"
        )
    return clamp(input, min_val, max_val)


def _shifted(input: Any, axis: Any, op: str) -> tuple[Tensor, int]:
    x = _wide(_float(input, op))
    axis = normalize_axis(op, axis, max(x.ndim, 1))  # a number counts as a vector of one element
    if not x.ndim:
        return x - x, axis
    return x - reduce.amax(x, axis, True) if x.shape[axis] else x, axis


_SOFTMAX, _LAYER_NORM = ARRAY_CODES["softmax"], ARRAY_CODES["layer_norm"]
_ONE_ROW = 1 << 17  # above it, a few rows are better shared among threads step by step


def _of_rows(op: str, mode: int, input: Any, axis: Any) -> Tensor | None:
    """Return softmax or log_softmax by the kernel; None where the ops of the table take it."""
    if not isinstance(input, Tensor) or not input.ndim or input.dtype.kind == "c":
        return None
    axis = normalize_axis(op, axis, input.ndim)
    length = input.shape[axis]
    if length > _ONE_ROW and input.size < 4 * length:
        return None
    dtype = to_float(input.dtype)
    if dtype.itemsize == 2 and axis != input.ndim - 1:
        input = input.astype(float32)
        found = array_op(_SOFTMAX, op, float32.code, input.shape, (mode, axis), input)
        return None if found is None else found.astype(dtype)
    return array_op(_SOFTMAX, op, dtype.code, input.shape, (mode, axis), input)


@axis_aliases
def softmax(input: TensorLike, axis: SupportsIndex = -1) -> Tensor:
    """Return exp(input) divided by its sum along `axis`, without overflow.

    Args:
        input: a tensor-like of any shape; bool, int, uint or float.
        axis: the axis, also spelled `dim`.

    Returns:
        A new tensor of the input's shape; float32 for integers and bools.

    Raises:
        TypeError: the input is not tensor-like, or is complex.
        ValueError: the axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.softmax(Tensor([0.0, 0.0])))
        [0.5 0.5]
    """
    found = _of_rows("softmax", 0, input, axis)
    if found is not None:
        return found
    source = _float(input, "softmax")
    x, axis = _shifted(source, axis, "softmax")
    e = _exp(x)
    return (e / reduce.sum(e, axis if e.ndim else None, True)).astype(source.dtype, copy=False)


@axis_aliases
def softmin(input: TensorLike, axis: SupportsIndex = -1) -> Tensor:
    """Return softmax(-input).

    Args:
        input: a tensor-like of any shape; bool, int, uint or float.
        axis: the axis, also spelled `dim`.

    Returns:
        A new tensor of the input's shape; float32 for integers and bools.

    Raises:
        TypeError: the input is not tensor-like, or is complex.
        ValueError: the axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.softmin(Tensor([0.0, 0.0])))
        [0.5 0.5]
    """
    return softmax(-_float(input, "softmin"), axis)


@axis_aliases
def log_softmax(input: TensorLike, axis: SupportsIndex = -1) -> Tensor:
    """Return log(softmax(input)), computed without overflow or underflow.

    Args:
        input: a tensor-like of any shape; bool, int, uint or float.
        axis: the axis, also spelled `dim`.

    Returns:
        A new tensor of the input's shape; float32 for integers and bools.

    Raises:
        TypeError: the input is not tensor-like, or is complex.
        ValueError: the axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.log_softmax(Tensor([-1000.0, 0.0])))
        [-1000.     0.]
    """
    found = _of_rows("log_softmax", 1, input, axis)
    if found is not None:
        return found
    source = _float(input, "log_softmax")
    x, axis = _shifted(source, axis, "log_softmax")
    return (x - _log(reduce.sum(_exp(x), axis if x.ndim else None, True))).astype(
        source.dtype, copy=False
    )


# --- layers ---------------------------------------------------------------------------------------
def dropout(
    input: TensorLike, p: float = 0.5, training: bool = True, seed: SupportsIndex | None = None
) -> Tensor:
    """Return zeros with probability `p`, and the other elements divided by 1 - p.

    Args:
        input: a tensor-like of any shape; bool, int, uint or float.
        p: the probability, from 0 to 1.
        training: False returns the input.
        seed: the seed of this call alone; None continues the generator.

    Returns:
        A new tensor of the input's shape; float32 for integers and bools.

    Raises:
        TypeError: the input is not tensor-like or is complex, or `p` is no number.
        ValueError: `p` is not from 0 to 1.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.dropout(Tensor([1.0, 2.0]), 0.9, training=False))
        [1. 2.]
    """
    x = _float(input, "dropout")
    if not isinstance(p, (int, float)):
        raise TypeError(f"[dropout] p must be a number from 0 to 1, got {p!r}")
    if not 0 <= p <= 1:
        raise ValueError(f"[dropout] p must be from 0 to 1, got {p}")
    if not training or p == 0:
        return x
    if p == 1:
        return zeros_like(x)
    kept = random.rand_like(x, dtype=float32, seed=seed) >= p
    return _where(kept, x / (1 - p), 0.0)


def layer_norm(
    input: TensorLike,
    normalized_shape: ShapeLike,
    weight: TensorLike | None = None,
    bias: TensorLike | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Return (input - mean) / sqrt(var + eps) over the last dimensions, scaled and shifted.

    The method is that of Ba et al., Layer Normalization (2016).

    Args:
        input: a tensor-like of any shape; bool, int, uint or float.
        normalized_shape: the last dimensions, an int or a sequence of ints.
        weight: the factor, a tensor-like of shape `normalized_shape`; None means 1.
        bias: the shift, a tensor-like of shape `normalized_shape`; None means 0.
        eps: what is added to the variance.

    Returns:
        A new tensor of the input's shape; float32 for integers and bools.

    Raises:
        TypeError: the input is not tensor-like, or is complex.
        ValueError: the input does not end in `normalized_shape`, or a parameter has another shape.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.layer_norm(Tensor([-1.0, 1.0]), 2, eps=0.0))
        [-1.  1.]
    """
    x = _float(input, "layer_norm")
    shape = as_ints("layer_norm", normalized_shape, "normalized_shape")
    if not shape or x.shape[-len(shape) :] != shape:
        raise ValueError(
            f"[layer_norm] the input's shape must end in normalized_shape {shape}, got {x.shape}"
        )
    scale, shift = (None if t is None else as_tensor(t, "layer_norm", x) for t in (weight, bias))
    for name, t in (("weight", scale), ("bias", shift)):
        if t is not None and t.shape != shape:
            raise ValueError(
                f"[layer_norm] {name} must have the shape normalized_shape, {shape}, got {t.shape}"
            )
    parameters = [t for t in (scale, shift) if t is not None]
    if isinstance(eps, (int, float)) and all(t.dtype is x.dtype for t in parameters):
        numbers = (float(eps), math.prod(shape), scale is not None)
        operands = [t.contiguous() for t in (x, *parameters)]
        found = array_op(_LAYER_NORM, "layer_norm", x.dtype.code, x.shape, numbers, *operands)
        if found is not None:
            return found
    if x.dtype.itemsize == 2:
        w, b = (None if t is None else _wide(t) for t in (scale, shift))
        return layer_norm(_wide(x), shape, w, b, eps).astype(x.dtype)
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    away = x - reduce.mean(x, axes, True)
    result = away / _sqrt(reduce.mean(away * away, axes, True) + eps)
    if scale is not None:
        result = result * scale
    return (result if shift is None else result + shift).astype(x.dtype, copy=False)


@named
def linear(x: TensorLike, w: TensorLike, b: TensorLike | None = None) -> Tensor:
    """Return x @ w.T + b.

    Args:
        x: a tensor-like of shape (..., in).
        w: the weight, of shape (out, in).
        b: the bias, of shape (out,); None adds none.

    Returns:
        A new tensor of shape (..., out) and the dtype that the operands promote to.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the shapes do not fit.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.linear(Tensor([1.0, 2.0]), Tensor([[3.0, 4.0]]), Tensor([0.5])))
        [11.5]
    """
    weight = as_tensor(w, "linear", x if isinstance(x, Tensor) else None)
    result = matmul(x, weight.mT if weight.ndim > 1 else weight)
    return result if b is None else result + b


@named
def dense(input: TensorLike, weight: TensorLike, bias: TensorLike | None = None) -> Tensor:
    """Return input @ weight.T + bias; an alias of `linear`.

    Args:
        input: a tensor-like of shape (..., in).
        weight: the weight, of shape (out, in).
        bias: the bias, of shape (out,); None adds none.

    Returns:
        A new tensor of shape (..., out) and the dtype that the operands promote to.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the shapes do not fit.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.dense(Tensor([1.0, 2.0]), Tensor([[3.0, 4.0]])))
        [11.]
    """
    return linear(input, weight, bias)


@named
def embedding(input: TensorLike, weight: TensorLike) -> Tensor:
    """Return the rows of `weight` that integers name.

    Args:
        input: a tensor-like of integers; negative ones count from the end.
        weight: a tensor-like of shape (rows, ...).

    Returns:
        A new tensor of the weight's dtype; the rows stand in place of the integers.

    Raises:
        TypeError: the input holds no integers.
        IndexError: an integer is out of range; raised by the read of the value.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.embedding(Tensor([1, 0]), Tensor([[1, 2], [3, 4]])))
        [[3 4]
         [1 2]]
    """
    return selection.gather(weight, input, 0)


@axis_aliases
def normalize(
    input: TensorLike, p: float = 2.0, axis: SupportsIndex = 1, eps: float = 1e-12
) -> Tensor:
    """Divide the input by its p-norm along `axis`.

    Args:
        input: a tensor-like of any shape; bool, int, uint or float.
        p: the order of the norm.
        axis: the axis, also spelled `dim`.
        eps: the least divisor.

    Returns:
        A new tensor of the input's shape; float32 for integers and bools.

    Raises:
        TypeError: the input is not tensor-like, or is complex.
        ValueError: the axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.normalize(Tensor([[3.0, 4.0]]), p=1))
        [[0.42857143 0.5714286 ]]
    """
    x = _float(input, "normalize")
    return x / _maximum(reduce.vector_norm("normalize", x, p, axis, True), eps)


@axis_aliases
def cosine_similarity(
    x1: TensorLike, x2: TensorLike, axis: SupportsIndex = 1, eps: float = 1e-8
) -> Tensor:
    """Return the cosine of the angle between vectors along `axis`.

    Args:
        x1: a tensor-like of any shape; bool, int, uint or float.
        x2: a tensor-like of a shape that broadcasts with `x1`.
        axis: the axis of the vectors in the shape that both broadcast to, also spelled `dim`.
        eps: the least norm.

    Returns:
        A new tensor of floats without the axis.

    Raises:
        TypeError: an operand is not tensor-like, or is complex.
        ValueError: the shapes do not broadcast, or the axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.cosine_similarity(Tensor([[1.0, 0.0]]), Tensor([[2.0, 0.0]])))
        [1.]
    """
    a, b = _pair("cosine_similarity", x1, x2)
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ValueError(
            f"[cosine_similarity] shapes must broadcast, got {a.shape} and {b.shape}"
        ) from None
    axis = normalize_axis("cosine_similarity", axis, len(shape))
    u, v = _wide(a).broadcast_to(shape), _wide(b).broadcast_to(shape)
    norms = _maximum(reduce.norm(u, 2, axis), eps) * _maximum(reduce.norm(v, 2, axis), eps)
    return (reduce.sum(u * v, axis) / norms).astype(promote(a.dtype, b.dtype), copy=False)
