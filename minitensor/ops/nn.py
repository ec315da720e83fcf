"""Functions of neural networks, made of the table's ops, so that they run wherever those do and keep the dtype of floats.

float16 ends at 65504, and sums of squares or exponentials do not: what adds up computes halves in float32 and rounds the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minitensor.dtype import float32, promote, to_float
from minitensor.ops import random, reduce, selection
from minitensor.ops._dispatch import as_ints, as_tensor, axis_aliases, host_many, normalize_axis
from minitensor.ops.creation import zeros_like
from minitensor.ops.elementwise import FUNCTIONS, clamp
from minitensor.ops.linalg import matmul
from minitensor.tensor import Tensor

__all__ = [
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "softsign", "logsigmoid",
    "hardtanh", "hardsigmoid", "hardswish", "softmax", "log_softmax", "softmin", "dropout", "layer_norm", "linear", "dense",
    "cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "embedding", "normalize", "cosine_similarity",
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


# --- activations -----------------------------------------------------------------------------------------------------
def relu(input: Any) -> Tensor:
    """max(input, 0).

    Example:
        >>> ops.relu(Tensor([-1, 2]))
        Tensor(shape=[2], dtype=Int64, value= [0, 2])
    """
    return _maximum(input, 0)


def relu6(input: Any) -> Tensor:
    """min(max(input, 0), 6)."""
    return clamp(input, 0, 6)


def leaky_relu(input: Any, alpha: float = 0.2) -> Tensor:
    """input where it is positive, else alpha * input."""
    x = _float(input, "leaky_relu")
    return _where(x > 0, x, x * alpha)


def elu(input_x: Any, alpha: float = 1.0) -> Tensor:
    """input where it is positive, else alpha * (exp(input) - 1)."""
    x = _float(input_x, "elu")
    return _where(x > 0, x, _expm1(_minimum(x, 0)) * alpha)


def celu(x: Any, alpha: float = 1.0) -> Tensor:
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1))."""
    if alpha == 0:
        raise ValueError("[celu] alpha can't be 0")
    t = _float(x, "celu")
    return _maximum(t, 0) + _minimum(_expm1(t / alpha) * alpha, 0)


def selu(input_x: Any) -> Tensor:
    """scale * elu(input, alpha), with the constants of Klambauer et al., Self-Normalizing Neural Networks (2017)."""
    return elu(input_x, 1.6732632423543772) * 1.0507009873554805


def gelu(input: Any, approximate: str = "none") -> Tensor:
    """input * Phi(input), Phi the normal distribution (Hendrycks and Gimpel, 2016); "tanh": their approximation."""
    x = _float(input, "gelu")
    if approximate == "none":
        return x * (_erf(x / math.sqrt(2)) + 1) * 0.5
    if approximate != "tanh":
        raise ValueError(f"[gelu] approximate must be 'none' or 'tanh', got {approximate!r}")
    return x * 0.5 * (_tanh((x + x * x * x * 0.044715) * math.sqrt(2 / math.pi)) + 1)


def silu(input: Any) -> Tensor:
    """input * sigmoid(input)."""
    x = _float(input, "silu")
    return x * _sigmoid(x)


def softplus(input: Any, beta: float = 1, threshold: float = 20) -> Tensor:
    """log(1 + exp(beta * input)) / beta; the input itself where beta * input is above the threshold."""
    if beta == 0:
        raise ValueError("[softplus] beta can't be 0")
    x = _float(input, "softplus")
    y = x * beta
    return _where(y > threshold, x, (_maximum(y, 0) + _log1p(_exp(-_abs(y)))) / beta)  # exp of what is never positive


def mish(input: Any) -> Tensor:
    """input * tanh(softplus(input))."""
    x = _float(input, "mish")
    return x * _tanh(softplus(x))


def softsign(x: Any) -> Tensor:
    """x / (1 + |x|)."""
    t = _float(x, "softsign")
    return t / (_abs(t) + 1)


