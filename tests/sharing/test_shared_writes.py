"""Memory that processes share (`share_memory_`): a call returns after its write or read.

So the locks, events, queues and results of multiprocessing order what they are meant to order.
NumPy is the oracle.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import shared_targets as targets
from races import until

import minitensor.multiprocessing as mp
from minitensor import Tensor, config, ops, runtime
from minitensor.backend import core
from minitensor.backend.core import lib

AT_ONCE = config.get("MINITENSOR_INLINE_ELEMENTS")  # larger additions are queued

WRITES: dict[str, Callable[[Any], object]] = {  # on tensors, and on arrays for the oracle
    "in place": lambda t: t.__iadd__(1),
    "in place, by a tensor of another dtype": lambda t: t.__imul__(
        type(t)(np.arange(len(t), dtype="i4")) if isinstance(t, Tensor)
        else np.arange(len(t), dtype="i4")
    ),
    "through a view": lambda t: t[1::2].__iadd__(2),
    "through a reversed view": lambda t: t[::-1].__imul__(3),
    "all elements": lambda t: t.__setitem__(..., 7),
    "a slice": lambda t: t.__setitem__(slice(2, -1), t[3:]),
    "by a mask": lambda t: t.__setitem__(t > 2, 5),
    "by positions": lambda t: t.__setitem__(np.arange(len(t))[::3], 4),
}  # fmt: skip

READS: dict[str, Callable[[Tensor], Tensor]] = {
    "elementwise": lambda t: t + 1,
    "reduction": lambda t: t.sum(),
    "reduction along": lambda t: t.reshape(2, -1).max(axis=0),
    "cast": lambda t: t.astype("int32"),
    "copy": lambda t: t.copy(),
    "copied in": lambda t: ops.zeros_like(t).__iadd__(t),
    "by positions": lambda t: t[np.arange(len(t))[::-1]],
    "product": lambda t: ops.matmul(t.reshape(2, -1), t.reshape(-1, 2)),
    "NumPy's": lambda t: ops.sort(t)[0],
    "joined": lambda t: ops.concat([t, t]),
    "to a device": lambda t: t.to("Ascend"),
}


def shared(n: int) -> tuple[Tensor, np.ndarray]:
    array = np.arange(n, dtype="f4") % 11
    return Tensor(array).share_memory_(), array.copy()


def bytes_of(t: Tensor) -> np.ndarray:
    """Return what another process would see now, without waiting."""
    return core.array(t._ref)


def queued() -> int:
    out = core.ffi.new("mt_running[8]")
    return sum(out[i].queued for i in range(lib.mt_busy(out, 8)))


def returns_after(gate: threading.Event, call: Callable[[], object]) -> bool:
    """Call behind work that the gate ends; return whether the call returned only then."""
    blocker = ops.host_call(lambda: float(gate.wait(60)), [], shape=(), dtype="float32")
    seen: list[bool] = []
    thread = threading.Thread(target=lambda: (call(), seen.append(gate.is_set())))
    thread.start()
    until(lambda: not thread.is_alive() or queued() > 0)
    gate.set()
    thread.join()
    assert blocker.item() == 1
    return seen[0]


@pytest.mark.parametrize("n", [2, AT_ONCE, AT_ONCE + 2, 300_000])
@pytest.mark.parametrize("how", WRITES)
def test_a_write_is_done_when_its_call_returns(how: str, n: int) -> None:
    t, expected = shared(n)
    write = WRITES[how]
    write(t)
    assert runtime.current_stream().query()
    write(expected)
    np.testing.assert_array_equal(bytes_of(t), expected)
    assert returns_after(threading.Event(), lambda: write(t))
    write(expected)
    np.testing.assert_array_equal(bytes_of(t), expected)


@pytest.mark.parametrize("n", [2, AT_ONCE, AT_ONCE + 2])
@pytest.mark.parametrize("how", READS)
def test_a_read_sees_what_was_there_at_its_call(how: str, n: int) -> None:
    t, array = shared(n)
    read = READS[how]
    expected = read(Tensor(array)).asnumpy()
    first = read(t)
    bytes_of(t)[...] = 99  # by another process, after the call
    np.testing.assert_array_equal(first.asnumpy(), expected)
    if how == "to a device":  # by a stream of that device's
        return
    bytes_of(t)[...] = array
    results: list[Tensor] = []
    assert returns_after(threading.Event(), lambda: results.append(read(t)))
    bytes_of(t)[...] = 99
    np.testing.assert_array_equal(results[0].asnumpy(), expected)


def test_on_another_stream_that_waits_for_an_event() -> None:
    t, expected = shared(AT_ONCE + 1)
    gate, side, event = threading.Event(), runtime.Stream(), runtime.Event()

    def write() -> None:
        nonlocal t
        event.record(runtime.default_stream())
        side.wait_event(event)
        with runtime.StreamCtx(side):
            t += 1

    assert returns_after(gate, write)
    assert side.query()
    np.testing.assert_array_equal(bytes_of(t), expected + 1)


@pytest.mark.parametrize("n", [3, AT_ONCE + 1])
def test_inside_a_host_call(n: int) -> None:
    t, expected = shared(n)
    seen: list[np.ndarray] = []

    def inside() -> float:
        nonlocal t
        t += 1
        seen.append(bytes_of(t).copy())
        return 0.0

    ops.host_call(inside, [], shape=(), dtype="float32").item()
    np.testing.assert_array_equal(seen[0], expected + 1)


def test_what_its_caller_gave_up_is_not_written_later() -> None:
    """Ctrl-C ends a call's wait; another process may hold the lock when the stream writes."""
    t, expected = shared(AT_ONCE + 1)
    gate, source = threading.Event(), Tensor(np.full(AT_ONCE + 1, 50.0, "f4"))
    blocker = ops.host_call(lambda: float(gate.wait(60)), [], shape=(), dtype="float32")
    call = lib.mt_copy(t._ref, source._ref)
    assert lib.mt_call_status(call) == lib.MT_QUEUE and lib.mt_submit(call, 0, 1) == lib.MT_TIMEOUT
    lib.mt_call_drop(call)
    gate.set()
    assert blocker.item() == 1
    runtime.synchronize()
    np.testing.assert_array_equal(bytes_of(t), expected)
    t += 1
    np.testing.assert_array_equal(bytes_of(t), expected + 1)


