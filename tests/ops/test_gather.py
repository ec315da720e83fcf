"""The kernels that move elements by position and by mask, on every instruction set."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from arrays import numbered, same
from hypothesis import given
from hypothesis import strategies as st

from minitensor import Tensor, ops
from minitensor.backend import settings
from minitensor.dtype import DTYPES

# Just below and above a chunk of offsets, a block of a mask, a block of a gather.
SIZES = [0, 1, 2, 7, 8, 9, 511, 512, 513, 16383, 16384, 16385, 70000]
INDEX_DTYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


@pytest.fixture(params=settings.isa_names(), autouse=True)
def isa(request: pytest.FixtureRequest) -> Iterator[None]:
    before = settings.isa()
    settings.set_isa(request.param)
    yield
    settings.set_isa(before)


def masks(n: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(n)
    for density in (0.0, 0.01, 0.5, 0.99, 1.0):
        yield rng.random(n) < density


@pytest.mark.parametrize("dtype", [d.name for d in DTYPES])
def test_every_dtype_moves(dtype: str) -> None:
    t = Tensor(np.arange(40) % 2 if dtype == "bool" else np.arange(40)).astype(dtype).reshape(8, 5)
    x = t.asnumpy().copy()
    rows, columns, mask = np.array([7, -8, 3, 3]), np.array([[4], [-5]]), x[:, 1] == x[0, 1]
    same(t[Tensor(rows)], x[rows])
    same(t[:, Tensor(rows[2:])], x[:, rows[2:]])
    same(t[Tensor(rows), Tensor(columns)], x[rows, columns])
    same(t[Tensor(mask)], x[mask])
    same(t[Tensor(x == x[0, 1])], x[x == x[0, 1]])
    a, b = t.copy(), x.copy()
    a[Tensor(rows)], b[rows] = t[:4], x[:4]
    a[:, Tensor([0, 2])] = t[:, 1:3]
    b[:, [0, 2]] = x[:, 1:3]
    same(a, b)
    a[Tensor(mask)], b[mask] = 1, 1
    a[Tensor(~mask)], b[~mask] = t[~mask], x[~mask]
    same(a, b)
    wide = x == x[0, 1]
    a[Tensor(wide)] = t[Tensor(wide)]
    b[wide] = x[wide]
    same(a, b)


@pytest.mark.parametrize("n", SIZES)
def test_sizes_of_masks(n: int) -> None:
    x = numbered((n,))
    for mask in masks(n):
        t, m = Tensor(x), Tensor(mask)
        same(t[m], x[mask])
        same(ops.nonzero(m), np.argwhere(mask))
        a, b = t.copy(), x.copy()
        a[m], b[mask] = -1, -1
        same(a, b)
        a[m], b[mask] = t[m], x[mask]
        same(a, b)
        filled = np.where(mask, np.float32(0.5), x.astype("float32"))
        same(ops.masked_fill(t.astype("float32"), m, 0.5), filled)


@pytest.mark.parametrize("n", SIZES)
def test_sizes_of_indices(n: int) -> None:
    x, rng = numbered((n,)), np.random.default_rng(n)
    index = rng.integers(-n, n, n) if n else np.zeros(0, np.int64)
    t, i = Tensor(x), Tensor(index)
    same(t[i], x[index])
    same(ops.take(t, i), x[index])
    a, b = t.copy(), np.full(n, -1, np.int32)
    a[:] = -1
    a[i] = t
    for place, value in zip(index, x):  # the last write wins
        b[place] = value
    same(a, b)
    total = b.copy()
    np.add.at(total, index, x)
    same(ops.index_add(a, i, t, 0), total)
    same(ops.scatter_add(a, 0, i, t), total)


@pytest.mark.parametrize("shape", [(3, 20000), (20000, 3), (140, 130), (5, 1, 4000), (17, 33, 9)])
def test_rows_and_columns(shape: tuple[int, ...]) -> None:
    x, rng = numbered(shape), np.random.default_rng(0)
    for view in (lambda a: a, lambda a: a.T, lambda a: a[::-1, ..., ::-2]):
        t, y = view(Tensor(x)), view(x)
        for axis in range(y.ndim):
            index = rng.integers(-y.shape[axis], y.shape[axis], 50)
            along = rng.integers(-y.shape[axis], y.shape[axis], y.shape)
            same(ops.index_select(t, axis, Tensor(index)), y.take(index, axis))
            same(ops.gather_elements(t, axis, Tensor(along)), np.take_along_axis(y, along, axis))
            part = tuple(slice(50) if d == axis else slice(None) for d in range(y.ndim))
            if y.shape[axis] >= 50:
                added = y.copy()
                np.add.at(added, (slice(None),) * axis + (index,), y[part])
                same(ops.index_add(t, Tensor(index), t[part], axis), added)
        mask = rng.random(y.shape) < 0.3
        same(t[Tensor(mask)], y[mask])
        same(ops.nonzero(Tensor(mask)), np.argwhere(mask))
        for got, wanted in zip(ops.nonzero(Tensor(mask), as_tuple=True), np.nonzero(mask)):
            same(got, wanted)
        same(t[Tensor(mask[:, 0].copy() if mask.ndim == 2 else mask[:, 0, 0].copy())],
             y[mask[:, 0] if mask.ndim == 2 else mask[:, 0, 0]])  # fmt: skip


def test_repeated_sums_come_in_order() -> None:
    x, rng = np.zeros(4, np.float32), np.random.default_rng(1)
    index, values = rng.integers(0, 4, 50000), rng.standard_normal(50000).astype(np.float32)
    np.add.at(x, index, values)
    got = ops.index_add(Tensor(np.zeros(4, np.float32)), Tensor(index), Tensor(values), 0)
    assert got.asnumpy().tobytes() == x.tobytes()


@pytest.mark.parametrize("dtype", INDEX_DTYPES)
def test_dtypes_of_indices(dtype: str) -> None:
    x = numbered((100,))
    index = np.array([0, 99, 5, 5], dtype)
    same(Tensor(x)[Tensor(index)], x[index])
    if index.dtype.kind == "i":
        same(Tensor(x)[-Tensor(index)], x[-index])
    with pytest.raises(IndexError, match="index 100 is out of bounds for dimension with size 100"):
        Tensor(x)[Tensor(np.array([3, 100, 120], dtype))].asnumpy()


@pytest.mark.parametrize("bad", [600, -601, 2**62, -(2**63), 2**63 - 1])
@pytest.mark.parametrize("place", [0, 599, 20000])
def test_the_first_index_out_of_bounds_is_told(bad: int, place: int) -> None:
    index = np.zeros(30000, np.int64)
    index[place], index[-1] = bad, 700
    t, i = Tensor(numbered((600,))), Tensor(index)
    text = f"index {bad} is out of bounds for dimension with size 600"
    values = Tensor(numbered((30000,)))

    def assign() -> Tensor:
        a = t.copy()
        a[i] = values
        return a

    calls = {
        "getitem": lambda: t[i],
        "setitem": assign,
        "gather": lambda: ops.gather(t, i, 0),
        "gather_elements": lambda: ops.gather_elements(t, 0, i),
        "gather_nd": lambda: ops.gather_nd(t, i.reshape(-1, 1)),
        "scatter": lambda: ops.scatter(t, 0, i, values),
        "index_add": lambda: ops.index_add(t, i, values, 0),
    }
    for op, call in calls.items():
        result = call()
        with pytest.raises(IndexError, match=text) as error:
            result.asnumpy()
        assert str(error.value).startswith(f"[{op}]")


@given(st.data())
def test_any_gather_is_numpys(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple))
    x = numbered(shape)
    order = data.draw(st.permutations(range(x.ndim)))
    key = tuple(
        data.draw(st.lists(st.integers(-n, n - 1), min_size=2, max_size=2).map(np.array))
        if data.draw(st.booleans()) else slice(None, None, data.draw(st.sampled_from([1, 2, -1])))
        for n in np.array(shape)[order]
    )  # fmt: skip
    tensors = tuple(Tensor(k) if isinstance(k, np.ndarray) else k for k in key)
    t, y = Tensor(x).permute(*order), x.transpose(order)
    same(t[tensors], y[key])
    a, b = Tensor(x.copy()).permute(*order), x.copy().transpose(order)
    a[tensors] = t[tensors] + 1
    b[key] = y[key] + 1
    same(a, b)


def test_assignments_of_overlapping_tensors() -> None:
    x = numbered((10,), np.int64)
    a, b = Tensor(x), x.copy()
    a[a[::-1]], b[b[::-1].copy()] = a, b.copy()
    same(a, b)
    a[a] = a[::-1]
    b[b.copy()] = b[::-1].copy()
    same(a, b)
    m = Tensor(np.array([True, False, True]))
    m[m] = False
    same(m, np.zeros(3, bool))


def test_a_value_that_does_not_fit_a_mask() -> None:
    t = Tensor(numbered((4,)))
    for value in (Tensor([1, 2, 3]), Tensor([[1, 2, 3]])):
        with pytest.raises(ValueError, match="must have a shape that broadcasts to"):
            t[Tensor([True, False, True, False])] = value
    t[Tensor([True, False, True, False])] = Tensor([7])
    same(t, np.array([7, 1, 7, 3], np.int32))
    with pytest.raises(IndexError, match="a mask must have the shape"):
        t[Tensor([True, False])]


def test_a_broadcast_target_is_refused() -> None:
    t = Tensor([1.0]).broadcast_to((3,))
    for key in (Tensor([0, 1]), Tensor([True, False, True])):
        with pytest.raises(ValueError, match="must have its own memory"):
            t[key] = 0.0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "bool"])
def test_sums_of_small_types_at_places(dtype: str) -> None:
    """A half type is added in float32 and rounded once; bools are or-ed."""
    rng = np.random.default_rng(0)
    start, values = rng.random(20) < 0.3, rng.random(5000) < 0.01
    if dtype != "bool":
        start, values = rng.random(20), rng.random(5000)
    i = rng.integers(0, 20, 5000)
    t, v = Tensor(start).astype(dtype), Tensor(values).astype(dtype)
    exact = t.astype("float64").asnumpy()
    np.add.at(exact, i, v.astype("float64").asnumpy())
    expected = Tensor(exact).astype(dtype).astype("float64").asnumpy()
    for got in (ops.scatter_add(t, 0, Tensor(i), v), ops.index_add(t, Tensor(i), v, 0)):
        assert got.dtype == t.dtype
        actual = got.astype("float64").asnumpy()
        np.testing.assert_allclose(actual, expected, rtol=0 if dtype == "bool" else 2.0**-8)
