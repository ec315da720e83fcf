"""Methods that write in place have the values of their functions, and their memory is the same."""

from __future__ import annotations

import doctest
import math
from typing import Any

import numpy as np
import pytest

from minitensor import Tensor, ops
from minitensor.ops import _LATER

NAMES = _LATER["in_place"].split()
BY_HAND = ("copy_", "fill_", "normal_", "uniform_", "zero_")


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_the_help_runs(name: str) -> None:
    said: list[str] = []
    pytest.importorskip("scipy") if name in ("digamma_", "erfinv_") else None
    (test,) = doctest.DocTestFinder().find(getattr(Tensor, name), name, module=False, globs={})
    assert len(test.examples) >= 2
    doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert "".join(said) == ""


CASES: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("add_", "sub_", "mul_", "div_", "pow_", "remainder_", "fmod_"), (2,)),
    "floor_divide_": (2,),
    "clamp_": (0.3, None),
    "lerp_": (Tensor([1.0, 1.0, 1.0]), 0.5),
    "addcmul_": (Tensor([1.0, 2.0, 3.0]), Tensor([2.0, 4.0, 6.0])),
    "addcdiv_": (Tensor([1.0, 2.0, 3.0]), Tensor([2.0, 4.0, 6.0])),
    "masked_fill_": (Tensor([True, False, True]), 9.0),
    "scatter_": (1, Tensor([[1]]), Tensor([[3.0]])),
    "scatter_add_": (1, Tensor([[1]]), Tensor([[3.0]])),
    "index_add_": (Tensor([1]), Tensor([[3.0, 4.0, 5.0]]), 0),
    "addmm_": (Tensor([[1.0], [2.0]]), Tensor([[3.0, 4.0, 5.0]])),
}


@pytest.mark.parametrize("name", [n for n in NAMES if n not in BY_HAND])
def test_a_view_is_written_and_the_rest_stays(name: str) -> None:
    pytest.importorskip("scipy") if name in ("digamma_", "erfinv_") else None
    dtype = "int32" if name == "bitwise_not_" else "float32"
    values = (np.arange(1, 13).reshape(2, 6) / (1 if dtype == "int32" else 16)).astype(dtype)
    whole = Tensor(values)
    part = whole[:, ::2]
    expected = getattr(Tensor, name[:-1])(part.copy(), *CASES.get(name, ())).asnumpy()
    assert getattr(part, name)(*CASES.get(name, ())) is part
    np.testing.assert_array_equal(whole.asnumpy()[:, ::2], expected.astype(dtype))
    np.testing.assert_array_equal(whole.asnumpy()[:, 1::2], values[:, 1::2])


def test_methods_without_a_function() -> None:
    t = Tensor([1.0, 2.0, 3.0, 4.0])
    v = t[1:3]
    assert v.copy_(Tensor([7, 8])) is v and t.tolist() == [1, 7, 8, 4]
    assert v.fill_(Tensor([5.0])) is v and t.tolist() == [1, 5, 5, 4]
    assert v.zero_() is v and t.tolist() == [1, 0, 0, 4]
    ops.manual_seed(1)
    big = ops.zeros(10_000)
    assert big.uniform_(2, 3) is big and bool(((big >= 2) & (big < 3)).all())
    assert big.normal_(3, 0.5) is big
    assert abs(float(big.mean()) - 3) < 0.05 and abs(float(big.std()) - 0.5) < 0.05
    half = ops.zeros(10, dtype="float16").normal_()
    assert half.dtype == "float16" and bool((half != 0).any())


def test_assign_and_its_kin() -> None:
    t = Tensor([1.0, 2.0])
    assert ops.assign(t, Tensor([3, 4])) is t and t.tolist() == [3, 4]
    assert ops.assign_add(t, Tensor([1.0, 1.0])) is t and t.tolist() == [4, 5]
    assert ops.assign_sub(t, 2) is t and t.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: Tensor([1]).div_(2), TypeError, r"\[div_\] the result must fit"),
        (lambda: Tensor([1]).exp_(), TypeError, r"\[exp_\] the result must fit"),
        (lambda: Tensor([1.0]).add_([1.0, 2.0]), ValueError, r"\[add_\] a value of shape"),
        (lambda: Tensor([1.0]).add_("no"), TypeError, r"\[add_\] "),
        (lambda: Tensor([1.0, 2.0]).fill_(Tensor([1, 2])), ValueError, r"\[fill_\] value must be"),
        (lambda: Tensor([1]).uniform_(), TypeError, r"\[uniform_\] the tensor must be"),
        (lambda: Tensor([1]).normal_(), TypeError, r"\[normal_\] the tensor must be"),
        (lambda: ops.assign([1], 2), TypeError, r"\[assign\] variable must be a tensor"),
        (lambda: ops.assign_add(Tensor([1]), 0.5), TypeError, r"the result must fit"),
        (lambda: ops.ones(3).expand(2, 3).add_(1), ValueError, r"\[add_\] the target is"),
    ],
)
def test_errors(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_methods_chain() -> None:
    t = Tensor([math.e])
    t.log_().exp_()
    assert float(t) == pytest.approx(math.e)
