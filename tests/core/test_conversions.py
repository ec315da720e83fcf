"""Values in and out, by C and by Python: both ways have the same results and errors."""

from __future__ import annotations

import contextlib
import math
import sys
import threading
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minitensor as mt
from minitensor import Tensor, ops
from minitensor.dtype import DTYPES

ops.zeros(1)  # so that the core knows the current device


def steps(text: str, **names: Any) -> list[str]:
    """Return the names of the functions in Python that an expression calls."""
    code, called = compile(text, "<call>", "eval"), []
    names = {"mt": mt, "ops": ops, "Tensor": Tensor, **names}
    eval(code, names)  # what a first call imports and looks up
    sys.setprofile(lambda frame, event, _: event == "call" and called.append(frame.f_code.co_name))
    try:
        eval(code, names)
    finally:
        sys.setprofile(None)
    return [name for name in called if name != "<module>"]


@pytest.mark.parametrize(
    "call",
    [
        "Tensor(array)", "Tensor([1.0, 2])", "Tensor(2.5)", "mt.tensor([[1], [2]], 'int8')",
        "Tensor(array, dtype=mt.float64)", "t.tolist()", "t.asnumpy()", "t.copy()",
        "t.astype(mt.int32)", "ops.cast(t, 'float16')", "ops.zeros(3)", "ops.ones((2, 3), int)",
        "ops.full((2,), 1.5, dtype='float32')", "ops.empty((2, 3))", "ops.zeros_like(t)",
        "ops.arange(5)", "ops.arange(0, 5.0, 0.5, dtype=mt.float32)",
    ],
)  # fmt: skip
def test_usual_calls_take_no_step_of_python(call: str) -> None:
    assert steps(call, array=np.ones((2, 3), np.float32), t=Tensor([1.0, 2.0])) == []


def outcome(function: Any, *arguments: Any, **keywords: Any) -> Any:
    try:
        found = function(*arguments, **keywords)
    except Exception as error:
        return type(error), str(error)
    if not isinstance(found, Tensor):
        return repr(found)
    value = found.asnumpy()
    return found.shape, found.dtype, found.strides, value.tobytes()


def made(data: Any, *arguments: Any, **keywords: Any) -> Tensor:
    """Return a tensor that Python's __init__ alone has made."""
    t = Tensor.__new__(Tensor)
    Tensor.__init__.__wrapped__(t, data, *arguments, **keywords)  # type: ignore[attr-defined]
    return t


NUMBERS = st.one_of(
    st.booleans(), st.integers(-300, 300), st.floats(width=32), st.floats(), st.integers(),
    st.sampled_from([2**63 - 1, -(2**63), 2**63, 1e39, -1e39, 3.4028235677973366e38, 1j, "1"]),
)  # fmt: skip
LISTS = st.recursive(NUMBERS, lambda part: st.lists(part, max_size=3), max_leaves=12)
REGULAR = st.integers(1, 3).flatmap(
    lambda n: st.lists(st.lists(NUMBERS, min_size=n, max_size=n), min_size=1, max_size=3)
)
CHOICES = st.sampled_from(
    [None, *DTYPES, "float32", "int", "Float64", float, int, bool, complex, np.float32, "no", 3]
)


@pytest.mark.filterwarnings("ignore")
@hypothesis.settings(max_examples=250, deadline=None)
@hypothesis.given(
    data=st.one_of(LISTS, REGULAR, REGULAR.map(tuple)), dtype=CHOICES, named=st.booleans()
)
def test_lists(data: Any, dtype: Any, named: bool) -> None:
    more = {"dtype": dtype} if named else {}
    given = () if named else (dtype,)
    expected = outcome(made, data, *given, **more)
    assert outcome(Tensor, data, *given, **more) == expected
    assert outcome(mt.tensor, data, *given, **more) == expected
    if dtype is None:
        assert outcome(Tensor, data) == expected


ARRAYS = hnp.arrays(
    dtype=st.sampled_from([*(d.numpy for d in DTYPES if d.name != "bfloat16"), np.dtype(">f4"),
                           np.dtype("g"), np.dtype("q"), np.dtype("U1"), np.dtype("M8[s]")]),
    shape=hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
)  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(array=ARRAYS, dtype=CHOICES, step=st.sampled_from([1, -1, 2]), turn=st.booleans())
def test_arrays(array: Any, dtype: Any, step: int, turn: bool) -> None:
    array = array[(slice(None, None, step),) * array.ndim]
    array = array.T if turn else array
    assert outcome(Tensor, array, dtype) == outcome(made, array, dtype)
    assert outcome(mt.tensor, array, dtype) == outcome(made, array, dtype)


