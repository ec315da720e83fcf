"""Random numbers of a sample: the same ones for any number of workers.

The problem. A map that flips an image calls `random` or `np.random`, whose generators are global.
In a forked worker they continue the parent's sequence, so all workers draw the same numbers, and
what a sample gets depends on the samples that its worker read before.

The solution. Before each sample the global generators of `random`, NumPy and minitensor get a seed
of (seed of the iterator, epoch, position of the sample).  Seeding costs more than a cheap sample:
each of the first two generators fills 624 words.  A generator that no code has used since its last
seeding is as good as new, so it is seeded again only when it was used, or when a batch begins.  To
find out, `Watched` reads two words of the generator's memory; where they are not what they must be
(another implementation of Python), every sample is seeded.

What it guarantees. A batch is read whole, by one process, from its first sample on. So its random
numbers depend only on the seed, the epoch, and its samples; no two samples share numbers.
In the program's own process the generators are as they were, as soon as the sample is read.
"""

from __future__ import annotations

import ctypes
import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.random  # noqa: F401  (NumPy and ops load them late: here once, not in each worker)

from minitensor.ops.random import get_rng_state, set_rng_state

__all__ = [
    "BATCH", "EPOCH", "INDEX", "POSITION", "TASK", "Reading", "kept", "mixed", "sample_seed",
]  # fmt: skip

_WORDS = 624  # of the state of a Mersenne twister


def mixed(*parts: int) -> int:
    """Return 128 bits that depend on all parts."""
    text = ",".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "little")


class Watched:
    """A global Mersenne twister, and whether it was used since it was seeded.

    Args:
        seed: seeds the generator.
        draw: draws a number.
        state: the address of its words; None if it is no Mersenne twister.
        position: the address of the number of words that were used.
    """

    def __init__(
        self,
        seed: Callable[[int], object],
        draw: Callable[[], object],
        state: int | None,
        position: int = 0,
    ) -> None:
        self._seed = seed
        self._known = False  # whether the addresses are right
        if state is None:
            return
        self._word = ctypes.c_uint32.from_address(state + 4)
        self._position = ctypes.c_int32.from_address(position)
        self._mark = -1
        self._known = True
        self.seed(1)
        fresh = not self.is_used()
        draw()
        self._known = fresh and self.is_used() and 0 < self._position.value < _WORDS

    def seed(self, value: int) -> None:
        self._seed(value)
        if self._known:
            self._mark = self._word.value

    def is_used(self) -> bool:
        return not (
            self._known and self._position.value == _WORDS and self._word.value == self._mark
        )


def _watch_python() -> Watched:
    at = id(random._inst) + object.__basicsize__  # type: ignore[attr-defined]
    return Watched(random.seed, random.random, at + 4, at)


def _watch_numpy() -> Watched:
    twister = np.random.get_bit_generator()
    is_twister = isinstance(twister, np.random.MT19937)
    at = twister.ctypes.state_address if is_twister else None
    return Watched(_seed_numpy, np.random.random, at, (at or 0) + 4 * _WORDS)


def _seed_numpy(value: int) -> None:
    np.random.seed(value & 0xFFFFFFFF)


@contextmanager
def kept(needed: bool = True) -> Iterator[None]:
    """Restore the global generators at the end, if needed; no sample is being read then."""
    global _current
    if not needed:
        yield
        return
    of_python, of_numpy, of_ops = random.getstate(), np.random.get_state(), get_rng_state()
    try:
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)
        set_rng_state(of_ops)
        _current = None


# What `Reading.at` holds at each place.
EPOCH, POSITION, INDEX, BATCH, TASK = range(5)


class Reading:
    """What a process needs to read rows: the random numbers of each sample, and memory.

    Args:
        seed: the iterator's seed.
        at: ints that name what is being read: the epoch; the position of the sample in it; the
            sample's index in its source, or -1; the number of the batch while it is put together,
            or -1; the number of the worker's task.
        make: makes an array of a shape and a dtype for the values of a batch.
        seeds: whether the random numbers matter.
    """

    ended = False  # in a worker: the program needs it no more

    def __init__(self, seed: int, at: Any, make: Any, seeds: bool) -> None:
        self.seed, self.at, self.make, self.seeds = seed, at, make, seeds
        self._path: tuple[int, ...] = ()
        self._watched: list[Watched] = []

    def begin(self, epoch: int, position: int, path: tuple[int, ...], first: bool) -> None:
        """Begin to read a sample; `first` says that no sample before it counts for its numbers."""
        if self.ended:
            raise SystemExit
        at = self.at
        at[EPOCH], at[POSITION], at[INDEX], at[BATCH] = epoch, position, -1, -1
        if not self.seeds:
            return
        global _current
        _current, self._path = self, path
        if not self._watched:
            self._watched = [_watch_python(), _watch_numpy()]
        seed = 0
        for generator in self._watched:
            if first or generator.is_used():
                seed = seed or self.of_sample()
                generator.seed(seed & 0xFFFFFFFFFFFFFFFF)
        if first or get_rng_state()[1:] != (0, 0):
            set_rng_state((seed or self.of_sample(), 0, 0))

    def of_sample(self) -> int:
        """Return a seed of the sample that is being read."""
        path = self._path
        return mixed(self.seed, self.at[EPOCH], self.at[POSITION], len(path), *path)


_current: Reading | None = None


def sample_seed() -> int:
    """Return a seed for the random numbers of the sample that is being read.

    A source or a map that draws from a generator of its own starts it with this seed.

    Returns:
        An int of 128 bits; the same one for any number of workers.

    Raises:
        RuntimeError: no sample is being read.

    Example:
        >>> import numpy as np, minitensor.dataset as ds
        >>> noise = lambda x: x + np.random.default_rng(ds.sample_seed()).normal()
        >>> data = ds.NumpySlicesDataset([1.0, 2.0], shuffle=False).map(noise)
        >>> len(list(data))
        2
    """
    if _current is None:
        raise RuntimeError(
            "[sample_seed] a sample must be being read; call it in a source or in an operation"
        )
    return _current.of_sample()
