"""Random numbers from a counter-based generator.

A draw is a function of (key, number of the draw): NumPy's Philox, keyed by the seed, its counter
set to the draw's number.  A call only takes the next number, one atomic step without a lock; a
worker draws the random numbers later, and they do not depend on that time.  Results depend only on
the seed and on the number of earlier calls.

Fork.  The child continues with a key of its own, hashed from the parent's key and the number of the
fork.  Parent, children and grandchildren therefore all draw different numbers, and a program with
the same seed that forks in the same order draws the same numbers again.  A fork that fails uses up
its number.  A spawned child starts with a seed of its own.

The parent takes the number before the fork, and the number must reach the child of that fork,
although threads may fork at once and a signal handler or another participant may fork inside a
fork.  Each thread therefore keeps a stack of the numbers of its forks under way: the thread that
forked is the thread that continues in the child.
"""

from __future__ import annotations

import itertools
import math
import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeGuard

import numpy as np

from minitensor import fork
from minitensor.backend import Device, core
from minitensor.dtype import DType, as_dtype, float32, int64
from minitensor.ops._dispatch import as_ints, as_tensor, host_many, named
from minitensor.tensor import Tensor, empty

if TYPE_CHECKING:
    from minitensor.typing import DTypeLike, ShapeLike, TensorLike

__all__ = [
    "set_seed", "manual_seed", "seed", "initial_seed", "get_seed", "get_rng_state", "set_rng_state",
    "rand", "randn", "randint", "randperm", "normal", "uniform", "standard_normal", "bernoulli",
    "multinomial", "rand_like", "randn_like", "randint_like",
]  # fmt: skip


class _Generator:
    """Hold a key and the numbers of the next draw and fork.

    `itertools.count` steps atomically under the GIL.
    """

    def __init__(self, key: int, start: int = 0, forks: int = 0) -> None:
        self.key, self.count, self.forks = key, itertools.count(start), itertools.count(forks)

    def draw(self) -> Callable[[], np.random.Generator]:
        """Return a function that makes the generator of one call; the drawing task calls it."""
        key, number = self.key, next(self.count)
        # 2**128 numbers for each draw: the counter's upper half is the draw's number.
        return lambda: np.random.Generator(np.random.Philox(key=key, counter=number << 128))


_seed: int | None = None
_current: _Generator | None = None  # made at the first draw, to keep the import fast


def _generator() -> _Generator:
    global _current
    if _current is None:
        set_seed(int.from_bytes(os.urandom(8), "little"))
    assert _current is not None
    return _current


def _checked_seed(op: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"[{op}] seed must be an int, got {value!r}")
    if value.__index__() < 0:
        raise ValueError(f"[{op}] seed must not be negative, got {value}")
    return value.__index__()


def _key(*parts: int) -> int:
    import hashlib  # loads OpenSSL, which would slow down the import of minitensor

    text = ",".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "little")


@named
def set_seed(seed: SupportsIndex) -> None:
    """Restart the generator with a seed: the same calls draw the same numbers.

    Args:
        seed: an int that is not negative.

    Raises:
        TypeError: the seed is no int.
        ValueError: the seed is negative.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.set_seed(1); a = ops.rand(2); ops.set_seed(1); bool((a == ops.rand(2)).all())
        True
    """
    global _seed, _current
    _seed = _checked_seed("set_seed", seed)
    _current = _Generator(_key(_seed))


@named
def manual_seed(seed: SupportsIndex) -> None:
    """Restart the generator with a seed; an alias of `set_seed`.

    Args:
        seed: an int that is not negative.

    Raises:
        TypeError: the seed is no int.
        ValueError: the seed is negative.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.manual_seed(1); a = ops.rand(2); ops.manual_seed(1); bool((a == ops.rand(2)).all())
        True
    """
    set_seed(seed)


def seed() -> int:
    """Restart the generator with a seed from the operating system; return the seed.

    Returns:
        The seed, an int of 64 bits.

    Example:
        >>> from minitensor import ops
        >>> ops.seed() == ops.initial_seed()
        True
    """
    set_seed(int.from_bytes(os.urandom(8), "little"))
    return initial_seed()


