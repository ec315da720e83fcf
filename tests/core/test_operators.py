"""The type under Tensor and the functions in C: what they do beside computing."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import weakref

import numpy as np
import pytest

import minitensor as mt
from minitensor import Tensor, ops, runtime
from minitensor.backend import core

NEVER_MADE = "this one was never made"


def test_a_tensor_that_was_never_made_says_so() -> None:
    t = Tensor.__new__(Tensor)
    for look in (
        "t.shape", "t.dtype", "t.ndim", "t.size", "t._ref", "t + 1", "1 + t", "t + t", "ops.log(t)",
        "t.log()", "t == t", "ops.where(t, t, t)",
    ):  # fmt: skip
        with pytest.raises(AttributeError, match=NEVER_MADE):
            eval(look, {"t": t, "ops": ops})
    with pytest.raises(TypeError):
        t.__init__({})  # type: ignore[misc]
    del t


def test_a_tensor_can_be_made_anew() -> None:
    gc.collect()  # the garbage of other tests holds memory, too
    before = runtime.memory_allocated("CPU")
    t = Tensor(np.zeros(1000))
    assert t.shape == (1000,) and t.dtype is mt.float64
    view = t[:10]
    t.__init__(np.ones((2, 3), np.int32))  # type: ignore[misc]
    assert (
        (t.shape, t.dtype, t.size, t.ndim) == ((2, 3), mt.int32, 6, 2)
        and t.sum().item() == 6
        and view.sum().item() == 0
    )
    del t, view
    assert runtime.memory_allocated("CPU") == before


def test_subclasses_weak_references_and_the_collector() -> None:
    class Named(Tensor):
        name: str

    t = Named([1.0, 2.0])
    t.name, t.itself = "x", t  # a circle
    seen: list[object] = []
    ref = weakref.ref(t, seen.append)
    assert (
        type(t + t) is Tensor
        and (t + 1).tolist() == [2, 3]
        and (2 - t).tolist() == [1, 0]
        and ops.neg(t).tolist() == [-1, -2]
    )
    assert ref() is t and hash(t) == hash(ref()) and t in {t: 1}
    del t
    gc.collect()
    assert ref() is None and len(seen) == 1


def test_nothing_is_kept() -> None:
    x, y, c = (
        Tensor(np.ones(50, np.float32)),
        Tensor(np.ones(50, np.float32)),
        Tensor(np.ones(50, bool)),
    )
    big = Tensor(np.ones(40_000, np.float32))
    things = [x, y, c, big, 0.5, 10**6, None, mt.float32, Tensor, "input"]

    def everything() -> None:
        for a in (x, big):
            for b in (a, 0.5, 10**6, np.float32(2), [2.0]):
                _ = a + b, b - a, a == b, ops.mul(a, other=b), a.add(b), ops.sub(b, a)
            _ = -a, a.log(), ops.exp(a), abs(a), a.shape, a.dtype, a.size, a.ndim, ops.exp(input=a)
        _ = ops.where(c, x, y), ops.where(c, 1.0, y), x == None  # noqa: E711
        for wrong in (lambda: ops.add(x), lambda: ops.add(x, y, x),
            lambda: ops.add(x, other=y, third=1), lambda: ops.add(x, y, input=x),
                      lambda: x.add(), lambda: ops.log(x, y), lambda: x + {},
                      lambda: ops.where(x, y), lambda: x + 10**30):  # fmt: skip
            with pytest.raises((TypeError, OverflowError)):
                wrong()
        runtime.synchronize()

    def counts() -> list[int]:
        gc.collect()  # garbage of other tests refers to None and holds memory, too
        return [runtime.memory_allocated("CPU"), *map(sys.getrefcount, things)]

    everything()
    before = counts()
    for _ in range(50):
        everything()
    after = counts()
    assert after[0] == before[0]
    # Threads of the test runner refer to None, too, and come and go: less than one in a round.
    grown = {str(thing): b - a for thing, a, b in zip(things, before[1:], after[1:])}
    assert max(map(abs, grown.values())) < 50, grown


def test_operands_are_named_and_counted() -> None:
    x = Tensor([4.0])
    assert (
        ops.sub(other=1, input=x).item() == 3
        and x.sub(other=1).item() == 3
        and ops.where(other=x, condition=x, input=1).item() == 1
    )
    for call, text in {
        "ops.add(x)": r"^\[add\] takes 'input' and 'other', got no 'other'$",
        "ops.add(x, x, x)": r"^\[add\] takes 'input' and 'other', got 3 operands$",
        "x.add(x, x)": r"^\[add\] takes 'input' and 'other', got 3 operands$",
        "ops.log()": r"^\[log\] takes 'input', got no 'input'$",
        "ops.log(x, x)": r"^\[log\] takes 'input', got 2 operands$",
        "ops.add(x, input=x)": r"^\[add\] takes 'input' and 'other', got 'input' twice$",
        "ops.add(x, x, alpha=2)": r"^\[add\] takes 'input' and 'other', not the keyword 'alpha'$",
        "ops.add(x, x, other=2)": r"^\[add\] takes 'input' and 'other', got 'other' twice$",
        "x.add(input=x)": r"^\[add\] takes 'input' and 'other', got 'input' twice$",
        "ops.where(x, x)": r"^\[where\] takes 'condition', 'input' and 'other', got no 'other'$",
        "ops.where(x, x, 'a')": r"\[where\] an operand must be tensor-like, got str",
    }.items():
        with pytest.raises(TypeError, match=text):
            eval(call, {"ops": ops, "x": x})
    for call in ("x + None", "x < {}", "'a' - x", "pow(x, 2, 3)"):
        with pytest.raises(TypeError, match="unsupported operand|not supported between"):
            eval(call, {"x": x})
    assert (x == None) is False and (x != "a") is True  # noqa: E711


def test_functions_and_methods_can_be_pickled() -> None:
    for function in (ops.log, ops.add, ops.where, ops.multiply):
        assert pickle.loads(pickle.dumps(function)) is function
    assert (
        Tensor.log(Tensor([1.0])).item() == 0 and list(map(Tensor.neg, [Tensor(1)]))[0].item() == -1
    )


def test_a_number_that_waits_in_the_queue_is_kept() -> None:
    """A busy stream keeps a task from running at its call, and so off the stack."""
    x = Tensor(np.ones(200_000))
    numbers = [1.5, 2, -3.25, 7]
    for number in numbers:
        x = x + number
    y = 1 - x * 2.0
    assert y.asnumpy()[[0, -1]].tolist() == [1 - 2 * (1 + sum(numbers))] * 2


def test_an_exception_on_its_way_up_survives_the_death_of_a_tensor() -> None:
    """Free a tensor on NumPy's memory, which calls Python, while an exception propagates."""

    class Owner(np.ndarray):
        def __del__(self) -> None:
            try:
                raise ValueError("of the owner")
            except ValueError:
                pass

    def fail() -> None:
        t = Tensor.from_numpy(np.ones(3).view(Owner))  # noqa: F841
        raise KeyError("of the function")

    with pytest.raises(KeyError, match="of the function"):
        fail()


