"""The CPU's kernels on each instruction set here: special values, accuracy, layouts, the choice.

`make accuracy` measures more, and longer: all float32 numbers.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from precision import HAS_LONG_DOUBLE, REFERENCES, power, powers, reference, sample64, ulps

from minitensor import Tensor, ops, runtime
from minitensor.backend import settings

INF, NAN = np.inf, np.nan
ODD = ["0 0", "-0.0 -0.0", "nan nan"]  # of functions that keep the sign of zero
EVEN = ["0 1", "-0.0 1", "nan nan"]
LOG = ["0 -inf", "-0.0 -inf", "1 0", "-1 nan", "-inf nan", "inf inf", "nan nan", "-1e-40 nan"]
TRIG = ["inf nan", "-inf nan", "nan nan"]
# argument and value; as text, since 0.0 and -0.0 are one key of a dict and one value to `==`
SPECIAL: dict[str, list[str]] = {
    "exp": [*EVEN, "inf inf", "-inf 0", "1e4 inf", "-1e4 0"],
    "exp2": [*EVEN, "inf inf", "-inf 0", "10 1024", "-1 0.5", "1e4 inf", "-1e4 0"],
    "expm1": [*ODD, "inf inf", "-inf -1", "1e4 inf", "-1e4 -1"],
    "log": LOG, "log2": [*LOG, "8 3", "0.25 -2"], "log10": [*LOG, "1000 3"],
    "log1p": [*ODD, "-1 -inf", "-2 nan", "-inf nan", "inf inf"],
    "sin": [*ODD, *TRIG], "cos": [*EVEN, *TRIG], "tan": [*ODD, *TRIG],
    "asin": [*ODD, *TRIG, "1.5 nan", "-1.5 nan"], "acos": [*TRIG, "1 0", "1.5 nan", "-1.5 nan"],
    "atan": ODD,
    "sinh": [*ODD, "inf inf", "-inf -inf", "1e4 inf", "-1e4 -inf"],
    "cosh": [*EVEN, "inf inf", "-inf inf", "-1e4 inf"],
    "tanh": [*ODD, "inf 1", "-inf -1", "1e4 1", "-1e4 -1"], "asinh": [*ODD, "inf inf", "-inf -inf"],
    "acosh": ["1 0", "0.5 nan", "0 nan", "-3 nan", "-1e30 nan", "inf inf", "-inf nan", "nan nan"],
    "atanh": [*ODD, "1 inf", "-1 -inf", "1.5 nan", "-1e30 nan", "inf nan", "-inf nan"],
    "erf": [*ODD, "inf 1", "-inf -1", "30 1", "-30 -1"],
    "sigmoid": ["0 0.5", "-0.0 0.5", "inf 1", "-inf 0", "nan nan"],
    "sqrt": [*ODD, "-1 nan", "inf inf", "-inf nan"],
    "rsqrt": ["0 inf", "-0.0 -inf", "-1 nan", "inf 0", "nan nan"],
}  # fmt: skip
assert SPECIAL.keys() == REFERENCES.keys()
FLOATS = [np.float32, np.float64]


@pytest.fixture(params=settings.isa_names())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    before = settings.isa()
    settings.set_isa(request.param)
    yield request.param
    settings.set_isa(before)


def assert_identical(actual: np.ndarray, expected: np.ndarray, message: str = "") -> None:
    """Require the same numbers, the signs of zeros included; any NaN equals any NaN."""
    np.testing.assert_array_equal(actual, expected, err_msg=message)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(
        np.signbit(actual)[numbers], np.signbit(expected)[numbers], err_msg=message
    )


@pytest.mark.parametrize("kind", FLOATS, ids=lambda t: t.__name__)
@pytest.mark.parametrize("name", SPECIAL)
def test_special_values_are_exact(name: str, kind: type, isa: str) -> None:
    values, expected = np.array([pair.split() for pair in SPECIAL[name]]).astype(kind).T
    for repeat in (1, 9):  # one by one, and inside of vectors
        actual = getattr(ops, name)(Tensor(np.repeat(values, repeat))).asnumpy()
        assert_identical(actual, np.repeat(expected, repeat), name)


@pytest.mark.parametrize("name", REFERENCES)
def test_float32_is_within_two_ulps(name: str, isa: str) -> None:
    x = np.arange(0, 2**32, 40013, dtype=np.uint64).astype(np.uint32).view(np.float32)
    distance = ulps(getattr(ops, name)(Tensor(x)).asnumpy(), reference(name, x))
    worst = int(np.argmax(distance))
    assert distance[worst] <= 2, f"{name}({x[worst]!r}) is {distance[worst]} ULP off"


@pytest.mark.skipif(not HAS_LONG_DOUBLE, reason="no format with more digits than float64 here")
@pytest.mark.parametrize("name", REFERENCES)
def test_float64_is_within_two_ulps(name: str, isa: str) -> None:
    x = sample64(np.random.default_rng(5), 3000)
    distance = ulps(getattr(ops, name)(Tensor(x)).asnumpy(), reference(name, x))
    worst = int(np.argmax(distance))
    assert distance[worst] <= 2, f"{name}({x[worst]!r}) is {distance[worst]} ULP off"


@pytest.mark.parametrize("kind", FLOATS, ids=lambda t: t.__name__)
@pytest.mark.parametrize("name", ["pow", "atan2", "hypot"])
def test_two_operands_agree_with_numpy_at_special_values(name: str, kind: type, isa: str) -> None:
    values = [
        0.0, -0.0, 1, -1, 2, -2, 3, -3, 0.5, -0.5, 1e-40, -1e-40, 2**24 + 2, -3e38, 3e38, INF, -INF,
        NAN,
    ]  # fmt: skip
    a, b = (np.array(side, kind) for side in zip(*itertools.product(values, values)))
    function = {"pow": np.power, "atan2": np.arctan2, "hypot": np.hypot}[name]
    with np.errstate(all="ignore"):
        expected = function(a.astype(np.float64), b.astype(np.float64)).astype(kind)
    actual = getattr(ops, name)(Tensor(a), Tensor(b)).asnumpy()
    np.testing.assert_allclose(
        actual, expected, rtol=2 * np.finfo(kind).eps, atol=np.finfo(kind).smallest_subnormal
    )
    plain = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(actual)[plain], np.signbit(expected)[plain])


@pytest.mark.parametrize("kind", FLOATS, ids=lambda t: t.__name__)
def test_pow_is_within_two_ulps(kind: type, isa: str) -> None:
    if kind is np.float64 and not HAS_LONG_DOUBLE:
        pytest.skip("long double is double here")
    a, b = powers(np.random.default_rng(3), 20_000, kind)
    distance = ulps(ops.pow(Tensor(a), Tensor(b)).asnumpy(), power(a, b))
    worst = int(np.argmax(distance))
    assert distance[worst] <= 2, f"{a[worst]!r} ** {b[worst]!r} is {distance[worst]} ULP off"


SIMPLE = [0, 1, 2, 3, -1, 0.5, -0.5]


@pytest.mark.parametrize("kind", FLOATS, ids=lambda t: t.__name__)
def test_a_power_depends_on_its_element_only(kind: type, isa: str) -> None:
    """A simple exponent gives the same bits as a number, a tensor, among others, and in place."""
    a = np.array(
        [
            0.0,
            -0.0,
            1,
            -1,
            2,
            -3,
            1e-40,
            -1e-40,
            3e38,
            -3e38,
            1e-30,
            0.7,
            INF,
            -INF,
            NAN,
            *np.linspace(0.1, 9, 700),
        ],
        kind,
    )
    others = np.random.default_rng(4).choice(np.array([*SIMPLE, 1.7, -2.2, 4, 7], kind), len(a))
    for exponent in SIMPLE:
        number = (Tensor(a) ** exponent).asnumpy()
        single = np.concatenate(
            [
                ops.pow(Tensor(a[i : i + 1]), Tensor(np.array([exponent], kind))).asnumpy()
                for i in range(len(a))
            ]
        )
        assert_identical(number, single, str(exponent))
        t = Tensor(a)
        t **= exponent
        assert_identical(t.asnumpy(), single, f"in place, {exponent}")
        mixed = np.where(np.arange(len(a)) % 3 == 0, kind(exponent), others)
        assert_identical(
            ops.pow(Tensor(a), Tensor(mixed)).asnumpy()[::3], single[::3], f"mixed, {exponent}"
        )
        with np.errstate(all="ignore"):
            expected = {2: a * a, 1: a, 0: np.ones_like(a), -1: 1 / a}.get(exponent)
        if expected is not None:
            assert_identical(number, expected, str(exponent))
    t = Tensor(others)
    t **= t
    assert_identical(t.asnumpy(), ops.pow(Tensor(others), Tensor(others)).asnumpy())
    root, inverse = (Tensor(np.array([-INF, -0.0, -4.0], kind)) ** e for e in (0.5, -0.5))
    assert_identical(root.asnumpy(), np.array([INF, 0.0, NAN], kind))
    assert_identical(inverse.asnumpy(), np.array([0.0, INF, NAN], kind))


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.int64, np.uint64])
def test_powers_of_integers_wrap(kind: type, isa: str) -> None:
    a = np.arange(-100 if np.issubdtype(kind, np.signedinteger) else 0, 100).astype(kind)
    for exponent in (0, 1, 2, 3, 7):
        same = (Tensor(a) ** exponent).asnumpy()
        np.testing.assert_array_equal(same, a ** kind(exponent))


DIVISIONS = ["floor_divide", "remainder", "fmod"]


def near_multiples(kind: type, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Dividends beside whole multiples of the divisors, from the least quotients to the largest."""
    info = np.finfo(kind)
    b = rng.uniform(0.1, 10, 3000).astype(kind) * kind(2) ** rng.integers(-20, 20, 3000)
    whole = np.floor(2 ** rng.uniform(0, info.nmant + 4, 3000)) - rng.integers(0, 2, 3000) / 2
    a = (b * whole).astype(kind)
    a = np.nextafter(a, rng.choice([kind(-INF), kind(INF), kind(0)], 3000))
    return a * rng.choice([kind(-1), kind(1)], 3000), b * rng.choice([kind(-1), kind(1)], 3000)


