"""Elementwise functions that NumPy or SciPy computes, and combinations of ops, against NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitensor import Tensor, ops
from minitensor.ops import ufuncs
from minitensor.optable import Op

special = pytest.importorskip("scipy.special")
NAMES = {**ufuncs._NAMES, "sc": special, "erfc": special.erfc, "lgamma": special.gammaln}
SCALARS = [2, 0.5]
KINDS = {"b": "bool", "i": "int16", "u": "uint8", "f": "float32", "c": "complex64"}


def exact(op: Op, *operands: np.ndarray) -> np.ndarray:
    """The row's expression of operands in double precision; SciPy in place of our own functions."""
    names = {**NAMES, **dict(zip("ab", operands))}
    with np.errstate(all="ignore"):
        return np.asarray(eval(op.numpy, names))


def drawn(op: Op, shape: tuple[int, ...], kind: str, seed: int) -> np.ndarray:
    low, high = op.domain or (-10, 10)
    a = np.random.default_rng(seed).uniform(low, high, shape)
    if kind == "b":
        return a > 0
    if kind in "iu":
        return np.abs(np.rint(a)).astype(KINDS[kind])
    return (a + 1j * a[..., ::-1] if kind == "c" else a).astype(KINDS[kind])


CASES = [(op, kind) for op in ufuncs.ROWS for kind in "biufc"
         if kind in op.kinds or (kind in "biu" and op.rule != "same")]  # fmt: skip


