"""Worker processes that read the rows of a pipeline, in order, ahead of the program.

The problem.  A loader with processes has to keep the order of the rows, to bound what is read
ahead, and to wait for nothing that can't come: a worker may be killed, its message may be
unreadable, the program may leave an epoch early, be interrupted or fork.  What fails in loaders: a
queue that all workers share has a lock, which a killed worker keeps; a worker that sends into a
full pipe waits for the program, which sends the worker its next task into another full pipe; a
worker that was forked later has the pipes of the earlier ones, so that these see no end when the
program is killed; a batch is assembled in one memory and copied into another to be sent.

The solution.  Each worker has two pipes of its own, one for tasks and one for answers, and a worker
answers its tasks in their order.  So the program knows, for each worker, which task it is at:

    program    keys of the pipeline ─> task ─> the worker with the fewest tasks
               rows in the order of the tasks <─ answers of all workers, as they come
    worker     a thread receives the tasks; the main thread reads one after the other
               (`Node.read`), assembles batches in shared memory, and sends tensors

* The thread in the worker takes a task at once, whatever the main thread is doing.  So the program
  never waits for a worker in order to send.  The thread also sees the end of the pipe, when the
  program closes it or dies; the worker then ends after its present sample, or by force after
  `GRACE` seconds.
* `self.at` is memory that all processes see.  A worker writes there which task and which sample it
  reads, so that the program can tell which sample a killed worker was reading.
* When a worker dies, the task that it was at has failed.  Its other tasks go to a new worker.
* Rows without a batch share messages: as many as a worker reads in some 2 ms.
* A fork closes the program's ends of the pipes in the child (`_after_fork`): a pipe has one owner
  at each end, and both sides see the other's death as the end of the pipe.

What it guarantees.  Each task is answered once: by its row, by the exception of the program's code,
or by the death of its worker.  At most `prefetch` rows for each worker are ahead of the program.
`close` returns in some `GRACE` seconds, and leaves no process, no descriptor and no shared memory.
An idle worker costs no time.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from minitensor import fork, multiprocessing

from .collation import Memory
from .errors import SampleError, dead, failed, in_one_line
from .nodes import Node
from .randomness import TASK, Reading

__all__ = ["Item", "Task", "Workers", "read_item"]

GRACE = 1.0  # seconds for a worker to end by itself
get_context: Any = multiprocessing.get_context
_LOOK = 0.5  # seconds between two looks at workers that neither answer nor close their pipe
_SECONDS, _ROWS = 0.002, 64  # of rows that share a message
_PLACES = TASK + 1  # of `Reading.at`


class Item(NamedTuple):
    """A row to be read."""

    epoch: int
    position: int  # of the row in the epoch
    key: Any


def read_item(node: Node, stage: int, item: Item, reading: Reading) -> tuple[Any, ...]:
    """Read a row; `stage` tells apart the parts of a pipeline that are read one after the other."""
    if not node.begins_samples():
        reading.begin(item.epoch, item.position, (stage,) if stage else (), True)
    return node.read(item.key, reading)


# --- in the worker --------------------------------------------------------------------------------
def _work(
    nodes: list[Node], seed: int, seeds: bool, at: Any, offset: int, tasks: Connection,
    answers: Connection,
) -> None:  # fmt: skip
    """Answer tasks until the pipe of tasks ends."""
    signal.signal(signal.SIGINT, _ignore)  # Ctrl-C is the program's; a child of ours is not deaf
    memory = Memory("shared")
    reading = Reading(seed, memoryview(at).cast("B").cast("q")[offset : offset + _PLACES],
                      memory.array, seeds)  # fmt: skip
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(tasks, inbox, reading), daemon=True).start()
    while (message := inbox.get()) is not None:
        begin = time.perf_counter()
        found = _answers(nodes, message, reading, memory)
        seconds = time.perf_counter() - begin
        try:
            _reply(answers, seconds, found, reading)
        except OSError:  # the program has closed the pipe
            return
        del message, found  # or the block of this batch would stay while the next one is read


def _ignore(signum: int, frame: Any) -> None:
    pass


def _receive(tasks: Connection, inbox: Any, reading: Reading) -> None:
    while True:
        try:
            inbox.put(tasks.recv())
        except (EOFError, OSError):
            break
        except Exception as error:  # the task can't be unpickled
            inbox.put(error)
    reading.ended = True
    inbox.put(None)
    time.sleep(GRACE)  # for the present sample; one that does not end by then is cut off
    os._exit(1)


def _answers(nodes: list[Node], message: Any, reading: Reading, memory: Memory) -> list[Any]:
    """Return the rows of a message's tasks, each as a tuple or its failure."""
    if isinstance(message, Exception):
        return [failed(message, reading.at)]
    stage, items = message
    found: list[Any] = []
    for item in items:
        reading.at[TASK] += 1
        try:
            found.append(memory.finish(read_item(nodes[stage], stage, Item(*item), reading)))
        except Exception as error:
            found.append(failed(error, reading.at))
    return found


