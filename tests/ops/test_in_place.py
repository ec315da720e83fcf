"""Operators such as +=, against NumPy: the value, the object, and the memory's other views."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitensor import Tensor
from minitensor.multiprocessing.reductions import ForkingPickler

NAMES = "iadd isub imul itruediv ifloordiv imod ipow iand ior ixor ilshift irshift".split()
# by which a program may reach a part of a vector of 24 elements
VIEWS: list[Any] = [
    lambda a: a,
    lambda a: a[1:],
    lambda a: a[:-1],
    lambda a: a[::2],
    lambda a: a[::-1],
    lambda a: a[3:11],
    lambda a: a[11:19],
    lambda a: a[12:13],
    lambda a: a.reshape(4, 6),
    lambda a: a.reshape(4, 6).T,
    lambda a: a.reshape(4, 6)[:, 1:3],
    lambda a: a.reshape(2, 3, 4)[1],
    lambda a: a.reshape(24, 1)[2],
]


@given(st.sampled_from(VIEWS), st.sampled_from(VIEWS), st.sampled_from(["iadd", "imul", "isub"]))
def test_views_of_one_memory(target: Any, source: Any, name: str) -> None:
    array, t = np.arange(24.0), Tensor(np.arange(24.0))
    try:
        getattr(operator, name)(target(array), source(array))
    except ValueError:
        with pytest.raises(ValueError):
            getattr(operator, name)(target(t), source(t))
        return
    getattr(operator, name)(target(t), source(t))
    np.testing.assert_array_equal(t.asnumpy(), array)


@pytest.mark.parametrize(
    "dtype",
    ["bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64", "complex64"],
)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("other", [2, 3.5, True, "same", "wider"])
def test_dtypes(name: str, dtype: str, other: Any) -> None:
    """Compare with the operator without `=`, in the dtype of the target, or expect an error."""
    values = np.array([1, 3, 2, 5, 7]).astype(dtype)
    t, array = Tensor(values), Tensor(values)
    if isinstance(other, str):
        other = Tensor(np.array([2, 1, 3, 1, 2]).astype("int64" if other == "wider" else dtype))
    plain = getattr(operator, name[1:] + ("_" if name in ("iand", "ior") else ""))
    try:
        expected = plain(array, other)
    except TypeError:
        with pytest.raises(TypeError):
            getattr(operator, name)(t, other)
        return
    order = "biufc".index
    if order(expected.dtype.kind.replace("u", "i")) > order(t.dtype.kind.replace("u", "i")):
        with pytest.raises(TypeError, match="must fit into the tensor's dtype"):
            getattr(operator, name)(t, other)
        return
    result = getattr(operator, name)(t, other)
    assert result is t and t.dtype is array.dtype
    np.testing.assert_array_equal(t.asnumpy(), expected.astype(dtype).asnumpy())


@pytest.mark.parametrize("n", [0, 1, 10, 128, 129, 1024, 1025, 65_537, 1_100_000])
def test_sizes(n: int) -> None:
    array, t = np.arange(n, dtype=np.float32), Tensor(np.arange(n, dtype=np.float32))
    alias = t
    for value in (array.copy(), 3, 0.5):
        array += value
        t += Tensor(value) if isinstance(value, np.ndarray) else value
        array *= 2
        t *= 2
    assert t is alias
    np.testing.assert_array_equal(t.asnumpy(), array)


def test_broadcast_operands() -> None:
    array = np.arange(12.0).reshape(3, 4)
    t = Tensor(array)
    t += Tensor(np.arange(4.0))
    t *= t[:, :1]
    t -= t[1]
    array += np.arange(4.0)
    array *= array[:, :1].copy()
    array -= array[1].copy()
    np.testing.assert_array_equal(t.asnumpy(), array)
    row = t[0]
    with pytest.raises(ValueError):
        row += t
    with pytest.raises(ValueError, match="broadcast view"):
        t.broadcast_to((2, 3, 4)).__iadd__(1)


def test_two_tensors_on_one_array() -> None:
    """A write to one shows in the other, although their storages differ."""
    array = np.arange(1000.0)
    expected = array.copy()
    expected[1:] += expected[:-1].copy()
    later = Tensor.from_numpy(array[1:])
    later += Tensor.from_numpy(array[:-1])
    np.testing.assert_array_equal(array, expected)


def test_others_keep_their_values() -> None:
    t = Tensor(np.arange(50_000.0))
    sent = ForkingPickler.loads(ForkingPickler.dumps(t))
    copy, increment = t.copy(), t * 1
    t += 1
    t += increment
    sent *= 3
    sent += sent
    np.testing.assert_array_equal(copy.asnumpy(), np.arange(50_000.0))
    np.testing.assert_array_equal(t.asnumpy(), 2 * np.arange(50_000.0) + 1)
    np.testing.assert_array_equal(sent.asnumpy(), 6 * np.arange(50_000.0))


def test_an_array_on_the_memory_sees_the_write() -> None:
    t = Tensor(np.arange(5.0))
    shown = np.asarray(t.asnumpy())
    t += 1
    assert t.tolist() == [1, 2, 3, 4, 5]
    array = np.arange(300_000.0)
    Tensor.from_numpy(array).__iadd__(1)
    assert array[0] == 1 and array[-1] == 300_000 and shown.shape == (5,)


def test_a_division_by_zero_leaves_an_error() -> None:
    t = Tensor([1, 2])
    t //= Tensor([1, 0])
    with pytest.raises(ZeroDivisionError):
        t.tolist()


class Right:
    def __radd__(self, other: object) -> str:
        return "radd"

    __rmul__ = __radd__


@pytest.mark.parametrize("name", NAMES)
def test_foreign_operands(name: str) -> None:
    for wrong in (None, "a", {}):
        with pytest.raises(TypeError):
            getattr(operator, name)(Tensor([1.0]), wrong)
    if name in ("iadd", "imul"):
        assert getattr(operator, name)(Tensor([1.0]), Right()) == "radd"