@pytest.mark.parametrize("kind", FLOATS, ids=lambda t: t.__name__)
@pytest.mark.parametrize("name", DIVISIONS)
def test_divisions_of_floats_are_exact(name: str, kind: type, isa: str) -> None:
    info, rng = np.finfo(kind), np.random.default_rng(31)
    ends = [0, 1, 3, 1e30, 0.7, info.tiny, info.smallest_subnormal, info.max, INF, NAN]
    ends = np.array([*ends, *(-x for x in ends)], kind)
    a, b = near_multiples(kind, rng)
    tiny = kind(info.smallest_subnormal)
    pairs = [
        np.meshgrid(ends, ends), (a, b), (a[:3], b[:3]), (b, a),
        tuple(rng.integers(*ends, 999).astype(kind) * tiny for ends in ((-99, 99), (1, 9))),
    ]  # fmt: skip
    for x, y in pairs:
        x, y = np.ascontiguousarray(x).reshape(-1), np.ascontiguousarray(y).reshape(-1)
        with np.errstate(all="ignore"):
            # NumPy's quotient of an infinity is NaN.
            wanted = np.where(np.isinf(x) | (y == 0), x / y, np.floor_divide(x, y))
            if name != "floor_divide":
                wanted = getattr(np, name)(x, y)
        assert_identical(getattr(ops, name)(Tensor(x), Tensor(y)).asnumpy(), wanted)


