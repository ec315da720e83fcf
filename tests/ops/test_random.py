"""Random numbers: reproducible, and different in every process of a family."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minitensor as mt
from minitensor import Tensor, ops
from minitensor.ops import random


def in_a_child(function: Callable[[], Any]) -> bytes:
    """Return what `function` returns in a forked child."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, repr(function()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as result:
        drawn = result.read()
    os.waitpid(pid, 0)
    assert drawn, "the child failed"
    return drawn


def test_the_seed_and_the_number_of_calls_decide() -> None:
    def draw() -> list[Any]:
        ops.set_seed(7)
        return [ops.rand(3).tolist(), ops.randn(2).tolist(), ops.randint(0, 100, (2,)).tolist(),
            ops.randperm(5).tolist(),
                ops.normal((2,), 1.0, 2.0).tolist(), ops.uniform((2,), 1, 2).tolist(),
                ops.bernoulli(Tensor([1.0] * 8)).tolist(),
                ops.multinomial(Tensor([1.0, 1.0, 8.0]), 5).tolist()]  # fmt: skip

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
        (ops.rand(n), 0.5, 12**-0.5), (ops.randn(n), 0, 1), (ops.normal((n,), 3.0, 2.0), 3, 2),
        (ops.uniform((n,), -1.0, 3.0), 1, 4 / 12**0.5),
        (ops.randint(0, 10, (n,)) * 1.0, 4.5, (99 / 12) ** 0.5),
        (ops.bernoulli(ops.ones(n), 0.25), 0.25, 0.1875**0.5),
    ]:  # fmt: skip
        value = t.asnumpy()
        assert abs(value.mean() - mean) < 5 * deviation / n**0.5
        assert abs(value.std() - deviation) < 0.05 * deviation
    assert sorted(ops.randperm(100).tolist()) == list(range(100))
    drawn = ops.multinomial(Tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]), 4)
    assert drawn.tolist() == [[1] * 4, [0] * 4]
    assert sorted(ops.multinomial(Tensor([1.0, 2.0, 3.0]), 3, replacement=False).tolist()) == [
        0,
        1,
        2,
    ]


def test_shapes_and_dtypes() -> None:
    assert ops.rand(2, 3).shape == ops.rand((2, 3)).shape == (2, 3)
    assert (
        ops.rand(2, dtype=mt.float64).dtype is mt.float64
        and ops.randn(2, dtype="float16").dtype is mt.float16
    )
    assert ops.randint(0, 5, 3, dtype=mt.int8).dtype is mt.int8 and ops.rand(()).shape == ()
    assert (
        ops.rand_like(Tensor([1.0])).shape == (1,)
        and ops.randint_like(Tensor([1, 2]), 0, 2).dtype is mt.int64
    )
    assert ops.randn_like(Tensor(np.zeros((2, 2)))).dtype is mt.float64


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ops.randint(5, 5, 2), lambda: ops.rand(-1), lambda: ops.rand(2, dtype=mt.int32),
        lambda: ops.set_seed(-1), lambda: ops.set_seed("a"),
        lambda: ops.bernoulli(Tensor([1.0]), 1.5), lambda: ops.uniform((2,), 2, 1),
        lambda: ops.normal((2,), 0, -1.0), lambda: ops.randperm("a"),
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
    runs = [
        subprocess.run(
            [sys.executable, "-c", FAMILY], capture_output=True, text=True, timeout=60, check=True
        ).stdout
        for _ in range(2)
    ]
    lines = runs[0].split("\n")[:-1]
    assert len(lines) == 2 + 4 + 8 + 1 == len(set(lines))
    assert runs[0] == runs[1]


def test_without_a_seed_every_program_draws_its_own() -> None:
    program = "from minitensor import ops; print(ops.rand(4).tolist())"
    assert (
        len(
            {
                subprocess.run(
                    [sys.executable, "-c", program], capture_output=True, text=True, check=True
                ).stdout
                for _ in range(2)
            }
        )
        == 2
    )


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


def test_forks_at_once_from_several_threads_get_numbers_of_their_own() -> None:
    for trial in range(25):
        ops.set_seed(trial)
        drawn: list[bytes] = []
        gate = threading.Barrier(4)

        def child(gate: threading.Barrier = gate, drawn: list[bytes] = drawn) -> None:
            gate.wait(30)
            drawn.append(in_a_child(lambda: ops.rand(4).tolist()))

        threads = [threading.Thread(target=child) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(drawn) == 4 == len(set(drawn))


# A program of its own.  Between our hook and the fork itself a hook of another library forks, as a
# signal handler may; the child of that inner fork comes out in the middle of the outer one, and
# finishes it for itself.
INSIDE = """
import os, sys
from minitensor import fork, ops
from minitensor.ops import random
ops.set_seed(4)
inner = []
def forks_itself():
    if not inner:
        inner.append(None)
        pid = os.fork()
        inner.append(pid)
        if pid:
            os.waitpid(pid, 0)
# A level below that of the random numbers: it runs after theirs.
fork.register(before=forks_itself, level=2)
pid = os.fork()
if pid:
    os.waitpid(pid, 0)
os.write(1, f"{ops.rand(4).tolist()}\\n".encode())
assert not random._forks_under_way()
os._exit(0)
"""


def test_forks_inside_forks_get_numbers_of_their_own() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INSIDE], capture_output=True, text=True, timeout=60
    )
    lines = done.stdout.splitlines()
    assert (done.stderr, len(lines), len(set(lines))) == ("", 4, 4)


