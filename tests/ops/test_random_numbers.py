"""The numbers themselves: their definition (core/kernels/arrays/random.h), and their statistics."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minitensor as mt
from minitensor import Tensor, ops
from minitensor.backend import settings
from minitensor.ops import random

WORD = (1 << 32) - 1


def philox(counter: list[np.ndarray], key: list[int]) -> list[np.ndarray]:
    """Compute Philox 4x32-10 as its paper defines it, on arrays of counters."""
    a, b, c, d = (np.asarray(word, np.uint64) for word in counter)
    k0, k1 = key
    for _ in range(10):
        p, q = a * np.uint64(0xD2511F53), c * np.uint64(0xCD9E8D57)
        a, b, c, d = (
            (q >> np.uint64(32)) ^ b ^ np.uint64(k0),
            q & np.uint64(WORD),
            (p >> np.uint64(32)) ^ d ^ np.uint64(k1),
            p & np.uint64(WORD),
        )
        k0, k1 = (k0 + 0x9E3779B9) & WORD, (k1 + 0xBB67AE85) & WORD
    return [a, b, c, d]


def test_the_reference_gives_the_published_answers() -> None:
    zero, ones = [0] * 4, [WORD] * 4
    assert [int(w) for w in philox(zero, [0, 0])] == [
        0x6627E8D5,
        0xE169C58D,
        0xBC57AC4C,
        0x9B00DBD8,
    ]
    assert [int(w) for w in philox(ones, [WORD, WORD])] == [
        0x408F276D,
        0x41C83B0E,
        0xA20BC7C6,
        0x6D5451FD,
    ]
    pi = philox([0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344], [0xA4093822, 0x299F31D0])  # type: ignore[list-item]
    assert [int(w) for w in pi] == [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]


def words(n: int, per_block: int) -> list[np.ndarray]:
    """Return the words of the blocks that a draw of n elements needs, in the present state."""
    key, number, _ = ops.get_rng_state()
    groups = -(-n // (128 * per_block))
    blocks = np.arange(128 * groups, dtype=np.uint64)
    number = (number + (key >> 64)) & ((1 << 64) - 1)
    counter = [
        blocks & np.uint64(WORD),
        blocks >> np.uint64(32),
        np.uint64(number & WORD),
        np.uint64(number >> 32),
    ]
    return [w.reshape(groups, 128) for w in philox(counter, [key & WORD, key >> 32 & WORD])]


def in_order(*elements: np.ndarray) -> np.ndarray:
    return np.concatenate(elements, 1).reshape(-1)


def unit(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return (high >> np.uint64(5)) * 2.0**-27 + (low >> np.uint64(6)) * 2.0**-53


def angle(turn: np.ndarray, low: np.ndarray | None = None) -> np.ndarray:
    inside = (turn << np.uint64(2)).astype(np.uint32).astype(np.int32) * 1.0
    if low is not None:
        inside = inside + (low >> np.uint64(1)) * 2.0**-31
    return (turn >> np.uint64(30)) * (math.pi / 2) + inside * (math.pi / 4 * 2.0**-31)


@pytest.fixture(params=settings.isa_names())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    before = settings.isa()
    settings.set_isa(request.param)
    yield request.param
    settings.set_isa(before)


# Around a vector, a group of each kind, a piece of a thread and an output past the caches.
SIZES = [0, 1, 15, 17, 127, 128, 129, 255, 256, 257, 511, 513, 16383, 16385, 40_000, 1_048_577]
STATES = [
    (0, 0, 0),
    (5 << 64 | 7, 3, 0),
    ((1 << 128) - 1, (1 << 64) - 1, 0),
    (1 << 127 | 1 << 63, 1 << 70 | 9, 0),
]


@pytest.mark.parametrize("n", SIZES)
def test_uniform_numbers_are_as_defined(isa: str, n: int) -> None:
    for state in STATES:
        ops.set_rng_state(state)
        w = words(n, 4)
        expected = in_order(*w)[:n] >> np.uint64(8)
        np.testing.assert_array_equal(
            ops.rand(n).asnumpy(), expected.astype(np.float32) * np.float32(2.0**-24)
        )
        assert ops.get_rng_state()[1] == state[1] + 1
        a, b, c, d = words(n, 2)
        np.testing.assert_array_equal(
            ops.rand(n, dtype=mt.float64).asnumpy(), in_order(unit(a, b), unit(c, d))[:n]
        )
    for dtype, bits in ((mt.float16, 11), (mt.bfloat16, 8)):
        expected = in_order(*words(n, 4))[:n] >> np.uint64(32 - bits)
        np.testing.assert_array_equal(
            ops.rand(n, dtype=dtype).asnumpy().astype(np.float64), expected * 2.0**-bits
        )


@pytest.mark.parametrize("n", SIZES)
def test_normal_numbers_are_as_defined(isa: str, n: int) -> None:
    for state in STATES:
        ops.set_rng_state(state)
        a, b, c, d = words(n, 4)
        pairs = []
        for radius, turn in ((a, b), (c, d)):
            r = np.sqrt(
                -2
                * np.log(((radius >> np.uint64(1)).astype(np.float32) + np.float32(0.5)) * 2.0**-31)
            )
            pairs += [r * np.cos(angle(turn)), r * np.sin(angle(turn))]
        np.testing.assert_allclose(ops.randn(n).asnumpy(), in_order(*pairs)[:n], 3e-6, 3e-6)
        a, b, c, d = words(n, 2)
        r, at = np.sqrt(-2 * np.log1p(-unit(a, b))), angle(d, c)
        np.testing.assert_allclose(
            ops.randn(n, dtype=mt.float64).asnumpy(),
            in_order(r * np.cos(at), r * np.sin(at))[:n],
            1e-13,
            1e-13,
        )


@pytest.mark.parametrize("n", [1, 129, 257, 16385, 600_001])
@pytest.mark.parametrize(
    ("low", "high", "dtype"),
    [
        (0, 1, mt.int64),
        (-5, 95, mt.int64),
        (-100, 28, mt.int8),
        (0, 2**32, mt.int64),
        (0, 2**32 + 1, mt.int64),
        (0, 2**32 - 1, mt.uint32),
        (-(2**63), 2**63, mt.int64),
        (0, 2**64, mt.uint64),
        (2**63, 2**64, mt.uint64),
        (-7, 2**62, mt.int64),
        (0, 1000, mt.float32),
    ],
)
def test_integers_are_as_defined(isa: str, n: int, low: int, high: int, dtype: mt.DType) -> None:
    ops.set_rng_state(STATES[1])
    span, count = high - low, min(n, 3000)
    if span <= 2**32:
        a, b, c, d = words(n, 2)
        drawn = in_order(a | b << np.uint64(32), c | d << np.uint64(32))[:n]
        expected = [low + (int(x) * span >> 64) for x in drawn[-count:]]
    else:
        a, b, c, d = words(n, 1)
        x, y = in_order(a | b << np.uint64(32))[:n], in_order(c | d << np.uint64(32))[:n]
        expected = [
            low + ((int(p) | int(q) << 64) * span >> 128) for p, q in zip(x[-count:], y[-count:])
        ]
    assert ops.randint(low, high, n, dtype=dtype).asnumpy()[-count:].tolist() == expected


def test_the_other_draws_are_as_defined(isa: str) -> None:
    n = 1000
    ops.set_rng_state(STATES[1])
    a, b, c, d = words(n, 2)
    u, x = (
        in_order(unit(a, b), unit(c, d))[:n],
        in_order(a | b << np.uint64(32), c | d << np.uint64(32))[:n],
    )
    order = list(range(n))
    for i in range(n):
        j = i + (int(x[i]) * (n - i) >> 64)
        order[i], order[j] = order[j], order[i]
    assert ops.randperm(n).tolist() == order
    for dtype in (mt.bool_, mt.int8, mt.float16, mt.float32, mt.complex64):
        ops.set_rng_state(STATES[1])
        drawn = ops.bernoulli(ops.zeros(n, dtype), 0.3)
        assert drawn.dtype is dtype
        np.testing.assert_array_equal(drawn.asnumpy(), (u < 0.3).astype(dtype.numpy))
    ops.set_rng_state(STATES[1])
    f = in_order(*words(n, 4))[:n] >> np.uint64(8)
    expected = f.astype(np.float32) * np.float32(2.0**-24) * np.float32(5) + np.float32(-2)
    np.testing.assert_array_equal(ops.uniform((n,), -2.0, 3.0).asnumpy(), expected)


# These stay the same in all later versions: a change of one changes the numbers of programs.
KNOWN = {
    "rand": (lambda: ops.rand(3), [0.02643197774887085, 0.8009558916091919, 0.09536904096603394]),
    "rand64": (
        lambda: ops.rand(3, dtype=mt.float64),
        [0.8359478416028022, 0.7370857954096488, 0.16935274075991724],
    ),
    "randn": (lambda: ops.randn(3), [1.3859752416610718, -0.6640651822090149, 1.8955247402191162]),
    "randn64": (
        lambda: ops.randn(3, dtype=mt.float64),
        [0.9630348490916543, -1.5886436289562882, 0.3037180266616379],
    ),
    "randint": (lambda: ops.randint(0, 1000, 4), [835, 737, 169, 640]),
    "randperm": (lambda: ops.randperm(6), [5, 4, 2, 1, 0, 3]),
    "bernoulli": (
        lambda: ops.bernoulli(ops.zeros(8), 0.5),
        [0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    ),
    "multinomial": (lambda: ops.multinomial(Tensor([1.0, 2.0, 3.0]), 6), [2, 2, 1, 2, 2, 2]),
    "without": (lambda: ops.multinomial(Tensor([1.0, 2.0, 3.0]), 3, replacement=False), [2, 1, 0]),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_seed_gives_the_numbers_that_it_always_gave(isa: str, name: str) -> None:
    draw, expected = KNOWN[name]
    ops.set_seed(7)
    assert draw().tolist() == expected


THREADS = """
from minitensor import ops
import hashlib
ops.set_seed(5)
draws = (ops.rand(300_001), ops.randn(300_001), ops.randint(0, 9, 300_001), ops.randn(1_100_000))
print([hashlib.sha256(t.asnumpy().tobytes()).hexdigest() for t in draws])
"""


def test_the_numbers_of_any_threads_and_instruction_set_are_the_same() -> None:
    runs = {
        subprocess.run(
            [sys.executable, "-c", THREADS],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env={**os.environ, "MINITENSOR_NUM_THREADS": threads, "MINITENSOR_ISA": isa},
        ).stdout
        for threads in ("1", "3")
        for isa in settings.isa_names()
    }
    assert len(runs) == 1


def test_a_device_without_c_kernels_draws_the_same() -> None:
    for dtype in (mt.float32, mt.float64, mt.float16):
        on_host, there = Tensor(np.zeros(300), dtype), Tensor(np.zeros(300), dtype, device="Ascend")
        for draw in (ops.rand_like, ops.randn_like):
            assert draw(there, seed=3).device == "Ascend:0"
            np.testing.assert_array_equal(
                draw(there, seed=3).asnumpy(), draw(on_host, seed=3).asnumpy()
            )


def test_a_call_that_fails_draws_nothing() -> None:
    ops.set_seed(3)
    for wrong in (
        lambda: ops.rand(-1),
        lambda: ops.rand(2, dtype="int8"),
        lambda: ops.randint(0, 0, 3),
        lambda: ops.randperm(-1),
    ):
        with pytest.raises((TypeError, ValueError)):
            wrong()  # type: ignore[no-untyped-call]
    assert ops.get_rng_state()[1] == 0


# --- statistics, with fixed seeds -----------------------------------------------------------------
def normal_cdf(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def chi_squared(counts: np.ndarray, expected: Any) -> float:
    """Return how far chi-squared is from its mean, in standard deviations."""
    value = ((counts - expected) ** 2 / expected).sum()
    return float((value - (counts.size - 1)) / math.sqrt(2 * (counts.size - 1)))


def kolmogorov_smirnov(sample: np.ndarray, cdf: Any) -> float:
    """Return the largest distance from a distribution, times the root of the size.

    It is above 1.95 in 0.1 % of all samples.
    """
    x = np.sort(sample.astype(np.float64))
    expected, steps = cdf(x), np.arange(x.size + 1) / x.size
    return float(
        max((steps[1:] - expected).max(), (expected - steps[:-1]).max()) * math.sqrt(x.size)
    )


@pytest.mark.parametrize("dtype", [mt.float32, mt.float64])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_distributions(dtype: mt.DType, seed: int) -> None:
    ops.set_seed(seed)
    n = 1 << 18
    u, z = (draw(n, dtype=dtype).asnumpy().astype(np.float64) for draw in (ops.rand, ops.randn))
    for k in range(1, 5):  # moments of u: 1 / (k + 1)
        assert abs((u**k).mean() - 1 / (k + 1)) < 5 * math.sqrt(
            1 / (2 * k + 1) - 1 / (k + 1) ** 2
        ) / math.sqrt(n)
    for k, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10170)):
        assert abs((z**k).mean() - moment) < 5 * math.sqrt(variance / n)
    assert abs(chi_squared(np.bincount((u * 4096).astype(int), minlength=4096), n / 4096)) < 5
    assert kolmogorov_smirnov(u, lambda x: x) < 1.95
    assert kolmogorov_smirnov(z[: 1 << 16], normal_cdf) < 1.95
    assert (
        abs(chi_squared(np.bincount((normal_cdf(z) * 1024).astype(int), minlength=1024), n / 1024))
        < 5
    )
    tails = np.array([(np.abs(z) > edge).sum() for edge in (2, 3, 4)])
    share = np.array([0.0455002639, 0.0026997961, 0.0000633425])
    assert (np.abs(tails - n * share) < 5 * np.sqrt(n * share)).all()


@pytest.mark.parametrize(
    ("low", "high"), [(0, 2), (0, 10), (-50, 77), (0, 1000), (-(2**40), 2**40)]
)
def test_integers_are_even(low: int, high: int) -> None:
    ops.set_seed(4)
    n = 1 << 18
    drawn = ops.randint(low, high, n).asnumpy()
    assert drawn.min() >= low and drawn.max() < high
    bins = min(high - low, 1000)
    counts = np.bincount(
        ((drawn - low) * bins) // (high - low) if high - low > bins else drawn - low, minlength=bins
    )
    assert abs(chi_squared(counts, n / bins)) < 5


def test_bits_pairs_and_runs() -> None:
    ops.set_seed(5)
    n = 1 << 18
    u = ops.rand(n).asnumpy().astype(np.float64)
    whole = (u * 2**24).astype(np.int64)
    ones = np.array([(whole >> bit & 1).sum() for bit in range(24)])
    assert (np.abs(ones - n / 2) < 5 * math.sqrt(n) / 2).all()
    for lag in (1, 2, 16, 127, 128, 129, 512, 16384):  # neighbours, lanes, groups, pieces
        assert abs(np.corrcoef(u[:-lag], u[lag:])[0, 1]) < 5 / math.sqrt(n)
        pairs = (u[:-lag] * 32).astype(int) * 32 + (u[lag:] * 32).astype(int)
        assert abs(chi_squared(np.bincount(pairs, minlength=1024), (n - lag) / 1024)) < 5
    z = ops.randn(n).asnumpy().astype(np.float64)
    for lag in (1, 128, 256):  # 128: cosine and sine of one pair
        for power in (1, 2):
            assert abs(np.corrcoef(z[:-lag] ** power, z[lag:] ** power)[0, 1]) < 5 / math.sqrt(n)


def test_permutations_are_even() -> None:
    ops.set_seed(6)
    drawn = np.array([ops.randperm(4).tolist() for _ in range(12_000)])
    counts = np.unique(drawn @ [64, 16, 4, 1], return_counts=True)[1]
    assert counts.size == 24 and abs(chi_squared(counts, 500)) < 5


def independent(streams: list[np.ndarray]) -> None:
    n = streams[0].size
    values = np.array(streams, np.float64)
    assert (np.abs(np.corrcoef(values) - np.eye(len(streams))) < 6 / math.sqrt(n)).all()
    for one, other in zip(values, values[1:]):
        pairs = (one * 16).astype(int) * 16 + (other * 16).astype(int)
        assert abs(chi_squared(np.bincount(pairs, minlength=256), n / 256)) < 5
    assert len(np.unique(values)) > 0.98 * values.size  # float32 has equal ones by chance


def test_draws_seeds_and_children_are_independent() -> None:
    n = 1 << 13
    ops.set_seed(7)
    independent([ops.rand(n).asnumpy() for _ in range(24)])
    independent([ops.rand(n, seed=seed).asnumpy() for seed in range(24)])
    family = []
    for child in range(24):  # keys as forks make them, of one parent and down the generations
        ops.set_rng_state((random._key(random._key(7), child), 0, 0))
        family.append(ops.rand(n).asnumpy())
    key = random._key(8)
    for _ in range(24):
        key = random._key(key, 0)
        ops.set_rng_state((key, 0, 0))
        family.append(ops.rand(n).asnumpy())
    independent(family)


def test_multinomial_follows_its_weights() -> None:
    ops.set_seed(8)
    weights = np.array([0.0, 1.0, 2.0, 0.0, 5.0, 0.0])
    drawn = ops.multinomial(Tensor(weights), 40_000).asnumpy()
    counts = np.bincount(drawn, minlength=6)
    assert (
        counts[[0, 3, 5]].sum() == 0
        and abs(chi_squared(counts[[1, 2, 4]], 5000 * weights[[1, 2, 4]])) < 5
    )
    firsts = ops.multinomial(Tensor([[1.0, 3.0]] * 20_000), 1, replacement=False).asnumpy()
    assert abs(firsts.mean() - 0.75) < 5 * math.sqrt(0.1875 / 20_000)
    with pytest.raises(
        ValueError, match=r"^\[multinomial\] num_samples must be at most the number"
    ):
        ops.multinomial(Tensor([1.0, 0.0]), 2, replacement=False).asnumpy()
