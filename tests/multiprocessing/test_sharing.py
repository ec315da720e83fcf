"""Tensors between processes: values by default, memory for everyone by name; and what happens when somebody dies.

The books of the shared memory (`arena_check`) are looked at after each test.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import gc
import multiprocessing
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import sharing_targets as targets
from hypothesis import given
from hypothesis import strategies as st

import minitensor as mt
import minitensor.multiprocessing as mp
from minitensor import StaleHandleError, Tensor, ops, sharing, trace
from minitensor.backend.core import ffi, lib
from minitensor.multiprocessing.reductions import ForkingPickler, dumps
from minitensor.sharing import pickling

LARGE = 50_000  # float32: more than travels inside a message


def large(value: float = 1.0) -> Tensor:
    return Tensor(np.full(LARGE, value, np.float32))


def faults() -> str:
    text = ffi.new("char[4096]")
    lib.mt_arena_check(text, 4096)
    return ffi.string(text).decode()


@pytest.fixture(autouse=True)
def books() -> Iterator[None]:
    yield
    gc.collect()
    lib.mt_arena_reap()
    assert faults() == ""


def strangers_environment() -> dict[str, str]:
    """For a program that is not of this family."""
    return {name: value for name, value in os.environ.items() if name != "MINITENSOR_ARENA_AT"}


def stats() -> dict[str, int]:
    gc.collect()
    return mp.sharing_stats()


@pytest.fixture
def echo(ctx: Any) -> Iterator[Callable[..., Any]]:
    """Calls a function of targets in another process, with tensors as arguments and as its result."""
    questions, answers = ctx.Queue(), ctx.Queue()
    process = ctx.Process(target=targets.serve, args=(questions, answers))
    process.start()

    def call(function: Callable[..., Any], *arguments: Any) -> Any:
        questions.put((function, arguments))
        result = answers.get(timeout=60)
        if isinstance(result, BaseException):
            raise result
        return result

    yield call
    questions.put(None)
    process.join(60)
    assert process.exitcode == 0


# --- values -----------------------------------------------------------------------------------------------------------
def test_a_value_is_the_one_at_the_put(ctx: Any) -> None:
    queue = ctx.Queue()
    t = large(1)
    queue.put(t)
    t += 1
    assert float(queue.get()[0]) == 1 and float(t[0]) == 2


def test_what_the_receiver_writes_is_its_own(echo: Callable[..., Any]) -> None:
    t = large(1)
    assert float(echo(targets.add_in_place, t, 5)[0]) == 6
    assert float(t[0]) == 1


def test_all_views_of_a_storage_move_together(ctx: Any) -> None:
    queue = ctx.Queue()
    t = large(1)
    view = t[10:20]
    queue.put(t)
    view += 1  # a copy of the storage, which t sees, too
    assert float(t[15]) == 2 and float(queue.get()[15]) == 1
    t[0] = 7
    assert float(t[0]) == 7


def test_a_tensor_that_comes_back_is_another_one(echo: Callable[..., Any]) -> None:
    t = large(3)
    u = echo(targets.same, t)
    u += 1
    assert (float(t[0]), float(u[0])) == (3, 4)
    t += 2
    assert (float(t[0]), float(u[0])) == (5, 4)


def test_no_bytes_are_copied_after_the_first_journey(echo: Callable[..., Any]) -> None:
    t = large()
    u = echo(targets.same, t)
    blocks = stats()["blocks"]
    for _ in range(5):
        u = echo(targets.same, u)
    assert stats()["blocks"] == blocks and float(u.sum()) == LARGE
    assert t.asnumpy().ctypes.data == u.asnumpy().ctypes.data  # the very same bytes


def test_a_slice_ships_its_extent(ctx: Any) -> None:
    queue = ctx.Queue()
    whole = Tensor(np.arange(1_000_000, dtype=np.float32))
    before = stats()["bytes"]
    queue.put(whole[:10_000])
    assert stats()["bytes"] - before < 100_000
    assert queue.get().tolist() == list(range(10_000))


def test_a_small_slice_does_not_keep_a_large_storage(ctx: Any) -> None:
    queue = ctx.Queue()
    whole = Tensor(np.arange(1_000_000, dtype=np.float32))
    queue.put(whole)
    queue.get()
    before = stats()["bytes"]
    queue.put(whole[5:1000])
    part = queue.get()
    del whole
    assert stats()["bytes"] < before - 3_000_000 and part.tolist() == list(range(5, 1000))


@pytest.mark.parametrize("n", [100, 1_000_000])
def test_aliasing_is_kept_inside_a_message(echo: Callable[..., Any], n: int) -> None:
    t = Tensor(np.zeros(n, np.float32))
    for views in ((t, t[10:30]), (t[10:30], t), (t[10:30], t[20:40]), (t[20:40], t[10:30], t[:22])):
        assert echo(targets.write_through_the_first, list(views)) == [True] * (len(views) - 1)
    assert float(t.sum()) == 0


def test_messages_are_apart(ctx: Any) -> None:
    queue = ctx.Queue()
    t = large()
    queue.put(t)
    queue.put(t)
    a, b = queue.get(), queue.get()
    a += 1
    assert (float(a[0]), float(b[0]), float(t[0])) == (2, 1, 1)


def test_arrays_of_what_others_may_hold_are_read_only(echo: Callable[..., Any]) -> None:
    t = large()
    received = echo(targets.same, t)
    array = received.asnumpy()
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 5
    received += 1  # the array keeps the memory that it has
    assert (array[0], float(received[0])) == (1, 2)
    writable = received.copy().asnumpy()
    writable[0] = 9


def test_an_array_handed_out_earlier_keeps_its_memory(ctx: Any) -> None:
    queue = ctx.Queue()
    t = large()
    array = t.asnumpy()
    queue.put(t)
    array[0] = 5  # still the tensor's memory, and no longer the message's
    assert (float(t[0]), float(queue.get()[0])) == (5, 1)
    shared = np.ones(LARGE, np.float32)
    queue.put(Tensor.from_numpy(shared))
    shared[0] = 7
    assert float(queue.get()[0]) == 1


@dataclasses.dataclass
class Batch:
    x: Tensor
    more: dict[str, list[Tensor]]


def test_in_containers_of_all_kinds(ctx: Any) -> None:
    queue = ctx.Queue()
    queue.put(Batch(large(1), {"a": [large(2), Tensor(3.0)], "b": []}))
    batch = queue.get()
    assert [float(t.sum()) for t in (batch.x, *batch.more["a"])] == [LARGE, 2 * LARGE, 3]


@pytest.mark.parametrize("dtype", ["bool_", "int8", "uint16", "int64", "float16", "bfloat16", "float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (300, 200)])
def test_every_dtype_and_shape(dtype: str, shape: tuple[int, ...]) -> None:
    t = ops.ones(shape, getattr(mt, dtype))
    u = pickle.loads(dumps(t))
    assert (u.shape, u.dtype) == (t.shape, t.dtype) and bool((u == t).all())
    v = pickle.loads(dumps(t.T if t.ndim == 2 else t))
    assert v.shape == (t.shape[::-1] if t.ndim == 2 else t.shape)


def test_strided_and_reversed_views(echo: Callable[..., Any]) -> None:
    t = Tensor(np.arange(600_00, dtype=np.int32).reshape(200, 300))
    for view in (t[::-1, ::3], t.T[5:, ::-2], t[3], t[:, 7]):
        assert np.array_equal(echo(targets.same, view).asnumpy(), view.asnumpy())


# --- ways -------------------------------------------------------------------------------------------------------------
def test_every_way(ctx: Any) -> None:
    t = large(2)
    simple = ctx.SimpleQueue()
    simple.put(t)
    assert float(simple.get().sum()) == 2 * LARGE
    ours, theirs = ctx.Pipe()
    theirs.send(t)
    assert float(ours.recv().sum()) == 2 * LARGE
    with ctx.Pool(2) as pool:
        assert [float(r.sum()) for r in pool.map(targets.double, [t, large(3)])] == [4 * LARGE, 6 * LARGE]
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=ctx) as executor:
        assert float(executor.submit(targets.double, t).result(60).sum()) == 4 * LARGE
    with ctx.Manager() as manager:
        shared = manager.list([t])
        assert float(shared[0].sum()) == 2 * LARGE
    process = ctx.Process(target=targets.exits_with_the_first, args=(t,))
    process.start()
    process.join(60)
    assert process.exitcode == 2


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_the_standard_packages_ways(method: str) -> None:
    context = multiprocessing.get_context(method)
    queue, answers = context.Queue(), context.Queue()
    process = context.Process(target=targets.serve, args=(queue, answers))
    process.start()
    t = large(2)
    queue.put((targets.double, (t,)))
    assert float(answers.get(timeout=60).sum()) == 4 * LARGE
    queue.put(None)
    process.join(60)
    assert process.exitcode == 0


def test_results_of_workers_are_read_where_they_lie(ctx: Any) -> None:
    with ctx.Pool(1) as pool:
        before = stats()["copied"]
        result = pool.apply(targets.make, (1_000_000,))
        assert float(result.sum()) == 1_000_000
        assert lib.mt_in_arena(result._ref) and stats()["copied"] == before


def test_plain_pickle_copies() -> None:
    t = large()
    data = pickle.dumps(t)
    assert len(data) > 4 * LARGE and not lib.mt_in_arena(t._ref)
    assert float(pickle.loads(data).sum()) == LARGE


# --- memory for everyone ----------------------------------------------------------------------------------------------
def test_shared_memory_is_written_by_all(echo: Callable[..., Any]) -> None:
    t = Tensor([0.0, 0.0]).share_memory_()
    view = t[1:]
    assert t.is_shared() and view.is_shared() and not large().is_shared()
    echo(targets.add_in_place, t, 5)
    assert t.tolist() == [5, 5]
    view += 1
    assert echo(targets.same, t).tolist() == [5, 6]
    t.asnumpy()[0] = 9
    assert echo(targets.total, t) == 15


def test_sharing_what_was_sent_before_leaves_the_others_their_value(echo: Callable[..., Any]) -> None:
    t = large(1)
    other = echo(targets.same, t)
    t.share_memory_()
    t += 1
    assert (float(other[0]), float(t[0])) == (1, 2)


def test_what_an_array_looks_at_cant_be_shared() -> None:
    t = large()
    array = t.asnumpy()
    with pytest.raises(ValueError, match=r"^\[share_memory_\] a NumPy array views the memory"):
        t.share_memory_()
    del array
    gc.collect()
    assert t.share_memory_().is_shared()


# --- forks ------------------------------------------------------------------------------------------------------------
def test_a_fork_takes_the_references_along() -> None:
    context = mp.get_context("fork")
    sent, answers = context.Queue(), context.SimpleQueue()
    t = large(1)
    sent.put(t)
    received = [sent.get()]
    process = context.Process(target=lambda: (received[0].__iadd__(1), answers.put((float(received[0][0]), float(t[0])))))
    process.start()
    received.clear()
    gc.collect()
    assert answers.get() == (2, 1)
    process.join(60)
    assert process.exitcode == 0 and float(t[0]) == 1


# --- deaths -----------------------------------------------------------------------------------------------------------
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
    before = stats()["blocks"]
    process = ctx.Process(target=targets.holds_until_killed, args=(queue, ready))
    process.start()
    for _ in range(10):
        queue.put(large())
    ready.get(timeout=60)
    assert stats()["blocks"] - before == 10
    process.kill()
    process.join(60)
    after = stats()
    assert after["blocks"] == before and after["in_flight"] == 0


def test_an_abandoned_queue_gives_its_tensors_up(ctx: Any) -> None:
    before = stats()
    for _ in range(5):
        queue = ctx.Queue()
        for _ in range(10):
            queue.put(large())
        assert stats()["in_flight"] == 10
        del queue
    after = stats()
    assert (after["blocks"], after["in_flight"]) == (before["blocks"], 0)


def test_a_get_that_nobody_can_answer_raises() -> None:
    program = """
