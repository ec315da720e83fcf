"""Tensors without elements: every op, dtype and layout gives what NumPy gives.

A view of no elements may begin past the end of its storage, go backwards through it, repeat itself
with stride 0 or be an array's.  No op may read any of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from queueing import queued

import minitensor as mt
from minitensor import DType, Tensor, dtype, ops
from minitensor.backend.host_tasks import numpy_function
from minitensor.dtype import DTYPES
from minitensor.optable import ELEMENTWISE, REDUCTIONS, Op

SHAPES = [(0,), (0, 3), (3, 0), (2, 0, 3), (0, 0), (1, 0), (0, 1, 2)]


def layouts(shape: tuple[int, ...], d: DType) -> Iterator[tuple[str, Tensor]]:
    """Yield tensors of a shape without elements, by what they are views of."""
    array, wide = np.zeros(shape, d.numpy), tuple(n + 2 for n in shape)
    yield "its own", Tensor(array)
    yield "an array's", Tensor.from_numpy(array)
    yield "an array's, backwards", Tensor.from_numpy(array[..., ::-1])
    yield (
        "an array's, inside",
        Tensor.from_numpy(np.zeros(wide, d.numpy)[tuple(slice(2, 2 + n) for n in shape)]),
    )
    yield "backwards", Tensor(array)[tuple(slice(None, None, -1) for _ in shape)]
    yield "past the end", Tensor(np.zeros(wide, d.numpy))[tuple(slice(2, 2 + n) for n in shape)]
    yield "flipped", Tensor(np.zeros(shape[::-1], d.numpy)).flip().T
    yield "stride 0", ops.broadcast_to(Tensor(np.zeros((), d.numpy)), shape)
    yield (
        "of a step",
        Tensor(np.zeros(wide, d.numpy))[
            tuple(slice(n + 2, 2, 3) if n == 0 else slice(0, n) for n in shape)
        ],
    )


def same(actual: np.ndarray, expected: np.ndarray) -> bool:
    """Return whether all elements are equal, or NaN in both."""
    return actual.shape == expected.shape and bool(
        np.all((actual == expected) | ((actual != actual) & (expected != expected)))
    )


EVERYWHERE = [(shape, d) for shape in SHAPES for d in DTYPES]


def computes(op: Op, d: DType) -> bool:
    compute = (
        dtype.to_float(d)
        if op.rule in ("float", "test")
        else dtype.bool_
        if op.rule == "logical"
        else d
    )
    if op.rule == "sum" and d.kind in "bi":
        compute = dtype.int64
    return compute.kind in op.kinds and (d.kind != "c" or op.complex)


@pytest.mark.parametrize("d", DTYPES, ids=str)
@pytest.mark.parametrize("op", ELEMENTWISE, ids=lambda op: op.name)
def test_elementwise(op: Op, d: DType) -> None:
    if op.rule != "where" and not computes(op, d):
        return
    for shape in SHAPES[1:4]:
        one = Tensor(np.ones(shape[-1:], d.numpy))
        for layout, t in layouts(shape, d):
            operands = {1: [[t]], 2: [[t, t], [t, one], [one, t]], 3: [[t, t, t], [t, one, t]]}[
                op.inputs
            ]
            for given in operands:
                if op.rule == "where":
                    given = [given[0].astype(mt.bool_), *given[1:]]
                result = getattr(ops, op.name)(*given)
                assert result.shape == result.asnumpy().shape == shape, (op.name, layout)
                # ops on an array's memory run at their call
                if not layout.startswith("an array's"):
                    with queued():
                        result = getattr(ops, op.name)(*given)
                    assert result.asnumpy().shape == shape, (op.name, layout)


@pytest.mark.parametrize("d", DTYPES, ids=str)
@pytest.mark.parametrize("op", REDUCTIONS, ids=lambda op: op.name)
def test_reductions(op: Op, d: DType) -> None:
    if not computes(op, d):
        return
    with np.errstate(all="ignore"):
        for shape in SHAPES:
            given = list(layouts(shape, d))
            for axis in (*range(len(shape)), tuple(range(len(shape)))):
                axes = axis if isinstance(axis, tuple) else (axis,)
                for keepdims in (False, True):
                    array = np.zeros(shape, np.float32 if d.name == "bfloat16" else d.numpy)
                    try:
                        expected = np.asarray(
                            numpy_function(op)(array, axis=axes, keepdims=keepdims)
                        )
                    except ValueError:
                        expected = None
                    for layout, t in given:
                        what = (op.name, shape, axis, keepdims, layout)
                        if expected is None:
                            with pytest.raises(
                                ValueError, match=rf"^\[{op.name}\] nothing to choose from"
                            ):
                                getattr(ops, op.name)(t, axis, keepdims=keepdims)
                        else:
                            result = getattr(ops, op.name)(t, axis, keepdims=keepdims)
                            assert result.shape == expected.shape, what
                            assert same(result.asnumpy().astype(expected.dtype), expected), what


# name: (our function, NumPy's, the least number of dimensions)
SINGLE: dict[str, tuple[Callable[[Tensor], object], Callable[[np.ndarray], object], int]] = {
    "sort": (lambda t: ops.sort(t)[0], lambda a: np.sort(a), 1),
    "sort along 0": (lambda t: ops.sort(t, 0, descending=True)[1], lambda a: np.argsort(a, 0), 1),
    "argsort": (lambda t: t.argsort(), lambda a: np.argsort(a), 1),
    "topk": (lambda t: ops.topk(t, 0)[0], lambda a: a[..., :0], 1),
    "cumsum": (lambda t: t.cumsum(-1), lambda a: np.cumsum(a, -1), 1),
    "cumprod": (lambda t: t.cumprod(0), lambda a: np.cumprod(a, 0), 1),
    "matmul": (lambda t: t @ t.mT, lambda a: np.matmul(a, a.swapaxes(-1, -2)), 2),
    "matmul, the other way": (lambda t: t.mT @ t, lambda a: np.matmul(a.swapaxes(-1, -2), a), 2),
    "dot": (lambda t: ops.dot(t, t.mT if t.ndim > 1 else t),
        lambda a: np.dot(a, a.swapaxes(-1, -2) if a.ndim > 1 else a), 1),
    "inner": (lambda t: ops.inner(t, t), lambda a: np.inner(a, a), 1),
    "kron": (lambda t: ops.kron(t, t), lambda a: np.kron(a, a), 1),
    "einsum": (lambda t: ops.einsum("...i->i...", t), lambda a: np.einsum("...i->i...", a), 1),
    "tensordot": (lambda t: ops.tensordot(t, t, 0), lambda a: np.tensordot(a, a, 0), 1),
    "trace": (lambda t: ops.trace(t), lambda a: np.trace(a), 2),
    "diagonal": (lambda t: ops.diagonal(t, -1), lambda a: np.diagonal(a, -1), 2),
    "diag": (lambda t: ops.diag(t).ravel(), lambda a: a.reshape(-1), 1),
    "reshape": (lambda t: t.reshape(7, 0), lambda a: a.reshape(7, 0), 1),
    "flatten": (lambda t: t.flatten("F"), lambda a: a.flatten("F"), 1),
    "transpose": (lambda t: t.T, lambda a: a.T, 1),
    "flip": (lambda t: t.flip(), lambda a: np.flip(a), 1),
    "squeeze": (lambda t: t.squeeze(), lambda a: a.squeeze(), 1),
    "roll": (lambda t: t.roll(1), lambda a: np.roll(a, 1), 1),
    "roll along 0": (lambda t: t.roll(1, 0), lambda a: np.roll(a, 1, 0), 1),
    "tile": (lambda t: t.tile(2), lambda a: np.tile(a, 2), 1),
    "repeat": (lambda t: t.repeat_interleave(3, 0), lambda a: np.repeat(a, 3, 0), 1),
    "pad": (lambda t: ops.pad(t, (1, 2), value=1),
        lambda a: np.pad(a, [(0, 0)] * (a.ndim - 1) + [(1, 2)], constant_values=1), 1),
    "concat": (lambda t: ops.concat([t, t], -1), lambda a: np.concatenate([a, a], -1), 1),
    "stack": (lambda t: ops.stack([t, t]), lambda a: np.stack([a, a]), 1),
    "tril": (lambda t: t.tril(), lambda a: np.tril(a), 2),
    "split": (lambda t: ops.split(t, 1, 0),
        lambda a: [a[i : i + 1] for i in range(a.shape[0])] or [a], 1),
    "chunk": (lambda t: t.chunk(2, -1),
        lambda a: [a[..., i : i + max(-(-a.shape[-1] // 2), 1)] for i in
                                                    range(0, a.shape[-1], max(-(-a.shape[-1] // 2),
                                                        1))] or [a], 1),
    "unbind": (lambda t: t.unbind(0), lambda a: list(a), 1),
    "copy": (lambda t: t.copy(), lambda a: a.copy(), 1),
    "cast": (lambda t: t.astype(mt.bool_), lambda a: a.astype(bool), 1),
    "masked": (lambda t: t[t == 0], lambda a: a[a == 0], 1),
    "masked_fill": (lambda t: t.masked_fill(t == 0, 1), lambda a: a, 1),
    "nonzero": (lambda t: t.nonzero(), lambda a: np.argwhere(a), 1),
    "index": (lambda t: t[Tensor([], mt.int64)], lambda a: a[np.zeros(0, int)], 1),
    "gather": (lambda t: ops.gather(t, Tensor([], mt.int64), -1),
        lambda a: np.take(a, np.zeros(0, int), -1), 1),
    "scatter": (lambda t: t.scatter(0, Tensor(np.zeros(t.shape, int)), t), lambda a: a, 1),
    "index_add": (lambda t: t.index_add(Tensor([], mt.int64), t[:0], 0), lambda a: a, 1),
    "unique": (lambda t: ops.unique(t), lambda a: np.unique(a, return_inverse=True), 1),
    "take": (lambda t: t.take(Tensor([], mt.int64)), lambda a: np.take(a, np.zeros(0, int)), 1),
    "take_along_dim": (lambda t: t.take_along_dim(Tensor(np.zeros(t.shape, int)), 0), lambda a: a,
        1),
    "round": (lambda t: t.round() if t.dtype.kind != "c" else t, lambda a: a, 1),
    "tolist": (lambda t: t.tolist(), lambda a: a.tolist(), 1),
    "var": (lambda t: t.var() if t.dtype.kind in "fc" else t,
        lambda a: np.var(a) if a.dtype.kind in "fc" else a, 1),
    "std": (lambda t: t.std(0) if t.dtype.kind in "f" else t,
        lambda a: np.std(a, 0) if a.dtype.kind in "f" else a, 1),
    "softmax": (lambda t: t.softmax() if t.dtype.kind == "f" else t, lambda a: a, 1),
    "clamp": (lambda t: t.clamp(0, 1) if t.dtype.kind != "c" else t, lambda a: a, 1),
    "isclose": (lambda t: t.isclose(t) if t.dtype.kind != "c" else t == t,
        lambda a: np.isclose(a, a), 1),
    "searchsorted": (lambda t: ops.searchsorted(Tensor([1, 2]), t) if t.dtype.kind != "c" else t,
                     lambda a: np.searchsorted([1, 2], a) if a.dtype.kind != "c" else a, 1),
    "count_nonzero": (lambda t: t.count_nonzero(0), lambda a: np.count_nonzero(a, 0), 1),
    "meshgrid": (lambda t: ops.meshgrid(t, t), lambda a: np.meshgrid(a, a), 1),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("d", DTYPES, ids=str)
@pytest.mark.parametrize("name", SINGLE)
def test_functions(name: str, d: DType) -> None:
    ours, theirs, least = SINGLE[name]
    for shape in SHAPES:
        if len(shape) < least:
            continue
        with np.errstate(all="ignore"):
            expected = theirs(np.zeros(shape, np.float32 if d.name == "bfloat16" else d.numpy))
        for layout, t in layouts(shape, d):
            if name == "tolist":
                assert ours(t) == expected
                continue
            results = ours(t)
            pairs = (
                list(zip(results, expected, strict=True))
                if isinstance(results, (tuple, list))
                else [(results, expected)]
            )
            for result, value in pairs:
                assert result.shape == np.shape(value), (
                    name, layout, shape, result.shape, np.shape(value),
                )  # fmt: skip
                actual = result.asnumpy().astype(np.complex128)
                assert same(actual, np.asarray(value, np.complex128)), (name, layout, shape)


IN_PLACE = {
    "+= itself": lambda t: t.__iadd__(t), "*= itself": lambda t: t.__imul__(t),
    "[:] = 1": lambda t: t.__setitem__(slice(None), 1),
    "[...] = itself": lambda t: t.__setitem__(..., t),
    "[mask] = 1": lambda t: t.__setitem__(t == 0, 1),
    "[indices] = 1": lambda t: t.__setitem__(Tensor([], mt.int64), 1),
    "[::-1] = itself": lambda t: t.__setitem__(slice(None, None, -1), t),
}  # fmt: skip


@pytest.mark.parametrize("d", DTYPES, ids=str)
@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place(name: str, d: DType) -> None:
    for shape in SHAPES:
        for layout, t in layouts(shape, d):
            IN_PLACE[name](t)
            assert t.asnumpy().shape == shape, (layout, shape)
    with pytest.raises(ValueError, match="broadcast view"):  # of some elements it still is refused
        IN_PLACE["+= itself"](ops.broadcast_to(Tensor(np.zeros(1, np.float32)), (2,)))
    with pytest.raises(ValueError, match="broadcast view"):
        ops.broadcast_to(Tensor(np.zeros(1, np.float32)), (2,))[Tensor([0])] = 1


def test_views_of_nothing_begin_at_the_storages_start() -> None:
    for shape, d in EVERYWHERE:
        for layout, t in layouts(shape, d):
            assert t._offset == 0 and t.is_contiguous() and t.size == 0, (shape, layout)
            assert (
                t[..., None]._offset == 0
                and repr(t)
                and Tensor(t).shape == shape
                and t.reshape(0).shape == (0,)
            )