def logsigmoid(x: Any) -> Tensor:
    """log(sigmoid(x)), without the loss of small ones: min(x, 0) - log(1 + exp(-|x|))."""
    t = _float(x, "logsigmoid")
    return _minimum(t, 0) - _log1p(_exp(-_abs(t)))


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """Clamped to [min_val, max_val].  Raises ValueError when min_val is above max_val."""
    if min_val > max_val:
        raise ValueError(f"[hardtanh] min_val must not be above max_val, got {min_val} and {max_val}")
    return clamp(input, min_val, max_val)


def hardsigmoid(input: Any) -> Tensor:
    """min(max(input + 3, 0), 6) / 6."""
    return relu6(_float(input, "hardsigmoid") + 3) / 6


def hardswish(input: Any) -> Tensor:
    """input * hardsigmoid(input)."""
    x = _float(input, "hardswish")
    return x * hardsigmoid(x)


def _shifted(input: Any, axis: int, op: str) -> tuple[Tensor, int]:
    x = _wide(_float(input, op))
    axis = normalize_axis(op, axis, max(x.ndim, 1))  # a single number counts as a vector of one
    if not x.ndim:
        return x - x, axis
    return x - reduce.amax(x, axis, True) if x.shape[axis] else x, axis


@axis_aliases
def softmax(input: Any, axis: int = -1) -> Tensor:
    """exp(input) divided by its sum along `axis`; the greatest element is taken out first, so that nothing overflows.

    Args:
        input: real numbers of any shape, which the result has too; integers become float32.

    Raises:
        ValueError: when the axis is out of range.

    Example:
        >>> ops.softmax(Tensor([0.0, 0.0]))
        Tensor(shape=[2], dtype=Float32, value= [ 5.00000000e-01,  5.00000000e-01])
    """
    source = _float(input, "softmax")
    x, axis = _shifted(source, axis, "softmax")
    e = _exp(x)
    return (e / reduce.sum(e, axis if e.ndim else None, True)).astype(source.dtype, copy=False)


@axis_aliases
def softmin(input: Any, axis: int = -1) -> Tensor:
    """softmax(-input)."""
    return softmax(-_float(input, "softmin"), axis)


@axis_aliases
def log_softmax(input: Any, axis: int = -1) -> Tensor:
    """log(softmax(input)), computed without the detour."""
    source = _float(input, "log_softmax")
    x, axis = _shifted(source, axis, "log_softmax")
    return (x - _log(reduce.sum(_exp(x), axis if x.ndim else None, True))).astype(source.dtype, copy=False)


# --- layers ----------------------------------------------------------------------------------------------------------
def dropout(input: Any, p: float = 0.5, training: bool = True, seed: int | None = None) -> Tensor:
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


