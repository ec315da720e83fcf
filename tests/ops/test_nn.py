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
from minitensor import Tensor, ops, oracles
from minitensor.backend import settings

VALUES = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=1, max_dims=3, max_side=5),
    elements=st.floats(-20, 20, width=32),
)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0), "relu6": lambda x: np.clip(x, 0, 6),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)), "silu": lambda x: x * sigmoid(x),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "celu": lambda x: np.maximum(x, 0) + np.minimum(np.expm1(x), 0),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "gelu": lambda x: 0.5 * x * (1 + oracles.erf(x / math.sqrt(2))),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "logsigmoid": lambda x: -np.log1p(np.exp(-x)), "hardtanh": lambda x: np.clip(x, -1, 1),
    "hardsigmoid": lambda x: np.clip(x + 3, 0, 6) / 6,
    "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str) -> None:
    @given(VALUES)
    def check(values: np.ndarray) -> None:
        expected = ACTIVATIONS[name](values.astype(np.float64))
        np.testing.assert_allclose(
            getattr(ops, name)(Tensor(values)).asnumpy(), expected, rtol=2e-5, atol=2e-5
        )

    check()
    assert getattr(ops, name)(Tensor([1.0], mt.float16)).dtype is mt.float16
    assert getattr(ops, name)(Tensor([1.0], mt.float64)).dtype is mt.float64


@given(VALUES, st.data())
def test_softmax(values: np.ndarray, data: st.DataObject) -> None:
    axis = data.draw(st.integers(-values.ndim, values.ndim - 1))
    wide = values.astype(np.float64)
    np.testing.assert_allclose(
        ops.softmax(Tensor(values), axis).asnumpy(), softmax(wide, axis), rtol=1e-4, atol=1e-7
    )
    np.testing.assert_allclose(
        ops.softmin(Tensor(values), axis).asnumpy(), softmax(-wide, axis), rtol=1e-4, atol=1e-7
    )
    np.testing.assert_allclose(
        ops.log_softmax(Tensor(values), axis).asnumpy(), np.log(softmax(wide, axis)), rtol=1e-4,
        atol=1e-4,
    )  # fmt: skip


