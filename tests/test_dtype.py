"""Element types: names, identity, and how they promote, in Python and in the C core."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from itertools import product
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minitensor as mt
from minitensor import Tensor, dtype, ops
from minitensor.dtype import DTYPES, DType, as_dtype, from_numpy, promote, to_float

ANY = st.sampled_from(DTYPES)
PAIRS = list(product(DTYPES, DTYPES))


def expected(a: DType, b: DType) -> DType:
    """Return NumPy's promotion, but for our rules that differ from it."""
    kinds = {"integer" if d.kind in "iu" else d.kind for d in (a, b)}
    # an integer leaves the other one's dtype alone; NumPy widens it
    if kinds in ({"integer", "f"}, {"integer", "c"}):
        return a if a.kind in "fc" else b
    if "bfloat16" in (a.name, b.name):  # which NumPy does not know
        if a is b or "b" in kinds:
            return mt.bfloat16
        other = a if b is mt.bfloat16 else b
        return mt.float32 if other is mt.float16 else other
    return from_numpy(np.promote_types(a.numpy, b.numpy))


@pytest.mark.parametrize(("a", "b"), PAIRS, ids=lambda d: d.name)
def test_promotion(a: DType, b: DType) -> None:
    assert promote(a, b) is promote(b, a) is expected(a, b)


def test_the_core_promotes_alike() -> None:
    wrong = [
        (a, b)
        for a, b in PAIRS
        if ops.where(True, Tensor([1], a), Tensor([1], b)).dtype is not promote(a, b)
    ]
    assert not wrong


@given(ANY, ANY, ANY)
def test_promotion_of_three_of_one_kind_has_no_order(a: DType, b: DType, c: DType) -> None:
    kinds = {d.kind for d in (a, b, c)}
    if len(kinds - {"b"}) == 1:  # with several kinds it has one, also in the standard
        assert promote(promote(a, b), c) is promote(a, promote(b, c))


@pytest.mark.parametrize(
    ("made", "result"),
    [
        (lambda: Tensor([1], mt.int8) + 300, mt.int8),
        (lambda: Tensor([1], mt.uint8) + 1, mt.uint8), (lambda: Tensor([1]) + 2.5, mt.float32),
        (lambda: Tensor([True]) + 2, mt.int64),
        (lambda: Tensor([1.0], mt.float16) + 2.5, mt.float16),
        (lambda: Tensor([1.0], mt.bfloat16) * 2, mt.bfloat16),
        (lambda: Tensor([1.0], mt.float64) + 1j, mt.complex128),
        (lambda: Tensor([1.0]) + 1j, mt.complex64),
        (lambda: Tensor([1.0], mt.float16) + Tensor(1.0), mt.float32),
        (lambda: Tensor([1]) / Tensor([2]), mt.float32),
        (lambda: Tensor([1], mt.int8).sum(), mt.int64),
    ],
)  # fmt: skip
def test_python_numbers_are_weak_and_tensors_are_not(made: object, result: DType) -> None:
    assert made().dtype is result  # type: ignore[operator]


def test_names() -> None:
    assert repr(mt.float32) == "minitensor.float32" and str(mt.float32) == "Float32"
    assert [str(d) for d in DTYPES] == [
        "Bool", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float16",
        "BFloat16", "Float32",
        "Float64", "Complex64", "Complex128",
    ]  # fmt: skip
    for d in DTYPES:
        assert getattr(dtype, "bool_" if d.name == "bool" else d.name) is d
        assert DTYPES[d.code] is d  # the core's number
        assert d.numpy.itemsize == d.itemsize
        assert from_numpy(d.numpy) is d
        assert (d.is_floating, d.is_integer) == (d.kind == "f", d.kind in "iu")


@pytest.mark.parametrize("d", DTYPES, ids=lambda d: d.name)
def test_there_is_one_of_each(d: DType) -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(d, protocol)) is d
    assert copy.copy(d) is copy.deepcopy(d) is d
    assert len({d, as_dtype(d.name), as_dtype(str(d)), as_dtype(d.numpy)}) == 1


@pytest.mark.parametrize(
    ("named", "meant"),
    [
        ("float32", mt.float32), ("Float32", mt.float32), ("half", mt.float16),
        ("double", mt.float64), ("float", mt.float32),
        ("int", mt.int64), ("bool_", mt.bool_), (bool, mt.bool_), (int, mt.int64),
        (float, mt.float32), (complex, mt.complex128),
        (np.float64, mt.float64), (np.dtype("int16"), mt.int16), (np.bool_, mt.bool_),
        (ml_dtypes.bfloat16, mt.bfloat16),
        (np.dtype(">f4"), mt.float32), (mt.uint8, mt.uint8),
    ],
)  # fmt: skip
def test_as_dtype(named: object, meant: DType) -> None:
    assert as_dtype(named) is meant


@pytest.mark.parametrize(
    "wrong",
    [None, "float31", "", 3, 1.5, [], str, "S3", np.dtype("U2"), np.dtype("M8[s]"), object(), {}],
)
def test_what_is_no_dtype(wrong: object) -> None:
    with pytest.raises(TypeError, match=r"^\[cast\] dtype must be one of bool, int8.*, got "):
        as_dtype(wrong, "cast")


def test_what_numpy_calls_a_value_error() -> None:
    with pytest.raises(TypeError, match=r"^\[cast\] dtype must be one of "):
        as_dtype(Tensor([1]), "cast")


@pytest.mark.parametrize("wrong", ["S3", "M8[s]", "O", "longdouble", np.dtype([("a", "i4")])])
def test_what_no_tensor_holds(wrong: object) -> None:
    with pytest.raises(TypeError, match=r"^\[dtype\] dtype must be one of .*, got NumPy's "):
        from_numpy(wrong)


@given(ANY)
def test_to_float(d: DType) -> None:
    assert to_float(d) is (d if d.kind in "fc" else mt.float32)
    if d.kind != "c":
        assert ops.log(Tensor([1], d)).dtype is to_float(d)


def test_it_needs_nothing_but_the_standard_library() -> None:
    """Import it without NumPy, as setup.py does to generate the core."""
    program = (
        "import runpy, sys; names = runpy.run_path(sys.argv[1]); promote = names['promote'];"
        "assert promote(names['int8'], names['uint8']) is names['int16'];"
        "assert not {'numpy', 'ml_dtypes', 'minitensor'} & set(sys.modules), sorted(sys.modules)"
    )
    path = Path(dtype.__file__)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, path], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("d", DTYPES, ids=lambda d: d.name)
def test_numpy_knows_them(d: DType) -> None:
    assert np.dtype(d) == d.numpy and np.ones(2, dtype=d).dtype == d
    for same in (d, d.numpy, d.numpy.type, d.name, str(d)):
        assert d == same and same == d and not d != same
    assert hash(d) == hash(d.numpy) and {d.numpy: 1}[d] == 1
    for other in (
        None, "", "x", 1, float, int, object, [], *(o.numpy for o in DTYPES if o is not d),
    ):  # fmt: skip
        assert d != other and other != d
    if d.itemsize > 1 and d is not mt.bfloat16:
        assert d != d.numpy.newbyteorder()
    assert (Tensor([1], d).dtype == d.numpy) is True
