"""Compute minitensor/core/kernels/math/polynomials.h: the constants of the elementary functions.

    python tools/minimax.py          (needs mpmath; some minutes)

Each row of ROWS names a smooth function on an interval, a degree, and a weight: the factor from an
error of the polynomial to the relative error of the function that the kernel computes from it.
Remez' exchange algorithm finds the polynomial with the least maximum of the weighted error.  The
script rounds its coefficients to the format of the kernel.  The header states the largest error of
the rounded polynomial in bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpmath import (
    asin,
    atan,
    atanh,
    cos,
    erf,
    erfc,
    exp,
    expm1,
    log,
    log1p,
    mp,
    mpf,
    pi,
    sin,
    sinh,
    sqrt,
    tanh,
)

mp.prec = 240
HEADER = (
    Path(__file__).resolve().parent.parent / "minitensor/core/kernels/math/polynomials.h"
)
Function = Callable[[Any], Any]
LN2, H = log(2), log(2) / 2 * (1 + mpf(2) ** -10)
LOW, HIGH = sqrt(mpf(1) / 2), sqrt(mpf(2))
S = ((HIGH - 1) / (HIGH + 1)) ** 2  # of log: s = f / (2 + f), squared
Q = (pi / 4 * (1 + mpf(2) ** -10)) ** 2
W = (pi / 4 + mpf("0.1")) ** 2  # float32's quarter turn is not always the next one


@dataclass
class Row:
    name: str
    bits: int  # of the coefficients: 24 for float32, 53 for float64
    degree: int
    low: Any
    high: Any
    f: Function
    weight: Function
    what: str


def z(f: Function) -> Function:
    """Convert a function of x to a function of z = x * x."""
    return lambda v: f(sqrt(v))


def log_odd(v: Any) -> Any:
    s = sqrt(v)
    return (log((1 + s) / (1 - s)) / s - 2) / v  # log(1 + f) = 2 s + s³ R(s²)


def log_weight(v: Any) -> Any:
    s = sqrt(v)
    return v * s / log((1 + s) / (1 - s))


ROWS = (
    Row("EXP_F", 24, 4, -H, H, lambda x: (expm1(x) - x) / x**2, lambda x: x**2 / exp(x),
        "(exp(x) - 1 - x) / x², |x| <= ln(2)/2"),
    Row("EXP2_F", 24, 6, mpf(-0.5), mpf(0.5), lambda x: expm1(x * LN2) / x, lambda x: x / 2**x,
        "(2^x - 1) / x, |x| <= 1/2"),
    Row("LOG_F", 24, 7, LOW - 1, HIGH - 1, lambda x: (log1p(x) - x + x * x / 2) / x**3,
        lambda x: x**3 / log1p(x), "(log(1+x) - x + x²/2) / x³, 1+x from √½ to √2"),
    Row("LOG2_F", 24, 8, LOW - 1, HIGH - 1, lambda x: (log1p(x) - x) / LN2 / x**2,
        lambda x: x**2 * LN2 / log1p(x), "(log2(1+x) - x / log(2)) / x², 1+x from √½ to √2"),
    Row("LOG10_F", 24, 8, LOW - 1, HIGH - 1, lambda x: (log1p(x) - x) / log(10) / x**2,
        lambda x: x**2 * log(10) / log1p(x), "(log10(1+x) - x / log(10)) / x², 1+x from √½ to √2"),
    Row("SIN_F", 24, 2, mpf(0), W, z(lambda x: (sin(x) / x - 1) / x**2), z(lambda x: x**3 / sin(x)),
        "(sin(x)/x - 1) / x² in x², |x| <= π/4 + 0.1"),
    Row("COS_F", 24, 2, mpf(0), W, z(lambda x: (cos(x) - 1 + x**2 / 2) / x**4),
        z(lambda x: x**4 / cos(x)), "(cos(x) - 1 + x²/2) / x⁴ in x², |x| <= π/4 + 0.1"),
    Row("ERF_F", 24, 6, mpf(0), mpf(1), z(lambda x: erf(x) / x - 1), z(lambda x: x / erf(x)),
        "erf(x)/x - 1 in x², |x| <= 1"),
    Row("ERFC_F", 24, 6, mpf(1), mpf(4), lambda x: log(erfc(x)), lambda x: erfc(x) / erf(x),
        "log(erfc(x)), x from 1 to 4"),
    Row("EXP_FD", 53, 5, -H, H, lambda x: (expm1(x) - x) / x**2, lambda x: x**2 / expm1(x),
        "(exp(x) - 1 - x) / x², |x| <= ln(2)/2"),
    Row("LOG_FD", 53, 3, mpf(0), S, log_odd, log_weight, "(log((1+s)/(1-s)) / s - 2) / s² in s²"),
    Row("SIN_FD", 53, 3, mpf(0), Q, z(lambda x: (sin(x) / x - 1) / x**2),
        z(lambda x: x**3 / sin(x)), "(sin(x)/x - 1) / x² in x², |x| <= π/4"),
    Row("COS_FD", 53, 3, mpf(0), Q, z(lambda x: (cos(x) - 1 + x**2 / 2) / x**4),
        z(lambda x: x**4 / cos(x)), "(cos(x) - 1 + x²/2) / x⁴ in x², |x| <= π/4"),
    Row("ASIN_FD", 53, 6, mpf(0), mpf(0.25), z(lambda x: (asin(x) / x - 1) / x**2),
        z(lambda x: x**3 / asin(x)), "(asin(x)/x - 1) / x² in x², |x| <= 1/2"),
    Row("ATAN_FD", 53, 10, mpf(0), mpf(1), z(lambda x: (atan(x) / x - 1) / x**2),
        z(lambda x: x**3 / atan(x)), "(atan(x)/x - 1) / x² in x², |x| <= 1"),
    Row("TANH_F", 24, 5, mpf(0), mpf(0.3025), z(lambda x: (tanh(x) / x - 1) / x**2),
        z(lambda x: x**3 / tanh(x)), "(tanh(x)/x - 1) / x² in x², |x| <= 0.55"),
    Row("SINH_FD", 53, 3, mpf(0), mpf(1), z(lambda x: (sinh(x) / x - 1) / x**2),
        z(lambda x: x**3 / sinh(x)), "(sinh(x)/x - 1) / x² in x², |x| <= 1"),
    Row("EXP", 53, 10, -H, H, lambda x: (expm1(x) - x) / x**2, lambda x: x**2 / expm1(x),
        "(exp(x) - 1 - x) / x², |x| <= ln(2)/2"),
    Row("LOG", 53, 6, mpf(0), S, log_odd, log_weight, "(log((1+s)/(1-s)) / s - 2) / s² in s²"),
    Row("POW", 53, 6, mpf(0), S, lambda v: (atanh(sqrt(v)) / sqrt(v) - 1 - v / 3) / v**2,
        lambda v: v**2, "(atanh(s) / s - 1 - s²/3) / s⁴ in s²"),
    Row("SIN", 53, 5, mpf(0), Q, z(lambda x: (sin(x) / x - 1) / x**2), z(lambda x: x**3 / sin(x)),
        "(sin(x)/x - 1) / x² in x², |x| <= π/4"),
    Row("COS", 53, 5, mpf(0), Q, z(lambda x: (cos(x) - 1 + x**2 / 2) / x**4),
        z(lambda x: x**4 / cos(x)), "(cos(x) - 1 + x²/2) / x⁴ in x², |x| <= π/4"),
    Row("ASIN", 53, 12, mpf(0), mpf(0.25), z(lambda x: (asin(x) / x - 1) / x**2),
        z(lambda x: x**3 / asin(x)), "(asin(x)/x - 1) / x² in x², |x| <= 1/2"),
    Row("ATAN", 53, 21, mpf(0), mpf(1), z(lambda x: (atan(x) / x - 1) / x**2),
        z(lambda x: x**3 / atan(x)), "(atan(x)/x - 1) / x² in x², |x| <= 1"),
    Row("TANH", 53, 10, mpf(0), mpf(0.3025), z(lambda x: (tanh(x) / x - 1) / x**2),
        z(lambda x: x**3 / tanh(x)), "(tanh(x)/x - 1) / x² in x², |x| <= 0.55"),
    Row("SINH", 53, 7, mpf(0), mpf(1), z(lambda x: (sinh(x) / x - 1) / x**2),
        z(lambda x: x**3 / sinh(x)), "(sinh(x)/x - 1) / x² in x², |x| <= 1"),
    Row("ERF", 53, 14, mpf(0), mpf(1), z(lambda x: erf(x) / x - 1), z(lambda x: x / erf(x)),
        "erf(x)/x - 1 in x², |x| <= 1"),
    Row("ERFC", 53, 19, mpf(1), mpf(6), lambda x: log(erfc(x)), lambda x: erfc(x) / erf(x),
        "log(erfc(x)), x from 1 to 6"),
)  # fmt: skip


def value(coefficients: list[Any], x: Any) -> Any:
    total = mpf(0)
    for c in reversed(coefficients):
        total = total * x + c
    return total


def remez(row: Row) -> tuple[list[Any], list[Any], Any]:
    """Return the best polynomial, a dense grid, and f on the grid."""
    n, a, b = row.degree, mpf(row.low), mpf(row.high)
    count = 40 * (n + 2)
    grid = [(a + b) / 2 - (b - a) / 2 * cos(pi * i / count) for i in range(count + 1)]
    # Quotients such as sin(x)/x have no value at 0, where their weight is 0.
    grid = [x for x in grid if abs(x) > mpf(2) ** -20]
    count = len(grid) - 1
    fs, ws = [row.f(x) for x in grid], [abs(row.weight(x)) for x in grid]
    points = [round(count * i / (n + 1)) for i in range(n + 2)]
    for _ in range(30):
        m, right = mp.matrix(n + 2, n + 2), mp.matrix(n + 2, 1)
        for i, p in enumerate(points):
            for j in range(n + 1):
                m[i, j] = grid[p] ** j
            m[i, n + 1] = (-1) ** i / ws[p]
            right[i] = fs[p]
        solution = list(mp.lu_solve(m, right))
        errors = [(value(solution[:-1], x) - f) * w for x, f, w in zip(grid, fs, ws)]
        extrema, start = [], 0
        for i in range(1, count + 2):  # the largest error between two changes of its sign
            if i > count or (errors[i] > 0) != (errors[start] > 0):
                extrema.append(max(range(start, i), key=lambda k: abs(errors[k])))
                start = i
        while len(extrema) > n + 2:
            extrema.pop(0 if abs(errors[extrema[0]]) < abs(errors[extrema[-1]]) else -1)
        if len(extrema) < n + 2 or extrema == points:
            break
        points = extrema
    return solution[:-1], grid, fs


def rounded(x: Any, bits: int) -> Any:
    with_bits = mp.prec
    mp.prec = bits
    result = +x
    mp.prec = with_bits
    return result


def literal(x: Any, bits: int) -> str:
    return float(x).hex() + ("f" if bits == 24 else "")


def split(x: Any, bits: int, parts: int) -> list[Any]:
    """Return x as a sum of `parts` numbers of `bits` bits, the last one in full precision."""
    result = []
    for _ in range(parts - 1):
        result.append(rounded(x, bits))
        x -= result[-1]
    return [*result, x]


def constants() -> str:
    """Return the constants of argument reductions, in pieces.

    The product of a leading piece and a whole number is exact.
    """
    text = ""
    for name, x, bits, parts, precision in (
        ("LN2", LN2, 32, 2, 53), ("LN2F", LN2, 15, 2, 24), ("INV_LN2", 1 / LN2, 21, 2, 53),
        ("INV_LN10", 1 / log(10), 21, 2, 53), ("LOG10_2", log(2) / log(10), 32, 2, 53),
        ("LOG10_2F", log(2) / log(10), 15, 2, 24), ("INV_LN2F", 1 / LN2, 12, 2, 24),
        ("INV_LN10F", 1 / log(10), 12, 2, 24),
        ("PIO2", pi / 2, 33, 4, 53), ("PI", pi, 53, 2, 53),
        ("LN2D", LN2, 53, 2, 53), ("INV_LN2D", 1 / LN2, 53, 2, 53),
        ("THIRD", mpf(1) / 3, 53, 2, 53),
    ):  # fmt: skip
        for i, part in enumerate(split(x, bits, parts)):
            text += f"#define MT_{name}_{i} {literal(rounded(part, precision), precision)}\n"
    for name, x in (("LOG2E", 1 / LN2), ("TWO_OVER_PI", 2 / pi), ("LN2_FULL", LN2)):
        text += f"#define MT_{name} {literal(rounded(x, 53), 53)}\n"
    return text


def main() -> None:
    text = (
        "/* Constants of the elementary functions, generated by tools/minimax.py.\n"
        " * The lowest power comes first.  The bits are the largest relative error of\n"
        " * the function that uses the polynomial, with the rounded coefficients. */\n"
        "#ifndef MT_POLYNOMIALS_H\n#define MT_POLYNOMIALS_H\n" + constants()
    )
    for row in ROWS:
        best, grid, fs = remez(row)
        coefficients = [rounded(c, row.bits) for c in best]
        error = max(abs((value(coefficients, x) - f) * row.weight(x)) for x, f in zip(grid, fs))
        bits = float(log(error) / LN2)
        print(f"{row.name:8} degree {row.degree:2} 2^{bits:.1f}", flush=True)
        words, line = [literal(c, row.bits) for c in coefficients], "   "
        text += f"/* {row.what}: 2^{bits:.1f} */\n#define MT_POLY_{row.name} \\\n"
        lines = []
        for i, word in enumerate(words):
            piece = f" {word}" + ("," if i + 1 < len(words) else "")
            if len(line) + len(piece) > 116:
                lines.append(line)
                line = "   "
            line += piece
        text += " \\\n".join([*lines, line]) + "\n"
    HEADER.write_text(text + "#endif\n", encoding="utf-8")


if __name__ == "__main__":
    main()
