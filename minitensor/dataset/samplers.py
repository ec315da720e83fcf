"""Samplers: which samples of a source an epoch reads, and in which order.

A sampler is plain data.  `indices(size, rng)` yields positions of a source of `size` samples; the
generator `rng` is of the seed, the epoch and the sampler's place in the pipeline, so that the order
is the same for any number of workers.  `add_child` chains samplers: the child chooses positions of
the source, and this sampler chooses among the child's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any

import numpy as np

from .config import checked

__all__ = [
    "DistributedSampler",
    "IterSampler",
    "PKSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "SubsetSampler",
    "WeightedRandomSampler",
]


class Sampler:
    """Choose the samples of an epoch; a sampler of your own overrides `__iter__`.

    Args:
        num_samples: maximum samples of an epoch; None for no limit.

    Example:
        >>> import minitensor.dataset as ds
        >>> class Backwards(ds.Sampler):
        ...     def __iter__(self):
        ...         return iter(range(self.dataset_size - 1, -1, -1))
        >>> data = ds.NumpySlicesDataset([1, 2, 3], sampler=Backwards())
        >>> [int(x) for (x,) in data]
        [3, 2, 1]
    """

    dataset_size = 0  # of the source; set before each epoch

    def __init__(self, num_samples: int | None = None) -> None:
        if num_samples is not None:
            num_samples = checked(type(self).__name__, "num_samples", num_samples, 1, " or None")
        self.num_samples = num_samples
        self.child: Sampler | None = None

    def __iter__(self) -> Iterator[int]:
        raise NotImplementedError(
            f"[{type(self).__name__}] a sampler must define __iter__, which yields indices"
        )

    def add_child(self, sampler: Sampler) -> None:
        """Let a sampler choose first; this one then chooses among its samples.

        Args:
            sampler: a sampler.
        """
        self.child = sampler

    def choose(self, size: int, rng: np.random.Generator) -> Iterator[int]:
        """Yield positions below `size`, without a child and a limit."""
        self.dataset_size = size
        return (int(index) for index in self)

    def indices(self, size: int, rng: np.random.Generator) -> Iterator[int]:
        """Yield the samples of one epoch of a source of `size` samples."""
        among = None if self.child is None else [*self.child.indices(size, rng)]
        chosen = self.choose(size if among is None else len(among), rng)
        for count, index in enumerate(chosen):
            if count == self.num_samples:
                return
            yield index if among is None else among[index]

    def size(self, size: int) -> int | None:
        """Return the number of `indices`; None where only the iteration tells."""
        if self.child is not None:
            below = self.child.size(size)
            if below is None:
                return None
            size = below
        own = self.chosen(size)
        if own is None or self.num_samples is None:
            return own
        return min(own, self.num_samples)

    def chosen(self, size: int) -> int | None:
        """Return the number of positions that `choose` yields; None if it is unknown."""
        return None


class SequentialSampler(Sampler):
    """Read the samples in order.

    Args:
        start_index: the first sample; None for 0.
        num_samples: maximum samples of an epoch; None for no limit.

    Example:
        >>> import minitensor.dataset as ds
        >>> data = ds.NumpySlicesDataset([1, 2, 3], sampler=ds.SequentialSampler(start_index=1))
        >>> [int(x) for (x,) in data]
        [2, 3]
    """

    def __init__(self, start_index: int | None = None, num_samples: int | None = None) -> None:
        super().__init__(num_samples)
        self.start_index = checked("SequentialSampler", "start_index", start_index or 0, 0)

    def choose(self, size: int, rng: np.random.Generator) -> Iterator[int]:
        return iter(range(self.start_index, size))

    def chosen(self, size: int) -> int:
        return max(size - self.start_index, 0)


class RandomSampler(Sampler):
    """Read the samples in random order.

    Args:
        replacement: whether a sample may come again before the others.
        num_samples: samples of an epoch; None for all.

    Example:
        >>> import minitensor.dataset as ds
        >>> data = ds.NumpySlicesDataset([1, 2, 3], sampler=ds.RandomSampler())
        >>> sorted(int(x) for (x,) in data)
        [1, 2, 3]
    """

    def __init__(self, replacement: bool = False, num_samples: int | None = None) -> None:
        super().__init__(num_samples)
        self.replacement = bool(replacement)

    def choose(self, size: int, rng: np.random.Generator) -> Iterator[int]:
        if self.replacement:
            return iter(rng.integers(0, size, self.chosen(size)).tolist() if size else [])
        return iter(rng.permutation(size).tolist())

    def chosen(self, size: int) -> int:
        if self.replacement and self.num_samples is not None:
            return self.num_samples if size else 0
        return size


class SubsetSampler(Sampler):
    """Read the samples of a list, in its order.

    Args:
        indices: positions in the source.
        num_samples: maximum samples of an epoch; None for no limit.

    Example:
        >>> import minitensor.dataset as ds
        >>> data = ds.NumpySlicesDataset([1, 2, 3], sampler=ds.SubsetSampler([2, 0]))
        >>> [int(x) for (x,) in data]
        [3, 1]
    """

    def __init__(self, indices: Iterable[int] | int, num_samples: int | None = None) -> None:
        super().__init__(num_samples)
        given = [indices] if hasattr(indices, "__index__") else [*indices]  # type: ignore[misc]
        self.subset = [checked(type(self).__name__, "an index", i, 0) for i in given]

    def choose(self, size: int, rng: np.random.Generator) -> Iterator[int]:
        for index in self.subset:
            if index >= size:
                raise IndexError(
                    f"[{type(self).__name__}] an index must be below the dataset's size, {size}, "
                    f"got {index}"
                )
        return iter(self.subset)

    def chosen(self, size: int) -> int:
        return len(self.subset)


class SubsetRandomSampler(SubsetSampler):
    """Read the samples of a list in random order.

    Args:
        indices: positions in the source.
        num_samples: maximum samples of an epoch; None for no limit.

    Example:
        >>> import minitensor.dataset as ds
        >>> data = ds.NumpySlicesDataset([1, 2, 3], sampler=ds.SubsetRandomSampler([2, 0]))
        >>> sorted(int(x) for (x,) in data)
        [1, 3]
    """

    def choose(self, size: int, rng: np.random.Generator) -> Iterator[int]:
        subset = [*super().choose(size, rng)]
        return (subset[i] for i in rng.permutation(len(subset)).tolist())


class WeightedRandomSampler(Sampler):
    """Draw samples with the probabilities of a list of weights.

    Args:
        weights: one number for each of the first samples, in proportion to its probability.
        num_samples: samples of an epoch; None for as many as there are weights.
        replacement: whether a sample may come again.

    Example:
        >>> import minitensor.dataset as ds
        >>> data = ds.NumpySlicesDataset([1, 2], sampler=ds.WeightedRandomSampler([0, 1], 3))
        >>> [int(x) for (x,) in data]
        [2, 2, 2]
    """

    def __init__(
        self, weights: Sequence[float], num_samples: int | None = None, replacement: bool = True
    ) -> None:
        super().__init__(num_samples)
        self.weights = np.asarray(weights, np.float64)
        self.replacement = bool(replacement)
        if self.weights.ndim != 1 or not (self.weights >= 0).all() or not self.weights.sum() > 0:
            raise ValueError(
                "[WeightedRandomSampler] weights must be a list of numbers that are not negative, "
                f"one of them positive, got {weights!r}"
            )
        positive = int((self.weights > 0).sum())
        if not self.replacement and self.chosen(len(self.weights)) > positive:
            raise ValueError(
                "[WeightedRandomSampler] num_samples must be at most the number of positive "
                f"weights, {positive}, got {self.chosen(0)}; draw with replacement"
            )

    def choose(self, size: int, rng: np.random.Generator) -> Iterator[int]:
        if len(self.weights) > size:
            raise ValueError(
                f"[WeightedRandomSampler] weights must be at most the dataset's size, {size}, got "
                f"{len(self.weights)} weights"
            )
        p = self.weights / self.weights.sum()
        return iter(rng.choice(len(p), self.chosen(size), self.replacement, p).tolist())

    def chosen(self, size: int) -> int:
        return len(self.weights) if self.num_samples is None else self.num_samples


class PKSampler(Sampler):
    """Read `num_val` samples of each class, one class after the other.

    MindSpore reads the classes from an image folder; here they are given, as a source has no
    classes of its own.

    Args:
        num_val: samples of each class; a class with fewer is left out.
        labels: the class of each sample.
        num_class: maximum number of classes, drawn at random; None for all.
        shuffle: whether the classes and their samples come in random order.
        num_samples: maximum samples of an epoch; None for no limit.

    Example:
        >>> import minitensor.dataset as ds
        >>> data = ds.NumpySlicesDataset([1, 2, 3], sampler=ds.PKSampler(1, labels=[0, 1, 0]))
        >>> [int(x) for (x,) in data]
        [1, 2]
    """

    def __init__(
        self,
        num_val: int,
        labels: Sequence[Any],
        num_class: int | None = None,
        shuffle: bool = False,
        num_samples: int | None = None,
    ) -> None:
        super().__init__(num_samples)
        self.num_val = checked("PKSampler", "num_val", num_val, 1)
        if num_class is not None:
            num_class = checked("PKSampler", "num_class", num_class, 1, " or None")
        self.num_class, self.shuffle = num_class, bool(shuffle)
        groups: dict[Any, list[int]] = {}
        for index, label in enumerate(np.asarray(labels).tolist()):
            groups.setdefault(label, []).append(index)
        self.groups = [group for group in groups.values() if len(group) >= self.num_val]

    def choose(self, size: int, rng: np.random.Generator) -> Iterator[int]:
        groups = self.groups
        if self.shuffle or (self.num_class is not None and self.num_class < len(groups)):
            groups = [groups[i] for i in rng.permutation(len(groups)).tolist()]
        for group in groups[: self.num_class]:
            order = rng.permutation(len(group)).tolist() if self.shuffle else range(len(group))
            yield from (group[i] for i in order[: self.num_val])

    def chosen(self, size: int) -> int:
        return len(self.groups[: self.num_class]) * self.num_val


class DistributedSampler(Sampler):
    """Read one shard of the samples; all shards have the same number.

    Where the shards would differ in size, they read some of the first samples again.

    Args:
        num_shards: the number of shards.
        shard_id: the shard to read, from 0.
        shuffle: whether the order is random; with one seed all shards draw the same order.
        num_samples: maximum samples of an epoch; None for no limit.
        offset: the shard that reads the first sample; -1 for shard 0.

    Example:
        >>> import minitensor.dataset as ds
        >>> data = ds.NumpySlicesDataset([1, 2, 3], sampler=ds.DistributedSampler(2, 1, False))
        >>> [int(x) for (x,) in data]
        [2, 1]
    """

    def __init__(
        self,
        num_shards: int,
        shard_id: int,
        shuffle: bool = True,
        num_samples: int | None = None,
        offset: int = -1,
    ) -> None:
        super().__init__(num_samples)
        self.num_shards = checked("DistributedSampler", "num_shards", num_shards, 1)
        self.shard_id = checked("DistributedSampler", "shard_id", shard_id, 0)
        self.offset = checked("DistributedSampler", "offset", offset, -1)
        for name, value in (("shard_id", self.shard_id), ("offset", self.offset)):
            if value >= self.num_shards:
                raise ValueError(
                    f"[DistributedSampler] {name} must be below num_shards, {num_shards}, got "
                    f"{value}"
                )
        self.shuffle = bool(shuffle)

    def choose(self, size: int, rng: np.random.Generator) -> Iterator[int]:
        order = rng.permutation(size).tolist() if self.shuffle else range(size)
        first = (self.shard_id - max(self.offset, 0)) % self.num_shards
        for count in range(self.chosen(size)):
            yield order[(first + count * self.num_shards) % size]

    def chosen(self, size: int) -> int:
        return -(-size // self.num_shards)


class IterSampler(Sampler):
    """Read the samples that an iterable yields.

    Args:
        sampler: an iterable of indices; each epoch iterates it anew.
        num_samples: maximum samples of an epoch; None for no limit.

    Example:
        >>> import minitensor.dataset as ds
        >>> data = ds.NumpySlicesDataset([1, 2, 3], sampler=ds.IterSampler([2, 2]))
        >>> [int(x) for (x,) in data]
        [3, 3]
    """

    def __init__(self, sampler: Iterable[int], num_samples: int | None = None) -> None:
        super().__init__(num_samples)
        if not hasattr(sampler, "__iter__"):
            raise TypeError(f"[IterSampler] sampler must be iterable, got {sampler!r}")
        self.sampler = sampler

    def __iter__(self) -> Iterator[int]:
        return iter(self.sampler)

    def chosen(self, size: int) -> int | None:
        return len(self.sampler) if isinstance(self.sampler, Sized) else None


def as_sampler(value: Any) -> Sampler:
    """Return a sampler argument as a Sampler."""
    return value if isinstance(value, Sampler) else IterSampler(value)
