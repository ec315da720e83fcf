"""Functions of neural networks, made of the table's ops, so that they run wherever those do and keep the dtype of floats.

float16 ends at 65504, and sums of squares or exponentials do not: what adds up computes halves in float32 and rounds the result.
"""

from __future__ import annotations

import math
from typing import Any, Literal, SupportsIndex

import numpy as np

from minitensor.dtype import float32, promote, to_float
from minitensor.ops import random, reduce, selection
from minitensor.ops._dispatch import WRONG, as_ints, as_tensor, axis_aliases, name_op, named, normalize_axis
from minitensor.ops.creation import zeros_like
from minitensor.ops.elementwise import FUNCTIONS, clamp
from minitensor.ops.linalg import matmul
from minitensor.tensor import Tensor
from minitensor.typing import ShapeLike, TensorLike

__all__ = [
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "softsign", "logsigmoid",
    "hardtanh", "hardsigmoid", "hardswish", "softmax", "log_softmax", "softmin", "dropout", "layer_norm", "linear",
    "dense", "embedding", "normalize", "cosine_similarity",
]  # fmt: skip

_where, _exp, _log, _tanh = (FUNCTIONS[name] for name in ("where", "exp", "log", "tanh"))
_maximum, _minimum, _expm1, _log1p, _abs = (FUNCTIONS[name] for name in ("maximum", "minimum", "expm1", "log1p", "abs"))
_sigmoid, _erf, _sqrt = (FUNCTIONS[name] for name in ("sigmoid", "erf", "sqrt"))


def _float(value: Any, op: str) -> Tensor:
    t = as_tensor(value, op)
    if t.dtype.kind == "c":
        raise TypeError(f"[{op}] takes real numbers, got {t.dtype}; take its real part or abs")
    return t.astype(to_float(t.dtype), copy=False)


def _wide(t: Tensor) -> Tensor:
    return t.astype(float32) if t.dtype.itemsize == 2 else t


def _pair(op: str, input: Any, target: Any) -> tuple[Tensor, Tensor]:
    x = _float(as_tensor(input, op, target if isinstance(target, Tensor) else None), op)
    return x, _float(as_tensor(target, op, x), op)


# --- activations -----------------------------------------------------------------------------------------------------
def relu(input: TensorLike) -> Tensor:
    """max(input, 0).

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.relu(Tensor([-1, 2]))
        Tensor(shape=[2], dtype=Int64, value= [0, 2])
    """
    try:
        return _maximum(input, 0)
    except WRONG as error:
        name_op(error, "relu")
        raise


@named
def relu6(input: TensorLike) -> Tensor:
    """min(max(input, 0), 6)."""
    return clamp(input, 0, 6)


def leaky_relu(input: TensorLike, alpha: float = 0.2) -> Tensor:
    """input where it is positive, else alpha * input."""
    x = _float(input, "leaky_relu")
    return _where(x > 0, x, x * alpha)


def elu(input_x: TensorLike, alpha: float = 1.0) -> Tensor:
    """input where it is positive, else alpha * (exp(input) - 1)."""
    x = _float(input_x, "elu")
    return _where(x > 0, x, _expm1(_minimum(x, 0)) * alpha)