@pytest.mark.parametrize("kind", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"])
@pytest.mark.parametrize("name", DIVISIONS)
def test_divisions_of_integers_are_exact(name: str, kind: str, isa: str) -> None:
    info, rng = np.iinfo(kind), np.random.default_rng(32)
    size = 8 * info.dtype.itemsize
    edges = [2**k + d for k in (7, 8, 15, 23, 31, 32, 50, 51, 53, 62, 63, 64) for d in (-1, 0, 1)]
    edges = [x for e in (0, 1, 2, 3, 7, *edges) for x in (e, -e) if info.min <= x <= info.max]
    x, y = (grid.reshape(-1) for grid in np.meshgrid(np.array(edges, kind), np.array(edges, kind)))
    wide = [np.array([int(v) >> int(rng.integers(0, size)) for v in
                      rng.integers(info.min, info.max, 2000, kind, endpoint=True)], kind)
            for _ in "ab"]  # fmt: skip
    common = [(wide[0] % 100).astype(kind), (wide[1] % 100).astype(kind)]
    for a, b in [(x, y), wide, common, (common[0], np.full(2000, 7, kind))]:
        a, b = a[b != 0], b[b != 0]
        with np.errstate(all="ignore"):  # the least integer by -1
            wanted = getattr(np, name)(a, b)
        assert_identical(getattr(ops, name)(Tensor(a), Tensor(b)).asnumpy(), wanted)
    zero = np.where(np.arange(2000) == 1777, 0, 5).astype(kind)
    with pytest.raises(ZeroDivisionError, match=name):
        getattr(ops, name)(Tensor(wide[0]), Tensor(zero)).asnumpy()
    with pytest.raises(ZeroDivisionError, match=name):  # one element among ordinary ones
        getattr(ops, name)(Tensor(common[0]), Tensor(zero)).asnumpy()


@pytest.mark.parametrize("kind", FLOATS, ids=lambda t: t.__name__)
@pytest.mark.parametrize("name", ["exp", "log", "sin", "tanh", "erf", "square"])
def test_a_result_depends_on_its_element_only(name: str, kind: type, isa: str) -> None:
    """Any length, offset, stride, address and neighbours give the same bits."""
    x = np.random.default_rng(7).normal(size=600).astype(kind) * 5
    x[100::97] = 1e9  # one that sin leaves to libm, among others that it doesn't
    function = getattr(ops, name)
    expected = np.concatenate([function(Tensor(x[i : i + 1])).asnumpy() for i in range(len(x))])
    for n in [*range(0, 40), 63, 64, 65, 255, 256, 257, 511, 513, 600]:
        assert_identical(function(Tensor(x[:n])).asnumpy(), expected[:n], f"length {n}")
    memory = np.zeros(x.nbytes + 16, np.uint8)
    for shift in range(9):
        memory[shift : shift + x.nbytes] = x.view(np.uint8)
        odd = np.frombuffer(memory.data, kind, len(x), shift)
        assert_identical(function(Tensor(odd)).asnumpy(), expected, f"{shift} bytes on")
    tensor = Tensor(x)
    for step in (2, 3, 7):
        assert_identical(function(tensor[::step]).asnumpy(), expected[::step], f"every {step}")
    assert_identical(function(Tensor(x[::-1])).asnumpy(), expected[::-1], "backwards")


RARE = ["exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sigmoid", "sin", "cos", "tan"]


@pytest.mark.parametrize("kind", FLOATS, ids=lambda t: t.__name__)
@pytest.mark.parametrize("name", RARE)
def test_an_ordinary_element_does_not_see_rare_ones(name: str, kind: type, isa: str) -> None:
    x = np.random.default_rng(3).uniform(0.01, 60, 2000).astype(kind)
    function = getattr(ops, name)
    among_its_like = function(Tensor(x)).asnumpy()
    rare = np.array(
        [0, -0.0, 1e-310, 1e-40, -1, -5, 104, -104, 1e30, -1e30, INF, -INF, NAN]
    ).astype(kind)
    mixed = x.copy()
    mixed[3::7] = np.resize(rare, len(mixed[3::7]))
    ordinary = mixed == x
    assert_identical(function(Tensor(mixed)).asnumpy()[ordinary], among_its_like[ordinary])
    in_place = function(Tensor(mixed) + 0)  # the sum's memory may become the result's
    assert_identical(in_place.asnumpy()[ordinary], among_its_like[ordinary], "in place")
    alone = np.array([function(Tensor(mixed[i : i + 1])).item() for i in range(0, 200)], kind)
    assert_identical(function(Tensor(mixed)).asnumpy()[:200], alone, "alone")


@pytest.mark.parametrize("kind", ["f4", "f8", "i4", "u1"])
def test_clamp_is_maximum_and_minimum(kind: str, isa: str) -> None:
    values = [0, 1, 5, 7, 100] if kind[0] in "iu" else [0.0, -0.0, 1, -1.5, INF, -INF, NAN, 3]
    a, low, high = (
        np.array(side).astype(kind) for side in zip(*itertools.product(values, repeat=3))
    )
    actual = ops.clamp(Tensor(a), Tensor(low), Tensor(high)).asnumpy()
    np.testing.assert_array_equal(actual, np.minimum(np.maximum(a, low), high))
    np.testing.assert_array_equal(
        actual, ops.minimum(ops.maximum(Tensor(a), Tensor(low)), Tensor(high)).asnumpy()
    )


@pytest.mark.parametrize("kind", ["f4", "f8", "i4", "u8"])
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (9, 300), (1030, 3), (7, 2100), (67, 70)])
def test_reductions_across_rows(shape: tuple[int, int], kind: str, isa: str) -> None:
    x = np.random.default_rng(3).integers(-5, 100, shape).astype(kind)
    for array in (
        x, x[::-1], np.ascontiguousarray(x.T).T, np.repeat(x, 2, 0)[::2],
        np.repeat(x, 2, 1)[:, ::2],
    ):  # fmt: skip
        for axis in (0, 1, None):
            for name, function in (
                ("sum", np.sum), ("amax", np.max), ("amin", np.min), ("argmax", np.argmax),
                ("argmin", np.argmin),
            ):  # fmt: skip
                actual = getattr(ops, name)(Tensor(array), axis=axis).asnumpy()
                np.testing.assert_array_equal(
                    actual, function(array, axis=axis), err_msg=f"{name} {axis}"
                )


