"""Measure the transfer of tensors between processes, beside the standard package and torch.

    python benchmarks/transport.py [--rounds 5] [--limits] [--page]

Round trip: a value goes through a queue to a process that puts it on another queue.  "shared" sends
the same tensor each time; "fresh" makes a new tensor for each trip, outside the measured time.
Consumers: that many processes get 1 MiB tensors from one queue.  Stream: four workers make batches
of 4 MiB, and one process gets them.

Each row runs in a process of its own.  The packages take turns, so that a slow moment of the
machine affects all of them.  Figures are medians of the rounds.  torch is optional.  --page writes
the table, the limits and a picture to docs/transport.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
HEAD = """\
# The time of a transfer

Measured by `make bench-transport`: {machine}.
In a round trip a tensor goes through a queue to another process and back. "Shared" sends the same
tensor each time, "fresh" a new tensor. [sharing.md](sharing.md) describes the guarantees.
"""
SIZES = [4, 1 << 10, 1 << 14, 1 << 17, 1 << 20, 1 << 24, 1 << 27, 1 << 29]


def text(size: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024 or unit == "MiB":
            return f"{size:g} {unit}"
        size /= 1024
    return ""


# --- in the process of a row ----------------------------------------------------------------------
def package_of(name: str) -> tuple[Any, Any]:
    """Return a multiprocessing package, and a function that makes a tensor of n bytes."""
    import numpy as np

    if name == "torch":
        import torch
        import torch.multiprocessing

        torch.set_num_threads(1)
        return torch.multiprocessing, lambda n: torch.ones(n // 4)
    if name == "minitensor":
        import minitensor.multiprocessing
        from minitensor import Tensor

        return minitensor.multiprocessing, lambda n: Tensor(np.ones(n // 4, np.float32))
    import multiprocessing

    return multiprocessing, lambda n: np.ones(n // 4, np.float32)


def echo(questions: Any, answers: Any) -> None:
    while (message := questions.get()) is not None:
        answers.put(message)
        del message


def round_trip(name: str, size: int, fresh: bool) -> float:
    package, make = package_of(name)
    context = package.get_context("fork")
    questions, answers = context.Queue(), context.Queue()
    process = context.Process(target=echo, args=(questions, answers))
    process.start()
    value = make(size) if size else (1, "small")
    times: list[float] = []
    start = time.perf_counter()
    while len(times) < 3 or (
        time.perf_counter() - start < (0.7 if len(times) >= 20 else 2 if len(times) >= 8 else 10)
        and len(times) < 300
    ):
        if fresh and size:
            value = make(size)
        begin = time.perf_counter()
        questions.put(value)
        back = answers.get()
        times.append(time.perf_counter() - begin)
        del back
    questions.put(None)
    process.join()
    return statistics.median(times[2:]) * 1e6


def work(name: str, count: int, size: int, queue: Any, done: Any) -> None:
    _, make = package_of(name)
    for _ in range(count):
        queue.put(make(size))
    done.wait()  # torch's tensors end with the process that made them


def stream(name: str) -> float:
    package, _ = package_of(name)
    context = package.get_context("fork")
    queue, done, count = context.Queue(8), context.Event(), 40
    workers = [
        context.Process(target=work, args=(name, count, 4 << 20, queue, done)) for _ in range(4)
    ]
    begin = time.perf_counter()
    for worker in workers:
        worker.start()
    total = 0.0
    for _ in range(4 * count):
        total += float(queue.get()[0])
    elapsed = time.perf_counter() - begin
    done.set()
    for worker in workers:
        worker.join()
    assert total == 4 * count
    return elapsed / (4 * count) * 1e6


def take(queue: Any, answers: Any) -> None:
    n = 0
    while queue.get() is not None:
        n += 1
    answers.put(n)


def consumers(name: str, number: int) -> float:
    package, make = package_of(name)
    context = package.get_context("fork")
    queue, answers = context.Queue(), context.Queue()
    processes = [context.Process(target=take, args=(queue, answers)) for _ in range(number)]
    for process in processes:
        process.start()
    value, count = make(1 << 20), 300
    begin = time.perf_counter()
    for _ in range(count):
        queue.put(value)
    for _ in processes:
        queue.put(None)
    assert sum(answers.get() for _ in processes) == count
    elapsed = time.perf_counter() - begin
    for process in processes:
        process.join()
    return elapsed / count * 1e6


ROWS: dict[str, tuple[Any, ...]] = {"a small tuple": (round_trip, 0, False)}
for _size in SIZES:
    ROWS[f"{text(_size)}, shared"] = (round_trip, _size, False)
    ROWS[f"{text(_size)}, fresh"] = (round_trip, _size, True)
for _number in (1, 2, 4, 8):
    ROWS[f"1 MiB to {_number} consumers, each"] = (consumers, _number)
ROWS["stream of 4 MiB batches, each"] = (stream,)

LIMITS = [  # row, the other package, its row, the largest ratio
    ("a small tuple", "standard", "a small tuple", 0.6),
    ("1 MiB, shared", "torch", "1 MiB, shared", 0.15),
    ("1 MiB, fresh", "torch", "1 MiB, fresh", 0.1),
    ("512 MiB, shared", "minitensor", "1 MiB, shared", 1.3),
    ("stream of 4 MiB batches, each", "torch", "stream of 4 MiB batches, each", 0.2),
]


# --- all rows -------------------------------------------------------------------------------------
def run_row(row: str, name: str) -> float | None:
    """Return a row's figure from a process of its own; print the failure and return None."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--row", row, "--package", name], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        out, complaint = process.communicate(timeout=300)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)  # with the processes that it started
        process.wait()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        out, complaint = "", "no result in five minutes"
    if process.returncode == 0:
        return float(json.loads(out.splitlines()[-1]))
    print(f"{row}, {name}: fails: {complaint.strip().splitlines()[-1:]}", file=sys.stderr)
    return None


