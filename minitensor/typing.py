"""Types for annotations: what the functions of minitensor accept.

    from minitensor.typing import TensorLike

    def score(x: TensorLike) -> Tensor: ...

The names ending in "Like" are unions for parameters; results are plain `Tensor`, `DType` and
Python's own types.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import EllipsisType
from typing import Any, Literal, Protocol, SupportsIndex, TypeAlias

import numpy as np

from minitensor.backend import Device
from minitensor.dtype import DType
from minitensor.tensor import Tensor

__all__ = [
    "AxisLike", "DTypeLike", "DeviceLike", "FourierNorm", "IndexLike", "Number", "Operand",
    "RealLike", "Reduction", "ShapeLike", "SupportsArray", "SupportsDLPack", "TensorLike",
]  # fmt: skip


class SupportsArray(Protocol):
    """An object that NumPy reads: NumPy's arrays and scalars, pandas' columns and their like."""

    def __array__(self) -> np.ndarray[Any, Any]: ...


class SupportsDLPack(Protocol):
    """An object that exports its memory by DLPack, such as a tensor of another library."""

    def __dlpack__(self, *, stream: None = ...) -> Any: ...


Number: TypeAlias = bool | int | float | complex  # noqa: PYI041  (what isinstance accepts)
"""A Python number.  Beside a tensor it counts in promotion by its kind only."""

Operand: TypeAlias = (
    Tensor | Number | np.ndarray[Any, Any] | np.generic | list[Any] | tuple[Any, ...]
)
"""What may stand beside a tensor in an operator; lists and tuples hold numbers or lists of them."""

TensorLike: TypeAlias = Operand | SupportsArray | SupportsDLPack | bytearray | memoryview
"""What becomes a tensor: a tensor, a number, a nested list, an array, or an object that exports
its memory."""

RealLike: TypeAlias = float | np.generic | Tensor
"""A real number: Python's, NumPy's, or a tensor of one element."""

Reduction: TypeAlias = Literal["mean", "sum", "none"]
"""What a loss does with the losses of the elements."""

FourierNorm: TypeAlias = Literal["backward", "ortho", "forward"]
"""Which Fourier transform divides by the number of elements: one of both, or each by its root."""

DTypeLike: TypeAlias = DType | str | type[Number] | type[np.generic] | np.dtype[Any]
"""What names a dtype: `minitensor.float32`, "float32", `float`, `np.float32`, `np.dtype("f4")`."""

DeviceLike: TypeAlias = str | Device
"""What names a device: "CPU", "Ascend", "Ascend:1"."""

ShapeLike: TypeAlias = SupportsIndex | Sequence[SupportsIndex]
"""A shape: one length, or a sequence of lengths."""

AxisLike: TypeAlias = SupportsIndex | Sequence[SupportsIndex]
"""One axis, or a sequence of axes; negative numbers count from the last axis."""

_Part: TypeAlias = (
    SupportsIndex | slice | EllipsisType | None | Tensor | np.ndarray[Any, Any] | list[Any] | range
)
IndexLike: TypeAlias = _Part | tuple[_Part, ...]
"""What stands in `t[...]`: ints, slices, None, Ellipsis, bools, lists, arrays and tensors."""