def celu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1))."""
    if alpha == 0:
        raise ValueError("[celu] alpha can't be 0")
    t = _float(x, "celu")
    return _maximum(t, 0) + _minimum(_expm1(t / alpha) * alpha, 0)


@named
def selu(input_x: TensorLike) -> Tensor:
    """scale * elu(input, alpha), with the constants of Klambauer et al., Self-Normalizing Neural Networks (2017)."""
    return elu(input_x, 1.6732632423543772) * 1.0507009873554805


def gelu(input: TensorLike, approximate: Literal["none", "tanh"] = "none") -> Tensor:
    """input * Phi(input), Phi the normal distribution (Hendrycks and Gimpel, 2016); "tanh": their approximation."""
    x = _float(input, "gelu")
    if approximate == "none":
        return x * (_erf(x / math.sqrt(2)) + 1) * 0.5
    if approximate != "tanh":
        raise ValueError(f"[gelu] approximate must be 'none' or 'tanh', got {approximate!r}")
    return x * 0.5 * (_tanh((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)) + 1)


def silu(input: TensorLike) -> Tensor:
    """input * sigmoid(input)."""
    x = _float(input, "silu")
    return x * _sigmoid(x)


def softplus(input: TensorLike, beta: float = 1, threshold: float = 20) -> Tensor:
    """log(1 + exp(beta * input)) / beta; the input itself where beta * input is above the threshold."""
    if beta == 0:
        raise ValueError("[softplus] beta can't be 0")
    x = _float(input, "softplus")
    y = x * beta
    return _where(y > threshold, x, (_maximum(y, 0) + _log1p(_exp(-_abs(y)))) / beta)  # exp of what is never positive


def mish(input: TensorLike) -> Tensor:
    """input * tanh(softplus(input))."""
    x = _float(input, "mish")
    return x * _tanh(softplus(x))


def softsign(x: TensorLike) -> Tensor:
    """x / (1 + |x|)."""
    t = _float(x, "softsign")
    return t / (_abs(t) + 1)


def logsigmoid(x: TensorLike) -> Tensor:
    """log(sigmoid(x)), without the loss of small ones: min(x, 0) - log(1 + exp(-|x|))."""
    t = _float(x, "logsigmoid")
    return _minimum(t, 0) - _log1p(_exp(-_abs(t)))


@named
def hardtanh(input: TensorLike, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """Clamped to [min_val, max_val].  Raises ValueError when min_val is above max_val."""
    if min_val > max_val:
        raise ValueError(f"[hardtanh] min_val must not be above max_val, got {min_val} and {max_val}")
    return clamp(input, min_val, max_val)


def hardsigmoid(input: TensorLike) -> Tensor:
    """min(max(input + 3, 0), 6) / 6."""
    return relu6(_float(input, "hardsigmoid") + 3) / 6


def hardswish(input: TensorLike) -> Tensor:
    """input * hardsigmoid(input)."""
    x = _float(input, "hardswish")
    return x * hardsigmoid(x)


def _shifted(input: Any, axis: Any, op: str) -> tuple[Tensor, int]:
    x = _wide(_float(input, op))
    axis = normalize_axis(op, axis, max(x.ndim, 1))  # a single number counts as a vector of one
    if not x.ndim:
        return x - x, axis
    return x - reduce.amax(x, axis, True) if x.shape[axis] else x, axis


@axis_aliases
def softmax(input: TensorLike, axis: SupportsIndex = -1) -> Tensor:
    """exp(input) divided by its sum along `axis`; the greatest element is taken out first, so that nothing overflows.

    Args:
        input: real numbers of any shape, which the result has too; integers become float32.

    Raises:
        ValueError: when the axis is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.softmax(Tensor([0.0, 0.0]))
        Tensor(shape=[2], dtype=Float32, value= [ 5.00000000e-01,  5.00000000e-01])
    """
    source = _float(input, "softmax")
    x, axis = _shifted(source, axis, "softmax")
    e = _exp(x)
    return (e / reduce.sum(e, axis if e.ndim else None, True)).astype(source.dtype, copy=False)


@axis_aliases
def softmin(input: TensorLike, axis: SupportsIndex = -1) -> Tensor:
    """softmax(-input)."""
    return softmax(-_float(input, "softmin"), axis)


@axis_aliases
def log_softmax(input: TensorLike, axis: SupportsIndex = -1) -> Tensor:
    """log(softmax(input)), computed without the detour."""
    source = _float(input, "log_softmax")
    x, axis = _shifted(source, axis, "log_softmax")
    return (x - _log(reduce.sum(_exp(x), axis if x.ndim else None, True))).astype(source.dtype, copy=False)


# --- layers ----------------------------------------------------------------------------------------------------------
def dropout(input: TensorLike, p: float = 0.5, training: bool = True, seed: SupportsIndex | None = None) -> Tensor:
    """Zeros with probability p, the rest divided by 1 - p; when not training, the input.

    Raises:
        ValueError: when p is not from 0 to 1.
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