def test_arrays_of_other_layouts() -> None:
    class Own(np.ndarray):
        pass

    whole = np.arange(4, dtype=np.float32)
    unaligned = np.frombuffer(b"x" + whole.tobytes(), np.uint8)[1:].view(np.float32)
    for array in (whole.view(Own), unaligned, whole[1:3], whole[:0], np.array(2.5)):
        assert outcome(Tensor, array) == outcome(made, array)
    whole.flags.writeable = False
    assert Tensor(whole).tolist() == [0, 1, 2, 3]


def test_other_arguments_of_the_constructor() -> None:
    for arguments, keywords in (
        ((), {}),
        (([1],), {"device": "CPU"}),
        (([1],), {"shape": (1,)}),
        (([1],), {"shape": (2,)}),
        (([1],), {"init": 1}),
        ((), {"input_data": [1], "dtype": "int8"}),
        ((), {"shape": (2,), "init": "ones"}),
        (([1],), {"input_data": [1]}),
        (([1],), {"other": 1}),
        ((None,), {}),
        ((range(2),), {}),
        ((b"1",), {}),
    ):
        assert outcome(Tensor, *arguments, **keywords) == outcome(
            lambda *a, **k: (
                Tensor.__init__.__wrapped__(  # type: ignore[attr-defined]
                    t := Tensor.__new__(Tensor), *a, **k
                )
                or t
            ),
            *arguments,
            **keywords,
        )


def test_a_second_init_replaces_the_value() -> None:
    t = Tensor([1.0])
    t.__init__([[2, 3]])  # type: ignore[misc]
    assert t.tolist() == [[2, 3]] and t.shape == (1, 2)


def test_lists_that_contain_themselves() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert outcome(Tensor, loop) == outcome(made, loop)
    assert outcome(Tensor, [1, loop]) == outcome(made, [1, loop])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_lists_of_tensors(dtype: Any) -> None:
    array = np.array([[0, 1, 2.5], [-3, 100, -0.0]]).astype(dtype.numpy)
    t = Tensor(array, dtype)
    wide = array.astype(np.float32) if dtype.name == "bfloat16" else array
    assert repr(t.tolist()) == repr(wide.tolist())
    assert repr(t[:, ::-2].T.tolist()) == repr(wide[:, ::-2].T.tolist())
    assert repr(t[1, 1].tolist()) == repr(wide[1, 1].tolist())
    assert t[:, :0].tolist() == [[], []] and t[:0].tolist() == []
    assert t.tolist() == Tensor.tolist.__wrapped__(t)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(t.asnumpy(), array)


