"""Each test of this folder leaves no process, no descriptor and no shared memory behind."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker

import pytest


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


@pytest.fixture(autouse=True, scope="session")
def family_is_there() -> None:
    """Open what is opened once: the arena, and the first block of the standard heap."""
    import minitensor.dataset as ds

    rows = ds.NumpySlicesDataset([1, 2], num_parallel_workers=2).create_tuple_iterator(num_epochs=1)
    list(rows)


@pytest.fixture(autouse=True)
def nothing_is_left(family_is_there: None, request: pytest.FixtureRequest) -> Iterator[None]:
    from family import faults

    from minitensor.dataset import config
    from minitensor.multiprocessing import sharing_stats

    if "ctx" in request.fixturenames:  # the helpers of spawn and forkserver stay
        resource_tracker.ensure_running()
        if request.getfixturevalue("ctx").get_start_method() == "forkserver":
            forkserver.ensure_running()
    gc.collect()
    before = sharing_stats()["blocks"], descriptors()
    seed = config._seed
    yield
    config._seed = seed
    gc.collect()
    assert multiprocessing.active_children() == []
    assert (sharing_stats()["blocks"], descriptors()) <= before
    assert sharing_stats()["in_flight"] == 0
    assert faults() == ""
