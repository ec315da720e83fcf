"""Check the limits of speed: ratios to other libraries and to the memory's own speed.

    make bench-check                                  all limits, in some three minutes
    python benchmarks/check.py --only log --rounds 3  the limits with "log" in their name, quickly

The exit code is 1 if a limit is exceeded.  A missing library counts as an exceeded limit, unless
--allow-missing is given.  `--python mindspore=PATH` measures a library with another interpreter,
for a library with an environment of its own.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from fleet import Case, Fleet, duration, machine, progress, ratio
from processes import imports, queued, submissions
from sections import CHAINS, MATRIX, POSITIVE_DEFINITE, size

FLOOR = "copy"
NAMES = {FLOOR: "streaming copy on two threads"}


# The case, its size, and for each library the largest ratio of minitensor's time to its time.
LIMITS: list[tuple[Case, int, dict[str, float]]] = [
    (Case("log(x)"), 1, {"torch": 0.8}),
    (Case("x + y", inputs="xy"), 1, {"torch": 0.8}),
    (Case("log(x)"), 10**4, {"numpy": 0.9}),
    (Case("x + y", inputs="xy"), 10**4, {"numpy": 0.9}),
    (Case("exp(x)"), 10**4, {"numpy": 0.9}),
    (Case("log(x)"), 10**6, {"numpy": 0.75}),
    (Case("log(x)"), 10**7, {"numpy": 0.35, "torch": 0.25, "mindspore": 0.6, FLOOR: 1.3}),
    (Case(CHAINS[3]), 10**7, {"numpy": 0.22, "torch": 0.12, "torch.compile": 0.3, "jax.jit": 0.45}),
    (Case(CHAINS[9]), 10**7, {"numpy": 0.12, "torch": 0.06, "torch.compile": 0.3}),
    (Case("sum(x)"), 10**7, {"numpy": 0.5, "torch": 1.1}),
    (Case("mean(x, 0)", MATRIX), 4096, {"numpy": 0.6, "torch": 1.1}),
    (Case("mean(x, 1)", MATRIX), 4096, {"numpy": 0.6, "torch": 1.1}),
    (Case("copy(x)", MATRIX, given={"x": "transpose(x)"}), 4096, {"numpy": 0.5, "torch": 1.1}),
    (Case("where(c, x, y)", inputs="xy", given={"c": "x > y"}), 10**7, {"numpy": 0.5}),
    (Case("clip(x, 0.3, 0.7)"), 10**7, {"numpy": 0.5}),
    (Case("cast(x, 'float64')"), 10**7, {"numpy": 0.5}),
    (Case("cast(x, 'int32')"), 10**7, {"numpy": 0.5}),
    (Case("cast(x, 'float32')", dtype="float64"), 10**7, {"numpy": 0.5}),
    (Case("cast(x, 'float32')", dtype="int64"), 10**7, {"numpy": 0.5}),
    (Case("matmul(x, y)", MATRIX, inputs="xy"), 1024, {"numpy": 1.05}),
    (Case("matmul(x, y)", MATRIX, "float64", "xy"), 512, {"numpy": 1.05}),
    (Case("solve(x, y)", MATRIX, "float64", "xy"), 512, {"numpy": 1.05}),
    (Case("inv(x)", MATRIX, "float64"), 512, {"numpy": 1.05}),
    (Case("cholesky(x)", MATRIX, "float64", given=POSITIVE_DEFINITE), 1024, {"numpy": 1.05}),
    (Case("qr(x)", MATRIX, "float64"), 512, {"numpy": 1.05}),
]
# Time per element for 10^8 elements relative to 10^7, and for 10^7 relative to 10^6, divided by the
# growth of the copy's time.
GROWTH = 1.3
IMPORT = 1.3  # time and memory of `import minitensor`, relative to NumPy's
# Peak memory of a program that queues a million small ops, relative to one that queues 100,000;
# both fill the queue.
QUEUED = 1.2
# Time of a call whose work is queued: on 10^8 elements relative to 10^4, the worst of several ops;
# of a view in a chain of 10^4 relative to a view of one tensor.
SUBMITTED = 1.5


@dataclass(frozen=True)
class Verdict:
    what: str
    against: str
    at_most: float
    ratio: float | None = None  # None: not measured
    note: str = ""

    @property
    def holds(self) -> bool:
        return self.ratio is not None and self.ratio <= self.at_most

    def row(self) -> tuple[str, ...]:
        if self.ratio is None:
            return (self.what, self.against, f"{self.at_most:g}", "–", "missing", self.note)
        return (
            self.what,
            self.against,
            f"{self.at_most:g}",
            f"{self.ratio:.3g}",
            "holds" if self.holds else "EXCEEDED",
            self.note,
        )


def label(case: Case, n: int) -> str:
    shape = " x ".join(size(n) if side == "n" else str(side) for side in case.shape)
    given = "".join(f", {name} = {text}" for name, text in case.given.items())
    return f"{case.text} of {shape} {case.dtype}{given}"


def speed(fleet: Fleet, only: str) -> Iterator[Verdict]:
    for case, n, limits in LIMITS:
        what = label(case, n)
        if only not in what:
            continue
        times = fleet.measure(case, n, ["minitensor", *limits])
        ours = times.get("minitensor", [])
        for name, at_most in limits.items():
            if ours and name in times:
                theirs = duration(statistics.median(times[name]))
                note = f"{duration(statistics.median(ours))} to {theirs}"
                yield Verdict(what, NAMES.get(name, name), at_most, ratio(ours, times[name]), note)
            else:
                missing = name if ours else "minitensor"
                yield Verdict(
                    what,
                    NAMES.get(name, name),
                    at_most,
                    None,
                    fleet.missing.get(missing) or fleet.lacks.get((missing, case.text), ""),
                )


def growth(fleet: Fleet, only: str) -> Iterator[Verdict]:
    """Yield the growth of the time per element, relative to the growth of the copy's time."""
    case, sizes = Case("log(x)"), (10**6, 10**7, 10**8)
    what = f"growth: {case.text}, time of an element"
    if only not in what:
        return
    element: dict[str, list[float]] = {"minitensor": [], FLOOR: []}
    for n in sizes:
        for name, times in fleet.measure(case, n, element).items():
            element[name].append(statistics.median(times) / n)
    for i in (1, 2):
        against = f"10^{5 + i}"
        try:
            ours, floor = [element[name][i] / element[name][i - 1] for name in element]
        except IndexError:
            yield Verdict(
                f"{what}, 10^{6 + i}", against, GROWTH, None, "; ".join(fleet.missing.values())
            )
            continue
        now, before = element["minitensor"][i], element["minitensor"][i - 1]
        note = f"{now * 1e9:.2g} ns to {before * 1e9:.2g} ns"
        yield Verdict(f"{what}, 10^{6 + i}", against, GROWTH, ours / max(1, floor), note)


