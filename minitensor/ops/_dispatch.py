"""Dispatch: from the Python arguments of an op to one call of the core.

An elementwise op of tensors and numbers is dispatched in C (core/python/py_operators.c), because
each step of the interpreter costs as much as the op of a few elements.  C calls `dispatch_slow` for
other operands.  Ops that NumPy computes on the stream call `host`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import numpy as np

from minitensor.backend import core
from minitensor.backend.base import Task
from minitensor.backend.core import complete, lib, operators
from minitensor.dtype import DType
from minitensor.optable import ELEMENTWISE
from minitensor.tensor import Tensor, empty, wrap

__all__ = [
    "array_op", "array_op_into", "array_pair", "as_tensor", "host",
    "host_direct", "host_many", "aliases", "axis_aliases",
    "named", "name_op", "WRONG", "AxisError", "normalize_axis", "normalize_axes", "reduced_axes",
    "flag", "assign", "as_ints", "is_operand",
]  # fmt: skip

# Array kernels (ARRAY_KERNELS of optable.py).  array_op(code, op, dtype, shape, numbers, *tensors)
# computes a new tensor, array_op_into(code, op, targets, numbers, *tensors) fills existing ones.
# array_pair(code, op, dtypes, shape, numbers, *tensors) computes two new tensors of one shape.
# All return None on a device or for a dtype without the kernel; the op then takes another way.
array_op, array_op_into = operators.array_op, operators.array_op_into
array_pair = operators.array_pair

_CALLS: tuple[Callable[..., int], ...] = (  # by the number of operands less one
    lib.mt_unary,
    lib.mt_binary,
    lib.mt_ternary,
)
_SCALARS = (bool, int, float, complex)
_OPERANDS = (Tensor, *_SCALARS, np.ndarray, np.generic, list, tuple)


def is_operand(value: Any) -> bool:
    """Return True if an operator of a tensor accepts the value as its other operand."""
    return isinstance(value, _OPERANDS)


def as_tensor(value: Any, op: str, like: Tensor | None = None) -> Tensor:
    """Return a tensor unchanged, and other tensor-likes as a new tensor on the device of `like`.

    Raises:
        TypeError: `value` is not tensor-like.
    """
    if isinstance(value, Tensor):
        return value
    try:
        return Tensor(value, device=None if like is None else like.device)
    except TypeError as error:
        raise TypeError(
            f"[{op}] an operand must be tensor-like, got {type(value).__name__}: {error}"
        ) from None


def _weak(value: Any, op: str) -> int:
    """Return a reference of a Python scalar, which only its kind lets take part in promotion."""
    if isinstance(value, (bool, int)):
        try:
            return lib.mt_weak_int(value, isinstance(value, bool))
        except OverflowError:
            raise OverflowError(
                f"[{op}] an integer must fit into 64 bits, got {value}; pass a float"
            ) from None
    if isinstance(value, complex):
        return lib.mt_weak_complex(value.real, value.imag)
    return lib.mt_weak_float(value)


def dispatch_slow(code: int, operator: bool, *values: Any) -> Any:
    """Dispatch an elementwise op with other operands than tensors and small numbers.

    py_operators.c calls it; `operator` is True if NotImplemented may be returned.
    """
    op = ELEMENTWISE[code].name
    if operator and not all(map(is_operand, values)):
        return NotImplemented
    like = next((v for v in values if isinstance(v, Tensor)), None)
    if like is None:
        like = as_tensor(values[0], op)
        values = (like, *values[1:])
    scalars: list[int] = []
    try:
        refs, held = [], []  # held keeps the tensors of refs alive
        for value in values:
            if isinstance(value, _SCALARS):
                scalars.append(_weak(value, op))
                refs.append(scalars[-1])
            else:
                held.append(as_tensor(value, op, like))
                refs.append(held[-1]._ref)
        ref = _CALLS[len(refs) - 1](code, *refs)
        return wrap(ref if ref > 0 else complete(ref))
    finally:
        for ref in scalars:
            lib.mt_release(ref)


core.bind(Tensor, dispatch_slow)


def assign(target: Tensor, value: Any, op: str) -> None:
    """Write a value, broadcast and cast, to the elements of `target`, a view or a tensor."""
    if isinstance(value, _SCALARS):
        source = wrap(_weak(value, op))
    else:
        source = as_tensor(value, op, target)
        if source._device is not target._device:
            source = source.to(target._device)
        relation = lib.mt_assigns(target._ref, source._ref)
        if relation == 2:
            raise ValueError(
                f"[{op}] the value must not be a view that an earlier assignment has overwritten, "
                "got one, as in t[i], t[j] = t[j], t[i]; write t[[i, j]] = t[[j, i]] to swap, and "
                "t[np.random.permutation(len(t))] to shuffle"
            )
        if relation == 1:  # x[1:] = x[:-1] assigns the former value of x
            source = source.copy()
    ref = lib.mt_copy(target._ref, source._ref)
    lib.mt_release(ref if ref > 0 else complete(ref))


# --- ops that NumPy computes on the stream --------------------------------------------------------
def quiet(function: Callable[..., Any], **settings: Any) -> Callable[..., Any]:
    """Return the function under `np.errstate(**settings)`, by default without NumPy's warnings.

    A decorator takes half the time of a `with`.
    """
    settings = settings or {"all": "ignore"}
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":
        return np.errstate(**settings)(function)

    @functools.wraps(function)  # there the decorator keeps its state in itself, for all threads
    def under(*arguments: Any) -> None:
        with np.errstate(**settings):
            function(*arguments)

    return under


@quiet
def _fill(
    function: Callable[..., Any], inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]
) -> None:
    """Write what a function of arrays returns to the outputs, cast to their dtypes."""
    value = function(*inputs)
    if len(outputs) == 1:
        np.copyto(outputs[0], value, casting="unsafe")
    else:
        for target, part in zip(outputs, value):
            np.copyto(target, part, casting="unsafe")


@quiet
def _fill_direct(
    function: Callable[..., Any], inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]
) -> None:
    """Let a function write to its outputs."""
    function(*inputs, *outputs)


def host_many(
    op: str,
    function: Callable[..., Any],
    inputs: Sequence[Tensor],
    outputs: Sequence[tuple[Sequence[int], DType]],
    params: dict[str, Any] | None = None,
    steps: int | None = None,
    direct: bool = False,
) -> list[Tensor]:
    """Return tensors that a function computes on the stream, from arrays to arrays of NumPy.

    Args:
        op: the op's name.
        function: takes one array for each input and `params` as keywords; returns an array, or a
            sequence of arrays for several outputs, of the shapes in `outputs`; the values are cast
            to the dtypes in `outputs`.  A worker thread calls it later.  The read of a result
            raises the function's error.
        inputs: tensors of one device.
        outputs: shape and dtype of each result.
        params: further keywords.
        steps: the approximate number of additions or similar steps; None means a few for each
            element.  0 means that the function may block, so only a worker thread runs it.
        direct: the function takes the arrays of the outputs after those of the inputs, and writes
            to them.
    """
    run = _fill_direct if direct else _fill
    if params is None and steps != 0:
        at_once = operators.host(op, run, function, inputs, outputs)
        if at_once is not None:
            return at_once
    device = inputs[0]._device if inputs else None
    results = [empty(shape, dtype, device) for shape, dtype in outputs]

    def compute(task: Task) -> None:  # refers to no tensor: it may outlive its task
        named = functools.partial(function, **task.params) if task.params else function
        run(named, task.inputs, task.outputs)

    core.host_task(
        op,
        results[0]._device_id,
        compute,
        [t._ref for t in inputs],
        [t._ref for t in results],
        params,
        steps,
    )
    return results


def host(
    op: str,
    function: Callable[..., Any],
    inputs: Sequence[Tensor],
    shape: Sequence[int],
    dtype: DType,
    params: dict[str, Any] | None = None,
    steps: int | None = None,
    direct: bool = False,
) -> Tensor:
    """Return the result of `host_many` with one output."""
    return host_many(op, function, inputs, [(shape, dtype)], params, steps, direct)[0]


def host_direct(
    op: str,
    function: Callable[..., Any],
    inputs: Sequence[Tensor],
    outputs: Sequence[tuple[Sequence[int], DType]],
    steps: int,
) -> list[Tensor]:
    """Return the results of `host_many` with `direct`, of a function with its own np.errstate."""
    results = operators.host(op, None, function, inputs, outputs)
    if results is None:
        results = host_many(op, function, inputs, outputs, steps=steps, direct=True)
    return results


# --- arguments ------------------------------------------------------------------------------------
_PREFIX = re.compile(r"\[\w+\] |[\w.]+\(\) ")


WRONG = (TypeError, ValueError, IndexError)  # what a call raises for its arguments


def name_op(error: Exception, op: str) -> None:
    """Make an error of a call name the op that the program called, instead of an inner op.

    An error of an earlier op, which the read of a value raises, says where the program issued that
    op, and keeps its name.
    """
    text = error.args[0] if error.args else ""
    if isinstance(text, str) and " (issued at " not in text:
        error.args = (
            _PREFIX.sub(f"[{op}] ", text, count=1) if _PREFIX.match(text) else text,
            *error.args[1:],
        )


def aliases(**names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function take other keywords: with `aliases(dim="axis")` it takes `dim=` for `axis=`.

    Errors of a call name the function instead of the ops that it calls.  Its attribute `spellings`
    maps the other keywords to the parameters, for docs/stubs.py.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def renamed(*args: Any, **kwargs: Any) -> Any:
            if kwargs:
                for alias in kwargs.keys() & names.keys():
                    if names[alias] in kwargs:
                        raise TypeError(
                            f"[{function.__name__}] {alias} and {names[alias]} must not both be "
                            "given, got both; they are one argument"
                        )
                    kwargs[names[alias]] = kwargs.pop(alias)
            try:
                return function(*args, **kwargs)
            except WRONG as error:
                name_op(error, function.__name__)
                raise

        spellings = {**getattr(function, "spellings", {}), **names}
        renamed.spellings = spellings  # type: ignore[attr-defined]
        return renamed

    return decorate


named = aliases()  # a decorator, of 0.1 us: errors name the function, not the ops that it calls


_SPELLINGS = (("axis", "dim", "dims"), ("keepdims", "keepdim", "keep_dims"))


def axis_aliases(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function with a parameter `axis`, `dim` or `dims` take the other spellings, too.

    The same holds for `keepdims`, `keepdim` and `keep_dims`.
    """
    code = function.__code__
    own = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    names = {
        other: name
        for group in _SPELLINGS
        for name in group
        if name in own
        for other in group
        if other not in own
    }
    return aliases(**names)(function)


