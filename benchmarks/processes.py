"""Measure whole processes: imports, and a program that queues many small ops."""

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