def programs(rounds: int, only: str) -> Iterator[Verdict]:
    if only in "import minitensor: time, memory":
        found = imports(rounds)
        for i, (what, unit) in enumerate((("time", "ms"), ("memory", "MiB"))):
            ours, theirs = (
                [one[i] for one in found["minitensor"]],
                [one[i] for one in found["numpy"]],
            )
            note = f"{statistics.median(ours):.3g} {unit} to {statistics.median(theirs):.3g} {unit}"
            yield Verdict(
                f"import minitensor: {what}", "import numpy", IMPORT, ratio(ours, theirs), note
            )
    what = "queue: 10^6 small ops, most memory"
    if only in what:
        few, many = queued(10**5), queued(10**6)
        yield Verdict(
            what, "10^5 small ops", QUEUED, many / few, f"{many:.0f} MiB to {few:.0f} MiB"
        )
    what = "submission: a call on 10^8 elements"
    views = "submission: a view, in a chain of 10^4"
    if only in what or only in views:
        found = submissions()
        chain, single = found.pop("T")
        note = f"{duration(chain)} to {duration(single)}"
        yield Verdict(views, "a view of one tensor", SUBMITTED, chain / single, note)
        call, (large, small) = max(found.items(), key=lambda one: one[1][0] / one[1][1])
        note = f"{call}: {duration(large)} to {duration(small)}"
        yield Verdict(what, "on 10^4 elements", SUBMITTED, large / small, note)


def table(verdicts: list[Verdict]) -> str:
    rows = [
        ("case", "against", "at most", "ratio", "", "times"),
        *[verdict.row() for verdict in verdicts],
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    return "\n".join(
        "  ".join([*[cell.ljust(width) for cell, width in zip(row, widths)], row[5]]).rstrip()
        for row in rows
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="only limits with TEXT in their name"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="LIBRARY=PATH",
        help="an interpreter with the library",
    )
    parser.add_argument("--allow-missing", action="store_true", help="accept missing libraries")
    arguments = parser.parse_args()

    selected = [limits for case, n, limits in LIMITS if arguments.only in label(case, n)]
    names = dict.fromkeys(["minitensor", *(name for limits in selected for name in limits), FLOOR])
    verdicts: list[Verdict] = []
    with Fleet(names, arguments.python, arguments.rounds) as fleet:
        for source in (
            speed(fleet, arguments.only),
            growth(fleet, arguments.only),
            programs(arguments.rounds, arguments.only),
        ):
            for verdict in source:
                verdicts.append(verdict)
                progress(f"{len(verdicts)}: {verdict.what}")
        progress("")
        versions = ", ".join(f"{name} {version}" for name, version in fleet.here.items() if version)
    print(
        f"{machine()}; {versions}; medians of the ratios in {arguments.rounds} rounds\n"
        f"\n{table(verdicts)}\n"
    )
    missing = [verdict for verdict in verdicts if verdict.ratio is None]
    broken = [verdict for verdict in verdicts if verdict.ratio is not None and not verdict.holds]
    print(
        f"{len(verdicts) - len(missing) - len(broken)} of {len(verdicts)} limits hold, "
        f"{len(broken)} are exceeded, {len(missing)} could not be checked"
    )
    return 1 if broken or (missing and not arguments.allow_missing) else 0


if __name__ == "__main__":
    sys.exit(main())
