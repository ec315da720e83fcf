"""Processes and families that end: what they sent arrives, and what they held is freed."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sharing_targets as targets
from family import LARGE, large, own_family, stats

import minitensor.multiprocessing as mp
from minitensor import StaleHandleError
from minitensor.multiprocessing.reductions import dumps


def test_delivered_though_the_producer_is_gone(ctx: Any) -> None:
    queue = ctx.Queue()
    for how in ("returns", "exits", "is killed"):
        process = ctx.Process(target=targets.puts_and_ends, args=(queue, how))
        process.start()
        process.join(60)
        assert process.exitcode == {"returns": 0, "exits": 3, "is killed": -signal.SIGKILL}[how]
        assert float(queue.get(timeout=60).sum()) == LARGE


def test_a_consumer_killed_in_get_does_not_stop_the_others(ctx: Any) -> None:
    queue, answers, ready = ctx.Queue(), ctx.Queue(), ctx.Queue()
    processes = [ctx.Process(target=targets.gets, args=(queue, answers, ready)) for _ in range(3)]
    for process in processes:
        process.start()
    for _ in processes:
        ready.get(timeout=60)
    processes[0].kill()
    processes[0].join(60)
    for _ in range(2):
        queue.put(large())
    assert [answers.get(timeout=60) for _ in range(2)] == [LARGE] * 2
    for process in processes[1:]:
        process.join(60)


def test_what_a_killed_process_held_is_freed(ctx: Any) -> None:
    queue, ready = ctx.Queue(), ctx.Queue()
    before = stats()
    process = ctx.Process(target=targets.holds_until_killed, args=(queue, ready))
    process.start()
    for _ in range(10):
        queue.put(large())
    ready.get(timeout=60)
    assert stats()["blocks"] - before["blocks"] == 10
    process.kill()
    process.join(60)
    after = stats()
    assert (after["blocks"], after["in_flight"]) == (before["blocks"], before["in_flight"])


def test_an_abandoned_queue_gives_its_tensors_up(ctx: Any) -> None:
    before = stats()
    for _ in range(5):
        queue = ctx.Queue()
        for _ in range(10):
            queue.put(large())
        assert stats()["in_flight"] - before["in_flight"] == 10
        del queue
    after = stats()
    assert (after["blocks"], after["in_flight"]) == (before["blocks"], before["in_flight"])


UNANSWERED = """
import os, signal, sys
import minitensor.multiprocessing as mp

def child(queue):
    os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    context = mp.get_context(sys.argv[1])
    for make in ("Queue", "JoinableQueue", "SimpleQueue"):
        queue = getattr(context, make)()
        context.Process(target=child, args=(queue,)).start()
        try:
            queue.get()
        except EOFError as error:
            print(error)
"""


def test_a_get_that_no_process_can_answer_raises(tmp_path: Path) -> None:
    program = tmp_path / "program.py"  # a file, since spawn imports the main module again
    program.write_text(UNANSWERED)
    running = [
        subprocess.Popen(
            [sys.executable, program, method], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )
        for method in mp.get_all_start_methods()
    ]  # fmt: skip
    for one in running:  # each mostly waits
        out, err = one.communicate(timeout=100)
        lines = out.splitlines()
        assert err == "" and len(lines) == 3
        assert all("every other process that had the queue has ended" in line for line in lines)


def test_a_get_that_another_thread_may_answer_waits(ctx: Any) -> None:
    queue = ctx.Queue()
    go = threading.Event()
    thread = threading.Thread(target=lambda: (go.wait(60), queue.put(1)))
    thread.start()
    with pytest.raises(Exception, match="^$"):
        queue.get(timeout=1.2)
    go.set()
    assert queue.get() == 1
    thread.join()


STRANGER = """
import sys
import numpy as np
from minitensor import Tensor
import minitensor.multiprocessing as mp
from minitensor.multiprocessing.reductions import dumps
kept = Tensor(np.ones(100_000))
if "mutable" in sys.argv:
    kept.share_memory_()
