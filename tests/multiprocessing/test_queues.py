"""Queues under signals, finalizers and Ctrl-C, without threads or semaphores, and unanswered."""

import os
import signal
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path
from queue import Empty, Full

import numpy as np
import pytest
from lines import at_line, interrupted

import minitensor.multiprocessing as mp
from minitensor import Tensor
from minitensor.multiprocessing import message_pipe, waiting
from minitensor.multiprocessing.message_pipe import PACKET

STRESS = Path(__file__).parents[1] / "stress"
NAMES = ["Queue", "JoinableQueue", "SimpleQueue"]
BIG = b"x" * 50_000  # four of them fill a socket, two a pipe


@pytest.fixture(params=["packets", "standard pipe"])
def fork(request, monkeypatch):
    """Return the fork context, with our pipes and with the standard ones."""
    if request.param != "packets":
        monkeypatch.setattr(message_pipe, "available", lambda: False)
    return mp.get_context("fork")


@pytest.fixture
def handle():
    """Call a function on SIGUSR1."""
    before = signal.getsignal(signal.SIGUSR1)
    yield lambda act: signal.signal(signal.SIGUSR1, lambda *_: act())
    signal.signal(signal.SIGUSR1, before)


def strike() -> None:
    signal.raise_signal(signal.SIGUSR1)


def make(context, name, maxsize):
    return getattr(context, name)(*[maxsize][: name != "SimpleQueue"])


class Strikes:
    """An object that raises a signal while it is pickled."""

    def __reduce__(self):
        strike()
        return int, (7,)


class Receiver(threading.Thread):
    """Take what comes until None comes."""

    def __init__(self, queue):
        super().__init__(daemon=True)
        self.queue, self.got = queue, []
        self.start()

    def run(self):
        while (item := self.queue.get()) is not None:
            self.got.append(item)
            if hasattr(self.queue, "task_done"):
                self.queue.task_done()


