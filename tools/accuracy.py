"""Measure the errors of the elementary functions and write docs/accuracy.md.

    make accuracy ARGS="--halves"     the rows of float16 and bfloat16 only: seconds
    make accuracy                     all float32 numbers, best instruction set: about an hour
    make accuracy ARGS="exp log"      all for these ops, every 61st for the others: some minutes
    make accuracy ARGS="--step 1009"  every 1009th, on each instruction set: a minute; prints only

float16, bfloat16 and float32: every number, against double.  float64: some millions of numbers, of
all magnitudes and in the hard intervals of the functions, against long double.  The tests have the
same references and the same measure, in tests/support/precision.py.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]
os.environ["MINITENSOR_INLINE_ELEMENTS"] = str(2**30)  # ops run in the process that calls them

import numpy as np  # noqa: E402
import precision  # noqa: E402

from minitensor import Tensor, ops  # noqa: E402
from minitensor.backend import settings  # noqa: E402

PAGE = ROOT / "docs" / "accuracy.md"
CHUNK = 2**15  # elements per call, so that the arrays stay in the cache
SAMPLE = 61
HEAD = """\
# Accuracy

`make accuracy` compares float16, bfloat16 and float32 with double and float64 with long double. The
tests hold every function to a bound of 2 ULP on every instruction set, and of 1 ULP for a half
type. Special values are exact. Results of instruction sets with fused multiply-adds may differ
from the others in the last bit.