sys.stdout.buffer.write(bytes(dumps(kept)))
sys.stdout.flush()
del kept
sys.stdin.readline()
print(mp.sharing_stats()["blocks"], mp.sharing_stats()["in_flight"], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def stranger() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start programs of another family, which have sent one message each."""
    programs = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        large().share_memory_()  # this process has a family, too
        programs.append(subprocess.Popen([sys.executable, "-c", STRANGER, *arguments],
            stdout=subprocess.PIPE, stdin=subprocess.PIPE,
                                         env=own_family()))  # fmt: skip
        return programs[-1]

    yield start
    for program in programs:
        program.communicate(timeout=60)


def test_a_message_of_another_family_is_copied(
    stranger: Callable[..., subprocess.Popen[bytes]],
) -> None:
    other = stranger()
    data = other.stdout.read1(10_000)  # type: ignore[union-attr]
    assert float(pickle.loads(data).sum()) == 100_000
    other.stdin.write(b"\n")  # type: ignore[union-attr]
    other.stdin.flush()  # type: ignore[union-attr]
    assert other.stdout.readline() == b"0 0\n"  # type: ignore[union-attr]  # nothing keeps it any more, and its family has it back
    with pytest.raises(StaleHandleError, match="its value is gone"):
        pickle.loads(data)


def test_memory_that_another_family_writes_to_is_refused(
    stranger: Callable[..., subprocess.Popen[bytes]],
) -> None:
    data = stranger("mutable").stdout.read1(10_000)  # type: ignore[union-attr]
    with pytest.raises(
        StaleHandleError, match="another family of processes.*all processes of that family write to"
    ):
        pickle.loads(data)


def test_a_message_of_a_family_that_has_ended_is_refused(
    stranger: Callable[..., subprocess.Popen[bytes]],
) -> None:
    other = stranger()
    data = other.stdout.read1(10_000)  # type: ignore[union-attr]
    other.communicate(timeout=60)
    with pytest.raises(StaleHandleError, match="another family of processes.*are gone"):
        pickle.loads(data)


def test_ends_without_noise() -> None:
    program = """
import numpy as np
from minitensor import Tensor
import minitensor.multiprocessing as mp
queue = mp.Queue()
queue.put(Tensor(np.ones(100_000)))
array = queue.get().asnumpy()
shared = Tensor(np.ones(100_000)).share_memory_()
queue.put(shared)
print(array.sum())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60,
        env=own_family(),
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("100000.0\n", "")


SENDS_AND_WAITS = """
import os, time
import numpy as np
from minitensor import Tensor
from minitensor.backend import core
import minitensor.multiprocessing as mp
context = mp.get_context("fork")
queue, ready = context.Queue(), context.SimpleQueue()
def child():
    queue.put(Tensor(np.ones(1_000_000)))
    held = Tensor(np.ones(1_000_000)).share_memory_()
    ready.put(None)
    time.sleep(1000)  # until it is killed
for _ in range(3):
    context.Process(target=child).start()
for _ in range(3):
    ready.get()
print(core.lib.mt_arena_inode(), flush=True)
time.sleep(1000)  # until the whole group is killed
"""


def processes_with(inode: int) -> list[str]:
    """Return the processes that have a file of memory open or mapped."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/maps") as file:
                mapped = any(
                    "memfd:minitensor" in line and line.split()[4] == str(inode) for line in file
                )
            folder = f"/proc/{pid}/fd"
            opened = any(os.stat(f"{folder}/{fd}").st_ino == inode
                         and "memfd" in os.readlink(f"{folder}/{fd}")
                         for fd in os.listdir(folder))  # fmt: skip
        except OSError:  # it has ended meanwhile, or belongs to another user
            continue
        if mapped or opened:
            found.append(pid)
    return found


def in_dev_shm() -> set[str]:
    """Return its files but for those of the standard package, which other tests make meanwhile."""
    return {name for name in os.listdir("/dev/shm") if not name.startswith(("sem.", "psm_"))}


def test_the_memory_of_a_killed_family_is_gone() -> None:
    before = in_dev_shm()
    family = subprocess.Popen([sys.executable, "-c", SENDS_AND_WAITS], stdout=subprocess.PIPE,
        text=True, start_new_session=True,
                              env=own_family())  # fmt: skip
    assert family.stdout is not None
    inode = int(family.stdout.readline())
    assert len(processes_with(inode)) == 4
    os.killpg(family.pid, signal.SIGKILL)
    assert family.stdout.read() == ""  # all of them have ended
    family.wait()
    deadline = time.monotonic() + 60
    while processes_with(inode):  # or are about to: the last descriptors
        assert time.monotonic() < deadline
    assert in_dev_shm() <= before


def test_nothing_lies_in_dev_shm() -> None:
    before = in_dev_shm()
    t = large().share_memory_()
    pickle.loads(dumps(large()))
    assert in_dev_shm() <= before and t.is_shared()
