"""What child processes run, and the payloads that travel."""

import multiprocessing
import threading

import numpy as np

import minitensor.multiprocessing as mp


def make(kind, seed=0):
    """Return a value of the kind, different for each seed."""
    array = np.arange(6, dtype=np.float32).reshape(2, 3) + seed
    if kind == "array":
        return array
    from minitensor import Tensor

    return Tensor(array)


def payload(kind, seed=0):
    """Return nested values, one of them twice."""
    value = make(kind, seed)
    return {"list": [value, ("tuple", value)], "deep": {"er": [make(kind, seed + 1)]}, "none": None}


def plain(thing):
    """Return the same nest with lists of numbers in place of values, for ==."""
    if isinstance(thing, dict):
        return {key: plain(item) for key, item in thing.items()}
    if isinstance(thing, (list, tuple)):
        return type(thing)(plain(item) for item in thing)
    if hasattr(thing, "asnumpy"):
        return ["tensor", thing.asnumpy().dtype.name, thing.asnumpy().tolist()]
    if isinstance(thing, np.ndarray):
        return ["array", thing.dtype.name, thing.tolist()]
    return thing


def identity(value):
    return value


def pair(first, second):
    return [first, second]


def lock_of(_):
    return threading.Lock()


def boom(_):
    raise LookupError("boom")


def echo(source, sink):
    sink.put(source.get())


def echo_and_acknowledge(source, sink):
    sink.put(source.get())
    source.task_done()


def echo_connection(connection):
    connection.send(connection.recv())
    connection.close()


def put_argument(sink, value):
    sink.put(value)


def put_many(sink, kind, count):
    for seed in range(count):
        sink.put(make(kind, seed))


def put_large(sink, count):
    for seed in range(count):
        sink.put(np.full(1 << 18, seed, np.float32))


def put_start_methods(sink):
    sink.put(
        (
            multiprocessing.get_start_method(),
            mp.get_start_method(),
            type(mp.get_context()).__module__,
        )
    )


def put_family(sink, seen):
    process = mp.current_process()
    known = (
        isinstance(process, multiprocessing.Process)
        and process is multiprocessing.current_process()
    )
    sink.put((known, mp.parent_process().pid, bytes(process.authkey)))
    seen.wait(60)


def nested_pool(sink):
    """Use our package's defaults in a child."""
    with mp.Pool(1) as pool:
        sink.put(pool.apply(identity, (41,)) + 1)


WORKER, PARENT = "worker", "parent"


class Arrives:
    """An object that raises where it is unpickled: in a worker, or in its parent."""

    def __init__(self, where, error, *content):
        self.where, self.error, self.content = where, error, content

    def __setstate__(self, state):
        self.__dict__.update(state)
        if self.where == (PARENT if mp.parent_process() is None else WORKER):
            raise self.error


class WantsTwo(Exception):
    """An exception that can be pickled, and not unpickled."""

    def __init__(self, first, second):
        super().__init__(f"{first} {second}")


def raise_unpicklable():
    raise WantsTwo(1, 2)


def large(_):
    return b"x" * 60_000


def are_one_memory(first, second):
    """Return whether the second sees a write to the end of the first (elements from 30,000)."""
    first[-1] = 5.0
    return float(second[29_999]) == 5.0


def overlapping():
    from minitensor import Tensor

    tensor = Tensor(np.zeros(100_000, np.float32))
    return tensor[:60_000], tensor[30_000:]
