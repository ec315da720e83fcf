"""The sources of pipelines: what reads samples from the program's objects."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minitensor.dtype import DType, as_dtype

from .collation import as_array
from .config import checked
from .nodes import Columns, Epoch, Node, as_names, distinct, processes_of
from .pipeline import Dataset
from .randomness import INDEX, Reading
from .samplers import (
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    as_sampler,
)

__all__ = ["GeneratorDataset", "NumpySlicesDataset"]


class Source(Node):
    """Samples that an object gives by index."""

    def __init__(
        self, source: Any, names: list[str], types: list[DType] | None, sampler: Sampler
    ) -> None:
        self.source, self.names, self.types, self.sampler = source, names, types, sampler
        self.source_name = type(source).__name__
        self.runs_code = not isinstance(source, (Slices, list, tuple, range, np.ndarray))

    def keys(self, epoch: Epoch) -> Iterator[Any]:
        rng = epoch.rng(shared=isinstance(self.sampler, DistributedSampler))
        return self.sampler.indices(len(self.source), rng)

    def read(self, key: Any, reading: Reading) -> tuple[Any, ...]:
        reading.at[INDEX] = key
        return self.row(self.source[key])

    def row(self, given: Any) -> tuple[Any, ...]:
        """Return a sample as the values of the columns."""
        values = given if isinstance(given, tuple) else (given,)
        if len(values) != len(self.names):
            raise ValueError(
                f"[GeneratorDataset] a sample must have one value for each of the columns "
                f"{', '.join(self.names)}, got {len(values)}; the source returns a tuple"
            )
        row = tuple(map(as_array, values))
        for name, value, dtype in zip(self.names, row, self.types or ()):
            if value.dtype != dtype.numpy:
                raise TypeError(
                    f"[GeneratorDataset] column {name!r} must have the type {dtype}, got "
                    f"{value.dtype}; change column_types or the source"
                )
        return row

    def size(self) -> int | None:
        return self.sampler.size(len(self.source))

    def begins_samples(self) -> bool:
        return False

    def batch_size(self) -> int:
        return 1

    def repeats(self) -> int:
        return 1


class IterableSource(Source):
    """Samples that an object only gives one after the other; the program's process reads them."""

    needs_rows = True

    def __init__(
        self, source: Any, names: list[str], types: list[DType] | None, limit: int | None
    ) -> None:
        super().__init__(source, names, types, SequentialSampler())
        self.limit = limit

    def keys(self, epoch: Epoch) -> Iterator[Any]:
        samples = self.source() if callable(self.source) else iter(self.source)
        return (self.row(one) for one in itertools.islice(samples, self.limit))

    def read(self, key: Any, reading: Reading) -> tuple[Any, ...]:
        row: tuple[Any, ...] = key
        return row

    def size(self) -> int | None:
        return None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "source": None}  # workers read rows that they are sent


class Slices:
    """The rows of arrays of one length."""

    def __init__(self, arrays: list[Any]) -> None:
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays[0])

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return tuple([array[index] for array in self.arrays])


def columns_of_schema(schema: Any) -> tuple[list[str], list[DType]]:
    """Return the names and types of a schema: a dict, or a path to its JSON."""
    if not isinstance(schema, dict):
        schema = json.loads(Path(schema).read_text())
    columns = schema.get("columns") if isinstance(schema, dict) else None
    if not isinstance(columns, dict) or not all("type" in one for one in columns.values()):
        raise ValueError(
            "[GeneratorDataset] schema must have the form "
            f"{{'columns': {{NAME: {{'type': TYPE}}}}}}, got {schema!r}"
        )
    return [*columns], [as_dtype(one["type"], "GeneratorDataset") for one in columns.values()]


def sampler_of(
    op: str, source: Any, num_samples: int | None, shuffle: bool | None, sampler: Any,
    num_shards: int | None, shard_id: int | None,
) -> Sampler | None:  # fmt: skip
    """Return the sampler that a source's arguments describe; None if it can only be iterated."""
    if (num_shards is None) != (shard_id is None):
        raise ValueError(
            f"[{op}] num_shards and shard_id must be given together, got {num_shards} and "
            f"{shard_id}"
        )
    if sampler is not None and (shuffle is not None or num_shards is not None):
        raise ValueError(
            f"[{op}] sampler must stand alone, got shuffle or num_shards too; "
            "use RandomSampler or DistributedSampler"
        )
    if not (hasattr(source, "__getitem__") and hasattr(source, "__len__")):
        if shuffle or sampler is not None or num_shards is not None:
            raise ValueError(
                f"[{op}] a source must have __getitem__ and __len__ for shuffle, sampler and "
                f"num_shards, got {type(source).__name__}; use .shuffle(buffer_size) to mix it"
            )
        return None
    if sampler is not None:
        chosen = as_sampler(sampler)
        if num_samples is None:
            return chosen
        limit = SequentialSampler(num_samples=num_samples)
        limit.add_child(chosen)
        return limit
    if num_shards is not None and shard_id is not None:
        return DistributedSampler(num_shards, shard_id, shuffle is not False, num_samples)
    if shuffle is False:
        return SequentialSampler(num_samples=num_samples)
    return RandomSampler(num_samples=num_samples)


def checked_names(op: str, names: Any) -> list[str]:
    found = as_names(names)
    if not found or not all(isinstance(name, str) and name for name in found):
        raise TypeError(f"[{op}] column_names must be names of columns, got {names!r}")
    return distinct(op, found)


