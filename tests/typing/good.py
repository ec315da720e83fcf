"""A user's program: type checkers pass it, and see the type of each expression that it reveals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import minitensor as mt
from minitensor import Tensor, context, ops, runtime, set_context
from minitensor.typing import AxisLike, DeviceLike, DTypeLike, ShapeLike, TensorLike

if TYPE_CHECKING:
    from typing_extensions import reveal_type
else:

    def reveal_type(value: object) -> object:
        return value


def standardized(x: TensorLike, axis: AxisLike = -1, dtype: DTypeLike = mt.float32) -> Tensor:
    t = ops.cast(x, dtype)
    return (t - ops.mean(t, axis, keepdims=True)) / ops.std(t, axis, keepdims=True)


def weights(shape: ShapeLike, device: DeviceLike | None = None) -> Tensor:
    return ops.full(shape, 0.5, dtype="float32", device=device)


def train(steps: int) -> float:
    ops.set_seed(7)
    x = standardized(np.arange(12.0).reshape(4, 3), axis=1)
    w, b = weights((3, 2)), ops.zeros(2)
    target = Tensor([0, 1, 0, 1])
    loss = Tensor(0.0)
    for _ in range(steps):
        logits = x @ w + b
        loss = ops.cross_entropy(logits, target, reduction="mean")
        w -= 0.1 * (x.T @ (ops.softmax(logits, dim=1) - ops.one_hot(target, 2)))
    return float(loss)


reveal_type(standardized)
reveal_type(ops.log([1.0, 2.0]))  # Tensor
t = Tensor([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32)
reveal_type(t + 1)
reveal_type(2 ** -t)
reveal_type(t == 1)
reveal_type(t[0, ..., None])
reveal_type(t.sum(dim=0, keepdim=True))
reveal_type(t.max())
reveal_type(ops.max(t))
reveal_type(ops.unique(t))
reveal_type(t.reshape(4).T)
reveal_type(t.split(1))
reveal_type(t.shape)
reveal_type(t.dtype)
reveal_type(t.astype("int8").numpy())
reveal_type(t.item(0, 0))
reveal_type(ops.gather(t, indices := Tensor([0]), dim=0))
reveal_type(context.get_context("device_id"))
reveal_type(mt.get_current_device())
reveal_type(runtime.current_stream())
reveal_type(mt.multiprocessing)
set_context(device_target="CPU", pynative_synchronize=False)
t[0] = np.zeros(2)
t += 1
assert indices.size == 1 and train(3) > 0
