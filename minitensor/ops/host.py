"""Python functions as ops: what a user computes with NumPy takes its place on the stream."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minitensor.dtype import as_dtype
from minitensor.ops._dispatch import as_ints, as_tensor, host
from minitensor.tensor import Tensor
from minitensor.typing import DTypeLike, ShapeLike, TensorLike

__all__ = ["host_call"]


def host_call(
    function: Callable[..., Any], inputs: Sequence[TensorLike], *, shape: ShapeLike, dtype: DTypeLike, name: str = ""
) -> Tensor:
    """Calls `function` on the stream, in order with the ops around it, and returns its result at once as a tensor.

    Args:
        function: gets the inputs as NumPy arrays, which it must not keep or change, and returns an array (or number) that is
            broadcast to `shape` and cast to `dtype`.  It runs on a worker thread, later.  Ops that it calls run at once; it can't
            wait for values that come after it on its own stream.
        inputs: tensors of one device, or what `Tensor(...)` takes.
        shape, dtype: of the result.
        name: what errors call it; the function's own name by default.

    Raises:
        Exception: what the function raises rises where the result is read, with the line that called `host_call`.

    Example:
        >>> import numpy as np
        >>> from minitensor import Tensor, ops
        >>> ops.host_call(np.convolve, [Tensor([1.0, 2.0]), Tensor([1.0, 1.0])], shape=3, dtype="float32")
        Tensor(shape=[3], dtype=Float32, value= [ 1.00000000e+00,  3.00000000e+00,  2.00000000e+00])
    """
    if not callable(function):
        raise TypeError(f"[host_call] function must be callable, got {function!r}")
    if not isinstance(inputs, Sequence):
        raise TypeError(f"[host_call] inputs must be a list or tuple, got {type(inputs).__name__}; of one tensor it is [t]")
    name = name or getattr(function, "__name__", "host_call")
    first = next((x for x in inputs if isinstance(x, Tensor)), None)
    tensors = [as_tensor(x, name, first) for x in inputs]
    return host(name, function, tensors, as_ints(name, shape), as_dtype(dtype, name), steps=0)
