"""minitensor beside the libraries that are here: docs/benchmarks.md, with a table and a picture for each section.

    make bench                                              all of it, in some ten minutes
    python benchmarks/report.py --only log --rounds 2       sections with "log" in their name, to the terminal, with no file written

`--python mindspore=PATH` measures a library with another interpreter, for one that wants an environment of its own.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

from fleet import Fleet, duration, machine, progress, ratio
from libraries import LIBRARIES
from plots import bars, draw, matplotlib
from processes import imports
from sections import SECTIONS, Section

DOCS = Path(__file__).resolve().parent.parent / "docs"
FLOOR = "copy"
Times = dict[str, list[float]]  # a library's seconds in each round

HEAD = """<!-- Made by benchmarks/report.py; `make bench` makes it again. -->

# Benchmarks

{machine}.

{versions}.{missing}

A process for each library; they take turns, {rounds} rounds of it, and who has no turn is stopped. A figure is the median over the
rounds of the best time of a call in a round. Beside a time stands how many times minitensor's it is: the median of the rounds' ratios,
so **above 1 minitensor is faster**. A dash: the library lacks it. A call ends when its value is there: the libraries that return
earlier are waited for, after each call above 10,000 elements, after a block of calls below. Results are let go of after each
call, so each library's way to take memory counts. Threads are as each library chooses.

*Copy* is the floor: as many elements as the case has, copied to memory that has been used before, by the fastest of three ways:
`memcpy`, `memcpy` on two threads, and stores past the caches on two threads (where memory is the limit, the last). A function that
reads one large array and writes one can't be faster; a reduction writes nothing, so it can.

What has to hold of this is in `benchmarks/check.py`, and `make bench-check` checks it.
"""


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cell(name: str, times: Times) -> str:
    if name not in times:
        return "–"
    own = duration(statistics.median(times[name]))
    if name == "minitensor" or "minitensor" not in times:
        return own
    times_ours = ratio(times[name], times["minitensor"])
    return f"{own} ({times_ours:.0f})" if times_ours >= 10 else f"{own} ({times_ours:.2g})"


def measured(section: Section, fleet: Fleet) -> list[Times]:
    found = []
    for text, case, n in section.points:
        progress(f"{section.title}: {text}")
        found.append(fleet.measure(case, n))
    return found


def page_of(section: Section, found: list[Times], libraries: list[str]) -> str:
    rows = [[f"`{text}`" if "(" in text or "+" in text else text, *(cell(name, times) for name in libraries)]
            for (text, _, _), times in zip(section.points, found)]  # fmt: skip
    return f"\n## {section.title}\n\n{section.words}\n\n" + table(["", *libraries], rows)


def picture_of(section: Section, found: list[Times], libraries: list[str]) -> None:
    """Nanoseconds per element, so that sizes can be compared, and what is flat is as it should be."""
    each = {
        name: [statistics.median(times[name]) / case.elements(n) * 1e9 if name in times else None
               for (_, case, n), times in zip(section.points, found)]
        for name in libraries
    }  # fmt: skip
    names = [n if section.axis else text for text, _, n in section.points]
    draw(DOCS / "benchmarks" / f"{section.name}.svg", section.title, names, each, section.axis)


def import_rows(fleet: Fleet, rounds: int) -> dict[str, tuple[float, float]]:
    """Milliseconds and MiB of a process that imports nothing, and of one for each library."""
    modules = {"nothing": "sys"} | {name: name for name in fleet.here if "." not in name and name != FLOOR}
    found = imports(rounds, modules, {name: fleet.python(name) for name in modules})
    return {name: (statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)) for name, pairs in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="TEXT", help="only sections with TEXT in their name; writes no file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", action="append", default=[], metavar="LIBRARY=PATH", help="the interpreter that has the library")
    arguments = parser.parse_args()
    sections = [section for section in SECTIONS if arguments.only in section.name]
    whole = not arguments.only

    begin = time.monotonic()
    with Fleet(LIBRARIES, arguments.python, arguments.rounds) as fleet:
        about = machine()
        libraries = list(fleet.here)
        parts = []
        if whole:
            (DOCS / "benchmarks").mkdir(exist_ok=True)
        for section in sections:
            found = measured(section, fleet)
            text = page_of(section, found, libraries)
            if whole and matplotlib:
                picture_of(section, found, libraries)
                text = text.replace("\n\n|", f"\n\n![{section.title}](benchmarks/{section.name}.svg)\n\n|", 1)
            parts.append(text)
        if whole or arguments.only in "import":
            progress("imports")
            rows = import_rows(fleet, arguments.rounds)
            text = "\n## Import\n\nA process that imports the library: how long the import takes, and the memory that the process then has.\n\n"
            if whole and matplotlib:
                bars(DOCS / "benchmarks" / "import.svg", "Import", rows)
                text += "![Import](benchmarks/import.svg)\n\n"
            parts.append(text + table(["", "time", "memory"], [[name, duration(ms / 1e3), f"{mib:.0f} MiB"] for name, (ms, mib) in rows.items()]))
    versions = ", ".join(f"{name} {version}" for name, version in fleet.here.items() if version)
    missing = f" Not here: {', '.join(fleet.missing)}." if fleet.missing else ""
    head = HEAD.format(machine=about, versions=versions, missing=missing, rounds=arguments.rounds)
    progress("")
    if whole:
        (DOCS / "benchmarks.md").write_text(head + "".join(parts), encoding="utf-8")
        print(f"docs/benchmarks.md is written, after {(time.monotonic() - begin) / 60:.0f} minutes")
    else:
        print(head + "".join(parts))
    for (name, text), why in fleet.lacks.items():
        print(f"{name} lacks {text}: {why}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
