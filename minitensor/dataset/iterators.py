"""Iterators over the epochs of a pipeline: in the calling thread, or with workers."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from minitensor.tensor import Tensor

from . import config
from .collation import Memory
from .computing import Filter
from .config import checked
from .errors import Failure, failed
from .nodes import Epoch, Node, parts
from .progress import Progress, progress_of
from .randomness import Reading, kept
from .workers import Item, Task, Workers, read_item

__all__ = ["DictIterator", "Iterating", "TupleIterator"]

# How many rows, and for how many seconds, are read at once in the calling thread: what is done
# around them takes some 0.3 ms.
_AT_ONCE, _SECONDS = 64, 0.002


class Iterating(NamedTuple):
    """The arguments of an iterator."""

    num_epochs: int = -1
    output_numpy: bool = False
    do_copy: bool = False
    progress: bool | Progress = False
    processes: bool = True  # False: the calling thread reads


class _Run:
    """The reading of a pipeline from a place on; `answers` yields the rows, None after each epoch.

    Args:
        root: the pipeline.
        options: of the iterator.
        seed: of the iterator; `shared` is the one of all processes of a distributed program.
        epoch: the first epoch to read, and `position` its first row.
    """

    def __init__(
        self, root: Node, options: Iterating, seed: int, shared: int, epoch: int, position: int
    ) -> None:
        nodes = [*parts(root)]
        filters = [node.probe for node in nodes if isinstance(node, Filter)]
        self.stages: list[Node] = [root, *filters]
        self.seed, self.shared = seed, shared
        self.draws = any(node.runs_code for node in nodes)
        count = max(node.processes for node in nodes) if options.processes else 0
        self.workers = None
        if count:
            ahead = config.get_prefetch_size()
            self.workers = Workers(self.stages, count, ahead, seed, self.draws)
        self.memory = Memory("arrays" if options.output_numpy else "tensors")
        self.answers = self._answers(0, self._items(options.num_epochs, epoch, position))

    def _items(self, epochs: int, number: int, position: int) -> Iterator[Item | None]:
        """Yield the rows to read, and None at the end of each epoch."""
        root = self.stages[0]
        while number != epochs:
            keys = root.keys(Epoch(number, self.seed, self.shared, self._rows))
            for at, key in enumerate(islice(keys, position, None), position):
                yield Item(number, at, key)
            yield None
            number, position = number + 1, 0

    def _rows(self, node: Node, number: int, keys: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a node below the root: `Epoch.rows`."""
        items = (Item(number, at, key) for at, key in enumerate(keys))
        for task in self._answers(self.stages.index(node), items):
            assert task is not None
            if isinstance(task.answer, Failure):
                raise task.answer.error(node, task.cause)
            yield task.answer

    def _answers(self, stage: int, items: Iterable[Item | None]) -> Iterator[Task | None]:
        if self.workers is not None:
            return self.workers.answers(stage, items)
        return self._read_here(stage, items)

    def _read_here(self, stage: int, items: Iterable[Item | None]) -> Iterator[Task | None]:
        """Read in the calling thread."""
        node, memory = self.stages[stage], self.memory if stage == 0 else Memory("arrays")
        reading = Reading(self.seed, [-1] * 5, memory.array, self.draws)
        # Keys that are rows are read one by one, each when it is due.
        one_by_one = node.begins_samples() or any(part.needs_rows for part in parts(node))
        waiting: deque[Item | None] = deque()
        items = iter(items)
        while True:
            if not waiting:
                waiting.extend(islice(items, 1 if one_by_one else _AT_ONCE))
                if not waiting:
                    return
            done: list[Task | None] = []
            with kept(self.draws):
                end = time.monotonic() + _SECONDS
                while waiting and (not done or time.monotonic() < end):
                    item = waiting.popleft()
                    done.append(item and _read(node, stage, item, reading, memory))
            yield from done

    def close(self) -> None:
        self.answers.close()  # type: ignore[attr-defined]
        if self.workers is not None:
            self.workers.close()


def _read(node: Node, stage: int, item: Item, reading: Reading, memory: Memory) -> Task:
    task = Task(stage, item)
    try:
        task.answer = memory.finish(read_item(node, stage, item, reading))
    except Exception as error:
        task.answer, task.cause = failed(error, reading.at, travels=False), error
    return task


