"""Importing the package changes nothing in the process but its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, os, sys, threading, signal
import numpy, ml_dtypes, cffi  # what they do at their import is theirs
def state():
    return {
        "threads": sorted(os.listdir("/proc/self/task")),
        "python threads": threading.active_count(),
        "descriptors": sorted((n, os.readlink(f"/proc/self/fd/{n}")) for n in os.listdir("/proc/self/fd")
                              if os.path.exists(f"/proc/self/fd/{n}")),
        "children": open(f"/proc/self/task/{os.getpid()}/children").read(),
        "environment": dict(os.environ),
        "signals": [str(signal.getsignal(s)) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)],
        "folder": os.getcwd(),
    }
before = state()
modules = set(sys.modules)
import minitensor
after = state()
standard = [m for m in set(sys.modules) - modules if m.split(".")[0] in ("multiprocessing", "asyncio", "subprocess")]
print(json.dumps({"before": before, "after": after, "standard": standard, "all": sorted(set(sys.modules) - modules)}))
"""


def python(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="it looks into Linux's /proc")
def test_import_starts_and_opens_nothing():
    seen = json.loads(python(PROGRAM))
    assert seen["after"] == seen["before"]
    assert seen["standard"] == []
    assert not [name for name in seen["all"] if name.startswith("minitensor.multiprocessing")]  # on demand


def test_import_makes_no_device_busy(tmp_path):
    python("import minitensor", MINITENSOR_DEVICE_TARGET="Ascend", MINITENSOR_ASCEND_LOCK_DIR=str(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", ["minitensor", "minitensor.ops", "minitensor.multiprocessing", "minitensor.fork", "minitensor.tensor"])
def test_each_module_may_be_the_first(module):
    assert python(f"import {module}, minitensor; print(minitensor.ops.log(minitensor.Tensor(2.0)))") == "0.6931472\n"


def test_public_names_are_there():
    names = json.loads(python("import json, minitensor as m; print(json.dumps([n for n in m.__all__ if not hasattr(m, n)]))"))
    assert names == []
