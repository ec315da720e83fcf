"""Every op of the table on every backend against NumPy.

A new row of the table is tested by what stands here: hypothesis draws dtypes, shapes that
broadcast, layouts (contiguous, every other element, backwards, transposed, stride 0), values (NaN,
infinities and signed zeros among them), 0-d and empty tensors.  What NumPy computes from operands
that were promoted by the rule in `dtype.py` is what has to come out.  To run the suite on another
backend, add its name to BACKENDS.  Each op is computed alone, and between others that wait in the
queue with it, where fusion makes one pass of them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy_backend import NumPyBackend
from queueing import queued

from minitensor import Tensor, backend, dtype, ops
from minitensor.backend import settings
from minitensor.backend.host_tasks import numpy_function
from minitensor.dtype import DTYPES, DType
from minitensor.optable import ELEMENTWISE, OPS, REDUCTIONS, Op

backend.register(NumPyBackend)
# the CPU with each of its instruction sets
BACKENDS = [*(f"CPU {isa}" for isa in settings.isa_names()), "Ascend", "NumPy"]
KERNEL_FREE = {"bfloat16"}  # NumPy's own functions do not know it: see test_bfloat16
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0]


@pytest.fixture
def device(request: pytest.FixtureRequest, ascend_of_this_process: None) -> Iterator[str]:
    name, _, isa = request.param.partition(" ")
    before = settings.isa()
    settings.set_isa(isa or before)
    yield name
    settings.set_isa(before)


def input_dtypes(op: Op, first: bool = False) -> list[DType]:
    """Return the dtypes that can become a compute dtype of a kind that the op allows."""
    if op.rule == "where" and first:
        return [dtype.bool_]
    allowed = []
    for d in DTYPES:
        compute = (
            dtype.to_float(d)
            if op.rule in ("float", "test")
            else dtype.bool_
            if op.rule == "logical"
            else d
        )
        if op.rule == "sum" and d.kind == "b":
            compute = dtype.int64
        if compute.kind in op.kinds and d.name not in KERNEL_FREE and (d.kind != "c" or op.complex):
            allowed.append(d)
    return allowed


def elements(op: Op, d: DType) -> st.SearchStrategy:
    if d.kind == "b":
        return st.booleans()
    low, high = op.domain or (-50, 50)
    if d.kind in "iu":
        if op.name in ("pow", "bitwise_left_shift", "bitwise_right_shift"):
            return st.integers(0, 12)
        if op.name in ("floor_divide", "remainder", "fmod"):
            return (
                st.integers(1, 100)
                if d.kind == "u"
                else st.integers(1, 100) | st.integers(-100, -1)
            )
        info = np.iinfo(d.numpy)
        if op.rule in ("float", "test"):  # as far as float32 counts exactly, and inside the domain
            return st.integers(
                max(int(np.ceil(low)), info.min, -1000), min(int(high), info.max, 1000)
            )
        return st.integers(int(info.min), int(info.max))
    width = {"float16": 16, "float32": 32}.get(d.name, 64)
    if d.name == "float16":
        low, high = max(low, -100), min(high, 100)
    if d.kind == "c":
        part = st.floats(
            float(np.float32(max(low, -5))), float(np.float32(min(high, 5))), width=32,
            allow_subnormal=False,
        )  # fmt: skip
        return st.builds(complex, part, part)
    if 0 < low < np.finfo(d.numpy).tiny:
        low = np.finfo(d.numpy).tiny
    low, high = float(d.numpy.type(low)), float(d.numpy.type(high))
    return st.floats(low, high, width=width, allow_subnormal=False) | st.sampled_from(SPECIAL)


LAYOUTS = {
    "contiguous": lambda a: a,
    "every other": lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim else a,
    "backwards": lambda a: np.ascontiguousarray(a[::-1])[::-1] if a.ndim else a,
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "inside": lambda a: np.pad(a, 1)[(slice(1, -1),) * a.ndim] if a.ndim else a,
    "stride 0": lambda a: np.broadcast_to(a[:1].copy(), a.shape) if a.ndim and a.shape[0] else a,
}


def on_device(array: np.ndarray, device: str) -> Tensor:
    """Return a tensor of the same layout as an array, on a copy of the array's base."""
    base = array if array.base is None else array.base
    if base.flags.c_contiguous and base.dtype == array.dtype and array.size:
        offset = array.__array_interface__["data"][0] - base.__array_interface__["data"][0]
        return Tensor(base, device=device)._view(array.shape, array.strides, offset)
    return Tensor(array, device=device)


@st.composite
def operands(draw: st.DrawFn, op: Op, shapes: tuple[tuple[int, ...], ...]) -> list[np.ndarray]:
    arrays = []
    for i, shape in enumerate(shapes):
        d = draw(st.sampled_from(input_dtypes(op, i == 0)))
        values = draw(hnp.arrays(d.numpy, shape, elements=elements(op, d)))
        arrays.append(LAYOUTS[draw(st.sampled_from(list(LAYOUTS)))](values))
    return arrays


