"""Neural-network functions against their formulas in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minitensor as mt
from minitensor import Tensor, ops, special

VALUES = hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=3, max_side=5), elements=st.floats(-20, 20, width=32))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0), "relu6": lambda x: np.clip(x, 0, 6), "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)), "silu": lambda x: x * sigmoid(x), "softplus": lambda x: np.log1p(np.exp(x)),
    "celu": lambda x: np.maximum(x, 0) + np.minimum(np.expm1(x), 0), "softsign": lambda x: x / (1 + np.abs(x)),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "gelu": lambda x: 0.5 * x * (1 + special.erf(x / math.sqrt(2))), "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "logsigmoid": lambda x: -np.log1p(np.exp(-x)), "hardtanh": lambda x: np.clip(x, -1, 1),
    "hardsigmoid": lambda x: np.clip(x + 3, 0, 6) / 6, "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str) -> None:
    @given(VALUES)
    def check(values: np.ndarray) -> None:
        expected = ACTIVATIONS[name](values.astype(np.float64))
        np.testing.assert_allclose(getattr(ops, name)(Tensor(values)).asnumpy(), expected, rtol=2e-5, atol=2e-5)

    check()
    assert getattr(ops, name)(Tensor([1.0], mt.float16)).dtype is mt.float16
    assert getattr(ops, name)(Tensor([1.0], mt.float64)).dtype is mt.float64


@given(VALUES, st.data())
def test_softmax(values: np.ndarray, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-values.ndim, values.ndim - 1))
    wide = values.astype(np.float64)
    np.testing.assert_allclose(ops.softmax(Tensor(values), axis).asnumpy(), softmax(wide, axis), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(ops.softmin(Tensor(values), axis).asnumpy(), softmax(-wide, axis), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(ops.log_softmax(Tensor(values), axis).asnumpy(), np.log(softmax(wide, axis)), rtol=1e-4, atol=1e-4)


def test_nothing_overflows() -> None:
    assert ops.softmax(Tensor([1000.0, 1000.0])).tolist() == [0.5, 0.5]
    assert ops.log_softmax(Tensor([1000.0, 0.0])).tolist() == [0, -1000]
    assert ops.softplus(Tensor([1000.0])).item() == 1000 and ops.logsigmoid(Tensor([-1000.0])).item() == -1000
    assert ops.gelu(Tensor([1.0]), approximate="tanh").item() == pytest.approx(0.841192, abs=1e-5)
    assert ops.binary_cross_entropy_with_logits(Tensor([1000.0]), Tensor([1.0])).item() == 0


def test_layers() -> None:
    x = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(np.float32)
    w, b = np.full(5, 2, np.float32), np.ones(5, np.float32)
    wide = x.astype(np.float64)
    expected = (wide - wide.mean(-1, keepdims=True)) / np.sqrt(wide.var(-1, keepdims=True) + 1e-5) * w + b
    np.testing.assert_allclose(ops.layer_norm(Tensor(x), 5, Tensor(w), Tensor(b)).asnumpy(), expected, rtol=1e-4, atol=1e-4)
    weight = np.arange(10, dtype=np.float32).reshape(2, 5)
    np.testing.assert_allclose(ops.linear(Tensor(x), Tensor(weight), Tensor([1.0, 2.0])).asnumpy(), x @ weight.T + [1, 2], rtol=1e-4, atol=1e-4)
    assert ops.embedding(Tensor([[1, 0]]), Tensor(weight)).tolist() == weight[[[1, 0]]].tolist()
    np.testing.assert_allclose(ops.normalize(Tensor(x)).asnumpy(), x / np.linalg.norm(x, axis=1, keepdims=True), rtol=1e-4)
    np.testing.assert_allclose(ops.cosine_similarity(Tensor(x), Tensor(x)).asnumpy(), np.ones((3, 5)), rtol=1e-5)


def test_dropout() -> None:
    ops.set_seed(2)
    t = ops.ones(10_000)
    dropped = ops.dropout(t, 0.25).asnumpy()
    assert set(np.unique(dropped)) == {0, np.float32(1 / 0.75)} and abs((dropped == 0).mean() - 0.25) < 0.02
    assert ops.dropout(t, 0.25, training=False).asnumpy().min() == 1 and ops.dropout(t, 1.0).asnumpy().max() == 0


def test_losses() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((2, 6, 3)).astype(np.float32)
    classes = np.array([0, 2, 1, 1, 0, 2])
    tx, ty, tc = Tensor(x), Tensor(y), Tensor(classes)
    logs = np.log(softmax(x.astype(np.float64), 1))
    picked = -logs[np.arange(6), classes]
    weight = np.array([1.0, 2.0, 0.5], np.float32)
    p, q = sigmoid(x), (y > 0).astype(np.float32)
    for actual, expected in [
        (ops.mse_loss(tx, ty), ((x - y) ** 2).mean()), (ops.l1_loss(tx, ty, "sum"), np.abs(x - y).sum()),
        (ops.cross_entropy(tx, tc), picked.mean()), (ops.cross_entropy(tx, tc, reduction="none"), picked),
        (ops.cross_entropy(tx, tc, Tensor(weight)), (picked * weight[classes]).sum() / weight[classes].sum()),
        (ops.cross_entropy(tx, tc, ignore_index=1), picked[classes != 1].mean()),
        (ops.cross_entropy(tx, Tensor(softmax(y, 1))), -(softmax(y, 1) * logs).sum(1).mean()),
        (ops.cross_entropy(tx, tc, label_smoothing=0.1), (0.9 * picked - 0.1 * logs.mean(1)).mean()),
        (ops.nll_loss(Tensor(logs), tc), picked.mean()),
        (ops.binary_cross_entropy(Tensor(p), Tensor(q)), -(q * np.log(p) + (1 - q) * np.log(1 - p)).mean()),
        (ops.binary_cross_entropy_with_logits(tx, Tensor(q)), -(q * np.log(p) + (1 - q) * np.log(1 - p)).mean()),
        (ops.binary_cross_entropy_with_logits(tx, Tensor(q), pos_weight=Tensor([2.0])), -(2 * q * np.log(p) + (1 - q) * np.log(1 - p)).mean()),
        (ops.smooth_l1_loss(tx, ty), np.where(abs(x - y) < 1, (x - y) ** 2 / 2, abs(x - y) - 0.5).mean()),
    ]:  # fmt: skip
        np.testing.assert_allclose(actual.asnumpy(), expected, rtol=1e-4, atol=1e-5)


def test_a_class_out_of_range_rises_where_the_loss_is_read() -> None:
    with pytest.raises(IndexError):
        ops.cross_entropy(Tensor([[1.0, 2.0]]), Tensor([5])).asnumpy()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t: ops.gelu(t, "sigmoid"), lambda t: ops.dropout(t, 1.5), lambda t: ops.layer_norm(t, 7), lambda t: ops.mse_loss(t, t, "max"),
        lambda t: ops.cross_entropy(t, Tensor([0])), lambda t: ops.nll_loss(t, Tensor([0.5, 0.5])), lambda t: ops.softmax(t, 5),
        lambda t: ops.cross_entropy(t, Tensor([0, 1]), label_smoothing=2), lambda t: ops.smooth_l1_loss(t, t, 0), lambda t: ops.celu(t, 0),
    ],
)  # fmt: skip
def test_mistakes_rise_at_the_call(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^\[\w+\] "):
        wrong(Tensor([[1.0, 2.0], [3.0, 4.0]]))


@pytest.mark.parametrize("device", ["CPU", "Ascend"])
def test_on_every_device(device: str) -> None:
    t = Tensor([[1.0, 2.0], [3.0, 4.0]], device=device)
    for result in (ops.gelu(t), ops.softmax(t), ops.layer_norm(t, 2), ops.cross_entropy(t, Tensor([0, 1], device=device)), ops.dropout(t, 0.5)):
        assert result.device.startswith(device)
