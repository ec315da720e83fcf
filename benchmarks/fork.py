"""Measure the cost of a fork, and the time to the first result of a child.

    python benchmarks/fork.py [--runs 15]

Latency is the time of `os.fork()` in the parent: for a bare interpreter, for one with NumPy, and
for one with minitensor and 0, 100 and 1,000 live tensors (of 1,000 float32).  A last row computes
before each fork, so that the fork joins a worker thread.  "Start to first result" is the time from
`Process.start()` to the arrival of the number that the child computed, under each start method, for
minitensor and for NumPy.

Each row runs in a process of its own.  The rows take turns, so that a slow moment of the machine
affects all rows.  Figures are medians.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

LATENCY = """
import json, os, sys, time
SETUP
def one():
    BEFORE
    begin = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    latency = time.perf_counter() - begin
    os.waitpid(pid, 0)
    return latency
one()
print(json.dumps(sorted(one() for _ in range(50))[25] * 1e6))
"""
NUMPY = "import numpy as np"
OURS = "import numpy as np, minitensor as mt; from minitensor import Tensor, ops"
TENSORS = "; kept = [Tensor(np.ones(1000, np.float32)) for _ in range({})]"
ROWS = {  # the setup, and the code before each fork
    "bare interpreter": ("", "pass"),
    "numpy": (NUMPY, "pass"),
    "minitensor, 0 tensors": (OURS, "pass"),
    "minitensor, 100 tensors": (OURS + TENSORS.format(100), "pass"),
    "minitensor, 1,000 tensors": (OURS + TENSORS.format(1000), "pass"),
    "minitensor, a thread to join": (
        OURS + "; x = Tensor(np.ones(100_000, np.float32))",
        "ops.exp(x).asnumpy()",
    ),
}

FIRST = """
import json, multiprocessing, sys, time
def child(connection):
    CHILD
    connection.send(value)
if __name__ == "__main__":
    METHOD_SETUP
    context = multiprocessing.get_context(sys.argv[1])
    times = []
    for _ in range(4):
        ours, theirs = context.Pipe(duplex=False)
        begin = time.perf_counter()
        process = context.Process(target=child, args=(theirs,))
        process.start()
        assert ours.recv() > 2.7
        times.append(time.perf_counter() - begin)
        process.join()
    print(json.dumps(sorted(times[1:])[1] * 1e6))
"""
CHILDREN = {
    "numpy": (NUMPY, "value = float(np.exp(np.ones(1))[0])"),
    "minitensor": ("from minitensor import Tensor, ops", "value = float(ops.exp(Tensor([1.0])))"),
}


def run(program: str, *arguments: str) -> float:
    path = ROOT / "build" / "benchmark.py"
    path.parent.mkdir(exist_ok=True)
    path.write_text(program)
    done = subprocess.run(
        [sys.executable, path, *arguments], capture_output=True, text=True, cwd=ROOT, check=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    return float(json.loads(done.stdout))


def main(runs: int) -> None:
    programs = {name: (LATENCY.replace("SETUP", setup).replace("BEFORE", before), ())
                for name, (setup, before) in ROWS.items()}  # fmt: skip
    for method in ("fork", "forkserver", "spawn"):
        for name, (setup, child) in CHILDREN.items():
            preload = {
                "fork": setup,
                "forkserver": "multiprocessing.set_forkserver_preload([])",
                "spawn": "pass",
            }[method]
            text = FIRST.replace("METHOD_SETUP", preload).replace("CHILD", f"{setup}; {child}")
            programs[f"{method}, {name}: start to first result"] = (text, (method,))
    times: dict[str, list[float]] = {name: [] for name in programs}
    for i in range(runs):
        for name, (text, arguments) in programs.items():
            times[name].append(run(text, *arguments))
        print(f"\r{i + 1} of {runs} rounds", end="", file=sys.stderr)
    print(file=sys.stderr)
    print(
        f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}"
        f", medians of {runs} rounds, microseconds"
    )
    bare = statistics.median(times["bare interpreter"])
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:45} {median:10.0f}   {median / bare:6.2f} x a bare fork")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--runs", type=int, default=15)
    main(parser.parse_args().runs)
