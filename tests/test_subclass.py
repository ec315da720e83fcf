"""Subclasses of Tensor keep type, attributes and sharing in pickle, copy and messages."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from subclasses import (
    Extended,
    Mixed,
    Named,
    Reduced,
    Slotted,
    Stateful,
    WithNew,
    add_to_the_first,
    describe,
)

import minitensor.multiprocessing as mp
from minitensor import Tensor
from minitensor.multiprocessing.reductions import ForkingPickler, dumps

SIZES = [3, 50_000]  # inside a message, and in the shared memory
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def message(t: Any) -> Any:
    return pickle.loads(dumps(t))


def standard_message(t: Any) -> Any:
    return pickle.loads(ForkingPickler.dumps(t))


WAYS: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, message, standard_message]
WAYS += [
    lambda t, protocol=protocol: pickle.loads(pickle.dumps(t, protocol)) for protocol in PROTOCOLS
]
IDS = ["copy", "deepcopy", "message", "standard message", *map(str, PROTOCOLS)]
way = pytest.mark.parametrize("way", WAYS, ids=IDS)
size = pytest.mark.parametrize("n", SIZES)


@way
@size
@pytest.mark.parametrize(
    "make",
    [
        lambda d: Named(d, "a"),
        lambda d: Mixed(d, "b"),
        lambda d: Slotted(d, 2.5),
        lambda d: WithNew(d, unit="m"),
    ],
    ids=["dict", "mixed", "slots", "new"],
)
def test_type_and_attributes_stay(way: Any, n: int, make: Any) -> None:
    t = make(np.ones(n, np.float32))
    other = way(t)
    assert describe(other) == describe(t) and other is not t
    other += 1  # a value of its own
    assert float(t[0]) == 1 and float(other[0]) == 2
    if isinstance(other, Slotted):
        assert other.private() == "mine" and not hasattr(other, "unset")
    if isinstance(other, Mixed):
        assert other.greet() == "hello b"


@way
def test_what_a_class_says_of_its_state_wins(way: Any) -> None:
    assert way(Stateful([1.0], "x")).name == "state of x"
    assert way(Reduced([1.0], "x")).name == "x again"
    assert hasattr(way(Extended([1.0], "x")), "protocol")


@size
def test_what_a_class_adds_to_its_reduced_form_shares_no_memory_with_a_copy(n: int) -> None:
    t = Extended(np.zeros(n), "x")
    for other in (copy.copy(t), copy.deepcopy(t)):
        other += 1
        assert type(other) is Extended and float(t[0]) == 0


@way
def test_it_may_contain_itself(way: Any) -> None:
    t = Named([1.0], "x")
    t.me, t.others = t, [t, t[:1]]  # type: ignore[attr-defined]
    other = way(t)
    if way is copy.copy:
        assert other.me is t and other.others is t.others
    else:
        assert other.me is other and other.others[0] is other and type(other.others[1]) is Tensor


def test_a_deep_copy_goes_by_its_memo() -> None:
    t = Named([1.0], "x")
    t.list = [1]  # type: ignore[attr-defined]
    a, b = copy.deepcopy([t, t])
    assert a is b and a.list == [1] and a.list is not t.list  # type: ignore[attr-defined]
    assert copy.copy(t).list is t.list  # type: ignore[attr-defined]


@pytest.mark.parametrize("way", [message, standard_message])
@size
def test_views_in_one_message_stay_views(way: Any, n: int) -> None:
    t = Named(np.zeros(n, np.float32), "x")
    for things in ([t, t[: n - 1]], [t[: n - 1], t], [t, t, t[: n - 1]]):
        arrived = way(things)
        arrived[0][0] = 5.0
        assert float(arrived[1][0]) == float(arrived[-1][0]) == 5 and float(t[0]) == 0


def test_no_bytes_are_copied_in_a_message() -> None:
    t = Named(np.zeros(50_000, np.float32), "x")
    first = message(t)
    places = {np.asarray(one).ctypes.data for one in (t, first, message(first))}
    assert len(places) == 1
    t.share_memory_()
    other = standard_message(t)
    other += 1
    assert other.is_shared() and type(other) is Named and float(other[7]) == float(t[7]) == 1


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
@pytest.mark.parametrize("package", [mp, multiprocessing], ids=["ours", "standard"])
def test_through_a_pool_and_back(method: str, package: Any) -> None:
    things = [
        Named(np.zeros(50_000, np.float32), "x"),
        Slotted(np.ones(3, np.float32), 2.0),
        WithNew([1.0], unit="m"),
    ]
    shared = Mixed(np.zeros(10, np.float32), "shared").share_memory_()
    with package.get_context(method).Pool(1) as pool:
        told = pool.apply(add_to_the_first, (things,))
        assert told[0] == ("Named", (50_000,), "float32", 50_000.0, {"name": "x"}) and told[
            1:3
        ] == [describe(t) for t in things[1:]]
        assert [describe(t) for t in told[3:]] == told[:3] and float(things[0].sum()) == 0
        pool.apply(add_to_the_first, ([shared],))
    assert float(shared.sum()) == 10


MAIN = """
import sys
import minitensor.multiprocessing as mp
from minitensor import Tensor

class Mine(Tensor):
    pass

def work(t, answers):
    t.seen = True
    answers.put(t)

if __name__ == "__main__":
    ctx = mp.get_context(sys.argv[1])
    answers = ctx.Queue()
    t = Mine([1.0, 2.0]); t.name = "main"
    process = ctx.Process(target=work, args=(t, answers))
    process.start()
    u = answers.get(timeout=60)
    process.join()
    print(type(u) is Mine, u.name, u.seen, u.tolist())
"""


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_a_class_of_main(method: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(MAIN)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, program, method]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)
    assert done.stdout == "True main True [1.0, 2.0]\n", done.stderr


def test_a_class_that_can_not_be_found_is_refused_at_the_sender() -> None:
    class Local(Tensor):
        pass

    before = mp.sharing_stats()["in_flight"]
    for way in WAYS[2:]:
        with pytest.raises((pickle.PicklingError, AttributeError), match="Local"):
            way(Local(np.zeros(50_000)))
    assert mp.sharing_stats()["in_flight"] == before
    assert type(copy.copy(Local([1]))) is type(copy.deepcopy(Local([1]))) is Local


def test_ops_give_plain_tensors() -> None:
    t = Named([1.0], "x")
    assert type(t + t) is type(t[0]) is type(t.copy()) is type(t.sum()) is Tensor
    t += 1
    assert type(t) is Named
