"""The documented programs, each in an interpreter of its own; the output must be equal."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LOG = "0.6931472\n"
PARENT = "parent process:ops.log(Tensor(2.0))= " + LOG
CHILD = "child process:ops.log(Tensor(2.0))= " + LOG
ELEMENT = "Tensor(shape=[], dtype=Float32, value= 0.693147)"
DOCUMENTED = {
    "1_process": "ops.log(Tensor(2.0))= " + LOG,
    "2_pool": f"ops.log(Tensor(2.0))= [{ELEMENT}, {ELEMENT}]\n",
    "3_queue": PARENT + CHILD,
    "4_ascend_fork": PARENT + CHILD,
    "5_ascend_spawn": CHILD + PARENT,
    "data_loader": "weights: [2.0, -1.0, 0.5]\nleft after 1 batch of epoch 40\n"
    "the rest of it: 7 batches\n",
}


@pytest.fixture
def run(tmp_path):
    """Run an example with devices of its own, so that tests side by side do not share them."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "MINITENSOR_ASCEND_LOCK_DIR": str(tmp_path)}
    return partial(run_example, environment)


def run_example(environment: dict[str, str], name: str) -> tuple[str, str, int]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / f"{name}.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout, done.stderr, done.returncode


@pytest.mark.parametrize("name", DOCUMENTED)
def test_documented_output(run, name):
    assert run(name) == (DOCUMENTED[name], "", 0)


def test_a_producer_that_exits_at_once_loses_nothing(run):
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as runners:
        outcomes = list(runners.map(run, ["3_queue"] * 8))
    wrong = [outcome for outcome in outcomes if outcome != (DOCUMENTED["3_queue"], "", 0)]
    assert not wrong, f"{len(wrong)} of 8, the first: {wrong[0]}"
