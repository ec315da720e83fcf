"""The errors of elementary functions: references with more digits, and the distance in ULPs.

Half types and float32 are measured against double, float64 against long double where that has more
digits (x86: 64 of them).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import ml_dtypes
import numpy as np

WIDER = {
    np.float16: np.float64,
    ml_dtypes.bfloat16: np.float64,
    np.float32: np.float64,
    np.float64: np.longdouble,
}
HALVES = (np.float16, ml_dtypes.bfloat16)
HAS_LONG_DOUBLE = np.finfo(np.longdouble).nmant >= 63


def erf(x: np.ndarray) -> np.ndarray:
    """Return erf: for long double by its series of positive terms, else the C library's.

    The series loses no digits; beyond 7 the value is 1 in each format here.
    """
    if x.dtype == np.float64:
        # the series' first term
        size, result = np.abs(x), np.where(np.abs(x) > 7, np.sign(x), x * 2 / math.sqrt(math.pi))
        between = (size > 1e-6) & (size <= 7)
        result[between] = list(map(math.erf, x[between].tolist()))
        return result
    wide = np.clip(x.astype(np.longdouble), -7, 7)
    term = total = wide
    for n in range(1, 220):
        term = term * 2 * wide * wide / (2 * n + 1)
        total = total + term
    root = np.sqrt(np.arctan(np.longdouble(1)) * 4)
    return total * np.exp(-wide * wide) * 2 / root


REFERENCES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log2": np.log2,
    "log10": np.log10, "log1p": np.log1p,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh,
    "atanh": np.arctanh,
    "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x), "erf": erf,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}  # fmt: skip


def reference(name: str, x: np.ndarray) -> np.ndarray:
    """Return the function's values in the next wider format."""
    with np.errstate(all="ignore"):
        return REFERENCES[name](x.astype(WIDER[x.dtype.type]))


def ulps(actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return the distance of each element in units of the last place of what is expected.

    It is infinite where exactly one of the two is NaN, not finite, or a zero of the other sign.
    """
    kind = actual.dtype.type
    info = ml_dtypes.finfo(kind) if kind is ml_dtypes.bfloat16 else np.finfo(kind)
    with np.errstate(all="ignore"):
        nearest = expected.astype(kind)
        tiny = float(info.tiny) if kind in HALVES else info.tiny
        exponent = np.frexp(np.maximum(np.abs(expected), tiny))[1]
        unit = np.ldexp(expected.dtype.type(1), exponent - 1 - info.nmant)
        distance = np.abs(actual.astype(expected.dtype) - expected) / unit
        same = (actual == nearest) | (np.isnan(actual) & np.isnan(nearest))
        distance = np.where(
            np.isfinite(nearest) & np.isfinite(actual), distance, np.where(same, 0, np.inf)
        )
        return np.where(
            (expected == 0) & (np.signbit(actual) != np.signbit(nearest)), np.inf, distance
        )


def sample64(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return float64 values of all magnitudes, and more of them where functions are hard."""
    edges = np.array([0.0, 1, 0.5, 5e-324, 2.2250738585072014e-308, 1.79e308, 709.782712893384,
        709.79, 745.13, 745.14,
                      710.4758600739439, 1023.9999, 1024, 1074, 1074.5, 1075, 0.34657359027997264,
                      1 - 2**-53, 1 + 2**-52, np.inf, np.nan])  # fmt: skip
    parts = [
        edges, -edges, rng.integers(0, 2**64, n, dtype=np.uint64).view(np.float64),
        rng.normal(size=n), rng.uniform(-1, 1, n),
        1 + rng.normal(size=n) * 0.01, rng.normal(size=n) * 1e-3, rng.uniform(-745, 710, n),
        rng.normal(size=n) * 1e5,
        np.exp(rng.uniform(-40, 40, n)), np.pi / 2 * rng.integers(0, 10**6, n),
        rng.uniform(-6, 6, n),
    ]  # fmt: skip
    return np.concatenate(parts)


def all_halves(kind: type) -> np.ndarray:
    """Return all numbers of a half type."""
    return np.arange(2**16, dtype=np.uint16).view(kind)


def powers(rng: np.random.Generator, n: int, kind: type) -> tuple[np.ndarray, np.ndarray]:
    """Return bases and exponents: of all magnitudes, near 1, and where results end."""
    ends = np.log(float(np.finfo(kind).max)) * 0.99
    bits = {np.float32: 127, np.float64: 1023}[kind]
    wide, near = (
        np.exp(rng.uniform(-ends, ends, n)),
        np.abs(1 + rng.normal(size=n) * 2.0 ** rng.uniform(-50, -1, n)),
    )
    with np.errstate(all="ignore"):
        pairs = [
            (wide, rng.uniform(-1, 1, n) * bits / np.log2(wide)),
            (near, np.nan_to_num(rng.uniform(-1, 1, n) * bits / np.log2(near))),
            (wide, rng.uniform(-1.17, -0.99, n) * bits / np.log2(wide)),
            (rng.uniform(0, 10, n), rng.uniform(-10, 10, n)),
            (np.exp(rng.uniform(-1.01, -0.95, n) * ends), rng.uniform(-1.5, 1.5, n)),
            (rng.normal(size=n) * 10, np.rint(rng.uniform(-40, 40, n))),
            (rng.uniform(0, 10, n), rng.integers(-6, 7, n) / 2),
        ]
        a, b = (np.concatenate(side).astype(kind) for side in zip(*pairs))
    return a, b


def power(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a ** b in the next wider format."""
    wider = WIDER[a.dtype.type]
    with np.errstate(all="ignore"):
        return np.asarray(np.power(a.astype(wider), b.astype(wider)))
