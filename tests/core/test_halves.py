"""float16 and bfloat16: every number through every cast and every op, on each instruction set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import precision
import pytest
from hypothesis import given
from hypothesis import strategies as st
from queueing import queued

import minitensor as mt
from minitensor import Tensor, ops
from minitensor.backend import settings
from minitensor.backend.core import lib
from minitensor.backend.host_tasks import numpy_function
from minitensor.dtype import DTYPES, DType, from_numpy
from minitensor.optable import ELEMENTWISE, Op

HALVES = [np.dtype(kind) for kind in precision.HALVES]
REAL = [d for d in DTYPES if d.kind != "c"]
UNARY = [op for op in ELEMENTWISE if op.inputs == 1 and "f" in op.kinds]
BINARY = [op for op in ELEMENTWISE if op.inputs == 2 and "f" in op.kinds]
# Of several steps in float32, whose errors are far below a half's.
COMPOSED = ["silu", "mish", "softplus", "hardsigmoid", "hardswish"]
# float32 has the digits to round the results of these once.
EXACT = ["add", "sub", "mul", "true_divide", "maximum", "minimum"]


@pytest.fixture(params=settings.isa_names(), autouse=True)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    before = settings.isa()
    settings.set_isa(request.param)
    yield request.param
    settings.set_isa(before)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


@pytest.fixture(params=HALVES, ids=str)
def half(request: pytest.FixtureRequest) -> np.dtype:
    return request.param


def assert_same(actual: np.ndarray, expected: np.ndarray, among: np.ndarray | None = None) -> None:
    """Require the same bits, but for what a NaN contains."""
    assert actual.dtype == expected.dtype and actual.shape == expected.shape
    unsigned = np.dtype(f"u{actual.dtype.itemsize}")
    same = actual.view(unsigned) == expected.view(unsigned)
    if actual.dtype.kind not in "biu":
        same |= np.isnan(actual) & np.isnan(expected)
    if among is not None:
        same |= ~among
    assert same.all(), (actual[~same][:5], expected[~same][:5])


# --- casts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", REAL, ids=str)
@pytest.mark.parametrize("step", [1, 3, -1])
def test_cast_from(half: np.dtype, target: DType, step: int) -> None:
    x = precision.all_halves(half.type)[::step]
    expected, among = x.astype(target.numpy), None
    if target.kind in "iu":  # the rest has no value in C
        among = np.abs(x.astype(np.float64)) < 2.0 ** (8 * target.itemsize - 1)
    assert_same(view(x).astype(target).asnumpy(), expected, among)


def view(x: np.ndarray) -> Tensor:
    """Return a tensor of the array's strides."""
    step = x.strides[0] // x.itemsize
    return Tensor(x[::-1].copy())[::-1] if step < 0 else Tensor(np.repeat(x, step))[::step]


def float_samples(d: DType) -> np.ndarray:
    """Return numbers of the half types, the middles between two, and the neighbours of these."""
    parts = [
        np.array(
            [
                np.inf,
                -np.inf,
                np.nan,
                65519.999,
                65520,
                65535,
                1e300,
                -1e300,
                5e-324,
                3.5e38,
                1 + 2.0**-11 + 2.0**-40,
            ]
        )
    ]
    for kind in precision.HALVES:
        x = precision.all_halves(kind).astype(np.float64)
        x = np.sort(x[np.isfinite(x)])
        middle = (x[1:] + x[:-1]) / 2
        parts += [x, middle, np.nextafter(middle, np.inf), np.nextafter(middle, -np.inf)]
    return np.concatenate(parts).astype(d.numpy)


def integer_samples(d: DType) -> np.ndarray:
    info, rng = np.iinfo(d.numpy), np.random.default_rng(0)
    x = rng.integers(info.min, info.max, 5000, d.numpy, endpoint=True)
    return np.concatenate(
        [
            x,
            x >> rng.integers(0, 8 * d.itemsize, x.size).astype(d.numpy),
            np.arange(min(info.max, 70000)).astype(d.numpy),
        ]
    )


@pytest.mark.parametrize("source", REAL, ids=str)
@pytest.mark.parametrize("step", [1, 3, -1])
def test_cast_to(half: np.dtype, source: DType, step: int) -> None:
    samples = {"b": lambda d: np.arange(600) % 3 == 0, "f": float_samples}.get(
        source.kind, integer_samples
    )
    x = samples(source)[::step]
    expected = x.astype(half)
    assert_same(view(x).astype(from_numpy(half)).asnumpy(), expected)


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 15, 16, 17, 511, 512, 513])
def test_lengths_of_casts(half: np.dtype, n: int) -> None:
    x = np.arange(n, dtype=np.float32)
    t = Tensor(x).astype(from_numpy(half))
    assert_same(t.asnumpy(), x.astype(half))
    assert_same(t.astype(mt.float32).asnumpy(), x.astype(half).astype(np.float32))