"""
SLOW = ["erf"]  # the float64 reference is a series: fewer numbers
Worst = tuple[float, float]  # ULPs, where


def worst_of(name: str, x: np.ndarray, than: float) -> Worst:
    """Return the largest error at the numbers x and its place, if it is larger than `than`."""
    expected, actual = precision.reference(name, x), getattr(ops, name)(Tensor(x)).asnumpy()
    if x.dtype == np.float32:  # skip numbers whose cheap upper bound is small enough
        with np.errstate(all="ignore"):
            error = np.abs(actual - expected)
            bound = error * 2.0**24 / np.maximum(np.abs(expected), np.finfo(np.float32).tiny)
            good = (
                (bound <= than)
                & (np.abs(expected) < 3e38)
                & ((expected != 0) | (np.signbit(actual) == np.signbit(expected)))
            )
        x, expected, actual = x[~good], expected[~good], actual[~good]
    if not x.size:
        return 0.0, 0.0
    distance = precision.ulps(actual, expected)
    at = int(np.argmax(distance))
    return float(distance[at]), float(x[at])


def float32_part(isa: str, name: str, begin: int, end: int, step: int) -> Worst:
    settings.set_isa(isa)
    worst = (0.0, 0.0)
    for first in range(begin, end, CHUNK * step):
        numbers = np.arange(first, min(end, first + CHUNK * step), step, dtype=np.uint64).astype(
            np.uint32
        )
        worst = max(worst, worst_of(name, numbers.view(np.float32), worst[0]))
    return worst


def half_lines(isa: str, name: str) -> list[list[str]]:
    settings.set_isa(isa)
    worst = [(kind, *worst_of(name, precision.all_halves(kind), 0)) for kind in precision.HALVES]
    return [
        [f"`{name}`", kind.__name__, f"{ulp:.3f}", f"`{at!r}`", isa, "all"]
        for kind, ulp, at in worst
    ]


def float64_part(isa: str, name: str, seed: int, n: int) -> Worst:
    settings.set_isa(isa)
    return worst_of(name, precision.sample64(np.random.default_rng(seed), n), 0)


def power_part(isa: str, kind: Any, seed: int, n: int) -> tuple[float, tuple[float, float]]:
    settings.set_isa(isa)
    a, b = precision.powers(np.random.default_rng(seed), n, kind)
    distance = precision.ulps(ops.pow(Tensor(a), Tensor(b)).asnumpy(), precision.power(a, b))
    at = int(np.argmax(distance))
    return float(distance[at]), (float(a[at]), float(b[at]))


def measure_pow(pool: ProcessPoolExecutor, isa: str) -> list[list[str]]:
    lines = []
    for kind in (np.float32, np.float64) if precision.HAS_LONG_DOUBLE else (np.float32,):
        n = 100_000
        ulp, at = max(pool.map(power_part, [isa] * 8, [kind] * 8, range(8), [n] * 8))
        where = f"`{at[0]!r} ** {at[1]!r}`"
        lines.append(
            ["`pow`", kind.__name__, f"{ulp:.3f}", where, isa, f"{8 * 7 * n:,} pairs of numbers"]
        )
    for line in lines:
        print("\r" + "  ".join(word.strip("`").ljust(12) for word in line), flush=True)
    return lines


def put_halves_in_page(isa: str) -> None:
    """Write the rows of the half types, and keep the others."""
    page = PAGE.read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    others = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    lines = []
    for name in precision.REFERENCES:
        lines += half_lines(isa, name)
        lines += [row for row in others if row[0] == f"`{name}`" and "16" not in row[1]]
    write_page(lines)


def measure(pool: ProcessPoolExecutor, isa: str, name: str, step: int) -> list[list[str]]:
    rows = []
    parts = 64
    cuts = [2**32 * i // parts // step * step for i in range(parts)] + [2**32]
    futures = [pool.submit(float32_part, isa, name, a, b, step) for a, b in zip(cuts, cuts[1:])]
    done: list[Any] = []
    for future in futures:
        done.append(future.result())
        if sys.stderr.isatty():
            print(f"\r{isa} {name}: {len(done)}/{parts} ", end="", file=sys.stderr, flush=True)
    rows.append((name, "float32", max(done), "all" if step == 1 else f"one of {step}"))
    if precision.HAS_LONG_DOUBLE:
        n = 100_000 if step <= SAMPLE and name not in SLOW else 20_000
        results = list(pool.map(float64_part, [isa] * 4, [name] * 4, range(4), [n] * 4))
        rows.append((name, "float64", max(results), f"{4 * 10 * n:,} numbers"))
    lines = [
        [f"`{op}`", kind, f"{ulp:.3f}", f"`{at!r}`", isa, how] for op, kind, (ulp, at), how in rows
    ]
    lines = half_lines(isa, name) + lines
    for line in lines:
        print("\r" + "  ".join(word.strip("`").ljust(12) for word in line), flush=True)
    return lines


def write_page(lines: list[list[str]]) -> None:
    head = ["op", "dtype", "largest error in ULP", "at", "instruction set", "arguments"]
    table = "".join(f"| {' | '.join(line)} |\n" for line in [head, ["---"] * len(head), *lines])
    PAGE.write_text(HEAD + table, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "ops",
        nargs="*",
        default=list(precision.REFERENCES),
        help="ops to measure at all float32 numbers",
    )
    parser.add_argument(
        "--step",
        type=int,
        default=1,
        help="measure every STEP-th float32 on each instruction set, and write no page",
    )
    parser.add_argument("--halves", action="store_true", help="measure the half types only")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    if unknown := set(arguments.ops) - set(precision.REFERENCES):
        parser.error(
            f"ops must be among {', '.join(precision.REFERENCES)}, got {', '.join(sorted(unknown))}"
        )
    if arguments.halves:
        put_halves_in_page(settings.isa_names()[-1])
        return 0
    sampled = arguments.step > 1
    steps = {
        name: arguments.step if name in arguments.ops else SAMPLE for name in precision.REFERENCES
    }
    os.nice(15)
    with ProcessPoolExecutor(arguments.jobs) as pool:
        isas = settings.isa_names() if sampled else settings.isa_names()[-1:]
        lines = [
            line
            for isa in isas
            for name, step in steps.items()
            for line in measure(pool, isa, name, step)
        ]
        lines += [line for isa in isas for line in measure_pow(pool, isa)]
    if not sampled:
        write_page(lines)
    return int(any(float(line[2]) > 2 for line in lines))


if __name__ == "__main__":
    sys.exit(main())
