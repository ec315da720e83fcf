"""How values come into a tensor, how they go out, how it prints."""

from __future__ import annotations

import array
import copy
import gc
import math
import pickle
import subprocess
import sys
import weakref

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minitensor as mt
from minitensor import Tensor, ops
from minitensor.dtype import DTYPES


@pytest.mark.parametrize(
    ("data", "dtype", "shape"),
    [
        (2.0, mt.float32, ()), (2, mt.int64, ()), (True, mt.bool_, ()), (1j, mt.complex128, ()),
        ([], mt.float32, (0,)), ([1.0, 2], mt.float32, (2,)), ([[1], [2]], mt.int64, (2, 1)),
        ([True], mt.bool_, (1,)),
        ((1, 2.5), mt.float32, (2,)), (np.float64(1), mt.float64, ()),
        (np.int8([1]), mt.int8, (1,)),
        ([np.float64(1.5)], mt.float64, (1,)), (array.array("i", [1, 2]), mt.int32, (2,)),
        (memoryview(b"ab"), mt.uint8, (2,)), (np.zeros((2, 0)), mt.float64, (2, 0)),
    ],
)  # fmt: skip
def test_what_it_is_made_from(data: object, dtype: mt.DType, shape: tuple[int, ...]) -> None:
    t = Tensor(data)
    assert (t.dtype, t.shape) == (dtype, shape)
    np.testing.assert_array_equal(t.asnumpy(), np.asarray(data))


@pytest.mark.parametrize(
    "data",
    ["a", None, {}, range(3), b"ab", {1}, object(), [[1], [1, 2]], ["a"], [None], 2**70, [2**70]],
)
def test_what_it_is_not_made_from(data: object) -> None:
    with pytest.raises((TypeError, OverflowError), match=r"^\[Tensor\] |^\[dtype\] "):
        Tensor(data)


def test_arguments() -> None:
    assert Tensor([1.7, -1.7], mt.int32).tolist() == [1, -1]
    assert Tensor(shape=(2, 3), init="ones").asnumpy().sum() == 6
    assert Tensor(shape=2, init=3, dtype=mt.int8).tolist() == [3, 3]
    assert Tensor(Tensor([1, 2]), mt.float32).dtype is mt.float32
    assert Tensor([Tensor(1.0), Tensor(2.0)]).tolist() == [1.0, 2.0]
    for dtype in (mt.float32, np.float32, np.dtype("float32"), "float32", "Float32", float):
        assert Tensor([1], dtype=dtype).dtype is mt.float32
    with pytest.raises(TypeError, match=r"^\[Tensor\] dtype must be one of .*, got 'float31'"):
        Tensor([1], dtype="float31")
    with pytest.raises(TypeError, match="init must come with shape and without data"):
        Tensor([1], init="ones")
    with pytest.raises(ValueError, match="shape"):
        Tensor([1, 2], shape=(3,))
    with pytest.raises(TypeError, match="complex"):
        Tensor([1j], mt.float32)


def self_containing() -> list[list[object]]:
    one: list[object] = []
    one.append(one)
    second: list[object] = [1.0]
    second += [second, second]
    through_a_tuple: list[object] = []
    through_a_tuple.append((through_a_tuple,))
    with_a_tensor: list[object] = [Tensor([1.0])]
    with_a_tensor.append(with_a_tensor)
    return [one, second, through_a_tuple, with_a_tensor]


@pytest.mark.parametrize("data", self_containing(), ids=["itself", "behind", "tuple", "tensor"])
def test_lists_that_contain_themselves(data: list[object]) -> None:
    for use in (Tensor, lambda d: Tensor([1.0]) + d, ops.log):
        with pytest.raises(ValueError, match="contains itself"):
            use(data)


def test_nesting_ends_where_dimensions_do() -> None:
    data: object = 1.0
    for _ in range(16):
        data = [data]
    assert Tensor(data).ndim == 16
    for deeper in ([data], (data,), [[data] * 2]):
        with pytest.raises(ValueError, match="at most 16 deep"):
            Tensor(deeper)

    class Recursive:
        def __array__(self, dtype: object = None, copy: object = None) -> object:
            return np.asarray(self)

    with pytest.raises(RecursionError):
        Tensor(Recursive())


def test_data_is_copied() -> None:
    source = np.zeros(3)
    t = Tensor(source)
    source[0] = 1
    assert t.tolist() == [0, 0, 0]
    assert Tensor(np.arange(6, dtype=">i4").reshape(2, 3)[:, ::-1]).tolist() == [
        [2, 1, 0],
        [5, 4, 3],
    ]