def layer_norm(input: TensorLike, normalized_shape: ShapeLike, weight: TensorLike | None = None, bias: TensorLike | None = None, eps: float = 1e-5) -> Tensor:
    """(input - mean) / sqrt(var + eps) over the last dimensions, times `weight`, plus `bias` (Ba et al., 2016).

    Raises:
        ValueError: when `normalized_shape` is not the end of the input's shape, or not the shape of `weight` and `bias`.
    """
    source = _float(input, "layer_norm")
    x = _wide(source)
    shape = as_ints("layer_norm", normalized_shape, "normalized_shape")
    if not shape or x.shape[-len(shape) :] != shape:
        raise ValueError(f"[layer_norm] shape {x.shape} does not end in normalized_shape {shape}")
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    away = x - reduce.mean(x, axes, True)
    result = away / _sqrt(reduce.mean(away * away, axes, True) + eps)
    scale, shift = (None if t is None else _wide(as_tensor(t, "layer_norm", x)) for t in (weight, bias))
    for name, t in (("weight", scale), ("bias", shift)):
        if t is not None and t.shape != shape:
            raise ValueError(f"[layer_norm] {name} has shape {t.shape}, it must be normalized_shape {shape}")
    if scale is not None:
        result = result * scale
    return (result if shift is None else result + shift).astype(source.dtype, copy=False)


@named
def linear(x: TensorLike, w: TensorLike, b: TensorLike | None = None) -> Tensor:
    """x @ w.T + b, the weight of shape (out, in)."""
    weight = as_tensor(w, "linear", x if isinstance(x, Tensor) else None)
    result = matmul(x, weight.mT if weight.ndim > 1 else weight)
    return result if b is None else result + b


@named
def dense(input: TensorLike, weight: TensorLike, bias: TensorLike | None = None) -> Tensor:
    """The same as `linear`."""
    return linear(input, weight, bias)


@named
def embedding(input: TensorLike, weight: TensorLike) -> Tensor:
    """The rows of `weight` that the integers in `input` name; negative ones count from the end.

    Raises:
        TypeError: when `input` holds no integers.
        IndexError: where the result is read, when an integer is out of range.
    """
    return selection.gather(weight, input, 0)


@axis_aliases
def normalize(input: TensorLike, p: float = 2.0, axis: SupportsIndex = 1, eps: float = 1e-12) -> Tensor:
    """Divided by its p-norm along `axis`, which counts as at least eps."""
    x = _float(input, "normalize")
    return x / _maximum(reduce.vector_norm("normalize", x, p, axis, True), eps)


@axis_aliases
def cosine_similarity(x1: TensorLike, x2: TensorLike, axis: SupportsIndex = 1, eps: float = 1e-8) -> Tensor:
    """Cosine of the angle between vectors along `axis` of the shapes broadcast together; each norm counts as at least eps."""
    a, b = _pair("cosine_similarity", x1, x2)
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        raise ValueError(f"[cosine_similarity] shapes {a.shape} and {b.shape} do not broadcast") from None
    axis = normalize_axis("cosine_similarity", axis, len(shape))
    u, v = _wide(a).broadcast_to(shape), _wide(b).broadcast_to(shape)
    norms = _maximum(reduce.norm(u, 2, axis), eps) * _maximum(reduce.norm(v, 2, axis), eps)
    return (reduce.sum(u * v, axis) / norms).astype(promote(a.dtype, b.dtype), copy=False)
