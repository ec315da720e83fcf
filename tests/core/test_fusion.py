"""Ops that are done as one pass give the values that they give one by one, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from queueing import queued

from minitensor import Tensor, ops, runtime
from minitensor.backend.core import lib


@contextmanager
def fusion(on: bool) -> Iterator[None]:
    lib.mt_set_fusion(on)
    try:
        yield
    finally:
        lib.mt_set_fusion(True)


def counted(function: Callable[[], Any]) -> tuple[Any, dict[str, int]]:
    """Return what the function returns, computed, and what became of the ops that it queued."""
    runtime.synchronize()
    before = runtime.fusion_stats()
    with queued():
        result = function()
    runtime.synchronize()
    after = runtime.fusion_stats()
    return result, {name: after[name] - before[name] for name in after}


def numbers(n: int = 5000, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random(n) + 0.1).astype(np.float32)


def same_bits(a: Any, b: Any) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def test_a_chain_is_one_pass_and_its_temporaries_are_never_written() -> None:
    x = Tensor(numbers())

    def chain() -> Tensor:
        return ops.log(ops.exp(x) + x)

    y, what = counted(chain)
    assert what == {"passes": 1, "tasks": 3, "unwritten": 2, "taken_over": 0}
    with fusion(False):
        z, what = counted(chain)
    assert what["passes"] == 0
    assert same_bits(y, z)


def test_what_somebody_holds_is_written() -> None:
    x = Tensor(numbers())
    (a, b), what = counted(lambda: (a := ops.exp(x), a + x))
    assert what["passes"] == 1 and what["unwritten"] == 0
    assert same_bits(b, ops.add(a, x)) and same_bits(a, ops.exp(x))


def test_a_view_of_a_temporary_keeps_it() -> None:
    x = Tensor(numbers())
    (view, b), _ = counted(lambda: (a := ops.exp(x), a[10:20], a + x)[1:])
    assert same_bits(view, np.asarray(ops.exp(x))[10:20])
    assert same_bits(b, ops.exp(x) + x)


def test_casts_comparisons_choices_and_broadcasting_belong_together() -> None:
    a = np.arange(6000, dtype=np.int32).reshape(100, 60) - 3000
    x, row = Tensor(a), Tensor(np.linspace(-1, 1, 60))
    y, what = counted(lambda: ops.where(x > 0, x.astype("float64") * row, row).astype("float32"))
    assert what["passes"] == 1 and what["tasks"] == 5 and what["unwritten"] == 4
    expected = np.where(
        a > 0, a.astype(np.float64) * np.linspace(-1, 1, 60), np.linspace(-1, 1, 60)
    ).astype(np.float32)
    assert same_bits(y, expected)


def test_an_update_in_place_is_written_once() -> None:
    a = numbers()
    x = Tensor(a)

    def step() -> None:
        nonlocal x
        for _ in range(3):
            x += 1.0

    _, what = counted(step)
    assert what["passes"] == 1 and what["tasks"] == 3 and what["unwritten"] == 2
    assert same_bits(x, ((a + np.float32(1)) + np.float32(1)) + np.float32(1))


def test_what_was_read_before_an_update_keeps_its_value() -> None:
    a = numbers()
    x = Tensor(a)

    def program() -> tuple[Tensor, Tensor]:
        nonlocal x
        increment = x * 3.0
        before = x * 2.0  # reads x after `increment` is made and before it is written to x
        x += increment
        return before, x * 2.0

    (before, after), what = counted(program)
    assert what["passes"] == 1
    assert same_bits(before, a * np.float32(2))
    new = a + a * np.float32(3)
    assert same_bits(x, new) and same_bits(after, new * np.float32(2))


def test_a_shifted_view_of_what_is_written_is_not_done_tile_by_tile() -> None:
    a = numbers(4000)
    x = Tensor(a)

    def program() -> Tensor:
        nonlocal x
        head = x[:-1]
        head += 1.0
        return x[1:] * 2.0

    y, _ = counted(program)
    a[:-1] += 1
    assert same_bits(y, a[1:] * np.float32(2)) and same_bits(x, a)


def test_a_result_takes_over_the_memory_of_an_input_that_ends() -> None:
    a = numbers()

    def program() -> Tensor:
        x = Tensor(a)
        y = x + 1.0
        del x
        return y * 2.0

    with fusion(False):
        y, what = counted(program)
    assert what["taken_over"] == 2
    assert same_bits(y, (a + np.float32(1)) * np.float32(2))


@pytest.mark.parametrize("reduce", ["sum", "mean", "prod", "amax", "argmin", "any"])
@pytest.mark.parametrize(
    "shape, axis",
    [((5000,), None), ((7, 700), 1), ((300, 3, 5), (1, 2)), ((2, 70_000), 1), ((3, 50, 11), None)],
)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_a_reduction_ends_a_pass(
    reduce: str, shape: tuple[int, ...], axis: Any, dtype: str
) -> None:
    x = Tensor((np.random.default_rng(3).standard_normal(shape) * 3).astype(dtype))

    def program() -> Tensor:
        return getattr(ops, reduce)(x * x - 1, axis=axis)

    y, what = counted(program)
    assert what["passes"] == 1 and what["tasks"] == 3 and what["unwritten"] == 2
    with fusion(False):
        z, what = counted(program)
    assert what["passes"] == 0 and same_bits(y, z)


def test_a_reduction_of_what_others_see_or_over_other_axes() -> None:
    a = np.random.default_rng(4).standard_normal((60, 70)).astype("float32")
    x = Tensor(a)

    def program() -> tuple[Tensor, Tensor, Tensor]:
        y = x * 2.0
        total = y.sum()
        columns = (x + 1.0).sum(axis=0)
        ops.sum(x - 1.0)  # a result that no call reads
        return y, total, columns

    y, total, columns = counted(program)[0]
    assert same_bits(y, a * np.float32(2))
    np.testing.assert_allclose(total.item(), (a * 2.0).sum(), rtol=1e-5)
    np.testing.assert_allclose(columns.asnumpy(), (a + 1.0).sum(axis=0), rtol=1e-5)


def test_an_error_names_its_op_and_line_and_its_neighbours_have_values() -> None:
    x = Tensor(np.arange(5000))

    def program() -> tuple[Tensor, Tensor, Tensor]:
        before = x * 2
        failed = (before // (x * 0)) + 1
        return before, failed, x + 5

    runtime.synchronize()
    with queued():
        before, failed, after = program()
    with pytest.raises(ZeroDivisionError, match=r"\[floor_divide\].*test_fusion\.py:\d+"):
        failed.asnumpy()
    assert same_bits(before, np.arange(5000) * 2) and same_bits(after, np.arange(5000) + 5)


def test_a_chain_longer_than_a_pass_and_with_more_operands_than_tiles() -> None:
    arrays = [numbers(3000, seed) for seed in range(40)]
    tensors = [Tensor(a) for a in arrays]

    def program() -> Tensor:
        products = [t.astype("float64") for t in tensors]
        while len(products) > 1:
            products = [p + q for p, q in zip(products[::2], products[1::2])] + products[
                len(products) // 2 * 2 :
            ]
        return products[0]

    y, what = counted(program)
    assert what["passes"] >= 3
    with fusion(False):
        assert same_bits(y, counted(program)[0])


def test_strided_operands_and_other_streams() -> None:
    a = np.random.default_rng(1).random((80, 90)).astype(np.float32)
    x = Tensor(a)
    with runtime.StreamCtx(runtime.Stream()):
        other = ops.exp(x)
    y, _ = counted(lambda: (x.T * 2.0 + other.T)[::2] - 1.0)
    assert same_bits(y, (a.T * np.float32(2) + np.asarray(ops.exp(x)).T)[::2] - np.float32(1))


@pytest.mark.parametrize("n", [1, 1023, 1024, 65_537, 1_200_000])
def test_threads_change_nothing(n: int) -> None:
    x, many = Tensor(numbers(n)), runtime.get_num_threads()

    def compute() -> tuple[Tensor, Tensor, Tensor]:
        y = ops.log(ops.exp(x) + x)
        return y, y.sum(), (x > 0.5).astype("int8")

    values = []
    for threads in (1, 2, 5):
        runtime.set_num_threads(threads)
        values.append(compute())
        runtime.synchronize()
    runtime.set_num_threads(many)
    assert all(same_bits(a, b) for other in values[1:] for a, b in zip(values[0], other))


@pytest.mark.parametrize(
    "n, error", [(0, ValueError), (-1, ValueError), (1.5, TypeError), (True, TypeError)]
)
def test_a_number_of_threads(n: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"\[set_num_threads\]"):
        runtime.set_num_threads(n)


# --- any program ----------------------------------------------------------------------------------
SHAPES = [(37,), (3000,), (40, 50), (5, 1, 300)]
STEPS = st.tuples(
    st.sampled_from(["binary", "unary", "where", "cast", "in place", "assign", "view", "number",
        "drop", "read", "long"]),
    st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 3),
)  # fmt: skip


def execute(shape: tuple[int, ...], program: list[tuple[str, int, int, int]]) -> list[np.ndarray]:
    """Run a program of ops on tensors that it makes.

    Returns the values of the tensors that it still holds, and of those that it has read.
    """
    draw = np.random.default_rng(7)
    held = [
        Tensor(draw.standard_normal(shape).astype(dtype))
        for dtype in ("float32", "float32", "float64")
    ]
    held += [
        Tensor(draw.integers(-4, 4, shape).astype("int32")),
        Tensor(draw.standard_normal(shape[-1:]).astype("float32")),
    ]
    seen = []
    steps = list(program)
    while steps:
        with queued():
            while steps:
                what, i, j, k = steps.pop(0)
                a, b = held[i % len(held)], held[j % len(held)]
                if b.shape != shape and a.shape != shape:
                    b = held[0]
                if a.shape[-len(b.shape) :] != b.shape and b.shape[-len(a.shape) :] != a.shape:
                    b = a
                if what == "binary":
                    held.append([ops.add, ops.mul, ops.maximum, ops.lt][k](a, b))
                elif what == "unary":
                    held.append([ops.abs, ops.square, ops.tanh, ops.isnan][k](a * 1))
                elif what == "where":
                    held.append(ops.where(a > 0, a, b))
                elif what == "cast":
                    held.append(a.astype(["float32", "float64", "int32", "bool"][k]))
                elif what == "in place" and a.dtype.kind == "f" and b.shape == a.shape:
                    a += b * 0.5
                elif what == "assign" and b.dtype.kind == a.dtype.kind and b.shape == a.shape:
                    a[...] = b
                elif what == "view" and a.ndim:
                    held.append([a[::-1], a[1:], a[..., ::-1], a[:1]][k])
                elif what == "number":
                    held.append((a * 1.5 + 2) - k)
                elif what == "drop" and len(held) > 6:
                    del held[5 + i % (len(held) - 5)]
                elif what == "long":
                    held.append(
                        ops.log(ops.exp(ops.minimum(a, 3)) + 1) * a - ops.abs(a) / (a * a + 1)
                    )
                elif what == "read":
                    seen.append(a)
                    break
        if seen and isinstance(seen[-1], Tensor):
            seen[-1] = seen[-1].asnumpy().copy()
    return [*seen, *(t.asnumpy().copy() for t in held)]


@given(st.sampled_from(SHAPES), st.lists(STEPS, min_size=3, max_size=30))
@settings(max_examples=60, deadline=None)
def test_any_program(shape: tuple[int, ...], program: list[tuple[str, int, int, int]]) -> None:
    fused = execute(shape, program)
    with fusion(False):
        alone = execute(shape, program)
    assert len(fused) == len(alone)
    assert all(same_bits(a, b) for a, b in zip(fused, alone))