def test_a_list_waits_for_its_value() -> None:
    begun, go = threading.Event(), threading.Event()

    def slowly() -> np.ndarray:
        begun.set()
        assert go.wait(30)
        return np.ones(3)

    t = ops.host_call(slowly, [], shape=3, dtype="float32")
    assert begun.wait(30)
    threading.Timer(0.01, go.set).start()
    assert t.tolist() == [1, 1, 1]
    with pytest.raises(ZeroDivisionError):
        (Tensor([1, 2]) // 0).tolist()


CALLS = st.one_of(
    st.tuples(CHOICES),
    st.tuples(CHOICES, st.sampled_from([True, False, 0, None])),
    st.just(()),
)


@pytest.mark.filterwarnings("ignore")
@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(
    dtype=st.sampled_from(DTYPES), turn=st.booleans(), arguments=CALLS, named=st.booleans()
)
def test_casts(dtype: Any, turn: bool, arguments: Any, named: bool) -> None:
    t = Tensor(np.array([[0, 1, 2.5], [3, 100, 7]]).astype(dtype.numpy))
    t = t.T if turn else t
    keywords = dict(zip(("dtype", "copy"), arguments)) if named else {}
    arguments = () if named else arguments
    slow = Tensor.astype.__wrapped__  # type: ignore[attr-defined]
    assert outcome(t.astype, *arguments, **keywords) == outcome(slow, t, *arguments, **keywords)
    keywords.pop("copy", None)
    slow = ops.cast.__wrapped__  # type: ignore[attr-defined]
    assert outcome(ops.cast, t, *arguments, **keywords) == outcome(slow, t, *arguments, **keywords)
    assert (t.astype(dtype, False) is t) and t.astype(dtype) is not t
    assert outcome(t.copy) == outcome(Tensor.copy.__wrapped__, t)  # type: ignore[attr-defined]


def test_a_copy_is_contiguous_and_new() -> None:
    t = Tensor([[1, 2], [3, 4]])
    copy = t.T.copy()
    t[...] = 0
    assert copy.tolist() == [[1, 3], [2, 4]] and copy.is_contiguous()


SIZES = st.one_of(
    st.integers(-1, 4), st.lists(st.integers(-1, 3), max_size=3),
    st.lists(st.integers(0, 3), max_size=3).map(tuple), st.just(2**70), st.none(), st.just(1.5),
)  # fmt: skip
VALUES = st.one_of(NUMBERS, st.just(None))


@pytest.mark.filterwarnings("ignore")
@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(size=SIZES, value=VALUES, dtype=CHOICES, named=st.booleans())
def test_creation(size: Any, value: Any, dtype: Any, named: bool) -> None:
    keywords, positional = ({"dtype": dtype}, ()) if named else ({}, (dtype,))
    like = ops.ones((2, 3), dtype="int16")
    for name, arguments in (
        ("zeros", (size, *positional)),
        ("ones", (size, *positional)),
        ("full", (size, value)),
        ("zeros_like", (like,)),
        ("ones_like", (size if size is None else like,)),
    ):
        function = getattr(ops, name)
        expected = outcome(function.__wrapped__, *arguments, **keywords)
        assert outcome(function, *arguments, **keywords) == expected
    found, expected = (
        outcome(ops.empty, size, **keywords),
        outcome(
            ops.empty.__wrapped__,
            size,
            **keywords,  # type: ignore[attr-defined]
        ),
    )
    assert found[:2] == expected[:2]


ENDS = st.one_of(st.integers(-9, 9), st.floats(-9, 9), st.sampled_from([None, True, 2**64]))
STEPS = st.one_of(st.integers(-4, 4), st.sampled_from([None, 0.5, -1.5, math.inf, "1"]))


@hypothesis.settings(max_examples=200, deadline=None)
@hypothesis.given(ends=st.lists(ENDS, max_size=2), step=st.lists(STEPS, max_size=1), dtype=CHOICES)
def test_ranges(ends: Any, step: Any, dtype: Any) -> None:
    slow = ops.arange.__wrapped__  # type: ignore[attr-defined]
    arguments = (*ends, *step)
    assert outcome(ops.arange, *arguments) == outcome(slow, *arguments)
    keywords = {"dtype": dtype, **({"step": step[0]} if step else {})}
    assert outcome(ops.arange, *ends, **keywords) == outcome(slow, *ends, **keywords)


OPERANDS = st.sampled_from(
    [np.arange(3.0), np.arange(3, dtype=np.int8), np.array(2), np.ones((2, 3), np.float32),
     np.arange(6.0)[::-2], np.ones(4), np.zeros((0, 3)), np.array([1, 2, 3], ">i4"),
     np.array(["a"]), np.float32(1.5), [1, 2, 3], [[1.5], [2]], (True, False, True), [], [None],
     [[1], [2, 3]], 2**70, [2**63], "x", None]
)  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@hypothesis.settings(max_examples=150, deadline=None)
@hypothesis.given(
    other=OPERANDS,
    dtype=st.sampled_from(["bool", "int8", "float16", "float32", "float64", "complex64"]),
    operator=st.sampled_from(["__add__", "__rsub__", "__eq__", "__lt__", "__and__", "__pow__"]),
)
def test_operands_that_are_data(other: Any, dtype: str, operator: str) -> None:
    t = Tensor(np.array([[1, 0, 2], [3, 1, 1]])).astype(dtype)
    expected = other
    if isinstance(other, (np.ndarray, list, tuple)):
        with contextlib.suppress(TypeError, ValueError):
            expected = made(other)
    assert outcome(getattr(t, operator), other) == outcome(getattr(t, operator), expected)
    u, v = t.copy(), t.copy()
    assert outcome(lambda: u.__iadd__(other)) == outcome(lambda: v.__iadd__(expected))
    assert u.tolist() == v.tolist()


def assigned(t: Tensor, key: Any, value: Any) -> Any:
    t = t.copy()
    t[key] = value
    return t


@pytest.mark.filterwarnings("ignore")
@hypothesis.settings(max_examples=150, deadline=None)
@hypothesis.given(
    value=OPERANDS,
    dtype=st.sampled_from(["bool", "int8", "float32", "complex64"]),
    key=st.sampled_from(
        [..., 0, slice(None), (0, 1), (slice(None), 1), (..., None), 5, "a", [1, 0], (0, [1, 0, 2]),
         np.array([True, False]), None]
    ),
)  # fmt: skip
def test_values_that_are_data(value: Any, dtype: str, key: Any) -> None:
    t = Tensor(np.array([[1, 0, 2], [3, 1, 1]])).astype(dtype)

    def slowly() -> Tensor:
        u = t.copy()
        u._setitem(key, value)  # type: ignore[attr-defined]
        return u

    assert outcome(assigned, t, key, value) == outcome(slowly)
    mask = Tensor([[True, False, True], [False, True, True]])
    expected = outcome(lambda: (u := t.copy(), u._setitem(mask, value))[0])  # type: ignore
    assert outcome(assigned, t, mask, value) == expected
