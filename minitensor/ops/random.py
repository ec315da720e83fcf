"""Random numbers from a counter-based generator.

A draw is a function of (key, number of the draw): Philox 4x32-10, keyed by the seed, its counter
made of the draw's number and the element's place.  A call only takes the next number, one atomic
step without a lock; a worker draws the random numbers later, and they do not depend on that time,
nor on the number of threads.  Results depend only on the seed and on the number of earlier calls.
core/kernels/arrays/random.h defines each number, so that a seed gives the same ones in every
version and on every device.  A longer draw begins with the elements of a shorter one, except for
`randperm` and `multinomial`.

The numbers of draws count modulo 2**64.  The core computes the numbers of a device without C
kernels on the host and copies them.

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
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex, TypeGuard

import numpy as np

from minitensor import fork
from minitensor.backend import Device
from minitensor.backend.core import operators
from minitensor.dtype import DType, as_dtype, bool_, float32, float64, int64
from minitensor.ops._dispatch import as_ints, as_tensor, host, named
from minitensor.optable import ARRAY_CODES
from minitensor.tensor import Tensor, as_device

if TYPE_CHECKING:
    from minitensor.typing import DTypeLike, ShapeLike, TensorLike

__all__ = [
    "set_seed", "manual_seed", "seed", "initial_seed", "get_seed", "get_rng_state", "set_rng_state",
    "rand", "randn", "randint", "randperm", "normal", "uniform", "standard_normal", "bernoulli",
    "multinomial", "rand_like", "randn_like", "randint_like",
]  # fmt: skip


class _Generator:
    """Hold a key and the numbers of the next draw and fork.

    `itertools.count` steps atomically under the GIL.  `uniform` and `normal` are what the kernels
    of the standard distributions take: the key, the counter, from which the core takes the number
    of the draw, and parameters.
    """

    def __init__(self, key: int, start: int = 0, forks: int = 0) -> None:
        self.key, self.count, self.forks = key, itertools.count(start), itertools.count(forks)
        self.draw = key & _WORD, key >> 64, self.count
        self.uniform, self.normal = (*self.draw, 1.0, 0.0, 24), (*self.draw, 1.0, 0.0)


_WORD = (1 << 64) - 1
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
_UNIFORM, _NORMAL, _INTEGERS, _BERNOULLI, _PERMUTATION = (
    ARRAY_CODES[name] for name in ("uniform", "normal", "integers", "bernoulli", "permutation")
)
_make = operators.make


def _of(op: str, seed: SupportsIndex | None) -> _Generator:
    return _generator() if seed is None else _Generator(_key(_checked_seed(op, seed)))


def _draw(
    kernel: int,
    op: str,
    shape: Sequence[int],
    dtype: DType,
    numbers: tuple[Any, ...],
    device: Device | None = None,
    wide: DType = float32,
) -> Tensor:
    """Return what a kernel draws; in the dtype `wide` first if it does not compute in `dtype`."""
    place = device or as_device(None)
    number = place.activate()
    if dtype.name not in place.backend.dtypes:
        raise TypeError(f"[{op}] dtype must be one that {place} supports, got {dtype}")
    result = _make(kernel, op, shape, dtype, number, numbers)
    if result is not None:
        return result
    host = as_device("CPU")
    result = _make(kernel, op, shape, dtype, host.activate(), numbers)
    if result is None:
        result = _make(kernel, op, shape, wide, host.activate(), numbers).astype(dtype)
    return result if place is host else result.to(place)


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


_BITS = {"float16": 11, "bfloat16": 8}  # of a uniform number


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
    numbers = *_of(op, seed).draw, 1.0, 0.0, _BITS.get(dtype.name, 24)
    return _draw(_UNIFORM, op, shape, dtype, numbers, device)


def _normal(
    op: str,
    shape: tuple[int, ...],
    dtype: DType,
    seed: SupportsIndex | None,
    device: Device | None = None,
) -> Tensor:
    return _draw(_NORMAL, op, shape, dtype, _of(op, seed).normal, device)


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
    size = size[0] if len(size) == 1 else size  # type: ignore[assignment]
    result = _make(_UNIFORM, "rand", size, dtype, None, _of("rand", seed).uniform)
    if result is not None:
        return result
    return _uniform("rand", _size("rand", (size,)), _float("rand", dtype), seed)


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
    size = size[0] if len(size) == 1 else size  # type: ignore[assignment]
    result = _make(_NORMAL, "randn", size, dtype, None, _of("randn", seed).normal)
    if result is not None:
        return result
    return _normal("randn", _size("randn", (size,)), _float("randn", dtype), seed)


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
    if low.__class__ is int and high.__class__ is int and low < high:
        # int64 by default, or a dtype that holds all of them.
        wanted = int64 if dtype is None else dtype
        if wanted is int64 and -(1 << 63) <= low and high <= 1 << 63:
            numbers = *_of(op, seed).draw, low, high - low
            result = _make(_INTEGERS, op, size, int64, device and device.id, numbers)
            if result is not None:
                return result
    first, last = as_ints(op, (low, high), "low and high")
    shape = _size(op, (size,))
    if first >= last:
        raise ValueError(f"[{op}] high must be above low, got low {first} and high {last}")
    kind = _holds(op, dtype, first, last - 1)
    numbers = *_of(op, seed).draw, first, last - first
    return _draw(_INTEGERS, op, shape, kind, numbers, device, int64)


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
    if dtype is None and n.__class__ is int:
        result = _make(_PERMUTATION, "randperm", n, int64, None, _of("randperm", seed).draw)
        if result is not None:
            return result
    shape = _size("randperm", (n,))
    if len(shape) != 1:
        raise TypeError(f"[randperm] n must be an int, got {n!r}")
    kind, numbers = _holds("randperm", dtype, 0, shape[0] - 1), _of("randperm", seed).draw
    result = _draw(_PERMUTATION, "randperm", shape, int64, numbers)
    return result if kind is int64 else result.astype(kind)


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
        numbers = *_of("normal", seed).draw, float(stddev), float(mean)
        return _draw(_NORMAL, "normal", size, float32, numbers)
    middle, width = _tensors("normal", mean, stddev)
    result = _broadcast("normal", size, middle.shape, width.shape)

    def scaled(z: np.ndarray, m: np.ndarray, d: np.ndarray) -> np.ndarray:
        if (d < 0).any():
            raise ValueError(f"[normal] stddev must not be negative, got {d[d < 0][0]}")
        return z * d.astype(np.float64) + m.astype(np.float64)

    drawn = _normal("normal", result, float64, seed, middle._device)
    return host("normal", scaled, [drawn, middle, width], result, float32)


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
        numbers = *_of("uniform", seed).draw, float(maxval - minval), float(minval), 24
        return _draw(_UNIFORM, "uniform", size, result, numbers)
    low, high = _tensors("uniform", minval, maxval)
    places = _broadcast("uniform", size, low.shape, high.shape)

    def scaled(u: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        a, b = a.astype(np.float64), b.astype(np.float64)
        if not ((a < b) & np.isfinite(a) & np.isfinite(b)).all():
            raise ValueError("[uniform] minval must be below maxval, both finite, got other bounds")
        return u * (b - a) + a

    drawn = _uniform("uniform", places, float64, seed, low._device)
    return host("uniform", scaled, [drawn, low, high], places, result)


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
    if _is_number(p):
        numbers = *_of("bernoulli", seed).draw, float(p)
        return _draw(_BERNOULLI, "bernoulli", t.shape, t.dtype, numbers, t._device, bool_)
    [chance] = _tensors("bernoulli", as_tensor(p, "bernoulli", t))
    if _broadcast("bernoulli", t.shape, chance.shape) != t.shape:
        raise ValueError(
            f"[bernoulli] p must broadcast to the input's shape {t.shape}, got {chance.shape}"
        )

    def below(u: np.ndarray, q: np.ndarray) -> np.ndarray:
        return u < _probabilities("bernoulli", q)

    drawn = _uniform("bernoulli", t.shape, float64, seed, t._device)
    return host("bernoulli", below, [drawn, chance], t.shape, t.dtype)


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

    def choose(u: np.ndarray, weights: np.ndarray) -> np.ndarray:
        rows = np.atleast_2d(weights.astype(np.float64))
        total = rows.sum(-1, keepdims=True)
        if (rows < 0).any() or not np.isfinite(rows).all() or (total <= 0).any():
            raise ValueError(
                "[multinomial] weights must be finite, non-negative and not all 0, got others"
            )
        pick = _with_replacement if replacement else _without_replacement
        drawn = [pick(u_row, row, count) for u_row, row in zip(np.atleast_2d(u), rows / total)]
        return np.array(drawn, np.int64).reshape((*weights.shape[:-1], count))

    each = count if replacement else t.shape[-1]
    drawn = _uniform("multinomial", (*t.shape[:-1], each), float64, seed, t._device)
    return host("multinomial", choose, [drawn, t], (*t.shape[:-1], count), int64)


def _with_replacement(u: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """Return the position of the weight whose share of the sum of the weights covers u."""
    ends = np.cumsum(weights)
    found = np.searchsorted(ends, u * ends[-1], side="right")
    return np.minimum(found, np.flatnonzero(weights)[-1])  # the product may round up to the sum


def _without_replacement(u: np.ndarray, weights: np.ndarray, count: int) -> np.ndarray:
    """Return the positions that come first in a race of exponential times with these rates."""
    if np.count_nonzero(weights) < count:
        raise ValueError(
            f"[multinomial] num_samples must be at most the number of weights above 0, got {count}"
        )
    with np.errstate(divide="ignore"):
        times = np.where(weights > 0, -np.log1p(-u) / weights, np.inf)
    return np.argsort(times, kind="stable")[:count]


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