def _reply(answers: Connection, seconds: float, found: list[Any], reading: Reading) -> None:
    """Send rows; one that can't be pickled becomes its failure."""
    try:
        answers.send((seconds, found))
    except OSError:
        raise
    except Exception:
        answers.send((seconds, [_as_sendable(row, reading) for row in found]))


def _as_sendable(row: Any, reading: Reading) -> Any:
    try:
        pickle.dumps(row)
    except Exception as error:
        return failed(error, reading.at)
    return row


# --- in the program -------------------------------------------------------------------------------
class Task:
    """A row to be read; `answer` is its tuple or its failure, `cause` this process's exception."""

    __slots__ = ("answer", "cause", "item", "stage")

    def __init__(self, stage: int, item: Item) -> None:
        self.stage, self.item = stage, item
        self.answer: Any = None
        self.cause: BaseException | None = None


class _Worker:
    def __init__(self, process: Any, tasks: Connection, answers: Connection, offset: int) -> None:
        self.process, self.tasks, self.answers, self.offset = process, tasks, answers, offset
        self.given: deque[list[Task]] = deque()  # the messages that are not answered yet
        self.answered = 0  # tasks


_all: weakref.WeakSet[Workers] = weakref.WeakSet()


class Workers:
    """The worker processes of one iterator.

    Args:
        nodes: the root of the pipeline, and the nodes below it whose rows decide the order.
        count: how many workers.
        prefetch: maximum rows for each worker that the iterator has not returned.
        seed: the iterator's seed; `seeds` says whether reading draws random numbers.
    """

    def __init__(
        self, nodes: list[Node], count: int, prefetch: int, seed: int, seeds: bool
    ) -> None:
        self._nodes, self._seed, self._seeds = nodes, seed, seeds
        self._ahead = count * prefetch
        self._context = get_context()
        self._at = self._context.RawArray("q", [-1] * (count * _PLACES))
        self._workers: dict[Connection, _Worker] = {}  # by the pipe of their answers
        self._seconds = _SECONDS  # that a row took in the last message
        self._owner = os.getpid()
        _all.add(self)
        try:
            for i in range(count):
                self._start(i * _PLACES)
        except BaseException:
            self.close()
            raise

    def _start(self, offset: int) -> _Worker:
        """Start a worker."""
        self._at[offset : offset + _PLACES] = [-1] * _PLACES
        tasks, to_tasks = self._context.Pipe(False)
        answers, to_answers = self._context.Pipe(False)
        process = self._context.Process(
            target=_work, name="dataset-worker", daemon=True,
            args=(self._nodes, self._seed, self._seeds, self._at, offset, tasks, to_answers),
        )  # fmt: skip
        # Known before the start, so that a forked worker closes these ends of its own pipes too.
        self._workers[answers] = worker = _Worker(process, to_tasks, answers, offset)
        try:
            process.start()
        except (AssertionError, OSError):  # a daemon may have no children; no process is left
            raise
        except Exception as error:  # whatever the pipeline's own methods raise
            raise SampleError(
                f"[dataset] the pipeline can't be sent to a worker: {in_one_line(error)}; define "
                "sources and functions at the top of a module, or use the start method fork"
            ) from error
        finally:
            tasks.close()
            to_answers.close()
        return worker

    def answers(self, stage: int, items: Iterable[Item | None]) -> Iterator[Task | None]:
        """Yield the tasks of items, answered, in order; None stands for itself."""
        batches = self._nodes[stage].begins_samples()
        window: deque[Task | None] = deque()
        unsent: list[Task] = []
        for item in items:
            if item is None:
                window.append(None)
            else:
                task = Task(stage, item)
                window.append(task)
                unsent.append(task)
            rows = 1 if batches else self._rows_of_a_message()
            if len(unsent) >= rows:
                self._submit(unsent)
                unsent = []
            while len(window) >= self._ahead * rows:
                yield self._finished(window.popleft())
        if unsent:
            self._submit(unsent)
        while window:
            yield self._finished(window.popleft())

    def _rows_of_a_message(self) -> int:
        """Return how many rows take some `_SECONDS` to read; a message of its own costs 0.1 ms."""
        return min(max(int(_SECONDS / self._seconds), 1), _ROWS)

    def _submit(self, tasks: list[Task]) -> None:
        if not self._workers:
            self._start(0)
        if all(worker.given for worker in self._workers.values()):
            self._collect(0)
        self._send(min(self._workers.values(), key=_load), tasks)

    def _send(self, worker: _Worker, tasks: list[Task]) -> None:
        worker.given.append(tasks)
        try:
            worker.tasks.send((tasks[0].stage, [tuple(task.item) for task in tasks]))
        except OSError:  # it has died; its answers will end
            pass
        except Exception as error:  # a key, which is a row, can't be pickled
            worker.given.pop()
            for task in tasks:
                task.answer = failed(error, [task.item.epoch, task.item.position, -1, -1, -1])

    def _finished(self, task: Task | None) -> Task | None:
        while task is not None and task.answer is None:
            self._collect(_LOOK)
        return task

    def _collect(self, seconds: float) -> None:
        """Receive what has come; wait for it at most some seconds."""
        ready = wait([*self._workers], seconds)
        for end in ready:
            self._receive(self._workers[end])  # type: ignore[index]
        if not ready and seconds:
            for worker in [*self._workers.values()]:
                # A process that the worker has left behind may keep its pipe open.
                if not worker.process.is_alive() and not worker.answers.poll():
                    self._lost(worker)

    def _receive(self, worker: _Worker) -> None:
        try:
            seconds, found = worker.answers.recv()
        except (EOFError, ConnectionError):
            self._lost(worker)
            return
        except Exception as error:  # the answer can't be unpickled
            failure = failed(error, self._at[worker.offset : worker.offset + _PLACES])
            seconds, found = 0.0, [failure]
        tasks = worker.given.popleft()
        if len(found) < len(tasks):  # the message as a whole has failed
            found = found * len(tasks)
        for task, answer in zip(tasks, found):
            task.answer = answer
        worker.answered += len(tasks)
        self._seconds = max(seconds / len(tasks), 1e-9)

    def _lost(self, worker: _Worker) -> None:
        """Fail the task that a dead worker was at, and give its other tasks to a new one."""
        self._remove(worker, time.monotonic() + 1.5 * GRACE)
        at = self._at[worker.offset : worker.offset + _PLACES]
        process, given = worker.process, worker.given
        began = at[TASK] >= worker.answered
        if given and (began or at[TASK] < 0):
            place = at[TASK] - worker.answered if began else 0
            victim = given[0].pop(min(place, len(given[0]) - 1))
            victim.answer = dead(process.pid, process.exitcode, at, began)
        process.close()
        if at[TASK] < 0 and not given:  # a new one would not live longer
            return
        new = self._start(worker.offset)
        for tasks in given:
            if tasks:
                self._send(new, tasks)

    def _remove(self, worker: _Worker, deadline: float) -> None:
        """Close a worker's pipes, and wait until it has ended; kill it after the deadline."""
        del self._workers[worker.answers]
        worker.tasks.close()
        worker.answers.close()
        worker.process.join(max(deadline - time.monotonic(), 0.1))
        if worker.process.exitcode is None:
            worker.process.kill()
            worker.process.join()

    def close(self) -> None:
        """End the workers; a second call has no effect."""
        if self._owner != os.getpid():
            self._workers.clear()
            return
        deadline = time.monotonic() + 1.5 * GRACE
        workers = [*self._workers.values()]
        for worker in workers:
            worker.tasks.close()  # first of all: they end side by side
            worker.answers.close()
        for worker in workers:
            if worker.process.pid is None:
                del self._workers[worker.answers]
            else:
                self._remove(worker, deadline)
                worker.process.close()

    @property
    def is_mine(self) -> bool:
        """Whether this process has started the workers."""
        return self._owner == os.getpid()


def _load(worker: _Worker) -> int:
    return len(worker.given)


def _after_fork() -> None:
    """Close the parent's ends of the pipes, in a forked child."""
    for workers in _all:
        for worker in workers._workers.values():
            worker.tasks.close()
            worker.answers.close()
        workers._workers.clear()
    _all.clear()


fork.register(after_in_child=_after_fork, name="dataset", level=5)