def types(arrays: list[np.ndarray]) -> list[DType]:
    return [dtype.from_numpy(a.dtype) for a in arrays]


def oracle(op: Op, arrays: list[np.ndarray], **params: object) -> np.ndarray:
    first = 1 if op.rule == "where" else 0
    compute, *rest = types(arrays)[first:]
    for t in rest:
        compute = dtype.promote(compute, t)
    if op.rule in ("float", "test"):
        compute = dtype.to_float(compute)
    elif op.rule == "logical":
        compute = dtype.bool_
    elif op.rule == "sum":
        compute = {"b": dtype.int64, "i": dtype.int64, "u": dtype.uint64}.get(compute.kind, compute)
    exact = compute
    if (
        op.reduction
        and compute.name in ("float32", "float16")
        and op.name in ("sum", "mean", "prod", "var", "std")
    ):
        exact = dtype.float64
    with np.errstate(all="ignore"):
        cast = [a if i < first else a.astype(exact.numpy) for i, a in enumerate(arrays)]
        result = np.asarray(numpy_function(op)(*cast, **params))
        if op.rule in ("compare", "logical", "test"):
            assert result.dtype == bool
            return result
        return result.astype(np.int64 if op.rule == "index" else compute.numpy)


def assert_same(actual: Tensor, expected: np.ndarray, ulp: int, what: object) -> None:
    value = actual.asnumpy()
    assert actual.dtype.numpy == expected.dtype, what
    assert value.shape == expected.shape, what
    if expected.dtype.kind not in "fc":
        np.testing.assert_array_equal(value, expected, err_msg=str(what))
        return
    epsilon = np.finfo(expected.dtype).eps
    tiny = float(np.finfo(expected.dtype).tiny)
    parts = (value.real, value.imag), (expected.real, expected.imag)
    if expected.dtype.kind == "c":  # the error of a part is measured by the whole number
        scale = np.abs(expected)
        finite = np.isfinite(expected)
        np.testing.assert_array_equal(np.isfinite(value), finite, err_msg=str(what))
        assert np.all(
            np.abs(value[finite] - expected[finite]) <= ulp * epsilon * scale[finite] + tiny
        ), what
        return
    np.testing.assert_allclose(
        parts[0][0], parts[1][0], rtol=ulp * epsilon, atol=tiny, equal_nan=True, err_msg=str(what)
    )


def names(table: tuple[Op, ...]) -> list[str]:
    return [op.name for op in table]


SHAPES = {
    n: hnp.mutually_broadcastable_shapes(num_shapes=n, min_side=0, max_side=4, max_dims=3).map(
        lambda s: s.input_shapes
    )
    for n in (1, 2, 3)
}


def alone(op: Op, tensors: list[Tensor], **params: Any) -> Tensor:
    return getattr(ops, op.name)(*tensors, **params)


def in_a_pass(op: Op, tensors: list[Tensor], **params: Any) -> Tensor:
    """Compute the op between other ops that wait in the queue with it."""
    with queued():
        return getattr(ops, op.name)(*[t.copy() for t in tensors], **params).copy()


WAYS = pytest.mark.parametrize("compute", [alone, in_a_pass])
DEVICES = pytest.mark.parametrize("device", BACKENDS, indirect=True)
Case = tuple[list[np.ndarray], dict[str, Any]]  # operands and parameters


@st.composite
def cases(draw: st.DrawFn, op: Op) -> Case:
    if not op.reduction:
        return draw(operands(op, draw(SHAPES[op.inputs]))), {}
    least = 1 if op.name in ("amin", "amax", "argmin", "argmax") else 0
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=least, max_side=5))
    [array] = draw(operands(op, (shape,)))
    if op.name == "prod" and array.dtype.kind in "fc":
        array = np.clip(array, -2, 2) if array.dtype.kind == "f" else array / 10
    n = array.ndim  # a layout may have one dimension more than the shape
    axis = tuple(draw(st.sets(st.integers(0, n - 1)))) if n else ()
    return [array], {"axis": axis or tuple(range(n)), "keepdims": draw(st.booleans())}


@functools.cache
def drawn(name: str) -> list[Case]:
    """Draw the cases of an op, which all its tests compute: drawing takes longer than computing."""
    found: list[Case] = []

    @given(cases(OPS[name]))
    def keep(case: Case) -> None:
        found.append(case)

    keep()
    return found


def check_each(op: Op, check: Callable[[Case], None]) -> None:
    for case in drawn(op.name):
        try:
            check(case)
        except BaseException:
            given(cases(op))(check)()  # which looks for a smaller case that fails
            raise