@pytest.mark.parametrize("shape", [(5,), (513,), (3, 600), (600, 3), (2, 9, 70), (140_000,)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32"])
def test_softmax_of_every_layout(shape: tuple[int, ...], dtype: str) -> None:
    values = (np.random.default_rng(5).standard_normal(shape) * 3).astype(dtype)
    rtol = {"float64": 1e-12, "float16": 2e-3}.get(dtype, 1e-5)
    for isa in settings.isa_names():
        settings.set_isa(isa)
        for array in (values, np.ascontiguousarray(values.T).T):
            for t in (Tensor(array), Tensor(np.repeat(array, 2, axis=-1))[..., ::2]):
                for axis in range(-values.ndim, values.ndim):
                    wide = values.astype(np.float64)
                    expected = softmax(wide, axis)
                    atol = rtol if dtype == "float16" else 1e-30
                    np.testing.assert_allclose(
                        ops.softmax(t, axis).asnumpy(), expected, rtol=rtol, atol=atol
                    )
                    np.testing.assert_allclose(
                        ops.log_softmax(t, axis).asnumpy(), np.log(expected), rtol=rtol, atol=rtol
                    )
                    top = np.log(np.exp(wide).sum(axis))
                    np.testing.assert_allclose(
                        ops.logsumexp(t, axis).asnumpy(), top, rtol=rtol, atol=rtol
                    )
    settings.set_isa("")


def test_softmax_of_special_values() -> None:
    for row in ([np.inf, 0.0], [np.nan, 0.0], [-np.inf, -np.inf]):
        for axis in (0, 1):
            t = Tensor(np.stack([row, [1.0, 2.0]], 1 - axis))
            assert np.isnan(ops.softmax(t, axis).asnumpy().take(0, 1 - axis)).any()
            assert not np.isnan(ops.softmax(t, axis).asnumpy().take(1, 1 - axis)).any()
    assert ops.softmax(Tensor([-np.inf, 0.0])).tolist() == [0, 1]
    assert ops.softmax(Tensor(3.0)).item() == 1 and ops.softmax(Tensor(np.zeros((0, 3)))).shape == (
        0,
        3,
    )
    with pytest.raises(ValueError, match=r"^\[softmax\] "):
        ops.softmax(Tensor([1.0]), 1)


@pytest.mark.parametrize("shape", [(1, 4096), (3, 4097), (70, 31), (2, 3, 5)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_layer_norm(shape: tuple[int, ...], dtype: str) -> None:
    rng = np.random.default_rng(8)
    x, w, b = (rng.standard_normal(s).astype(dtype) for s in (shape, shape[1:], shape[1:]))
    axes = tuple(range(1, len(shape)))
    wide = x.astype(np.float64)
    normal = (wide - wide.mean(axes, keepdims=True)) / np.sqrt(wide.var(axes, keepdims=True) + 1e-5)
    rtol = {"float32": 1e-4, "float64": 1e-10, "float16": 1e-3}[dtype]
    for weight in (None, Tensor(w)):
        for bias in (None, Tensor(b)):
            expected = normal * (1 if weight is None else w) + (0 if bias is None else b)
            actual = ops.layer_norm(Tensor(x), shape[1:], weight, bias).asnumpy()
            assert actual.dtype == dtype
            np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol)
    turned = Tensor(np.ascontiguousarray(x.T)).T
    np.testing.assert_allclose(
        ops.layer_norm(turned, shape[1:]).asnumpy(), normal, rtol=rtol, atol=rtol
    )


def test_nothing_overflows() -> None:
    assert ops.softmax(Tensor([1000.0, 1000.0])).tolist() == [0.5, 0.5]
    assert ops.log_softmax(Tensor([1000.0, 0.0])).tolist() == [0, -1000]
    assert (
        ops.softplus(Tensor([1000.0])).item() == 1000
        and ops.logsigmoid(Tensor([-1000.0])).item() == -1000
    )
    assert ops.gelu(Tensor([1.0]), approximate="tanh").item() == pytest.approx(0.841192, abs=1e-5)
    assert ops.binary_cross_entropy_with_logits(Tensor([1000.0]), Tensor([1.0])).item() == 0


def test_layers() -> None:
    x = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(np.float32)
    w, b = np.full(5, 2, np.float32), np.ones(5, np.float32)
    wide = x.astype(np.float64)
    expected = (wide - wide.mean(-1, keepdims=True)) / np.sqrt(
        wide.var(-1, keepdims=True) + 1e-5
    ) * w + b
    np.testing.assert_allclose(
        ops.layer_norm(Tensor(x), 5, Tensor(w), Tensor(b)).asnumpy(), expected, rtol=1e-4, atol=1e-4
    )
    weight = np.arange(10, dtype=np.float32).reshape(2, 5)
    np.testing.assert_allclose(
        ops.linear(Tensor(x), Tensor(weight), Tensor([1.0, 2.0])).asnumpy(), x @ weight.T + [1, 2],
        rtol=1e-4, atol=1e-4,
    )  # fmt: skip
    assert ops.embedding(Tensor([[1, 0]]), Tensor(weight)).tolist() == weight[[[1, 0]]].tolist()
    np.testing.assert_allclose(
        ops.normalize(Tensor(x)).asnumpy(), x / np.linalg.norm(x, axis=1, keepdims=True), rtol=1e-4
    )
    np.testing.assert_allclose(
        ops.cosine_similarity(Tensor(x), Tensor(x)).asnumpy(), np.ones((3, 5)), rtol=1e-5
    )


def test_dropout() -> None:
    ops.set_seed(2)
    t = ops.ones(10_000)
    dropped = ops.dropout(t, 0.25).asnumpy()
    assert (
        set(np.unique(dropped)) == {0, np.float32(1 / 0.75)}
        and abs((dropped == 0).mean() - 0.25) < 0.02
    )
    assert (
        ops.dropout(t, 0.25, training=False).asnumpy().min() == 1
        and ops.dropout(t, 1.0).asnumpy().max() == 0
    )


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
        (ops.mse_loss(tx, ty), ((x - y) ** 2).mean()),
        (ops.l1_loss(tx, ty, "sum"), np.abs(x - y).sum()),
        (ops.cross_entropy(tx, tc), picked.mean()),
        (ops.cross_entropy(tx, tc, reduction="none"), picked),
        (ops.cross_entropy(tx, tc, Tensor(weight)),
         (picked * weight[classes]).sum() / weight[classes].sum()),
        (ops.cross_entropy(tx, tc, ignore_index=1), picked[classes != 1].mean()),
        (ops.cross_entropy(tx, Tensor(softmax(y, 1))), -(softmax(y, 1) * logs).sum(1).mean()),
        (ops.cross_entropy(tx, tc, label_smoothing=0.1),
         (0.9 * picked - 0.1 * logs.mean(1)).mean()),
        (ops.nll_loss(Tensor(logs), tc), picked.mean()),
        (ops.binary_cross_entropy(Tensor(p), Tensor(q)),
         -(q * np.log(p) + (1 - q) * np.log(1 - p)).mean()),
        (ops.binary_cross_entropy_with_logits(tx, Tensor(q)),
         -(q * np.log(p) + (1 - q) * np.log(1 - p)).mean()),
        (ops.binary_cross_entropy_with_logits(tx, Tensor(q), pos_weight=Tensor([2.0])),
         -(2 * q * np.log(p) + (1 - q) * np.log(1 - p)).mean()),
        (ops.smooth_l1_loss(tx, ty), np.where(abs(x - y) < 1, (x - y) ** 2 / 2, abs(x - y) - 0.5)),
        (ops.smooth_l1_loss(tx, ty, reduction="mean"),
         np.where(abs(x - y) < 1, (x - y) ** 2 / 2, abs(x - y) - 0.5).mean()),
    ]:  # fmt: skip
        np.testing.assert_allclose(actual.asnumpy(), expected, rtol=1e-4, atol=1e-5)


def test_a_class_out_of_range_rises_where_the_loss_is_read() -> None:
    with pytest.raises(IndexError):
        ops.cross_entropy(Tensor([[1.0, 2.0]]), Tensor([5])).asnumpy()


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t: ops.gelu(t, "sigmoid"), lambda t: ops.dropout(t, 1.5),
        lambda t: ops.layer_norm(t, 7), lambda t: ops.mse_loss(t, t, "max"),
        lambda t: ops.cross_entropy(t, Tensor([0])), lambda t: ops.nll_loss(t, Tensor([0.5, 0.5])),
        lambda t: ops.softmax(t, 5),
        lambda t: ops.cross_entropy(t, Tensor([0, 1]), label_smoothing=2),
        lambda t: ops.smooth_l1_loss(t, t, 0), lambda t: ops.celu(t, 0),
    ],
)  # fmt: skip
def test_mistakes_rise_at_the_call(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^\[\w+\] "):
        wrong(Tensor([[1.0, 2.0], [3.0, 4.0]]))


@pytest.mark.parametrize("device", ["CPU", "Ascend"])
def test_on_every_device(device: str) -> None:
    t = Tensor([[1.0, 2.0], [3.0, 4.0]], device=device)
    for result in (
        ops.gelu(t), ops.softmax(t), ops.layer_norm(t, 2),
        ops.cross_entropy(t, Tensor([0, 1], device=device)), ops.dropout(t, 0.5),
    ):  # fmt: skip
        assert result.device.startswith(device)


HALVES = [mt.float16, mt.bfloat16]


@pytest.mark.parametrize("dtype", HALVES)
def test_halves_do_not_overflow_on_the_way(dtype: mt.DType) -> None:
    many = ops.zeros(70_000, dtype=dtype)
    for actual, expected in [
        (ops.softplus(Tensor([15.0, -15.0], dtype)), np.log1p(np.exp([15.0, -15.0]))),
        (ops.log_softmax(many)[:1], [-math.log(70_000)]),
        (ops.layer_norm(Tensor([-1000.0, 0, 1000], dtype), 3), [-1.5**0.5, 0, 1.5**0.5]),
        (ops.softmax(many)[:1], [1 / 70_000]),
        (ops.cosine_similarity(Tensor([[1000.0, 1000]], dtype), Tensor([[1000.0, 0]], dtype)),
         [0.5**0.5]),
        (ops.cross_entropy(many.reshape((1, -1)), Tensor([3])), math.log(70_000)),
    ]:  # fmt: skip
        assert actual.dtype is dtype
        np.testing.assert_allclose(
            actual.asnumpy().astype(np.float64), expected, rtol=1e-2, atol=1e-6
        )


def test_layer_norm_keeps_the_inputs_dtype() -> None:
    t = Tensor([[1.0, 2.0]], mt.float16)
    assert ops.layer_norm(t, 2, Tensor([1.0, 1.0]), Tensor([0.0, 0.0])).dtype is mt.float16


def reference_cross_entropy(
    x: np.ndarray, y: np.ndarray, w: np.ndarray, ignore: int, smoothing: float
) -> tuple[np.ndarray, float]:
    """Return the losses of (N, C, L) logits and their weighted mean, element by element."""
    logs = np.log(softmax(x.astype(np.float64), 1))
    loss, weight = np.zeros(y.shape), np.zeros(y.shape)
    for n, position in np.ndindex(y.shape):
        c = y[n, position]
        if c != ignore:
            weight[n, position] = w[c]
            smooth = -(w * logs[n, :, position]).sum() / len(w)
            loss[n, position] = (1 - smoothing) * -w[c] * logs[n, c, position] + smoothing * smooth
    return loss, loss.sum() / weight.sum() if weight.any() else float("nan")


@given(
    st.data(), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3),
    st.sampled_from([0.0, 0.1, 1.0]),
)  # fmt: skip
def test_cross_entropy_of_classes(
    data: st.DataObject, n: int, c: int, length: int, smoothing: float
) -> None:
    x = data.draw(hnp.arrays(np.float32, (n, c, length), elements=st.floats(-20, 20, width=32)))
    y = data.draw(hnp.arrays(np.int64, (n, length), elements=st.sampled_from([-100, *range(c)])))
    w = data.draw(hnp.arrays(np.float32, (c,), elements=st.floats(0.25, 4, width=32)))
    loss, mean = reference_cross_entropy(x, y, w, -100, smoothing)
    arguments = {"weight": Tensor(w), "label_smoothing": smoothing}
    each = ops.cross_entropy(Tensor(x), Tensor(y), reduction="none", **arguments)
    np.testing.assert_allclose(each.asnumpy(), loss, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        ops.cross_entropy(Tensor(x), Tensor(y), **arguments).item(), mean, rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1), (9, 600), (700, 40)])
