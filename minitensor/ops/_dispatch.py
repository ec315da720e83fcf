"""What every op goes through: from Python arguments to one call of the core.

An elementwise op of tensors and numbers doesn't come here at all: its path is in C (core/python/py_operators.c), because each step that
the interpreter takes costs as much as the op of a few elements.  What isn't its everyday case does come here (`_dispatch_slow`), and so do
the ops that NumPy computes on the stream (`host`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from operator import index
from typing import Any

import numpy as np

from minitensor.backend import native
from minitensor.backend.base import Task
from minitensor.backend.native import finish, lib, operators
from minitensor.dtype import DType
from minitensor.optable import ELEMENTWISE
from minitensor.tensor import Tensor, empty, wrap

__all__ = [
    "as_tensor", "host", "host_many", "aliases", "axis_aliases", "named", "name_op", "WRONG", "AxisError", "normalize_axis", "normalize_axes",
    "reduced_axes", "flag", "assign", "as_ints", "is_operand",
]  # fmt: skip

_CALLS: tuple[Callable[..., int], ...] = (lib.mt_unary, lib.mt_binary, lib.mt_ternary)  # by the number of operands less one
_SCALARS = (bool, int, float, complex)
_OPERANDS = (Tensor, *_SCALARS, np.ndarray, np.generic, list, tuple)


def is_operand(value: Any) -> bool:
    """May it stand beside a tensor in an operator?"""
    return isinstance(value, _OPERANDS)


def as_tensor(value: Any, op: str, like: Tensor | None = None) -> Tensor:
    """A tensor as it is; anything else that `Tensor(...)` takes as a new one, on the device of `like`.

    Raises:
        TypeError: when `value` is none of these.
    """
    if isinstance(value, Tensor):
        return value
    try:
        return Tensor(value, device=None if like is None else like.device)
    except TypeError as error:
        raise TypeError(f"[{op}] takes tensors, got {type(value).__name__}: {error}") from None


def _weak(value: Any, op: str) -> int:
    """A Python scalar as the core takes it: it joins in promotion by its kind only."""
    if isinstance(value, (bool, int)):
        try:
            return lib.mt_weak_int(value, isinstance(value, bool))
        except OverflowError:
            raise OverflowError(f"[{op}] {value} is beyond 64 bits, which is the widest integer a tensor holds") from None
    if isinstance(value, complex):
        return lib.mt_weak_complex(value.real, value.imag)
    return lib.mt_weak_float(value)


def _dispatch_slow(code: int, operator: bool, *values: Any) -> Any:
    """An elementwise op whose operands are not all tensors and everyday numbers; py_operators.c calls it."""
    op = ELEMENTWISE[code].name
    if operator and not all(map(is_operand, values)):
        return NotImplemented
    like = next((v for v in values if isinstance(v, Tensor)), None)
    if like is None:
        like = as_tensor(values[0], op)
        values = (like, *values[1:])
    scalars: list[int] = []
    try:
        refs, held = [], []  # held: a reference is a number and keeps nothing alive
        for value in values:
            if isinstance(value, _SCALARS):
                scalars.append(_weak(value, op))
                refs.append(scalars[-1])
            else:
                held.append(as_tensor(value, op, like))
                refs.append(held[-1]._h)
        ref = _CALLS[len(refs) - 1](code, *refs)
        return wrap(ref if ref > 0 else finish(ref))
    finally:
        for ref in scalars:
            lib.mt_release(ref)


operators.bind(dispatch_slow=_dispatch_slow)


def assign(target: Tensor, value: Any, op: str) -> None:
    """Writes `value`, broadcast and cast, into the elements of `target`, and so into the storage that it views."""
    if isinstance(value, _SCALARS):
        source = wrap(_weak(value, op))
    else:
        source = as_tensor(value, op, target)
        if source._device is not target._device:
            source = source.to(target._device)
        relation = lib.mt_assigns(target._h, source._h)
        if relation == 2:
            raise ValueError(
                f"[{op}] t[i], t[j] = t[j], t[i] swaps views, and the first assignment has overwritten "
                "what the second view shows; write t[[i, j]] = t[[j, i]] to swap, and "
                "t[np.random.permutation(len(t))] to shuffle"
            )
        if relation == 1:  # x[1:] = x[:-1] means the value from before the assignment
            source = source.copy()
    ref = lib.mt_copy(target._h, source._h)
    lib.mt_release(ref if ref > 0 else finish(ref))


# --- ops that NumPy does on the stream -------------------------------------------------------------------------------
def host_many(
    op: str,
    function: Callable[..., Any],
    inputs: Sequence[Tensor],
    outputs: Sequence[tuple[Sequence[int], DType]],
    params: dict[str, Any] | None = None,
    steps: int | None = None,
) -> list[Tensor]:
    """Tensors that `function` computes on the stream, from NumPy arrays to NumPy arrays.

    Args:
        op: the op's name.
        function: gets one array for each input and `params` as keywords; returns one array (or a sequence of them, when there
            are several outputs) of the shapes announced; they are cast to the dtypes announced.  It runs on a worker thread,
            later; what it raises rises where a result is read.
        inputs: tensors of one device.
        outputs: shape and dtype of each result.
        params: further keywords.
        steps: about how many additions and the like it takes, for one that takes more than some for each element; 0: it may wait for
            somebody, so it never runs in a thread of the user's.
    """
    device = inputs[0]._device if inputs else None
    results, single = [empty(shape, dtype, device) for shape, dtype in outputs], len(outputs) == 1

    def run(task: Task) -> None:  # holds no tensor: it may live a little longer than its task
        with np.errstate(all="ignore"):
            value = function(*task.inputs, **task.params)
            for target, part in zip(task.outputs, [value] if single else value):
                np.copyto(target, part, casting="unsafe")

    native.host_task(op, results[0]._number, run, [t._h for t in inputs], [t._h for t in results], params, steps)
    return results


def host(
    op: str,
    function: Callable[..., Any],
    inputs: Sequence[Tensor],
    shape: Sequence[int],
    dtype: DType,
    params: dict[str, Any] | None = None,
    steps: int | None = None,
) -> Tensor:
    """`host_many` with one result."""
    return host_many(op, function, inputs, [(shape, dtype)], params, steps)[0]


# --- arguments -------------------------------------------------------------------------------------------------------
_PREFIX = re.compile(r"\[\w+\] |\w+\(\) ")


WRONG = (TypeError, ValueError, IndexError)  # what a call's arguments may raise


def name_op(error: Exception, op: str) -> None:
    """Let an error of a call name the op that was called, not one that it is made of.

    An error of an earlier op, which rises where a value is read, says where that op was issued, and keeps its name.
    """
    text = error.args[0] if error.args else ""
    if isinstance(text, str) and " (issued at " not in text:
        error.args = (_PREFIX.sub(f"[{op}] ", text, count=1) if _PREFIX.match(text) else text, *error.args[1:])


def aliases(**names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function take other keywords: with `aliases(dim="axis")` it takes `dim=` for `axis=`.

    The errors of the function's call name it, whichever ops it is made of.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def renamed(*args: Any, **kwargs: Any) -> Any:
            if kwargs:
                for alias in kwargs.keys() & names.keys():
                    if names[alias] in kwargs:
                        raise TypeError(f"[{function.__name__}] {alias} and {names[alias]} are one argument, got both")
                    kwargs[names[alias]] = kwargs.pop(alias)
            try:
                return function(*args, **kwargs)
            except WRONG as error:
                name_op(error, function.__name__)
                raise

        return renamed

    return decorate


named = aliases()  # a decorator for a function that is made of other ops: its errors name it.  It takes 0.1 us


_SPELLINGS = (("axis", "dim", "dims"), ("keepdims", "keepdim", "keep_dims"))


def axis_aliases(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator: whichever of `axis`, `dim`, `dims` the function has, it takes the others, too; so for `keepdims`."""
    code = function.__code__
    own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    names = {other: name for group in _SPELLINGS for name in group if name in own for other in group if other not in own}
    return aliases(**names)(function)


