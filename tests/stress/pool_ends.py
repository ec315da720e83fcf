"""End pools while tasks run, again and again:  python tests/stress/pool_ends.py [METHOD ...] [-n N]

Exits with 1 when the process has more descriptors in the end than after the first rounds.  A round
that hangs is told by nothing but the time that it takes.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys

import minitensor.multiprocessing as mp


def one_round(context: mp.context.BaseContext) -> None:
    with context.Pool(2) as pool:
        next(pool.imap_unordered(abs, range(30)))


def main(methods: list[str], n: int) -> int:
    gc.disable()  # what a pool has is given back when it ends, not at some time later
    grown = 0
    for method in methods:
        context, files = mp.get_context(method), []
        for _ in range(n):
            one_round(context)
            files.append(len(os.listdir("/proc/self/fd")))
        print(
            f"{method}: {n} rounds; descriptors after each: {min(files)} to {max(files)}",
            flush=True,
        )
        grown += files[-1] > max(files[: n // 2 + 1])
    return grown


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("methods", nargs="*", default=mp.get_all_start_methods())
    parser.add_argument("-n", type=int, default=300)
    given = parser.parse_args()
    sys.exit(main(given.methods, given.n))
