"""Many Ctrl-C while messages are put, received and pickled:  python tests/stress/storm.py [-n N]

Values are right, and when the queues are gone nothing is left in the shared memory.  Exits with 1
if not.
"""

from __future__ import annotations

import argparse
import gc
import random
import signal
import sys
from typing import Any

import numpy as np

import minitensor.multiprocessing as mp
from minitensor import Tensor


def messages() -> list[tuple[Any, float]]:
    """Return what travels, and the sum of its numbers."""
    tensor = Tensor(np.full(50_000, 2.0, np.float32))
    return [
        ((1, 2), 3.0),
        (tensor, 1e5),
        ([tensor[:30_000], tensor[20_000:]], 1.2e5),
        (np.ones(20_000, np.float32), 2e4),
        ([np.ones(20_000, np.float32), tensor], 1.2e5),
    ]


def total(thing: Any) -> float:
    return (
        sum(map(total, thing))
        if isinstance(thing, (list, tuple))
        else float(np.asarray(thing, np.float64).sum())
    )


def put(queue: Any, message: Any) -> None:
    queue.put(message)


def get(queue: Any) -> Any:
    return queue.get()


interrupts = 0


def strike(number: int, frame: Any) -> None:
    """Raise where a message is put or received; what the test itself does is spared."""
    global interrupts
    while frame is not None and frame.f_code not in (put.__code__, get.__code__):
        frame = frame.f_back
    if frame is not None:
        interrupts += 1
        raise KeyboardInterrupt


def step(queue: Any, sent: list[tuple[Any, float]]) -> None:
    """One put and one get, each of which may be interrupted."""
    obj, value = random.choice(sent)
    if obj.__class__ is Tensor and random.random() < 0.5:
        obj = obj.copy()  # moves into the shared memory on its journey
    if queue.empty():
        try:
            put(queue, (obj, value))
        except KeyboardInterrupt:
            pass
    if not queue.empty():
        try:
            got, expected = get(queue)
        except KeyboardInterrupt:
            return
        assert total(got) == expected, (total(got), expected)


def main(n: int) -> int:
    context = mp.get_context("fork")
    queues, sent = (
        [context.Queue(2), context.Queue(), context.JoinableQueue(2), context.SimpleQueue()],
        messages(),
    )
    keep = context.Queue()  # has the shared memory made, and outlives the others
    for message in sent:
        keep.put(message)
        keep.get()
    gc.collect()
    base = mp.sharing_stats()
    channels = base["channels"] - len(queues)
    signal.signal(signal.SIGALRM, strike)
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.003)
    while interrupts < n:
        step(random.choice(queues), sent)
    signal.setitimer(signal.ITIMER_REAL, 0)
    for queue in queues:
        while not queue.empty():
            queue.get()
    places = sum(queue.qsize() for queue in queues[:3])
    now = mp.sharing_stats()["in_flight"]
    del queue
    queues.clear()
    gc.collect()
    after = mp.sharing_stats()
    left = {name: after[name] - base[name] for name in ("blocks", "in_flight")} | {
        "channels": after["channels"] - channels
    }
    print(
        f"{interrupts} interrupts; places lost: {places}; in flight before the queues went: {now}; "
        f"left: {left}"
    )
    return int(bool(places or any(value > 0 for value in left.values())))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=2000)
    sys.exit(main(parser.parse_args().n))
