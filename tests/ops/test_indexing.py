"""Indexing by NumPy's rules, compared with NumPy."""

from __future__ import annotations

import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest
from arrays import floats
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minitensor import Tensor, ops
from minitensor.backend.core import lib

SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)


@st.composite
def mixed_index(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Draw ints, slices, None, bools, an Ellipsis (also an empty one), integer arrays and masks."""
    parts: list[Any] = []
    together = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=1, max_side=3))
    dims = list(shape)
    while dims:
        kind = draw(
            st.sampled_from(
                ["int", "slice", "array", "list", "mask", "none", "stop", "mask2", "dots", "bool"]
            )
        )
        n = dims[0]
        # else the Ellipsis would take these, too
        if kind == "stop" and not any(p is Ellipsis for p in parts):
            break
        if kind in ("stop", "dots"):
            if not any(p is Ellipsis for p in parts):
                parts.append(Ellipsis)
                dims = dims[draw(st.integers(0, len(dims))) :]
            continue
        if kind == "bool":
            parts.append(draw(st.sampled_from([True, False, np.array(True), np.array(False)])))
            continue
        if kind == "none":
            parts.append(None)
            continue
        if kind == "mask2" and len(dims) > 1:
            parts.append(draw(hnp.arrays(np.bool_, tuple(dims[:2]))))
            dims = dims[2:]
            continue
        dims = dims[1:]
        if kind == "int":
            parts.append(draw(st.integers(-n, n - 1)))
        elif kind in ("slice", "mask2"):
            parts.append(draw(st.slices(n)))
        elif kind == "array":
            parts.append(draw(hnp.arrays(np.int64, together, elements=st.integers(-n, n - 1))))
        elif kind == "list":
            parts.append(draw(st.lists(st.integers(-n, n - 1), min_size=1, max_size=1)))
        else:
            parts.append(draw(hnp.arrays(np.bool_, (n,))))
    if draw(st.booleans()) and not any(p is Ellipsis for p in parts):
        parts.append(Ellipsis)
    return tuple(parts)


def as_tensors(key: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(Tensor(p) if isinstance(p, np.ndarray) else p for p in key)


@given(SHAPES, st.data())
def test_basic(shape: tuple[int, ...], data: st.DataObject) -> None:
    array, t = floats(shape), Tensor(floats(shape))
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True))
    view, expected = t[key], array[key]
    assert view.shape == expected.shape
    np.testing.assert_array_equal(view.asnumpy(), expected)
    assert lib.mt_storage_id(view._ref) == lib.mt_storage_id(t._ref)
    t[key] = -1
    array[key] = -1
    np.testing.assert_array_equal(t.asnumpy(), array)


@given(SHAPES, st.data())
def test_mixed(shape: tuple[int, ...], data: st.DataObject) -> None:
    array, t = floats(shape), Tensor(floats(shape))
    key = data.draw(mixed_index(shape))
    try:
        expected = array[key]
    except IndexError:
        with pytest.raises(IndexError):
            t[as_tensors(key)].asnumpy()
        return
    for given_key in (key, as_tensors(key)):
        result = t[given_key]
        assert result.shape == expected.shape
        np.testing.assert_array_equal(result.asnumpy(), expected)
    values = data.draw(
        st.sampled_from(
            [np.float32(-1), np.arange(expected.size, dtype=np.float32).reshape(expected.shape)]
        )
    )
    t[as_tensors(key)] = Tensor(values)
    places = np.arange(array.size).reshape(shape)[key]
    # NumPy leaves open which value is the last one written to a place
    assume(np.unique(places).size == places.size or values.ndim == 0)
    array[key] = values
    np.testing.assert_array_equal(t.asnumpy(), array)


def test_bools_and_empties() -> None:
    array, t = floats((2, 3)), Tensor(floats((2, 3)))
    for key in (True, False, np.array(True), [], ([], 0), (np.zeros((2, 3), bool),),
        (slice(0, 0), [0]), ([0], slice(0, 0)),
                [True, False], ([True, False], 1), np.int32(1), (..., np.array(1))):  # fmt: skip
        assert t[key].shape == array[key].shape
        np.testing.assert_array_equal(t[key].asnumpy(), array[key])
    assert t[Tensor(1)].tolist() == [3, 4, 5] and t[Tensor([1, 0]), Tensor(2)].tolist() == [5, 2]


@pytest.mark.parametrize(
    ("key", "error", "text"),
    [
        (5, IndexError, "index 5 is out of bounds for dimension with size 2"),
        (-3, IndexError, "index -3 is out of bounds"),
        ((0, 0, 0), IndexError, "too many indices"), ("a", TypeError, "got 'a'"),
        (1.0, IndexError, "got 1.0"),
        ((..., ...), IndexError, "at most one Ellipsis"),
        (np.array([1.0]), IndexError, "of integers or bools, got a tensor of float64"),
        (np.array([True]), IndexError, "mask must have the shape"),
        (slice(0, 1, 0), ValueError, "step"), (slice("a"), TypeError, "slice"),
        (([0, 1], [0, 1, 2]), IndexError, "broadcast"),
        ([0, 5], IndexError, "index 5 is out of bounds for dimension with size 2"),
        ((np.array([0]), np.array([-4])), IndexError,
         "index -4 is out of bounds for dimension with size 3"),
        ((7, [0]), IndexError, "index 7 is out of bounds"),
        ([[0], [0, 1]], IndexError, "a list must be regular"),
        (b"a", TypeError, "got b'a'"), ((slice(None), 3), IndexError,
         "index 3 is out of bounds for dimension with size 3"),
        (np.ones((2, 3, 1), bool), IndexError, "too many indices"), ({}, IndexError, "got {}"),
    ],
)  # fmt: skip
def test_mistakes_rise_at_the_call(key: Any, error: type[Exception], text: str) -> None:
    t = Tensor(floats((2, 3)))
    with pytest.raises(error, match=rf"^\[\w+\] .*{text}"):
        t[key]
    with pytest.raises(error, match=rf"^\[\w+\] .*{text}"):
        t[key] = 0


def test_what_only_the_value_tells_rises_where_it_is_read() -> None:
    t = Tensor(floats((2, 3)))
    chosen = t[Tensor([0, 7])]
    with pytest.raises(
        IndexError,
        match=r"^\[getitem\] index 7 is out of bounds for dimension with size 2 .*issued at "
              r".*test_indexing.py",
    ):
        chosen.asnumpy()
    target = Tensor(floats((2, 3)))
    target[Tensor([7])] = 0
    with pytest.raises(
        IndexError, match=r"^\[setitem\] index 7 is out of bounds for dimension with size 2"
    ):
        target.asnumpy()
    with pytest.raises(IndexError):
        ops.gather(t, Tensor([9]), 0).asnumpy()


def held(gate: threading.Event, value: np.ndarray) -> Tensor:
    """Return a tensor that has its value when the gate opens; an earlier wait raises."""

    def compute() -> np.ndarray:
        if not gate.wait(20):
            raise TimeoutError("a wait came before the value for which it waited")
        return value

    return ops.host_call(compute, [], shape=value.shape, dtype=Tensor(value).dtype)


def test_neither_an_integer_index_nor_a_number_for_a_mask_waits() -> None:
    gate = threading.Event()
    t = held(gate, np.float32([1, 2, 3]))
    index, mask = held(gate, np.array([2, 0])), t > 1
    chosen = t[index]
    assert chosen.shape == (2,)
    t[mask] = 7
    t[index] = Tensor([8.0, 9.0])
    gate.set()
    assert chosen.tolist() == [3, 1]
    assert t.tolist() == [9, 7, 8]


def test_an_index_is_taken_as_it_is_at_the_call() -> None:
    gate = threading.Event()
    t = held(gate, np.float32([1, 2, 3]))
    array, values = np.array([0]), np.float32([5])
    chosen = t[array]
    t[array] = values
    array[0] = values[0] = 2
    gate.set()
    assert chosen.tolist() == [1]
    assert t.tolist() == [5, 2, 3]


def test_an_index_moves_nothing_at_the_call() -> None:
    t, index = Tensor(np.zeros((4, 4000), np.int8)), Tensor(np.zeros(1000, np.int64))
    t[index[:1]].asnumpy()  # what is made on first use is made
    tracemalloc.start()
    try:
        gate = threading.Event()
        first = held(gate, np.zeros((4, 4000), np.int8))
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        result = first[index]  # 4 MB, in the core's memory, which is not traced
        used = tracemalloc.get_traced_memory()[1] - before
        gate.set()
    finally:
        tracemalloc.stop()
    assert result.shape == (1000, 4000)
    assert used < 100_000


def test_an_ellipsis_for_no_dimension_parts_the_indices_beside_it() -> None:
    array, t = floats((2, 3, 4)), Tensor(floats((2, 3, 4)))
    index = np.array([0, 1, 2, 1, 0])
    for key in (
        (slice(None), index, ..., index), (slice(None), index, index, ...),
        (slice(None), [0], ..., 1), (slice(None), 1, None, index),
    ):  # fmt: skip
        assert t[as_tensors(key)].shape == array[key].shape
        np.testing.assert_array_equal(t[as_tensors(key)].asnumpy(), array[key])


@given(SHAPES, st.data())
def test_masks_are_assigned_to(shape: tuple[int, ...], data: st.DataObject) -> None:
    array, t = floats(shape), Tensor(floats(shape))
    mask = data.draw(hnp.arrays(np.bool_, shape[: data.draw(st.integers(1, len(shape)))]))
    t[Tensor(mask)] = -1.5
    array[mask] = -1.5
    np.testing.assert_array_equal(t.asnumpy(), array)
    values = np.arange(array[mask].size, dtype=np.float32).reshape(array[mask].shape)
    t[Tensor(mask)] = values
    array[mask] = values
    np.testing.assert_array_equal(t.asnumpy(), array)
    t.T[Tensor(mask.T) if mask.ndim == len(shape) else ...] = 3
    array.T[mask.T if mask.ndim == len(shape) else ...] = 3
    np.testing.assert_array_equal(t.asnumpy(), array)
    with pytest.raises(IndexError, match="mask must have the shape"):
        t[Tensor(np.ones((*mask.shape[:-1], mask.shape[-1] + 1), bool))] = 0


def test_assignment_casts_and_broadcasts() -> None:
    t = Tensor(np.zeros((2, 3), np.int32))
    t[0] = 1.9
    t[:, 1] = Tensor([5.0, 6.0])
    t[Tensor([1]), :] = Tensor([[7], [8]])[1]
    t[t == 1] = -1
    assert t.tolist() == [[-1, 5, -1], [8, 8, 8]]
    t[1:] = t[:1]
    t[0, 1:] = t[0, :-1]
    assert t.tolist() == [[-1, -1, 5], [-1, 5, -1]]
    for wrong in (
        lambda: t.__setitem__(0, [1, 2]),
        lambda: t.__setitem__([0, 1], Tensor(np.zeros((3, 3)))),
    ):
        with pytest.raises(ValueError, match="does not fit|must have a shape"):
            wrong()
    with pytest.raises(TypeError, match="complex"):
        t[0] = 1j
    t[[0, 1]] = t[[1, 0]]
    assert t.tolist() == [[-1, 5, -1], [-1, -1, 5]]


def test_ints_find_one_place() -> None:
    a = np.arange(24).reshape(2, 3, 4)
    t = Tensor(a)
    for key in (1, -2, (1, -1), (0, 2, 3), (-1, -1, -1)):
        assert t[key].tolist() == a[key].tolist()
    for key, said in ((2, "index 2 is out of bounds for dimension with size 2"),
        ((0, -4), "index -4"), ((0, 0, 0, 0), "too many indices: there must be at most 3"),
                      (2**70, "out of bounds"), ((0, 2**70), "out of bounds")):  # fmt: skip
        with pytest.raises(IndexError, match=rf"^\[getitem\] .*{said}"):
            t[key]