def layer_norm(input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
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


def linear(x: Any, w: Any, b: Any = None) -> Tensor:
    """x @ w.T + b, the weight of shape (out, in)."""
    weight = as_tensor(w, "linear", x if isinstance(x, Tensor) else None)
    result = matmul(x, weight.mT if weight.ndim > 1 else weight)
    return result if b is None else result + b


def dense(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """The same as `linear`."""
    return linear(input, weight, bias)


def embedding(input: Any, weight: Any) -> Tensor:
    """The rows of `weight` that the integers in `input` name; negative ones count from the end.

    Raises:
        TypeError: when `input` holds no integers.
        IndexError: where the result is read, when an integer is out of range.
    """
    return selection.gather(weight, input, 0)


@axis_aliases
def normalize(input: Any, p: float = 2.0, axis: int = 1, eps: float = 1e-12) -> Tensor:
    """Divided by its p-norm along `axis`, which counts as at least eps."""
    x = _float(input, "normalize")
    return x / _maximum(reduce.norm(x, p, axis, True), eps)


@axis_aliases
def cosine_similarity(x1: Any, x2: Any, axis: int = 1, eps: float = 1e-8) -> Tensor:
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


# --- losses ----------------------------------------------------------------------------------------------------------
def _reduced(loss: Tensor, reduction: str, op: str, weight: Tensor | None = None) -> Tensor:
    if reduction == "none":
        return loss
    if reduction == "sum":
        return reduce.sum(loss)
    if reduction != "mean":
        raise ValueError(f"[{op}] reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    return reduce.mean(loss) if weight is None else reduce.sum(loss) / reduce.sum(weight)


def _pair(op: str, input: Any, target: Any) -> tuple[Tensor, Tensor]:
    x = _float(as_tensor(input, op, target if isinstance(target, Tensor) else None), op)
    return x, _float(as_tensor(target, op, x), op)


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Tensor:
    """(input - target) squared."""
    x, y = _pair("mse_loss", input, target)
    return _reduced(FUNCTIONS["square"](x - y), reduction, "mse_loss")


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Tensor:
    """|input - target|."""
    x, y = _pair("l1_loss", input, target)
    return _reduced(_abs(x - y), reduction, "l1_loss")


def smooth_l1_loss(input: Any, target: Any, beta: float = 1.0, reduction: str = "mean") -> Tensor:
    """Half the square divided by beta where |input - target| is below beta, else |input - target| - beta / 2."""
    if beta <= 0:
        raise ValueError(f"[smooth_l1_loss] beta must be positive, got {beta}")
    x, y = _pair("smooth_l1_loss", input, target)
    away = _abs(x - y)
    return _reduced(_where(away < beta, away * away * (0.5 / beta), away - 0.5 * beta), reduction, "smooth_l1_loss")


def _log_at_least(x: Tensor) -> Tensor:
    return _maximum(_log(x), -100.0)  # so that 0 * log(0) is 0, as torch and MindSpore have it


def binary_cross_entropy(logits: Any, labels: Any, weight: Any = None, reduction: str = "mean") -> Tensor:
    """-(y * log(x) + (1 - y) * log(1 - x)) of probabilities x; logarithms count as at least -100."""
    x, y = _pair("binary_cross_entropy", logits, labels)
    loss = -(y * _log_at_least(x) + (1 - y) * _log_at_least(1 - x))
    return _reduced(loss if weight is None else loss * weight, reduction, "binary_cross_entropy")


def binary_cross_entropy_with_logits(logits: Any, label: Any, weight: Any = None, pos_weight: Any = None, reduction: str = "mean") -> Tensor:
    """`binary_cross_entropy` of sigmoid(logits), without the loss of large ones."""
    x, y = _pair("binary_cross_entropy_with_logits", logits, label)
    scale = 1 if pos_weight is None else (as_tensor(pos_weight, "binary_cross_entropy_with_logits", x) - 1) * y + 1
    loss = (1 - y) * x - scale * logsigmoid(x) if pos_weight is not None else _maximum(x, 0) - x * y + _log1p(_exp(-_abs(x)))
    return _reduced(loss if weight is None else loss * weight, reduction, "binary_cross_entropy_with_logits")


def _classes(op: str, x: Tensor, target: Tensor) -> int:
    """Where the classes are: dimension 1, or the only one."""
    axis = 0 if x.ndim == 1 else 1
    if not x.ndim or target.shape != x.shape[:axis] + x.shape[axis + 1 :]:
        raise ValueError(f"[{op}] a target of shape {target.shape} does not fit an input of shape {x.shape}")
    return axis


def _class_weight(op: str, x: Tensor, weight: Any, classes: int) -> Tensor | None:
    if weight is None:
        return None
    t = _wide(_float(as_tensor(weight, op, x), op)).astype(x.dtype, copy=False)
    if t.shape != (classes,):
        raise ValueError(f"[{op}] weight has shape {t.shape}; give one number for each of the {classes} classes")
    return t


def _picked(op: str, logs: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Minus the weighted log-probability of each target's class, and the weight; both 0 where the target is ignored.

    A task of its own, not a gather: that counts negative classes from the end, and reads a class even where it is ignored, so
    that a -inf there makes the loss NaN.
    """
    axis = _classes(op, logs, target)

    def pick(values: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None) -> tuple[Any, Any]:
        target = target.astype(np.int64)
        counted, classes = target != ignore_index, values.shape[axis]
        wrong = counted & ((target < 0) | (target >= classes))
        if wrong.any():
            raise IndexError(f"[{op}] class {target[wrong][0]} is out of range for {classes} classes; the target says 0 to {classes - 1}, "
                             f"or ignore_index, which is {ignore_index}")  # fmt: skip
        if not counted.any():
            return 0.0, 0.0
        safe = np.where(counted, target, 0)
        chosen = np.take_along_axis(values, np.expand_dims(safe, axis), axis).squeeze(axis)
        factor = counted.astype(values.dtype) if weights is None else np.where(counted, weights[safe], 0)
        return np.where(counted, -chosen * factor, 0), factor

    inputs = [logs, target] if weight is None else [logs, target, weight]
    loss, factor = host_many(op, pick, inputs, [(target.shape, logs.dtype)] * 2)
    return loss, factor


def nll_loss(inputs: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Tensor:
    """Minus the log-probability of the target's class; with `weight`, a weighted mean over the classes.

    Raises:
        TypeError, ValueError: when the target is no integer tensor of the input's shape without the classes.
        IndexError: where the result is read, for a class that is out of range.
    """
    x = _float(inputs, "nll_loss")
    logs, y = _wide(x), as_tensor(target, "nll_loss", x)
    if y.dtype.kind not in "iu":
        raise TypeError(f"[nll_loss] the target must hold integers, got {y.dtype}")
    factors = _class_weight("nll_loss", logs, weight, logs.shape[_classes("nll_loss", x, y)])
    loss, factor = _picked("nll_loss", logs, y, factors, ignore_index)
    return _reduced(loss, reduction, "nll_loss", factor).astype(x.dtype, copy=False)


def cross_entropy(
    input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0
) -> Tensor:  # fmt: skip
    """`nll_loss` of `log_softmax`; the target holds classes, or probabilities in the shape of the input.

    With label_smoothing e of C classes, (1 - e) times that plus e / C times the weighted losses of all classes (Szegedy et al., 2016).
    The mean over classes is weighted by `weight`; that over probabilities is not, as in torch.

    Args:
        input: logits of shape (C,), (N, C) or (N, C, ...).
        target: integers of that shape without C, or floats of that shape.
        weight: C numbers.
        ignore_index: a class that does not count.
        reduction: "mean", "sum" or "none".

    Raises:
        ValueError: when shapes do not fit or label_smoothing is not from 0 to 1.
        IndexError: where the result is read, for a class that is out of range.

    Example:
        >>> ops.cross_entropy(Tensor([[0.0, 0.0]]), Tensor([1]))
        Tensor(shape=[], dtype=Float32, value= 0.693147)
    """
    source = _float(input, "cross_entropy")
    x, y = _wide(source), as_tensor(target, "cross_entropy", source)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"[cross_entropy] label_smoothing must be from 0 to 1, got {label_smoothing}")
    if not x.ndim:
        raise ValueError("[cross_entropy] the input needs a dimension of classes, got shape ()")
    axis = 0 if x.ndim == 1 else 1
    classes = x.shape[axis]
    factors = _class_weight("cross_entropy", x, weight, classes)
    logs = log_softmax(x, axis)
    scaled = logs if factors is None else logs * factors.reshape([-1] + [1] * (x.ndim - axis - 1))
    factor = None
    if y.dtype.kind in "iu":
        loss, factor = _picked("cross_entropy", logs, y, factors, ignore_index)
        if label_smoothing:
            smooth = _where(y != ignore_index, -reduce.sum(scaled, axis), 0.0)
            loss = loss * (1 - label_smoothing) + smooth * (label_smoothing / max(classes, 1))
    else:
        if y.shape != x.shape:
            raise ValueError(f"[cross_entropy] probabilities of shape {y.shape} for an input of shape {x.shape}")
        y = _float(y, "cross_entropy").astype(x.dtype, copy=False)
        loss = -reduce.sum((y * (1 - label_smoothing) + label_smoothing / max(classes, 1)) * scaled, axis)
    return _reduced(loss, reduction, "cross_entropy", factor).astype(source.dtype, copy=False)


def install() -> None:
    """The methods of Tensor."""
    functions: tuple[Callable[..., Any], ...] = (relu, softmax, log_softmax)
    for function in functions:
        setattr(Tensor, function.__name__, function)
