"""Methods that write to the tensor itself, `t.exp_()`, and MindSpore's `assign`.

A method `name_` computes what the function `name` returns and assigns it to the tensor, cast to its
dtype; so it writes to the memory that views of the tensor share. The result must broadcast to the
tensor's shape, and its kind of number must fit: `t.div_(2)` of an integer tensor is refused, as
`t /= 2` is. The package lists the names (`ops/__init__.py`); each method has its function's
arguments after the first.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minitensor.dtype import as_dtype
from minitensor.ops._dispatch import WRONG, as_tensor, is_operand, name_op, named
from minitensor.ops._dispatch import assign as write
from minitensor.ops.random import normal, rand
from minitensor.tensor import Tensor

if TYPE_CHECKING:
    from minitensor.typing import RealLike, TensorLike

__all__ = ["assign", "assign_add", "assign_sub"]

_ORDER = "biufc"
_PROMPT = ">" * 3
_EXAMPLES = {  # a tensor, and the arguments of a method; others have no arguments
    "Tensor([0.25, 0.5])": {
        "add_ sub_ mul_ div_ pow_ remainder_ floor_divide_ fmod_": "2",
        "clamp_": "0.0, 0.3",
        "lerp_": "Tensor([1.0, 1.0]), 0.5",
        "addcmul_ addcdiv_": "Tensor([1.0, 2.0]), Tensor([2.0, 4.0])",
        "masked_fill_": "Tensor([True, False]), 0.0",
        "scatter_ scatter_add_": "0, Tensor([1]), Tensor([3.0])",
        "index_add_": "Tensor([1]), Tensor([3.0]), 0",
    },
    "Tensor([[1.0, 2.0], [3.0, 4.0]])": {
        "addmm_": "Tensor([[1.0], [2.0]]), Tensor([[3.0, 4.0]])",
        "tril_ triu_": "",
    },
    "Tensor([1, 2])": {"bitwise_not_": ""},
}


def _example(name: str) -> str:
    """Return the example of a method's help."""
    for tensor, methods in _EXAMPLES.items():
        for names, arguments in methods.items():
            if name in names.split():
                return _lines(tensor, f"t.{name}({arguments})")
    return _lines("Tensor([0.25, 0.5])", f"t.{name}()")


def _lines(tensor: str, call: str) -> str:
    lines = ["from minitensor import Tensor", f"t = {tensor}", f"{call} is t"]
    return "\n".join(["Example:", *(f"    {_PROMPT} {line}" for line in lines), "    True"])


def _fits(op: str, target: Tensor, result: Tensor) -> None:
    if _ORDER.index(result.dtype.kind.replace("u", "i")) > _ORDER.index(
        target.dtype.kind.replace("u", "i")
    ):
        raise TypeError(
            f"[{op}] the result must fit into the tensor's dtype {target.dtype}, got "
            f"{result.dtype}; write t = t.{op.rstrip('_')}(...)"
        )


def _write(op: str, target: Tensor, result: Any) -> Tensor:
    """Write a result to a tensor; return the tensor."""
    value = as_tensor(result, op, target)
    _fits(op, target, value)
    try:
        write(target, value, op)
    except WRONG as error:
        name_op(error, op)
        raise
    return target


def _method(function: Callable[..., Any]) -> Callable[..., Tensor]:
    """Return the method that assigns what a function of the tensor returns."""
    name = function.__name__ + "_"

    def method(self: Tensor, *args: Any, **keywords: Any) -> Tensor:
        try:
            result = function(self, *args, **keywords)
        except WRONG as error:
            name_op(error, name)
            raise
        return _write(name, self, result)

    sentence, *rest = (inspect.getdoc(function) or "").split("\n\n")
    arguments = [part for part in rest if part.startswith("Args:")]
    method.__name__ = method.__qualname__ = name
    method.__doc__ = "\n\n".join(
        [
            f"Write what `{function.__name__}` returns to the tensor, and return the tensor.",
            textwrap.fill(f"{function.__name__}: {sentence}", 88),
            *arguments,
            "Returns:\n    The tensor.",
            "Raises:\n    TypeError: an operand is not tensor-like, or the result does not fit "
            "into the dtype.\n    ValueError: the result does not broadcast to the tensor's shape.",
            _example(name),
        ]
    )
    parameters = list(inspect.signature(function).parameters.values())[1:]
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [own, *parameters], return_annotation="Tensor"
    )
    return method


# --- functions ------------------------------------------------------------------------------------
@named
def assign(variable: Tensor, value: TensorLike) -> Tensor:
    """Write a value to a tensor, and return the tensor.

    Args:
        variable: the tensor.
        value: a tensor-like that broadcasts to the tensor's shape; it is cast to its dtype.

    Returns:
        `variable`.

    Raises:
        TypeError: `variable` is no tensor, or `value` not tensor-like.
        ValueError: the shapes do not broadcast.

    Example:
        >>> from minitensor import Tensor, ops
        >>> t = Tensor([1.0, 2.0])
        >>> _ = ops.assign(t, Tensor([3.0, 4.0]))
        >>> print(t)
        [3. 4.]
    """
    write(_variable("assign", variable), value, "assign")
    return variable