@WAYS
@DEVICES  # further from the function: the tests of an op follow each other
@pytest.mark.parametrize("op", ELEMENTWISE, ids=names(ELEMENTWISE))
def test_elementwise(op: Op, device: str, compute: Callable[..., Tensor]) -> None:
    def check(case: Case) -> None:
        arrays, _ = case
        if op.rule == "bitwise" and {
            dtype.promote(x, y).kind for x in types(arrays) for y in types(arrays)
        } & {"f"}:
            # uint64 with a signed one
            with pytest.raises(TypeError, match=f"^.{op.name}. not defined for float64"):
                alone(op, [on_device(a, device) for a in arrays])
            return
        actual = compute(op, [on_device(a, device) for a in arrays])
        assert actual.device.partition(":")[0] == device
        assert_same(
            actual, oracle(op, arrays), op.ulp,
            (op.name, [(a.dtype, a.shape, a.strides) for a in arrays]),
        )  # fmt: skip

    check_each(op, check)


@WAYS
@DEVICES  # further from the function: the tests of an op follow each other
@pytest.mark.parametrize("op", REDUCTIONS, ids=names(REDUCTIONS))
def test_reduction(op: Op, device: str, compute: Callable[..., Tensor]) -> None:
    def check(case: Case) -> None:
        [array], arguments = case
        actual = compute(op, [on_device(array, device)], **arguments)
        expected = oracle(op, [array], **arguments)
        if op.name not in ("sum", "mean", "var", "std") or array.dtype.kind not in "fc":
            what = (op.name, array.dtype, array.shape, array.strides, arguments)
            assert_same(actual, expected, 64, what)
            return
        # Sums cancel: what was added measures the error.  The variance of equal elements is the
        # error of their mean.
        size = np.abs(np.where(np.isfinite(array), array, 0))
        with np.errstate(all="ignore"):
            if op.name in ("sum", "mean"):
                scale = np.nansum(size, dtype=np.float64)
            else:
                scale = float(np.max(size, initial=0)) ** (2 if op.name == "var" else 1)
            np.testing.assert_allclose(
                actual.asnumpy(), expected, rtol=1e-2 if array.dtype == np.float16 else 1e-6,
                atol=np.finfo(array.dtype).eps * 8 * scale, equal_nan=True, err_msg=str(arguments),
            )  # fmt: skip
        assert actual.dtype.numpy == expected.dtype

    check_each(op, check)


@DEVICES
@pytest.mark.parametrize("source", [d for d in DTYPES if d.name != "bfloat16"], ids=str)
@pytest.mark.parametrize("target", [d for d in DTYPES if d.name != "bfloat16"], ids=str)
def test_cast(source: DType, target: DType, device: str) -> None:
    values = np.array([0, 1, 2, 3, 100]).astype(source.numpy)
    if source.kind in "if":
        values = np.concatenate([values, np.array([-1, -7]).astype(source.numpy)])
        if target.kind == "u":
            values = values[values >= 0]
    if source.kind == "c" and target.kind not in "cb":
        with pytest.raises(TypeError, match="imaginary"):
            Tensor(values, device=device).astype(target)
        return
    actual = on_device(values[::-1], device).astype(target)
    np.testing.assert_array_equal(actual.asnumpy(), values[::-1].astype(target.numpy))
    assert actual.dtype is target


@DEVICES
@pytest.mark.parametrize("name", ["log", "add", "neg", "lt", "where", "sum", "amax", "isnan"])
def test_bfloat16(name: str, device: str) -> None:
    """Compare with rounded float32: NumPy lacks bfloat16 in most functions."""
    if device == "NumPy":
        with pytest.raises(TypeError, match="got BFloat16"):
            Tensor([1.0], dtype=dtype.bfloat16, device=device)
        return
    a, b = np.array([1.5, 2.25, -3.0, 0.5], "f4"), np.array([0.5, 2.25, 7.0, -1.0], "f4")
    x, y = (Tensor(v, dtype=dtype.bfloat16, device=device) for v in (a, b))
    with np.errstate(all="ignore"):
        expected, actual = {
            "log": lambda: (np.log(a), ops.log(x)), "add": lambda: (a + b, x + y),
            "neg": lambda: (-a, -x),
            "lt": lambda: (a < b, x < y), "where": lambda: (np.where(a > 1, a, b),
                ops.where(x > 1, x, y)),
            "sum": lambda: (a.sum(), x.sum()), "amax": lambda: (a.max(), x.max()),
            "isnan": lambda: (np.isnan(a), ops.isnan(x)),
        }[name]()  # fmt: skip
    np.testing.assert_allclose(
        actual.asnumpy().astype("f4"), np.asarray(expected, "f4"), rtol=2**-7
    )
    assert actual.dtype in (dtype.bfloat16, dtype.bool_)
