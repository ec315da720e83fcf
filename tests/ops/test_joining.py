"""Elements put together anew, against NumPy."""

from __future__ import annotations

import numpy as np
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
        same(ops.pad(t, sizes, mode, 7),
            np.pad(array, pairs, numpy_mode, **keywords))  # type: ignore[call-overload]


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