def initial_seed() -> int:
    """Return the generator's seed; draw one from the operating system if there is none.

    Returns:
        The seed, an int; in a forked child the parent's.

    Example:
        >>> from minitensor import ops
        >>> ops.set_seed(7); ops.initial_seed()
        7
    """
    _generator()
    assert _seed is not None
    return _seed


def get_seed() -> int | None:
    """Return the generator's seed, or None before the first use.

    Returns:
        The seed, an int, or None.

    Example:
        >>> from minitensor import ops
        >>> ops.set_seed(7); ops.get_seed()
        7
    """
    return _seed


def get_rng_state() -> tuple[int, int, int]:
    """Return what the next numbers depend on.

    Returns:
        A tuple (key, number of the next draw, number of the next fork).

    Example:
        >>> from minitensor import ops
        >>> ops.set_seed(7); ops.get_rng_state()[1:]
        (0, 0)
    """
    generator = _generator()
    # Only the repr, "count(5)", reads a counter without a step: another thread may be drawing.
    number, forks = (int(repr(count)[6:-1]) for count in (generator.count, generator.forks))
    return generator.key, number, forks


@named
def set_rng_state(state: Sequence[int]) -> None:
    """Restore a state that `get_rng_state` returned.

    Args:
        state: three ints below 2**128.

    Raises:
        TypeError: the state holds no ints.
        ValueError: the state is not three ints in that range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> state = ops.get_rng_state(); a = ops.rand(2); ops.set_rng_state(state)
        >>> bool((a == ops.rand(2)).all())
        True
    """
    global _current
    values = as_ints("set_rng_state", state, "state")
    if len(values) != 3 or min(values) < 0 or max(values) >= 1 << 128:
        raise ValueError(
            "[set_rng_state] state must be three ints from 0 to 2**128 - 1, as get_rng_state "
            f"returns, got {values}"
        )
    _current = _Generator(*values)


_under_way = threading.local()  # .forks: (key, number) of this thread's forks, the innermost last


def _forks_under_way() -> list[tuple[int, int] | None]:
    if not hasattr(_under_way, "forks"):
        _under_way.forks = []
    return _under_way.forks


def _number() -> tuple[int, int] | None:
    generator = _current  # None before the first draw: parent and child then choose own seeds
    return None if generator is None else (generator.key, next(generator.forks))


def _before_fork() -> None:
    _forks_under_way().append(_number())


def _after_in_parent() -> None:
    if _forks_under_way():  # empty if an interrupt came before the number was taken
        _forks_under_way().pop()


def _after_in_child() -> None:
    global _current
    under_way = _forks_under_way()
    taken = under_way.pop() if under_way else None
    _current = None if taken is None else _Generator(_key(*taken))
    # The forks around this one continue in the child, too, as forks of the child.
    under_way[:] = [_number() for _ in under_way]


fork.register(_before_fork, _after_in_parent, _after_in_child, name="random", level=3)


# --- drawing --------------------------------------------------------------------------------------
def _draw(
    op: str,
    function: Callable[..., Any],
    shape: Sequence[int],
    dtype: DType,
    seed: SupportsIndex | None,
    inputs: Sequence[Tensor] = (),
    device: Device | None = None,
) -> Tensor:
    make = _generator().draw() if seed is None else _Generator(_key(_checked_seed(op, seed))).draw()
    if inputs:
        return host_many(op, lambda *arrays: function(make(), *arrays), inputs, [(shape, dtype)])[0]
    result = empty(shape, dtype, device)

    def run(task: Any) -> None:
        np.copyto(task.outputs[0], function(make()), casting="unsafe")

    core.host_task(op, result._device_id, run, [], [result._ref])
    return result


def _size(op: str, size: Sequence[Any]) -> tuple[int, ...]:
    shape = as_ints(op, size[0] if len(size) == 1 else size, "size")
    if any(n < 0 for n in shape):
        raise ValueError(f"[{op}] a dimension must not be negative, got shape {shape}")
    return shape


def _float(op: str, dtype: Any) -> DType:
    result = as_dtype(dtype or float32, op)
    if result.kind != "f":
        raise TypeError(f"[{op}] dtype must be a float dtype, got {result}")
    return result