class TupleIterator:
    """Iterate over the rows of a dataset as lists; each `for` reads one epoch.

    An error of a sample takes the place of its row, and the next `next` goes on behind it.  An
    error in `filter`, in a sampler or in a source that can only be iterated ends the iterator.

    Example:
        >>> import minitensor.dataset as ds
        >>> rows = ds.NumpySlicesDataset([1, 2], shuffle=False).create_tuple_iterator()
        >>> int(next(rows)[0]); state = rows.state_dict()
        1
        >>> again = ds.NumpySlicesDataset([1, 2], shuffle=False).create_tuple_iterator()
        >>> again.load_state_dict(state); int(next(again)[0])
        2
    """

    _run: _Run | None = None

    def __init__(self, root: Node, options: Iterating) -> None:
        op = "create_iterator"
        epochs = checked(op, "num_epochs", options.num_epochs, -1)
        if epochs == 0:
            raise ValueError(f"[{op}] num_epochs must be positive or -1, got 0")
        self._root, self._options = root, options._replace(num_epochs=epochs)
        self._progress = progress_of(options.progress)
        self._names = root.names
        own = config.own_seed()
        self._seed = int.from_bytes(os.urandom(8), "little") if own is None else own
        self._shared = config.get_seed()
        self._epoch = self._position = 0
        self._closed = False

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        if self._closed or self._epoch == self._options.num_epochs:
            raise StopIteration
        try:
            task = next(self._running().answers, None)
        except BaseException:
            self.close()
            raise
        if task is None:
            self._epoch, self._position = self._epoch + 1, 0
            if self._epoch == self._options.num_epochs:
                self.close()
            raise StopIteration
        self._position += 1
        if self._progress is not None:
            self._progress(self._position, self._root.size())
        if isinstance(task.answer, Failure):
            raise task.answer.error(self._root, task.cause)
        return self._form(map(self._value, task.answer))

    def _running(self) -> _Run:
        run = self._run
        if run is None:
            run = self._run = _Run(
                self._root, self._options, self._seed, self._shared, self._epoch, self._position
            )
        elif run.workers is not None and not run.workers.is_mine:
            raise RuntimeError(
                "[dataset] an iterator with workers must be used by the process that created it, "
                f"got process {os.getpid()}; create one in this process"
            )
        return run

    def _value(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            if self._options.do_copy:
                value = value.copy()
            return value.asnumpy() if self._options.output_numpy else value
        return value.copy() if self._options.do_copy and hasattr(value, "copy") else value

    def _form(self, values: Iterable[Any]) -> Any:
        return list(values)

    # --- state ------------------------------------------------------------------------------------
    def state_dict(self) -> dict[str, int]:
        """Return where the iterator is, for `load_state_dict` of an iterator of the same pipeline.

        Returns:
            A dict of ints: the seeds, the epoch, and the number of rows that `next` has returned or
            raised in it.

        Example:
            >>> import minitensor.dataset as ds
            >>> rows = ds.NumpySlicesDataset([1, 2]).create_dict_iterator()
            >>> row = next(rows); rows.state_dict()["position"]
            1
        """
        return {
            "seed": self._seed,
            "shared_seed": self._shared,
            "epoch": self._epoch,
            "position": self._position,
        }

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where another iterator was; the number of workers may differ.

        No row before that place is read, except what `filter` or a source that can only be iterated
        has to read to find it.

        Args:
            state: what `state_dict` returned.

        Raises:
            ValueError: the state is no such dict.

        Example:
            >>> import minitensor.dataset as ds
            >>> rows = ds.NumpySlicesDataset([1, 2], shuffle=False).create_dict_iterator()
            >>> rows.load_state_dict({**rows.state_dict(), "position": 1})
            >>> [int(row["column_0"]) for row in rows]
            [2]
        """
        names = [*self.state_dict()]
        if not isinstance(state, dict) or sorted(state) != sorted(names):
            raise ValueError(
                f"[load_state_dict] state must be a dict of {', '.join(names)}, as state_dict() "
                f"returns, got {state!r}"
            )
        numbers = [checked("load_state_dict", name, state[name], 0) for name in names]
        self.close()
        self._seed, self._shared, self._epoch, self._position = numbers
        self._closed = False

    def close(self) -> None:
        """End the iterator and its workers; the end of its last epoch does so too.

        Example:
            >>> import minitensor.dataset as ds
            >>> with ds.NumpySlicesDataset([1, 2]).create_dict_iterator() as rows:
            ...     first = next(rows)
            >>> list(rows)
            []
        """
        self._closed = True
        run, self._run = self._run, None
        if run is not None:
            run.close()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        if self._run is not None:
            self.close()


class DictIterator(TupleIterator):
    """Iterate over the rows of a dataset as dicts by column name; see `TupleIterator`.

    Example:
        >>> import minitensor.dataset as ds
        >>> rows = ds.NumpySlicesDataset({"x": [1]}).create_dict_iterator()
        >>> int(next(rows)["x"])
        1
    """

    def _form(self, values: Iterable[Any]) -> Any:
        return dict(zip(self._names, values))
