"""Stacking, splitting, turning: MindSpore's names for shapes, against NumPy."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from minitensor import Tensor, ops


def array(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape, dtype=int), dtype="int32").reshape(shape)


def same(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs):
            same(one, other)
        return
    assert ours.shape == theirs.shape
    assert np.array_equal(ours.asnumpy(), theirs)


@pytest.mark.parametrize("name", ["atleast_1d", "atleast_2d", "atleast_3d"])
def test_atleast(name: str) -> None:
    for shape in ((), (3,), (2, 3), (1, 2, 3), (1, 1, 2, 3)):
        same(getattr(ops, name)(Tensor(array(*shape))), getattr(np, name)(array(*shape)))
    several = getattr(ops, name)([Tensor(array(2)), Tensor(array(2, 3))])
    same(several, [getattr(np, name)(array(2)), getattr(np, name)(array(2, 3))])


@pytest.mark.parametrize("name", ["vstack", "hstack", "dstack", "column_stack"])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 3, 2)], ids=str)
def test_stacks(name: str, shape: tuple[int, ...]) -> None:
    parts = [array(*shape), array(*shape) + 10]
    if name == "column_stack" and not shape:
        parts = [np.atleast_1d(p) for p in parts]
    same(getattr(ops, name)([Tensor(p) for p in parts]), getattr(np, name)(parts))
    assert ops.row_stack is ops.vstack


@pytest.mark.parametrize("sections", [1, 2, 3, 7, [1], [1, 3], [3, 1], [-1], [], [9]], ids=str)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_tensor_split(sections: Any, axis: int) -> None:
    a = array(4, 5, 6)
    same(ops.tensor_split(Tensor(a), sections, axis), np.array_split(a, sections, axis))


def test_the_named_splits() -> None:
    a, x = array(2, 4, 6), Tensor(array(2, 4, 6))
    same(ops.vsplit(x, 2), np.vsplit(a, 2))
    same(ops.hsplit(x, [1]), np.hsplit(a, [1]))
    same(ops.dsplit(x, 3), np.dsplit(a, 3))
    same(ops.hsplit(Tensor(array(4)), 2), np.hsplit(array(4), 2))
    assert x.dsplit(3)[1].tolist() == np.dsplit(a, 3)[1].tolist()
    part = ops.vsplit(x, 2)[0]
    part[0, 0, 0] = 99
    assert int(x[0, 0, 0]) == 99  # a view


def test_combining() -> None:
    a, b = array(3), array(2) + 5
    expected = np.array(list(itertools.product(a, b)))
    same(ops.cartesian_prod(Tensor(a), Tensor(b)), expected)
    same(ops.cartesian_prod(Tensor(a)), a)
    for r, again in ((0, False), (1, False), (2, True), (3, False), (4, False)):
        choose = itertools.combinations_with_replacement if again else itertools.combinations
        rows = list(choose(a, r)) if r else []
        same(
            ops.combinations(Tensor(a), r, again), np.array(rows).reshape(-1, r) if rows else a[:0]
        )
    blocks = [array(2, 3), array(2), np.ones((1, 2))]
    result = ops.block_diag(*map(Tensor, blocks))
    expected = np.zeros((4, 7))
    expected[:2, :3], expected[2, 3:5], expected[3, 5:] = blocks
    same(result, expected)


def test_parts() -> None:
    a, x = array(4, 5), Tensor(array(4, 5))
    pairs = [
        (ops.narrow(x, 1, 1, 3), a[:, 1:4]),
        (ops.narrow(x, 0, -2, 2), a[-2:]),
        (ops.narrow(x, 0, 4, 0), a[4:]),
        (ops.strided_slice(x, (3, 0), (0, 5), (-2, 2)), a[3:0:-2, 0:5:2]),
        (ops.slice(x, (1, 2), (2, -1)), a[1:3, 2:]),
        (ops.fliplr(x), a[:, ::-1]),
        (ops.flipud(x), a[::-1]),
        (ops.reverse(x, (0, 1)), a[::-1, ::-1]),
        (ops.t(x), a.T),
        (ops.t(Tensor(a[0])), a[0]),
        (ops.movedim(x, 0, 1), a.T),
        (ops.swapdims(x, 0, 1), a.T),
        (ops.adjoint(Tensor(a + 1j)), a.T - 1j),
        (ops.repeat_elements(x, 2, 1), np.repeat(a, 2, 1)),
        (ops.unstack(x, 1), list(a.T)),
        (ops.expand_as(x, ops.ones((3, 4, 5))), np.broadcast_to(a, (3, 4, 5))),
        (ops.view_as(x, ops.ones(20)), a.reshape(20)),
        (ops.reshape_as(x, ops.ones((5, 4))), a.reshape(5, 4)),
        (ops.type_as(x, Tensor([1.5])), a.astype("f4")),
        (ops.deepcopy(x), a),
        (ops.dyn_shape(x), np.array([4, 5])),
    ]
    for ours, theirs in pairs:
        same(ours, theirs)
    for k in range(-2, 5):
        same(ops.rot90(x, k), np.rot90(a, k))
        same(ops.rot90(x, k, (1, 0)), np.rot90(a, k, (1, 0)))
    assert (ops.rank(x), ops.size(x), ops.numel(x), x.numel()) == (2, 20, 20, 20)
    assert ops.is_nonzero(Tensor([[2.0]])) and not ops.is_nonzero(Tensor(0))


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64"])
def test_population_count(dtype: str) -> None:
    a = np.arange(-50 if dtype[0] == "i" else 0, 50).astype(dtype)
    bits = 8 * a.itemsize
    expected = [bin(int(v) % 2**bits).count("1") for v in a]
    assert ops.population_count(Tensor(a)).tolist() == expected
    assert ops.population_count(Tensor(a)[::-2]).tolist() == expected[::-2]


def test_sequences() -> None:
    a = array(3, 4, 2)
    result = a.copy()
    for row, count in enumerate((0, 3, 4)):
        result[row, :count] = a[row, :count][::-1]
    same(ops.reverse_sequence(Tensor(a), Tensor([0, 3, 4]), 1), result)
    moved = ops.reverse_sequence(Tensor(np.moveaxis(a, 0, 2)), [0, 3, 4], 0, 2)
    same(moved, np.moveaxis(result, 0, 2))
    mask = ops.sequence_mask(Tensor([[1, 3], [0, 2]]))
    same(mask, np.arange(3) < np.array([[1, 3], [0, 2]])[..., None])
    assert ops.sequence_mask(Tensor([1]), 2).tolist() == [[True, False]]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda t: ops.vstack([]), TypeError, r"\[vstack\] the tensors must be a list"),
        (lambda t: ops.hstack([t, t[:1]]), ValueError, r"\[hstack\] "),
        (lambda t: ops.hsplit(t[0, 0], 1), ValueError, r"\[hsplit\] input must have at least 1"),
        (lambda t: ops.dsplit(t, 1), ValueError, r"\[dsplit\] input must have at least 3"),
        (lambda t: ops.tensor_split(t, 0), ValueError, r"\[tensor_split\] the number of parts"),
        (lambda t: ops.tensor_split(t, 1.5), TypeError, r"\[tensor_split\] indices_or_sections"),
        (lambda t: ops.block_diag(t, ops.ones((1, 1, 1))), ValueError, r"\[block_diag\] inputs"),
        (lambda t: ops.cartesian_prod(t), ValueError, r"\[cartesian_prod\] inputs must be vectors"),
        (lambda t: ops.combinations(t), ValueError, r"\[combinations\] input must be a vector"),
        (lambda t: ops.narrow(t, 0, 1, 2), ValueError, r"\[narrow\] start and length must lie"),
        (lambda t: ops.narrow(t, 0, -3, 1), ValueError, r"\[narrow\] start and length must lie"),
        (lambda t: ops.slice(t, (0,), (1,)), ValueError, r"\[slice\] begin and size must have"),
        (lambda t: ops.slice(t, (0, 0), (3, 1)), ValueError, r"\[slice\] start and length"),
        (lambda t: ops.strided_slice(t, (0,), (1,), (0,)), ValueError, r"\[strided_slice\] begin"),
        (lambda t: ops.fliplr(t[0]), ValueError, r"\[fliplr\] input must have at least 2"),
        (lambda t: ops.rot90(t, 1, (0, 0)), ValueError, r"\[rot90\] dims must be two different"),
        (lambda t: ops.t(ops.ones((1, 1, 1))), ValueError, r"\[t\] input must have at most two"),
        (lambda t: ops.is_nonzero(t), ValueError, r"\[is_nonzero\] input must have one element"),
        (lambda t: ops.view_as(t, t[0]), ValueError, r"\[view_as\] "),
        (lambda t: ops.population_count(t), TypeError, r"\[population_count\] input must be"),
        (lambda t: ops.sequence_mask(t), TypeError, r"\[sequence_mask\] lengths must be integers"),
        (lambda t: ops.reverse_sequence(t, [1, 1], 0), ValueError, r"\[reverse_sequence\] seq_dim"),
        (lambda t: ops.reverse_sequence(t, [1, 9], 1).tolist(), ValueError, "seq_lengths must be"),
    ],
)
def test_errors(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call(Tensor([[1.0, 2.0], [3.0, 4.0]]))