def test_a_fork_that_fails_has_used_up_its_number() -> None:
    def child() -> bytes:
        return in_a_child(lambda: ops.rand(4).tolist())

    ops.set_seed(6)
    first, second = child(), child()
    ops.set_seed(6)
    random._before_fork()
    random._after_in_parent()  # as the interpreter calls them around a fork that failed
    assert child() == second != first
    assert not random._forks_under_way()


def test_looking_at_the_state_takes_nothing() -> None:
    ops.set_seed(9)
    ops.rand(1)
    assert ops.get_rng_state() == ops.get_rng_state() == (ops.get_rng_state()[0], 1, 0)
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            ops.get_rng_state()

    thread = threading.Thread(target=look)
    interval = sys.getswitchinterval()
    # so that threads change places in the middle of a step, if it has one
    sys.setswitchinterval(1e-6)
    thread.start()
    try:
        drawn = [next(random._generator().count) for _ in range(20_000)]
    finally:
        stop.set()
        thread.join(60)
        sys.setswitchinterval(interval)
    assert drawn == list(range(1, 20_001))


def test_seed_begins_anew() -> None:
    seeds = {ops.seed(), ops.seed()}
    assert len(seeds) == 2 and ops.initial_seed() == ops.get_seed() and ops.initial_seed() in seeds
    first = ops.rand(3).tolist()
    ops.set_seed(ops.initial_seed())
    assert ops.rand(3).tolist() == first


@pytest.mark.parametrize("dtype", [mt.float16, mt.bfloat16, mt.float32, mt.float64])
def test_uniform_numbers_stay_below_one(dtype: mt.DType) -> None:
    ops.set_seed(1)
    value = ops.rand(200_000, dtype=dtype).asnumpy().astype(np.float64)
    assert value.min() >= 0 and value.max() < 1 and abs(value.mean() - 0.5) < 0.005


def test_the_widest_integers() -> None:
    ops.set_seed(1)
    wide = ops.randint(2**63, 2**64, 1000, dtype=mt.uint64).asnumpy()
    assert wide.min() >= 2**63 and len(set(wide.tolist())) == 1000
    assert ops.randint(-(2**63), 2**63, 1000).asnumpy().min() < -(2**62)


def test_tensors_as_parameters() -> None:
    ops.set_seed(1)
    t = ops.normal((20_000, 1), Tensor([0.0, 100.0]), Tensor([1.0, 3.0])).asnumpy()
    assert t.shape == (20_000, 2) and t.dtype == np.float32
    assert np.abs(t.mean(0) - [0, 100]).max() < 0.15 and np.abs(t.std(0) - [1, 3]).max() < 0.1
    assert abs(np.corrcoef(t.T)[0, 1]) < 0.05  # each place has a number of its own
    u = ops.uniform((1000,), Tensor([1.0] * 1000), 2.0).asnumpy()
    assert u.min() >= 1 and u.max() <= 2
    assert ops.bernoulli(ops.zeros((3, 2)), Tensor([0.0, 1.0])).tolist() == [[0, 1]] * 3
    assert Tensor([1.0, 1.0]).bernoulli(1.0).tolist() == [1, 1] and Tensor([0.0, 1.0]).multinomial(
        2
    ).tolist() == [1, 1]


def test_numbers_are_drawn_where_the_parameters_are() -> None:
    t = Tensor([1.0, 2.0], device="Ascend")
    for drawn in (
        ops.rand_like(t), ops.randn_like(t), ops.randint_like(t, 0, 3), ops.normal((2,), t),
        ops.bernoulli(t),
    ):  # fmt: skip
        assert drawn.device == "Ascend:0"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: ops.rand(2, seed="a"), lambda: ops.randn(2, seed=-1),
        lambda: ops.rand(2, seed=True), lambda: ops.set_rng_state((1, 2)),
        lambda: ops.set_rng_state((1 << 140, 0, 0)), lambda: ops.randint(0, 1000, 3, dtype=mt.int8),
        lambda: ops.randint(0, 2**70, 2),
        lambda: ops.randint(-1, 2, 2, dtype=mt.uint8), lambda: ops.randint(0, 5, 2, dtype=mt.bool_),
        lambda: ops.randperm(300, dtype=mt.int8),
        lambda: ops.uniform((2,), float("nan"), 1.0), lambda: ops.uniform((2,), 0.0, float("inf")),
        lambda: ops.normal((2,), 0.0, float("nan")),
        lambda: ops.bernoulli(Tensor([1.0, 1.0]), Tensor([[0.5], [0.5]])),
        lambda: ops.bernoulli(Tensor([1.0, 1.0]), Tensor([0.5] * 3)),
        lambda: ops.multinomial(Tensor([1.0]), (1, 2)), lambda: ops.normal((2,), "a"),
        lambda: ops.uniform((2,), 0.5, 9.5, dtype=mt.int32),
    ],
)  # fmt: skip
def test_more_mistakes_rise_at_the_call(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^\[\w+\] (?!.*issued at)"):
        wrong()


def test_parameters_in_tensors_are_looked_at_where_the_result_is_read() -> None:
    for drawn in (ops.bernoulli(Tensor([1.0, 1.0]), Tensor([2.0, 0.0])),
        ops.normal((2,), 0.0, Tensor([-1.0, 1.0])),
                  ops.uniform((2,), Tensor([1.0, 2.0]), 1.5)):  # fmt: skip
        with pytest.raises(ValueError, match=r"^\[\w+\] .*issued at .*test_random.py"):
            drawn.asnumpy()
