"""Measure everyday calls beside NumPy and torch, and write the first section of docs/benchmarks.md.

    make bench-everyday                             all calls, in some ten minutes
    make bench-everyday ARGS="--only view"          print the families with "view" in their name
    python benchmarks/everyday.py --cores 16        on the first 16 cores of this process

A cell is a call at a size.  Its figure is minitensor's time divided by the better of the times of
NumPy and torch: below 1 minitensor is faster.  The processes take turns as in fleet.py.  By
default two cores are used, so that the figures of machines are comparable.
"""

from __future__ import annotations

import argparse
import ast
import math
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from everyday_cases import GIVEN, LIGHT, ROWS, SIZES, Row
from fleet import Case, Fleet, duration, machine, progress
from plots import heat_map, matplotlib

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "benchmarks.md"
BEGIN, END = "<!-- everyday calls -->\n", "<!-- end of everyday calls -->\n"
OURS, PEERS = "minitensor", ("numpy", "torch")
GOAL, WORST = 0.7, 2.0  # of the geometric mean of a size, of a cell


@dataclass(frozen=True)
class Cell:
    row: Row
    n: int
    times: dict[str, float]  # the median over the rounds, in seconds, by library

    @property
    def ratio(self) -> float:
        peers = [self.times[name] for name in PEERS if name in self.times]
        return self.times[OURS] / min(peers) if OURS in self.times and peers else math.nan


def needed(texts: list[str], definitions: dict[str, str]) -> dict[str, str]:
    """Return the definitions of the names that the texts use, directly or by other definitions."""
    wanted: set[str] = set()
    pending = list(texts)
    while pending:
        nodes = ast.walk(ast.parse(pending.pop()))
        for name in {node.id for node in nodes if isinstance(node, ast.Name)} - wanted:
            if name in definitions:
                wanted.add(name)
                pending.append(definitions[name])
    return {name: text for name, text in definitions.items() if name in wanted}


def case_of(row: Row, n: int) -> Case:
    spellings = {name: row.spelling(name) for name in (OURS, *PEERS)}
    definitions = {**GIVEN, **row.more}
    given = needed([text for text in spellings.values() if text], definitions)
    return Case(
        row.text,
        (n,),
        inputs="xy",
        given=given,
        used=0 if row.family == "view" or row.text in LIGHT else 1,
        result=row.result,
        spellings=spellings,
    )


def elements(size: int) -> int:
    """Return the square number of elements that stands for a size."""
    return round(size**0.5) ** 2


def measure(fleet: Fleet, rows: list[Row], sizes: list[int]) -> list[Cell]:
    cells = []
    for row in rows:
        for size in sizes:
            if size > row.most:
                continue
            progress(f"{row.family}: {row.text} of {size}")
            n = elements(size)
            found = fleet.measure(case_of(row, n), n, [OURS, *PEERS])
            times = {name: statistics.median(some) for name, some in found.items()}
            cells.append(Cell(row, size, times))
    return cells


def geometric_mean(ratios: list[float]) -> float:
    known = [math.log(ratio) for ratio in ratios if ratio > 0]
    return math.exp(statistics.fmean(known)) if known else math.nan


def power(size: int) -> str:
    return str(size) if size < 100 else f"10^{round(math.log10(size))}"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def means(cells: list[Cell], sizes: list[int]) -> str:
    """Return the table of geometric means: families by sizes, and all of them."""
    families = list(dict.fromkeys(cell.row.family for cell in cells))
    rows = []
    for family in (*families, "all"):
        own = [cell for cell in cells if family in (cell.row.family, "all")]
        figures = [[cell.ratio for cell in own if cell.n == size] for size in sizes]
        shown = [f"{geometric_mean(some):.2f}" if some else "–" for some in figures]
        rows.append([family, *shown, f"{geometric_mean([cell.ratio for cell in own]):.2f}"])
    rows[-1] = [f"**{text}**" for text in rows[-1]]
    return table(["", *map(power, sizes), "all sizes"], rows)


