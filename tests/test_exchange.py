"""NumPy's functions, operators and in-place tricks on tensors: right values, or an error."""

from __future__ import annotations

import operator
import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minitensor import Tensor
from minitensor.multiprocessing.reductions import ForkingPickler

IN_PLACE = "iadd isub imul itruediv ifloordiv imod ipow iand ior ixor ilshift irshift".split()


@pytest.mark.parametrize("name", IN_PLACE)
def test_an_array_is_written_to_in_place(name: str) -> None:
    kind = np.float32 if name in IN_PLACE[:7] else np.int64
    array, t = np.full((2, 3), 6, kind), Tensor(np.array([1, 2, 3], kind))
    alias, expected = array, array.copy()
    getattr(operator, name)(expected, t.asnumpy())
    result = getattr(operator, name)(array, t)
    assert result is alias and type(alias) is np.ndarray
    np.testing.assert_array_equal(alias, expected)


def test_numpy_writes_to_arrays() -> None:
    array, t = np.zeros(3, np.float32), Tensor([1.0, 2.0, 3.0])
    assert np.add(array, t, out=array) is array and array.tolist() == [1, 2, 3]
    np.copyto(array, t * 2)
    assert array.tolist() == [2, 4, 6]
    array[...] = t
    assert array.tolist() == [1, 2, 3]
    np.add.at(array, [0, 0], t[1])
    assert array.tolist() == [5, 2, 3]
    assert np.sum(t, out=np.zeros((), np.float32)) == 6
    with pytest.raises(TypeError, match="same_kind"):
        np.add(np.zeros(3, np.int64), t, out=np.zeros(3, np.int64))


@pytest.mark.parametrize("travelled", [False, True])
def test_numpy_writes_to_tensors(travelled: bool) -> None:
    t = Tensor(np.arange(50_000.0))
    other = ForkingPickler.loads(ForkingPickler.dumps(t)) if travelled else t.copy()
    assert np.add(t, 1, out=t) is t and np.multiply(t, 2, out=(t,)) is t
    assert t[:2].tolist() == [2, 4] and other[:2].tolist() == [0, 1]
    total = Tensor([[0.0]], "float64")
    assert np.sum(other, keepdims=True, axis=0, out=total[0]).tolist() == [49_999 * 25_000]
    assert total.tolist() == [[49_999 * 25_000]]
    assert np.add(1.0, 1.0, out=t[:1], where=np.array([False])).tolist() == [2]
    if travelled:
        with pytest.raises(ValueError, match="read-only"):
            np.copyto(other, 1.0)
    else:
        np.copyto(t, 5.0)  # type: ignore[call-overload]
        assert t[:2].tolist() == [5, 5]


LAYOUTS: list[Callable[[], Tensor]] = [
    lambda: Tensor(np.arange(10)),
    lambda: Tensor(np.arange(10))[::-1],
    lambda: Tensor(np.arange(20).reshape(10, 2)),
    lambda: Tensor(np.arange(20).reshape(2, 10)).T,
    lambda: Tensor(np.arange(10.0))[:, None],
    lambda: Tensor(np.arange(250_000).reshape(5, -1)),
]
SHUFFLES: list[Callable[[Any], object]] = [
    np.random.RandomState(1).shuffle,
    random.Random(1).shuffle,
    lambda t: np.random.default_rng(1).shuffle(t),
]


