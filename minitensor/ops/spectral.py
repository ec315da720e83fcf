"""Fourier transforms and windows: NumPy's FFT on the stream.

`_define` makes the three functions of a transform from its name, NumPy's function and what goes in
and comes out (`_Kind`): along one dimension (`fft`), two (`fft2`) and several (`fftn`). They
compute in the precision of the input, as torch and MindSpore do; integers, bools and half precision
become float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minitensor.dtype import DType, as_dtype, complex64, complex128, float32, float64
from minitensor.ops._dispatch import (
    as_ints,
    as_tensor,
    axis_aliases,
    host,
    normalize_axes,
    normalize_axis,
)
from minitensor.ops.joining import roll
from minitensor.ops.shape import _one_int
from minitensor.tensor import Tensor

if TYPE_CHECKING:
    from minitensor.typing import DTypeLike, FourierNorm, TensorLike

__all__ = [
    "fft", "fft2", "fftn", "ifft", "ifft2", "ifftn", "rfft", "rfft2", "rfftn", "irfft", "irfft2",
    "irfftn", "hfft", "hfft2", "hfftn", "ihfft", "ihfft2", "ihfftn", "fftfreq", "rfftfreq",
    "fftshift", "ifftshift", "stft",
]  # fmt: skip

_NORMS = (None, "backward", "ortho", "forward")
_OPPOSITE = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}


class _Kind(NamedTuple):
    """What a transform takes and returns."""

    takes: str
    returns: str
    real_input: bool = False
    real_output: bool = False

    def length(self, n: int) -> int:
        """Return the last length of the result for the length `n` of the signal."""
        return n // 2 + 1 if self.real_input else n

    def default(self, n: int) -> int:
        """Return the length of the signal for an input of length `n`."""
        return 2 * (n - 1) if self.real_output else n


_COMPLEX = _Kind("bool, int, uint, float or complex", "complex")
_REAL = _Kind("bool, int, uint or float", "complex", real_input=True)
_HALF = _Kind("bool, int, uint, float or complex", "float", real_output=True)


def _operand(op: str, input: Any, kind: _Kind) -> tuple[Tensor, DType]:
    """Return the input in the precision of the computation, and the dtype of the result."""
    t = as_tensor(input, op)
    if t.dtype.kind == "c" and kind.real_input:
        raise TypeError(f"[{op}] input must be real, got {t.dtype}; take ops.fft for complex input")
    wide = t.dtype in (float64, complex128)
    if t.dtype.kind != "c" and t.dtype not in (float32, float64):
        t = t.astype(float32)
    if kind.real_output:
        return t, float64 if wide else float32
    return t, complex128 if wide else complex64


def _sizes(op: str, t: Tensor, kind: _Kind, dims: Sequence[int], s: Any) -> list[int]:
    """Return the lengths of the signal along the dimensions."""
    given = [None] * len(dims) if s is None else list(as_ints(op, s, "s"))
    if len(given) != len(dims):
        raise ValueError(
            f"[{op}] s must have a length for each dimension, got {len(given)} for {len(dims)}"
        )
    sizes = []
    for at, (dim, n) in enumerate(zip(dims, given)):
        if n is None or n == -1:
            n = kind.default(t.shape[dim]) if at == len(dims) - 1 else t.shape[dim]
        if n < 1:
            raise ValueError(f"[{op}] a signal must have at least one element, got {n}")
        sizes.append(n)
    return sizes


def _transform(
    op: str,
    function: Callable[..., np.ndarray],
    kind: _Kind,
    t: Tensor,
    dtype: DType,
    dims: Sequence[int],
    sizes: list[int],
    norm: Any,
) -> Tensor:
    if norm not in _NORMS:
        raise ValueError(f"[{op}] norm must be 'backward', 'ortho' or 'forward', got {norm!r}")
    shape = list(t.shape)
    for at, (dim, n) in enumerate(zip(dims, sizes)):
        shape[dim] = kind.length(n) if at == len(dims) - 1 else n
    work = math.prod(shape) * max(1, math.prod(sizes).bit_length())
    if not dims:
        return t.astype(dtype)

    def compute(a: np.ndarray) -> np.ndarray:
        return function(a, s=sizes, axes=tuple(dims), norm=norm)

    return host(op, compute, [t], shape, dtype, steps=work)


def _hfftn(a: np.ndarray, s: Any, axes: Any, norm: Any) -> np.ndarray:
    return np.fft.irfftn(np.conjugate(a), s, axes, _OPPOSITE[norm])


def _ihfftn(a: np.ndarray, s: Any, axes: Any, norm: Any) -> np.ndarray:
    return np.conjugate(np.fft.rfftn(a, s, axes, _OPPOSITE[norm]))


def _help(what: str, kind: _Kind, name: str, extent: str, lengths: str) -> str:
    """Return a docstring; `lengths` is the argument of that name, `n` or `s`."""
    whole = "twice the input's length less 2" if kind.real_output else "the input's length"
    if lengths == "n":
        given = f"n: the signal's length, cut or padded with zeros; None for {whole}."
        dims = "dim: the dimension."
    else:
        last = f", and in the last one for {whole}" if kind.real_output else ""
        given = f"""s: the signal's lengths along `dim`, cut or padded with zeros; None for the
            input's lengths{last}."""
        dims = "dim: the dimensions; None for the last len(s) ones, or for all."
    half = ";\n        the last transformed dimension has half the length, plus 1" * kind.real_input
    return f"""Return the {what}, {extent}.

    NumPy computes it: https://numpy.org/doc/stable/reference/routines.fft.html has the formulas.

    Args:
        input: a tensor-like; {kind.takes}.
        {given}
        {dims}
        norm: "backward" (or None) divides the inverse transform by the number of elements,
            "forward" the forward one, "ortho" each of the two by the square root.

    Returns:
        A new {kind.returns} tensor of the input's precision{half}.

    Raises:
        TypeError: the input is not tensor-like, or has another dtype.
        ValueError: a dimension, a length or `norm` is none of these.

    Example:
        >>> import numpy as np
        >>> from minitensor import Tensor, ops
        >>> x = Tensor(np.arange(6.0).reshape(2, 3))
        >>> bool(np.allclose(ops.{name}(x), {_oracle(name)}))
        True
    """


