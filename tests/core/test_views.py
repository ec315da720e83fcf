"""Views that C makes, and the calls that it leaves to Python: both ways have the same results."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minitensor import Tensor, ops

NAMES = (
    "reshape", "view", "ravel", "contiguous", "broadcast_to", "expand", "permute", "transpose",
    "swapaxes", "expand_dims", "unsqueeze", "squeeze", "split", "chunk", "unbind",
    "flip",
)  # fmt: skip


def outcome(function: Any, *arguments: Any, **keywords: Any) -> Any:
    try:
        found = function(*arguments, **keywords)
    except Exception as error:
        return type(error), str(error)
    several = found if isinstance(found, tuple) else (found,)
    return [(one.shape, one.strides, one._offset, one.tolist()) for one in several]


@st.composite
def tensors(draw: Any) -> Tensor:
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3))
    t = Tensor(np.arange(np.prod(shape, dtype=int)).reshape(shape))
    if t.ndim and draw(st.booleans()):
        t = t.permute(*draw(st.permutations(range(t.ndim))))
    if t.ndim and draw(st.booleans()):
        t = t[tuple(slice(None, None, draw(st.sampled_from([1, -1, 2]))) for _ in t.shape)]
    return t


EXAMPLES = hypothesis.settings.default.max_examples
INTS = st.integers(-4, 6)
LISTS = st.lists(INTS, max_size=4)
OTHERS = st.sampled_from([None, True, 2**70, 1.5])
LOOSE = st.one_of(INTS, OTHERS, LISTS, LISTS.map(tuple), INTS.map(np.int64))


@pytest.mark.parametrize("name", NAMES)
@hypothesis.settings(max_examples=3 * EXAMPLES)
@hypothesis.given(t=tensors(), arguments=st.lists(st.one_of(INTS, LOOSE), max_size=3))
def test_both_ways_agree(name: str, t: Tensor, arguments: list[Any]) -> None:
    function = getattr(ops, name)
    expected = outcome(function.__wrapped__, t, *arguments)
    assert outcome(function, t, *arguments) == expected
    assert outcome(getattr(t, name), *arguments) == expected


@hypothesis.settings(max_examples=8 * EXAMPLES)
@hypothesis.given(t=tensors(), shape=st.lists(st.integers(1, 6), max_size=4), cut=st.integers(0, 3))
def test_reshape(t: Tensor, shape: list[int], cut: int) -> None:
    if t.size and cut < len(shape):
        shape[cut] = -1
    assert outcome(t.reshape, *shape) == outcome(ops.reshape.__wrapped__, t, *shape)
    assert outcome(t.flatten) == outcome(type(t).flatten.__wrapped__, t)


PARTS = st.one_of(
    INTS,
    st.slices(4),
    st.just(None),
    st.just(...),
    st.just(slice(None, None, -2)),
    st.just(slice(2**80)),
)


@hypothesis.settings(max_examples=10 * EXAMPLES)
@hypothesis.given(t=tensors(), key=st.one_of(PARTS, st.lists(PARTS, max_size=5).map(tuple)))
def test_indices(t: Tensor, key: Any) -> None:
    assert outcome(t.__getitem__, key) == outcome(t._getitem, key)  # type: ignore[attr-defined]


@hypothesis.settings(max_examples=5 * EXAMPLES)
@hypothesis.given(
    t=tensors(), key=st.one_of(PARTS, st.lists(PARTS, max_size=3).map(tuple)),
    value=st.one_of(st.integers(-5, 5), st.floats(-5, 5), st.booleans(), st.just(2**70)),
)  # fmt: skip
def test_assignments(t: Tensor, key: Any, value: Any) -> None:
    one, other = t.copy(), t.copy()

    def assigned(target: Tensor, how: Any) -> Any:
        try:
            how(key, value)
        except Exception as error:
            return type(error), str(error)
        return target.tolist()

    assert assigned(one, one.__setitem__) == assigned(other, other._setitem)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint64", "float16", "bfloat16", "float32", "float64"]
)
def test_numbers_of_one_element(dtype: str) -> None:
    for value in (0, 1, 2):
        t = Tensor([value]).astype(dtype)
        number = t.tolist()[0]
        assert (t.item(), float(t), int(t), bool(t)) == (
            number,
            float(number),
            int(number),
            bool(number),
        )
        assert type(t.item()) is type(number)
    with pytest.raises(ValueError, match=r"\[float\] the tensor must have one element"):
        float(Tensor([1, 2]))


def test_only_integers_are_an_index() -> None:
    assert [10, 20, 30][Tensor(1)] == 20  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"\[index\] an index must be an integer, got Float32"):
        [10][Tensor(0.0)]  # type: ignore[call-overload]
    with pytest.raises(OverflowError):
        int(Tensor(float("inf")))


def test_elements_are_not_deleted() -> None:
    t = Tensor([1, 2])
    with pytest.raises(TypeError, match="deleted"):
        del t[0]  # type: ignore[attr-defined]


def test_dimensions_up_to_the_most() -> None:
    t = Tensor(np.zeros((1,) * 15))
    assert t[None].ndim == 16 == t.unsqueeze(3).ndim
    for too_many in (
        lambda: t[None, None],
        lambda: t[None].unsqueeze(0),
        lambda: t[None][None, ...],
    ):
        with pytest.raises(ValueError, match="a tensor has at most 16"):
            too_many()


def test_a_function_with_a_fast_way_looks_like_its_function() -> None:
    assert pickle.loads(pickle.dumps(ops.reshape)) is ops.reshape is copy.deepcopy(ops.reshape)
    assert (
        ops.reshape.__name__ == "reshape" and ops.reshape.__doc__ == ops.reshape.__wrapped__.__doc__
    )
    assert str(inspect.signature(ops.swapaxes)).startswith("(input")
    assert ops.squeeze(Tensor([[1]]), dim=0).shape == (1,)
    assert ops.reshape([1, 2], (2, 1)).shape == (2, 1)
    assert Tensor([1, 2]).reshape(*(2, 1)).shape == (2, 1)