def _holds(op: str, dtype: Any, first: int, last: int) -> DType:
    """Return the dtype after a check that it holds all integers from `first` to `last`."""
    result = as_dtype(dtype or int64, op)
    if result.kind not in "iuf":
        raise TypeError(f"[{op}] dtype must be an integer or float dtype, got {result}")
    info = np.iinfo((result if result.kind in "iu" else int64).numpy)
    if first < info.min or last > info.max:
        raise ValueError(
            f"[{op}] dtype must hold all integers from {first} to {last}, got {result}; take a "
            "wider dtype"
        )
    return result


def _probabilities(op: str, value: np.ndarray) -> np.ndarray:
    wide = np.asarray(value, np.float64)
    if not ((wide >= 0) & (wide <= 1)).all():
        wrong = wide[~((wide >= 0) & (wide <= 1))][0]
        raise ValueError(f"[{op}] a probability must be from 0 to 1, got {wrong}")
    return wide


def _uniform(
    op: str,
    shape: tuple[int, ...],
    dtype: DType,
    seed: SupportsIndex | None,
    device: Device | None = None,
) -> Tensor:
    """Return numbers from [0, 1).

    Halves are multiples of a power of two that the dtype holds exactly, because 0.9999 would be
    rounded to 1.
    """
    bits = {"float16": 11, "bfloat16": 8}.get(dtype.name)
    if bits is not None:
        return _draw(
            op,
            lambda g: g.integers(0, 1 << bits, shape) * 2.0**-bits,
            shape,
            dtype,
            seed,
            device=device,
        )
    return _draw(op, lambda g: g.random(shape, _width(dtype)), shape, dtype, seed, device=device)


def _normal(
    op: str,
    shape: tuple[int, ...],
    dtype: DType,
    seed: SupportsIndex | None,
    device: Device | None = None,
) -> Tensor:
    return _draw(
        op, lambda g: g.standard_normal(shape, _width(dtype)), shape, dtype, seed, device=device
    )


def _width(dtype: DType) -> Any:
    return np.float64 if dtype.itemsize == 8 else np.float32


def rand(
    *size: ShapeLike, dtype: DTypeLike | None = None, seed: SupportsIndex | None = None
) -> Tensor:
    """Return uniform numbers from [0, 1).

    Args:
        size: the shape, as ints or one tuple.
        dtype: a float dtype; float32 by default.
        seed: the seed of this call alone; None continues the generator.

    Returns:
        A new tensor.

    Raises:
        TypeError: a length or the seed is no int, or `dtype` is no float dtype.
        ValueError: a length or the seed is negative.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.rand(2, 3).shape
        (2, 3)
    """
    return _uniform("rand", _size("rand", size), _float("rand", dtype), seed)


def randn(
    *size: ShapeLike, dtype: DTypeLike | None = None, seed: SupportsIndex | None = None
) -> Tensor:
    """Return normal numbers of mean 0 and standard deviation 1.

    Args:
        size: the shape, as ints or one tuple.
        dtype: a float dtype; float32 by default.
        seed: the seed of this call alone; None continues the generator.

    Returns:
        A new tensor.

    Raises:
        TypeError: a length or the seed is no int, or `dtype` is no float dtype.
        ValueError: a length or the seed is negative.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.randn(2, 3).shape
        (2, 3)
    """
    return _normal("randn", _size("randn", size), _float("randn", dtype), seed)


@named
def standard_normal(shape: ShapeLike, seed: SupportsIndex | None = None) -> Tensor:
    """Return normal numbers of mean 0 and standard deviation 1, as float32.

    Args:
        shape: the shape, an int or a sequence of ints.
        seed: the seed of this call alone; None continues the generator.

    Returns:
        A new tensor.

    Raises:
        TypeError: a length or the seed is no int.
        ValueError: a length or the seed is negative.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.standard_normal((2, 3)).shape
        (2, 3)
    """
    return randn(shape, seed=seed)


def randint(
    low: SupportsIndex,
    high: SupportsIndex,
    size: ShapeLike,
    *,
    dtype: DTypeLike | None = None,
    seed: SupportsIndex | None = None,
) -> Tensor:
    """Return integers from `low` up to, not including, `high`.

    Args:
        low: the least integer.
        high: the bound; the greatest integer is high - 1.
        size: the shape, an int or a sequence of ints.
        dtype: the dtype; int64 by default.
        seed: the seed of this call alone; None continues the generator.

    Returns:
        A new tensor.

    Raises:
        TypeError: a bound, a length or the seed is no int.
        ValueError: `low` is not below `high`, or the dtype does not hold all of the integers.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.randint(5, 6, 3))
        [5 5 5]
    """
    return _randint("randint", low, high, size, dtype, seed)


