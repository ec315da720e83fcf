"""Random numbers from a counter-based generator.

A draw is a function of (key, number of the draw): NumPy's Philox, keyed by the seed, its counter set to the draw's number.  So a
call only takes the next number, which is one step that no lock guards, and the numbers are drawn on the stream, later, the
same whenever that is.  Results depend on the seed and on the number of calls before, and on nothing else.

Fork.  The child goes on with a key of its own, hashed from its parent's key and the number of the fork.  So parent, children and grandchildren all
draw different numbers, and the same ones again when a program with the same seed forks in the same order.  A spawned child
begins with a seed of its own.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minitensor import fork
from minitensor.dtype import DType, as_dtype, float32, int64
from minitensor.ops._dispatch import as_ints, as_tensor, host_many
from minitensor.tensor import Tensor, empty

__all__ = [
    "set_seed", "manual_seed", "get_seed", "get_rng_state", "set_rng_state", "rand", "randn", "randint", "randperm", "normal",
    "uniform", "standard_normal", "bernoulli", "multinomial", "rand_like", "randn_like", "randint_like",
]  # fmt: skip


class _Generator:
    """A key and the number of the next draw.  `itertools.count` steps atomically under the GIL."""

    def __init__(self, key: int, start: int = 0) -> None:
        self.key, self.forks = key, 0
        self.count = itertools.count(start)

    def draw(self) -> Callable[[], np.random.Generator]:
        """The generator of one call, to be made when the numbers are drawn."""
        key, number = self.key, next(self.count)
        # 2**128 numbers for each draw: the counter's upper half is the draw's number.
        return lambda: np.random.Generator(np.random.Philox(key=key, counter=number << 128))


_seed: int | None = None
_current: _Generator | None = None  # made at the first draw, so that importing costs nothing


def _generator() -> _Generator:
    global _current
    if _current is None:
        set_seed(int.from_bytes(os.urandom(8), "little"))
    assert _current is not None
    return _current


def _key(*parts: int) -> int:
    text = ",".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "little")


def set_seed(seed: int) -> None:
    """Begins anew with a seed: the same calls draw the same numbers.

    Raises:
        TypeError: when the seed is no int.
        ValueError: when it is negative.

    Example:
        >>> ops.set_seed(1); a = ops.rand(2); ops.set_seed(1); bool((a == ops.rand(2)).all())
        True
    """
    global _seed, _current
    if isinstance(seed, bool) or not hasattr(seed, "__index__"):
        raise TypeError(f"[set_seed] the seed must be an int, got {seed!r}")
    if seed.__index__() < 0:
        raise ValueError(f"[set_seed] the seed can't be negative, got {seed}")
    _seed = seed.__index__()
    _current = _Generator(_key(_seed))


def manual_seed(seed: int) -> None:
    """The same as `set_seed`."""
    set_seed(seed)


def get_seed() -> int | None:
    """The seed that was set, or drawn at the first use; None before."""
    return _seed


def get_rng_state() -> tuple[int, int, int]:
    """What the next numbers depend on: key, number of the next draw, number of the next fork."""
    generator = _generator()
    number = next(generator.count)
    generator.count = itertools.count(number)
    return generator.key, number, generator.forks


def set_rng_state(state: Sequence[int]) -> None:
    """Goes on from a state that `get_rng_state` gave."""
    global _current
    key, number, forks = as_ints("set_rng_state", tuple(state), "the state")
    _current = _Generator(key, number)
    _current.forks = forks


def _before_fork() -> None:
    _generator().forks += 1  # also for a fork that then fails: the numbers stay different, which matters more


def _after_in_child() -> None:
    global _current
    parent = _generator()
    _current = _Generator(_key(parent.key, parent.forks))


fork.register(_before_fork, None, _after_in_child, name="random", level=3)


# --- drawing ---------------------------------------------------------------------------------------------------------
def _draw(
    op: str, function: Callable[..., Any], shape: Sequence[int], dtype: DType, inputs: Sequence[Tensor] = (), seed: int | None = None
) -> Tensor:  # fmt: skip
    make = _generator().draw() if seed is None else _Generator(_key(seed)).draw()
    if inputs:
        return host_many(op, lambda *arrays: function(make(), *arrays), inputs, [(shape, dtype)])[0]
    result = empty(shape, dtype)
    from minitensor.backend import native

    def run(task: Any) -> None:
        np.copyto(task.outputs[0], function(make()), casting="unsafe")

    native.host_task(op, result._core.device, run, [], [result._h])
    return result


def _size(op: str, size: Sequence[Any]) -> tuple[int, ...]:
    shape = as_ints(op, size[0] if len(size) == 1 else size, "size")
    if any(n < 0 for n in shape):
        raise ValueError(f"[{op}] a dimension can't be negative, got {shape}")
    return shape


def _float(op: str, dtype: Any) -> DType:
    result = as_dtype(dtype or float32, op)
    if result.kind != "f":
        raise TypeError(f"[{op}] draws floats, {result} is none")
    return result


def _width(dtype: DType) -> Any:
    return np.float64 if dtype.itemsize == 8 else np.float32


def rand(*size: Any, dtype: DType | str | None = None, seed: int | None = None) -> Tensor:
    """Uniform numbers from [0, 1); float32 by default.

    Args:
        size: the shape, as ints or one tuple.
        dtype: a float dtype.
        seed: for these numbers alone; without it the generator goes on.
    """
    shape, result = _size("rand", size), _float("rand", dtype)
    return _draw("rand", lambda g: g.random(shape, _width(result)), shape, result, seed=seed)


def randn(*size: Any, dtype: DType | str | None = None, seed: int | None = None) -> Tensor:
    """Normal numbers of mean 0 and deviation 1; float32 by default."""
    shape, result = _size("randn", size), _float("randn", dtype)
    return _draw("randn", lambda g: g.standard_normal(shape, _width(result)), shape, result, seed=seed)


def standard_normal(shape: Any, seed: int | None = None) -> Tensor:
    """The same as `randn`."""
    return randn(shape, seed=seed)


def randint(low: int, high: int, size: Any, *, dtype: DType | str | None = None, seed: int | None = None) -> Tensor:
    """Integers from `low` up to, not including, `high`; int64 by default.

    Raises:
        ValueError: when there is no integer between them.
    """
    first, last = as_ints("randint", (low, high), "low and high")
    shape, result = _size("randint", (size,)), as_dtype(dtype or int64, "randint")
    if first >= last:
        raise ValueError(f"[randint] no integer is from {first} up to, not including, {last}")
    return _draw("randint", lambda g: g.integers(first, last, shape), shape, result, seed=seed)


def randperm(n: int, *, seed: int | None = None, dtype: DType | str | None = None) -> Tensor:
    """The integers from 0 to n - 1 in random order; int64 by default."""
    shape = _size("randperm", (n,))
    if len(shape) != 1:
        raise TypeError(f"[randperm] n must be an int, got {n!r}")
    return _draw("randperm", lambda g: g.permutation(shape[0]), shape, as_dtype(dtype or int64, "randperm"), seed=seed)


def normal(shape: Any, mean: Any = 0.0, stddev: Any = 1.0, seed: int | None = None) -> Tensor:
    """Normal numbers (float32); mean and deviation are numbers or tensors that broadcast to the shape."""
    deviation = as_tensor(stddev, "normal") if not isinstance(stddev, (int, float)) else stddev
    if isinstance(deviation, (int, float)) and deviation < 0:
        raise ValueError(f"[normal] a deviation can't be negative, got {deviation}")
    return randn(shape, seed=seed) * deviation + mean


def uniform(shape: Any, minval: Any = 0.0, maxval: Any = 1.0, seed: int | None = None, dtype: DType | str | None = None) -> Tensor:
    """Uniform numbers from [minval, maxval); with an integer dtype, integers.

    Raises:
        ValueError: when minval is not below maxval.
    """
    if isinstance(minval, (int, float)) and isinstance(maxval, (int, float)) and minval >= maxval:
        raise ValueError(f"[uniform] minval must be below maxval, got {minval} and {maxval}")
    if as_dtype(dtype or float32, "uniform").kind in "iu":
        return randint(int(minval), int(maxval), shape, dtype=dtype, seed=seed)
    return rand(shape, dtype=dtype, seed=seed) * (maxval - minval) + minval


def _probability(op: str, p: Any) -> None:
    if isinstance(p, (int, float)) and not 0 <= p <= 1:
        raise ValueError(f"[{op}] a probability is from 0 to 1, got {p}")


def bernoulli(input: Any, p: Any = 0.5, seed: int | None = None) -> Tensor:
    """1 with probability p, else 0, in the shape and dtype of `input`; p is a number or a tensor that broadcasts to it."""
    t = as_tensor(input, "bernoulli")
    _probability("bernoulli", p)
    chance = as_tensor(p, "bernoulli", t)
    np.broadcast_shapes(t.shape, chance.shape)
    return _draw("bernoulli", lambda g, q: g.random(t.shape) < np.asarray(q, np.float64), t.shape, t.dtype, [chance], seed)


def multinomial(input: Any, num_samples: int, replacement: bool = True, seed: int | None = None) -> Tensor:
    """Positions (int64) drawn with the weights in the last dimension of `input`.

    Raises:
        ValueError: for a number of samples that can't be drawn; where the result is read, for weights that are negative or all zero.
    """
    t = as_tensor(input, "multinomial")
    [count] = as_ints("multinomial", num_samples, "num_samples")
    if t.ndim not in (1, 2) or t.shape[-1] == 0 or count < 0 or (not replacement and count > t.shape[-1]):
        raise ValueError(f"[multinomial] can't draw {count} of shape {t.shape}{'' if replacement else ' without replacement'}")

    def choose(g: np.random.Generator, weights: np.ndarray) -> np.ndarray:
        rows = np.atleast_2d(weights.astype(np.float64))
        total = rows.sum(-1, keepdims=True)
        if (rows < 0).any() or not np.isfinite(rows).all() or (total <= 0).any():
            raise ValueError("weights must be finite, not negative and not all zero")
        drawn = [g.choice(rows.shape[-1], count, replacement, row) for row in rows / total]
        return np.array(drawn).reshape((*weights.shape[:-1], count))

    return _draw("multinomial", choose, (*t.shape[:-1], count), int64, [t], seed)


def rand_like(input: Any, *, dtype: DType | str | None = None) -> Tensor:
    """`rand` in the shape and (by default) dtype of `input`."""
    t = as_tensor(input, "rand_like")
    return rand(t.shape, dtype=dtype or t.dtype)


def randn_like(input: Any, *, dtype: DType | str | None = None) -> Tensor:
    """`randn` in the shape and (by default) dtype of `input`."""
    t = as_tensor(input, "randn_like")
    return randn(t.shape, dtype=dtype or t.dtype)


def randint_like(input: Any, low: int, high: int, *, dtype: DType | str | None = None) -> Tensor:
    """`randint` in the shape and (by default) dtype of `input`."""
    t = as_tensor(input, "randint_like")
    return randint(low, high, t.shape, dtype=dtype or t.dtype)