def _oracle(name: str) -> str:
    """Return NumPy's expression for the example."""
    if name in ("hfft2", "hfftn"):
        return "np.fft.irfft2(np.conj(x), norm='forward')"
    if name in ("ihfft2", "ihfftn"):
        return "np.conj(np.fft.rfft2(x, norm='forward'))"
    return f"np.fft.{name}(x)"


def _define(name: str, function: Callable[..., Any], kind: _Kind, what: str) -> list[Any]:
    """Return the functions of a transform along one, two and several dimensions."""

    def along(
        input: TensorLike, n: int | None = None, dim: int = -1, norm: FourierNorm | None = None
    ) -> Tensor:
        t, dtype = _operand(name, input, kind)
        dims = [normalize_axis(name, dim, t.ndim)]
        sizes = _sizes(name, t, kind, dims, None if n is None else (n,))
        return _transform(name, function, kind, t, dtype, dims, sizes, norm)

    def over(op: str, input: Any, s: Any, dim: Any, norm: Any) -> Tensor:
        t, dtype = _operand(op, input, kind)
        if dim is None:
            dims = list(range(t.ndim)) if s is None else list(range(-len(as_ints(op, s, "s")), 0))
        else:
            dims = list(dim) if isinstance(dim, (tuple, list)) else [dim]
        normalize_axes(op, dims, t.ndim)  # each once
        dims = [normalize_axis(op, one, t.ndim) for one in dims]
        if not dims and kind is not _COMPLEX:
            raise ValueError(f"[{op}] input must have a dimension, got shape {t.shape}")
        return _transform(op, function, kind, t, dtype, dims, _sizes(op, t, kind, dims, s), norm)

    def plane(
        input: TensorLike,
        s: Sequence[int] | None = None,
        dim: Sequence[int] = (-2, -1),
        norm: FourierNorm | None = None,
    ) -> Tensor:
        return over(name + "2", input, s, dim, norm)

    def space(
        input: TensorLike,
        s: Sequence[int] | None = None,
        dim: Sequence[int] | None = None,
        norm: FourierNorm | None = None,
    ) -> Tensor:
        return over(name + "n", input, s, dim, norm)

    made = []
    for one, suffix, extent, lengths in (
        (along, "", "along one dimension", "n"),
        (plane, "2", "along two dimensions", "s"),
        (space, "n", "along several dimensions", "s"),
    ):
        one.__name__ = one.__qualname__ = name + suffix
        one.__doc__ = _help(what, kind, name + suffix, extent, lengths)
        made.append(axis_aliases(one))
    return made


