"""Operators, scalars, in-place writing, and what is made of the table's functions."""

from __future__ import annotations

import gc
import inspect
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minitensor as mt
from minitensor import Tensor, ops, runtime
from minitensor.ops.elementwise import FUNCTIONS
from minitensor.optable import ELEMENTWISE


@pytest.mark.parametrize(
    ("expression", "dtype"),
    [
        (lambda: Tensor([1], mt.int8) + 300, mt.int8),
        (lambda: Tensor([1], mt.int32) + 2.5, mt.float32),
        (lambda: Tensor([True]) + 2, mt.int64),
        (lambda: Tensor([1], mt.int64) / Tensor([2], mt.int64), mt.float32),
        (lambda: Tensor([1], mt.int64) + Tensor([1], mt.float16), mt.float16),
        (lambda: Tensor([1], mt.uint8) + Tensor([1], mt.int8), mt.int16),
        (lambda: Tensor([1], mt.float16) + Tensor([1], mt.bfloat16), mt.float32),
        (lambda: Tensor([1], mt.uint64) + Tensor([1], mt.int8), mt.float64),
        (lambda: Tensor([1.0]) + 1j, mt.complex64),
        (lambda: Tensor([1.0], mt.float64) + 1j, mt.complex128),
        (lambda: 2 - Tensor([1], mt.int8), mt.int8), (lambda: ops.add(1, 2), mt.int64),
        (lambda: ops.log(2), mt.float32),
        (lambda: np.float32(1) * Tensor([1], mt.int8), mt.float32),
        (lambda: Tensor([1.0]) ** 2, mt.float32),
    ],
)  # fmt: skip
def test_promotion(expression: object, dtype: mt.DType) -> None:
    assert expression().dtype is dtype  # type: ignore[operator]


def test_scalars_out_of_a_dtype_compare_right() -> None:
    t = Tensor([-128, 0, 127], mt.int8)
    assert (t < 300).tolist() == [True] * 3 and (t == 300).tolist() == [False] * 3
    assert (Tensor([0, 255], mt.uint8) > -1).tolist() == [True] * 2
    assert (Tensor([2**63], mt.uint64) > -1).tolist() == [True]
    with pytest.raises(OverflowError, match=r"^\[add\] an integer must fit into 64 bits, got "):
        t + 2**64


def test_operators_both_ways_round() -> None:
    t = Tensor([7, 8])
    assert [(t + 1).tolist(), (1 + t).tolist(), (10 - t).tolist(), (t // 2).tolist(),
        (15 // t).tolist()] == [
        [8, 9], [8, 9], [3, 2], [3, 4], [2, 1]]  # fmt: skip
    assert [(t % 4).tolist(), (2**t).tolist(), (t & 3).tolist(), (~t).tolist(), (t << 1).tolist(),
        (t >> 1).tolist()] == [
        [3, 0], [128, 256], [3, 0], [-8, -9], [14, 16], [3, 4]]  # fmt: skip
    assert [(-t).tolist(), (+t).tolist(), abs(-t).tolist(), divmod(t, 4)[1].tolist()] == [
        [-7, -8], [7, 8], [7, 8], [3, 0],
    ]  # fmt: skip
    assert (t == Tensor([7, 1])).tolist() == [True, False] and (t != 7).tolist() == [False, True]
    assert (t + [1, 2]).tolist() == [8, 10] and (t * np.array([2, 3])).tolist() == [14, 24]
    assert round(Tensor([1.26]), 1).item() == pytest.approx(1.3)


def test_operators_with_strangers() -> None:
    with pytest.raises(TypeError):
        Tensor([1]) + "a"
    with pytest.raises(TypeError):
        Tensor([1]) + None
    assert (Tensor([1]) == "a") is False and (Tensor([1]) != None) is True  # noqa: E711
    with pytest.raises(TypeError, match=r"^\[add\] an operand must be tensor-like, got str"):
        ops.add(Tensor([1]), "a")
    with pytest.raises(TypeError, match=r"^\[log\] an operand must be tensor-like, got dict"):
        ops.log({})


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ops.add(Tensor([1, 2]), Tensor([1, 2, 3])), lambda: -Tensor([True]),
        lambda: Tensor([True]) - Tensor([True]),
        lambda: Tensor([1.0]) & Tensor([1.0]), lambda: ops.bitwise_not(Tensor([1.0])),
        lambda: ops.lt(Tensor([1j]), 1),
        lambda: ops.div(Tensor([1]), 2, rounding_mode="up"),
        lambda: ops.where(Tensor([True, False]), Tensor([1, 2, 3]), 0),
        lambda: ops.cast(Tensor([1]), "float31"),
    ],
)  # fmt: skip
def test_mistakes_rise_at_the_call(wrong: object) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^\[\w+\] "):
        wrong()  # type: ignore[operator]