def run(program: str) -> str:
    """Run a program as the main module of a process that handles no signal."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


# --- a put inside a put ---------------------------------------------------------------------------
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("maxsize", [0, 500])
@pytest.mark.parametrize("name", NAMES)
def test_a_signal_handler_puts_at_each_line_of_a_put(fork, handle, name, maxsize, full):
    if full and name == "SimpleQueue":
        pytest.skip("put waits for room, and the handler's as well")
    queue = make(fork, name, maxsize)
    inner = 0

    def put_inner() -> None:
        nonlocal inner
        inner += 1
        queue.put(("inner", inner))

    handle(put_inner)
    receiver = None if full else Receiver(queue)
    for _ in range(10 if full else 0):
        queue.put(BIG)  # the thread that writes is at work, and stays so
    queue.put(Strikes())
    outer = 0
    while at_line(outer, strike, lambda n=outer: queue.put(["outer", n]), ""):
        outer += 1
    receiver = receiver or Receiver(queue)
    queue.put(None)
    receiver.join()
    got = [item for item in receiver.got if item not in (BIG, 7)]
    assert sorted(n for sender, n in got if sender == "inner") == list(range(1, inner + 1))
    assert [n for sender, n in got if sender == "outer"] == list(range(outer + 1))
    assert len(receiver.got) == (10 if full else 0) + 1 + len(got) and inner == outer + 1 > 20
    if name != "SimpleQueue":
        assert queue.qsize() == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_finalizer_puts_inside_a_put(fork, name):
    queue = make(fork, name, 0)

    class Dies:
        def __del__(self):
            queue.put("inner")

    class Holds:
        def __reduce__(self):
            Dies()
            return int, (7,)

    receiver = Receiver(queue)
    lines = 0
    while at_line(lines, Dies, lambda: queue.put(Holds())):
        lines += 1
    queue.put(None)
    receiver.join()
    assert receiver.got.count(7) == lines + 1 and receiver.got.count("inner") == 2 * lines + 1


@pytest.mark.parametrize("act", ["get", "qsize", "empty", "close"])
@pytest.mark.parametrize("two, least", [(2, 5), (Fraction(2), 30)], ids=["quick", "pickler"])
@pytest.mark.parametrize("name", NAMES)
def test_a_signal_handler_uses_the_queue_at_each_line(handle, name, two, least, act):
    """Strike at each line of a put and of a get.

    When the handler closes the queue, the message is sent, or the put raises.
    """
    context = mp.get_context("fork")

    def inner(queue):
        if act == "get":
            if not queue.empty():
                seen.append(queue.get())
        elif hasattr(queue, act):
            getattr(queue, act)()

    def outer(queue):
        try:
            queue.put(two)
            if not queue.empty():
                seen.append(queue.get())
        except (OSError, ValueError) as error:
            assert act == "close", error
            seen.append(2)

    lines, more = 0, True
    while more:
        queue, seen = make(context, name, 0), []
        queue.put(1)
        handle(lambda queue=queue: inner(queue))
        more = at_line(lines, strike, lambda queue=queue: outer(queue), "")
        lines += 1
        if act == "close":
            assert seen in ([1], [2])
        else:
            while not queue.empty():
                seen.append(queue.get())
            assert sorted(seen) == [1, 2]
    assert lines > least


def test_close_by_a_signal_handler_ends_a_get(handle):
    for name in NAMES:
        queue = make(mp.get_context("fork"), name, 0)
        queue.put(1)
        queue.get()
        handle(queue.close)
        lines = 0
        with pytest.raises((OSError, ValueError), match="closed"):
            while at_line(lines, strike, lambda queue=queue: queue.get()):
                lines += 1


# --- what fails gives back what it took -----------------------------------------------------------
TENSOR = Tensor(np.ones(100_000, np.float32))
MESSAGES = {
    "small": lambda: (1, 2),
    "a tensor that has travelled": lambda: TENSOR,
    "two slices": lambda: [TENSOR[:60_000], TENSOR[30_000:]],
    "just a packet": lambda: b"x" * (PACKET - 100),
    "a block": lambda: b"x" * (PACKET + 1),
    "a block and a tensor": lambda: [b"x" * (PACKET + 1), TENSOR],
}


def drain(queue):
    n = 0
    while True:
        try:
            queue.get_nowait()
        except Empty:
            return n
        if hasattr(queue, "task_done"):
            queue.task_done()
        n += 1


@pytest.mark.parametrize("message", MESSAGES)
def test_ctrl_c_at_each_line_of_a_put(message):
    queue = mp.get_context("fork").JoinableQueue(3)
    queue.put(MESSAGES[message]())
    drain(queue)
    before = mp.sharing_stats()
    for line in interrupted(lambda: queue.put(MESSAGES[message]())):
        size = queue.qsize()
        assert drain(queue) == size <= 1, line
        queue.join()
        after = mp.sharing_stats()
        assert after["in_flight"] <= before["in_flight"] and after["blocks"] <= before["blocks"], (
            line
        )


@pytest.mark.parametrize("message", MESSAGES)
def test_ctrl_c_at_each_line_of_a_get(message):
    queue = mp.get_context("fork").Queue(3)
    queue.put(MESSAGES[message]())
    drain(queue)
    before = mp.sharing_stats()
    queue.put(MESSAGES[message]())
    for line in interrupted(lambda: queue.get()):
        drain(queue)
        after = mp.sharing_stats()
        assert queue.qsize() == 0, line
        assert after["in_flight"] <= before["in_flight"] and after["blocks"] <= before["blocks"], (
            line
        )
        queue.put(MESSAGES[message]())


def test_a_storm_of_ctrl_c():
    subprocess.run(
        [sys.executable, STRESS / "storm.py", "-n", "100"], check=True, timeout=100,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


class Unwelcome:
    """An object that cannot be unpickled; the tensors after it are not, either."""

    def __init__(self, *content):
        self.content = content

    def __reduce__(self):
        return _refuse, (self.content,)


def _refuse(content):
    raise LookupError("unwelcome")


@pytest.mark.parametrize("count", [1, message_pipe.LISTED, message_pipe.LISTED + 1])
@pytest.mark.parametrize("name", NAMES)
def test_a_message_that_is_not_unpickled_gives_back_its_references(name, count):
    queue = make(mp.get_context("fork"), name, 1)
    listed = message_pipe.LISTED
    tensors = [Tensor(np.full(5_000, n, np.float32)) for n in range(3)]
    before = mp.sharing_stats()["in_flight"]
    for _ in range(3):
        queue.put(
            [_Bomb(), tensors]
            if count == 1
            else [_Bomb(), *[_Alone(tensors[0]) for _ in range(count)]]
        )
        with pytest.raises(LookupError):
            queue.get()
        assert mp.sharing_stats()["in_flight"] - before <= max(0, count - listed) * 3
    queue.put("next")
    assert queue.get() == "next"


class _Bomb:
    def __reduce__(self):
        return _refuse, ((),)


class _Alone:
    """A tensor that has a storage of its own."""

    def __init__(self, tensor):
        self.tensor = tensor.copy()

    def __reduce__(self):
        return _Alone, (self.tensor,)


def test_a_put_that_no_process_can_read_gives_back_its_place():
    queue = mp.get_context("fork").Queue(2)
    queue._reader.close()
    before = mp.sharing_stats()["in_flight"]
    for message in MESSAGES.values():
        with pytest.raises(BrokenPipeError):
            queue.put(message(), False)
    assert mp.sharing_stats()["in_flight"] == before and queue.qsize() == 0


@pytest.mark.parametrize("name", ["Queue", "JoinableQueue"])
def test_without_a_thread_the_put_writes_itself(fork, monkeypatch, name):
    queue = make(fork, name, 20)
    receiver = Receiver(queue)

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    for n in range(12):
        queue.put((n, BIG))  # waits for room
    queue.put(None)
    receiver.join()
    assert [n for n, _ in receiver.got] == list(range(12))
    queue.put("waiting")
    queue.close()
    queue.join_thread()


def test_a_full_queue_takes_nothing():
    queue = mp.get_context("fork").Queue(1)
    queue.put(TENSOR)
    for _ in range(3):
        with pytest.raises(Full):
            queue.put(TENSOR, timeout=0.001)
    assert drain(queue) == 1 and queue.qsize() == 0


# --- no semaphores --------------------------------------------------------------------------------
def test_without_semaphores_an_unbounded_queue_works():
    program = """
    import _multiprocessing, multiprocessing.synchronize
    class SemLock:
        SEM_VALUE_MAX = 2**31 - 1
        def __init__(self, *args):
            raise FileNotFoundError(2, "No such file or directory")
    _multiprocessing.SemLock = SemLock
    multiprocessing.synchronize._multiprocessing.SemLock = SemLock
    import minitensor.multiprocessing as mp
    context = mp.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=lambda: [queue.put(n) for n in range(5)])
    child.start()
    print(*[queue.get() for _ in range(5)], queue.empty(), queue.full())
    child.join()
    try:
        queue.qsize()
    except NotImplementedError as error:
        print(error)
    for make in (lambda: context.Queue(1), context.JoinableQueue):
        try:
            make()
        except FileNotFoundError as error:
            print("refused")
    """
    said = run("\n".join(line[4:] for line in program.splitlines())).splitlines()
    assert said[0] == "0 1 2 3 4 True False" and said[2:] == ["refused"] * 2
    assert said[1].startswith("[qsize] the queue isn't counted") and "FileNotFoundError" in said[1]


# --- nothing is left to answer --------------------------------------------------------------------
ALONE = """
import _thread, os, signal, threading
import minitensor.multiprocessing as mp
from minitensor.multiprocessing import waiting
context = mp.get_context("fork")
queue = context.{name}()
child = context.Process(target=queue.put, args=(1,))
child.start()
print(queue.get())
child.join()
waiting.SLICE = 0.01
looks, decide, enough = 0, waiting._is_abandoned, _thread.allocate_lock()
enough.acquire()
def look(reader):
    global looks
    looks += 1
    if looks == 5:
        then()
    return decide(reader)
