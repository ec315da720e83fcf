"""Host ops at their call and in the queue: values, errors, memory."""

from __future__ import annotations

import gc
import warnings
import weakref

import numpy as np
import pytest

from minitensor import Tensor, config, float32, int64, ops, runtime, set_context
from minitensor.ops._dispatch import host, host_many

AT_ONCE = config.get("MINITENSOR_INLINE_ELEMENTS") // 16  # elements; else in the queue
SIZES = [0, 1, 10, AT_ONCE, AT_ONCE + 1]


@pytest.mark.parametrize("n", SIZES)
def test_results_are_cast_and_broadcast(n: int) -> None:
    t = Tensor(np.arange(n, dtype=np.float32))
    double, one = host_many(
        "pair", lambda a: (a * 2.5, np.float64(7)), [t], [((n,), int64), ((n,), float32)]
    )
    np.testing.assert_array_equal(double.asnumpy(), (np.arange(n) * 2.5).astype(np.int64))
    np.testing.assert_array_equal(one.asnumpy(), np.full(n, 7, np.float32))

    def write(a: np.ndarray, out: np.ndarray) -> None:
        np.add(a, 1, out=out)

    result = host("direct", write, (t,), [n], float32, direct=True)
    np.testing.assert_array_equal(result.asnumpy(), np.arange(n, dtype=np.float32) + 1)


@pytest.mark.parametrize("n", SIZES)
def test_an_error_rises_at_the_read_with_the_line(n: int) -> None:
    def fail(a: np.ndarray) -> np.ndarray:
        raise LookupError("none of these")

    result = host("search", fail, [Tensor(np.zeros(n, np.float32))], (3,), float32)  # the line
    later = result + 1
    for t in (result, later):
        with pytest.raises(LookupError, match=r"\[search\] none of these \(issued at .*\.py:\d+"):
            t.asnumpy()
    np.testing.assert_array_equal((Tensor([1.0]) + 1).asnumpy(), [2])  # the stream goes on


@pytest.mark.parametrize("n", SIZES[1:])
def test_numpy_does_not_warn(n: int) -> None:
    t = Tensor(np.full(n, 3e38, np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = host("big", lambda a: a.astype(np.float64) * 100, [t], (n,), float32)
        assert np.isinf(result.asnumpy()).all()


def test_ops_inside_a_host_op_run_beside_it() -> None:
    inner = Tensor([1.0, 2.0])

    def nested(a: np.ndarray) -> np.ndarray:
        return a + ops.inverse(Tensor([[2.0]])).asnumpy()[0] + inner.asnumpy()

    result = host("nested", nested, [Tensor([1.0, 1.0])], (2,), float32)
    np.testing.assert_array_equal(result.asnumpy(), [2.5, 3.5])


def test_synchronous_mode_raises_at_the_call() -> None:
    runtime.launch_blocking()
    try:
        with pytest.raises(np.linalg.LinAlgError):
            ops.inverse(Tensor([[0.0]]))
    finally:
        set_context(pynative_synchronize=False)


def test_a_failed_task_keeps_no_array() -> None:
    kept: list[weakref.ref[np.ndarray]] = []

    def fail(a: np.ndarray) -> np.ndarray:
        local = a.copy()
        kept.append(weakref.ref(local))
        raise ValueError("no")

    result = host("fail", fail, [Tensor([1.0])], (1,), float32)
    gc.collect()
    assert kept[0]() is None
    with pytest.raises(ValueError, match="no"):
        result.asnumpy()


def test_exports_end_with_their_arrays() -> None:
    t = Tensor(np.arange(6, dtype=np.float64))[::-2]
    array = t.asnumpy()
    np.testing.assert_array_equal(array, [5, 3, 1])
    t[0] = 9  # at its call: NumPy sees it
    assert array[0] == 9
    array[1] = 8
    np.testing.assert_array_equal((t + 0).asnumpy(), [9, 8, 1])
    del t
    np.testing.assert_array_equal(array, [9, 8, 1])  # the array keeps the memory
    assert Tensor(np.zeros((0, 2))).asnumpy().shape == (0, 2)


@pytest.mark.parametrize("dtype", ["bool", "int16", "uint64", "float16", "complex128"])
def test_from_numpy_shares_any_layout(dtype: str) -> None:
    base = np.arange(24).reshape(2, 3, 4).astype(dtype)
    for a in (base, base.T, base[::-1, ::2, 1:], base[:, 0, 0], base[1:, 1:, 1:][0, 0, 0:1]):
        t = Tensor.from_numpy(a)
        np.testing.assert_array_equal(t.asnumpy(), a)
        a[...] = a[::-1].copy()
        np.testing.assert_array_equal(t.asnumpy(), a)
    gone = weakref.ref(base)
    del base, a, t
    gc.collect()
    assert gone() is None