def test_cross_entropy_of_rows(shape: tuple[int, int], dtype: str) -> None:
    """The kernel's rows: below and above a tile and what a thread takes at once, in any layout."""
    rng = np.random.default_rng(3)
    x = (rng.standard_normal(shape) * 5).astype(dtype)
    y = rng.integers(0, shape[1], shape[0])
    y[rng.random(shape[0]) < 0.2] = -100
    w = rng.random(shape[1]).astype(dtype) + np.array(0.5, dtype)
    rtol = {"float16": 2e-3, "float32": 1e-5, "float64": 1e-12}[dtype]
    for isa in settings.isa_names():
        settings.set_isa(isa)
        for factors in (np.ones_like(w), w):
            wide = factors.astype(np.float64)
            loss, mean = reference_cross_entropy(x[:, :, None], y[:, None], wide, -100, 0)
            expected = {"none": loss[:, 0], "sum": loss.sum(), "mean": mean}
            weight = None if factors is not w else Tensor(w)
            logs = np.log(softmax(x.astype(np.float64), 1)).astype(dtype)
            for t in (Tensor(x), Tensor(np.repeat(x, 2, 1))[:, ::2], Tensor(x.T.copy()).T):
                for reduction, value in expected.items():
                    got = ops.cross_entropy(t, Tensor(y), weight, reduction=reduction)
                    assert got.dtype == dtype
                    np.testing.assert_allclose(got.asnumpy(), value, rtol=rtol, atol=rtol)
                    got = ops.nll_loss(Tensor(logs), Tensor(y), weight, reduction=reduction)
                    np.testing.assert_allclose(got.asnumpy(), value, rtol=rtol, atol=rtol)
    settings.set_isa("")


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("wrong", [-1, 2, 5, -101])
@pytest.mark.parametrize("device", ["CPU", "Ascend"])
def test_classes_out_of_range_are_named_where_the_loss_is_read(
    wrong: int, smoothing: float, device: str
) -> None:
    t, target = Tensor([[1.0, 2.0], [0.0, 1.0]], device=device), Tensor([0, wrong], device=device)
    loss = ops.cross_entropy(t, target, label_smoothing=smoothing)
    with pytest.raises(
        IndexError,
        match=rf"^\[cross_entropy\] target must be from 0 to 1 for 2 classes.*got {wrong} .issued "
        rf"at .*test_nn.py:\d+",
    ):
        loss.asnumpy()


