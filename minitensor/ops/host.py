"""Python functions as ops: the stream runs NumPy code of the user in order with its ops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from minitensor.dtype import as_dtype
from minitensor.ops._dispatch import as_ints, as_tensor, host
from minitensor.tensor import Tensor

if TYPE_CHECKING:
    from minitensor.typing import DTypeLike, ShapeLike, TensorLike

__all__ = ["host_call"]


def host_call(
    function: Callable[..., Any],
    inputs: Sequence[TensorLike],
    *,
    shape: ShapeLike,
    dtype: DTypeLike,
    name: str = "",
) -> Tensor:
    """Call `function` on the stream, in order with the ops around it; return its result.

    Args:
        function: takes the inputs as NumPy arrays, which it must neither keep nor change, and
            returns an array or number that broadcasts to `shape` and is cast to `dtype`.  A worker
            thread calls it later.  Ops that it calls run at once; it must not wait for values that
            come after it on its own stream.
        inputs: a list or tuple of tensor-likes, all on one device.
        shape: the shape of the result.
        dtype: the dtype of the result.
        name: what errors call the op; the function's own name by default.

    Returns:
        A new tensor, before the function is called.

    Raises:
        TypeError: `function` is not callable, `inputs` is no sequence, or `dtype` names no dtype.
        Exception: what the function raises; raised by the read of the value, with the line that
            called `host_call`.

    Example:
        >>> import numpy as np
        >>> from minitensor import Tensor, ops
        >>> print(ops.host_call(np.convolve, [[1.0, 2.0], [1.0, 1.0]], shape=3, dtype="float32"))
        [1. 3. 2.]
    """
    if not callable(function):
        raise TypeError(f"[host_call] function must be callable, got {function!r}")
    if not isinstance(inputs, Sequence):
        raise TypeError(
            f"[host_call] inputs must be a list or tuple, got {type(inputs).__name__}; pass one "
            "tensor as [t]"
        )
    name = name or getattr(function, "__name__", "host_call")
    first = next((x for x in inputs if isinstance(x, Tensor)), None)
    tensors = [as_tensor(x, name, first) for x in inputs]
    return host(name, function, tensors, as_ints(name, shape), as_dtype(dtype, name), steps=0)