PROGRAM = """
import os, sys, threading, time
go, at_it = threading.Event(), []

def hook():  # runs when the core's locks are taken, and lets others have the GIL
    go.set()
    deadline = time.monotonic() + 60
    while not at_it and time.monotonic() < deadline:
        time.sleep(0)  # gives the GIL to a thread that waits for it
    for _ in range(1000):
        time.sleep(0)  # until the other thread reaches the step that must not wait with the GIL

os.register_at_fork(before=hook)
import numpy as np
import minitensor
from minitensor import Tensor, ops
from minitensor.backend.core import operators
from minitensor.sharing import pickling
x, y, a = Tensor([1.0, 2.0]), Tensor([2.0, 4.0]), np.array([2.0, 4.0])
m, k = Tensor([[2.0, 4.0], [1.0, 1.0]]), Tensor([0, 1])
identity, packed = Tensor([[1.0, 0.0], [0.0, 1.0]]), bytes(pickling.reduce(y)[1][0])
junk = [Tensor([float(n)]) for n in range(100)]

def compute():
    go.wait()
    at_it.append(1)
    value = eval(sys.argv[1])
    result.append(value.tolist() if isinstance(value, (Tensor, np.ndarray)) else [2.0, 4.0])

result = []
thread = threading.Thread(target=compute)
thread.start()
pid = os.fork()
if pid == 0:
    os._exit((x + x).tolist() != [2.0, 4.0])
thread.join()
print(result, os.waitpid(pid, 0)[1])
"""


