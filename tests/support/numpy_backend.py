"""A backend as another package might have it: everything by NumPy, nothing in C.

It has a name, says what it lacks, and launches tasks.  Memory, streams, events and the fork
protocol come from the framework.
"""

from __future__ import annotations

import numpy as np

from minitensor.backend import Backend, Task
from minitensor.backend.host_tasks import numpy_function
from minitensor.dtype import DTYPES
from minitensor.optable import OPS

__all__ = ["NumPyBackend"]


class NumPyBackend(Backend):
    """A backend of two devices of 1 GiB each, without bfloat16."""

    name = "NumPy"
    dtypes = frozenset(dtype.name for dtype in DTYPES) - {"bfloat16"}

    def __init__(self) -> None:
        self.launched: list[str] = []  # what ran here, for the tests

    def device_count(self) -> int:
        return 2

    def capacity(self, index: int) -> int:
        return 2**30

    def launch(self, task: Task) -> None:
        self.launched.append(task.op)
        op = OPS.get(task.op)
        if op is None:  # a copy, a cast, or an op that is not in the table: the framework knows how
            task.reference()
            return
        assert task.compute is not None
        first = 1 if op.rule == "where" else 0
        with np.errstate(all="ignore"):
            operands = [
                a if i < first else a.astype(task.compute.numpy) for i, a in enumerate(task.inputs)
            ]
            np.copyto(
                task.outputs[0], numpy_function(op)(*operands, **task.params), casting="unsafe"
            )
