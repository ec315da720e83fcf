"""Random numbers: reproducible, and different in every process of a family."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import minitensor as mt
from minitensor import Tensor, ops


def test_the_seed_and_the_number_of_calls_decide() -> None:
    def draw() -> list[Any]:
        ops.set_seed(7)
        return [ops.rand(3).tolist(), ops.randn(2).tolist(), ops.randint(0, 100, (2,)).tolist(), ops.randperm(5).tolist(),
                ops.normal((2,), 1.0, 2.0).tolist(), ops.uniform((2,), 1, 2).tolist(),
                ops.bernoulli(Tensor([1.0] * 8)).tolist(), ops.multinomial(Tensor([1.0, 1.0, 8.0]), 5).tolist()]  # fmt: skip

    first = draw()
    assert first == draw()
    assert ops.rand(3).tolist() != first[0]
    ops.manual_seed(8)
    assert ops.rand(3).tolist() != first[0]
    assert ops.get_seed() == 8
    state = ops.get_rng_state()
    following = ops.rand(3).tolist()
    ops.set_rng_state(state)
    assert ops.rand(3).tolist() == following
    assert ops.rand(3, seed=5).tolist() == ops.rand(3, seed=5).tolist()


def test_distributions() -> None:
    ops.set_seed(1)
    n = 20_000
    for t, mean, deviation in [
        (ops.rand(n), 0.5, 12**-0.5), (ops.randn(n), 0, 1), (ops.normal((n,), 3.0, 2.0), 3, 2), (ops.uniform((n,), -1.0, 3.0), 1, 4 / 12**0.5),
        (ops.randint(0, 10, (n,)) * 1.0, 4.5, (99 / 12) ** 0.5), (ops.bernoulli(ops.ones(n), 0.25), 0.25, 0.1875**0.5),
    ]:  # fmt: skip
        value = t.asnumpy()
        assert abs(value.mean() - mean) < 5 * deviation / n**0.5
        assert abs(value.std() - deviation) < 0.05 * deviation
    assert sorted(ops.randperm(100).tolist()) == list(range(100))
    drawn = ops.multinomial(Tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]), 4)
    assert drawn.tolist() == [[1] * 4, [0] * 4]
    assert sorted(ops.multinomial(Tensor([1.0, 2.0, 3.0]), 3, replacement=False).tolist()) == [0, 1, 2]


def test_shapes_and_dtypes() -> None:
    assert ops.rand(2, 3).shape == ops.rand((2, 3)).shape == (2, 3)
    assert ops.rand(2, dtype=mt.float64).dtype is mt.float64 and ops.randn(2, dtype="float16").dtype is mt.float16
    assert ops.randint(0, 5, 3, dtype=mt.int8).dtype is mt.int8 and ops.rand(()).shape == ()
    assert ops.rand_like(Tensor([1.0])).shape == (1,) and ops.randint_like(Tensor([1, 2]), 0, 2).dtype is mt.int64
    assert ops.randn_like(Tensor(np.zeros((2, 2)))).dtype is mt.float64


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ops.randint(5, 5, 2), lambda: ops.rand(-1), lambda: ops.rand(2, dtype=mt.int32), lambda: ops.set_seed(-1), lambda: ops.set_seed("a"),
        lambda: ops.bernoulli(Tensor([1.0]), 1.5), lambda: ops.uniform((2,), 2, 1), lambda: ops.normal((2,), 0, -1.0), lambda: ops.randperm("a"),
        lambda: ops.multinomial(Tensor([1.0]), 2, replacement=False),
    ],
)  # fmt: skip
def test_mistakes_rise_at_the_call(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^\[\w+\] "):
        wrong()


def test_weights_are_looked_at_where_the_result_is_read() -> None:
    with pytest.raises(ValueError, match=r"^\[multinomial\] weights must be"):
        ops.multinomial(Tensor([-1.0, 2.0]), 1).asnumpy()


FAMILY = """
import os, sys
from minitensor import ops
ops.set_seed(3)
first = ops.rand(4).tolist()
def family(depth):
    for _ in range(2):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(1, (repr(ops.rand(4).tolist()) + chr(10)).encode())
            if depth:
                family(depth - 1)
            os._exit(0)
        os.waitpid(pid, 0)
family(2)
print(repr(ops.rand(4).tolist()))
"""


def test_every_process_of_a_family_draws_its_own_and_the_same_again() -> None:
    runs = [subprocess.run([sys.executable, "-c", FAMILY], capture_output=True, text=True, timeout=60, check=True).stdout for _ in range(2)]
    lines = runs[0].split("\n")[:-1]
    assert len(lines) == 2 + 4 + 8 + 1 == len(set(lines))
    assert runs[0] == runs[1]


def test_without_a_seed_every_program_draws_its_own() -> None:
    program = "from minitensor import ops; print(ops.rand(4).tolist())"
    assert len({subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout for _ in range(2)}) == 2


def test_a_fork_leaves_the_parents_numbers_alone() -> None:
    ops.set_seed(11)
    ops.rand(2)
    expected = ops.rand(2).tolist()
    ops.set_seed(11)
    ops.rand(2)
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    assert ops.rand(2).tolist() == expected
