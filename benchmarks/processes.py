"""Measure whole processes: imports, a program that queues many small ops, submission."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

__all__ = ["imports", "queued", "submissions"]

IMPORT = """
import json, time
begin = time.perf_counter()
import MODULE
seconds = time.perf_counter() - begin
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps([seconds * 1e3, int(status["VmRSS"].split()[0]) / 1024]))
"""

QUEUED = """
import json, time
import numpy as np
from minitensor import Tensor, ops, runtime
x = Tensor(np.ones(1000, np.float32))
first = ops.host_call(lambda: time.sleep(1) or 0, [], shape=(), dtype="float32")
for _ in range(COUNT):
    y = x + 1
runtime.synchronize()
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps(int(status["VmHWM"].split()[0]) / 1024))
"""

# A host task that never ends holds the queue, so that only the calls themselves are measured.
SUBMITTED = """
import json, os, threading
from time import perf_counter
from minitensor import Tensor, float32, ops
def seconds(calls, *variants):
    times = [[] for _ in variants]
    for _ in range(30):
        for (call, x), some in zip(variants, times):
            t = x
            begin = perf_counter()
            for _ in range(calls):
                t = call(x, t)
            some.append((perf_counter() - begin) / calls)
    return [min(some) for some in times]
rows = Tensor([3, 1, 2])
calls = {
    "x + 1": lambda x, t: x + 1, "x.sum()": lambda x, t: x.sum(), "x[rows]": lambda x, t: x[rows],
    "x.copy()": lambda x, t: x.copy(), "x[1:]": lambda x, t: x[1:],
    "cumsum(x, 0)": lambda x, t: ops.cumsum(x, 0), "argsort(x)": lambda x, t: ops.argsort(x),
}
gate = threading.Event()
ops.host_call(lambda: gate.wait() or 0, [], shape=(), dtype="float32")
small, large, matrix = (ops.empty(n, dtype=float32) for n in (10**4, 10**8, (100, 100)))
found = {name: seconds(5, (call, large), (call, small)) for name, call in calls.items()}
found["T"] = seconds(10**4, (lambda x, t: t.T, matrix), (lambda x, t: x.T, matrix))
print(json.dumps(found), flush=True)
os._exit(0)
"""


def run(program: str, python: str = sys.executable, **environment: str) -> Any:
    # Without PYTHONDONTWRITEBYTECODE the first run writes bytecode, as an installation does.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [python, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={**kept, **environment},
    )
    return json.loads(done.stdout.splitlines()[-1])


def imports(
    rounds: int, modules: dict[str, str] | None = None, pythons: dict[str, str] | None = None
) -> dict[str, list[tuple[float, float]]]:
    """Return, for each module, the milliseconds and MiB of a process that imports it, per round."""
    modules = modules or {"minitensor": "minitensor", "numpy": "numpy"}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in modules}
    for i in range(rounds + 1):
        for name, module in modules.items():
            result = tuple(
                run(IMPORT.replace("MODULE", module), (pythons or {}).get(name, sys.executable))
            )
            if i:  # the first round reads the files and writes bytecode
                found[name].append(result)
    return found


def queued(count: int) -> float:
    """Return the peak memory, in MiB, of a program that queues `count` ops of 1,000 elements.

    Ops of that size would run inline.  The setting sends each op to the worker instead, and the
    worker starts late, so that the queue becomes full.
    """
    return run(QUEUED.replace("COUNT", str(count)), MINITENSOR_INLINE_ELEMENTS="0")


def submissions() -> dict[str, tuple[float, float]]:
    """Return the seconds that calls take while their work is queued: two figures for each.

    They are those on 10^8 and on 10^4 elements, for a view (`T`) those of a view of a view of 10^4
    others and of a view of one tensor.
    """
    environment = {"MINITENSOR_QUEUE_TASKS": "1000000", "MINITENSOR_QUEUE_BYTES": "1000000TB"}
    return {call: (a, b) for call, (a, b) in run(SUBMITTED, **environment).items()}