def test_in_place_reaches_every_view() -> None:
    base = Tensor(np.zeros((2, 2), np.float32))
    view = base._view((2,), (12,), 0)
    view += 1
    view *= 3
    assert base.tolist() == [[3, 0], [0, 3]]
    same = base
    same -= 1
    assert same is base and base.tolist() == [[2, -1], [-1, 2]]
    ints = Tensor([1, 2])
    with pytest.raises(
        TypeError, match=r"\[true_divide\] the result must fit .* dtype Int64, got Float32"
    ):
        ints /= 2
    with pytest.raises(ValueError, match="does not fit"):
        ints += Tensor([[1, 1], [2, 2]])
    assert ints.tolist() == [1, 2]


@pytest.mark.parametrize("size", [3, 1_000_000])
def test_integer_division_by_zero(size: int) -> None:
    a, b = Tensor(np.ones(size, np.int32)), Tensor(np.zeros(size, np.int32))
    for f in (ops.floor_divide, ops.remainder, ops.fmod):
        result = f(a, b)
        depends = result + 1
        for t in (result, depends, result):
            with pytest.raises(
                ZeroDivisionError,
                match=rf"^\[{f.__name__}\] integer division by zero \(issued at "
                      rf".*test_elementwise.py:\d+",
            ):
                t.asnumpy()
    with pytest.raises(ValueError, match="negative integer power"):
        (a ** -1).asnumpy()
    assert (a + 1).asnumpy().max() == 2  # nothing else failed


@given(
    hnp.arrays(np.float32, st.integers(0, 8), elements=st.floats(-1000, 1000, width=32)),
    st.integers(-2, 3),
)
def test_round(values: np.ndarray, decimals: int) -> None:
    np.testing.assert_allclose(
        ops.round(Tensor(values), decimals=decimals).asnumpy(), np.round(values, decimals),
        rtol=1e-6, atol=1e-6,
    )  # fmt: skip