import os, signal
import minitensor.multiprocessing as mp
def child(queue, how):
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
for method in mp.get_all_start_methods():
    for make in ("Queue", "JoinableQueue", "SimpleQueue"):
        context = mp.get_context(method)
        queue = getattr(context, make)()
        process = context.Process(target=child, args=(queue, "kill"))
        if __name__ == "__main__":
            process.start()
            try:
                queue.get()
            except EOFError as error:
                print(error)
"""
    # A file, since spawn imports the main module again.
    import tempfile

    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(program.replace("for method in", "def main():\n  for method in", 1).replace("\n    for make", "\n    for make"))
        file.write("\nif __name__ == '__main__':\n    main()\n")
        file.flush()
        done = subprocess.run([sys.executable, file.name], capture_output=True, text=True, timeout=100)
    lines = done.stdout.splitlines()
    assert done.stderr == "" and len(lines) == 9 and all("every other process that had the queue has ended" in line for line in lines)


def test_a_get_that_another_thread_may_answer_waits(ctx: Any) -> None:
    queue = ctx.Queue()
    go = threading.Event()
    thread = threading.Thread(target=lambda: (go.wait(60), queue.put(1)))
    thread.start()
    with pytest.raises(Exception, match="^$"):
        queue.get(timeout=1.5)
    go.set()
    assert queue.get() == 1
    thread.join()


def test_bytes_unpickled_twice() -> None:
    t = large(4)
    data = bytes(dumps(t))
    a, b = pickle.loads(data), pickle.loads(data)
    a += 1
    assert (float(a[0]), float(b[0]), float(t[0])) == (5, 4, 4)
    del a, b, t
    gc.collect()
    with pytest.raises(StaleHandleError, match=r"^\[unpickle\] the tensor's memory is gone"):
        pickle.loads(data)


@pytest.mark.parametrize("n", [10, LARGE])
@given(data=st.data())
def test_a_damaged_parcel_is_an_error(n: int, data: st.DataObject) -> None:
    t = Tensor(np.arange(n, dtype=np.float32))
    (_, (good, *address)) = sharing.reduce(t[2:])
    try:
        bad = bytearray(good)
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(8, min(len(bad), 72) - 1))  # all but the token, which may come to name another tensor
            bad[at] = data.draw(st.integers(0, 255))
        bad = bad[: data.draw(st.sampled_from([len(bad), len(bad) - 1, 30, 0]))]
        try:
            got = pickling._receive(bytes(bad), *address)
        except (ValueError, StaleHandleError):
            pass
        else:  # it still says what is within the bytes that there are
            assert got.asnumpy().nbytes <= 4 * n
    finally:
        if n == LARGE:
            lib.mt_arena_unsend(int.from_bytes(good[:8], "little"))


class Nested:
    """Pickles itself to bytes of their own, inside of the message that it goes into."""

    def __init__(self, t: Tensor) -> None:
        self.t = t

    def __reduce__(self) -> Any:
        return pickle.loads, (bytes(ForkingPickler.dumps([self.t, self.t[1:]])),)


@pytest.mark.parametrize("n", [10, LARGE])
def test_a_message_in_a_message(ctx: Any, n: int) -> None:
    queue = ctx.Queue()
    t = Tensor(np.arange(n, dtype=np.float32))
    queue.put([t, Nested(t), t[2:]])
    outer, (inner, part), rest = queue.get()
    outer[3] = -1
    assert (float(rest[1]), float(inner[3]), float(t[3])) == (-1, 3, 3)
    inner[3] = -2
    assert float(part[2]) == -2


class StartsAProcess:
    """Pickled, starts a process with a tensor for an argument, and is no object that can be sent."""

    def __init__(self, ctx: Any, answers: Any) -> None:
        self.ctx, self.answers = ctx, answers

    def __reduce__(self) -> Any:
        reader, self.writer = self.ctx.Pipe(False)
        self.process = self.ctx.Process(target=targets.tell_total, args=(targets.Gate(reader), large(), self.answers))
        self.process.start()
        reader.close()
        raise TypeError("not to be sent")


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_process_started_while_a_message_is_pickled_is_no_part_of_it(method: str) -> None:
    ctx = mp.get_context(method)
    queue, answers = ctx.Queue(), ctx.Queue()
    starter = StartsAProcess(ctx, answers)
    with pytest.raises(TypeError, match="not to be sent"):
        queue.put(starter)  # what this message refers to is given back now, before the process unpickles
    starter.writer.close()
    assert answers.get() == LARGE
    starter.process.join()


class Puts:
    """Pickled, puts a tensor on a queue that has other readers."""

    def __init__(self, queue: Any, t: Tensor) -> None:
        self.queue, self.t = queue, t

    def __reduce__(self) -> Any:
        self.queue.put(self.t)
        return float, ()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_put_while_a_process_is_pickled_is_for_the_queue(method: str) -> None:
    ctx = mp.get_context(method)
    queue, answers = ctx.Queue(), ctx.Queue()
    process = ctx.Process(target=targets.tell_total, args=(Puts(queue, large()), large(2), answers))
    process.start()
    assert answers.get() == 2 * LARGE
    process.join()  # what it had is given back
    assert float(queue.get().sum()) == LARGE


def test_a_reducer_that_is_registered_late_holds(ctx: Any) -> None:
    class Local:
        pass

    queue = ctx.Queue()
    queue.put(1)
    ForkingPickler.register(Local, lambda _: (str, ("reduced",)))
    queue.put(Local())
    ForkingPickler.register(Local, lambda _: (str, ("again",)))
    queue.put(Local())
    assert [queue.get() for _ in range(3)] == [1, "reduced", "again"]


def test_a_failed_pickle_takes_its_references_back(ctx: Any) -> None:
    queue = ctx.Queue()
    t = large()
    with pytest.raises(Exception, match="pickle"):
        queue.put((t, lambda: None))
    assert stats()["in_flight"] == 0
    queue.put(t)
    assert float(queue.get()[0]) == 1


def test_memory_that_is_full_is_an_error_and_nothing_is_lost() -> None:
    program = """
