"""Limits of the system: full memory, few descriptors, no shared memory, a tiny /dev/shm."""

from __future__ import annotations

import gc
import os
import pickle
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
from family import LARGE, large, own_family, stats

import minitensor.multiprocessing as mp
from minitensor import Tensor, trace
from minitensor.backend.core import lib
from minitensor.multiprocessing.reductions import dumps


def test_memory_that_is_full_is_an_error_and_nothing_is_lost() -> None:
    program = """
import numpy as np
from minitensor import Tensor
import minitensor.multiprocessing as mp
queue = mp.Queue()
kept = [Tensor(np.full(300_000, i, np.float32)) for i in range(60)]
for t in kept:
    # 1.2 MB each: the arena has 16; the rest go inside their messages, for which the pipe is full.
    queue.put(t)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
        timeout=60,
                          env={**own_family(), "MINITENSOR_ARENA": "16MB"})  # fmt: skip
    assert (
        done.returncode == 1
        and "MemoryError: [put] " in done.stderr
        and " bytes have no room in the shared memory's address space" in done.stderr
    )
    program = program.replace("    queue.put(t)",
        "    try: queue.put(t)\n    except MemoryError: break\n    ") + """
print([float(queue.get()[0]) for _ in range(8)])
t = kept[30]
del kept
queue.put(t)  # the sender's own were in there, too
print(float(t.sum()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
        timeout=60,
                          env={**own_family(), "MINITENSOR_ARENA": "16MB"})  # fmt: skip
    assert done.stdout.splitlines() == [str([float(i) for i in range(8)]), "9000000.0"], done.stderr


def test_views_of_memory_that_has_left_the_shared_one() -> None:
    program = """
import pickle
import numpy as np
from minitensor import Tensor, runtime
from minitensor.backend.core import lib
import minitensor.multiprocessing as mp
from minitensor.multiprocessing.reductions import ForkingPickler
queue = mp.Queue()
t = Tensor(np.ones(300_000, np.float32))
part = t[:100_000]
queue.put(t)
# Another way than our queues sends the whole storage.
plain = bytes(ForkingPickler.dumps(part))
while lib.mt_arena_alloc(t.nbytes) > 0:  # until it is full
    pass
t += 1  # the queue has the old value, and there is no room for the new one
runtime.synchronize()
assert not lib.mt_in_arena(t._ref)
a, b = pickle.loads(bytes(ForkingPickler.dumps([t, part])))
print(float(a.sum()), float(b.sum()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
        timeout=60,
                          env={**own_family(), "MINITENSOR_ARENA": "16MB"})  # fmt: skip
    assert done.stdout == "600000.0 200000.0\n", done.stderr


def test_without_shared_memory_values_are_copied() -> None:
    program = """
import resource, numpy as np
from minitensor import Tensor
import minitensor.multiprocessing as mp
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
context = mp.get_context("fork")
queue = context.Queue()
t = Tensor(np.ones(100_000))
process = context.Process(target=lambda: queue.put(t * 2))
process.start()
print(float(queue.get().sum()), mp.sharing_stats()["processes"])
process.join()
try:
    t.share_memory_()
except MemoryError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60,
        env=own_family(),
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "200000.0 0",
        "[share_memory_] the system gives no memory that processes could share (Cannot allocate "
        "memory)",
    ], done.stderr


def test_few_descriptors_are_enough() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    queue = mp.get_context("fork").Queue()
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        for i in range(10_000):
            queue.put(Tensor(np.full(4200, i, np.float32)))
        held = [queue.get() for _ in range(10_000)]
        assert [float(t[0]) for t in held] == list(range(10_000)) and all(
            lib.mt_in_arena(t._ref) for t in held
        )
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_process_that_closes_all_its_descriptors_keeps_its_tensors() -> None:
    context = mp.get_context("fork")
    t = pickle.loads(dumps(large(3)))
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            keep = os.dup2(writer, 100)
            os.closerange(3, 100)
            os.closerange(101, 1000)
            other = [os.open("/dev/null", os.O_RDONLY) for _ in range(20)]
            os.write(keep, b"r")
            os.kill(os.getpid(), signal.SIGSTOP)
            text = f"{float(t.sum())} {[os.fstat(fd).st_size for fd in other] == [0] * 20}"
            os.write(keep, text.encode())
        finally:
            os._exit(0)
    os.close(writer)
    assert os.read(reader, 1) == b"r"
    os.waitpid(pid, os.WUNTRACED)
    del t
    gc.collect()
    lib.mt_arena_reap()  # it looks dead by its lock, and isn't
    held = [large(9) for _ in range(20)]
    queue = context.Queue()
    for h in held:
        queue.put(h)
    os.kill(pid, signal.SIGCONT)
    assert os.read(reader, 100) == f"{3.0 * LARGE} True".encode()
    os.waitpid(pid, 0)
    os.close(reader)


def test_a_tiny_dev_shm_does_not_matter() -> None:
    program = """
import numpy as np
from minitensor import Tensor
import minitensor.multiprocessing as mp
queue = mp.get_context("fork").Queue()
mp.get_context("fork").Process(target=lambda: queue.put(Tensor(np.ones(10_000_000)))).start()
print(float(queue.get().sum()))
"""
    mount = "mount -t tmpfs -o size=1m none /dev/shm && "
    if subprocess.run(
        ["unshare", "-m", "sh", "-c", mount + "true"], capture_output=True
    ).returncode:
        pytest.skip("this user can't have a /dev/shm of its own")
    done = subprocess.run(["unshare", "-m", "sh", "-c", mount + 'exec "$0" "$@"', sys.executable,
        "-c", program], capture_output=True,
                          text=True, timeout=60, env=own_family())  # fmt: skip
    assert (done.stdout, done.stderr) == ("10000000.0\n", "")


def test_stats_and_trace() -> None:
    large().share_memory_()
    numbers = stats()
    assert numbers["processes"] >= 1 and set(numbers) == {
        "processes", "blocks", "bytes", "in_flight", "channels", "free_bytes", "reaped", "copied",
        "inline_sent", "capacity",
    }  # fmt: skip
    assert trace.events("sharing.stats")[-1].fields == numbers