LENGTHS = [*range(1, 35), 63, 64, 65, 96, 127, 128, 129, 160, 255, 256, 257, 300, 4095, 4096, 4097]


@pytest.mark.parametrize("kind", ["f4", "f8", "i1", "u2", "i4", "u8", "?"])
def test_reductions_of_runs_of_every_length(kind: str, isa: str) -> None:
    rng = np.random.default_rng(33)
    for n in LENGTHS:
        a = (rng.integers(-60, 60, (3, n)) * rng.integers(0, 2, (3, n))).astype(kind)
        if kind[0] == "f":
            a[1] = a[1] / 7
            a[2, rng.integers(0, n)] = INF
        t = Tensor(a)
        names = ["sum", "amax", "amin", "argmax", "argmin", "count_nonzero"]
        with np.errstate(all="ignore"):
            for name in [*names, *(["var", "std"] if kind[0] == "f" else [])]:
                wanted = getattr(np, name)(a, axis=1)
                actual = getattr(ops, name)(t, axis=1).asnumpy()
                if kind[0] == "f" and name in ("sum", "var", "std"):
                    room = 1e-5 if kind == "f4" else 1e-13
                    np.testing.assert_allclose(actual, wanted, rtol=room, atol=room, err_msg=name)
                else:
                    assert_identical(actual, wanted, f"{name} of {n}")