import numpy as np
from minitensor import Tensor
import minitensor.multiprocessing as mp
queue = mp.Queue()
kept = [Tensor(np.full(300_000, i, np.float32)) for i in range(60)]
for t in kept:
    queue.put(t)            # 1.2 MB each: the arena has 16; then they go inside their messages, which find no room either
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60,
                          env={**strangers_environment(), "MINITENSOR_ARENA": "16MB"})  # fmt: skip
    assert done.returncode == 1 and "MemoryError: [put] " in done.stderr and " bytes have no room in the shared memory's address space" in done.stderr
    program = program.replace("    queue.put(t)", "    try: queue.put(t)\n    except MemoryError: break\n    ") + """
print([float(queue.get()[0]) for _ in range(8)])
t = kept[30]
del kept
queue.put(t)  # the sender's own were in there, too
print(float(t.sum()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60,
                          env={**strangers_environment(), "MINITENSOR_ARENA": "16MB"})  # fmt: skip
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
plain = bytes(ForkingPickler.dumps(part))  # by another way than our queues: all of the storage travels
while lib.mt_arena_alloc(t.nbytes) > 0:  # until it is full
    pass
t += 1  # the queue has the old value, and there is no room for the new one
runtime.synchronize()
assert not lib.mt_in_arena(t._ref)
a, b = pickle.loads(bytes(ForkingPickler.dumps([t, part])))
print(float(a.sum()), float(b.sum()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60,
                          env={**strangers_environment(), "MINITENSOR_ARENA": "16MB"})  # fmt: skip
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
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=strangers_environment())
    assert done.stdout.splitlines() == ["200000.0 0",
                                        "[share_memory_] the system gives no memory that processes could share (Cannot allocate memory)"], done.stderr


def test_few_descriptors_are_enough() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    queue = mp.get_context("fork").Queue()
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    try:
        for i in range(10_000):
            queue.put(Tensor(np.full(4200, i, np.float32)))
        held = [queue.get() for _ in range(10_000)]
        assert [float(t[0]) for t in held] == list(range(10_000)) and all(lib.mt_in_arena(t._ref) for t in held)
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
    """A program of another family, which has sent one message."""
    programs = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        large().share_memory_()  # this process has a family, too
        programs.append(subprocess.Popen([sys.executable, "-c", STRANGER, *arguments], stdout=subprocess.PIPE, stdin=subprocess.PIPE,
                                         env=strangers_environment()))  # fmt: skip
        return programs[-1]

    yield start
    for program in programs:
        program.communicate(timeout=60)


def test_a_message_of_another_family_is_copied(stranger: Callable[..., subprocess.Popen[bytes]]) -> None:
    other = stranger()
    data = other.stdout.read1(10_000)  # type: ignore[union-attr]
    assert float(pickle.loads(data).sum()) == 100_000
    other.stdin.write(b"\n")  # type: ignore[union-attr]
    other.stdin.flush()  # type: ignore[union-attr]
    assert other.stdout.readline() == b"0 0\n"  # type: ignore[union-attr]  # nothing keeps it any more, and its family has it back
    with pytest.raises(StaleHandleError, match="its value is gone"):
        pickle.loads(data)


def test_memory_that_another_family_writes_to_is_refused(stranger: Callable[..., subprocess.Popen[bytes]]) -> None:
    data = stranger("mutable").stdout.read1(10_000)  # type: ignore[union-attr]
    with pytest.raises(StaleHandleError, match="another family of processes.*all processes of that family write to"):
        pickle.loads(data)


def test_a_message_of_a_family_that_has_ended_is_refused(stranger: Callable[..., subprocess.Popen[bytes]]) -> None:
    other = stranger()
    data = other.stdout.read1(10_000)  # type: ignore[union-attr]
    other.communicate(timeout=60)
    with pytest.raises(StaleHandleError, match="another family of processes.*are gone"):
        pickle.loads(data)


def test_an_array_outlives_its_tensor(echo: Callable[..., Any]) -> None:
    t = echo(targets.same, large(3))
    array = t.asnumpy()
    del t
    gc.collect()
    assert array.sum() == 3 * LARGE


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
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=strangers_environment())
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


def who_has(inode: int) -> list[str]:
    """The processes that have a file of memory open or mapped."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/maps") as file:
                mapped = any("memfd:minitensor" in line and line.split()[4] == str(inode) for line in file)
            opened = any(os.stat(f"/proc/{pid}/fd/{fd}").st_ino == inode and "memfd" in os.readlink(f"/proc/{pid}/fd/{fd}")
                         for fd in os.listdir(f"/proc/{pid}/fd"))  # fmt: skip
        except OSError:  # it has ended meanwhile, or is somebody else's
            continue
        if mapped or opened:
            found.append(pid)
    return found


