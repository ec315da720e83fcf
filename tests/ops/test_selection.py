"""Elements chosen by position, condition and order, against NumPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from arrays import floats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minitensor as mt
from minitensor import Tensor, ops

SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)


@given(hnp.arrays(np.float32, SHAPES, elements=st.integers(-3, 3)), st.data())
def test_sorted(array: np.ndarray, data: st.DataObject) -> None:
    t, axis = Tensor(array), data.draw(st.integers(-array.ndim, array.ndim - 1))
    values, places = ops.sort(t, axis)
    np.testing.assert_array_equal(values.asnumpy(), np.sort(array, axis))
    np.testing.assert_array_equal(places.asnumpy(), np.argsort(array, axis, kind="stable"))
    values, places = ops.sort(t, axis, descending=True)
    np.testing.assert_array_equal(values.asnumpy(), -np.sort(-array, axis))
    np.testing.assert_array_equal(places.asnumpy(), np.argsort(-array, axis, kind="stable"))
    k = data.draw(st.integers(0, array.shape[axis]))
    top, where = ops.topk(t, k, axis)
    np.testing.assert_array_equal(top.asnumpy(), np.take(-np.sort(-array, axis), range(k), axis))
    np.testing.assert_array_equal(np.take_along_axis(array, where.asnumpy(), axis), top.asnumpy())
    unique, inverse = ops.unique(t)
    np.testing.assert_array_equal(unique.asnumpy(), np.unique(array))
    np.testing.assert_array_equal(unique.asnumpy()[inverse.asnumpy()], array)
    np.testing.assert_array_equal(ops.nonzero(t).asnumpy(), np.argwhere(array))
    np.testing.assert_array_equal(ops.masked_select(t, t > 0).asnumpy(), array[array > 0])
    np.testing.assert_array_equal(t.masked_fill(t > 0, 9).asnumpy(), np.where(array > 0, 9, array))


@given(SHAPES, st.data())
def test_gathered_and_scattered(shape: tuple[int, ...], data: st.DataObject) -> None:
    array, t = floats(shape), Tensor(floats(shape))
    axis = data.draw(st.integers(0, len(shape) - 1))
    n = shape[axis]
    index = data.draw(
        hnp.arrays(
            np.int32,
            hnp.array_shapes(min_dims=0, max_dims=2, max_side=3),
            elements=st.integers(-n, n - 1),
        )
    )
    np.testing.assert_array_equal(
        ops.gather(t, Tensor(index), axis).asnumpy(), np.take(array, index, axis)
    )
    places = data.draw(hnp.arrays(np.int64, shape, elements=st.integers(0, n - 1)))
    np.testing.assert_array_equal(
        ops.gather_elements(t, axis, Tensor(places)).asnumpy(),
        np.take_along_axis(array, places, axis),
    )
    added = array.copy()
    where = list(np.indices(shape))
    where[axis] = places
    np.add.at(added, tuple(where), 2)
    np.testing.assert_array_equal(
        ops.scatter_add(t, axis, Tensor(places), Tensor(np.full(shape, 2.0))).asnumpy(), added
    )
    order = np.argsort(places, axis)  # each place once: a permutation
    written = array.copy()
    np.put_along_axis(written, order, array, axis)
    np.testing.assert_array_equal(ops.scatter(t, axis, Tensor(order), t).asnumpy(), written)


@pytest.mark.parametrize("dtype", [mt.float16, mt.bfloat16, mt.float32, mt.float64])
def test_nan_is_the_largest(dtype: mt.DType) -> None:
    t = Tensor([1, math.nan, -2, math.inf, 0], dtype)
    assert str(ops.sort(t)[0].tolist()) == "[-2.0, 0.0, 1.0, inf, nan]"
    assert ops.argsort(t, descending=True).tolist() == [1, 3, 0, 4, 2]
    assert ops.sort(t)[0].dtype is ops.unique(t)[0].dtype is dtype
    assert str(ops.unique(t)[0].tolist()) == "[-2.0, 0.0, 1.0, inf, nan]"


def test_masked_fill_keeps_what_it_does_not_fill() -> None:
    t = Tensor([2**60 + 1, 5])
    filled = t.masked_fill(Tensor([False, True]), 2.5)
    assert filled.dtype is mt.int64 and filled.tolist() == [2**60 + 1, 2]
    with pytest.raises(TypeError):
        t.masked_fill(Tensor([False, True]), 1j)


def test_nonzero_without_dimensions() -> None:
    assert ops.nonzero(Tensor(3)).shape == (1, 0) and ops.argwhere(Tensor(0)).shape == (0, 0)
    with pytest.raises(ValueError, match=r"^\[nonzero\]"):
        ops.nonzero(Tensor(3), as_tuple=True)


def test_by_coordinates() -> None:
    t = Tensor(floats((2, 3)))
    assert ops.gather_nd(t, Tensor([[0, 1], [1, 2]])).tolist() == [1, 5]
    assert ops.gather_nd(t, Tensor([[1]])).tolist() == [[3, 4, 5]]
    assert ops.tensor_scatter_update(t, Tensor([[0, 0], [1, 1]]), Tensor([8.0, 9.0])).tolist() == [
        [8, 1, 2],
        [3, 9, 5],
    ]
    assert ops.index_add(t, Tensor([0, 0]), Tensor(np.ones((2, 3))), 0).tolist() == [
        [2, 3, 4],
        [3, 4, 5],
    ]
    assert ops.index_select(t, 1, Tensor([2, 0])).tolist() == [[2, 0], [5, 3]]
    assert ops.take(t, Tensor([5, 0])).tolist() == [5, 0]
    assert ops.searchsorted(Tensor([1, 3]), Tensor([0, 1, 4])).tolist() == [0, 0, 2]
    assert ops.searchsorted(Tensor([1, 3]), Tensor([1]), right=True).tolist() == [1]
    assert ops.bincount(Tensor([0, 2, 2])).tolist() == [1, 0, 2]
    assert [v.tolist() for v in ops.nonzero(Tensor([0, 3]), as_tuple=True)] == [[1]]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t: ops.gather(t, Tensor([0.5]), 0), lambda t: ops.gather(t, Tensor([0]), 5),
        lambda t: ops.topk(t, 9),
        lambda t: ops.masked_fill(t, Tensor([1, 0]), 0),
        lambda t: ops.gather_nd(t, Tensor([[0, 0, 0]])),
        lambda t: ops.gather_elements(t, 0, Tensor([0])),
        lambda t: ops.scatter(t, 0, Tensor([[0]]), Tensor([[1.0], [2.0]])[:0]),
        lambda t: ops.index_add(t, Tensor([0]), Tensor([1.0]), 0),
        lambda t: ops.bincount(Tensor([-1])), lambda t: ops.sort(t, 3),
    ],
)  # fmt: skip
def test_functions_refuse(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^\[\w+\] "):
        wrong(Tensor(floats((2, 3))))


@pytest.mark.parametrize("device", ["CPU", "Ascend"])
def test_on_every_device(device: str) -> None:
    t = Tensor(floats((3, 4)), device=device)
    index = Tensor([2, 0], device=device)
    for result in (
        t[1], t[index], t[t > 3], t[[0, 1]], ops.sort(t)[0], ops.unique(t)[0], ops.nonzero(t),
        ops.gather(t, index, 1),
    ):  # fmt: skip
        assert result.device.startswith(device)
    t[index] = 5
    t[t == 5] = 0
    t[Tensor(np.zeros((3, 4), bool))] = 99  # a mask on the CPU
    t[0, 1] = 8
    assert t.tolist() == [[0, 8, 0, 0], [4, 0, 6, 7], [0, 0, 0, 0]]
    assert mt.ops.argsort(t[1], descending=True).tolist() == [3, 2, 0, 1]