# --- with multiprocessing's ways to order things --------------------------------------------------
@pytest.mark.parametrize(
    "n, rounds", [(1, 40), (AT_ONCE, 40), (AT_ONCE + 1, 40), (200_000, 20), (10_000_000, 2)]
)
def test_additions_under_a_lock_are_all_there(ctx: Any, n: int, rounds: int) -> None:
    t, lock = Tensor(np.zeros(n, "f4")).share_memory_(), ctx.Lock()
    # Forked processes start soonest, and so meet most often.
    count = 8 if ctx.get_start_method() == "fork" else 3
    processes = [
        ctx.Process(target=targets.add_under_lock, args=(t, lock, rounds)) for _ in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * count
    array = t.asnumpy()
    assert array.min() == array.max() == count * rounds


def test_an_event_comes_after_the_write(ctx: Any) -> None:
    t, written, read = Tensor(np.zeros(500_000, "f4")).share_memory_(), ctx.Event(), ctx.Event()
    process = ctx.Process(target=targets.write_and_set, args=(t, written, read, 20))
    process.start()
    for value in range(1, 21):
        assert written.wait(60)
        written.clear()
        array = bytes_of(t)
        assert array.min() == array.max() == value
        read.set()
    process.join()
    assert process.exitcode == 0


def test_a_message_comes_after_the_write(ctx: Any) -> None:
    t, queue, answers = Tensor(np.zeros(500_000, "f4")).share_memory_(), ctx.Queue(), ctx.Queue()
    process = ctx.Process(target=targets.write_and_put, args=(t, queue, answers, 20))
    process.start()
    for value in range(1, 21):
        assert queue.get(timeout=60) == value
        array = bytes_of(t)
        assert array.min() == array.max() == value
        answers.put(value)
    process.join()
    assert process.exitcode == 0


def test_a_result_comes_after_the_write(ctx: Any) -> None:
    t = Tensor(np.zeros((8, 200_000), "f4")).share_memory_()
    pool = ctx.Pool(2, initializer=targets.keep, initargs=(t,))
    for row in pool.imap_unordered(targets.fill_row, range(8)):
        assert (bytes_of(t)[row] == row + 1).all()
    # Not killed before each worker has received the tensor: its reference would stay in flight.
    pool.close()
    pool.join()
    assert (t.asnumpy() == np.arange(1, 9)[:, None]).all()


@pytest.mark.parametrize("n", [5, AT_ONCE + 1, 1_000_000])
def test_the_last_write_before_a_process_ends(ctx: Any, n: int) -> None:
    t = Tensor(np.zeros(n, "f4")).share_memory_()
    count = 5 if ctx.get_start_method() == "fork" else 2
    for _ in range(count):
        process = ctx.Process(target=targets.add, args=(t,))
        process.start()
        process.join()
        assert process.exitcode == 0
    assert mp.active_children() == [] and (t.asnumpy() == count).all()
