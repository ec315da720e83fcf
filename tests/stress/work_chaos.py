"""Fault the workers of pools and executors at random, and count every task.

    python tests/stress/work_chaos.py [-n FAULTS] [--seed SEED] [METHOD ...]

Rounds of calls run in a pool or an executor: each way to call, chunks, time limits, a new worker
for each task, cancels, early ends, nested pools. Meanwhile tasks kill, stop, crash, exit, slow down
and run out of memory, arguments and results fail to pickle and to unpickle, and a thread kills
workers, idle or busy, from outside. Each task notes in a file that it began. The program exits with
1 when

* a task has no outcome, or two, or another one than its fault allows;
* a task began twice, or one that gave a value began not at all;
* a call waits longer than a minute;
* in the end a process, a descriptor or a block of shared memory is left.

The seed decides the order of the faults; which task a kill from outside meets, time decides.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import gc
import os
import random
import signal
import sys
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import numpy as np
import pool_targets

import minitensor.multiprocessing as mp
from minitensor import Tensor
from minitensor.multiprocessing.pool import MaybeEncodingError

LIMIT = 60  # seconds for any wait
SLOW = 0.002


class Unpicklable:
    def __reduce__(self) -> Any:
        raise LookupError("cannot be pickled")


class FailsToUnpickle:
    """Can't be unpickled where it arrives: with `there`, in another process than its maker's."""

    def __reduce__(self) -> Any:
        return _refuse, ()


def _refuse() -> None:
    raise LookupError("cannot be unpickled")


def _slow() -> None:
    time.sleep(SLOW)


def _raise() -> None:
    raise LookupError("raised")


def _raise_unpicklable() -> None:
    raise LookupError(Unpicklable())


def _give(kind: type) -> Any:
    return kind()


#: by name: what the task calls, its argument, and what it may raise; None: it gives a value
FAULTS: dict[str, tuple[Any, tuple[Any, ...], tuple[type[BaseException], ...] | None]] = {
    "kill": (pool_targets.killed, (), (mp.WorkerLostError,)),
    "exit": (pool_targets.leaves, (), (mp.WorkerLostError,)),
    "sys.exit": (pool_targets.exits, (), (mp.WorkerLostError,)),
    "abort": (pool_targets.aborts, (), (mp.WorkerLostError,)),
    "crash": (pool_targets.crashes, (), (mp.WorkerLostError,)),
    "interrupt": (pool_targets.interrupted, (), (mp.WorkerLostError,)),
    "stop": (pool_targets.stop, (), (mp.TaskTimeoutError,)),
    "memory": (pool_targets.out_of_memory, (1 << 30,), (MemoryError,)),
    "raise": (_raise, (), (LookupError,)),
    "raise unpicklable": (_raise_unpicklable, (), (MaybeEncodingError,)),
    "argument": (abs, (Unpicklable(),), (LookupError,)),
    "argument, there": (abs, (FailsToUnpickle(),), (LookupError,)),
    "result": (_give, (Unpicklable,), (MaybeEncodingError,)),
    "result, here": (_give, (FailsToUnpickle,), (LookupError,)),
    "slow": (_slow, (), None),
}


def begin(path: str, number: int, function: Any, args: tuple[Any, ...], load: Any) -> Any:
    """Note that a task began; then have its fault, if it has one."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(handle, b"%d\n" % number)
    os.close(handle)
    value = None if function is None else function(*args)
    return number if value is None else value


def begin_each(path: str, tasks: list[Any]) -> Any:
    return [begin(path, *task) for task in tasks]