CALLS = {  # of a value [2.0, 4.0], by each file of core/python
    "op": "x + x", "death": "junk.clear()", "list": "Tensor([2.0, 4.0])", "array": "Tensor(a)",
    "copy": "y.copy()", "cast": "y.astype('float64')", "to a list": "y.tolist()",
    "to an array": "y.asnumpy()", "zeros": "ops.full(2, 3.0) - Tensor([1.0, -1.0])",
    "view": "m[0]", "index": "m[Tensor([0])][0]", "mask": "m[m > 1]", "item": "m[0, 0].item()",
    "assignment": "y.__setitem__(0, 2.0)", "join": "ops.concat([m, m])[2]",
    "reduction": "m.max(0)", "host op": "ops.inverse(identity) @ y", "product": "identity @ y",
    "gather": "ops.gather(y, k, 0)", "a message": "operators.small_message(y, 16384)",
    "a tensor of a message": "operators.small_tensor(0, packed)",
}  # fmt: skip


@pytest.mark.parametrize("what", CALLS)
def test_a_holder_of_the_gil_never_waits_for_a_fork(what: str) -> None:
    """While a fork has the locks, another hook of it wants the GIL."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, CALLS[what]], capture_output=True, text=True, timeout=60,
        env=os.environ,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "[[2.0, 4.0]] 0\n"), done.stderr


def test_the_reference_is_the_cores() -> None:
    t = Tensor([1.0])
    for wrong in (0, 1, -1, t._ref, None):
        with pytest.raises(AttributeError):
            t._ref = wrong  # type: ignore[misc, assignment]
    with pytest.raises(AttributeError):
        del t._ref
    for arguments in ((), (t,), (t, 1), (1, t), (t, t, t), (object(), object())):
        with pytest.raises(TypeError, match="two tensors"):
            core.operators.become(*arguments)
    with pytest.raises(AttributeError, match=NEVER_MADE):
        core.operators.become(t, Tensor.__new__(Tensor))
    assert (
        core.operators.become(t, Tensor([2, 3])) is t
        and t.tolist() == [2, 3]
        and t.dtype is mt.int64
    )
    assert core.operators.become(t, t) is t and t.tolist() == [2, 3]


RELOAD = """
import importlib, sys
import minitensor as mt
from minitensor import Tensor, ops
t = Tensor([1.0, 2.0])
stateful = [f"minitensor.backend.{name}"
            for name in ("extension", "base", "call_sites", "host_tasks", "core")]
for name in ("minitensor.tensor", *stateful):
    for again in (importlib.reload,
                  lambda m: (sys.modules.pop(name), importlib.import_module(name))):
        module = sys.modules[name]
        try:
            again(module)
            raise SystemExit("loaded twice")
        except ImportError as error:
            assert "can't be loaded a second time" in str(error), error
        sys.modules[name] = module
        assert (t + Tensor([1.0, 1.0])).tolist() == [2.0, 3.0] and isinstance(t + 1, mt.Tensor)
for name in [n for n in sys.modules if n.startswith("minitensor")]:
    del sys.modules[name]
try:
    import minitensor
    raise SystemExit("loaded twice")
except ImportError as error:
    assert "start a new process" in str(error), error
print(repr(ops.exp(t * 0)), t.to("CPU").device, Tensor([t, t]).shape)
"""


def test_what_keeps_the_state_is_loaded_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", RELOAD], capture_output=True, text=True, timeout=60
    )
    values = "Tensor(shape=[2], dtype=Float32, value= [ 1.00000000e+00,  1.00000000e+00])"
    assert (done.returncode, done.stdout) == (0, f"{values} CPU (2, 2)\n"), done.stderr
