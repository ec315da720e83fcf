"""Reductions: precision, arguments, and functions made of them.

test_conformance.py has the reductions of the table.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minitensor as mt
from minitensor import Tensor, ops

ARRAYS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=1, max_dims=3, max_side=6),
    elements=st.floats(-50, 50, width=32),
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_sums_are_better_than_naive(dtype: type, axis: int | None) -> None:
    values = np.random.default_rng(1).uniform(0, 1, (3000, 1001)).astype(dtype)
    exact = values.astype(np.longdouble).sum(axis=axis)
    error = np.max(np.abs(Tensor(values).sum(axis=axis).asnumpy() - exact) / exact)
    assert error <= 2 * np.finfo(dtype).eps
    numpys = np.max(np.abs(values.sum(axis=axis) - exact) / exact)
    assert error <= max(numpys, np.finfo(dtype).eps)


def test_arguments_and_their_other_names() -> None:
    t = Tensor(np.arange(6.0).reshape(2, 3))
    for keywords in (
        {"axis": 1, "keepdims": True},
        {"dim": 1, "keepdim": True},
        {"axis": -1, "keep_dims": True},
    ):
        assert ops.sum(t, **keywords).tolist() == [[3], [12]]
    assert t.sum((0, 1)).item() == 15 and t.sum(axis=[0]).tolist() == [3, 5, 7]
    assert (
        ops.sum(Tensor([True, True])).dtype is mt.int64
        and ops.sum(Tensor([1], mt.uint8)).dtype is mt.uint64
    )
    assert ops.sum(Tensor([1], mt.int8), dtype=mt.float64).dtype is mt.float64
    assert ops.mean(Tensor([1, 2])).item() == 1.5
    values, index = ops.max(t, axis=1)
    assert (values.tolist(), index.tolist()) == ([2, 5], [2, 2])
    assert t.max().item() == 5 and t.min(axis=0).tolist() == [0, 1, 2]
    with pytest.raises(TypeError, match="dim and axis must not both be given"):
        ops.sum(t, axis=0, dim=0)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda t: t.sum(axis=2), ValueError), (lambda t: t.sum(axis=(0, 0)), ValueError),
        (lambda t: t.sum(axis="a"), TypeError),
        (lambda t: ops.amax(Tensor([])), ValueError),
        (lambda t: ops.argmin(Tensor(np.zeros((2, 0))), axis=1), ValueError),
        (lambda t: ops.amax(Tensor([1j])), TypeError),
        (lambda t: ops.norm(t, ord="nuclear"), ValueError),
    ],
)  # fmt: skip
def test_mistakes_rise_at_the_call(wrong: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"^\[\w+\] "):
        wrong(Tensor(np.ones((2, 3))))  # type: ignore[operator]


def test_of_nothing() -> None:
    nothing = Tensor(np.zeros((0, 3)))
    assert nothing.sum(axis=0).tolist() == [0, 0, 0] and nothing.prod().item() == 1
    assert nothing.any().item() is False and nothing.all().item() is True
    assert np.isnan(nothing.mean().item())
    assert ops.amax(nothing, axis=1).shape == (0,)


@given(ARRAYS, st.integers(0, 1), st.booleans())
def test_spread(values: np.ndarray, ddof: int, keepdims: bool) -> None:
    t, axis = Tensor(values), values.ndim - 1
    if values.shape[axis] <= ddof:
        return
    with np.errstate(all="ignore"):
        wide = values.astype(np.float64)
        np.testing.assert_allclose(
            ops.var(t, axis, ddof, keepdims).asnumpy(),
            wide.var(axis, ddof=ddof, keepdims=keepdims), rtol=1e-4, atol=1e-4,
        )  # fmt: skip
        np.testing.assert_allclose(t.std(axis).asnumpy(), wide.std(axis), rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(t.ptp(axis).asnumpy(), np.ptp(values, axis), rtol=1e-6)


@given(ARRAYS)
def test_the_rest(values: np.ndarray) -> None:
    t, axis = Tensor(values), values.ndim - 1
    wide = values.astype(np.float64)
    np.testing.assert_allclose(ops.logsumexp(t, axis).asnumpy(),
        np.log(np.exp(wide - wide.max(axis, keepdims=True)).sum(axis))
                               + wide.max(axis), rtol=1e-5, atol=1e-5)  # fmt: skip
    np.testing.assert_allclose(t.cumsum(axis).asnumpy(), np.cumsum(values, axis), rtol=1e-6)
    np.testing.assert_allclose(ops.norm(t).item(), np.sqrt((wide**2).sum()), rtol=1e-5, atol=1e-18)
    for order in (1, 3, np.inf, -np.inf, 0):
        np.testing.assert_allclose(
            ops.norm(t, order, axis).asnumpy(), np.linalg.norm(wide, order, axis), rtol=1e-4,
            atol=1e-4,
        )  # fmt: skip
    assert ops.count_nonzero(t).item() == np.count_nonzero(values)


def test_logsumexp_of_infinities() -> None:
    assert ops.logsumexp(Tensor([-np.inf, -np.inf])).item() == -np.inf
    assert ops.logsumexp(Tensor([np.inf, 0.0])).item() == np.inf