@pytest.mark.parametrize(("op", "kind"), CASES, ids=lambda v: getattr(v, "name", v))
def test_values_and_dtypes(op: Op, kind: str) -> None:
    operands = [drawn(op, (3, 4), kind, 1), drawn(op, (4,), kind, 2)][: op.inputs]
    result = getattr(ops, op.name)(*map(Tensor, operands))
    wide = [a.astype("c16" if kind == "c" else "f8") if op.rule != "same" or kind in "fc" else a
            for a in operands]  # fmt: skip
    if op.name == "nextafter":
        wide = operands
    expected = exact(op, *wide)
    if op.rule == "test":
        assert result.asnumpy().dtype == bool
    elif op.rule == "float" and kind in "biu":
        assert result.asnumpy().dtype == np.float32
    else:
        assert result.asnumpy().dtype == operands[0].dtype
    np.testing.assert_allclose(result.asnumpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
@pytest.mark.parametrize("op", [op for op in ufuncs.ROWS if "f" in op.kinds], ids=lambda o: o.name)
def test_half_precision_is_computed_in_single_precision(op: Op, kind: str) -> None:
    operands = [Tensor(drawn(op, (4,), "f", seed)).astype(kind) for seed in (1, 2)][: op.inputs]
    function = getattr(ops, op.name)
    result = function(*operands)
    if op.name == "nextafter":
        ours, theirs = (t.asnumpy() for t in operands)
        assert np.array_equal(result.asnumpy(), np.nextafter(ours, theirs))
        return
    expected = function(*(t.astype("float32") for t in operands))
    same = result.asnumpy() == expected.astype(result.dtype).asnumpy()
    assert np.all(same | np.isnan(expected.asnumpy()))


@pytest.mark.parametrize("op", ufuncs.ROWS, ids=lambda op: op.name)
def test_errors_name_the_op(op: Op) -> None:
    function = getattr(ops, op.name)
    wrong = ["no", *([Tensor([1.0])] * (op.inputs - 1))]
    with pytest.raises(TypeError, match=rf"^\[{op.name}\] an operand must be tensor-like"):
        function(*wrong)
    if op.inputs == 2:
        kind = KINDS[op.kinds[-1]]
        with pytest.raises(ValueError, match=rf"^\[{op.name}\] the shapes must broadcast"):
            function(ops.ones(2, dtype=kind), ops.ones(3, dtype=kind))
    if not op.complex:
        with pytest.raises(TypeError, match=rf"^\[{op.name}\] the operands must be"):
            function(*[Tensor([1j])] * op.inputs)


@pytest.mark.parametrize(
    ("left", "right", "dtype"),
    [
        ("int8", 2, "int8"), ("int8", 2.5, "float32"), ("float16", 2, "float16"),
        ("float64", 2.5, "float64"), ("bool", True, "bool"), ("bool", 3, "int64"),
    ],
)  # fmt: skip
def test_a_number_is_weak(left: str, right: Any, dtype: str) -> None:
    t = Tensor(np.ones(3), left)
    assert ops.fmax(t, right).dtype == dtype
    assert ops.fmin(right, t).dtype == dtype


def test_special_values() -> None:
    x = Tensor([0.0, -0.0, math.inf, -math.inf, math.nan])
    assert ops.xlogy(Tensor([0.0, 0.0]), Tensor([0.0, math.nan])).tolist()[0] == 0
    assert math.isnan(ops.xlogy(0.0, Tensor([math.nan])).tolist()[0])
    assert ops.signbit(x).tolist()[:4] == [False, True, False, True]
    assert ops.isneginf(x).tolist() == [False, False, False, True, False]
    assert ops.lgamma(Tensor([0.0, -1.0, -0.5])).tolist()[:2] == [math.inf, math.inf]
    assert ops.truncate_div(Tensor([5, -5]), Tensor([0, 3])).tolist() == [0, -1]
    assert ops.angle(x).tolist()[2:4] == [0.0, pytest.approx(math.pi)]


@given(st.integers(0, 3), st.integers(0, 5), st.sampled_from([0, 1, -1]), st.booleans())
def test_diff(n: int, length: int, axis: int, bools: bool) -> None:
    a = np.random.default_rng(0).integers(0, 9, (length, length + 1))
    a = a > 4 if bools else a
    expected = np.diff(a, n, axis)
    assert np.array_equal(ops.diff(Tensor(a), n, axis).asnumpy(), expected)
    if length:
        ends = {"prepend": a.flat[0], "append": a}
        got = ops.diff(Tensor(a), n, axis, prepend=Tensor(a.flat[0]), append=Tensor(a))
        assert np.array_equal(got.asnumpy(), np.diff(a, n, axis, **ends))


def test_combinations() -> None:
    a, b, c = (np.random.default_rng(i).uniform(0.1, 0.9, (2, 3)).astype("f4") for i in range(3))
    x, y, z = map(Tensor, (a, b, c))
    pairs = [
        (ops.addcmul(x, y, z, 0.5), a + np.float32(0.5) * (b * c)),
        (ops.addcdiv(x, y, z), a + b / c),
        (ops.addn([x, y, z]), a + b + c),
        (ops.accumulate_n([x]), a),
        (ops.approximate_equal(x, y, 0.5), np.abs(a - b) < 0.5),
        (ops.clip_by_value(x, 0.3), np.maximum(a, np.float32(0.3))),
        (ops.clip_by_value(x, clip_value_max=y), np.minimum(a, b)),
        (ops.clip_by_norm(x, 0.1), a * (0.1 / np.linalg.norm(a))),
        (ops.clip_by_norm(x, 100.0, axis=1), a),
        (ops.clip_by_norm(x, 0.1, axis=1), a * (0.1 / np.linalg.norm(a, axis=1, keepdims=True))),
        (ops.float_power(x, 2), a.astype("f8") ** 2),
        (ops.logit(x), np.log(a / (1 - a))),
        (ops.logit(x, 0.4), special.logit(np.clip(a, 0.4, 0.6))),
        (ops.polygamma(0, x), special.polygamma(0, a)),
        (ops.polygamma(1, x), special.polygamma(1, a)),
        (ops.polygamma(2, x), special.polygamma(2, a)),
        (ops.mvlgamma(x + 3, 4), special.multigammaln(a + 3, 4)),
        (ops.polar(x, y), a * np.exp(1j * b)),
        (ops.view_as_real(ops.polar(x, y)), np.stack([a * np.cos(b), a * np.sin(b)], -1)),
        (ops.real(ops.polar(x, y)), a * np.cos(b)),
        (ops.imag(x), 0 * a),
        (ops.angle(ops.polar(x, y)), b),
    ]
    for ours, expected in pairs:
        assert ours.shape == expected.shape
        np.testing.assert_allclose(ours.asnumpy(), expected, rtol=3e-5, atol=1e-6)
    norm = math.sqrt(sum((v**2).sum() for v in (a, b)))
    for ours, expected in zip(ops.clip_by_global_norm([x, y], 0.5), (a, b)):
        np.testing.assert_allclose(ours.asnumpy(), expected * (0.5 / norm), rtol=1e-5)
    clipped = ops.clip_by_value([x, y], 0.2, 0.4)
    assert np.array_equal(clipped[1].asnumpy(), np.clip(b, np.float32(0.2), np.float32(0.4)))
    assert ops.is_complex(ops.polar(x, y)) and not ops.is_complex(x)
    assert ops.is_floating_point(x) and not ops.is_floating_point(x > 0)
    assert ops.stop_gradient(x) is x and ops.depend(x, y) is x
    assert ops.partial(ops.add, x)(y).tolist() == (x + y).tolist()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda t: ops.addn([]), ValueError, r"\[addn\] x must have tensors of one shape"),
        (lambda t: ops.addn([t, t[0]]), ValueError, r"\[addn\] x must have tensors of one shape"),
        (lambda t: ops.addn(1), TypeError, r"\[addn\] x must be a list"),
        (lambda t: ops.clip_by_value(t), ValueError, r"\[clip_by_value\] a limit must be given"),
        (lambda t: ops.clip_by_norm(t, 0), ValueError, r"\[clip_by_norm\] max_norm must be above"),
        (lambda t: ops.clip_by_global_norm([]), ValueError, r"\[clip_by_global_norm\] x must"),
        (lambda t: ops.diff(t, -1), ValueError, r"\[diff\] n must not be negative"),
        (lambda t: ops.diff(t, axis=5), IndexError, r"\[diff\] axis must be"),
        (lambda t: ops.polygamma(-1, t), ValueError, r"\[polygamma\] n must not be negative"),
        (lambda t: ops.mvlgamma(t, 0), ValueError, r"\[mvlgamma\] p must be at least 1"),
        (lambda t: ops.is_complex(1), TypeError, r"\[is_complex\] input must be a tensor"),
        (lambda t: ops.view_as_real(t), TypeError, r"\[view_as_real\] input must be complex"),
        (lambda t: ops.polar(t, 1j), TypeError, r"\[polar\] abs and angle must be real"),
        (lambda t: ops.logit(Tensor([1j])), TypeError, r"\[logit\] input must be real"),
    ],
)
def test_errors_of_combinations(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call(Tensor([[1.0, 2.0], [3.0, 4.0]]))


def test_without_scipy_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "scipy.special", None)
    with pytest.raises(ImportError, match=r"^\[digamma\] SciPy must be installed"):
        ufuncs._scipy("digamma")