@given(hnp.arrays(np.int32, 5, elements=st.integers(-20, 20)), st.integers(-5, 5).filter(bool))
def test_division_modes(values: np.ndarray, by: int) -> None:
    t = Tensor(values)
    assert ops.div(t, by, rounding_mode="floor").tolist() == (values // by).tolist()
    assert (
        ops.div(t, by, rounding_mode="trunc").tolist() == np.trunc(values / by).astype(int).tolist()
    )
    np.testing.assert_allclose(ops.div(t, by).asnumpy(), values / by, rtol=1e-6)


def test_clamp_isclose_and_their_kin() -> None:
    t = Tensor([-2.0, 0.5, float("nan"), 9.0])
    np.testing.assert_array_equal(ops.clamp(t, -1, 1).asnumpy(), np.float32([-1, 0.5, np.nan, 1]))
    assert ops.clip(Tensor([1, 5]), max=3).tolist() == [1, 3] and t.clamp(min=0).asnumpy()[0] == 0
    a, b = [1.0, np.inf, np.nan, 0.0, -np.inf], [1.0 + 1e-7, np.inf, np.nan, 1e-3, np.inf]
    assert ops.isclose(Tensor(a), Tensor(b)).tolist() == np.isclose(a, b).tolist()
    assert (
        ops.isclose(Tensor(a), Tensor(b), equal_nan=True).tolist()
        == np.isclose(a, b, equal_nan=True).tolist()
    )
    assert ops.isclose(Tensor([2**40]), Tensor([2**40 + 2**30])).item() is False
    assert (
        ops.nan_to_num(Tensor([np.nan, np.inf])).asnumpy().tolist()
        == np.nan_to_num(np.float32([np.nan, np.inf])).tolist()
    )


def test_functions_have_names_signatures_and_docs() -> None:
    for op in ELEMENTWISE:
        function = FUNCTIONS[op.name]
        assert function.__name__ == op.name and op.doc in function.__doc__
        assert list(inspect.signature(function).parameters) == list(op.params[: op.inputs])
        for alias in op.aliases:
            assert getattr(ops, alias) is function
    assert ops.add(input=Tensor([1]), other=2).item() == 3
    assert ops.where(condition=Tensor([True]), input=1, other=2).item() == 1


def test_threads_see_their_own_order() -> None:
    failures: list[BaseException] = []
    start = threading.Barrier(4)

    def count(number: int) -> None:
        try:
            start.wait()
            t = Tensor(np.full(40_000, number, np.int64))
            for _ in range(50):
                t = t * 2 - number
            assert t.asnumpy().min() == t.asnumpy().max() == number
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=count, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_numbers_on_both_sides() -> None:
    t = Tensor([3, -5])
    assert (
        (7 - t).tolist() == [4, 12]
        and (t - 7).tolist() == [-4, -12]
        and (7.5 - t).tolist() == [4.5, 12.5]
    )
    assert (2**63 - 1 + Tensor([-1])).tolist() == [2**63 - 2] and (True + t).dtype is mt.int64
    for expression in (lambda: t + 2**63, lambda: 2**63 + t, lambda: ops.add(t, -(2**63) - 1)):
        with pytest.raises(
            OverflowError, match=r"^\[add\] an integer must fit into 64 bits, got -?\d+"
        ):
            expression()
    for expression in (lambda: t + "1", lambda: None - t):
        with pytest.raises(TypeError, match="unsupported operand"):
            expression()


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float32, np.float64, np.bool_, np.uint64])
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((300, 401), (1, 0)), ((7, 90, 130), (2, 1, 0)), ((40, 50, 60), (1, 2, 0)),
        ((2, 64, 1, 300), (3, 2, 0, 1)),
    ],
)
def test_large_operands_that_lie_across(
    dtype: type, shape: tuple[int, ...], axes: tuple[int, ...]
) -> None:
    values = (
        np.random.default_rng(1).integers(0, 2 if dtype is np.bool_ else 100, shape).astype(dtype)
    )
    a, t = values.transpose(axes), Tensor(values).transpose(axes)
    b, u = np.ascontiguousarray(a[::-1]), Tensor(a[::-1])
    gc.collect()  # the garbage of other tests holds memory, too
    before = runtime.memory_allocated()
    for ours, theirs in [
        (lambda: t + u, lambda: a + b), (lambda: (t + t) * u + t, lambda: (a + a) * b + a),
        (lambda: t > u, lambda: a > b),
        (lambda: ops.where(t > u, t, u), lambda: np.where(a > b, a, b)),
        (lambda: t.astype(mt.float64) / (u + 1.0), lambda: a.astype(float) / (b + np.float32(1))),
        (lambda: t.flip(-1) + t, lambda: np.flip(a, -1) + a),
        (lambda: (t + u).sum(0), lambda: (a + b).sum(0)),
    ]:  # fmt: skip
        result = ours().asnumpy()
        np.testing.assert_allclose(result, theirs(), 1e-6)
        del result
    runtime.synchronize()
    assert runtime.memory_allocated() == before


def test_a_matrix_and_its_transpose_in_place() -> None:
    a = np.random.default_rng(1).random((400, 400), np.float32)
    t = Tensor(a)
    t += t.T
    np.testing.assert_array_equal(t.asnumpy(), a + a.T)
    t[:] = t.T * 2 + t
    np.testing.assert_allclose(t.asnumpy(), (a + a.T).T * 2 + (a + a.T), 1e-6)