def measure(rounds: int, packages: list[str], limits: bool) -> dict[str, dict[str, float]]:
    needed = {
        pair
        for row, other, reference, _ in LIMITS
        for pair in ((row, "minitensor"), (reference, other))
    }
    rows = {row: [name for name in packages if not limits or (row, name) in needed] for row in ROWS}
    found: dict[str, dict[str, list[float]]] = {
        row: {name: [] for name in names} for row, names in rows.items() if names
    }
    for i in range(rounds):
        for row in found:
            for name in found[row]:
                if name == "standard" and ("128 MiB" in row or "512 MiB" in row) and i > 0:
                    continue  # each takes seconds
                result = run_row(row, name)
                if result is not None:
                    found[row][name].append(result)
            print(f"\rround {i + 1} of {rounds}: {row:40}", end="", file=sys.stderr)
    print(file=sys.stderr)
    return {
        row: {name: statistics.median(times) for name, times in names.items() if times}
        for row, names in found.items()
    }


def table(found: dict[str, dict[str, float]], packages: list[str]) -> str:
    lines = ["| microseconds | " + " | ".join(packages) + " |", "|---|" + "---:|" * len(packages)]
    for row, figures in found.items():
        cells = [f"{figures[name]:,.0f}" if name in figures else "–" for name in packages]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def verdicts(
    found: dict[str, dict[str, float]], packages: list[str]
) -> list[tuple[str, float, float]]:
    """Return the limits: the comparison, the ratio, and its maximum."""
    return [
        (f"{row}: share of {other}'s {'time for the same' if row == reference else reference}",
         found[row]["minitensor"] / found[reference][other], limit)
        for row, other, reference, limit in LIMITS
        if other in packages and other in found[reference]
    ]  # fmt: skip


def write_page(found: dict[str, dict[str, float]], packages: list[str], machine: str) -> None:
    plot(found, packages, ROOT / "docs" / "transport.svg")
    rows = "".join(
        f"| {what} | {ratio:.3f} | {limit} | {'yes' if ratio <= limit else 'no'} |\n"
        for what, ratio, limit in verdicts(found, packages)
    )
    limits = "| limit | measured | at most | holds |\n|---|---:|---:|---|\n" + rows
    picture = "![Round trips by size](transport.svg)"
    page = f"{HEAD.format(machine=machine)}\n{picture}\n\n{table(found, packages)}\n\n{limits}"
    (ROOT / "docs" / "transport.md").write_text(page, encoding="utf-8")


def plot(found: dict[str, dict[str, float]], packages: list[str], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5))
    for name in packages:
        for kind, style in (("shared", "-"), ("fresh", "--")):
            points = [(size, found[f"{text(size)}, {kind}"].get(name)) for size in SIZES]
            points = [(size, time) for size, time in points if time is not None]
            axes.plot(
                *zip(*points),
                style,
                marker="o",
                label=f"{name}, {kind}",
                color=f"C{packages.index(name)}",
            )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="bytes of the tensor",
        ylabel="round trip, microseconds",
        title="A tensor through a queue to another process and back",
    )
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, metadata={"Date": None})


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limits", action="store_true", help="only the rows that have a limit")
    parser.add_argument(
        "--page", action="store_true", help="write docs/transport.md; needs matplotlib"
    )
    parser.add_argument("--row", help=argparse.SUPPRESS)
    parser.add_argument("--package", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.row:
        function, *rest = ROWS[arguments.row]
        print(json.dumps(function(arguments.package, *rest)))
        return 0
    packages = ["standard", "minitensor"] + ["torch"] * (
        importlib.util.find_spec("torch") is not None
    )
    found = measure(arguments.rounds, packages, arguments.limits)
    machine = (
        f"CPython {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores, "
        f"medians of {arguments.rounds} rounds"
    )
    print(f"{machine}\n\n{table(found, packages)}\n")
    for what, ratio, limit in verdicts(found, packages):
        print(f"{what}: {ratio:.3f}, at most {limit}: {'holds' if ratio <= limit else 'EXCEEDED'}")
    if arguments.page:
        write_page(found, packages, machine)
    return 0


if __name__ == "__main__":
    sys.exit(main())