def _randint(
    op: str,
    low: Any,
    high: Any,
    size: Any,
    dtype: Any,
    seed: SupportsIndex | None,
    device: Device | None = None,
) -> Tensor:
    first, last = as_ints(op, (low, high), "low and high")
    shape = _size(op, (size,))
    if first >= last:
        raise ValueError(f"[{op}] high must be above low, got low {first} and high {last}")
    result, kind = _holds(op, dtype, first, last - 1), np.uint64 if last > 1 << 63 else np.int64
    return _draw(
        op, lambda g: g.integers(first, last, shape, kind), shape, result, seed, device=device
    )


def randperm(
    n: SupportsIndex, *, seed: SupportsIndex | None = None, dtype: DTypeLike | None = None
) -> Tensor:
    """Return the integers from 0 to n - 1 in random order.

    Args:
        n: the number of integers.
        seed: the seed of this call alone; None continues the generator.
        dtype: the dtype; int64 by default.

    Returns:
        A new tensor of shape (n,).

    Raises:
        TypeError: `n` or the seed is no int.
        ValueError: `n` is negative, or the dtype does not hold n - 1.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.randperm(4).sum())
        6
    """
    shape = _size("randperm", (n,))
    if len(shape) != 1:
        raise TypeError(f"[randperm] n must be an int, got {n!r}")
    return _draw(
        "randperm",
        lambda g: g.permutation(shape[0]),
        shape,
        _holds("randperm", dtype, 0, shape[0] - 1),
        seed,
    )


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _tensors(op: str, *values: Any) -> list[Tensor]:
    """Return parameters as tensors, new ones on the device of those that are tensors."""
    like = next((v for v in values if isinstance(v, Tensor)), None)
    tensors = [as_tensor(v, op, like) for v in values]
    if any(t.dtype.kind == "c" for t in tensors):
        raise TypeError(f"[{op}] parameters must be real, got a complex dtype")
    return tensors


