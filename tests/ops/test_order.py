"""Sorting kernels against NumPy, for each instruction set, around each threshold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minitensor import Tensor, ops
from minitensor.backend import settings

DTYPES = [
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
    "float32", "float64",
]  # fmt: skip
# Below and above: a network of vectors (16, 32, 64), insertion (40), a tile (512), many samples
# (1024), short digits (128, 2048), shared rows (2**16).
LENGTHS = [
    1, 2, 16, 17, 32, 33, 40, 41, 64, 65, 128, 129, 513, 1023, 1024, 2049, 2**16 - 1, 2**16 + 3
]  # fmt: skip


@pytest.fixture(params=settings.isa_names())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    before = settings.isa()
    settings.set_isa(request.param)
    yield request.param
    settings.set_isa(before)


def values(dtype: str, shape: Any, seed: int = 0) -> np.ndarray:
    """Return an array with ties, extremes and, for floats, NaN, infinities and both zeros."""
    rng = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        a = rng.standard_normal(shape).astype(kind)
        special = np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1, 1], kind)
        return np.where(rng.random(shape) < 0.2, rng.choice(special, shape), a)
    if kind.kind == "b":
        return rng.random(shape) < 0.5
    limits = np.iinfo(kind)
    wide = rng.integers(limits.min, limits.max, shape, kind, endpoint=True)
    return np.where(rng.random(shape) < 0.5, wide, rng.integers(0, 5, shape).astype(kind))


def order(a: np.ndarray, axis: int, descending: bool) -> np.ndarray:
    if not descending:
        return np.argsort(a, axis=axis, kind="stable")
    return a.shape[axis] - 1 - np.flip(np.argsort(np.flip(a, axis), axis=axis, kind="stable"), axis)


def same(actual: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_array_equal(actual, expected)
    if actual.dtype.kind == "f":  # the element itself, with its sign
        number = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(actual[number]), np.signbit(expected[number]))


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_sort_and_topk(dtype: str, descending: bool, isa: str) -> None:
    for n in LENGTHS:
        a = values(dtype, n, n)
        places = order(a, 0, descending)
        got, index = ops.sort(Tensor(a), descending=descending)
        np.testing.assert_array_equal(index.asnumpy(), places)
        same(got.asnumpy(), a[places])
        for k in {0, 1, min(n, 5), n // 3, n}:
            got, index = ops.topk(Tensor(a), k, largest=descending)
            np.testing.assert_array_equal(index.asnumpy(), places[:k])
            same(got.asnumpy(), a[places[:k]])


@pytest.mark.parametrize("n", [30, 3000, 70_000])
def test_wide_keys_with_equal_beginnings(n: int, isa: str) -> None:
    """The first bits tell few of the elements apart: groups below and above insertion (16)."""
    rng = np.random.default_rng(n)
    few = rng.integers(0, 2**20, n)
    for a in (few, few % 5, few // 2**20 + rng.integers(0, 50, n) * 2**40 + few):
        a[n // 2] = np.iinfo(np.int64).max
        for kind in (np.int64, np.uint64, np.float64):
            for descending in (False, True):
                array = a.astype(kind)
                got, index = ops.sort(Tensor(array), descending=descending)
                places = order(array, 0, descending)
                np.testing.assert_array_equal(index.asnumpy(), places)
                same(got.asnumpy(), array[places])


def test_an_order_whose_pivots_are_always_among_the_least(isa: str) -> None:
    """Parting by such pivots takes a time in proportion to n * n, and ends in another sort."""
    n = 1000
    a, rest, next_value = np.full(n, -1), list(range(n)), 0
    while len(rest) > 64:  # assign the least values to the samples of pivot_of
        count = len(rest)
        samples = [rest[count // 8 * i + count // 16] for i in range(8)]
        for place in samples:
            if a[place] < 0:
                a[place], next_value = next_value, next_value + 1
        pivot = sorted(a[place] for place in samples)[4]
        rest = [place for place in rest if not 0 <= a[place] < pivot]
    a[a < 0] = np.arange(next_value, n)
    got, index = ops.sort(Tensor(a))
    np.testing.assert_array_equal(index.asnumpy(), order(a, 0, False))
    np.testing.assert_array_equal(got.asnumpy(), np.arange(n))


@pytest.mark.parametrize("dtype", ["int8", "float32", "float64", "int64"])
def test_rows_of_any_layout(dtype: str, isa: str) -> None:
    base = values(dtype, (6, 130, 8))  # above _FEW elements: the axis becomes the last one
    t = Tensor(base)
    views = [(t, base), (t.T, base.T), (t[:, :0], base[:, :0]), (t[:, :3], base[:, :3])]
    for view, a in [*views, (t[::-2, :, ::3], base[::-2, :, ::3])]:
        for axis in range(3):
            for descending in (False, True):
                places = order(a, axis, descending)
                got, index = ops.sort(view, axis, descending)
                np.testing.assert_array_equal(index.asnumpy(), places)
                same(got.asnumpy(), np.take_along_axis(a, places, axis))
            k = min(3, a.shape[axis])
            got, index = ops.topk(view, k, axis)
            expected = np.take(order(a, axis, True), range(k), axis)
            np.testing.assert_array_equal(index.asnumpy(), expected)


@pytest.mark.parametrize("kind", ["ascending", "descending", "equal", "last"])
def test_orders_that_are_hard_to_choose_from(kind: str) -> None:
    n = 100_000
    a = np.arange(n, dtype=np.float32)
    last = (a == n - 1).astype(np.float32)
    a = {"ascending": a, "descending": a[::-1].copy(), "equal": a * 0, "last": last}[kind]
    for largest in (False, True):
        for k in (1, 7, 700, 30_000):
            _, index = ops.topk(Tensor(a), k, largest=largest)
            np.testing.assert_array_equal(index.asnumpy(), order(a, 0, largest)[:k])


@pytest.mark.parametrize("dtype", DTYPES)
def test_median(dtype: str, isa: str) -> None:
    for n in LENGTHS:
        for clean in (False, True):
            a = values(dtype, n, n)
            a = np.nan_to_num(a) if clean and a.dtype.kind == "f" else a
            lost = a != a
            place = lost.argmax() if lost.any() else order(a, 0, False)[(n - 1) // 2]
            got, index = ops.median(Tensor(a))
            assert index.item() == place
            same(got.asnumpy(), a[place])


def test_median_along_each_axis() -> None:
    a = values("float64", (5, 7, 3))
    for axis in range(3):
        for keepdims in (False, True):
            got, index = ops.median(Tensor(a), axis, keepdims)
            places = np.take(order(a, axis, False), [(a.shape[axis] - 1) // 2], axis)
            lost = np.isnan(a)
            first = lost.argmax(axis, keepdims=True)
            places = np.where(lost.any(axis, keepdims=True), first, places)
            expected = np.take_along_axis(a, places, axis)
            if not keepdims:
                places, expected = places.squeeze(axis), expected.squeeze(axis)
            np.testing.assert_array_equal(index.asnumpy(), places)
            np.testing.assert_array_equal(got.asnumpy(), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_unique(dtype: str, isa: str) -> None:
    for n in (0, 1, 2, 63, 1025, 2**16 + 3):
        a = values(dtype, n, n)
        expected, inverse = np.unique(a, return_inverse=True)
        got, positions = ops.unique(Tensor(a))
        np.testing.assert_array_equal(got.asnumpy(), expected)
        np.testing.assert_array_equal(positions.asnumpy(), inverse.reshape(a.shape))
    a = values(dtype, (30, 40))
    t = Tensor(a)[::2, ::-3]
    got, positions = ops.unique(t)
    np.testing.assert_array_equal(got.asnumpy(), np.unique(t.asnumpy()))
    np.testing.assert_array_equal(got[positions].asnumpy(), t.asnumpy())
    np.testing.assert_array_equal(ops.unique(t, False).asnumpy(), got.asnumpy())


def test_bfloat16_is_in_the_order_of_float32(isa: str) -> None:
    wide = values("float32", 5000)
    t = Tensor(wide).astype("bfloat16")
    wide = t.astype("float32").asnumpy()
    for descending in (False, True):
        got, index = ops.sort(t, descending=descending)
        np.testing.assert_array_equal(index.asnumpy(), order(wide, 0, descending))
        np.testing.assert_array_equal(got.astype("float32").asnumpy(), wide[index.asnumpy()])
    place = np.isnan(wide).argmax()
    assert ops.median(t)[1].item() == place
    np.testing.assert_array_equal(ops.unique(t, False).astype("float32").asnumpy(), np.unique(wide))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("right", [False, True])
def test_searchsorted(dtype: str, right: bool, isa: str) -> None:
    for n in (0, 1, 2, 3, 100, 5000):
        a, v = np.sort(values(dtype, n)), values(dtype, (70, 9), 1)
        side: Any = "right" if right else "left"
        got = ops.searchsorted(Tensor(a), Tensor(v)[::2, ::-1], right=right)
        np.testing.assert_array_equal(got.asnumpy(), np.searchsorted(a, v[::2, ::-1], side))
    a = np.sort(values(dtype, 50))
    got = ops.searchsorted(Tensor(a[::-1].copy())[::-1], Tensor(a), right=right)
    np.testing.assert_array_equal(got.asnumpy(), np.searchsorted(a, a, side))
