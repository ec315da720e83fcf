"""Losses, made of ops of the table, as nn.py is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minitensor.ops import reduce
from minitensor.ops._dispatch import array_op, as_tensor, host_many, named
from minitensor.ops.elementwise import FUNCTIONS
from minitensor.ops.nn import _float, _pair, _wide, log_softmax, logsigmoid
from minitensor.optable import ARRAY_CODES
from minitensor.tensor import Tensor

if TYPE_CHECKING:
    from minitensor.typing import Reduction, TensorLike

__all__ = [
    "cross_entropy", "nll_loss", "mse_loss", "l1_loss", "smooth_l1_loss", "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
]  # fmt: skip

_where, _exp, _log, _maximum, _log1p, _abs = (
    FUNCTIONS[name] for name in ("where", "exp", "log", "maximum", "log1p", "abs")
)


def _reduced(loss: Tensor, reduction: str, op: str, weight: Tensor | None = None) -> Tensor:
    if reduction == "none":
        return loss
    if reduction == "sum":
        return reduce.sum(loss)
    if reduction != "mean":
        raise ValueError(f"[{op}] reduction must be 'mean', 'sum' or 'none', got {reduction!r}")
    return reduce.mean(loss) if weight is None else reduce.sum(loss) / reduce.sum(weight)


@named
def mse_loss(input: TensorLike, target: TensorLike, reduction: Reduction = "mean") -> Tensor:
    """Return the squared difference of input and target.

    Args:
        input: a tensor-like of any shape; bool, int, uint or float.
        target: a tensor-like of a shape that broadcasts with `input`.
        reduction: "mean", "sum" or "none".

    Returns:
        A new tensor without dimensions, or of the broadcast shape for "none".

    Raises:
        TypeError: an operand is not tensor-like, or is complex.
        ValueError: the shapes do not broadcast, or the reduction is another one.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.mse_loss(Tensor([1.0, 3.0]), Tensor([1.0, 1.0])))
        2.0
    """
    x, y = _pair("mse_loss", input, target)
    return _reduced(FUNCTIONS["square"](x - y), reduction, "mse_loss")


@named
def l1_loss(input: TensorLike, target: TensorLike, reduction: Reduction = "mean") -> Tensor:
    """Return the absolute difference of input and target.

    Args:
        input: a tensor-like of any shape; bool, int, uint or float.
        target: a tensor-like of a shape that broadcasts with `input`.
        reduction: "mean", "sum" or "none".

    Returns:
        A new tensor without dimensions, or of the broadcast shape for "none".

    Raises:
        TypeError: an operand is not tensor-like, or is complex.
        ValueError: the shapes do not broadcast, or the reduction is another one.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.l1_loss(Tensor([1.0, 3.0]), Tensor([1.0, 1.0])))
        1.0
    """
    x, y = _pair("l1_loss", input, target)
    return _reduced(_abs(x - y), reduction, "l1_loss")


@named
def smooth_l1_loss(
    input: TensorLike, target: TensorLike, beta: float = 1.0, reduction: Reduction = "none"
) -> Tensor:
    """Return d * d / (2 * beta) where d = |input - target| is below beta, else d - beta / 2.

    Args:
        input: a tensor-like of any shape; bool, int, uint or float.
        target: a tensor-like of a shape that broadcasts with `input`.
        beta: where the parabola ends; positive.
        reduction: "mean", "sum" or "none".

    Returns:
        A new tensor without dimensions, or of the broadcast shape for "none".

    Raises:
        TypeError: an operand is not tensor-like, or is complex.
        ValueError: beta is not positive, the shapes do not broadcast, or the reduction is another
            one.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.smooth_l1_loss(Tensor([1.0, 4.0]), Tensor([1.0, 1.0])))
        [0.  2.5]
    """
    if beta <= 0:
        raise ValueError(f"[smooth_l1_loss] beta must be positive, got {beta}")
    x, y = _pair("smooth_l1_loss", input, target)
    away = _abs(x - y)
    return _reduced(
        _where(away < beta, away * away * (0.5 / beta), away - 0.5 * beta),
        reduction,
        "smooth_l1_loss",
    )


def _log_at_least(x: Tensor) -> Tensor:
    return _maximum(_log(x), -100.0)  # makes 0 * log(0) 0, as torch and MindSpore define it


@named
def binary_cross_entropy(
    logits: TensorLike,
    labels: TensorLike,
    weight: TensorLike | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """Return -(y * log(x) + (1 - y) * log(1 - x)) of probabilities x and labels y.

    A logarithm counts as at least -100.

    Args:
        logits: the probabilities x, a tensor-like of any shape.
        labels: the labels y, a tensor-like of a shape that broadcasts with them.
        weight: the weight of each element, a tensor-like; None means 1.
        reduction: "mean", "sum" or "none".

    Returns:
        A new tensor without dimensions, or of the broadcast shape for "none".

    Raises:
        TypeError: an operand is not tensor-like, or is complex.
        ValueError: the shapes do not broadcast, or the reduction is another one.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.binary_cross_entropy(Tensor([1.0, 0.0]), Tensor([1.0, 1.0])))
        50.0
    """
    x, y = _pair("binary_cross_entropy", logits, labels)
    loss = -(y * _log_at_least(x) + (1 - y) * _log_at_least(1 - x))
    return _reduced(loss if weight is None else loss * weight, reduction, "binary_cross_entropy")


@named
def binary_cross_entropy_with_logits(
    logits: TensorLike,
    label: TensorLike,
    weight: TensorLike | None = None,
    pos_weight: TensorLike | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """Return `binary_cross_entropy` of sigmoid(logits), accurate for large logits.

    Args:
        logits: a tensor-like of any shape.
        label: the labels, a tensor-like of a shape that broadcasts with them.
        weight: the weight of each element, a tensor-like; None means 1.
        pos_weight: the weight of positive labels, a tensor-like; None means 1.
        reduction: "mean", "sum" or "none".

    Returns:
        A new tensor without dimensions, or of the broadcast shape for "none".

    Raises:
        TypeError: an operand is not tensor-like, or is complex.
        ValueError: the shapes do not broadcast, or the reduction is another one.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.binary_cross_entropy_with_logits(Tensor([200.0]), Tensor([0.0])))
        200.0
    """
    x, y = _pair("binary_cross_entropy_with_logits", logits, label)
    scale = (
        1
        if pos_weight is None
        else (as_tensor(pos_weight, "binary_cross_entropy_with_logits", x) - 1) * y + 1
    )
    loss = (
        (1 - y) * x - scale * logsigmoid(x)
        if pos_weight is not None
        else _maximum(x, 0) - x * y + _log1p(_exp(-_abs(x)))
    )
    return _reduced(
        loss if weight is None else loss * weight, reduction, "binary_cross_entropy_with_logits"
    )


def _classes(op: str, x: Tensor, target: Tensor) -> int:
    """Return the dimension of the classes: 1, or the only dimension."""
    axis = 0 if x.ndim == 1 else 1
    if not x.ndim or target.shape != x.shape[:axis] + x.shape[axis + 1 :]:
        raise ValueError(
            f"[{op}] target must have the input's shape {x.shape} without the classes, got "
            f"{target.shape}"
        )
    return axis


def _class_weight(op: str, x: Tensor, weight: Any, classes: int) -> Tensor | None:
    if weight is None:
        return None
    t = _wide(_float(as_tensor(weight, op, x), op)).astype(x.dtype, copy=False)
    if t.shape != (classes,):
        raise ValueError(f"[{op}] weight must have shape ({classes},), the classes, got {t.shape}")
    return t


def _picked(
    op: str, logs: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int
) -> tuple[Tensor, Tensor]:
    """Return the negated weighted log-probabilities of the target's classes, and the weights.

    Both are 0 where the target is ignored.  The function has a task of its own, because a gather
    counts negative classes from the end and reads a class even where it is ignored: a -inf there
    would make the loss NaN.
    """
    axis = _classes(op, logs, target)

    def pick(
        values: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None
    ) -> tuple[Any, Any]:
        target = target.astype(np.int64)
        counted, classes = target != ignore_index, values.shape[axis]
        wrong = counted & ((target < 0) | (target >= classes))
        if wrong.any():
            raise IndexError(
                f"[{op}] target must be from 0 to {classes - 1} for {classes} classes, or be "
                f"ignore_index, {ignore_index}, got {target[wrong][0]}"
            )
        if not counted.any():
            return 0.0, 0.0
        safe = np.where(counted, target, 0)
        chosen = np.take_along_axis(values, np.expand_dims(safe, axis), axis).squeeze(axis)
        factor = (
            counted.astype(values.dtype) if weights is None else np.where(counted, weights[safe], 0)
        )
        return np.where(counted, -chosen * factor, 0), factor

    inputs = [logs, target] if weight is None else [logs, target, weight]
    loss, factor = host_many(op, pick, inputs, [(target.shape, logs.dtype)] * 2)
    return loss, factor


_CROSS_ENTROPY = ARRAY_CODES["cross_entropy"]
_REDUCTIONS = {"none": 0, "sum": 1, "mean": 2}


def _of_classes(
    op: str,
    x: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    logits: bool,
) -> Tensor | None:
    """Return the loss of rows by the kernel; None where the ops of the table take it."""
    if x.ndim > 2 or reduction not in _REDUCTIONS:
        return None
    rows, classes = (x, target) if x.ndim == 2 else (x.reshape(1, -1), target.reshape(1))
    shape = target.shape if reduction == "none" else ()
    numbers = _REDUCTIONS[reduction], ignore_index, logits
    operands = (rows, classes) if weight is None else (rows, classes, weight)
    return array_op(_CROSS_ENTROPY, op, x.dtype.code, shape, numbers, *operands)


@named
def nll_loss(
    inputs: TensorLike,
    target: TensorLike,
    weight: TensorLike | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
) -> Tensor:
    """Return minus the log-probability of the target's class.

    Args:
        inputs: log-probabilities of shape (C,), (N, C) or (N, C, ...).
        target: integers of that shape without C.
        weight: the weight of each class, of shape (C,); None means 1.
        ignore_index: a class that does not count.
        reduction: "mean", "sum" or "none".

    Returns:
        A new tensor without dimensions, or of the target's shape for "none"; the mean is weighted.

    Raises:
        TypeError: the target holds no integers, or the input is complex.
        ValueError: the shapes do not fit, or the reduction is another one.
        IndexError: a class is out of range; raised by the read of the value.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.nll_loss(Tensor([[-1.0, -2.0]]), Tensor([1])))
        2.0
    """
    x = _float(inputs, "nll_loss")
    logs, y = _wide(x), as_tensor(target, "nll_loss", x)
    if y.dtype.kind not in "iu":
        raise TypeError(f"[nll_loss] target must be of integers, got {y.dtype}")
    factors = _class_weight("nll_loss", logs, weight, logs.shape[_classes("nll_loss", x, y)])
    found = _of_classes("nll_loss", x, y, factors, ignore_index, reduction, False)
    if found is not None:
        return found
    loss, factor = _picked("nll_loss", logs, y, factors, ignore_index)
    return _reduced(loss, reduction, "nll_loss", factor).astype(x.dtype, copy=False)


@named
def cross_entropy(
    input: TensorLike,
    target: TensorLike,
    weight: TensorLike | None = None,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return `nll_loss` of log_softmax(input); the target holds classes or probabilities.

    With label_smoothing e the loss is (1 - e) times that plus e / C times the weighted losses of
    all C classes (Szegedy et al., 2016).  The mean over classes is weighted by `weight`; the mean
    over probabilities is not.

    Args:
        input: logits of shape (C,), (N, C) or (N, C, ...).
        target: integers of that shape without C, or floats of that shape.
        weight: the weight of each class, of shape (C,); None means 1.
        ignore_index: a class that does not count.
        reduction: "mean", "sum" or "none".
        label_smoothing: a number e from 0 to 1.

    Returns:
        A new tensor without dimensions, or of the target's shape for "none".

    Raises:
        TypeError: an operand is not tensor-like, or is complex.
        ValueError: the shapes do not fit, or `label_smoothing` is not from 0 to 1.
        IndexError: a class is out of range; raised by the read of the value.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.cross_entropy(Tensor([[200.0, 0.0]]), Tensor([1])))
        200.0
    """
    source = _float(input, "cross_entropy")
    x, y = _wide(source), as_tensor(target, "cross_entropy", source)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(
            f"[cross_entropy] label_smoothing must be from 0 to 1, got {label_smoothing}"
        )
    if not x.ndim:
        raise ValueError("[cross_entropy] input must have a dimension of classes, got shape ()")
    axis = 0 if x.ndim == 1 else 1
    classes = x.shape[axis]
    factors = _class_weight("cross_entropy", x, weight, classes)
    if y.dtype.kind in "iu" and not label_smoothing:
        _classes("cross_entropy", x, y)
        found = _of_classes("cross_entropy", source, y, factors, ignore_index, reduction, True)
        if found is not None:
            return found
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
            raise ValueError(
                f"[cross_entropy] probabilities must have the input's shape {x.shape}, got "
                f"{y.shape}"
            )
        y = _float(y, "cross_entropy").astype(x.dtype, copy=False)
        loss = -reduce.sum(
            (y * (1 - label_smoothing) + label_smoothing / max(classes, 1)) * scaled, axis
        )
    return _reduced(loss, reduction, "cross_entropy", factor).astype(source.dtype, copy=False)
