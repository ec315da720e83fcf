"""Functions that the models define differently: MindSpore's definition holds for its names.

docs/differences.md lists them.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from arrays import floats, numbered, same

import minitensor as mt
from minitensor import Tensor, ops

NAN, INF = np.nan, np.inf


# --- one over an element, not a matrix ------------------------------------------------------------
def test_inv_is_one_over_each_element() -> None:
    t = Tensor([[0.25, 0.5], [2.0, 1.0]])
    assert (
        ops.inv(t).tolist() == t.inv().tolist() == [[4, 2], [0.5, 1]]
        and ops.inv(Tensor([2])).dtype is mt.float32
    )
    np.testing.assert_allclose(ops.inverse(t).asnumpy(), np.linalg.inv(t.asnumpy()), 1e-5)


# --- norm -----------------------------------------------------------------------------------------
MATRIX_ORDERS = (1, -1, 2, -2, INF, -INF, "fro", "nuc", None)


@pytest.mark.parametrize("ord", MATRIX_ORDERS)
@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 1), (1, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32])
def test_norm_of_a_matrix(ord: object, shape: tuple[int, ...], keepdims: bool, dtype: type) -> None:
    matrix = np.random.default_rng(1).integers(-4, 5, shape).astype(dtype)
    expected = np.linalg.norm(
        matrix.astype(np.float64), ord, None if ord is None else (0, 1), keepdims
    )
    for layout in (matrix, np.asfortranarray(matrix), np.ascontiguousarray(matrix[::-1])[::-1]):
        actual = ops.norm(Tensor.from_numpy(layout), ord, keepdims=keepdims)
        assert actual.shape == expected.shape and actual.dtype is (
            mt.float32 if dtype is np.int32 else Tensor(matrix).dtype
        )
        np.testing.assert_allclose(
            actual.asnumpy(), expected, rtol=2e-3 if dtype is np.float16 else 1e-5,
            atol=1e-2 if dtype is np.float16 else 1e-5,
        )  # fmt: skip


@pytest.mark.parametrize("ord", MATRIX_ORDERS)
@pytest.mark.parametrize("axis", [(0, 1), (1, 0), (-1, 0), (2, 1), [0, 2]])
def test_norm_of_many_matrices(ord: object, axis: object) -> None:
    stack = np.random.default_rng(2).normal(size=(2, 3, 4))
    for keepdims in (False, True):
        expected = np.linalg.norm(stack, ord, tuple(axis), keepdims)  # type: ignore[arg-type]
        np.testing.assert_allclose(
            Tensor(stack).norm(ord, axis, keepdims).asnumpy(), expected, rtol=1e-9
        )


@pytest.mark.parametrize("ord", [None, 0, 1, 2, 3, -1, -2, 0.5, INF, -INF])
def test_norm_of_vectors(ord: object) -> None:
    stack = np.random.default_rng(3).normal(size=(2, 3, 4))
    for axis in (0, -1, (1,)):
        np.testing.assert_allclose(
            ops.norm(Tensor(stack), ord, axis).asnumpy(),
            np.linalg.norm(stack, ord, axis),
            rtol=1e-9,
        )
    np.testing.assert_allclose(
        ops.norm(Tensor(stack[0, 0]), ord).item(), np.linalg.norm(stack[0, 0], ord), rtol=1e-9
    )
    if ord is None:
        np.testing.assert_allclose(ops.norm(Tensor(stack)).item(), np.linalg.norm(stack), rtol=1e-9)
        np.testing.assert_allclose(
            ops.norm(Tensor(stack), None, (0, 1, 2), True).asnumpy(),
            [[[np.linalg.norm(stack)]]],
            rtol=1e-9,
        )
    else:
        for axis in (None, (0, 1, 2), ()):
            with pytest.raises(
                ValueError,
                match=r"^\[norm\] with an order, axis must be one axis of vectors or two of "
                      r"matrices",
            ):
                ops.norm(Tensor(stack), ord, axis)


def test_norms_that_there_are_none_of() -> None:
    matrix, vector = Tensor(np.ones((2, 2))), Tensor([1.0])
    for call in (lambda: ops.norm(matrix, 3), lambda: ops.norm(matrix, 0),
        lambda: ops.norm(vector, "fro"), lambda: ops.norm(vector, "nuc"),
                 lambda: ops.norm(matrix, 1, (0, 0)),
                 lambda: ops.norm(Tensor(np.ones((0, 2))), 2)):  # fmt: skip
        with pytest.raises(ValueError, match=r"^\[norm\] "):
            call()
    with pytest.raises(TypeError, match=r"^\[norm\] the input must be real, got Complex128"):
        ops.norm(Tensor([1j]))
    assert (
        ops.norm(Tensor(np.zeros((0, 2))), "fro").item()
        == ops.norm(Tensor(np.zeros((0, 2))), "nuc").item()
        == 0
    )


# --- no axis is every axis ------------------------------------------------------------------------
REDUCTIONS = (
    "sum", "prod", "mean", "amin", "amax", "any", "all", "argmin", "argmax", "var", "std", "ptp",
    "logsumexp", "norm", "count_nonzero",
)  # fmt: skip


@pytest.mark.parametrize("name", [*REDUCTIONS, "max", "min"])
def test_an_empty_tuple_of_axes_means_all(name: str) -> None:
    t = Tensor(floats((2, 3)))
    for function in (getattr(ops, name), getattr(Tensor, name)):
        for axis in ((), []):
            for keepdims in (False, True):
                results = [function(t, axis=a, keepdims=keepdims) for a in (axis, None)]
                pairs = zip(*results) if isinstance(results[0], tuple) else [results]
                for got, expected in pairs:
                    assert got.tolist() == expected.tolist() and got.shape == expected.shape == (
                        (1, 1) if keepdims else ()
                    )
    assert function(Tensor(5.0), axis=()).shape == ()


def test_an_empty_tuple_of_axes_elsewhere() -> None:
    t = Tensor(floats((1, 3, 1)))
    assert t.squeeze(()).shape == ops.squeeze(t, []).shape == t.squeeze().shape == (3,)
    assert ops.expand_dims(t, ()).shape == t.shape and t.flip(()).tolist() == t.tolist()


def test_keepdims_is_no_axis() -> None:
    t = Tensor(floats((2, 3)))
    for name in REDUCTIONS:
        if name not in ("var", "std", "norm"):  # whose second argument is a number
            with pytest.raises(
                TypeError,
                match=rf"^\[{name}\] keepdims must be a bool, got 1; several axes are a tuple",
            ):
                getattr(t, name)(0, 1)
    assert t.sum(0, np.bool_(True)).shape == (1, 3)


# --- flatten --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "shape", [(), (1,), (4,), (2, 3), (2, 3, 4), (2, 0, 3), (0, 3), (2, 1, 3, 2)]
)
def test_flatten_keeps_the_batch_and_the_method_does_not(shape: tuple[int, ...]) -> None:
    array, t = numbered(shape), Tensor(numbered(shape))
    batches = (
        array.reshape(array.shape[0], math.prod(shape[1:])) if array.ndim > 1 else array.reshape(-1)
    )
    same(ops.flatten(t), batches)
    for all_in_one in (
        t.flatten(), t.flatten("C"), t.ravel(), ops.ravel(t), ops.flatten(t, start_dim=0),
    ):  # fmt: skip
        same(all_in_one, array.reshape(-1))
    for reversed_first in (t.flatten("F"), ops.flatten(t, "F", start_dim=0)):
        same(reversed_first, array.flatten("F"))
    if len(shape) > 1:
        same(ops.flatten(t, "F"), array.T.reshape(shape[-1], math.prod(shape[:-1])))
        first_two = array.reshape(-1 if math.prod(shape[2:]) else shape[0] * shape[1], *shape[2:])
        for call in (
            t.flatten(0, 1), t.flatten(start_dim=0, end_dim=1), t.flatten(0, end_dim=1),
            ops.flatten(t, start_dim=0, end_dim=-len(shape) + 1),
        ):  # fmt: skip
            same(call, first_two)
        same(t.flatten(1), batches)


# --- median ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.float64, np.float16, np.uint8, bool])
@pytest.mark.parametrize("shape", [(1,), (4,), (5,), (3, 4), (4, 3), (2, 3, 4)])
def test_median_is_the_lower_middle_and_where_it_stands(
    dtype: type, shape: tuple[int, ...]
) -> None:
    array = np.random.default_rng(4).integers(0, 9, shape).astype(dtype)
    t = Tensor(array)
    for axis in range(-array.ndim, array.ndim):
        for keepdims in (False, True):
            expected = np.take(np.sort(array, axis), [(shape[axis] - 1) // 2], axis)
            values, places = t.median(axis, keepdims)
            same(values, expected if keepdims else expected.squeeze(axis))
            assert values.dtype is t.dtype and places.dtype is mt.int64
            same(
                values,
                np.take_along_axis(
                    array,
                    places.asnumpy() if keepdims else np.expand_dims(places.asnumpy(), axis),
                    axis,
                ).reshape(values.shape),
            )
    assert [r.tolist() for r in ops.median(t)] == [r.tolist() for r in ops.median(t, -1)]
    value, place = ops.median(t, None)
    assert (
        value.item()
        == np.sort(array.reshape(-1))[(array.size - 1) // 2]
        == array.reshape(-1)[place.item()]
    )
    assert ops.median(t, None, True)[0].shape == (1,) * array.ndim


def test_median_of_odd_things() -> None:
    values, places = ops.median(Tensor([[9, 3, 4, 5], [5, 2, 7, 4], [8, 1, 3, 6]]))
    assert (values.tolist(), places.tolist()) == ([4, 4, 3], [2, 3, 2])
    for dtype in (mt.float32, mt.float16, mt.bfloat16):
        value, place = ops.median(Tensor([3.0, NAN, 1.0, NAN]).astype(dtype))
        assert np.isnan(value.item()) and place.item() == 1
    assert [r.item() for r in ops.median(Tensor(7))] == [7, 0]
    assert ops.median(Tensor(np.zeros((0, 3))))[0].shape == (0,)
    for wrong, error in ((lambda: ops.median(Tensor([])), ValueError),
        (lambda: ops.median(Tensor(np.zeros((3, 0)))), ValueError),
                         (lambda: ops.median(Tensor([1j])), TypeError),
                         (lambda: ops.median(Tensor([1]), (0,)), TypeError)):  # fmt: skip
        with pytest.raises(error, match=r"^\[median\] "):
            wrong()


# --- diag -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 2, 2), (0,), (2, 0)])
def test_diag_makes_and_diagonal_takes(shape: tuple[int, ...]) -> None:
    array = numbered(shape) + 1
    expected = np.zeros(shape + shape, array.dtype)
    for place in np.ndindex(shape):
        expected[place + place] = array[place]
    same(ops.diag(Tensor(array)), expected)
    if len(shape) == 1:
        for k in (-2, 1):
            same(ops.diag(Tensor(array), k), np.diag(array, k))
            same(ops.diagonal(ops.diag(Tensor(array), k), k), array)
    with pytest.raises(ValueError, match=r"^\[diag\] .* ops.diagonal extracts a diagonal"):
        ops.diag(Tensor(numbered((2, 2))), 1)


# --- dimensions in another order ------------------------------------------------------------------
def test_two_ints_swap_and_a_tuple_orders() -> None:
    matrix, t = numbered((2, 3)), Tensor(numbered((2, 3)))
    for swapped in (t.transpose(0, 1), t.transpose(1, 0), t.transpose(-1, 0),
        ops.transpose(t, 0, 1), t.swapaxes(0, 1), t.swapaxes(-1, -2),
                    t.transpose(), t.transpose(None), t.transpose((1, 0)), t.permute(1, 0),
                    t.permute((1, 0)), t.permute([-1, -2]), t.T, t.mT,
                    ops.moveaxis(t, 0, 1)):  # fmt: skip
        same(swapped, matrix.T)
    for unchanged in (
        t.transpose((0, 1)), t.permute(0, 1), t.permute((0, 1)), ops.permute(t, (-2, -1)),
        t.transpose(1, 1), t.swapaxes(0, 0),
    ):  # fmt: skip
        same(unchanged, matrix)
    cube, u = numbered((2, 3, 4)), Tensor(numbered((2, 3, 4)))
    same(u.transpose(0, 2), cube.swapaxes(0, 2))
    same(u.transpose(-1, 1), cube.swapaxes(-1, 1))
    for reordered in (
        u.transpose(2, 0, 1), u.transpose((2, 0, 1)), u.transpose([2, 0, 1]), u.permute(2, 0, 1),
        u.permute((-1, 0, 1)),
    ):  # fmt: skip
        same(reordered, cube.transpose(2, 0, 1))
    for wrong in (lambda: u.transpose((0, 1)), lambda: u.permute(0, 1), lambda: u.transpose(0),
        lambda: u.transpose(0, 3), lambda: u.transpose(0, 0, 1),
                  lambda: t.permute(0, 0), lambda: Tensor([1]).transpose(0, 1)):  # fmt: skip
        with pytest.raises(ValueError, match=r"^\[(transpose|permute)\] "):
            wrong()


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda t: t.reshape(6), lambda a: a.reshape(6)),
        (lambda t: t.reshape(3, 2), lambda a: a.reshape(3, 2)),
        (lambda t: t.reshape((3, 2)), lambda a: a.reshape(3, 2)),
        (lambda t: t.reshape([-1, 2]), lambda a: a.reshape(-1, 2)),
        (lambda t: t.view(3, -1), lambda a: a.reshape(3, -1)),
        (lambda t: t.view((6,)), lambda a: a.reshape(6)),
        (lambda t: t.flip(0), lambda a: a[::-1]),
        (lambda t: t.flip((0, -1)), lambda a: a[::-1, ::-1]),
        (lambda t: t.flip([1]), lambda a: a[:, ::-1]),
        (lambda t: t.expand_dims(-1), lambda a: a[..., None]),
        (lambda t: t.unsqueeze(1), lambda a: a[:, None]),
        (lambda t: t.expand_dims((0, -1)), lambda a: a[None, ..., None]),
        (lambda t: t.moveaxis(-1, 0), lambda a: a.T),
        (lambda t: t.moveaxis((0, 1), (1, 0)), lambda a: a.T),
        (lambda t: t.expand(2, 2, 3), lambda a: np.stack([a, a])),
        (lambda t: t.expand((2, 2, 3)), lambda a: np.stack([a, a])),
        (lambda t: t.broadcast_to((2, -1, 3)), lambda a: np.stack([a, a])),
        (lambda t: t.tile((2,)), lambda a: np.tile(a, 2)),
        (lambda t: t.tile(2), lambda a: np.tile(a, 2)),
        (lambda t: t.roll(1), lambda a: np.roll(a, 1)),
        (lambda t: t.roll((1, 2), (0, -1)), lambda a: np.roll(a, (1, 2), (0, 1))),
        (lambda t: t.sum((0, -1)), lambda a: a.sum()),
        (lambda t: t.sum(-1), lambda a: a.sum(-1)),
        (lambda t: t.cumsum(-1), lambda a: a.cumsum(-1)),
        (lambda t: t.expand_dims(0).squeeze((0,)), lambda a: a),
        (lambda t: t.expand_dims(0).squeeze(-3), lambda a: a),
    ],
)  # fmt: skip
def test_ints_tuples_and_negative_axes(ours: object, theirs: object) -> None:
    array = numbered((2, 3))
    same(ours(Tensor(array)), theirs(array))  # type: ignore[operator]


@pytest.mark.parametrize(
    "call",
    [
        "t.flip(0, 1)", "t.squeeze(0, 1)", "t.expand_dims(0, 1)", "t.tile(2, 2)",
        "t.broadcast_to(2, 3)", "t.unbind(0, 1)",
    ],
)
def test_what_takes_one_argument_refuses_two(call: str) -> None:
    with pytest.raises(TypeError):
        eval(call, {"t": Tensor(numbered((2, 3)))})


# --- the rest -------------------------------------------------------------------------------------
def test_smooth_l1_loss_does_not_reduce() -> None:
    x, y = Tensor([0.0, 3.0]), Tensor([0.5, 0.0])
    assert (
        ops.smooth_l1_loss(x, y).tolist() == [0.125, 2.5]
        and ops.smooth_l1_loss(x, y, reduction="sum").item() == 2.625
    )
    for loss in (ops.mse_loss, ops.l1_loss):
        assert loss(x, y).shape == ()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_an_infinity_floor_divided_stays_one(dtype: type) -> None:
    a = np.array([INF, -INF, INF, -INF, INF, 5, -5, 0.0, -0.0, NAN, 7, INF], dtype)
    b = np.array([2, 2, -2, -0.5, INF, INF, INF, 3, 3, 1, NAN, 0], dtype)
    expected = np.array([INF, -INF, -INF, INF, NAN, 0, -1, 0.0, -0.0, NAN, NAN, INF], dtype)
    for result in (
        Tensor(a) // Tensor(b),
        ops.floor_divide(Tensor(a), Tensor(b)),
        ops.div(Tensor(a), Tensor(b), rounding_mode="floor"),
    ):
        np.testing.assert_array_equal(result.asnumpy(), expected)
        np.testing.assert_array_equal(np.signbit(result.asnumpy()[7:9]), [False, True])
    assert (Tensor([INF]) // 2).item() == INF and (5 // Tensor([-INF])).item() == -1
    whole = np.random.default_rng(5).normal(size=40).astype(dtype)
    np.testing.assert_array_equal(
        (Tensor(whole) // Tensor(whole[::-1])).asnumpy(), np.floor_divide(whole, whole[::-1])
    )


def test_bounds_may_be_left_out() -> None:
    t = Tensor([1.0, 5.0, -5.0])
    for clip in (ops.clip, ops.clamp, Tensor.clip, Tensor.clamp):
        assert (
            clip(t).tolist() == [1, 5, -5]
            and clip(t, max=2).tolist() == [1, 2, -5]
            and clip(t, 0).tolist() == [1, 5, 0]
        )
        copy = clip(t)
        copy += 1
    assert t.tolist() == [1, 5, -5]


@pytest.mark.parametrize(
    "call",
    [
        "ops.expand_dims(t, 4)", "t.unsqueeze(-5)", "t.sum(3)", "t.swapaxes(0, 3)",
        "ops.sort(t, 3)", "t.flip(3)", "t.squeeze(3)",
    ],
)
def test_an_axis_out_of_range_is_an_index_and_a_value(call: str) -> None:
    for error in (IndexError, ValueError):
        with pytest.raises(
            error, match=r"^\[\w+\] axis must be from -\d to \d for \d dimensions, got -?\d"
        ):
            eval(call, {"t": Tensor(numbered((1, 2, 3))), "ops": ops})


# --- values that a narrower dtype would lose ------------------------------------------------------
@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_spread_of_complex_numbers(axis: int | None, dtype: type) -> None:
    parts = np.random.default_rng(6).normal(size=(2, 3, 4))
    values = (parts[0] + 1j * parts[1]).astype(dtype)
    for name in ("var", "std"):
        for ddof, keepdims in ((0, False), (1, True)):
            expected = getattr(np, name)(values, axis, ddof=ddof, keepdims=keepdims)
            actual = getattr(ops, name)(Tensor(values), axis, ddof, keepdims)
            assert actual.shape == expected.shape and actual.dtype.numpy == expected.dtype
            np.testing.assert_allclose(actual.asnumpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", [mt.float16, mt.bfloat16])
def test_halves_are_added_up_in_float32(dtype: mt.DType) -> None:
    wide = np.tile(np.float32([200, -200]), 2000)
    t = Tensor(wide).astype(dtype)
    for result, expected in ((ops.var(t), 40000), (ops.std(t), 200), (ops.std(t * 2), 400),
        (ops.norm(t), np.linalg.norm(wide)),
                             (ops.norm(t.reshape(2, 2000), 2, -1),
                              np.linalg.norm(wide.reshape(2, 2000), 2, -1)),
                             (ops.norm(Tensor(np.ones((2, 70000))).astype(dtype) / 4, -np.inf),
                              17500),
                             (ops.logsumexp(Tensor(np.zeros(70000)).astype(dtype)),
                              np.log(70000))):  # fmt: skip
        assert result.dtype is dtype
        np.testing.assert_allclose(result.asnumpy().astype(np.float64), expected, rtol=1e-2)


def test_bounds_that_no_element_reaches() -> None:
    for dtype, least, greatest in (
        (mt.int8, -128, 127), (mt.uint8, 0, 255), (mt.int64, -(2**63), 2**63 - 1),
        (mt.uint64, 0, 2**64 - 1),
    ):  # fmt: skip
        t = Tensor(np.array([least, 5, greatest], dtype.numpy))
        for clip in (ops.clip, ops.clamp):
            for low in (None, least - 1, least, least + 1):
                for high in (None, greatest + 1, greatest, greatest - 1):
                    if max(low or 0, high or 0) > 2**63 - 1 and high == greatest - 1:
                        continue  # a number beyond 64 bits is no operand
                    result = clip(t, low, high)
                    expected = [
                        least + 1 if low == least + 1 else least,
                        5,
                        greatest - 1 if high == greatest - 1 else greatest,
                    ]
                    assert result.tolist() == expected and result.dtype is dtype
        for wrong in ({"min": greatest + 1}, {"max": least - 1}):
            with pytest.raises(
                OverflowError,
                match=r"^\[clip\] min and max must leave a value of \w+, from -?\d+ to \d+, got ",
            ):
                ops.clip(t, **wrong)


def test_rounding_and_mending_of_numbers_as_numpy_does() -> None:
    whole = np.array([123456789, -987654321, 15, 25, -15])
    np.testing.assert_array_equal(
        ops.round(Tensor(whole), decimals=-1).asnumpy(), np.round(whole, -1)
    )
    broken = np.array([complex(NAN, 1), complex(1, INF), complex(-INF, NAN), 2], np.complex64)
    np.testing.assert_array_equal(ops.nan_to_num(Tensor(broken)).asnumpy(), np.nan_to_num(broken))
    np.testing.assert_array_equal(
        ops.nan_to_num(Tensor(broken), 1, 2, 3).asnumpy(),
        np.nan_to_num(broken, nan=1, posinf=2, neginf=3),
    )
