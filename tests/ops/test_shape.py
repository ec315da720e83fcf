"""Shapes against NumPy: what is a view, what is a copy, what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from arrays import numbered, same
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minitensor as mt
from minitensor import Tensor, ops
from minitensor.backend.core import lib

SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
FULL = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)


def is_view(a: Tensor, b: Tensor) -> bool:
    return lib.mt_storage_id(a._ref) == lib.mt_storage_id(b._ref)


@given(SHAPES, st.data())
def test_reshape(shape: tuple[int, ...], data: st.DataObject) -> None:
    array = numbered(shape)
    order = data.draw(st.permutations(range(len(shape))))
    source, t = array.transpose(order), Tensor(array).permute(*order)
    factors = data.draw(
        st.permutations([n for n in shape if n != 1] + [1] * data.draw(st.integers(0, 2)))
    )
    wanted = list(factors)
    if len(wanted) > 1 and data.draw(st.booleans()):
        wanted[0:2] = [wanted[0] * wanted[1]]
    if wanted and math.prod(wanted) and data.draw(st.booleans()):
        wanted[data.draw(st.integers(0, len(wanted) - 1))] = -1
    same(t.reshape(wanted), source.reshape(wanted))
    same(t.reshape(*wanted) if wanted else t.reshape(()), source.reshape(wanted))
    if array.size:  # NumPy makes a view exactly where one can be made
        assert is_view(t.reshape(wanted), t) == np.shares_memory(source.reshape(wanted), array)


def test_reshape_refuses() -> None:
    t = Tensor(np.zeros((2, 3)))
    for shape in ((4,), (-1, -1), (-2, 3), (5, -1)):
        with pytest.raises(
            ValueError, match=r"^\[reshape\] shape must have the 6 elements of shape \(2, 3\), got"
        ):
            t.reshape(shape)
    with pytest.raises(TypeError, match=r"^\[reshape\] shape must be"):
        t.reshape("a")
    with pytest.raises(ValueError, match=r"^\[view\] shape must be possible for a view"):
        t.T.view(6)
    with pytest.raises(ValueError, match=r"^\[view\] shape must have the 6 elements"):
        t.view(4)
    assert is_view(t.view(3, 2), t)


@given(FULL, st.data())
def test_views(shape: tuple[int, ...], data: st.DataObject) -> None:
    array, t = numbered(shape), Tensor(numbered(shape))
    n = len(shape)
    a, b = (data.draw(st.integers(-n, n - 1)) for _ in range(2))
    order = data.draw(st.permutations(range(n)))
    pairs = [
        (t.T, array.T), (t.transpose(), array.T), (t.permute(order), array.transpose(order)),
        (ops.transpose(t, tuple(order)), array.transpose(order)),
        (t.swapaxes(a, b), array.swapaxes(a, b)),
        (ops.moveaxis(t, a, b), np.moveaxis(array, a, b)),
        (t.expand_dims(a), np.expand_dims(array, a)),
        (ops.unsqueeze(t, n), np.expand_dims(array, n)), (t.squeeze(), array.squeeze()),
        (t.flip(a), np.flip(array, a)),
        (ops.flip(t), np.flip(array)), (ops.broadcast_to(t, (2, *shape)),
         np.broadcast_to(array, (2, *shape))),
        (t.flatten(), array.reshape(-1)),
        (t.expand(3, *[-1] * n), np.broadcast_to(array, (3, *shape))),
    ]  # fmt: skip
    if n >= 2:
        pairs.append((t.mT, array.swapaxes(-1, -2)))
    for view, expected in pairs:
        same(view, expected)
        assert is_view(view, t)
    same(t.flatten("F"), array.flatten("F"))
    first = data.draw(st.integers(0, n - 1))
    same(t.flatten(start_dim=first), array.reshape(*shape[:first], -1))


@given(FULL, st.data())
def test_pieces(shape: tuple[int, ...], data: st.DataObject) -> None:
    array, t = numbered(shape), Tensor(numbered(shape))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    length = shape[axis]
    size = data.draw(st.integers(1, 5))
    cuts = list(range(size, length, size))
    for pieces, expected in [
        (ops.split(t, size, axis), np.split(array, cuts, axis)),
        (t.unbind(axis), list(np.moveaxis(array, axis, 0))),
        (
            t.chunk(size, axis),
            np.split(array, range(-(-length // size), length, -(-length // size)), axis),
        ),
        (t.split([1, length - 1], axis), np.split(array, [1], axis)),
    ]:
        assert len(pieces) == len(expected)
        for piece, part in zip(pieces, expected):
            same(piece, part)
            assert is_view(piece, t)
    same(ops.concat(ops.split(t, size, axis), axis), array)
    same(ops.cat([t, t], dim=axis), np.concatenate([array, array], axis))
    same(ops.stack([t, t], axis), np.stack([array, array], axis))


def test_writes_through_views_reach_the_base() -> None:
    t = Tensor(np.zeros((2, 3), np.float32))
    t.T[0] = 1
    t.reshape(6)[5] = 2
    t.flip()[0, 0] += 3
    for piece in t.unbind(0):
        piece *= 2
    assert t.tolist() == [[2, 0, 0], [2, 0, 10]]
    with pytest.raises(ValueError, match="broadcast view"):
        ops.broadcast_to(Tensor([1]), (3,))[:] = 2


@pytest.mark.parametrize(
    "wrong",
    [
        lambda t: t.transpose((0, 0)), lambda t: t.permute(0), lambda t: t.squeeze(0),
        lambda t: ops.broadcast_to(t, (3, 3)), lambda t: t.expand_dims(5),
        lambda t: ops.concat([t, Tensor([1])]), lambda t: ops.concat([]),
        lambda t: ops.stack([t, t.T]), lambda t: t.split(0),
        lambda t: t.split([1, 2]), lambda t: t.tile(-1), lambda t: ops.pad(t, [1]),
        lambda t: ops.pad(t, [1, 1], "mirror"),
        lambda t: ops.tril(Tensor([1])), lambda t: t.flatten("K"),
        lambda t: t.repeat_interleave([1, 2, 3], 0), lambda t: t.roll((1, 2), 0),
        lambda t: t.transpose(()), lambda t: t.chunk((1, 2)), lambda t: t.roll((1, 2)),
        lambda t: ops.concat(t),
        lambda t: ops.pad(t, [3, 3], "reflect"), lambda t: t.chunk(0),
        lambda t: ops.broadcast_tensors(t, Tensor([1, 2, 3, 4])),
    ],
)  # fmt: skip
def test_mistakes_rise_at_the_call(wrong: object) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^\[\w+\] "):
        wrong(Tensor(np.zeros((2, 3))))  # type: ignore[operator]


@pytest.mark.parametrize("dtype", [mt.bfloat16, mt.float16, mt.complex64, mt.bool_, mt.uint16])
@pytest.mark.parametrize("device", ["CPU", "Ascend"])
def test_every_dtype_moves(dtype: mt.DType, device: str) -> None:
    t = Tensor([[1, 0], [1, 1]], dtype, device=device)
    assert t.T.copy().asnumpy().astype(np.complex64).tolist() == [[1, 1], [0, 1]]
    assert ops.concat([t, t.flip(0)]).asnumpy().astype(np.complex64).tolist() == [
        [1, 0], [1, 1], [1, 1], [1, 0],
    ]  # fmt: skip
    assert ops.tile(t, (1, 2)).shape == (2, 4)


def test_an_axis_may_be_spelt_in_every_way() -> None:
    t, index = Tensor([[1.0, 2.0], [3.0, 4.0]]), Tensor([[0, 0]])
    assert ops.reshape(t, shape=(4,)).shape == ops.view(t, shape=4).shape == (4,)
    assert (
        ops.transpose(t, axes=(1, 0)).tolist()
        == ops.permute(t, axis=(1, 0)).tolist()
        == [[1, 3], [2, 4]]
    )
    assert (
        ops.expand(t, size=(3, 2, 2)).shape
        == ops.broadcast_to(t, size=(3, 2, 2)).shape
        == (3, 2, 2)
    )
    with pytest.raises(TypeError, match=r"^\[reshape\] shape must be given once"):
        ops.reshape(t, 4, shape=4)
    for spelling in ("axis", "dim", "dims"):
        where = {spelling: 0}
        assert (
            len(ops.split(t, 1, **where))
            == len(ops.chunk(t, 2, **where))
            == len(ops.unbind(t, **where))
            == 2
        )
        assert ops.expand_dims(t, **where).shape == ops.unsqueeze(t, **where).shape == (1, 2, 2)
        assert ops.flip(t, **where).tolist() == ops.roll(t, 1, **where).tolist() == [[3, 4], [1, 2]]
        assert (
            ops.gather(t, Tensor([1]), **where).tolist()
            == ops.index_select(t, index=Tensor([1]), **where).tolist()
            == [[3, 4]]
        )
        assert ops.gather_elements(t, index=index, **where).tolist() == [[1, 2]]
        assert ops.scatter(t, index=index, src=Tensor([[9.0, 9.0]]), **where).tolist() == [
            [9, 9],
            [3, 4],
        ]
        assert (
            ops.softmax(t, **where).shape
            == ops.cumsum(t, **where).shape
            == ops.sort(t, **where)[0].shape
            == (2, 2)
        )
        assert (
            ops.norm(t, **where, keep_dims=True).shape
            == ops.sum(t, **where, keepdim=True).shape
            == (1, 2)
        )


def test_more_dimensions_than_a_tensor_has() -> None:
    t, many = Tensor(np.ones(2, np.float32)), (1,) * 16
    arrays = np.ones((*many, 2), np.float32)
    for make in (lambda: t.reshape(*many, 2), lambda: t[(None,) * 16],
        lambda: t.broadcast_to((*many, 2)), lambda: Tensor(arrays),
                 lambda: Tensor.from_numpy(arrays),
                 lambda: ops.expand_dims(t.reshape(*many[1:], 2), 0),
                 lambda: ops.zeros((*many, 2))):  # fmt: skip
        with pytest.raises(ValueError, match="17 dimensions, a tensor has at most 16"):
            make()
    assert (t.reshape(*many[1:], 2) + 1).shape == (*many[1:], 2)
