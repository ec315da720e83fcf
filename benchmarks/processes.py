"""What whole processes take: imports, and a program that queues many small ops."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

__all__ = ["imports", "queued"]

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


def run(program: str, python: str = sys.executable, **environment: str) -> Any:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}  # as what is installed, it is compiled once
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, check=True, env={**kept, **environment})
    return json.loads(done.stdout.splitlines()[-1])


def imports(rounds: int, modules: dict[str, str] | None = None, pythons: dict[str, str] | None = None) -> dict[str, list[tuple[float, float]]]:
    """For each module milliseconds and MiB of a process that imports it, a pair for each round; None where it can't be imported."""
    modules = modules or {"minitensor": "minitensor", "numpy": "numpy"}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in modules}
    for i in range(rounds + 1):
        for name, module in modules.items():
            result = tuple(run(IMPORT.replace("MODULE", module), (pythons or {}).get(name, sys.executable)))
            if i:  # the first has the files read, and compiled
                found[name].append(result)
    return found


def queued(count: int) -> float:
    """MiB that a program takes at most that queues so many ops of 1,000 elements.

    Ops of that size would run at their call, and so each is sent to the worker thread here, which begins late: the queue becomes full.
    """
    return run(QUEUED.replace("COUNT", str(count)), MINITENSOR_INLINE_ELEMENTS="0")
