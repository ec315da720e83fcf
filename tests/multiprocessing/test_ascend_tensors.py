"""A tensor on a device does not travel: the sender is told so at the call, and how to send it."""

from __future__ import annotations

import concurrent.futures
import multiprocessing as standard
import pickle
from typing import Any

import pytest
from targets import identity

import minitensor.multiprocessing as multiprocessing
from minitensor import Tensor

REFUSED = r"^\[pickle\] a tensor on Ascend:0 can't travel.*t\.to\(\"CPU\"\)"


@pytest.mark.parametrize(
    "make",
    [multiprocessing.Queue, multiprocessing.JoinableQueue, multiprocessing.SimpleQueue],
    ids=lambda m: m.__name__,
)
def test_the_put_raises_and_the_queue_goes_on(make: Any) -> None:
    queue, t = make(), Tensor([1.0], device="Ascend")
    for value in (t, [t], {"a": (1, t)}):
        with pytest.raises(TypeError, match=REFUSED):
            queue.put(value)
    queue.put(t.to("CPU"))
    assert queue.get().tolist() == [1.0]


def test_pipes_pools_and_executors() -> None:
    t = Tensor([1.0], device="Ascend")
    reader, writer = multiprocessing.Pipe()
    with pytest.raises(TypeError, match=REFUSED):
        writer.send(t)
    writer.send(t.to("CPU"))
    assert reader.recv().tolist() == [1.0]
    context = multiprocessing.get_context("fork")
    with context.Pool(1) as pool:
        for call in (lambda: pool.apply(identity, (t,)), lambda: pool.map(identity, [t])):
            with pytest.raises(TypeError, match=REFUSED):
                call()
        assert pool.apply(identity, (t.to("CPU"),)).tolist() == [1.0]
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as executor:
        with pytest.raises(TypeError, match=REFUSED):
            executor.submit(identity, t).result()
    for dumps in (pickle.dumps, standard.reduction.ForkingPickler.dumps):
        with pytest.raises(TypeError, match=REFUSED):
            dumps(t)


def test_process_arguments_under_spawn() -> None:
    process = multiprocessing.get_context("spawn").Process(
        target=identity, args=(Tensor([1.0], device="Ascend"),)
    )
    with pytest.raises(TypeError, match=REFUSED):
        process.start()