class AxisError(ValueError, IndexError):
    """An axis is out of range: a ValueError to MindSpore's users, an IndexError to the array API standard, both to NumPy's."""


def flag(op: str, value: Any, what: str = "keepdims") -> bool:
    """Return a bool that was given as one.  Raises TypeError for a number: `t.sum(0, 1)` may mean two axes."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise TypeError(f"[{op}] {what} must be a bool, got {value!r}; several axes are a tuple, as in (0, 1)")


def normalize_axis(op: str, axis: Any, ndim: int) -> int:
    """An axis counted from the front.  Raises TypeError for no integer and AxisError when it is out of range."""
    try:
        number = index("" if isinstance(axis, bool) else axis)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"[{op}] an axis must be an int, got {axis!r}") from None
    if not ndim:
        raise AxisError(f"[{op}] a tensor without dimensions has no axis {number}")
    if not -ndim <= number < ndim:
        raise AxisError(f"[{op}] axis {number} is out of range for {ndim} dimensions; take one of {-ndim} to {ndim - 1}")
    return number % ndim


def normalize_axes(op: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """Axes counted from the front, in order; None means all.  Raises ValueError for the same one twice."""
    if axis is None:
        return tuple(range(ndim))
    several = axis if isinstance(axis, (tuple, list)) else (axis,)
    result = sorted(normalize_axis(op, one, ndim) for one in several)
    if len(set(result)) != len(result):
        raise ValueError(f"[{op}] an axis is named twice in {axis}")
    return tuple(result)


def reduced_axes(op: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes that a reduction takes away: None and () mean all, as in MindSpore."""
    if axis is None or (axis.__class__ in (tuple, list) and not axis):
        return tuple(range(ndim))
    return normalize_axes(op, axis, ndim)


def as_ints(op: str, values: Any, what: str = "shape") -> tuple[int, ...]:
    """A shape, or another run of ints, from an int or a sequence of them (tensors of one integer included)."""
    several: Iterable[Any] = values if isinstance(values, (tuple, list)) else (
        values.tolist() if isinstance(values, Tensor) and values.ndim else (values,))  # fmt: skip
    try:
        return tuple(v.__index__() for v in several)
    except (AttributeError, TypeError):
        raise TypeError(f"[{op}] {what} must be an int or a tuple of ints, got {values!r}") from None
