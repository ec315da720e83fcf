"""Measure the data loader beside torch's: the time of a batch, and what 200 epochs leave behind.

    python benchmarks/loader.py [--rounds 5] [--workers 2 4] [--json]

Both loaders read the same source with the same number of worker processes: batches of 64 KB (16
samples of 4 KB) and of 38 MB (64 images of 3 x 224 x 224 float32).  "free" samples are views of an
array in memory; "decoded" ones unpack 64 KB or 256 KB first (some 0.4 and 1.5 ms).  The consumer
only takes the batches.

Each measurement runs in a process of its own, and the loaders take turns, so that a slow moment of
the machine affects both.  The time of a batch is the least over blocks of batches and rounds.  The
time "of cores" is what all threads of the program and its workers need for a batch; it says more on
a machine that does other work.  torch is optional.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).resolve().parent.parent


class Case(NamedTuple):
    name: str
    batch: int  # samples
    shape: tuple[int, ...]
    packed: int  # bytes that a sample unpacks, as an image does; 0 for none
    batches: int  # of a measurement


CASES = [
    Case("64 KB, free", 16, (1024,), 0, 1000),
    Case("64 KB, decoded", 16, (1024,), 1 << 16, 400),
    Case("38 MB, free", 64, (3, 224, 224), 0, 30),
    Case("38 MB, decoded", 64, (3, 224, 224), 1 << 18, 20),
]


class Source:
    def __init__(self, case: Case) -> None:
        self.case = case
        noise = np.random.default_rng(1).integers(0, 16, case.packed, np.uint8)
        self.packed = zlib.compress(noise.tobytes())
        self.data = np.ones((min(case.batch, 64), *case.shape), np.float32)

    def __len__(self) -> int:
        return self.case.batch * self.case.batches

    def __getitem__(self, index: int) -> Any:
        if self.case.packed:
            zlib.decompress(self.packed)
        return self.data[index % len(self.data)]


# --- in the process of a measurement --------------------------------------------------------------
def batches(package: str, case: Case, workers: int) -> Any:
    """Return an iterator over the batches of one epoch."""
    source = Source(case)
    if package == "torch":
        import torch

        torch.set_num_threads(1)
        return iter(torch.utils.data.DataLoader(source, case.batch, num_workers=workers))
    import minitensor.dataset as ds

    data = ds.GeneratorDataset(source, "x", shuffle=False, num_parallel_workers=workers)
    return data.batch(case.batch).create_tuple_iterator(num_epochs=1)


def cpu_seconds() -> float:
    """Return the time that all threads of this process and of its children had a core."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    tasks = [task for pid in ("self", *children) for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def measure(package: str, case: Case, workers: int) -> tuple[float, float]:
    """Return the microseconds of a batch, and those of all processes' cores for it.

    The first is the least over blocks of a twentieth of the epoch.
    """
    rows = batches(package, case, workers)
    for _ in range(2 * workers):  # the workers have started
        next(rows)
    block, found, cores = max(case.batches // 20, 2 * workers), [], []
    while True:
        begin, before = time.perf_counter(), cpu_seconds()
        for _ in range(block):
            if next(rows, None) is None:
                return min(found) * 1e6, sum(cores) / len(cores) * 1e6
        found.append((time.perf_counter() - begin) / block)
        cores.append((cpu_seconds() - before) / block)


def epochs(count: int = 200) -> dict[str, list[int]]:
    """Return descriptors, blocks of shared memory and resident KB in each tenth of the epochs."""
    import minitensor.dataset as ds
    from minitensor.multiprocessing import sharing_stats

    source = Source(CASES[0]._replace(batches=8))
    data = ds.GeneratorDataset(source, "x", num_parallel_workers=2).batch(16)
    found: dict[str, list[int]] = {"descriptors": [], "blocks": [], "resident KB": []}
    rows = data.create_tuple_iterator(num_epochs=count)
    for epoch in range(count):
        for _ in rows:
            pass
        if epoch % (count // 10) == count // 20:
            found["descriptors"].append(len(os.listdir("/proc/self/fd")))
            found["blocks"].append(sharing_stats()["blocks"])
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            found["resident KB"].append(pages * os.sysconf("SC_PAGE_SIZE") // 1024)
    return found


# --- the comparison -------------------------------------------------------------------------------
def in_a_process(*arguments: str) -> Any:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, __file__, "--one", *arguments],
        capture_output=True, text=True, env=environment, timeout=300,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def compare(rounds: int, workers: list[int]) -> list[dict[str, Any]]:
    """Return the least times for each case, number of workers and loader."""
    packages = ["minitensor", *(["torch"] if importlib.util.find_spec("torch") else [])]
    found = []
    for case in CASES:
        for count in workers:
            times: dict[str, list[list[float]]] = {name: [] for name in packages}
            for _ in range(rounds):
                for name in packages:
                    times[name].append(in_a_process(name, case.name, str(count)))
            least = {name: [min(each) for each in zip(*times[name])] for name in packages}
            found.append({"batch": case.name, "workers": count, **least})
    return found


HEAD = """\
| batch | workers | minitensor, us | torch | share | minitensor, us of cores | torch | share |
|---|---:|---:|---:|---:|---:|---:|---:|"""


def table(rows: list[dict[str, Any]]) -> str:
    lines = [HEAD]
    for row in rows:
        cells = [row["batch"], str(row["workers"])]
        for ours, theirs in zip(row["minitensor"], row.get("torch", (None, None))):
            cells.append(f"{ours:,.0f}")
            cells += ["–", "–"] if theirs is None else [f"{theirs:,.0f}", f"{ours / theirs:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one == ["epochs"]:
        print(json.dumps(epochs()))
    elif given.one:
        package, name, workers = given.one
        (case,) = (case for case in CASES if case.name == name)
        print(json.dumps(measure(package, case, int(workers))))
    else:
        rows, left = compare(given.rounds, given.workers), in_a_process("epochs")
        if given.json:
            print(json.dumps({"batches": rows, "200 epochs": left}))
            return
        print(table(rows), "\n\nAfter each 20 of 200 epochs:")
        for name, values in left.items():
            print(f"{name}: {', '.join(map(str, values))}")


if __name__ == "__main__":
    main()
