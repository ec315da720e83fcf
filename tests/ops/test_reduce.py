"""Reductions: precision, arguments, and functions made of them.

test_conformance.py has the reductions of the table.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minitensor as mt
from minitensor import Tensor, ops, runtime
from minitensor.backend import settings

LONG = 65536  # elements of a block: a fold and a scan cut longer runs in such blocks


@pytest.fixture(params=settings.isa_names())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    before = settings.isa()
    settings.set_isa(request.param)
    yield request.param
    settings.set_isa(before)


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
    np.testing.assert_allclose(t.cumsum(axis).asnumpy(), np.cumsum(wide, axis), rtol=1e-6)
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


def layouts(values: np.ndarray) -> list[Tensor]:
    """Return tensors of the same elements that lie in different ways."""
    doubled = Tensor(np.repeat(values, 2, axis=-1))[..., ::2]
    reversed_ = Tensor(np.ascontiguousarray(values[::-1]))._view(
        values.shape,
        (-values.strides[0], *values.strides[1:]),
        values.strides[0] * (values.shape[0] - 1),
    )
    return [Tensor(values), doubled, reversed_, Tensor(np.ascontiguousarray(values.T)).T]


@pytest.mark.parametrize(
    "shape", [(7,), (8,), (LONG - 1,), (LONG + 9,), (3, 600), (600, 3), (2, 300, 5), (1, LONG + 1)]
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "uint16", "bool"])
def test_scans(shape: tuple[int, ...], dtype: str, isa: str) -> None:
    rng = np.random.default_rng(3)
    values = (
        rng.uniform(0.99, 1.01, shape) if dtype.startswith("f") else rng.integers(0, 3, shape)
    ).astype(dtype)
    wide = values.astype(np.float64) if dtype.startswith("f") else values
    for t in layouts(values):
        for axis in range(-values.ndim, values.ndim):
            for name in ("cumsum", "cumprod"):
                expected = getattr(np, name)(wide, axis)
                rtol = 1e-6 if dtype == "float32" else 1e-9
                actual = getattr(t, name)(axis).asnumpy()
                np.testing.assert_allclose(actual, expected.astype(actual.dtype), rtol=rtol)


def test_scans_keep_nan_infinities_and_other_dtypes() -> None:
    for values in ([1.0, np.inf, 2.0, -np.inf, 1.0], [1.0, np.nan, 2.0], [-0.0, -0.0]):
        array = np.array(values, np.float32)
        np.testing.assert_array_equal(Tensor(array).cumsum().asnumpy(), np.cumsum(array))
        assert np.signbit(Tensor(array).cumsum().asnumpy()[0]) == np.signbit(array[0])
    assert Tensor([100, 100]).cumsum(dtype=mt.int8).tolist() == [100, -56]
    assert Tensor([1.5, 1.5]).cumsum(dtype=mt.int64).tolist() == [1, 2]
    assert Tensor([1.5, 1.5], mt.float16).cumsum().dtype is mt.float16
    assert ops.cumsum(Tensor([1j, 2])).tolist() == [1j, 2 + 1j]
    assert Tensor(np.zeros((3, 0))).cumsum(0).shape == (3, 0)
    with pytest.raises(ValueError, match=r"^\[cumsum\] "):
        Tensor(1.0).cumsum(0)


@pytest.mark.parametrize("name", ["cumsum", "sum", "var", "std", "any", "argmax", "max"])
def test_values_do_not_depend_on_the_number_of_threads(name: str) -> None:
    t = Tensor(np.random.default_rng(4).standard_normal(5 * LONG + 77).astype(np.float32))
    before, results = runtime.get_num_threads(), []
    for threads in (1, 2, 5):
        runtime.set_num_threads(threads)
        results.append(getattr(t, name)().asnumpy().tobytes())
    runtime.set_num_threads(before)
    assert len(set(results)) == 1


@pytest.mark.parametrize("size", [1, 31, 1023, 1025, 1 << 14, (1 << 14) + 1, 300_001])
@pytest.mark.parametrize("dtype", ["bool", "int8", "float32", "float64", "int16", "uint64"])
def test_any_and_all_find_the_one_that_decides(size: int, dtype: str, isa: str) -> None:
    for place in {0, size // 2, size - 1}:
        values = np.zeros(size, dtype)
        assert not Tensor(values).any().item() and Tensor(values == 0).all().item()
        values[place] = 1
        assert (
            Tensor(values).any().item()
            and not Tensor(1 - values.astype("int8")).astype(dtype).all().item()
        )
        assert Tensor(values)[::-1].any().item()
    if dtype.startswith("float"):
        assert not Tensor(np.full(size, -0.0, dtype)).any().item()
        assert Tensor(np.full(size, np.nan, dtype)).all().item()


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8"])
@pytest.mark.parametrize("size", [1, 31, 32, 33, 65, 4096, 4097, LONG + 3])
def test_extremes_and_their_places(size: int, dtype: str, isa: str) -> None:
    rng = np.random.default_rng(size)
    values = rng.integers(0, 50, size).astype(dtype)
    for missing in (None, 0, size // 2, size - 1) if dtype.startswith("f") else (None,):
        if missing is not None:
            values[missing] = np.nan
        for array in (
            values,
            np.stack([values, values[::-1]]),
            np.stack([values, values[::-1]], 1),
        ):
            for axis in (None, *range(array.ndim)):
                for name in ("max", "min", "argmax", "argmin"):
                    actual = getattr(Tensor(array), name)(axis).asnumpy()
                    np.testing.assert_array_equal(
                        actual, getattr(np, name)(array, axis), err_msg=f"{name} {axis}"
                    )


@pytest.mark.parametrize(
    "shape", [(5,), (4096,), (4097,), (2 * LONG + 1,), (1000, 7), (7, 1000), (9, 300, 5)]
)
def test_the_spread_of_far_values(shape: tuple[int, ...], isa: str) -> None:
    """Test values with a mean of a million deviations: sums of squares would cancel."""
    values = np.random.default_rng(6).standard_normal(shape) + 1e6
    for t in layouts(values):
        for axis in (None, *range(values.ndim)):
            for ddof in (0, 1):
                np.testing.assert_allclose(
                    ops.var(t, axis, ddof).asnumpy(), values.var(axis, ddof=ddof), rtol=1e-8
                )
    narrow = values.astype(np.float32)
    np.testing.assert_allclose(
        Tensor(narrow).std().asnumpy(), narrow.astype(np.float64).std(), rtol=1e-6
    )
    assert ops.var(Tensor([1.0]), ddof=2).item() != 0 and ops.std(Tensor([3, 5])).item() == 1
    np.testing.assert_array_equal(Tensor([0.0, np.inf]).var().asnumpy(), np.nan)


def test_every_spelling_of_a_call_means_the_same() -> None:
    t = Tensor(np.arange(24.0, dtype=np.float32).reshape(2, 3, 4))
    for axis, array in (
        (None, None),
        ((), None),
        (-1, 2),
        ((0, -1), (0, 2)),
        ([1], 1),
        (np.int64(1), 1),
    ):
        expected = t.asnumpy().std(axis=array, keepdims=True)
        for result in (
            t.std(axis, keepdims=True), ops.std(input=t, dim=axis, keep_dims=True),
            ops.std(t, axis, 0, True), t.std(axis=axis, ddof=0, keepdim=np.True_),
            t.std(dims=axis, keepdims=True),
        ):  # fmt: skip
            np.testing.assert_allclose(result.asnumpy(), expected, rtol=1e-6)
    for wrong in (
        lambda: t.sum(3), lambda: t.sum((0, 0)), lambda: t.sum(0, 1),
        lambda: t.sum(True), lambda: t.sum(axis=0, dim=0), lambda: t.sum(0, axis=0),
        lambda: t.max(0, dtype="int8"), lambda: t.sum(0, False, "int8"), lambda: t.var(2**70),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError), match=r"^(\[\w+\] |(\w+\.)?\w+\(\) )"):
            wrong()
    assert t.sum(dtype="int64").dtype is mt.int64 and t.sum(dtype=mt.float64).dtype is mt.float64
    assert Tensor(np.ones((1,) * 16)).sum().item() == 1


@pytest.mark.parametrize("n", [1000, 40_000])
def test_any_of_an_error_is_the_error(n: int) -> None:
    """Test an error as operand: the call reads first elements, and an error has no memory."""
    wrong = Tensor(np.ones(n, np.int64)) // Tensor(np.zeros(n, np.int64))
    for t in (wrong, wrong + 1, (wrong + 1) * 2):
        with pytest.raises(ZeroDivisionError):
            t.any().item()
        with pytest.raises(ZeroDivisionError):
            (t != 0).all().item()