@pytest.mark.parametrize("make", LAYOUTS)
@pytest.mark.parametrize("shuffle", SHUFFLES)
def test_shuffles_that_would_lose_rows_raise(shuffle: Any, make: Callable[[], Tensor]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(
            ValueError, match=r"^\[setitem\] the value must not be a view that an earlier"
        ):
            shuffle(make())
    t = make()
    mixed = t[np.random.RandomState(1).permutation(len(t))]
    assert sorted(mixed.asnumpy().ravel()) == sorted(t.asnumpy().ravel())


def test_a_swap_of_views_raises_and_a_swap_of_copies_swaps() -> None:
    t = Tensor([1, 2, 3])
    with pytest.raises(ValueError, match="must not be a view that an earlier"):
        t[0], t[1] = t[1], t[0]
    t = Tensor([1, 2, 3])
    t[0], t[1] = t[1].copy(), t[0].copy()
    assert t.tolist() == [2, 1, 3]
    t[[0, 1]] = t[[1, 0]]
    assert t.tolist() == [1, 2, 3]
    t[0], t[0] = t[0], t[0]
    t[0], t[2] = t[0], t[2]
    assert t.tolist() == [1, 2, 3]


def test_what_only_looks_like_a_swap_is_done() -> None:
    t = Tensor([1, 2, 3])
    t[0] = t[1]
    t[1] = t[0]  # a view that is made now
    assert t.tolist() == [2, 2, 3]
    first = t[0]
    t[0] = t[2]
    t[0] = 7
    t[2] = first  # shows the 7
    assert t.tolist() == [7, 2, 7]
    first = t[0]
    t[0] = t[1]
    t += 1
    t[1] = first
    assert t.tolist() == [3, 3, 8]


T = np.array([[1.0, 0.0, 3.0], [4.0, 5.0, 6.0]], np.float32)


@pytest.mark.parametrize(
    "function",
    [
        np.sum,
        np.prod,
        np.mean,
        np.max,
        np.min,
        np.any,
        np.all,
        np.std,
        np.var,
        np.cumsum,
        np.argmax,
        np.median,
        lambda a: np.sum(a, axis=1, dtype=np.float64),
        lambda a: np.max(a, axis=0, keepdims=True),
        lambda a: np.std(a, ddof=1),
        lambda a: np.min(a, axis=1, initial=2.0),
        lambda a: np.sum(a, where=T > 3),
        lambda a: np.all(a, axis=(0, 1)),
        np.nonzero,
        np.transpose,
        np.shape,
        np.sort,
        lambda a: np.concatenate([a, a]),
        lambda a: np.concatenate((a, T), axis=1),
        lambda a: np.where(a > 2, a, 0),
        lambda a: np.block([[a, a], [a, T]]),
        lambda a: np.einsum("ij,kj->ik", a, a),
        lambda a: np.linalg.norm(a, axis=0),
        np.log1p,
        np.negative,
        np.add.reduce,
        lambda a: np.multiply.outer(a, a),
        lambda a: np.add(a, a, dtype=np.float64),
        lambda a: np.array_equal(a, T),
        lambda a: np.histogram(a, bins=3),
        lambda a: np.split(a, 3, axis=1),
        lambda a: np.ones_like(a),
        lambda a: np.isclose(a, T),
        lambda a: np.unique(a, return_counts=True),
        lambda a: np.tensordot(a, a),
        np.modf,
    ],
)
def test_numpys_functions_are_numpys(function: Callable[[Any], Any]) -> None:
    """Same values, same types: arrays, NumPy's numbers, tuples."""
    got, expected = function(Tensor(T)), function(T)
    assert type(got) is type(expected)
    for a, b in zip(got, expected) if isinstance(expected, (tuple, list)) else [(got, expected)]:
        assert type(a) is type(b) and getattr(a, "dtype", None) == getattr(b, "dtype", None)
        np.testing.assert_array_equal(a, b)


def test_the_ufuncs_of_operators_are_operators() -> None:
    t, array = Tensor([2, 3]), np.array([4, 5])
    for result, expected in [
        (array + t, [6, 8]),
        (np.add(array, t), [6, 8]),
        (np.subtract(t, array), [-2, -2]),
        (array // t, [2, 1]),
        (np.float64(3) * t, [6.0, 9.0]),
        (array < t, [False, False]),
        (np.greater(array, t), [True, True]),
        (array @ t, 23),
        (t @ array, 23),
        (np.matmul(array, t), 23),
        (array**t, [16, 125]),
        (array == t, [False, False]),
    ]:
        assert type(result) is Tensor and result.tolist() == expected
    for quotient, rest in (divmod(array, t), np.divmod(array, t), divmod(t + 2, t)):
        assert (quotient.tolist(), rest.tolist()) == ([2, 1], [0, 2])
    assert [x.item() for x in divmod(7, Tensor(2))] == [3, 1]


def test_other_libraries_take_their_turn() -> None:
    class Other:
        def __array_function__(
            self, function: Any, types: Any, arguments: Any, keywords: Any
        ) -> str:
            return "theirs"

        __array_ufunc__ = None

    assert np.concatenate([Tensor([1]), Other()]) == "theirs"  # type: ignore[list-item]
    with pytest.raises(TypeError):
        np.add(Tensor([1]), Other())  # type: ignore[call-overload]
