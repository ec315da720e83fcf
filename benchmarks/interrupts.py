"""Measure the time from Ctrl-C to KeyboardInterrupt in each wait of `tests/support/waits.py`.

    python benchmarks/interrupts.py [--runs 9]

Each measurement runs in a process of its own; the signal arrives while its main thread waits.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

import waits  # noqa: E402


def main(runs: int) -> None:
    times: dict[str, list[float]] = {kind: [] for kind in waits.KINDS}
    for i in range(runs):
        for kind, values in times.items():
            done = subprocess.run(
                [sys.executable, ROOT / "tests" / "support" / "waits.py", kind],
                capture_output=True,
                text=True,
                check=True,
            )
            values.append(float(done.stdout))
        print(f"\r{i + 1} of {runs} rounds", end="", file=sys.stderr)
    print(file=sys.stderr)
    print(
        f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}"
        f", {runs} rounds, milliseconds"
    )
    print(f"{'':45} {'median':>8} {'most':>8}")
    for kind, values in times.items():
        print(f"{kind:45} {statistics.median(values):8.1f} {max(values):8.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    main(parser.parse_args().runs)