def in_dev_shm() -> set[str]:
    """Return its files but for those of the standard package, which other tests make meanwhile."""
    return {name for name in os.listdir("/dev/shm") if not name.startswith(("sem.", "psm_"))}


def test_the_memory_of_a_killed_family_is_gone() -> None:
    before = in_dev_shm()
    family = subprocess.Popen([sys.executable, "-c", SENDS_AND_WAITS], stdout=subprocess.PIPE, text=True, start_new_session=True,
                              env=strangers_environment())  # fmt: skip
    assert family.stdout is not None
    inode = int(family.stdout.readline())
    assert len(who_has(inode)) == 4
    os.killpg(family.pid, signal.SIGKILL)
    assert family.stdout.read() == ""  # all of them have ended
    family.wait()
    deadline = time.monotonic() + 60
    while who_has(inode):  # or are about to: the last descriptors
        assert time.monotonic() < deadline
    assert in_dev_shm() <= before


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
    if subprocess.run(["unshare", "-m", "sh", "-c", mount + "true"], capture_output=True).returncode:
        pytest.skip("this user can't have a /dev/shm of its own")
    done = subprocess.run(["unshare", "-m", "sh", "-c", mount + 'exec "$0" "$@"', sys.executable, "-c", program], capture_output=True,
                          text=True, timeout=60, env=strangers_environment())  # fmt: skip
    assert (done.stdout, done.stderr) == ("10000000.0\n", "")