fft, fft2, fftn = _define("fft", np.fft.fftn, _COMPLEX, "discrete Fourier transform")
ifft, ifft2, ifftn = _define(
    "ifft", np.fft.ifftn, _COMPLEX, "inverse of the discrete Fourier transform"
)
rfft, rfft2, rfftn = _define(
    "rfft", np.fft.rfftn, _REAL, "non-negative half of a real signal's Fourier transform"
)
irfft, irfft2, irfftn = _define("irfft", np.fft.irfftn, _HALF, "inverse of rfft, a real signal")
hfft, hfft2, hfftn = _define(
    "hfft", _hfftn, _HALF, "real Fourier transform of a Hermitian signal's half"
)
ihfft, ihfft2, ihfftn = _define(
    "ihfft", _ihfftn, _REAL, "inverse of hfft, half of a Hermitian signal"
)


# --- frequencies ----------------------------------------------------------------------------------
def _frequencies(op: str, function: Callable[..., Any], n: Any, d: float, dtype: Any) -> Tensor:
    n = _one_int(op, n, "n")
    if n < 1:
        raise ValueError(f"[{op}] n must be at least 1, got {n}")
    kind = float32 if dtype is None else as_dtype(dtype, op)
    return Tensor(function(n, d), dtype=kind)


def fftfreq(n: int, d: float = 1.0, *, dtype: DTypeLike | None = None) -> Tensor:
    """Return the frequencies of the elements of a Fourier transform.

    Args:
        n: the signal's length.
        d: the distance of two samples, in any unit; the frequencies have its reciprocal's.
        dtype: the dtype; None for float32.

    Returns:
        A new tensor of shape (n,): 0, 1, ... and then the negative frequencies, over n * d.

    Raises:
        TypeError: n is not an int.
        ValueError: n is less than 1.

    Example:
        >>> from minitensor import ops
        >>> print(ops.fftfreq(4))
        [ 0.    0.25 -0.5  -0.25]
    """
    return _frequencies("fftfreq", np.fft.fftfreq, n, d, dtype)


def rfftfreq(n: int, d: float = 1.0, *, dtype: DTypeLike | None = None) -> Tensor:
    """Return the frequencies of the elements of `rfft`.

    Args:
        n: the signal's length.
        d: the distance of two samples, in any unit; the frequencies have its reciprocal's.
        dtype: the dtype; None for float32.

    Returns:
        A new tensor of shape (n // 2 + 1,): 0, 1, ... over n * d.

    Raises:
        TypeError: n is not an int.
        ValueError: n is less than 1.

    Example:
        >>> from minitensor import ops
        >>> print(ops.rfftfreq(4))
        [0.   0.25 0.5 ]
    """
    return _frequencies("rfftfreq", np.fft.rfftfreq, n, d, dtype)


