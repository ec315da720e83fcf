"""New tensors against NumPy."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitensor as mt
from minitensor import Tensor, ops
from minitensor.backend import settings


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


@pytest.fixture(params=settings.isa_names())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    before = settings.isa()
    settings.set_isa(request.param)
    yield request.param
    settings.set_isa(before)


# Around one tile, what a thread takes, what runs at the call, and what is written past the caches.
LENGTHS = [0, 1, 7, 511, 513, 1025, 4097, 65_537, 131_073, 262_145, 1_048_575, 1_048_577, 4_194_305]


@pytest.mark.parametrize("dtype", mt.dtype.DTYPES, ids=str)
def test_every_dtype_and_length(isa: str, dtype: mt.DType) -> None:
    kind = dtype.numpy
    for n in LENGTHS if dtype in (mt.int8, mt.float32, mt.complex128) else LENGTHS[:9]:
        used = ops.full(n, 1, dtype=dtype)  # so that the cache has a block that is not zero
        np.testing.assert_array_equal(used.asnumpy(), np.ones(n, kind))
        used += used
        del used
        made, value = ops.zeros((n,), dtype), 3 if dtype is not mt.bool_ else True
        assert made.dtype is dtype and made.strides == (kind.itemsize,)
        assert not made.asnumpy().astype(np.complex64).any()
        np.testing.assert_array_equal(
            ops.full([n], value, dtype=dtype).asnumpy(), np.full(n, value, kind)
        )
        np.testing.assert_array_equal(ops.ones_like(made).asnumpy(), np.ones(n, kind))
        if n < 5000:
            np.testing.assert_array_equal(
                ops.eye(n % 90, n % 71, dtype).asnumpy(), np.eye(n % 90, n % 71, dtype=kind)
            )
            with np.errstate(all="ignore"):
                np.testing.assert_array_equal(
                    ops.arange(n, dtype=dtype).asnumpy(), np.arange(n).astype(kind)
                )


def test_large_matrices_and_ranges(isa: str) -> None:
    for shape in ((1100, 1025), (3, 1_000_000), (1_000_000, 3)):
        np.testing.assert_array_equal(ops.eye(*shape).asnumpy(), np.eye(*shape, dtype=np.float32))
    for n in LENGTHS:
        np.testing.assert_array_equal(
            ops.arange(-5, 3 * n - 5, 3).asnumpy(), np.arange(-5, 3 * n - 5, 3)
        )
        np.testing.assert_array_equal(
            ops.arange(n, dtype="float32").asnumpy(), np.arange(n).astype(np.float32)
        )
        for kind in ("float32", "float64"):
            np.testing.assert_array_equal(
                ops.linspace(-1, 2.5, n, dtype=kind).asnumpy(),
                np.linspace(-1, 2.5, n, dtype=np.float64).astype(kind),
            )
            np.testing.assert_array_equal(
                ops.arange(0.5, n * 0.3, 0.3, dtype=kind).asnumpy(),
                np.arange(0.5, n * 0.3, 0.3).astype(kind),
            )


FLOATS = st.floats(-1e6, 1e6) | st.integers(-1000, 1000)


@given(FLOATS, st.integers(0, 40), FLOATS.filter(lambda step: abs(step) > 1e-3), st.floats(-0.5, 1))
def test_ranges_of_floats(start: float, count: int, step: float, rest: float) -> None:
    end = start + (count + rest) * step
    expected = np.arange(start, end, step)
    made = ops.arange(start, end, step, dtype="float64")
    np.testing.assert_array_equal(made.asnumpy(), expected.astype(np.float64))
    assert (
        ops.arange(0, 1, float("inf")).tolist() == [0]
        and ops.arange(1, 0, float("inf")).tolist() == []
    )
    np.testing.assert_array_equal(
        ops.linspace(start, end, count, dtype="float64").asnumpy(), np.linspace(start, end, count)
    )


def test_ranges_at_the_ends_of_int64() -> None:
    top = 2**63 - 1
    assert ops.arange(top - 3, top).tolist() == [top - 3, top - 2, top - 1]
    assert ops.arange(-(2**63), -(2**63) + 4, 3).tolist() == [-(2**63), -(2**63) + 3]
    assert (
        ops.arange(top, -(2**63), -(2**62)).tolist() == np.arange(top, -(2**63), -(2**62)).tolist()
    )
    assert ops.arange(4, 0, -(2**63)).tolist() == [4]


def test_a_value_of_another_kind_than_the_dtype_is_cast() -> None:
    for value, dtype in (
        (300, "uint8"),
        (-1.5, "int32"),
        (2.7, "bool"),
        (1e300, "float32"),
        (True, "float16"),
        (1.1, "bfloat16"),
        (2**40, "int16"),
        (-1, "uint64"),
        (1.5, "complex64"),
    ):
        with np.errstate(all="ignore"):
            expected = np.asarray(value).astype(mt.dtype.as_dtype(dtype).numpy)
        assert ops.full(2, value, dtype=dtype).asnumpy().tobytes() == expected.tobytes() * 2
    assert ops.full((2, 2), Tensor([1, 2])).tolist() == [[1, 2], [1, 2]]
    assert ops.full(2, -0.0).asnumpy().tobytes() == np.full(2, -0.0, np.float32).tobytes()


def test_zero_pages_belong_to_one_tensor() -> None:
    shape = (2048, 1024)
    first, second = ops.zeros(shape), ops.zeros(shape)
    first += 1
    assert not second.asnumpy().any() and first.asnumpy().all()
    del first
    third = ops.zeros(shape)  # on the memory that the first has left
    assert not third.asnumpy().any()
    third += 2
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            del third
            fourth = ops.zeros(shape)
            code = int(fourth.asnumpy().any())
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert (third.asnumpy() == 2).all()


def test_new_tensors_follow_the_device_of_the_context() -> None:
    before = mt.get_context("device_target")
    assert ops.zeros(2).device == "CPU"
    mt.set_context(device_target="Ascend")
    try:
        for made in (
            ops.zeros(2),
            ops.ones((2, 2)),
            ops.full(2, 1.5),
            ops.empty(3),
            ops.arange(3),
            ops.eye(2),
            ops.linspace(0, 1, 3),
            ops.rand(2),
            ops.randint(0, 3, 2),
        ):
            assert made.device == "Ascend:0"
        assert ops.zeros(2, device="CPU").device == "CPU"
    finally:
        mt.set_context(device_target=before)
    assert ops.zeros(2).device == "CPU"


def test_sizes_and_dtypes_in_every_spelling() -> None:
    for size in (2, (2,), [2], np.int64(2), (np.int32(2),), Tensor(2), Tensor([2])):
        for dtype in (None, "float32", np.float32, np.dtype("float32"), mt.float32, float):
            assert (
                ops.zeros(size, dtype).tolist() == [0, 0]
                and ops.ones(size, dtype).dtype is mt.float32
            )
            assert ops.empty(size, dtype=dtype).shape == (2,)
    assert ops.zeros(()).shape == () and ops.empty().shape == () and ops.empty(2, 0).shape == (2, 0)
    for wrong in (
        lambda: ops.zeros(2, 0),
        lambda: ops.zeros(((2, 3),)),
        lambda: ops.zeros(True),
        lambda: ops.ones((1,) * 17),
        lambda: ops.zeros(2**62),
    ):
        try:
            wrong()  # type: ignore[no-untyped-call]
        except (TypeError, ValueError, MemoryError) as error:
            assert str(error).startswith("[")
        else:
            assert wrong.__code__.co_consts[1] is True  # bool is an int where Python says so
