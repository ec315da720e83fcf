"""Fourier transforms, their frequencies, and windows, against NumPy and the formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minitensor import Tensor, ops

REAL_INPUT = ("rfft", "ihfft")
TRANSFORMS = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
NORMS = (None, "backward", "ortho", "forward")


def signal(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    rng = np.random.default_rng(1)
    a = 10 * rng.standard_normal(shape)
    return (a + 1j * rng.standard_normal(shape) if dtype[0] == "c" else a).astype(dtype)


def check(result: Tensor, expected: np.ndarray, wide: bool) -> None:
    kind = "complex" if np.iscomplexobj(expected) else "float"
    bits = (128 if wide else 64) if kind == "complex" else (64 if wide else 32)
    assert result.asnumpy().dtype == f"{kind}{bits}"
    tolerance = {"rtol": 1e-10, "atol": 1e-10} if wide else {"rtol": 2e-5, "atol": 2e-4}
    np.testing.assert_allclose(result.asnumpy(), expected, **tolerance)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", TRANSFORMS)
@given(
    dtype=st.sampled_from(["float32", "float64", "complex64", "complex128", "int16", "bool"]),
    length=st.integers(2, 9),
    n=st.none() | st.integers(1, 12),
    dim=st.sampled_from([0, 1, -1]),
)
def test_along_one_dimension(
    name: str, norm: str | None, dtype: str, length: int, n: int | None, dim: int
) -> None:
    a = signal((length, length + 1), dtype)
    function = getattr(ops, name)
    if dtype[0] == "c" and name in REAL_INPUT:
        with pytest.raises(TypeError, match=rf"^\[{name}\] input must be real"):
            function(Tensor(a), n, dim, norm)
        return
    exact = getattr(np.fft, name)(a.astype("c16" if dtype[0] == "c" else "f8"), n, dim, norm)
    check(function(Tensor(a), n, dim, norm), exact, dtype in ("float64", "complex128"))


@pytest.mark.parametrize("name", [*(t + "2" for t in TRANSFORMS), *(t + "n" for t in TRANSFORMS)])
@pytest.mark.parametrize("s", [None, (3, 5), (6, 4)])
@pytest.mark.parametrize("dims", [None, (0, 1), (2, 0)])
@pytest.mark.parametrize("norm", ["backward", "ortho"])
def test_along_several_dimensions(name: str, s: object, dims: object, norm: str) -> None:
    base = name[:-1]
    a = signal((3, 4, 6), "float64" if base in REAL_INPUT else "complex128")
    axes = ((-2, -1) if name[-1] == "2" else None) if dims is None else dims
    keywords = {} if dims is None else {"dim": dims}
    opposite = {"backward": "forward", "ortho": "ortho"}[norm]
    if s is not None and axes is None:
        axes = (-2, -1)
    expected = {
        "hfft": lambda: np.fft.irfftn(a.conj(), s, axes, opposite),
        "ihfft": lambda: np.fft.rfftn(a, s, axes, opposite).conj(),
    }.get(base, lambda: getattr(np.fft, base + "n")(a, s, axes, norm))()
    check(getattr(ops, name)(Tensor(a), s, norm=norm, **keywords), expected, True)


@pytest.mark.parametrize("shape", [(5,), (6,), (3, 4), (4, 5)])
def test_hfftn_transforms_the_signal_that_its_half_stands_for(shape: tuple[int, ...]) -> None:
    spectrum = signal(shape, "float64")
    half = np.fft.ifftn(spectrum)[..., : shape[-1] // 2 + 1]
    check(ops.hfftn(Tensor(half), shape), spectrum, True)
    check(ops.ihfftn(Tensor(spectrum)), half, True)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_transformed_in_single_precision(dtype: str) -> None:
    t = Tensor([1.0, 2.0, 4.0, 0.5], dtype)
    check(ops.fft(t), np.fft.fft([1.0, 2.0, 4.0, 0.5]), False)


def test_no_dimensions_leave_the_value() -> None:
    a = signal((2, 3), "float32")
    check(ops.fftn(Tensor(a), dim=()), a.astype("complex64"), False)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda t: ops.fft(t, 0), ValueError, r"\[fft\] a signal must have at least one"),
        (lambda t: ops.fft(t, dim=3), IndexError, r"\[fft\] axis must be"),
        (lambda t: ops.fft(t, norm="no"), ValueError, r"\[fft\] norm must be"),
        (lambda t: ops.fft(t, 2.5), TypeError, r"\[fft\] s must be"),
        (lambda t: ops.fftn(t, (1, 2, 3), (0, 1)), ValueError, r"\[fftn\] s must have a length"),
        (lambda t: ops.fft2(t, dim=(0, 0)), ValueError, r"\[fft2\] axes must differ"),
        (lambda t: ops.fft("no"), TypeError, r"\[fft\] an operand must be"),
        (lambda t: ops.rfftn(t, dim=()), ValueError, r"\[rfftn\] input must have a dimension"),
        (lambda t: ops.fftfreq(0), ValueError, r"\[fftfreq\] n must be at least 1"),
        (lambda t: ops.hann_window(-1), ValueError, r"\[hann_window\] window_length"),
        (lambda t: ops.hann_window(4, dtype="int32"), TypeError, r"\[hann_window\] dtype"),
        (lambda t: ops.stft(t[0], 16), ValueError, r"\[stft\] the signal must be longer"),
        (lambda t: ops.stft(t, 4, pad_mode="no"), ValueError, r"\[stft\] pad_mode must be"),
        (lambda t: ops.stft(t, 4, window=[1.0]), ValueError, r"\[stft\] window must have shape"),
    ],
)
def test_errors_name_the_op(call: object, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call(Tensor(signal((3, 4), "float32")))  # type: ignore[operator]


@pytest.mark.parametrize("n", [1, 2, 5, 8])
@pytest.mark.parametrize("d", [1.0, 0.25])
def test_frequencies(n: int, d: float) -> None:
    assert np.array_equal(ops.fftfreq(n, d, dtype="float64").asnumpy(), np.fft.fftfreq(n, d))
    assert np.array_equal(ops.rfftfreq(n, d, dtype="float64").asnumpy(), np.fft.rfftfreq(n, d))
    assert str(ops.fftfreq(n).dtype) == "Float32"
    for shift in ("fftshift", "ifftshift"):
        for axes in (None, 0, (0, 1)):
            a = signal((n, n + 1), "float32")
            shifted = getattr(ops, shift)(Tensor(a), axes)
            assert np.array_equal(shifted.asnumpy(), getattr(np.fft, shift)(a, axes))


WINDOWS = {
    "bartlett": np.bartlett,
    "blackman": np.blackman,
    "hamming": np.hamming,
    "hann": np.hanning,
    "kaiser": lambda n: np.kaiser(n, 12.0),
}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("length", [0, 1, 2, 7])
@pytest.mark.parametrize("name", WINDOWS)
def test_windows(name: str, length: int, dtype: str) -> None:
    symmetric, window = WINDOWS[name], getattr(ops, name + "_window")
    expected = symmetric(length).astype(dtype)
    tolerance = {"atol": 1e-15, "rtol": 1e-3 if dtype == "float16" else 1e-6}
    np.testing.assert_allclose(window(length, False, dtype=dtype).asnumpy(), expected, **tolerance)
    if length > 1:
        expected = symmetric(length + 1)[:-1].astype(dtype)
    np.testing.assert_allclose(window(length, dtype=dtype).asnumpy(), expected, **tolerance)


def frames(
    x: np.ndarray, n: int, hop: int, window: np.ndarray, center: bool, one_sided: bool
) -> np.ndarray:
    """The formula, frame by frame."""
    if center:
        x = np.pad(x, n // 2, "reflect")
    rows = [x[at : at + n] * window for at in range(0, len(x) - n + 1, hop)]
    bins = n // 2 + 1 if one_sided else n
    k = np.arange(n)
    return np.array(
        [[np.sum(row * np.exp(-2j * np.pi * f * k / n)) for row in rows] for f in range(bins)]
    )


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("kind", ["float64", "complex128"])
@pytest.mark.parametrize(("n", "hop", "width"), [(8, None, None), (8, 3, 5), (5, 5, 5), (4, 1, 3)])
def test_stft(n: int, hop: int | None, width: int | None, kind: str, center: bool) -> None:
    x, w = signal((20,), kind), np.hanning((width or n) + 2)[1:-1]
    left = (n - len(w)) // 2
    padded = np.pad(w, (left, n - len(w) - left))
    real = kind == "float64"
    expected = frames(x, n, hop or n // 4, padded, center, real)
    result = ops.stft(Tensor(x), n, hop, width, Tensor(w), center)
    parts = np.stack([expected.real, expected.imag], -1)
    np.testing.assert_allclose(result.asnumpy(), parts if real else expected, atol=1e-10)
    both = ops.stft(Tensor(np.stack([x, 2 * x])), n, hop, width, Tensor(w), center,
                    normalized=True, return_complex=True)  # fmt: skip
    expected = np.stack([expected, 2 * expected]) / np.sqrt(n)
    np.testing.assert_allclose(both.asnumpy(), expected, atol=1e-10)