def _shift(op: str, input: Any, dim: Any, backwards: bool) -> Tensor:
    t = as_tensor(input, op)
    dims = normalize_axes(op, dim, t.ndim)
    if not dims:
        return t.copy()
    steps = [t.shape[d] // 2 for d in dims]
    return roll(t, [-(t.shape[d] // 2) for d in dims] if backwards else steps, dims)


@axis_aliases
def fftshift(input: TensorLike, dim: int | Sequence[int] | None = None) -> Tensor:
    """Move the zero frequency to the middle.

    Args:
        input: a tensor-like of any shape and dtype.
        dim: the dimension, or several; None for all.

    Returns:
        A new tensor of the input's shape and dtype.

    Raises:
        TypeError: the input is not tensor-like.
        ValueError: a dimension is out of range.

    Example:
        >>> from minitensor import ops
        >>> print(ops.fftshift(ops.fftfreq(4)))
        [-0.5  -0.25  0.    0.25]
    """
    return _shift("fftshift", input, dim, False)


@axis_aliases
def ifftshift(input: TensorLike, dim: int | Sequence[int] | None = None) -> Tensor:
    """Undo fftshift.

    Args:
        input: a tensor-like of any shape and dtype.
        dim: the dimension, or several; None for all.

    Returns:
        A new tensor of the input's shape and dtype.

    Raises:
        TypeError: the input is not tensor-like.
        ValueError: a dimension is out of range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.ifftshift(Tensor([-2, -1, 0, 1, 2])))
        [ 0  1  2 -2 -1]
    """
    return _shift("ifftshift", input, dim, True)


# --- frames ---------------------------------------------------------------------------------------
def stft(
    x: TensorLike,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: TensorLike | None = None,
    center: bool = True,
    pad_mode: str = "REFLECT",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
) -> Tensor:
    """Return the Fourier transforms of frames of a signal, which overlap.

    Element [f, t] is the sum over k of window[k] * x[t * hop_length + k] * exp(-2j pi f k / n_fft)
    (https://pytorch.org/docs/stable/generated/torch.stft.html has the formula).

    Args:
        x: a signal or a batch of signals, of shape (length,) or (batch, length); float or complex.
        n_fft: the number of elements of a frame.
        hop_length: the distance of two frames; None for n_fft // 4.
        win_length: the length of the window, which zeros pad to n_fft on both sides; None for
            n_fft.
        window: a tensor-like of shape (win_length,); None for ones.
        center: True if frame t has x[t * hop_length] in its middle: the signal is padded.
        pad_mode: how it is padded: "reflect", "constant" (zeros), "edge" or "wrap", in any case.
        normalized: True to divide by the square root of n_fft.
        onesided: True to return the non-negative half of the frequencies; None for True where the
            signal and the window are real.
        return_complex: True for a complex result, False for real and imaginary parts in a last
            dimension; None for True where the signal or the window is complex.

    Returns:
        A new tensor of shape (frequencies, frames), after the batch, or with a last dimension of 2.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: a shape, a length or the mode is none of these, or the signal is too short.

    Example:
        >>> from minitensor import Tensor, ops
        >>> ops.stft(Tensor([0.0, 1.0, 0.0, -1.0] * 4), 8, return_complex=True).shape
        (5, 9)
    """
    op = "stft"
    t = as_tensor(x, op)
    if t.ndim not in (1, 2):
        raise ValueError(f"[{op}] x must have one or two dimensions, got shape {t.shape}")
    n_fft = _one_int(op, n_fft, "n_fft")
    hop = n_fft // 4 if hop_length is None else _one_int(op, hop_length, "hop_length")
    width = n_fft if win_length is None else _one_int(op, win_length, "win_length")
    if not 1 <= width <= n_fft or hop < 1:
        raise ValueError(
            f"[{op}] win_length must be from 1 to n_fft and hop_length at least 1, got n_fft "
            f"{n_fft}, win_length {width}, hop_length {hop}"
        )
    w = Tensor([1.0] * width) if window is None else as_tensor(window, op, t)
    if w.shape != (width,):
        raise ValueError(f"[{op}] window must have shape {(width,)}, got {w.shape}")
    is_complex = "c" in (t.dtype.kind, w.dtype.kind)
    one_sided = not is_complex if onesided is None else onesided
    if one_sided and is_complex:
        raise ValueError(f"[{op}] onesided must be False for a complex signal or window, got True")
    mode = str(pad_mode).lower()
    if mode not in ("reflect", "constant", "edge", "wrap"):
        raise ValueError(
            f"[{op}] pad_mode must be 'reflect', 'constant', 'edge' or 'wrap', got {pad_mode!r}"
        )
    length, side = t.shape[-1], n_fft // 2 if center else 0
    if length + 2 * side < n_fft or (mode == "reflect" and side >= length and center):
        raise ValueError(
            f"[{op}] the signal must be longer than half a frame, and a frame long where center is "
            f"False, got {length} elements and n_fft {n_fft}"
        )
    frames = 1 + (length + 2 * side - n_fft) // hop
    bins = n_fft // 2 + 1 if one_sided else n_fft
    dtype = complex128 if float64 in (t.dtype, w.dtype) or complex128 in (t.dtype, w.dtype) else (
        complex64)  # fmt: skip

    def compute(signal: np.ndarray, window: np.ndarray) -> np.ndarray:
        signal = np.asarray(signal, dtype=np.result_type(dtype.numpy if is_complex else "f8"))
        if side:
            signal = np.pad(signal, [(0, 0)] * (signal.ndim - 1) + [(side, side)], mode)
        left = (n_fft - width) // 2
        padded = np.pad(window.astype(signal.dtype), (left, n_fft - width - left))
        rows = np.lib.stride_tricks.sliding_window_view(signal, n_fft, -1)[..., ::hop, :]
        transform = np.fft.rfft if one_sided else np.fft.fft
        result = transform(rows * padded, axis=-1, norm="ortho" if normalized else None)
        return np.swapaxes(result, -1, -2)

    shape = (*t.shape[:-1], bins, frames)
    steps = math.prod(shape) * n_fft.bit_length()
    result = host(op, compute, [t, w], shape, dtype, steps=steps)
    if is_complex if return_complex is None else return_complex:
        return result
    return host(op, lambda a: np.stack([a.real, a.imag], -1), [result], (*shape, 2),
                float64 if dtype is complex128 else float32)  # fmt: skip
