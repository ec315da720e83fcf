"""A family's shared memory in the tests: large tensors, statistics, and the arena's invariants."""

from __future__ import annotations

import gc
import os
import pickle

import numpy as np

import minitensor.multiprocessing as mp
from minitensor import Tensor
from minitensor.backend.core import ffi, lib
from minitensor.multiprocessing.reductions import dumps

LARGE = 50_000  # float32: more than travels inside a message


def large(value: float = 1.0) -> Tensor:
    """Return a tensor that travels in the shared memory."""
    return Tensor(np.full(LARGE, value, np.float32))


def in_arena(value: float) -> Tensor:
    """Return a tensor with its storage in the shared memory."""
    return pickle.loads(dumps(large(value)))


def stats() -> dict[str, int]:
    """Return the statistics of the shared memory after a garbage collection."""
    gc.collect()
    return mp.sharing_stats()


def faults() -> str:
    """Return the invariants of the arena that do not hold, as text; empty when all hold."""
    text = ffi.new("char[4096]")
    lib.mt_arena_check(text, 4096)
    return ffi.string(text).decode()


def own_family() -> dict[str, str]:
    """Return an environment in which a program founds a family of its own."""
    return {name: value for name, value in os.environ.items() if name != "MINITENSOR_ARENA_AT"}