class GeneratorDataset(Dataset):
    """Read samples from an object of the program.

    Args:
        source: an object with `__getitem__` and `__len__`, whose samples any worker can read; or an
            iterable, or a function that returns one, which the program's own process reads anew in
            each epoch. A sample is a tuple with a value for each column, or the only value.
        column_names: the name of the column, or the names of the columns.
        column_types: the dtype of each column, which each sample must have; None for any.
        schema: names and types in place of these two arguments: a dict of the form
            `{"columns": {NAME: {"type": TYPE}}}`, or the path of its JSON file.
        num_samples: maximum samples of an epoch; None for all.
        num_parallel_workers: number of worker processes; 1 reads in the calling thread.
        shuffle: whether the samples come in random order; None for True, if they have indices.
        sampler: a sampler or an iterable of indices, in place of `shuffle`.
        num_shards: number of shards of a distributed program, which read disjoint samples.
        shard_id: the shard to read.
        python_multiprocessing: False for no worker processes.
        max_rowsize: has no effect; shared memory grows as needed.

    Raises:
        TypeError: the source or an argument has a wrong type.
        ValueError: two arguments contradict each other.

    Example:
        >>> import minitensor.dataset as ds
        >>> class Squares:
        ...     def __len__(self):
        ...         return 4
        ...     def __getitem__(self, index):
        ...         return index, index ** 2
        >>> data = ds.GeneratorDataset(Squares(), ["x", "y"], shuffle=False).batch(2)
        >>> [row["y"].asnumpy().tolist() for row in data.create_dict_iterator(num_epochs=1)]
        [[0, 1], [4, 9]]
    """

    def __init__(
        self,
        source: Any,
        column_names: Columns | None = None,
        column_types: Sequence[Any] | None = None,
        schema: Any = None,
        num_samples: int | None = None,
        num_parallel_workers: int | None = 1,
        shuffle: bool | None = None,
        sampler: Any = None,
        num_shards: int | None = None,
        shard_id: int | None = None,
        python_multiprocessing: bool = True,
        max_rowsize: int | None = 6,
    ) -> None:
        op = "GeneratorDataset"
        if not any(hasattr(source, name) for name in ("__getitem__", "__iter__", "__call__")):
            raise TypeError(
                f"[{op}] source must have __getitem__ and __len__, be iterable or be callable, got "
                f"{type(source).__name__}"
            )
        types = None if column_types is None else [as_dtype(one, op) for one in column_types]
        if schema is not None:
            if column_names is not None or column_types is not None:
                raise ValueError(f"[{op}] schema must stand alone, got column_names or types too")
            column_names, types = columns_of_schema(schema)
        if column_names is None:
            raise ValueError(f"[{op}] column_names or schema must be given, got none")
        names = checked_names(op, column_names)
        if types and len(types) != len(names):
            raise ValueError(
                f"[{op}] column_types must have a dtype for each of {len(names)} columns, got "
                f"{len(types)}"
            )
        if num_samples is not None:
            num_samples = checked(op, "num_samples", num_samples, 1, " or None")
        given = sampler_of(op, source, num_samples, shuffle, sampler, num_shards, shard_id)
        node = (
            IterableSource(source, names, types, num_samples)
            if given is None
            else Source(source, names, types, given)
        )
        wanted = None if python_multiprocessing else False
        node.processes = processes_of(op, num_parallel_workers, wanted)
        super().__init__(node)


class NumpySlicesDataset(GeneratorDataset):
    """Read the rows of arrays.

    Args:
        data: a list or array, the only column; a tuple of these, or a dict by column name.
        column_names: the names of the columns; None for the dict's, or column_0, column_1, ...
        num_samples: maximum samples of an epoch; None for all.
        num_parallel_workers: number of worker processes; 1 reads in the calling thread.
        shuffle: whether the rows come in random order; None for True.
        sampler: a sampler or an iterable of indices, in place of `shuffle`.
        num_shards: number of shards of a distributed program, which read disjoint rows.
        shard_id: the shard to read.

    Raises:
        TypeError: an argument has a wrong type.
        ValueError: the arrays differ in length, or two arguments contradict each other.

    Example:
        >>> import minitensor.dataset as ds
        >>> data = ds.NumpySlicesDataset(([1, 2], [[3, 4], [5, 6]]), ["a", "b"], shuffle=False)
        >>> [b.asnumpy().tolist() for a, b in data]
        [[3, 4], [5, 6]]
    """

    def __init__(
        self,
        data: Any,
        column_names: Columns | None = None,
        num_samples: int | None = None,
        num_parallel_workers: int | None = 1,
        shuffle: bool | None = None,
        sampler: Any = None,
        num_shards: int | None = None,
        shard_id: int | None = None,
    ) -> None:
        if isinstance(data, dict):
            arrays, names = [*data.values()], [*data]
        else:
            arrays = [*data] if isinstance(data, tuple) else [data]
            names = [f"column_{i}" for i in range(len(arrays))]
        arrays = [as_array(array) for array in arrays]
        lengths = [len(array) if np.ndim(array) else -1 for array in arrays]
        if len(set(lengths)) != 1 or lengths[0] < 0:
            raise ValueError(
                "[NumpySlicesDataset] data must be arrays of one length, got lengths "
                f"{', '.join(map(str, lengths)) or 'of nothing'}"
            )
        super().__init__(
            Slices(arrays), names if column_names is None else column_names, None, None,
            num_samples, num_parallel_workers, shuffle, sampler, num_shards, shard_id,
        )  # fmt: skip
        if len(self._node.names) != len(arrays):
            raise ValueError(
                f"[NumpySlicesDataset] column_names must have a name for each of {len(arrays)} "
                f"arrays, got {len(self._node.names)}"
            )
