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

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import config
from .config import checked
from .randomness import Reading, mixed

__all__ = [
    "Columns", "Concat", "Epoch", "Node", "Project", "Rename", "Repeat", "Shuffle", "Slice", "Zip",
    "as_names", "distinct", "named", "parts", "processes_of",
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