def test_item(half: np.dtype) -> None:
    x = precision.all_halves(half.type)[::997]
    np.testing.assert_array_equal(
        [Tensor(value.reshape(1)).item() for value in x], x.astype(np.float64)
    )


# --- ops ------------------------------------------------------------------------------------------


def wide(op: Op, *arrays: np.ndarray) -> np.ndarray:
    """Return what the op gives in double."""
    function = precision.REFERENCES.get(op.name) or numpy_function(op)
    return np.asarray(function(*[a.astype(np.float64) for a in arrays]))


@pytest.mark.parametrize("op", UNARY, ids=lambda op: op.name)
def test_all_numbers(half: np.dtype, op: Op) -> None:
    x = precision.all_halves(half.type)
    actual, expected = getattr(ops, op.name)(Tensor(x)).asnumpy(), wide(op, x)
    if expected.dtype == bool:
        assert_same(actual, expected)
    elif op.name in precision.REFERENCES or op.name in COMPOSED:
        assert actual.dtype == half
        assert precision.ulps(actual, expected).max() < 0.51
    elif op.name == "gelu":  # 1 + erf(x) loses digits where erf(x) is near -1
        near = np.isfinite(expected)
        rounded = 0.51 * 2.0 ** -(10 if half == np.float16 else 7) * np.abs(expected) + 2.0**-25
        lost = 2.0**-22 * np.abs(x.astype(np.float64)) + rounded
        assert (np.abs(actual.astype(np.float64) - expected) <= lost)[near].all()
        assert_same(actual, expected.astype(half), among=~near)
    else:
        assert_same(actual, expected.astype(half), among=expected != 0)


