"""New tensors against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitensor as mt
from minitensor import Tensor, ops


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: ops.zeros((2, 3)), np.zeros((2, 3), np.float32)),
        (lambda: ops.ones(3, "int8"), np.ones(3, np.int8)),
        (lambda: ops.full((2,), 3.0), np.full(2, 3, np.float32)),
        (lambda: ops.full((2,), 3), np.full(2, 3, np.int64)),
        (lambda: ops.full(2, np.int16(3)), np.full(2, 3, np.int16)),
        (lambda: ops.full(2, np.float64(3)), np.full(2, 3.0)),
        (lambda: ops.full(2, Tensor(3, mt.uint8)), np.full(2, 3, np.uint8)),
        (lambda: ops.full((), True), np.array(True)),
        (lambda: ops.full(2, 1j), np.full(2, 1j)),
        (lambda: ops.zeros_like(Tensor([1, 2])), np.zeros(2, np.int64)),
        (lambda: ops.ones_like(Tensor([1.0])), np.ones(1, np.float32)),
        (lambda: ops.full_like(Tensor([1.0]), 7, dtype=mt.int32), np.full(1, 7, np.int32)),
        (lambda: ops.eye(2, 3), np.eye(2, 3, dtype=np.float32)),
        (lambda: ops.eye(3, dtype=mt.int64), np.eye(3, dtype=np.int64)),
        (lambda: ops.eye(0), np.eye(0, dtype=np.float32)),
        (lambda: ops.tri(3, 4, -1), np.tri(3, 4, -1, np.float32)),
        (lambda: ops.linspace(0, 1, 5), np.linspace(0, 1, 5, dtype=np.float32)),
        (lambda: ops.logspace(0, 2, 3), np.logspace(0, 2, 3, dtype=np.float32)),
        (lambda: ops.arange(5), np.arange(5)),
        (lambda: ops.arange(1.0, 2.0, 0.25), np.arange(1, 2, 0.25, dtype=np.float32)),
        (lambda: ops.one_hot(Tensor([0, 2, -1]), 3), np.array([[1, 0, 0], [0, 0, 1], [0, 0, 0]])),
        (lambda: ops.one_hot(Tensor([[0], [1]]), 2, 1.0, 0.5, axis=0),
         np.array([[[1], [0.5]], [[0.5], [1]]], np.float32)),
    ],
)  # fmt: skip
def test_created(made: object, expected: np.ndarray) -> None:
    t = made()  # type: ignore[operator]
    assert t.dtype.numpy == expected.dtype
    np.testing.assert_array_equal(t.asnumpy(), expected)


@given(st.integers(-20, 20), st.integers(-20, 20), st.integers(-5, 5).filter(bool))
def test_arange(start: int, end: int, step: int) -> None:
    assert ops.arange(start, end, step).tolist() == list(range(start, end, step))


@given(st.integers(0, 4), st.integers(0, 4), st.integers(-4, 4))
def test_diag(n: int, m: int, k: int) -> None:
    vector, matrix = np.arange(1, n + 1), np.arange(n * m).reshape(n, m)
    np.testing.assert_array_equal(ops.diag(Tensor(vector), k).asnumpy(), np.diag(vector, k))
    np.testing.assert_array_equal(ops.diagonal(Tensor(matrix), k).asnumpy(), np.diag(matrix, k))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ops.zeros((2, -1)), lambda: ops.zeros("a"), lambda: ops.full((2,), "a"),
        lambda: ops.arange(0, 1, 0),
        lambda: ops.arange("a"), lambda: ops.ones(2, "float31"),
        lambda: ops.one_hot(Tensor([1.0]), 2), lambda: ops.diag(Tensor(1)),
        lambda: ops.zeros(1.5), lambda: ops.eye(-1), lambda: ops.arange(float("nan")),
        lambda: ops.arange(0, float("inf")),
        lambda: ops.linspace(0, 1, -1), lambda: ops.linspace(0, 1, (2, 3)),
        lambda: ops.one_hot(Tensor([1]), (2, 2)),
        lambda: ops.eye((2, 3)),
    ],
)  # fmt: skip
def test_mistakes_rise_at_the_call(wrong: object) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^\[\w+\] "):
        wrong()  # type: ignore[operator]


def test_on_a_device() -> None:
    for made in (
        ops.zeros(2, device="Ascend"), ops.arange(2, device="Ascend"), ops.eye(2, device="Ascend"),
        ops.empty(2, device="Ascend"),
    ):  # fmt: skip
        assert made.device == "Ascend:0"
    with pytest.raises(MemoryError, match=r"^\[empty\] no memory for"):
        ops.empty(2**40, 2**20)
