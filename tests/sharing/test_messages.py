"""Messages inside messages, damaged and failed ones, reducers, and pipes that close."""

from __future__ import annotations

import contextlib
import gc
import pickle
from typing import Any

import numpy as np
import pytest
import sharing_targets as targets
from family import LARGE, large, stats
from hypothesis import given
from hypothesis import strategies as st

import minitensor.multiprocessing as mp
from minitensor import StaleHandleError, Tensor, sharing
from minitensor.backend.core import lib
from minitensor.multiprocessing.reductions import ForkingPickler, dumps
from minitensor.sharing import pickling


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
def test_a_damaged_message_is_an_error(n: int, data: st.DataObject) -> None:
    t = Tensor(np.arange(n, dtype=np.float32))
    (_, (good, *address)) = sharing.reduce(t[2:])
    try:
        bad = bytearray(good)
        for _ in range(data.draw(st.integers(1, 3))):
            # all but the token, which may come to name another tensor
            at = data.draw(st.integers(8, min(len(bad), 72) - 1))
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
    """An object that pickles itself to bytes, which the message contains."""

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
    """An object that can't be sent; its pickling starts a process with a tensor."""

    def __init__(self, ctx: Any, answers: Any) -> None:
        self.ctx, self.answers = ctx, answers

    def __reduce__(self) -> Any:
        reader, self.writer = self.ctx.Pipe(False)
        self.process = self.ctx.Process(
            target=targets.tell_total, args=(targets.Gate(reader), large(), self.answers)
        )
        self.process.start()
        reader.close()
        raise TypeError("not to be sent")


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_process_started_while_a_message_is_pickled_is_no_part_of_it(method: str) -> None:
    ctx = mp.get_context(method)
    queue, answers = ctx.Queue(), ctx.Queue()
    starter = StartsAProcess(ctx, answers)
    with pytest.raises(TypeError, match="not to be sent"):
        # what this message refers to is given back now, before the process unpickles
        queue.put(starter)
    starter.writer.close()
    assert answers.get() == LARGE
    starter.process.join()


class Puts:
    """An object that, when pickled, puts a tensor on a queue with other readers."""

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
    before = stats()["in_flight"]
    with pytest.raises(Exception, match="pickle"):
        queue.put((t, lambda: None))
    assert stats()["in_flight"] == before
    queue.put(t)
    assert float(queue.get()[0]) == 1


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
    assert (after["in_flight"], after["blocks"], after["channels"]) == (
        before["in_flight"],
        before["blocks"],
        before["channels"],
    )