@pytest.mark.parametrize("kind", FLOATS, ids=lambda t: t.__name__)
@pytest.mark.parametrize("length", [1, 15, 16, 17, 63, 64, 65, 100, 316])
def test_dot_products_of_every_length(length: int, kind: type, isa: str) -> None:
    """What lies before a vector must not count, not even as 0 times an infinity."""
    rng = np.random.default_rng(34)
    a, v = rng.integers(-9, 9, (6, length)).astype(kind), rng.integers(-9, 9, length).astype(kind)
    assert_identical((Tensor(a) @ Tensor(v)).asnumpy(), a @ v)
    a[::2, -1], a[1, 0] = NAN, INF
    v[0] = 1
    assert_identical((Tensor(a) @ Tensor(v)).asnumpy(), np.array([sum(r * v) for r in a]))


@pytest.mark.parametrize("kind", FLOATS, ids=lambda t: t.__name__)
@pytest.mark.parametrize("axis", [0, 1])
def test_one_nan_is_the_extreme_wherever_it_stands(kind: type, axis: int, isa: str) -> None:
    for place in (0, 1, 4, 31, 32, 33, 69):
        x = np.random.default_rng(1).normal(size=(70, 70)).astype(kind)
        x[place, place] = NAN
        for name, function in (
            ("amax", np.max), ("amin", np.min), ("argmax", np.argmax), ("argmin", np.argmin),
        ):  # fmt: skip
            np.testing.assert_array_equal(
                getattr(ops, name)(Tensor(x), axis=axis).asnumpy(), function(x, axis=axis)
            )


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (17, 15), (33, 130), (130, 33), (3, 40, 50)])
@pytest.mark.parametrize("kind", ["i1", "i2", "f4", "f8", "c16"])
def test_transposed_copies(shape: tuple[int, ...], kind: str, isa: str) -> None:
    x = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    np.testing.assert_array_equal(
        Tensor(x).swapaxes(-1, -2).contiguous().asnumpy(), x.swapaxes(-1, -2)
    )