def test_what_is_ignored_does_not_count_whatever_it_is() -> None:
    # class 0 is masked out, in the row that is ignored
    x = Tensor([[-np.inf, 1.0, 1.0], [1.0, 1.0, 1.0]])
    assert ops.cross_entropy(x, Tensor([-100, 1])).item() == pytest.approx(math.log(3))
    assert ops.cross_entropy(x, Tensor([-100, -100]), reduction="sum").item() == 0
    assert ops.cross_entropy(
        Tensor(np.zeros((1, 200), np.float32)), Tensor([156], mt.uint8)
    ).item() == pytest.approx(math.log(200))
    assert ops.cross_entropy(Tensor([0.0, 0.0]), Tensor(1)).item() == pytest.approx(math.log(2))
    assert ops.dropout(Tensor([np.inf, 1.0]), 1.0).tolist() == [0, 0]


def test_cosine_similarity_broadcasts() -> None:
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32), np.array([1.0, 2.0], np.float32)
    expected = a @ b / (np.linalg.norm(a, axis=1) * np.linalg.norm(b))
    np.testing.assert_allclose(
        ops.cosine_similarity(Tensor(a), Tensor(b)).asnumpy(), expected, rtol=1e-5
    )


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t: ops.cross_entropy(t, Tensor([0, 1]), Tensor([1.0] * 3)),
        lambda t: ops.nll_loss(t, Tensor([0, 1]), Tensor([1.0] * 3)),
        lambda t: ops.cross_entropy(Tensor(1.0), Tensor(1)), lambda t: ops.dropout(t, "a"),
        lambda t: ops.hardtanh(t, 2, -2),
        lambda t: ops.softmax(Tensor(1.0), 5), lambda t: ops.silu(Tensor([1j])),
        lambda t: ops.layer_norm(t, 2, Tensor([1.0])),
        lambda t: ops.cosine_similarity(t, Tensor([1.0] * 3)), lambda t: ops.softplus(t, 0),
        lambda t: ops.cross_entropy(t, Tensor([0, 1]), reduction="max"),
    ],
)  # fmt: skip
def test_more_mistakes_rise_at_the_call(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^\[\w+\] (?!.*issued at)"):
        wrong(Tensor([[1.0, 2.0], [3.0, 4.0]]))
