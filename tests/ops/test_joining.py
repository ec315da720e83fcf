"""Elements put together anew, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from arrays import numbered, same
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minitensor as mt
from minitensor import Tensor, ops

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
FULL = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)


@given(SHAPES, st.data())
def test_repeated(shape: tuple[int, ...], data: st.DataObject) -> None:
    array, t = numbered(shape), Tensor(numbered(shape))
    times = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    same(t.tile(tuple(times)), np.tile(array, times))
    same(t.repeat_interleave(2), np.repeat(array, 2))
    if shape:
        axis = data.draw(st.integers(-len(shape), len(shape) - 1))
        counts = data.draw(st.lists(st.integers(0, 3), min_size=shape[axis], max_size=shape[axis]))
        if len(counts) > 1:
            same(t.repeat_interleave(counts, axis), np.repeat(array, counts, axis))
        same(t.repeat_interleave(3, axis), np.repeat(array, 3, axis))
        shift = data.draw(st.integers(-5, 5))
        same(t.roll(shift, axis), np.roll(array, shift, axis))
        same(ops.roll(t, shift), np.roll(array, shift))


@given(FULL, st.data())
def test_padded(shape: tuple[int, ...], data: st.DataObject) -> None:
    array, t = numbered(shape), Tensor(numbered(shape))
    dims = data.draw(st.integers(1, len(shape)))
    for mode, numpy_mode in (
        ("constant", "constant"), ("replicate", "edge"), ("edge", "edge"), ("circular", "wrap"),
        ("reflect", "reflect"),
    ):  # fmt: skip
        sizes = [
            data.draw(st.integers(0, n - 1 if mode == "reflect" else 3))
            for n in shape[::-1][:dims]
            for _ in range(2)
        ]
        pairs = [(0, 0)] * (len(shape) - dims) + [
            (sizes[i], sizes[i + 1]) for i in range(2 * dims - 2, -1, -2)
        ]
        keywords = {"constant_values": 7} if mode == "constant" else {}
        same(ops.pad(t, sizes, mode, 7), np.pad(array, pairs, numpy_mode, **keywords))  # type: ignore[call-overload]


@given(st.integers(0, 4), st.integers(0, 4), st.integers(-5, 5))
def test_triangles(n: int, m: int, k: int) -> None:
    array = numbered((2, n, m)) + 1
    same(ops.tril(Tensor(array), k), np.tril(array, k))
    same(Tensor(array).triu(k), np.triu(array, k))
    assert ops.triu(Tensor([[True]])).dtype is mt.bool_


def test_grids() -> None:
    x, y, z = np.arange(3), np.arange(4), np.arange(2)
    for indexing in ("xy", "ij"):
        for grid, expected in zip(
            ops.meshgrid(Tensor(x), Tensor(y), Tensor(z), indexing=indexing),
            np.meshgrid(x, y, z, indexing=indexing),
        ):
            same(grid, expected)
    a, b = ops.broadcast_tensors(Tensor([[1], [2]]), Tensor([1, 2, 3]))
    assert a.shape == b.shape == (2, 3)


@pytest.mark.parametrize("device", ["CPU", "Ascend"])
@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint16", "float16", "bfloat16", "float32", "complex128"]
)
def test_every_dtype_and_device(dtype: str, device: str) -> None:
    """Test also a device without the kernels, where the same ops run in NumPy."""
    array = numbered((3, 4)) % 5
    t = Tensor(array, dtype, device=device)

    def check(actual: Tensor, expected: np.ndarray) -> None:
        assert (
            actual.dtype is t.dtype and actual.device == t.device and actual.shape == expected.shape
        )
        assert (
            actual.astype("complex128").tolist()
            == Tensor(expected, dtype).astype("complex128").tolist()
        )

    for axis in (0, 1, -1, -2):
        check(ops.concat([t, t[::-1], t], axis), np.concatenate([array, array[::-1], array], axis))
        check(ops.stack((t, t[:, ::-1]), axis), np.stack((array, array[:, ::-1]), axis))
        check(ops.roll(t.T, 2, axis), np.roll(array.T, 2, axis))
        check(ops.repeat_interleave(t.T, 3, axis), np.repeat(array.T, 3, axis))
    check(ops.stack([t, t], 2), np.stack([array, array], 2))
    check(ops.roll(t.T, -3), np.roll(array.T, -3))
    check(ops.roll(t, (1, 5, 2), (0, 1, 0)), np.roll(array, (1, 5, 2), (0, 1, 0)))
    check(ops.tile(t.T, (2, 1, 3)), np.tile(array.T, (2, 1, 3)))
    check(ops.repeat_interleave(t, [1, 0, 2], 0), np.repeat(array, [1, 0, 2], 0))
    check(ops.pad(t.T, (1, 2, 0, 1)), np.pad(array.T, ((0, 1), (1, 2))))
    check(ops.pad(t, (1, 2), value=1), np.pad(array, ((0, 0), (1, 2)), constant_values=1))
    check(ops.pad(t, (2, 3, 1, 0), "reflect"), np.pad(array, ((1, 0), (2, 3)), "reflect"))
    check(ops.pad(t.T, (7, 9, 4, 5), "circular"), np.pad(array.T, ((4, 5), (7, 9)), "wrap"))
    check(ops.pad(t, (1, 4), "edge"), np.pad(array, ((0, 0), (1, 4)), "edge"))


def test_joined_dtypes_are_promoted() -> None:
    parts = [np.array([True]), np.array([2], np.int8), np.array([3.5], np.float16)]
    joined = ops.concat([Tensor(p) for p in parts])
    same(joined, np.concatenate(parts))
    assert joined.dtype is mt.float16
    assert ops.stack([Tensor([1]), [2.5]]).dtype is mt.float32
    assert ops.concat([Tensor([1, 2]), np.array([3])]).tolist() == [1, 2, 3]


@pytest.mark.parametrize("n", [1, 15, 16, 17, 40_000, 70_000, 1_100_000])
def test_joined_sizes(n: int) -> None:
    a, b = np.arange(n, dtype=np.float32), np.arange(1, n + 2, dtype=np.float32)
    s, t = Tensor(a), Tensor(b)
    same(ops.concat([s, t]), np.concatenate([a, b]))
    same(ops.stack([s, t[:-1]], 1), np.stack([a, b[:-1]], 1))
    same(ops.roll(s, n // 3), np.roll(a, n // 3))
    same(ops.repeat_interleave(s, 2), np.repeat(a, 2))
    same(ops.pad(s, (3, 5)), np.pad(a, (3, 5)))
    same(ops.tile(s, 3), np.tile(a, 3))


@pytest.mark.parametrize("count", [1, 2, 16, 17, 2000])
def test_many_are_joined(count: int) -> None:
    parts = [np.full((2, i % 3), i) for i in range(count)]
    same(ops.concat([Tensor(p) for p in parts], 1), np.concatenate(parts, 1))
    same(ops.stack([Tensor(i) for i in range(count)]), np.arange(count))
    same(ops.stack([Tensor(p) for p in parts[::3]], -1), np.stack(parts[::3], -1))


def test_what_does_not_fit_together() -> None:
    t = Tensor([[1, 2], [3, 4]])
    for wrong, error in (
        (lambda: ops.concat([t, t[:, :1]]), "differ in dimension 0"),
        (lambda: ops.concat([t, t[0]]), "differ in dimension 0"),
        (lambda: ops.concat([t, t], 2), "axis must be from"),
        (lambda: ops.concat([t, t], 10**30), "axis must be from"),
        (lambda: ops.stack([t, t[:1]]), "must have one shape"),
        (lambda: ops.stack([t, t], -4), "axis must be from"),
        (lambda: ops.concat([Tensor(1), Tensor(2)]), "must have a dimension"),
        (lambda: ops.roll(t, (1, 2), 0), "same length"),
        (lambda: ops.roll(t, 1, 2), "axis must be from"),
        (lambda: ops.repeat_interleave(t, -1), "non-negative"),
        (lambda: ops.repeat_interleave(t, [1, 2, 3], 0), "2 of them"),
        (lambda: ops.pad(t, (2, 0), "reflect"), "leave enough elements"),
    ):
        with pytest.raises(ValueError, match=error):
            wrong()
    for empty in ([], (), None, t):
        with pytest.raises(TypeError, match="list or tuple"):
            ops.concat(empty)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="an axis must be an int"):
        ops.concat([t, t], "0")  # type: ignore[arg-type]


def test_pad_with_other_values() -> None:
    t = Tensor([1.5, 2.5], "float64")
    assert ops.pad(t, (1, 0), value=0.1).tolist() == [0.1, 1.5, 2.5]
    assert ops.pad(t, (0, 1), value=-0.0).tolist()[2].hex() == "-0x0.0p+0"
    assert ops.pad(Tensor([1, 2]), (1, 0), value=True).tolist() == [1, 1, 2]
    assert ops.pad(t, (1, 1), value=Tensor([1.0, 2.0, 3.0, 4.0])).tolist() == [1, 1.5, 2.5, 4]
    with pytest.raises(OverflowError):
        ops.pad(Tensor([1]), 1 * (1, 1), value=10**30)