@pytest.mark.parametrize(
    "shape, axis",
    [((300_001,), None), ((3, 200_000), 1), ((9000, 130), 0), ((40_000, 20), 0), ((70, 9000), 0)],
)
@pytest.mark.parametrize("kind", ["float32", "float64", "int16"])
def test_long_reductions_whatever_the_number_of_threads(
    shape: tuple[int, ...], axis: int | None, kind: str, isa: str
) -> None:
    """Reduce several blocks: threads fold them, and the results are merged in order."""
    a = (np.random.default_rng(5).standard_normal(shape) * 50).astype(kind)
    edge = a.copy()
    edge[np.unravel_index(a.size - 3, shape)] = 30_000
    edge[np.unravel_index(a.size - 2, shape)] = 30_000
    many = runtime.get_num_threads()
    found = []
    for threads in (1, 3):
        runtime.set_num_threads(threads)
        t, u = Tensor(a), Tensor(edge)
        results = [
            ops.sum(t, axis), ops.mean(t, axis), ops.amin(t, axis), ops.argmax(u, axis),
            ops.argmin(u, axis), ops.any(t > 1000, axis),
        ]  # fmt: skip
        found.append([r.asnumpy() for r in results])
    runtime.set_num_threads(many)
    assert all(one.tobytes() == other.tobytes() for one, other in zip(*found))
    total, mean, least, highest, lowest, some = found[0]
    exact = a.astype(np.float64)
    np.testing.assert_allclose(total, exact.sum(axis), rtol=1e-6, atol=1e-2)
    np.testing.assert_allclose(mean, exact.mean(axis), rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(least, a.min(axis))
    np.testing.assert_array_equal(highest, edge.argmax(axis))
    np.testing.assert_array_equal(lowest, edge.argmin(axis))
    np.testing.assert_array_equal(some, (a > 1000).any(axis))


# with rows that begin at lines of the cache, and inside of them
@pytest.mark.parametrize("width", [1024, 1030])
@pytest.mark.parametrize(
    ("kind", "rows"), [("i1", 4200), ("i2", 2100), ("f4", 1100), ("f8", 600), ("c16", 300)]
)
def test_transposed_copies_past_the_cache(kind: str, rows: int, width: int, isa: str) -> None:
    x = np.arange(rows * width).reshape(width, rows).astype(kind)
    assert np.array_equal(Tensor(x).T.contiguous().asnumpy(), x.T)
    if kind == "i1":
        assert np.array_equal(Tensor(x).T.astype("float64").asnumpy(), x.T.astype("f8"))
    if kind == "f8":
        assert np.array_equal(Tensor(x).T.astype("float32").asnumpy(), x.T.astype("f4"))


@pytest.mark.parametrize(
    "dtypes", ["f4 f8", "f8 f4", "f4 i4", "i8 f4", "u1 f4", "f4 u1", "f4 ?", "i4 i8"]
)
def test_casts_past_the_cache(dtypes: str, isa: str) -> None:
    source, target = dtypes.split()
    some = (np.random.default_rng(2).normal(size=99_991) * 100).astype(source)
    if source[0] == "f" and target[0] == "u":
        some = np.abs(some) % 200
    t, expected = Tensor(np.resize(some, 4_300_001)), np.resize(some.astype(target), 4_300_001)
    for part in (slice(None), slice(1, None), slice(None, None, -1)):
        actual = t[part].astype(str(np.dtype(target))).asnumpy()
        assert np.array_equal(actual, expected[part]), part


def test_the_best_instruction_set_is_chosen_unless_the_environment_names_one() -> None:
    program = "from minitensor.backend import settings; print(settings.isa())"
    environment = {name: value for name, value in os.environ.items() if name != "MINITENSOR_ISA"}

    def run(**more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program], env={**environment, **more}, capture_output=True,
            text=True, timeout=60,
        )  # fmt: skip

    names = settings.isa_names()
    assert names[0] == "baseline"
    assert run().stdout.strip() == names[-1]
    assert run(MINITENSOR_ISA="baseline").stdout.strip() == "baseline"
    failed = run(MINITENSOR_ISA="mmx")
    assert failed.returncode == 1
    assert (
        f"[config] MINITENSOR_ISA can't be 'mmx'; this processor has {', '.join(names)}"
        in failed.stderr
    )


def test_an_instruction_set_that_is_none_changes_nothing() -> None:
    before = settings.isa()
    with pytest.raises(ValueError, match="'AVX2'"):
        settings.set_isa("AVX2")
    assert settings.isa() == before
