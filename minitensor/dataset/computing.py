"""The nodes that compute: `map`, `batch` and `filter`."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .collation import as_array, collate, stack
from .config import checked
from .nodes import Columns, Epoch, Node, as_names, distinct, named, processes_of
from .randomness import BATCH, Reading

__all__ = ["Batch", "BatchInfo", "Filter", "Map"]


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
