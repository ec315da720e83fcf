"""The nodes of a pipeline: what to read, and how.

A pipeline is a tree of nodes, each plain data.  A node answers two questions:

    keys(epoch)     in which order are which rows read?   An iterator of keys, without any data.
    read(key)       what is the row of this key?          Any process can answer, at any time.

A source's key is an index; `shuffle`, `repeat`, `skip` and `take` only rearrange the keys of their
child, `batch` makes one key of many, and `map` works on the row that its child reads.  So the order
is decided in one place, the program's process, and reading may be spread over workers, which need
nothing but the node and the key.  What can't be known without data (`filter`, a source that can
only be iterated) has the rows themselves as keys.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import config
from .collation import as_array, collate, stack
from .config import checked
from .randomness import BATCH, Reading, mixed

__all__ = [
    "Batch", "BatchInfo", "Concat", "Epoch", "Filter", "Map", "Node", "Project", "Rename", "Repeat",
    "Probe", "Shuffle", "Slice", "Zip", "as_names", "distinct", "parts", "processes_of",
]  # fmt: skip

Columns = Sequence[str] | str


class Epoch(NamedTuple):
    """One pass over a dataset, as its `keys` sees it.

    number: counts the passes of an iterator; below a `repeat` it counts the repetitions too.
    seed: of the iterator; with `number` and `path` it gives the random order of a node.
    shared: the seed that is the same in all processes of a distributed program.
    rows: reads the rows of a node's keys, in order, in the workers where there are some.
    path: what tells apart the nodes that need random numbers; shuffles and nodes with several
        children lengthen it.
    """

    number: int
    seed: int
    shared: int
    rows: Callable[[Node, int, Iterable[Any]], Iterator[tuple[Any, ...]]]
    path: tuple[int, ...] = ()

    def of_child(self, i: int = 0) -> Epoch:
        return self._replace(path=(*self.path, i))

    def rng(self, shared: bool = False) -> np.random.Generator:
        seed = self.shared if shared else self.seed
        return np.random.default_rng(mixed(seed, self.number, len(self.path), *self.path))


class Node:
    """A source, or an operation on its children; here one that changes nothing."""

    children: tuple[Node, ...] = ()
    names: list[str]  # of the columns
    processes = 0  # worker processes that the node asks for
    runs_code = False  # whether `read` calls functions of the program
    source_name = ""  # the type of a source's object, by which errors name it
    needs_rows = False  # whether its keys are rows, which its `keys` reads

    def keys(self, epoch: Epoch) -> Iterator[Any]:
        """Yield the keys of the rows of an epoch."""
        return self.children[0].keys(epoch)

    def read(self, key: Any, reading: Reading) -> tuple[Any, ...]:
        """Return the row of a key."""
        return self.children[0].read(key, reading)

    def size(self) -> int | None:
        """Return the number of rows of an epoch: -1 for no end, None where only reading tells."""
        return self.children[0].size()

    def begins_samples(self) -> bool:
        """Return whether `read` calls `Reading.begin` for each of its samples."""
        return self.children[0].begins_samples()

    def batch_size(self) -> int:
        return self.children[0].batch_size()

    def repeats(self) -> int:
        return self.children[0].repeats()


def parts(node: Node) -> Iterator[Node]:
    """Yield a node and all nodes below it."""
    yield node
    for child in node.children:
        yield from parts(child)


def as_names(columns: Columns) -> list[str]:
    return [columns] if isinstance(columns, str) else [*columns]


def named(op: str, columns: Columns, among: list[str]) -> list[str]:
    """Return a columns argument as a list, all of them names that exist."""
    names = as_names(columns)
    for name in names:
        if name not in among:
            raise ValueError(
                f"[{op}] a column must be one of {', '.join(among)}, got {name!r}; "
                "get_col_names() lists them"
            )
    return names


def distinct(op: str, names: list[str]) -> list[str]:
    """Return names of which none may stand twice."""
    for name in names:
        if names.count(name) > 1:
            raise ValueError(
                f"[{op}] a column's name must stand once, got {name!r} twice; rename one of them"
            )
    return names


def processes_of(op: str, workers: int | None, wanted: bool | None) -> int:
    """Return the number of worker processes that two arguments of an operation ask for."""
    if workers is None:
        workers = config.get_num_parallel_workers()
    workers = checked(op, "num_parallel_workers", workers, 1, " or None")
    if wanted is False or (wanted is None and workers == 1):
        return 0
    return workers


def _callable(op: str, name: str, function: Any) -> Any:
    if not callable(function):
        raise TypeError(f"[{op}] {name} must be callable, got {function!r}")
    return function


def _takes(function: Callable[..., Any], available: int) -> int:
    """Return how many columns a function takes; 1 where Python can't tell."""
    try:
        given = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return 1
    if any(p.kind is p.VAR_POSITIONAL for p in given):
        return available
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in given if p.kind in positional and p.default is p.empty]
    return min(max(len(needed), 1), available)