@named
def assign_add(variable: Tensor, value: TensorLike) -> Tensor:
    """Add a value to a tensor in place, and return the tensor.

    Args:
        variable: the tensor.
        value: a tensor-like that broadcasts to the tensor's shape.

    Returns:
        `variable`.

    Raises:
        TypeError: `variable` is no tensor, or the sum does not fit into its dtype.
        ValueError: the shapes do not broadcast.

    Example:
        >>> from minitensor import Tensor, ops
        >>> t = Tensor([1.0, 2.0])
        >>> print(ops.assign_add(t, 1))
        [2. 3.]
    """
    _variable("assign_add", variable)
    if not is_operand(value):
        value = as_tensor(value, "assign_add", variable)  # or its error
    variable += value
    return variable


@named
def assign_sub(variable: Tensor, value: TensorLike) -> Tensor:
    """Subtract a value from a tensor in place, and return the tensor.

    Args:
        variable: the tensor.
        value: a tensor-like that broadcasts to the tensor's shape.

    Returns:
        `variable`.

    Raises:
        TypeError: `variable` is no tensor, or the difference does not fit into its dtype.
        ValueError: the shapes do not broadcast.

    Example:
        >>> from minitensor import Tensor, ops
        >>> t = Tensor([1.0, 2.0])
        >>> print(ops.assign_sub(t, 1))
        [0. 1.]
    """
    _variable("assign_sub", variable)
    if not is_operand(value):
        value = as_tensor(value, "assign_sub", variable)  # or its error
    variable -= value
    return variable


def _variable(op: str, variable: Any) -> Tensor:
    if not isinstance(variable, Tensor):
        raise TypeError(f"[{op}] variable must be a tensor, got {type(variable).__name__}")
    return variable


# --- methods without a function -------------------------------------------------------------------
def copy_(self: Tensor, src: TensorLike, non_blocking: bool = False) -> Tensor:
    """Write the elements of another tensor to the tensor, and return the tensor.

    Args:
        src: a tensor-like that broadcasts to the tensor's shape; it is cast to its dtype.
        non_blocking: has no effect: a copy waits for nothing.

    Returns:
        The tensor.

    Raises:
        TypeError: `src` is not tensor-like.
        ValueError: the shapes do not broadcast.

    Example:
        >>> from minitensor import Tensor
        >>> print(Tensor([1.0, 2.0]).copy_(Tensor([3, 4])))
        [3. 4.]
    """
    write(self, src, "copy_")
    return self


def fill_(self: Tensor, value: RealLike) -> Tensor:
    """Write one number to all elements, and return the tensor.

    Args:
        value: a number, or a tensor of one.

    Returns:
        The tensor.

    Raises:
        TypeError: `value` is no number.
        ValueError: `value` has several elements.

    Example:
        >>> from minitensor import Tensor
        >>> print(Tensor([1, 2]).fill_(7))
        [7 7]
    """
    if isinstance(value, Tensor) and value.size != 1:
        raise ValueError(f"[fill_] value must be one number, got shape {value.shape}")
    write(self, value.reshape(()) if isinstance(value, Tensor) else value, "fill_")
    return self


def zero_(self: Tensor) -> Tensor:
    """Write zeros to all elements, and return the tensor.

    Returns:
        The tensor.

    Example:
        >>> from minitensor import Tensor
        >>> print(Tensor([1, 2]).zero_())
        [0 0]
    """
    write(self, 0, "zero_")
    return self


def uniform_(self: Tensor, from_: float = 0.0, to: float = 1.0) -> Tensor:
    """Write uniform random numbers to all elements, and return the tensor.

    Args:
        from_: the least number.
        to: the first number that is too large.

    Returns:
        The tensor.

    Raises:
        TypeError: the tensor is no float tensor.

    Example:
        >>> from minitensor import Tensor
        >>> bool((Tensor([0.0, 0.0]).uniform_(1, 2) >= 1).all())
        True
    """
    drawn = rand(self.shape, dtype=_float("uniform_", self))
    return _write("uniform_", self, drawn.to(self.device) * (to - from_) + from_)


def normal_(self: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Write normal random numbers to all elements, and return the tensor.

    Args:
        mean: the mean.
        std: the standard deviation.

    Returns:
        The tensor.

    Raises:
        TypeError: the tensor is no float tensor.

    Example:
        >>> from minitensor import Tensor
        >>> print(Tensor([0.0, 0.0]).normal_(3, 0))
        [3. 3.]
    """
    _float("normal_", self)
    return _write("normal_", self, normal(self.shape, mean, std).to(self.device))


def _float(op: str, t: Tensor) -> Any:
    if t.dtype.kind != "f":
        raise TypeError(f"[{op}] the tensor must be a float tensor, got {t.dtype}")
    return as_dtype("float64" if t.dtype.itemsize == 8 else "float32")


def method(name: str) -> Callable[..., Tensor]:
    """Return a method of this family by its name."""
    return globals().get(name) or _method(getattr(Tensor, name[:-1]))
