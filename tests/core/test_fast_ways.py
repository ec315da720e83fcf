"""Ops whose usual calls C computes: they agree with the functions in Python behind them."""

from __future__ import annotations

from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from minitensor import Tensor, ops

DTYPES = ["bool", "int8", "int64", "uint16", "float16", "bfloat16", "float32", "complex64"]


def outcome(function: Any, *arguments: Any, **keywords: Any) -> Any:
    try:
        found = function(*arguments, **keywords)
        value = found.asnumpy()
    except Exception as error:
        return type(error), str(error).partition(" (issued at ")[0]
    return found.shape, found.dtype, value.tobytes()


@st.composite
def tensors(draw: Any, dtypes: Any = DTYPES, most: int = 3) -> Tensor:
    shape = draw(st.lists(st.integers(0, 3), max_size=most))
    values = np.arange(np.prod(shape, dtype=int)).reshape(shape) % 5 - 2
    t = Tensor(values).astype(draw(st.sampled_from(dtypes)))
    return t.T if draw(st.booleans()) else t


AXES = st.one_of(st.integers(-4, 3), st.sampled_from([None, True, 1.5, "0", (0,)]))
INDICES = st.one_of(
    tensors(["int64", "int8", "uint16", "bool", "float32"], 2),
    st.lists(st.integers(-4, 3), max_size=3).map(lambda v: Tensor(v, "int64")),
    st.lists(st.integers(-4, 3), max_size=3),
    st.sampled_from([0, None]),
)


@pytest.mark.filterwarnings("ignore")
@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(t=tensors(), index=INDICES, axis=AXES, named=st.booleans())
def test_elements_by_position(t: Tensor, index: Any, axis: Any, named: bool) -> None:
    for name, order in (
        ("gather", ("input_params", "input_indices", "axis")),
        ("take", ("input", "indices", "axis")),
        ("index_select", ("input", "axis", "index")),
        ("gather_elements", ("input", "dim", "index")),
        ("take_along_dim", ("input", "indices", "dim")),
    ):
        values = (t, axis, index) if "axis" in order[1] or order[1] == "dim" else (t, index, axis)
        function = getattr(ops, name)
        slow = function.__wrapped__
        if named:
            keywords = dict(zip(order[1:], values[1:]))
            assert outcome(function, t, **keywords) == outcome(slow, t, **keywords), name
        else:
            assert outcome(function, *values) == outcome(slow, *values), name
    assert outcome(ops.take, t, index) == outcome(ops.take.__wrapped__, t, index)  # type: ignore


TIMES = st.one_of(st.integers(-1, 3), st.sampled_from([None, True, 2**62, (2,), [1, 2, 0], 1.5]))


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(t=tensors(), times=TIMES, axis=AXES, given=st.booleans())
def test_repeats(t: Tensor, times: Any, axis: Any, given: bool) -> None:
    arguments = (t, times, axis) if given else (t, times)
    slow = ops.repeat_interleave.__wrapped__  # type: ignore[attr-defined]
    assert outcome(ops.repeat_interleave, *arguments) == outcome(slow, *arguments)


@pytest.mark.parametrize("name", ["norm", "count_nonzero"])
@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(t=tensors(), rest=st.lists(AXES, max_size=2))
def test_sums_of_something_else(name: str, t: Tensor, rest: list[Any]) -> None:
    function = getattr(ops, name)
    assert outcome(function, t, *rest) == outcome(function.__wrapped__, t, *rest)
    assert outcome(function, t.tolist()) == outcome(function.__wrapped__, t.tolist())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("values", [[np.nan, 1], [np.inf, -1], [1e30, 1e30], [-0.0], [1e-30] * 3])
def test_norms_of_unusual_numbers(dtype: str, values: list[float]) -> None:
    array = np.array(values).astype(dtype)
    with np.errstate(all="ignore"):
        expected = np.sqrt((array * array).sum(dtype=dtype))
    np.testing.assert_array_equal(ops.norm(Tensor(array)).asnumpy(), expected)


PRODUCTS = st.sampled_from(["matmul", "dot", "mm", "mv"])


@hypothesis.settings(max_examples=100, deadline=None)
@hypothesis.given(name=PRODUCTS, a=tensors(), b=tensors(), lists=st.booleans(), same=st.booleans())
def test_products(name: str, a: Tensor, b: Tensor, lists: bool, same: bool) -> None:
    if same and a.dtype.kind == b.dtype.kind == "f":
        b = b.astype(a.dtype)
    other = b.tolist() if lists else b
    function = getattr(ops, name)
    found, expected = outcome(function, a, other), outcome(function.__wrapped__, a, other)
    assert found == expected  # small whole numbers, so every order of the sums is exact


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("n", [3, 127, 129])
def test_products_of_halves_round_once(dtype: str, n: int) -> None:
    random = np.random.default_rng(n)
    a, b = (Tensor(random.random((n, n), np.float32)).astype(dtype) for _ in range(2))
    wide = [t.astype("float32").asnumpy().astype(np.float64) for t in (a, b)]
    exact = wide[0] @ wide[1]
    found = a @ b
    assert found.dtype is a.dtype
    step = 2.0 ** -(10 if dtype == "float16" else 7)
    np.testing.assert_allclose(found.astype("float32").asnumpy(), exact, rtol=step * 0.51)