class _Columns:
    """Some columns of a row that are replaced by the results of a function."""

    def __init__(
        self, op: str, names: list[str], inputs: Columns | None, outputs: Columns | None, count: int
    ) -> None:
        chosen = names[:count] if inputs is None else named(op, inputs, names)
        self.op = op
        self.results = chosen if outputs is None else as_names(outputs)
        self.inputs = [names.index(name) for name in chosen]
        self.in_place = len(self.results) == len(chosen)
        if self.in_place:
            to = dict(zip(chosen, self.results))
            after = [to.get(name, name) for name in names]
        else:
            after = [*self.results, *(name for name in names if name not in chosen)]
        self.names = distinct(op, after)

    def of(self, row: Sequence[Any]) -> list[Any]:
        return [row[i] for i in self.inputs]

    def put(self, row: tuple[Any, ...], results: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return a row with the results in it."""
        if len(results) != len(self.results):
            raise ValueError(
                f"[{self.op}] the function must return one value for each of the columns "
                f"{', '.join(self.results)}, got {len(results)} values; give output_columns"
            )
        if self.in_place:
            new = list(row)
            for i, value in zip(self.inputs, results):
                new[i] = value
            return tuple(new)
        kept = (value for i, value in enumerate(row) if i not in self.inputs)
        return (*results, *kept)


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


class Map(Node):
    runs_code = True

    def __init__(
        self, child: Node, operations: Any, inputs: Columns | None, outputs: Columns | None,
        workers: int | None, wanted: bool | None,
    ) -> None:  # fmt: skip
        self.children = (child,)
        given = operations if isinstance(operations, (list, tuple)) else [operations]
        self.operations = [_callable("map", "an operation", one) for one in given]
        if not self.operations:
            raise ValueError("[map] operations must have at least one function, got none")
        count = _takes(self.operations[0], len(child.names))
        self.replaced = _Columns("map", child.names, inputs, outputs, count)
        self.names = self.replaced.names
        self.processes = processes_of("map", workers, wanted)

    def read(self, key: Any, reading: Reading) -> tuple[Any, ...]:
        row = self.children[0].read(key, reading)
        values: Any = self.replaced.of(row)
        for operation in self.operations:
            values = _as_tuple(operation(*values))
        return self.replaced.put(row, tuple(map(as_array, values)))


class BatchInfo:
    """Tell a function of `batch` which batch it works on.

    Example:
        >>> import minitensor.dataset as ds
        >>> data = ds.NumpySlicesDataset([1, 2, 3], shuffle=False)
        >>> growing = data.batch(lambda info: info.get_batch_num() + 1)
        >>> [x.asnumpy().tolist() for (x,) in growing]
        [[1], [2, 3]]
    """

    def __init__(self, epoch: int, batch: int) -> None:
        self._epoch, self._batch = epoch, batch

    def get_epoch_num(self) -> int:
        """Return the number of the epoch, from 0.

        Returns:
            An int.
        """
        return self._epoch

    def get_batch_num(self) -> int:
        """Return the number of the batch in its epoch, from 0.

        Returns:
            An int.
        """
        return self._batch


class Batch(Node):
    def __init__(
        self, child: Node, size: int | Callable[[BatchInfo], int], drop: bool, workers: int | None,
        per_batch_map: Callable[..., Any] | None, inputs: Columns | None, outputs: Columns | None,
        wanted: bool | None,
    ) -> None:  # fmt: skip
        self.children = (child,)
        self.batch = size if callable(size) else checked("batch", "batch_size", size, 1)
        self.drop = bool(drop)
        self.function = per_batch_map
        if per_batch_map is not None:
            _callable("batch", "per_batch_map", per_batch_map)
        elif inputs is not None or outputs is not None:
            raise ValueError(
                "[batch] input_columns and output_columns must come with per_batch_map, got none"
            )
        self.replaced = _Columns("batch", child.names, inputs, outputs, len(child.names))
        self.names = self.replaced.names
        self.processes = processes_of("batch", workers, wanted)
        self.runs_code = per_batch_map is not None

    def keys(self, epoch: Epoch) -> Iterator[Any]:
        below = self.children[0].keys(epoch)
        first = 0  # the position of the batch's first row
        for number in itertools.count():
            size = self.batch
            if not isinstance(size, int):
                size = checked("batch", "batch_size", size(BatchInfo(epoch.number, number)), 1)
            chosen = tuple(itertools.islice(below, size))
            if not chosen or (self.drop and len(chosen) < size):
                return
            yield epoch.number, epoch.path, number, first, chosen
            first += len(chosen)

    def read(self, key: Any, reading: Reading) -> tuple[Any, ...]:
        epoch, path, number, first, keys = key
        child = self.children[0]
        begins, read, rows = child.begins_samples(), child.read, []
        for i, one in enumerate(keys):
            if not begins:
                reading.begin(epoch, first + i, path, i == 0)
            rows.append(read(one, reading))
        reading.at[BATCH] = number
        if self.function is None:
            return collate(self.names, rows, reading.make)
        columns: Any = tuple(map(list, zip(*rows)))
        results = self.function(*self.replaced.of(columns), BatchInfo(epoch, number))
        columns = self.replaced.put(columns, _as_tuple(results))
        return tuple(map(stack, self.names, columns, itertools.repeat(reading.make)))

    def size(self) -> int | None:
        rows = self.children[0].size()
        if rows is None or rows == -1:
            return rows
        if not isinstance(self.batch, int):
            return None
        return rows // self.batch if self.drop else -(-rows // self.batch)

    def begins_samples(self) -> bool:
        return True

    def batch_size(self) -> int:
        return self.batch if isinstance(self.batch, int) else -1


class Shuffle(Node):
    def __init__(self, child: Node, buffer_size: int) -> None:
        self.children, self.names, self.buffer_size = (child,), child.names, buffer_size

    def keys(self, epoch: Epoch) -> Iterator[Any]:
        below, rng = self.children[0].keys(epoch.of_child()), epoch.rng()
        buffer = list(itertools.islice(below, self.buffer_size))
        # One draw of many numbers costs what a few draws of one cost.
        picks: Iterator[int] = iter(())
        for key in below:
            pick = next(picks, None)
            if pick is None:
                picks = iter(rng.integers(0, len(buffer), 256).tolist())
                pick = next(picks)
            yield buffer[pick]
            buffer[pick] = key
        for pick in rng.permutation(len(buffer)).tolist():
            yield buffer[pick]


class Repeat(Node):
    def __init__(self, child: Node, count: int) -> None:
        self.children, self.names, self.count = (child,), child.names, count

    def keys(self, epoch: Epoch) -> Iterator[Any]:
        first = max(self.count, 0) * epoch.number
        for i in itertools.count() if self.count == -1 else range(self.count):
            empty = True
            for key in self.children[0].keys(epoch._replace(number=first + i)):
                empty = False
                yield key
            if empty:
                return

    def size(self) -> int | None:
        below = self.children[0].size()
        if below is None or below <= 0:
            return below
        return -1 if self.count == -1 else below * self.count

    def repeats(self) -> int:
        below = self.children[0].repeats()
        return -1 if -1 in (below, self.count) else below * self.count


class Slice(Node):
    def __init__(self, child: Node, start: int, count: int | None) -> None:
        self.children, self.names, self.start, self.count = (child,), child.names, start, count

    def keys(self, epoch: Epoch) -> Iterator[Any]:
        end = None if self.count is None else self.start + self.count
        return itertools.islice(self.children[0].keys(epoch), self.start, end)

    def size(self) -> int | None:
        below = self.children[0].size()
        if below is None:
            return None
        if below == -1:
            return -1 if self.count is None else self.count
        left = max(below - self.start, 0)
        return left if self.count is None else min(left, self.count)


class Probe(Node):
    """Read a row, or () for one that a filter leaves out."""

    runs_code = True

    def __init__(self, child: Node, predicate: Callable[..., Any], inputs: list[int]) -> None:
        self.children, self.names = (child,), child.names
        self.predicate, self.inputs = predicate, inputs

    def read(self, key: Any, reading: Reading) -> tuple[Any, ...]:
        row = self.children[0].read(key, reading)
        return row if self.predicate(*(row[i] for i in self.inputs)) else ()


class Filter(Node):
    needs_rows = True

    def __init__(
        self, child: Node, predicate: Callable[..., Any], columns: Columns | None,
        workers: int | None,
    ) -> None:  # fmt: skip
        names = child.names if columns is None else named("filter", columns, child.names)
        inputs = [child.names.index(name) for name in names]
        self.probe = Probe(child, _callable("filter", "predicate", predicate), inputs)
        self.children, self.names = (self.probe,), child.names
        self.processes = processes_of("filter", workers, None)

    def keys(self, epoch: Epoch) -> Iterator[Any]:
        return (row for row in epoch.rows(self.probe, epoch.number, self.probe.keys(epoch)) if row)

    def read(self, key: Any, reading: Reading) -> tuple[Any, ...]:
        return tuple(map(as_array, key))  # tensors, if a worker has read it

    def size(self) -> int | None:
        return 0 if self.probe.size() == 0 else None

    def begins_samples(self) -> bool:
        return False


class Project(Node):
    def __init__(self, child: Node, columns: Columns) -> None:
        self.children = (child,)
        self.names = distinct("project", named("project", columns, child.names))
        self.chosen = [child.names.index(name) for name in self.names]

    def read(self, key: Any, reading: Reading) -> tuple[Any, ...]:
        row = self.children[0].read(key, reading)
        return tuple(row[i] for i in self.chosen)


class Rename(Node):
    def __init__(self, child: Node, inputs: Columns, outputs: Columns) -> None:
        old, new = named("rename", inputs, child.names), as_names(outputs)
        if len(old) != len(new):
            raise ValueError(
                f"[rename] output_columns must have a name for each of {len(old)} input_columns, "
                f"got {len(new)}"
            )
        to = dict(zip(old, new))
        self.children = (child,)
        self.names = distinct("rename", [to.get(name, name) for name in child.names])


class Zip(Node):
    def __init__(self, children: tuple[Node, ...]) -> None:
        self.children = children
        self.names = distinct("zip", [name for child in children for name in child.names])

    def keys(self, epoch: Epoch) -> Iterator[Any]:
        return zip(*(c.keys(epoch.of_child(i)) for i, c in enumerate(self.children)))

    def read(self, key: Any, reading: Reading) -> tuple[Any, ...]:
        rows = (child.read(one, reading) for child, one in zip(self.children, key))
        return tuple(itertools.chain.from_iterable(rows))

    def size(self) -> int | None:
        sizes = [child.size() for child in self.children]
        if None in sizes:
            return None
        ends = [size for size in sizes if size is not None and size != -1]
        return min(ends) if ends else -1

    def begins_samples(self) -> bool:
        return all(child.begins_samples() for child in self.children)


class Concat(Node):
    def __init__(self, children: tuple[Node, ...]) -> None:
        self.children, self.names = children, children[0].names
        for child in children:
            if child.names != self.names:
                raise ValueError(
                    f"[concat] the datasets must have the same columns, got "
                    f"{', '.join(self.names)} and {', '.join(child.names)}; rename or project them"
                )

    def keys(self, epoch: Epoch) -> Iterator[Any]:
        for i, child in enumerate(self.children):
            for key in child.keys(epoch.of_child(i)):
                yield i, key

    def read(self, key: Any, reading: Reading) -> tuple[Any, ...]:
        return self.children[key[0]].read(key[1], reading)

    def size(self) -> int | None:
        sizes = [child.size() for child in self.children]
        if -1 in sizes:
            return -1
        return None if None in sizes else sum(size or 0 for size in sizes)

    def begins_samples(self) -> bool:
        return all(child.begins_samples() for child in self.children)
