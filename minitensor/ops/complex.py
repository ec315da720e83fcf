"""Complex numbers: their parts, their angles, and numbers from these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minitensor.dtype import DType, complex64, complex128, float32, float64, promote, to_float
from minitensor.ops._dispatch import as_tensor, host
from minitensor.tensor import Tensor

if TYPE_CHECKING:
    from minitensor.typing import TensorLike

__all__ = ["angle", "imag", "polar", "real", "view_as_real"]


def _part(dtype: DType) -> DType:
    """Return the dtype of the parts of a complex dtype; other dtypes are their own."""
    return {complex64: float32, complex128: float64}.get(dtype, dtype)


def real(input: TensorLike) -> Tensor:
    """Return the real part.

    Args:
        input: a tensor-like of any shape and dtype.

    Returns:
        A new tensor of the input's shape; float for complex numbers, else the input's dtype.

    Raises:
        TypeError: the input is not tensor-like.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.real(Tensor([1 + 2j])))
        [1.]
    """
    t = as_tensor(input, "real")
    if t.dtype.kind != "c":
        return t.copy()
    return host("real", np.real, [t], t.shape, _part(t.dtype))


def imag(input: TensorLike) -> Tensor:
    """Return the imaginary part; of real numbers zeros.

    Args:
        input: a tensor-like of any shape and dtype.

    Returns:
        A new tensor of the input's shape; float for complex numbers, else the input's dtype.

    Raises:
        TypeError: the input is not tensor-like.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.imag(Tensor([1 + 2j])))
        [2.]
    """
    t = as_tensor(input, "imag")
    return host("imag", np.imag, [t], t.shape, _part(t.dtype))


def angle(input: TensorLike) -> Tensor:
    """Return the angle to the positive real axis, in radians.

    Args:
        input: a tensor-like of any shape and dtype; of a negative real number the angle is pi, of
            NaN it is NaN.

    Returns:
        A new float tensor of the input's shape.

    Raises:
        TypeError: the input is not tensor-like.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.angle(Tensor([1.0, -1.0])))
        [0.        3.1415927]
    """
    t = as_tensor(input, "angle")
    dtype = _part(to_float(t.dtype))
    wide = t.astype(dtype.compute or dtype, copy=False) if t.dtype.kind != "c" else t
    return host("angle", _angle, [wide], t.shape, dtype)


def _angle(a: np.ndarray) -> np.ndarray:
    if a.dtype.kind == "c":
        return np.angle(a)
    return np.where(np.isnan(a), a, np.where(a < 0, np.pi, 0))


def polar(abs: TensorLike, angle: TensorLike) -> Tensor:
    """Return complex numbers of given absolute values and angles.

    Args:
        abs: the absolute values, a tensor-like; float.
        angle: the angles in radians, a tensor-like of a shape that broadcasts; float.

    Returns:
        A new complex tensor of the broadcast shape: abs * exp(1j * angle).

    Raises:
        TypeError: an operand is not tensor-like, or is complex.
        ValueError: the shapes do not broadcast.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.polar(Tensor([2.0]), Tensor([0.0])))
        [2.+0.j]
    """
    radius = as_tensor(abs, "polar", angle if isinstance(angle, Tensor) else None)
    phase = as_tensor(angle, "polar", radius)
    dtype = promote(to_float(radius.dtype), to_float(phase.dtype))
    if dtype.kind == "c":
        raise TypeError(f"[polar] abs and angle must be real, got {radius.dtype} and {phase.dtype}")
    try:
        shape = np.broadcast_shapes(radius.shape, phase.shape)
    except ValueError:
        raise ValueError(
            f"[polar] the shapes must broadcast, got {radius.shape} and {phase.shape}"
        ) from None
    within = dtype.compute or dtype
    inputs = [t.astype(within, copy=False) for t in (radius, phase)]
    return host("polar", _polar, inputs, shape, complex128 if dtype is float64 else complex64)


def _polar(radius: np.ndarray, phase: np.ndarray) -> np.ndarray:
    return radius * np.cos(phase) + 1j * (radius * np.sin(phase))


def view_as_real(input: TensorLike) -> Tensor:
    """Return the parts of complex numbers in a last dimension of length 2, as a copy.

    Args:
        input: a tensor-like of any shape; complex.

    Returns:
        A new float tensor of the input's shape and a last dimension of real and imaginary part.

    Raises:
        TypeError: the input is not tensor-like, or not complex.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.view_as_real(Tensor([1 + 2j])))
        [[1. 2.]]
    """
    t = as_tensor(input, "view_as_real")
    if t.dtype.kind != "c":
        raise TypeError(f"[view_as_real] input must be complex, got {t.dtype}")

    def parts(a: np.ndarray) -> Any:
        return np.stack([a.real, a.imag], -1)

    return host("view_as_real", parts, [t], (*t.shape, 2), _part(t.dtype))
