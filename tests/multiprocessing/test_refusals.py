"""A value that can't be sent raises at its `put`; nothing hangs, and the queue goes on."""

import threading
from concurrent.futures import ProcessPoolExecutor
from queue import Empty, Full

import pytest
import targets

from minitensor.multiprocessing.pool import MaybeEncodingError
from minitensor.multiprocessing.queues import Queue


class Refuses:
    """Refuses as a tensor on a device does, from its own Python code."""

    def __reduce_ex__(self, protocol):
        raise TypeError("[pickle] a tensor on a device can't travel, try t.to('CPU')")


class Broken:
    """Has a defect in its pickling code."""

    def __reduce__(self):
        raise AttributeError("defect")


class Hooked(Queue):
    """Takes the errors itself."""

    def _on_queue_feeder_error(self, error, obj):
        self.seen = (error, obj)


REFUSED = pytest.mark.parametrize("make", [Refuses, threading.Lock, lambda: [{"deep": Refuses()}]])


@REFUSED
@pytest.mark.parametrize("name", ["Queue", "JoinableQueue", "SimpleQueue"])
def test_put(ctx, name, make):
    queue = getattr(ctx, name)()
    with pytest.raises(TypeError):
        queue.put(make())
    queue.put("next")
    assert queue.get() == "next"
    if name == "JoinableQueue":
        queue.task_done()
        queue.join()
    queue.close()


@pytest.mark.parametrize("obj", [lambda: None, (n for n in "ab")])
def test_put_of_what_pickle_refuses(ctx, obj):
    queue = ctx.Queue()
    with pytest.raises(Exception, match="(?i)can.?not pickle|can.t pickle"):
        queue.put(obj)
    with pytest.raises(Empty):
        queue.get_nowait()


def test_a_failed_put_takes_no_place(ctx):
    queue = ctx.Queue(maxsize=1)
    for _ in range(3):
        with pytest.raises(TypeError):
            queue.put_nowait(Refuses())
    queue.put_nowait(1)
    with pytest.raises(Full):
        queue.put_nowait(2)
    assert queue.get() == 1


def test_put_takes_the_value_of_that_moment(ctx):
    queue = ctx.Queue()
    array = targets.make("array")
    for seed in range(50):
        array[:] = seed
        queue.put(array)
    array[:] = -1
    assert [queue.get().max() for _ in range(50)] == list(range(50))


@pytest.mark.parametrize("name", ["Queue", "JoinableQueue"])
def test_closing_is_for_queues_that_were_put_to(ctx, name):
    unused, used = getattr(ctx, name)(), getattr(ctx, name)()
    used.put("something")
    for queue in (unused, used):
        queue.close()
        queue.join_thread()
    assert unused.empty()
    with pytest.raises(OSError, match="is closed"):
        used.empty()


def test_put_after_close(ctx):
    queue = ctx.Queue()
    queue.close()
    with pytest.raises(ValueError, match=r"\[Queue.put\] the queue is closed"):
        queue.put(1)


def test_the_hook_gets_the_error(ctx):
    queue, refused = Hooked(ctx=ctx), Refuses()
    queue.put(refused)
    assert isinstance(queue.seen[0], TypeError) and queue.seen[1] is refused


def test_a_defect_in_pickling_code_is_printed_as_in_the_standard_queue(ctx, capsys):
    queue = ctx.Queue(maxsize=1)
    queue.put(Broken())
    queue.put("next")
    assert queue.get() == "next"
    assert "AttributeError: defect" in capsys.readouterr().err


def test_process_arguments(ctx):
    process = ctx.Process(target=targets.identity, args=(Refuses(),))
    if ctx.get_start_method() == "fork":
        process.start()  # inherited, not sent
        process.join()
        assert process.exitcode == 0
    else:
        with pytest.raises(TypeError, match="can't travel"):
            process.start()


def test_pool(ctx):
    with ctx.Pool(1) as pool:
        with pytest.raises(TypeError, match="can't travel"):
            pool.apply(targets.identity, (Refuses(),))
        with pytest.raises(TypeError, match="can't travel"):
            pool.map(targets.identity, [1, Refuses()])
        with pytest.raises(TypeError, match="can't travel"):
            pool.apply_async(targets.identity, (Refuses(),)).get()
        with pytest.raises(MaybeEncodingError, match="cannot pickle"):
            pool.apply(targets.lock_of, (1,))
        with pytest.raises(LookupError, match="boom"):
            pool.map(targets.boom, [1, 2])
        assert pool.map(targets.identity, [1, 2]) == [1, 2]


def test_pipe(ctx):
    receiver, sender = ctx.Pipe(duplex=False)
    with pytest.raises(TypeError, match="can't travel"):
        sender.send(Refuses())
    sender.send(1)
    assert receiver.recv() == 1


def test_manager(ctx):
    with ctx.Manager() as manager:
        items, queue = manager.list(), manager.Queue()
        for send in (items.append, queue.put):
            with pytest.raises(TypeError, match="can't travel"):
                send(Refuses())
        items.append(1)
        assert list(items) == [1]


def test_executor(ctx):
    with ProcessPoolExecutor(1, mp_context=ctx) as executor:
        with pytest.raises(TypeError, match="can't travel"):
            executor.submit(targets.identity, Refuses()).result()
        with pytest.raises(TypeError, match="cannot pickle"):
            executor.submit(targets.lock_of, 1).result()
        assert executor.submit(targets.identity, 1).result() == 1