class Round:
    """Some calls of one pool; the outcome of each task, by its number."""

    def __init__(self, rng: random.Random, method: str, path: str, faults: int) -> None:
        self.rng, self.path = rng, path
        self.context = mp.get_context(method)
        self.outcomes: dict[int, list[Any]] = collections.defaultdict(list)
        self.tasks: dict[int, tuple[str | None, Any]] = {}
        self.killed_outside = self.ended_early = False
        names = [rng.choice([*FAULTS]) for _ in range(faults)]
        things: list[str | None] = [*names, *[None] * rng.randrange(faults, 4 * faults)]
        rng.shuffle(things)
        self.things = things
        open(path, "w").close()

    def task(self, name: str | None) -> tuple[Any, ...]:
        number = len(self.tasks)
        function, args, may = FAULTS[name] if name else (None, (), None)
        self.tasks[number] = name, may
        load = self.rng.choice([None, b"x" * 3000, Tensor(np.ones(30_000, np.float32))])
        return number, function, args, load

    def note(self, number: int, get: Any) -> None:
        try:
            value = get()
        except BaseException as error:  # noqa: BLE001
            value = error
        self.outcomes[number].append(value)

    def run_pool(self, size: int, each: int | None) -> None:
        with self.context.Pool(size, maxtasksperchild=each) as pool:
            outside = Killer(pool, self.rng.random() < 0.5, self.rng.randrange(1 << 30))
            calls = []
            things = [*self.things]
            while things:
                some = [self.task(things.pop()) for _ in range(min(len(things), 9))]
                stops = any(self.tasks[task[0]][0] == "stop" for task in some)
                limit = 1.0 if stops else None
                way = self.rng.choice(["apply", "imap", "imap_unordered", "iterator"])
                if way == "apply":
                    for task in some:
                        call = pool.apply_async(begin, (self.path, *task), task_timeout=limit)
                        calls.append((task[0], call))
                elif way == "imap_unordered":
                    results = pool.imap_unordered(Begin(self.path), some, task_timeout=limit)
                    calls.append(([task[0] for task in some], results))
                else:
                    given = iter(some) if way == "iterator" else some
                    results = pool.imap(Begin(self.path), given, task_timeout=limit)
                    for task in some:
                        calls.append((task[0], results))
            for number, call in calls:
                if isinstance(number, list):
                    self.take_unordered(number, call)
                else:
                    get = call.get if hasattr(call, "get") else call.next
                    self.note(number, lambda get=get: get(LIMIT))
            self.killed_outside = outside.end() > 0
            self.last(pool)

    def take_unordered(self, numbers: list[int], results: Any) -> None:
        """Values name their task; errors belong to the tasks that are left."""
        left, errors = {*numbers}, []
        for _ in numbers:
            try:
                value = results.next(LIMIT)
            except BaseException as error:  # noqa: BLE001
                errors.append(error)
            else:
                left.discard(value)
                self.outcomes[value].append(value)
        for number in sorted(left):
            may = self.tasks[number][1] or ()
            for error in [e for e in errors if isinstance(e, may)] or errors[:1]:
                errors.remove(error)
                self.outcomes[number].append(error)
                break
        for error in errors:
            self.outcomes[-1].append(error)

    def last(self, pool: Any) -> None:
        """End a pool with a call under way, or in peace."""
        way = self.rng.choice(["close", "terminate", "cancel"])
        if way == "close":
            pool.close()
            pool.join()
            return
        call = pool.map_async(time.sleep, [60] * 20, chunksize=1)
        if way == "cancel":
            call.cancel()
        else:
            pool.terminate()
        try:
            call.get(LIMIT)
        except CancelledError:
            return
        raise AssertionError("a call that was ended gave a value")

    def run_executor(self, size: int, each: int | None) -> None:
        with mp.ProcessPoolExecutor(
            size, self.context, max_tasks_per_child=each, task_timeout=2.0
        ) as executor:
            futures = []
            for name in self.things:
                task = self.task(name)
                futures.append((task[0], executor.submit(begin, self.path, *task)))
            for number, future in futures:
                self.note(number, lambda future=future: future.result(LIMIT))

    def check(self) -> list[str]:
        """Return what is wrong."""
        wrong = []
        with open(self.path) as file:
            begun = collections.Counter(map(int, file.read().split()))
        for number, (name, may) in self.tasks.items():
            outcomes = self.outcomes[number]
            if len(outcomes) != 1:
                wrong.append(f"task {number} ({name}) has {len(outcomes)} outcomes: {outcomes!r}")
                continue
            (outcome,) = outcomes
            lost = self.killed_outside and isinstance(outcome, mp.WorkerLostError)
            good = outcome == number if may is None else isinstance(outcome, may)
            if not good and not lost:
                wrong.append(f"task {number} ({name}) ended by {outcome!r}")
            if begun[number] > 1:
                wrong.append(f"task {number} ({name}) began {begun[number]} times")
            if not isinstance(outcome, BaseException) and begun[number] != 1:
                wrong.append(f"task {number} ({name}) has a value and did not begin")
        if self.outcomes.get(-1):
            wrong.append(f"errors of no task: {self.outcomes[-1]!r}")
        return wrong


class Begin:
    """Call `begin` with the arguments of a task."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __call__(self, task: Any) -> Any:
        return begin(self.path, *task)


class Killer:
    """A thread that kills workers from outside, idle or busy.

    It spares those that are being initialized: too many of them in a row end a pool.
    """

    def __init__(self, pool: Any, active: bool, seed: int) -> None:
        self._engine, self._rng = pool._engine, random.Random(seed)
        self._over, self._count = threading.Event(), 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        if active:
            self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(self._rng.uniform(0.005, 0.1)) and self._count < 5:
            # IndexError: there is none; RuntimeError: one was just replaced
            with contextlib.suppress(IndexError, RuntimeError, ProcessLookupError):
                ready = [one for one in self._engine._workers.values() if one.ready]
                number = self._rng.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
                os.kill(self._rng.choice(ready).process.pid, number)
                self._count += 1

    def end(self) -> int:
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        return self._count


def left_behind() -> dict[str, int]:
    gc.collect()
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return {
        "children": len(mp.active_children()),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "in flight": mp.sharing_stats()["in_flight"],
    }


def main(faults: int, seed: int, methods: list[str]) -> int:
    rng, done, tasks, wrong = random.Random(seed), 0, 0, 0
    path = f"/tmp/work-chaos-{os.getpid()}"
    print(f"seed {seed}", flush=True)
    for method in methods:  # which start servers and trackers that stay
        with mp.get_context(method).Pool(1) as pool:
            pool.apply(abs, (-1,))
    started, before = time.monotonic(), None
    while done < faults:
        method = methods[0] if rng.random() < 0.8 else rng.choice(methods)
        some = min(faults - done, rng.randrange(4, 24))
        one = Round(rng, method, path, some)
        size, each = rng.randrange(1, 5), rng.choice([None, None, 1, 3])
        kind = rng.choice(["pool", "pool", "executor"])
        (one.run_pool if kind == "pool" else one.run_executor)(size, each)
        for text in one.check():
            print(f"{method} {kind} of {size}, {each} tasks each: {text}", flush=True)
            wrong += 1
        done, tasks = done + some, tasks + len(one.tasks)
        if before is None:
            before = left_behind()
        print(f"\r{done} faults, {tasks} tasks", end="", flush=True)
    after = left_behind()
    os.unlink(path)
    grown = {name: (before[name], n) for name, n in after.items() if n > before[name] + 2}
    print(
        f"\r{done} faults in {tasks} tasks, {time.monotonic() - started:.0f} s: {wrong} wrong; "
        f"left behind: {grown or 'nothing'}"
    )
    return int(bool(wrong or grown))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("methods", nargs="*", default=mp.get_all_start_methods())
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    sys.exit(main(given.n, given.seed, given.methods))