waiting._is_abandoned = look
def put(*_):
    enough.acquire()
    queue.put(2)
"""
WAYS = {
    "a signal handler": "signal.signal(signal.SIGUSR2, lambda *_: queue.put(2)); then = lambda: "
                        "signal.raise_signal(signal.SIGUSR2)",
    "a thread": "threading.Thread(target=put, daemon=True).start(); then = enough.release",
    "a thread that threading doesn't know": "_thread.start_new_thread(put, ()); then = "
                                            "enough.release",
    "a process that a signal handler starts": "signal.signal(signal.SIGUSR2, lambda *_: "
                                              "context.Process(target=queue.put, "
                                              "args=(2,)).start())\n"
    "then = lambda: signal.raise_signal(signal.SIGUSR2)",
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_a_get_waits_while_anything_in_its_process_could_put(name, way):
    assert run(f"{ALONE.format(name=name)}\n{WAYS[way]}\nprint(queue.get())") == "1\n2\n"


def test_a_get_waits_in_a_thread_while_the_main_thread_could_put():
    program = (
        "got = []\nthen = enough.release\n"
        "reader = threading.Thread(target=lambda: print(queue.get()))\n"
        "reader.start()\nput()\nreader.join()"
    )
    assert run(f"{ALONE.format(name='Queue')}\n{program}") == "1\n2\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_get_that_nothing_can_answer_raises(name):
    program = (
        "then = lambda: print('too late')\n"
        "try:\n    queue.get()\nexcept EOFError as error:\n    print(error)"
    )
    first, second = run(f"{ALONE.format(name=name)}\n{program}").splitlines()
    assert first == "1" and second.startswith(
        "[get] every other process that had the queue has ended"
    )


def test_a_queue_goes_on_when_a_child_has_inherited_what_waits():
    """A message that waits for room is sent once, by the parent, not again by a forked child."""
    queue = mp.get_context("fork").Queue()
    for n in range(10):
        queue.put((n, BIG))
    pid = os.fork()
    if pid == 0:
        queue.put((10, BIG), False)
        queue.close()
        queue.join_thread()
        os._exit(0)
    got = [queue.get()[0] for _ in range(11)]
    os.waitpid(pid, 0)
    assert sorted(got) == list(range(11)) and queue.empty()
    assert [n for n in got if n < 10] == list(range(10))


def test_slices_are_looks():
    assert 0 < 2 * waiting.SLICE < 1  # docs/sharing.md says: within a second