def numbers(half: np.dtype, n: int = 3000, seed: int = 0) -> np.ndarray:
    """Return numbers of all magnitudes, many of them near 1."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n).astype(half)
    every = precision.all_halves(half.type)
    return np.where(rng.random(n) < 0.2, every[rng.integers(0, every.size, n)], x)


@pytest.mark.parametrize("op", BINARY, ids=lambda op: op.name)
def test_two_operands(half: np.dtype, op: Op) -> None:
    x, y = numbers(half), numbers(half, seed=1)
    actual = getattr(ops, op.name)(Tensor(x), Tensor(y)).asnumpy()
    if op.name in EXACT or op.rule == "compare":
        expected = wide(op, x, y)
        expected = expected if expected.dtype == bool else expected.astype(half)
        assert_same(
            actual,
            expected,
            among=None if expected.dtype == bool else np.abs(expected.astype(np.float64)) > 1e-37,
        )
        return
    expected = getattr(ops, op.name)(
        Tensor(x.astype(np.float32)), Tensor(y.astype(np.float32))
    ).asnumpy()
    assert_same(actual, expected if expected.dtype == bool else expected.astype(half))


def test_three_operands(half: np.dtype) -> None:
    x, y, z = (numbers(half, seed=seed) for seed in range(3))
    condition = z > z.dtype.type(0)
    assert (
        ops.where(Tensor(condition), Tensor(x), Tensor(y)).asnumpy().tobytes()
        == np.where(condition, x, y).tobytes()
    )
    low, high = np.minimum(y, z), np.maximum(y, z)
    assert_same(
        ops.clamp(Tensor(x), Tensor(low), Tensor(high)).asnumpy(),
        np.minimum(np.maximum(x, low), high),
        among=x != 0,
    )


@pytest.mark.parametrize("other", [d for d in DTYPES if d.kind in "biu"], ids=str)
def test_an_integer_is_rounded_to_the_half_type_first(half: np.dtype, other: DType) -> None:
    x = numbers(half, 600)
    y = (np.arange(600) % 2 == 0) if other.kind == "b" else integer_samples(other)[:600]
    expected = (x.astype(np.float32) + y.astype(half).astype(np.float32)).astype(half)
    assert_same((Tensor(x) + Tensor(y)).asnumpy(), expected)
    assert_same(
        (Tensor(x) + Tensor(y[:1])).asnumpy(),
        (x.astype(np.float32) + y[:1].astype(half).astype(np.float32)).astype(half),
    )


def test_a_python_number_is_rounded_to_the_half_type_first(half: np.dtype) -> None:
    for n in (1, 100, 5000):
        x = numbers(half, n)
        expected = (x.astype(np.float32) * np.float32(half.type(0.1))).astype(half)
        assert_same((Tensor(x) * 0.1).asnumpy(), expected)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (511,), (513,), (33, 65), (3, 1, 700)])
def test_layouts(half: np.dtype, shape: tuple[int, ...]) -> None:
    size = int(np.prod(shape))
    x, y = numbers(half, size).reshape(shape), numbers(half, size, 1).reshape(shape)
    expected = np.asarray(x.astype(np.float32) + y.astype(np.float32)).astype(half)
    for a in (
        Tensor(x),
        Tensor(x.T.copy()).T,
        Tensor(np.repeat(x, 2, -1))[..., ::2] if shape else Tensor(x),
    ):
        assert_same((a + Tensor(y)).asnumpy(), expected)
        b = a.copy()
        b += Tensor(y)
        assert_same(b.asnumpy(), expected)
    if shape:
        expected = (x.astype(np.float32) * y[..., :1].astype(np.float32)).astype(half)
        assert_same((Tensor(x) * Tensor(y)[..., :1]).asnumpy(), expected)


# --- fusion ---------------------------------------------------------------------------------------


def in_place(x: Tensor, y: Tensor) -> Tensor:
    z = x * y
    z += 0.1
    z *= z
    return z + x


CHAINS: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda x, y: ops.exp(x * 0.1) + y * x - 3,
    lambda x, y: (x + y).astype(mt.float32) + x.astype(mt.int32),
    lambda x, y: ops.where(x > y, x * 2, y / 3) + Tensor(7, mt.int64),
    lambda x, y: ops.clamp(x * y, -1, 1) * Tensor(np.arange(x.size) % 7),
    lambda x, y: (x * y + 1).sum(),
    lambda x, y: ops.amax(x - y),
    lambda x, y: (x * x).reshape(-1, 50).mean(1),
    lambda x, y: ops.argmin(x / y),
    in_place,
]


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("n", [50, 1000, 150_000])
def test_fusion_changes_no_bit(
    half: np.dtype, chain: Callable[[Tensor, Tensor], Tensor], n: int
) -> None:
    x, y = Tensor(numbers(half, n)), Tensor(numbers(half, n, 1))
    results = []
    for on in (True, False):
        lib.mt_set_fusion(on)
        try:
            with queued():
                result = chain(x, y)
            results.append(result.asnumpy())
        finally:
            lib.mt_set_fusion(True)
    assert_same(*results)


def test_a_chain_is_one_pass(half: np.dtype) -> None:
    x = Tensor(numbers(half, 5000))
    before = mt.runtime.fusion_stats()
    with queued():
        y = ops.exp(x) + x * 2
    y.asnumpy()
    after = mt.runtime.fusion_stats()
    assert (after["passes"] - before["passes"], after["tasks"] - before["tasks"]) == (1, 3)


# --- reductions and products ----------------------------------------------------------------------

shapes = st.sampled_from(
    [
        (1,),
        (63,),
        (64,),
        (65,),
        (2047,),
        (2049,),
        (70_000,),
        (3, 700),
        (700, 3),
        (300, 257),
        (17, 16, 15),
        (1, 40, 1),
        (4000, 33),
    ]
)


@given(shapes, st.data())
def test_sums(half: np.dtype, shape: tuple[int, ...], data: Any) -> None:
    """The error is that of one rounding, and of float32 beside the sum of the absolute values."""
    axis = data.draw(st.none() | st.integers(0, len(shape) - 1))
    x = np.random.default_rng(data.draw(st.integers(0, 9))).standard_normal(shape).astype(half)
    t = Tensor(x) if data.draw(st.booleans()) else Tensor(x.T.copy()).T
    exact, size = x.astype(np.float64).sum(axis), np.abs(x.astype(np.float64)).sum(axis)
    ulp = 2.0 ** -(10 if half == np.float16 else 7)
    for actual, scale in (
        (t.sum(axis).asnumpy(), 1),
        (t.mean(axis).asnumpy(), x.size / np.size(exact)),
    ):
        assert actual.dtype == half
        error = np.abs(actual.astype(np.float64) - exact / scale)
        assert (error <= (0.5001 * ulp * np.abs(exact) + 2.0**-18 * size) / scale + 2.0**-25).all()


@given(shapes, st.data())
def test_other_reductions(half: np.dtype, shape: tuple[int, ...], data: Any) -> None:
    axis = data.draw(st.none() | st.integers(0, len(shape) - 1))
    x = numbers(half, int(np.prod(shape)), data.draw(st.integers(0, 9))).reshape(shape)
    if data.draw(st.booleans()):
        x = np.nan_to_num(x.astype(np.float32)).astype(half)
    exact = x.astype(np.float64)
    for name, theirs in (
        ("amin", np.min),
        ("amax", np.max),
        ("argmin", np.argmin),
        ("argmax", np.argmax),
        ("any", np.any),
        ("all", np.all),
    ):
        np.testing.assert_array_equal(
            getattr(ops, name)(Tensor(x), axis).asnumpy().astype(np.float64),
            theirs(exact, axis=axis),
        )


@pytest.mark.parametrize("function", [np.sum, np.mean, np.prod])
def test_reductions_of_nothing_and_of_special_numbers(
    half: np.dtype, function: Callable[..., Any]
) -> None:
    ours = getattr(ops, function.__name__)
    for values in (
        [],
        [np.nan, 1],
        [np.inf, 1],
        [np.inf, -np.inf],
        [60000] * 2 + [-60000] * 2,
        [1e38] * 500 + [-1e38] * 500,
    ):
        for shape in ((-1,), (-1, 1)):
            with (
                pytest.warns(RuntimeWarning)
                if not values and function is np.mean
                else nullcontext()
            ):
                x = np.array(values, np.float64).astype(half).reshape(shape)
                expected = np.asarray(function(x.astype(np.float64), axis=0)).astype(half)
            assert_same(ours(Tensor(x), 0).asnumpy(), expected)


@pytest.mark.parametrize("dtype", [mt.float64, mt.int32, mt.float32])
def test_a_sum_in_a_half_type(half: np.dtype, dtype: DType) -> None:
    x = (np.arange(300) * 7.3).astype(dtype.numpy)
    expected = x.astype(half).astype(np.float64)
    target = from_numpy(half)
    np.testing.assert_array_equal(
        ops.sum(Tensor(x), dtype=target).asnumpy(), expected.sum().astype(half)
    )


def test_scans_are_rounded_once(half: np.dtype) -> None:
    rng = np.random.default_rng(0)
    for shape, axis in (((7,), 0), ((70_000,), 0), ((40, 300), 0), ((40, 300), 1)):
        x = rng.standard_normal(shape).astype(half)
        for op, exact in ((ops.cumsum, np.cumsum), (ops.cumprod, np.cumprod)):
            wide = exact(x.astype(np.float64), axis)
            actual = op(Tensor(x), axis).asnumpy()
            # Doubles are summed in another order than NumPy's: the last bit may differ.
            below, above = (rounded(wide * (1 + e), half) for e in (-1e-12, 1e-12))
            assert actual.dtype == half
            assert ((actual == below) | (actual == above)).all()


def rounded(x: np.ndarray, half: np.dtype) -> np.ndarray:
    """Round doubles once: float32 with the lost bits in its last one has digits enough."""
    near = x.astype(np.float32)
    toward_zero = np.where(np.abs(near) > np.abs(x), np.nextafter(near, np.float32(0)), near)
    bits = toward_zero.view(np.uint32) | (toward_zero != x)
    return bits.astype(np.uint32).view(np.float32).astype(half)


@pytest.mark.parametrize("shape", [(5,), (3, 600), (600, 3)])
def test_softmax_is_that_of_float32_rounded(half: np.dtype, shape: tuple[int, ...]) -> None:
    x = Tensor(np.random.default_rng(0).standard_normal(shape).astype(half))
    for axis in range(len(shape)):
        for op in (ops.softmax, ops.log_softmax):
            wide = op(x.astype("float32"), axis).astype(x.dtype)
            assert_same(op(x, axis).asnumpy(), wide.asnumpy())


@pytest.mark.parametrize(
    "m, k, n",
    [
        (130, 127, 129),
        (1, 70_000, 3),
        (1, 1, 1),
        (3, 4, 5),
        (17, 1, 17),
        (31, 31, 31),
        (33, 32, 33),
        (70, 90, 50),
    ],
)
def test_products(half: np.dtype, m: int, k: int, n: int) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((m, k)).astype(half), rng.standard_normal((k, n)).astype(half)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    size = np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64))
    ulp = 2.0 ** -(10 if half == np.float16 else 7)
    for x in (Tensor(a), Tensor(a.T.copy()).T):
        for y in (Tensor(b), Tensor(np.repeat(b, 2, 1))[:, ::2]):
            actual = (x @ y).asnumpy()
            assert actual.dtype == half
            assert (
                np.abs(actual.astype(np.float64) - exact)
                <= 0.5001 * ulp * np.abs(exact) + k * 2.0**-24 * size
            ).all()
