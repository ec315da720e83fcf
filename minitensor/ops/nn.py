"""Functions of neural networks, made of the table's ops, so that they run wherever those do and keep the dtype of floats."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from minitensor.dtype import to_float
from minitensor.ops import indexing, random, reduce
from minitensor.ops._dispatch import as_ints, as_tensor, axis_aliases, normalize_axis
from minitensor.ops.creation import one_hot
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
    return t.astype(to_float(t.dtype), copy=False)


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
    x = _float(input, "softplus")
    y = x * beta
    return _where(y > threshold, x, _log1p(_exp(_minimum(y, threshold))) / beta)


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
    """Clamped to [min_val, max_val]."""
    return clamp(input, min_val, max_val)


def hardsigmoid(input: Any) -> Tensor:
    """min(max(input + 3, 0), 6) / 6."""
    return relu6(_float(input, "hardsigmoid") + 3) / 6


def hardswish(input: Any) -> Tensor:
    """input * hardsigmoid(input)."""
    x = _float(input, "hardswish")
    return x * hardsigmoid(x)


def _shifted(input: Any, axis: int, op: str) -> tuple[Tensor, int]:
    x = _float(input, op)
    axis = normalize_axis(op, axis, x.ndim) if x.ndim else 0
    if not x.ndim:
        return x - x, axis
    return x - reduce.amax(x, axis, True) if x.shape[axis] else x, axis


@axis_aliases
def softmax(input: Any, axis: int = -1) -> Tensor:
    """exp(input) divided by its sum along `axis`; the greatest element is taken out first, so that nothing overflows."""
    x, axis = _shifted(input, axis, "softmax")
    e = _exp(x)
    return e / reduce.sum(e, axis if e.ndim else None, True)


@axis_aliases
def softmin(input: Any, axis: int = -1) -> Tensor:
    """softmax(-input)."""
    return softmax(-_float(input, "softmin"), axis)


@axis_aliases
def log_softmax(input: Any, axis: int = -1) -> Tensor:
    """log(softmax(input)), computed without the detour."""
    x, axis = _shifted(input, axis, "log_softmax")
    return x - _log(reduce.sum(_exp(x), axis if x.ndim else None, True))


# --- layers ----------------------------------------------------------------------------------------------------------
def dropout(input: Any, p: float = 0.5, training: bool = True, seed: int | None = None) -> Tensor:
    """Zeros with probability p, the rest divided by 1 - p; when not training, the input.

    Raises:
        ValueError: when p is not from 0 to 1.
    """
    x = _float(input, "dropout")
    if not 0 <= p <= 1:
        raise ValueError(f"[dropout] p must be from 0 to 1, got {p}")
    if not training or p == 0:
        return x
    if p == 1:
        return x * 0
    kept = random.rand(x.shape, seed=seed).to(x.device) >= p
    return _where(kept, x / (1 - p), 0.0)


def layer_norm(input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """(input - mean) / sqrt(var + eps) over the last dimensions, times `weight`, plus `bias` (Ba et al., 2016).

    Raises:
        ValueError: when `normalized_shape` is not the end of the input's shape.
    """
    x = _float(input, "layer_norm")
    shape = as_ints("layer_norm", normalized_shape, "normalized_shape")
    if not shape or x.shape[-len(shape) :] != shape:
        raise ValueError(f"[layer_norm] shape {x.shape} does not end in normalized_shape {shape}")
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    away = x - reduce.mean(x, axes, True)
    result = away / _sqrt(reduce.mean(away * away, axes, True) + eps)
    if weight is not None:
        result = result * weight
    return result if bias is None else result + bias


def linear(x: Any, w: Any, b: Any = None) -> Tensor:
    """x @ w.T + b, the weight of shape (out, in)."""
    result = matmul(x, as_tensor(w, "linear").mT if as_tensor(w, "linear").ndim > 1 else w)
    return result if b is None else result + b


def dense(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """The same as `linear`."""
    return linear(input, weight, bias)


def embedding(input: Any, weight: Any) -> Tensor:
    """The rows of `weight` that the integers in `input` name."""
    return indexing.gather(weight, input, 0)


@axis_aliases
def normalize(input: Any, p: float = 2.0, axis: int = 1, eps: float = 1e-12) -> Tensor:
    """Divided by its p-norm along `axis`, which counts as at least eps."""
    x = _float(input, "normalize")
    return x / _maximum(reduce.norm(x, p, axis, True), eps)


@axis_aliases
def cosine_similarity(x1: Any, x2: Any, axis: int = 1, eps: float = 1e-8) -> Tensor:
    """Cosine of the angle between vectors along `axis`; each norm counts as at least eps."""
    a, b = _float(x1, "cosine_similarity"), _float(x2, "cosine_similarity")
    norms = _maximum(reduce.norm(a, 2, axis), eps) * _maximum(reduce.norm(b, 2, axis), eps)
    return reduce.sum(a * b, axis) / norms


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
    x = _float(input, op)
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


def nll_loss(inputs: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Tensor:
    """Minus the log-probability of the target's class; with `weight`, a weighted mean over the classes.

    Raises:
        TypeError, ValueError: when the target is no integer tensor of the input's shape without the classes.
        IndexError: where the result is read, for a class that is out of range.
    """
    x = _float(inputs, "nll_loss")
    y = as_tensor(target, "nll_loss", x)
    if y.dtype.kind not in "iu":
        raise TypeError(f"[nll_loss] the target must hold integers, got {y.dtype}")
    axis = _classes("nll_loss", x, y)
    counted = y != ignore_index
    safe = _where(counted, y, 0)
    chosen = indexing.gather_elements(x, axis, safe.expand_dims(axis)).squeeze(axis)
    factor = counted.astype(x.dtype)
    if weight is not None:
        factor = factor * indexing.gather(as_tensor(weight, "nll_loss", x).astype(x.dtype), safe, 0)
    return _reduced(-chosen * factor, reduction, "nll_loss", factor)


def cross_entropy(
    input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0
) -> Tensor:  # fmt: skip
    """`nll_loss` of `log_softmax`; the target holds classes, or probabilities in the shape of the input.

    Raises:
        ValueError: when shapes do not fit or label_smoothing is not from 0 to 1.
        IndexError: where the result is read, for a class that is out of range.
    """
    x = _float(input, "cross_entropy")
    y = as_tensor(target, "cross_entropy", x)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"[cross_entropy] label_smoothing must be from 0 to 1, got {label_smoothing}")
    axis = 0 if x.ndim == 1 else 1
    logs = log_softmax(x, axis)
    if y.dtype.kind in "iu" and label_smoothing == 0:
        return nll_loss(logs, y, weight, ignore_index, reduction)
    classes = x.shape[axis]
    counted = None
    if y.dtype.kind in "iu":
        _classes("cross_entropy", x, y)
        counted = (y != ignore_index).astype(x.dtype)
        y = one_hot(y, classes, 1.0, 0.0, axis)
    elif y.shape != x.shape:
        raise ValueError(f"[cross_entropy] probabilities of shape {y.shape} for an input of shape {x.shape}")
    y = y.astype(x.dtype) * (1 - label_smoothing) + label_smoothing / classes
    if weight is not None:
        y = y * as_tensor(weight, "cross_entropy", x).reshape([-1] + [1] * (x.ndim - axis - 1))
    loss = -reduce.sum(y * logs, axis)
    if counted is not None:
        loss = loss * counted
    if reduction == "mean" and counted is not None:
        return reduce.sum(loss) / reduce.sum(counted)
    if reduction == "mean":
        return reduce.sum(loss) / float(max(loss.size, 1))
    return _reduced(loss, reduction, "cross_entropy")


def install() -> None:
    """The methods of Tensor."""
    functions: tuple[Callable[..., Any], ...] = (relu, softmax, log_softmax)
    for function in functions:
        setattr(Tensor, function.__name__, function)