def test_nothing_lies_in_dev_shm() -> None:
    before = in_dev_shm()
    t = large().share_memory_()
    pickle.loads(dumps(large()))
    assert in_dev_shm() <= before and t.is_shared()


def test_stats_and_trace() -> None:
    large().share_memory_()
    numbers = stats()
    assert numbers["processes"] >= 1 and set(numbers) == {
        "processes", "blocks", "bytes", "in_flight", "channels", "free_bytes", "reaped", "copied", "inline_sent", "capacity",
    }  # fmt: skip
    assert trace.events("sharing.stats")[-1].fields == numbers


# --- pipes -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("duplex", [True, False])
def test_what_is_unread_in_a_closed_pipe_is_given_up(ctx: Any, duplex: bool) -> None:
    before = stats()
    reader, writer = ctx.Pipe(duplex)
    for i in range(3):
        writer.send([large(i), large(i)])
    assert float(reader.recv()[1].max()) == 0 and stats()["in_flight"] == before["in_flight"] + 4
    reader.close()
    after = stats()
    assert (after["in_flight"], after["blocks"]) == (before["in_flight"], before["blocks"])
    with pytest.raises(BrokenPipeError):
        writer.send(large())
    assert stats()["in_flight"] == before["in_flight"]
    writer.close()
    assert stats()["channels"] == before["channels"]


def test_a_pipe_goes_along_with_a_process(ctx: Any) -> None:
    before = stats()
    here, there = ctx.Pipe()
    process = ctx.Process(target=targets.answers_twice, args=(there,))
    process.start()
    there.close()
    here.send(large(4))
    assert float(here.recv().max()) == 8
    with contextlib.suppress(BrokenPipeError):  # when the process has ended already
        here.send(large(5))  # nothing reads it
    process.join()
    assert process.exitcode == 0
    with pytest.raises((EOFError, ConnectionResetError)):
        here.recv()
    here.close()
    lib.mt_arena_reap()
    after = stats()
    assert (after["in_flight"], after["blocks"], after["channels"]) == (before["in_flight"], before["blocks"], before["channels"])
