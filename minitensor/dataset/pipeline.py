"""The public classes of pipelines: sources, and the operations on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .computing import Batch, BatchInfo, Filter, Map
from .config import checked
from .iterators import DictIterator, Iterating, TupleIterator
from .nodes import (
    Columns,
    Concat,
    Node,
    Project,
    Rename,
    Repeat,
    Shuffle,
    Slice,
    Zip,
)

__all__ = ["Dataset", "zip"]


class Dataset:
    """A pipeline of data: a source, or an operation on other datasets.

    Its methods return new datasets and change nothing.  `for row in dataset` reads one epoch;
    `create_tuple_iterator` and `create_dict_iterator` keep their workers for many epochs.

    Example:
        >>> import minitensor.dataset as ds
        >>> data = ds.NumpySlicesDataset({"x": [1, 2, 3]}, shuffle=False).batch(2)
        >>> [x.asnumpy().tolist() for (x,) in data]
        [[1, 2], [3]]
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    # --- operations -------------------------------------------------------------------------------
    def map(
        self,
        operations: Callable[..., Any] | Sequence[Callable[..., Any]],
        input_columns: Columns | None = None,
        output_columns: Columns | None = None,
        num_parallel_workers: int | None = None,
        python_multiprocessing: bool | None = None,
    ) -> Dataset:
        """Apply functions to columns of each row.

        Args:
            operations: a function or several; the first takes a row's input columns as arguments,
                each other one what the one before returned.
            input_columns: names of the columns; None for as many of the first columns as the first
                function takes.
            output_columns: names of the results; None for the input columns. As many results as
                inputs stand in the place of these; otherwise the results come first.
            num_parallel_workers: number of worker processes; None for the configuration's.
            python_multiprocessing: False for no processes; True for a process also with one worker.

        Returns:
            A dataset.

        Raises:
            TypeError: an operation can't be called.
            ValueError: a column does not exist.

        Example:
            >>> import minitensor.dataset as ds
            >>> data = ds.NumpySlicesDataset({"x": [1, 2]}, shuffle=False).map(lambda x: -x)
            >>> [int(x) for (x,) in data]
            [-1, -2]
        """
        return Dataset(Map(
            self._node, operations, input_columns, output_columns, num_parallel_workers,
            python_multiprocessing,
        ))  # fmt: skip

    def batch(
        self,
        batch_size: int | Callable[[BatchInfo], int],
        drop_remainder: bool = False,
        num_parallel_workers: int | None = None,
        per_batch_map: Callable[..., Any] | None = None,
        input_columns: Columns | None = None,
        output_columns: Columns | None = None,
        python_multiprocessing: bool | None = None,
        max_rowsize: int | None = None,
    ) -> Dataset:
        """Combine rows into batches: each column becomes one array with a new first axis.

        Args:
            batch_size: rows of a batch; or a function of a `BatchInfo` that returns them.
            drop_remainder: whether a last batch with fewer rows is left out.
            num_parallel_workers: number of worker processes; None for the configuration's.
            per_batch_map: a function of the input columns, each a list of the rows' values, and a
                `BatchInfo`; it returns the columns' new values, as lists or arrays.
            input_columns: the columns of `per_batch_map`; None for all.
            output_columns: the names of its results; None for the input columns.
            python_multiprocessing: False for no processes; True for a process also with one worker.
            max_rowsize: has no effect; shared memory grows as needed.

        Returns:
            A dataset.

        Raises:
            TypeError: an argument has a wrong type.
            ValueError: the size is smaller than 1, or a column does not exist.

        Example:
            >>> import minitensor.dataset as ds
            >>> data = ds.NumpySlicesDataset([1, 2, 3], shuffle=False).batch(2, True)
            >>> [x.asnumpy().tolist() for (x,) in data]
            [[1, 2]]
        """
        return Dataset(Batch(
            self._node, batch_size, drop_remainder, num_parallel_workers, per_batch_map,
            input_columns, output_columns, python_multiprocessing,
        ))  # fmt: skip

    def shuffle(self, buffer_size: int) -> Dataset:
        """Mix the rows: each comes at random from a buffer of the next ones.

        The buffer holds keys, so that a large one costs no memory for data.

        Args:
            buffer_size: rows in the buffer, at least 2; the dataset's size gives every order.

        Returns:
            A dataset.

        Raises:
            TypeError: the size is no int.
            ValueError: the size is smaller than 2.

        Example:
            >>> import minitensor.dataset as ds
            >>> data = ds.NumpySlicesDataset([1, 2, 3], shuffle=False).shuffle(3)
            >>> sorted(int(x) for (x,) in data)
            [1, 2, 3]
        """
        return Dataset(Shuffle(self._node, checked("shuffle", "buffer_size", buffer_size, 2)))

    def repeat(self, count: int | None = None) -> Dataset:
        """Read the dataset several times in one epoch, each time in a new random order.

        Args:
            count: how many times; None or -1 for no end.

        Returns:
            A dataset.

        Raises:
            TypeError: the count is no int.
            ValueError: the count is 0 or smaller than -1.

        Example:
            >>> import minitensor.dataset as ds
            >>> data = ds.NumpySlicesDataset([1, 2], shuffle=False).repeat(2)
            >>> [int(x) for (x,) in data]
            [1, 2, 1, 2]
        """
        count = checked("repeat", "count", -1 if count is None else count, -1)
        if count == 0:
            raise ValueError("[repeat] count must be positive or -1, got 0")
        return Dataset(Repeat(self._node, count))

    def skip(self, count: int) -> Dataset:
        """Leave out the first rows.

        Args:
            count: how many.

        Returns:
            A dataset.

        Raises:
            TypeError: the count is no int.
            ValueError: the count is negative.

        Example:
            >>> import minitensor.dataset as ds
            >>> data = ds.NumpySlicesDataset([1, 2, 3], shuffle=False).skip(2)
            >>> [int(x) for (x,) in data]
            [3]
        """
        return Dataset(Slice(self._node, checked("skip", "count", count, 0), None))

    def take(self, count: int = -1) -> Dataset:
        """Keep the first rows only.

        Args:
            count: how many; -1 for all.

        Returns:
            A dataset.

        Raises:
            TypeError: the count is no int.
            ValueError: the count is 0 or smaller than -1.

        Example:
            >>> import minitensor.dataset as ds
            >>> data = ds.NumpySlicesDataset([1, 2, 3], shuffle=False).take(2)
            >>> [int(x) for (x,) in data]
            [1, 2]
        """
        count = checked("take", "count", count, -1)
        if count == 0:
            raise ValueError("[take] count must be positive or -1, got 0")
        return Dataset(Slice(self._node, 0, None if count == -1 else count))

    def filter(
        self,
        predicate: Callable[..., Any],
        input_columns: Columns | None = None,
        num_parallel_workers: int | None = None,
    ) -> Dataset:
        """Keep the rows for which a function is true.

        Args:
            predicate: a function of the input columns.
            input_columns: names of the columns; None for all.
            num_parallel_workers: number of worker processes; None for the configuration's.

        Returns:
            A dataset.

        Raises:
            TypeError: the predicate can't be called.
            ValueError: a column does not exist.

        Example:
            >>> import minitensor.dataset as ds
            >>> data = ds.NumpySlicesDataset([1, 2, 3], shuffle=False).filter(lambda x: x != 2)
            >>> [int(x) for (x,) in data]
            [1, 3]
        """
        return Dataset(Filter(self._node, predicate, input_columns, num_parallel_workers))

    def project(self, columns: Columns) -> Dataset:
        """Keep columns only, in the given order.

        Args:
            columns: their names.

        Returns:
            A dataset.

        Raises:
            ValueError: a column does not exist.

        Example:
            >>> import minitensor.dataset as ds
            >>> ds.NumpySlicesDataset({"a": [1], "b": [2]}).project("b").get_col_names()
            ['b']
        """
        return Dataset(Project(self._node, columns))

    def rename(self, input_columns: Columns, output_columns: Columns) -> Dataset:
        """Give columns other names.

        Args:
            input_columns: the present names.
            output_columns: the new names.

        Returns:
            A dataset.

        Raises:
            ValueError: a column does not exist, or a name would stand twice.

        Example:
            >>> import minitensor.dataset as ds
            >>> ds.NumpySlicesDataset({"a": [1], "b": [2]}).rename("b", "c").get_col_names()
            ['a', 'c']
        """
        return Dataset(Rename(self._node, input_columns, output_columns))

    def zip(self, datasets: Dataset | tuple[Dataset, ...]) -> Dataset:
        """Put the columns of datasets side by side; the shortest ends the epoch.

        Args:
            datasets: a dataset or a tuple of them.

        Returns:
            A dataset.

        Raises:
            TypeError: an argument is no dataset.
            ValueError: two columns have one name.

        Example:
            >>> import minitensor.dataset as ds
            >>> a, b = ds.NumpySlicesDataset({"a": [1]}), ds.NumpySlicesDataset({"b": [2]})
            >>> a.zip(b).get_col_names()
            ['a', 'b']
        """
        others = datasets if isinstance(datasets, (tuple, list)) else (datasets,)
        return Dataset(Zip(_nodes("zip", (self, *others))))

    def concat(self, datasets: Dataset | list[Dataset]) -> Dataset:
        """Read datasets one after the other; `a + b` is `a.concat(b)`.

        Args:
            datasets: a dataset or a list of them.

        Returns:
            A dataset.

        Raises:
            TypeError: an argument is no dataset.
            ValueError: their columns differ.

        Example:
            >>> import minitensor.dataset as ds
            >>> a = ds.NumpySlicesDataset([1], shuffle=False)
            >>> [int(x) for (x,) in a.concat(a)]
            [1, 1]
        """
        others = datasets if isinstance(datasets, (list, tuple)) else [datasets]
        return Dataset(Concat(_nodes("concat", (self, *others))))

    def __add__(self, other: Dataset) -> Dataset:
        return self.concat(other)

    # --- questions --------------------------------------------------------------------------------
    def get_dataset_size(self) -> int:
        """Return the number of rows of an epoch, or of batches after `batch`.

        Where only the data tell (after `filter`, of a source that can only be iterated), one epoch
        is read.

        Returns:
            An int; -1 for a dataset without an end.

        Example:
            >>> import minitensor.dataset as ds
            >>> ds.NumpySlicesDataset([1, 2, 3]).batch(2).get_dataset_size()
            2
        """
        known = self._node.size()
        return sum(1 for _ in self) if known is None else known

    def get_batch_size(self) -> int:
        """Return the rows of a batch.

        Returns:
            An int; 1 before `batch`; -1 where a function decides.

        Example:
            >>> import minitensor.dataset as ds
            >>> ds.NumpySlicesDataset([1, 2, 3]).batch(2).get_batch_size()
            2
        """
        return self._node.batch_size()

    def get_repeat_count(self) -> int:
        """Return how often an epoch repeats the dataset.

        Returns:
            An int; 1 without `repeat`; -1 for no end.

        Example:
            >>> import minitensor.dataset as ds
            >>> ds.NumpySlicesDataset([1, 2, 3]).repeat(2).get_repeat_count()
            2
        """
        return self._node.repeats()

    def get_col_names(self) -> list[str]:
        """Return the names of the columns.

        Returns:
            A list of names.

        Example:
            >>> import minitensor.dataset as ds
            >>> ds.NumpySlicesDataset([1, 2, 3]).get_col_names()
            ['column_0']
        """
        return list(self._node.names)

    def output_shapes(self) -> list[list[int]]:
        """Return the shape of each column in the first row, which is read for that.

        Returns:
            A list of lists of ints.

        Example:
            >>> import minitensor.dataset as ds
            >>> ds.NumpySlicesDataset([1, 2, 3]).batch(2).output_shapes()
            [[2]]
        """
        return [list(np.shape(value)) for value in self._first()]

    def output_types(self) -> list[Any]:
        """Return the dtype of each column in the first row, which is read for that.

        Returns:
            A list of dtypes; NumPy's for a column that no tensor can hold.

        Example:
            >>> import minitensor.dataset as ds
            >>> ds.NumpySlicesDataset([1, 2, 3]).output_types()
            [minitensor.int64]
        """
        return [value.dtype for value in self._first()]

    def _first(self) -> tuple[Any, ...]:
        row = next(TupleIterator(self._node, Iterating(num_epochs=1, processes=False)), None)
        if row is None:
            raise RuntimeError("[dataset] a dataset must have a row to show its shape, got none")
        return tuple(row)

    # --- iteration --------------------------------------------------------------------------------
    def create_tuple_iterator(
        self,
        columns: Columns | None = None,
        num_epochs: int = -1,
        output_numpy: bool = False,
        do_copy: bool = False,
        progress: bool | Callable[[int, int | None], object] = False,
    ) -> TupleIterator:
        """Return an iterator over rows as lists; each `for` over it reads one epoch.

        Args:
            columns: the columns of a row; None for all.
            num_epochs: how many epochs can be read; -1 for no limit.
            output_numpy: whether a row holds NumPy arrays instead of tensors.
            do_copy: whether each value is copied into memory of its own, writable as an array.
            progress: True shows a bar (`tqdm` where installed); or a function of the rows read in
                this epoch and their number (None where it is unknown).

        Returns:
            An iterator.

        Raises:
            TypeError: an argument has a wrong type.
            ValueError: a column does not exist, or `num_epochs` is 0 or smaller than -1.

        Example:
            >>> import minitensor.dataset as ds
            >>> it = ds.NumpySlicesDataset([1, 2], shuffle=False).create_tuple_iterator()
            >>> [[int(x) for (x,) in it] for epoch in range(2)]
            [[1, 2], [1, 2]]
        """
        dataset = self if columns is None else self.project(columns)
        return TupleIterator(dataset._node, Iterating(num_epochs, output_numpy, do_copy, progress))

    def create_dict_iterator(
        self,
        num_epochs: int = -1,
        output_numpy: bool = False,
        do_copy: bool = False,
        progress: bool | Callable[[int, int | None], object] = False,
    ) -> DictIterator:
        """Return an iterator over rows as dicts; each `for` over it reads one epoch.

        Args:
            num_epochs: how many epochs can be read; -1 for no limit.
            output_numpy: whether a row holds NumPy arrays instead of tensors.
            do_copy: whether each value is copied into memory of its own, writable as an array.
            progress: True shows a bar (`tqdm` where installed); or a function of the rows read in
                this epoch and their number (None where it is unknown).

        Returns:
            An iterator.

        Raises:
            TypeError: an argument has a wrong type.
            ValueError: `num_epochs` is 0 or smaller than -1.

        Example:
            >>> import minitensor.dataset as ds
            >>> it = ds.NumpySlicesDataset({"x": [1, 2]}, shuffle=False).create_dict_iterator()
            >>> [int(row["x"]) for row in it]
            [1, 2]
        """
        return DictIterator(self._node, Iterating(num_epochs, output_numpy, do_copy, progress))

    def __iter__(self) -> TupleIterator:
        return self.create_tuple_iterator(num_epochs=1)


def _nodes(op: str, datasets: Sequence[Any]) -> tuple[Node, ...]:
    for one in datasets:
        if not isinstance(one, Dataset):
            raise TypeError(f"[{op}] datasets must be datasets, got {one!r}")
    return tuple(one._node for one in datasets)


def zip(datasets: tuple[Dataset, ...]) -> Dataset:
    """Put the columns of datasets side by side; the shortest ends the epoch.

    Args:
        datasets: a tuple of datasets.

    Returns:
        A dataset.

    Raises:
        TypeError: an argument is no dataset.
        ValueError: two columns have one name, or there is no dataset.

    Example:
        >>> import minitensor.dataset as ds
        >>> both = ds.zip((ds.NumpySlicesDataset({"a": [1]}), ds.NumpySlicesDataset({"b": [2]})))
        >>> both.get_col_names()
        ['a', 'b']
    """
    nodes = _nodes("zip", datasets)
    if not nodes:
        raise ValueError("[zip] datasets must have at least one dataset, got none")
    return Dataset(Zip(nodes))