class AxisError(ValueError, IndexError):
    """An axis is out of range.

    MindSpore raises a ValueError, the array API standard an IndexError, NumPy both.
    """


def flag(op: str, value: Any, what: str = "keepdims") -> bool:
    """Return a bool argument as a bool.

    Raises:
        TypeError: the value is not a bool, such as an int: `t.sum(0, 1)` may mean two axes.
    """
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise TypeError(
        f"[{op}] {what} must be a bool, got {value!r}; several axes are a tuple, as in (0, 1)"
    )


def normalize_axis(op: str, axis: Any, ndim: int) -> int:
    """Return an axis counted from the front.

    Raises:
        TypeError: the axis is not an int.
        AxisError: the axis is out of range.
    """
    try:
        number = index("" if isinstance(axis, bool) else axis)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"[{op}] an axis must be an int, got {axis!r}") from None
    if not ndim:
        raise AxisError(
            f"[{op}] the tensor must have a dimension for an axis, got axis {number} and shape ()"
        )
    if not -ndim <= number < ndim:
        raise AxisError(
            f"[{op}] axis must be from {-ndim} to {ndim - 1} for {ndim} dimensions, got {number}"
        )
    return number % ndim


def normalize_axes(op: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """Return axes counted from the front, in ascending order; None means all.

    Raises:
        ValueError: an axis is named twice.
    """
    if axis is None:
        return tuple(range(ndim))
    several = axis if isinstance(axis, (tuple, list)) else (axis,)
    result = sorted(normalize_axis(op, one, ndim) for one in several)
    if len(set(result)) != len(result):
        raise ValueError(f"[{op}] axes must differ from each other, got {axis}")
    return tuple(result)


def reduced_axes(op: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """Return the axes that a reduction removes: None and () mean all, as in MindSpore."""
    if axis is None or (axis.__class__ in (tuple, list) and not axis):
        return tuple(range(ndim))
    return normalize_axes(op, axis, ndim)


def as_ints(op: str, values: Any, what: str = "shape") -> tuple[int, ...]:
    """Return a tuple of ints from an int, a sequence of ints, or a tensor of integers."""
    several: Any = values if isinstance(values, (tuple, list)) else (
        values.tolist() if isinstance(values, Tensor) and values.ndim else (values,))  # fmt: skip
    try:
        return tuple(v.__index__() for v in several)
    except (AttributeError, TypeError):
        raise TypeError(
            f"[{op}] {what} must be an int or a tuple of ints, got {values!r}"
        ) from None