PRINTED = [  # value, repr, str: as MindSpore prints them
    (2.0, "Tensor(shape=[], dtype=Float32, value= 2)", "2.0"),
    (True, "Tensor(shape=[], dtype=Bool, value= True)", "True"),
    ([True, False], "Tensor(shape=[2], dtype=Bool, value= [ True, False])", "[ True False]"),
    ([1, 2, 3], "Tensor(shape=[3], dtype=Int64, value= [1, 2, 3])", "[1 2 3]"),
    ([1, 2.5], "Tensor(shape=[2], dtype=Float32, value= [ 1.00000000e+00,  2.50000000e+00])",
     "[1.  2.5]"),
    (np.float16([1.5, 2]), "Tensor(shape=[2], dtype=Float16, value= [ 1.5000e+00,  2.0000e+00])",
     "[1.5 2. ]"),
    ([[1, 2], [3, 40]], "Tensor(shape=[2, 2], dtype=Int64, value=\n[[ 1,  2],\n [ 3, 40]])",
     "[[ 1  2]\n [ 3 40]]"),
    ([], "Tensor(shape=[0], dtype=Float32, value= )", "[]"),
    (np.zeros((0, 3)), "Tensor(shape=[0, 3], dtype=Float64, value=\n)", "[]"),
    (np.arange(1001), "Tensor(shape=[1001], dtype=Int64, value= [   0,    1,    2 ...  998,  999, "
                      "1000])",
     "[   0    1    2 ...  998  999 1000]"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "long", "short"), PRINTED, ids=[p[1][:40] for p in PRINTED])
def test_printed(data: object, long: str, short: str) -> None:
    assert (repr(Tensor(data)), str(Tensor(data))) == (long, short)


def test_printed_more() -> None:
    assert str(ops.log(Tensor(2.0))) == "0.6931472"
    assert repr(ops.log(Tensor(2.0))) == "Tensor(shape=[], dtype=Float32, value= 0.693147)"
    assert "..." not in repr(Tensor(np.arange(1000)))
    assert (
        repr(Tensor([1.0], mt.bfloat16))
        == "Tensor(shape=[1], dtype=BFloat16, value= [ 1.0000e+00])"
    )
    assert f"{Tensor(2.5):.2f} {Tensor([1])}" == "2.50 [1]"


@given(st.sampled_from([d for d in DTYPES if d.name != "bfloat16"]), st.data())
def test_to_numpy_and_back(dtype: mt.DType, data: st.DataObject) -> None:
    source = data.draw(
        hnp.arrays(dtype.numpy, hnp.array_shapes(min_dims=0, min_side=0, max_dims=4, max_side=4))
    )
    t = Tensor(source)
    assert (t.shape, t.ndim, t.size, t.itemsize, t.nbytes) == (
        source.shape, source.ndim, source.size, source.itemsize, source.nbytes,
    )  # fmt: skip
    assert t.dtype is dtype
    for value in (
        t.asnumpy(), np.asarray(t), pickle.loads(pickle.dumps(t)).asnumpy(),
        copy.deepcopy(t).asnumpy(),
    ):  # fmt: skip
        assert value.dtype == source.dtype
        np.testing.assert_array_equal(value, source)
    assert str(t) == str(source)


def test_bfloat16_travels() -> None:
    t = Tensor(np.array([1.5, 2.5], ml_dtypes.bfloat16))
    assert t.dtype is mt.bfloat16
    assert pickle.loads(pickle.dumps(t)).tolist() == [1.5, 2.5]
    assert Tensor(1.5, mt.bfloat16).item() == 1.5


def test_asnumpy_shares_both_ways() -> None:
    t = Tensor([1.0, 2.0])
    view = t.asnumpy()
    view[0] = 5
    assert (t + 0).tolist() == [5, 2]
    t += 1
    assert view.tolist() == [6, 3]


def test_what_numpy_writes_after_a_call_is_not_seen_by_the_call() -> None:
    source = np.ones(1_000_000, np.float32)
    t = Tensor.from_numpy(source)
    doubled = t * 2
    source[:] = 7
    assert doubled.asnumpy().max() == 2


def test_a_numpy_view_outlives_its_tensor() -> None:
    t = ops.exp(Tensor(np.zeros(1000, np.float32)))
    view = t.asnumpy()[::2]
    del t
    gc.collect()
    others = [Tensor(np.full(1000, 9, np.float32)) for _ in range(10)]
    assert view.tolist() == [1.0] * 500 and len(others) == 10


def test_from_numpy_keeps_the_array_and_lets_it_go() -> None:
    class Watched(np.ndarray):
        pass

    source = np.arange(6.0).view(Watched)
    gone = weakref.ref(source)
    t = Tensor.from_numpy(source[::-1])
    del source
    gc.collect()
    assert t.tolist() == [5, 4, 3, 2, 1, 0] and gone() is not None
    del t
    gc.collect()
    assert gone() is None


def test_from_numpy_refuses() -> None:
    frozen = np.zeros(2)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        Tensor.from_numpy(frozen)
    with pytest.raises(TypeError, match=r"\[from_numpy\] array must be a numpy.ndarray, got list"):
        Tensor.from_numpy([1])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be one of"):
        Tensor.from_numpy(np.array(["a"]))
    with pytest.raises(TypeError, match="byte order"):
        Tensor.from_numpy(np.zeros(2, ">f4"))