def _broadcast(op: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(
            f"[{op}] shapes must broadcast, got {' and '.join(map(str, shapes))}"
        ) from None


def normal(
    shape: ShapeLike,
    mean: TensorLike = 0.0,
    stddev: TensorLike = 1.0,
    seed: SupportsIndex | None = None,
) -> Tensor:
    """Return normal numbers, one for each place of `shape`, `mean` and `stddev` broadcast together.

    Args:
        shape: the shape, an int or a sequence of ints.
        mean: a number, or a tensor-like of real numbers.
        stddev: the standard deviation, a number, or a tensor-like of real numbers.
        seed: the seed of this call alone; None continues the generator.

    Returns:
        A new tensor of float32.

    Raises:
        TypeError: a length or the seed is no int, or a parameter is complex.
        ValueError: the shapes do not broadcast, or a deviation is negative; of a tensor, the read
            of the value raises it.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.normal(3, mean=Tensor([[0.0], [5.0]])).shape
        (2, 3)
    """
    if _is_number(stddev) and not stddev >= 0:
        raise ValueError(f"[normal] stddev must not be negative, got {stddev}")
    size = _size("normal", (shape,))
    if _is_number(mean) and _is_number(stddev):
        shift, scale = mean, stddev
        return _draw(
            "normal",
            lambda g: g.standard_normal(size, np.float32) * scale + shift,
            size,
            float32,
            seed,
        )
    middle, width = _tensors("normal", mean, stddev)
    result = _broadcast("normal", size, middle.shape, width.shape)

    def draw(g: np.random.Generator, m: np.ndarray, d: np.ndarray) -> np.ndarray:
        if (d < 0).any():
            raise ValueError(f"[normal] stddev must not be negative, got {d[d < 0][0]}")
        return g.standard_normal(result) * d.astype(np.float64) + m.astype(np.float64)

    return _draw("normal", draw, result, float32, seed, [middle, width])


def uniform(
    shape: ShapeLike,
    minval: TensorLike = 0.0,
    maxval: TensorLike = 1.0,
    seed: SupportsIndex | None = None,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """Return uniform numbers from `minval` up to `maxval`.

    Args:
        shape: the shape, an int or a sequence of ints.  Tensors as bounds broadcast with it.
        minval: the lower bound, a number or a tensor-like; an int for an integer dtype.
        maxval: the upper bound; rounding of floats may give it, integers stay below it.
        seed: the seed of this call alone; None continues the generator.
        dtype: a float or integer dtype; float32 by default.

    Returns:
        A new tensor.

    Raises:
        TypeError: a length or the seed is no int, or a bound does not fit the dtype.
        ValueError: a bound is not finite, or minval is not below maxval; of tensors, the read of
            the value raises it.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.uniform(3, 5, 6, dtype="int32"))
        [5 5 5]
    """
    if (
        _is_number(minval)
        and _is_number(maxval)
        and not (math.isfinite(minval) and math.isfinite(maxval) and minval < maxval)
    ):
        raise ValueError(
            f"[uniform] minval must be below maxval, both finite, got {minval} and {maxval}"
        )
    if as_dtype(dtype or float32, "uniform").kind in "iu":
        if not hasattr(minval, "__index__") or not hasattr(maxval, "__index__"):
            raise TypeError(
                "[uniform] minval and maxval must be ints for an integer dtype, got "
                f"{minval!r} and {maxval!r}"
            )
        return _randint("uniform", minval, maxval, shape, dtype, seed)
    size, result = _size("uniform", (shape,)), _float("uniform", dtype)
    if _is_number(minval) and _is_number(maxval):
        width, least, span = _width(result), minval, maxval - minval
        return _draw("uniform", lambda g: g.random(size, width) * span + least, size, result, seed)
    low, high = _tensors("uniform", minval, maxval)
    places = _broadcast("uniform", size, low.shape, high.shape)

    def draw(g: np.random.Generator, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a, b = a.astype(np.float64), b.astype(np.float64)
        if not ((a < b) & np.isfinite(a) & np.isfinite(b)).all():
            raise ValueError("[uniform] minval must be below maxval, both finite, got other bounds")
        return g.random(places) * (b - a) + a

    return _draw("uniform", draw, places, result, seed, [low, high])


def bernoulli(input: TensorLike, p: TensorLike = 0.5, seed: SupportsIndex | None = None) -> Tensor:
    """Return 1 with probability `p`, and 0 otherwise.

    Args:
        input: a tensor-like that gives shape, device and dtype.
        p: the probability, a number or a tensor-like that broadcasts to the input.
        seed: the seed of this call alone; None continues the generator.

    Returns:
        A new tensor of the input's shape and dtype.

    Raises:
        TypeError: the seed is no int, or `p` is complex.
        ValueError: `p` does not broadcast, or is not from 0 to 1; of a tensor, the read of the
            value raises it.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.bernoulli(Tensor([5.0, 5.0]), 1.0))
        [1. 1.]
    """
    t = as_tensor(input, "bernoulli")
    if _is_number(p) and not 0 <= p <= 1:
        raise ValueError(f"[bernoulli] p must be from 0 to 1, got {p}")
    [chance] = _tensors("bernoulli", as_tensor(p, "bernoulli", t))
    if _broadcast("bernoulli", t.shape, chance.shape) != t.shape:
        raise ValueError(
            f"[bernoulli] p must broadcast to the input's shape {t.shape}, got {chance.shape}"
        )
    shape = t.shape  # a local: the task must not keep the input alive
    return _draw(
        "bernoulli",
        lambda g, q: g.random(shape) < _probabilities("bernoulli", q),
        shape,
        t.dtype,
        seed,
        [chance],
    )


@named
def multinomial(
    input: TensorLike,
    num_samples: SupportsIndex,
    replacement: bool = True,
    seed: SupportsIndex | None = None,
) -> Tensor:
    """Return positions drawn with the weights in the last dimension of `input`.

    Args:
        input: weights of shape (n,) or (rows, n); not negative, and not all zero.
        num_samples: the number of positions to draw from each row.
        replacement: False draws each position once at most.
        seed: the seed of this call alone; None continues the generator.

    Returns:
        A new tensor of int64 and shape (num_samples,) or (rows, num_samples).

    Raises:
        TypeError: `num_samples` or the seed is no int, or the weights are complex.
        ValueError: the number can not be drawn, or the weights are invalid; the read of the value
            raises the latter.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.multinomial(Tensor([0.0, 1.0]), 3))
        [1 1 1]
    """
    [t] = _tensors("multinomial", input)
    if isinstance(num_samples, bool) or not hasattr(num_samples, "__index__"):
        raise TypeError(f"[multinomial] num_samples must be an int, got {num_samples!r}")
    count = num_samples.__index__()
    if t.ndim not in (1, 2) or t.shape[-1] == 0:
        raise ValueError(
            f"[multinomial] input must have 1 or 2 dimensions and weights, got shape {t.shape}"
        )
    if count < 0:
        raise ValueError(f"[multinomial] num_samples must not be negative, got {count}")
    if not replacement and count > t.shape[-1]:
        raise ValueError(
            f"[multinomial] num_samples must be at most {t.shape[-1]} without replacement, got "
            f"{count}"
        )

    def choose(g: np.random.Generator, weights: np.ndarray) -> np.ndarray:
        rows = np.atleast_2d(weights.astype(np.float64))
        total = rows.sum(-1, keepdims=True)
        if (rows < 0).any() or not np.isfinite(rows).all() or (total <= 0).any():
            raise ValueError(
                "[multinomial] weights must be finite, non-negative and not all 0, got others"
            )
        drawn = [g.choice(rows.shape[-1], count, replacement, row) for row in rows / total]
        return np.array(drawn).reshape((*weights.shape[:-1], count))

    return _draw("multinomial", choose, (*t.shape[:-1], count), int64, seed, [t])


def rand_like(
    input: TensorLike, *, dtype: DTypeLike | None = None, seed: SupportsIndex | None = None
) -> Tensor:
    """Return uniform numbers from [0, 1) in the shape of `input`.

    Args:
        input: a tensor-like that gives shape and device, and the dtype by default.
        dtype: a float dtype; the input's by default.
        seed: the seed of this call alone; None continues the generator.

    Returns:
        A new tensor.

    Raises:
        TypeError: the input is not tensor-like, or the dtype is no float dtype.
        ValueError: the seed is negative.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.rand_like(Tensor([[1.0, 2.0]])).shape
        (1, 2)
    """
    t = as_tensor(input, "rand_like")
    return _uniform("rand_like", t.shape, _float("rand_like", dtype or t.dtype), seed, t._device)


def randn_like(
    input: TensorLike, *, dtype: DTypeLike | None = None, seed: SupportsIndex | None = None
) -> Tensor:
    """Return normal numbers of mean 0 and standard deviation 1 in the shape of `input`.

    Args:
        input: a tensor-like that gives shape and device, and the dtype by default.
        dtype: a float dtype; the input's by default.
        seed: the seed of this call alone; None continues the generator.

    Returns:
        A new tensor.

    Raises:
        TypeError: the input is not tensor-like, or the dtype is no float dtype.
        ValueError: the seed is negative.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.randn_like(Tensor([[1.0, 2.0]])).shape
        (1, 2)
    """
    t = as_tensor(input, "randn_like")
    return _normal("randn_like", t.shape, _float("randn_like", dtype or t.dtype), seed, t._device)


def randint_like(
    input: TensorLike,
    low: SupportsIndex,
    high: SupportsIndex,
    *,
    dtype: DTypeLike | None = None,
    seed: SupportsIndex | None = None,
) -> Tensor:
    """Return integers from `low` up to, not including, `high` in the shape of `input`.

    Args:
        input: a tensor-like that gives shape and device, and the dtype by default.
        low: the least integer.
        high: the bound; the greatest integer is high - 1.
        dtype: the dtype; the input's by default.
        seed: the seed of this call alone; None continues the generator.

    Returns:
        A new tensor.

    Raises:
        TypeError: a bound, a length or the seed is no int.
        ValueError: `low` is not below `high`, or the dtype does not hold all of the integers.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.randint_like(Tensor([1, 2]), 5, 6))
        [5 5]
    """
    t = as_tensor(input, "randint_like")
    return _randint("randint_like", low, high, t.shape, dtype or t.dtype, seed, t._device)