def worst(cells: list[Cell], count: int) -> str:
    known = sorted((c for c in cells if c.ratio > 0), key=lambda cell: -cell.ratio)
    rows = [
        [f"`{c.row.text}` of {power(c.n)}", f"{c.ratio:.2f}"]
        + [duration(c.times[name]) if name in c.times else "–" for name in (OURS, *PEERS)]
        for c in known[:count]
    ]
    return table(["", "ratio", OURS, *PEERS], rows)


def section(cells: list[Cell], sizes: list[int], about: str) -> str:
    known = [cell for cell in cells if cell.ratio > 0]
    above = sum(cell.ratio > 1.1 for cell in known)
    over = sum(cell.ratio > WORST for cell in known)
    return (
        "## Everyday calls\n\n"
        f"{about}.\n\nEach figure is minitensor's time divided by the better of NumPy's and "
        "torch's: **below 1 minitensor is faster**. The table has geometric means over the calls "
        f"of a family. Of {len(known)} cells (a call at a size), {above} are slower than the "
        f"better library by more than a tenth, and {over} by more than {WORST:g} times.\n\n"
        + "![Everyday calls](benchmarks/everyday.svg)\n\n" * bool(matplotlib)
        + means(cells, sizes)
        + "\nThe ten worst cells:\n\n"
        + worst(cells, 10)
    )


def write(text: str) -> None:
    """Put the section first on the page, in place of the one that is there."""
    page = PAGE.read_text(encoding="utf-8")
    if BEGIN in page:
        page = page[: page.index(BEGIN)] + page[page.index(END) + len(END) :]
    place = page.index("\n## ") + 1
    PAGE.write_text(f"{page[:place]}{BEGIN}{text}{END}\n{page[place:]}", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="families or calls with TEXT")
    parser.add_argument("--sizes", default="", help="such as 10,1000; all by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.04, help="of a library's turn")
    parser.add_argument("--worst", type=int, default=0, metavar="N", help="print N cells")
    parser.add_argument(
        "--python", action="append", default=[], metavar="LIBRARY=PATH",
        help="an interpreter with the library",
    )  # fmt: skip
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < arguments.cores:
            parser.error(f"--cores must be at most {len(cores)} here, got {arguments.cores}")
        os.sched_setaffinity(0, cores[: arguments.cores])
    sizes = [int(size) for size in arguments.sizes.split(",") if size] or list(SIZES)
    rows = [r for r in ROWS if arguments.only in r.family or arguments.only in r.text]
    whole = not arguments.only and not arguments.sizes
    begin = time.monotonic()
    with Fleet([OURS, *PEERS], arguments.python, arguments.rounds, arguments.seconds) as fleet:
        about = machine()
        cells = measure(fleet, rows, sizes)
        progress("")
        versions = ", ".join(f"{name} {version}" for name, version in fleet.here.items())
        for (name, text), why in fleet.lacks.items():
            print(f"{name} lacks {text}: {why}", file=sys.stderr)
        if fleet.missing:
            print("missing: ", fleet.missing, file=sys.stderr)
    text = section(cells, sizes, f"{about}; {versions}; {arguments.rounds} rounds")
    if whole and not fleet.missing and arguments.cores == 2:
        if matplotlib:
            labels = list(dict.fromkeys((c.row.family, c.row.text) for c in cells))
            ratios = {((c.row.family, c.row.text), c.n): c.ratio for c in cells}
            figures = [[ratios.get((label, size), math.nan) for size in sizes] for label in labels]
            names = [power(size) for size in sizes]
            heat_map(DOCS / "benchmarks" / "everyday.svg", "Everyday calls", labels, names, figures)
        write(text)
        minutes = (time.monotonic() - begin) / 60
        print(f"wrote the section of docs/benchmarks.md in {minutes:.0f} minutes")
    print(text)
    if arguments.worst:
        print(worst(cells, arguments.worst))
    good = all(
        geometric_mean([cell.ratio for cell in cells if cell.n == size]) <= GOAL for size in sizes
    )
    return 0 if good and all(not cell.ratio > WORST for cell in cells) else 1


if __name__ == "__main__":
    sys.exit(main())