def test_unaligned_memory() -> None:
    raw = np.zeros(41, np.uint8)
    odd = raw[1:].view(np.float64)
    odd[:] = [1, 2, 3, 4, 5]
    t = Tensor.from_numpy(odd)
    assert (t * 2).tolist() == [2, 4, 6, 8, 10] and ops.sum(t).item() == 15


def test_protocols() -> None:
    t = Tensor([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(np.from_dlpack(t), [[1, 2], [3, 4]])
    shared = Tensor.from_dlpack(np.arange(3.0))
    assert shared.tolist() == [0, 1, 2]
    assert np.log(t).dtype == np.float32
    assert isinstance(np.ones(2, np.float32) + Tensor([1.0, 2.0]), Tensor)
    assert np.asarray(t, dtype=np.float64).dtype == np.float64
    with pytest.raises(ValueError, match="copy must not be False"):
        t.__array__(np.float64, copy=False)
    if sys.version_info >= (3, 12):
        assert memoryview(t).tolist() == [[1, 2], [3, 4]]


def test_python_numbers() -> None:
    assert (int(Tensor(3.7)), float(Tensor([2])), complex(Tensor(1.0)), bool(Tensor([[0]]))) == (
        3, 2.0, 1 + 0j, False,
    )  # fmt: skip
    assert [10, 20, 30][Tensor(1)] == 20
    assert Tensor([[1, 2], [3, 4]]).item(1, 0) == 3
    for wrong in (
        lambda: bool(Tensor([1, 2])),
        lambda: Tensor([]).item(),
        lambda: Tensor([1, 2]).item(),
    ):
        with pytest.raises(ValueError, match="one element"):
            wrong()
    for wrong in (lambda: len(Tensor(1)), lambda: iter(Tensor(1)), lambda: [1][Tensor(0.0)]):
        with pytest.raises(TypeError):
            wrong()
    assert len({Tensor(1), Tensor(1)}) == 2


def test_python_builtins() -> None:
    t = Tensor([[1.0, 2.0], [3.0, 4.0]])
    assert 2.0 in t and 5 not in t and None not in t and "a" not in t and [1.0, 2.0] in t
    assert Tensor(3) in [Tensor(3)] and float("nan") not in Tensor([float("nan")])
    for value in (-2.7, 2.5, 3.0):
        for function in (math.trunc, math.floor, math.ceil):
            result = function(Tensor([value], mt.float64))
            assert result == function(value) and type(result) is int
    large = 2**62 + 1  # which no float is
    assert (
        math.trunc(Tensor(large)) == math.floor(Tensor(large)) == math.ceil(Tensor(large)) == large
    )
    with pytest.raises(ValueError, match=r"^\[floor\] the tensor must have one element"):
        math.floor(t)
    assert round(Tensor(2.6)).item() == 3 and Tensor([0, 2]).logical_not().tolist() == [True, False]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_an_item_is_pythons(dtype: mt.DType) -> None:
    largest = {
        "b": True, "i": -(2 ** (8 * dtype.itemsize - 1)), "u": 2 ** (8 * dtype.itemsize) - 1,
        "f": -0.5, "c": 1 - 2j,
    }[dtype.kind]
    item = Tensor([[largest]], dtype).item()
    assert item == largest and type(item) is type(largest)


def test_copies_are_copies() -> None:
    t = Tensor([1.0, 2.0])
    for other in (t.copy(), copy.copy(t), copy.deepcopy(t), Tensor(t)):
        other += 1
    assert t.tolist() == [1, 2]
    pair = copy.deepcopy([t, t])
    assert pair[0] is pair[1]


def test_sizes_that_no_memory_has() -> None:
    """2**72 bytes and 2**52 bytes: more than an address space of 2**47 holds."""
    huge = Tensor(0.0)._view((2**40, 2**30), (0, 0), 0)
    with pytest.raises(MemoryError, match=r"^\[add\] no memory for \d+ bytes on CPU"):
        huge + 1
    with pytest.raises(MemoryError):
        Tensor(0.0)._view((2**50,), (0,), 0) + 1  # more than any address space
    assert (Tensor(1.0) + 1).item() == 2


def test_leaves_nothing_on_stderr_at_exit() -> None:
    program = """
import numpy as np
from minitensor import Tensor, ops
keep = Tensor.from_numpy(np.ones(100))
view = ops.exp(Tensor(np.ones(2_000_000))).asnumpy()
queue = [ops.log(Tensor(np.ones(1_000_000))) for _ in range(20)]
failed = Tensor([1]) // Tensor([0])
try:
    failed.asnumpy()  # an error that nothing reads is told
except ZeroDivisionError:
    pass
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
