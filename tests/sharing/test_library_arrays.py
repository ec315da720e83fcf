"""Frames, tables and tensors of other libraries travel in shared memory; each where it is there."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from family import stats

from minitensor.multiprocessing.reductions import dumps

N = 50_000


def travelled(value: Any, most: int = 4000) -> Any:
    """Return what arrives of a value whose message has at most so many bytes."""
    message = bytes(dumps(value))
    assert len(message) <= most
    return pickle.loads(message)


def test_no_library_is_imported() -> None:
    program = (
        "import sys, numpy as np, minitensor.multiprocessing as mp\n"
        "queue = mp.Queue()\n"
        "queue.put(np.zeros(50_000))\n"
        "queue.get()\n"
        "print(sorted({'torch', 'jax', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60).stdout == "[]\n"


def test_pandas() -> None:
    pd = pytest.importorskip("pandas")
    whole = pd.DataFrame(np.arange(6.0 * N).reshape(-1, 3), columns=list("abc"))
    mixed = pd.DataFrame(
        {
            "number": np.arange(N),
            "time": pd.date_range("2020", periods=N, freq="s"),
            "kind": pd.Categorical(["x", "y"] * (N // 2)),
        }
    )
    for frame in (whole, mixed, whole[::2], whole["b"], whole.T):
        there = travelled(frame)
        assert type(there) is type(frame) and there.equals(frame)
    there = travelled(whole)
    there.iloc[0, 0] = 5
    there += 1
    assert (there.iloc[0, 0], whole.iloc[0, 0]) == (6, 0)


def test_pyarrow() -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"a": np.arange(N), "s": ["abc"] * N})
    before = stats()["blocks"]
    there = travelled(table)
    assert there.equals(table) and stats()["blocks"] == before + 3
    part = there.slice(5, 10)
    del there
    assert part.to_pydict()["s"] == ["abc"] * 10


def test_torch() -> None:
    torch = pytest.importorskip("torch")
    for t in (
        torch.arange(float(N)),
        torch.ones(N, dtype=torch.bfloat16),
        torch.ones(300, 400).T,
        torch.ones(300, 400)[:, ::2],
        torch.ones(5),
        torch.empty(0, 3),
        torch.tensor(2.0),
        torch.ones(N, requires_grad=True),
        torch.nn.Parameter(torch.ones(N)),
        torch.zeros(5 * N)[7:10],
    ):
        there = travelled(t)
        assert type(there) is type(t) and torch.equal(there, t)
        assert (there.dtype, there.requires_grad) == (t.dtype, t.requires_grad)
        assert there.stride() == t.stride() or not there.is_contiguous() or t.stride() == (400, 2)
        with torch.no_grad():
            there += 1
            assert not there.numel() or not torch.equal(there, t)
    whole = torch.zeros(N)
    first, part, again = travelled((whole, whole[10:], whole))
    first[20] = 5
    assert first is again and float(part[10]) == 5 and float(whole[20]) == 0
    layer = torch.nn.Linear(300, 300)
    there = travelled(layer)
    assert all(torch.equal(a, b) for a, b in zip(there.parameters(), layer.parameters()))


def test_torch_sends_what_it_shares_and_refuses() -> None:
    torch = pytest.importorskip("torch")
    shared = torch.zeros(N).share_memory_()
    there = travelled(shared)
    there[3] = 5
    assert there.is_shared() and float(shared[3]) == 5
    with pytest.raises(RuntimeError, match="requires_grad"):
        dumps(torch.ones(N, requires_grad=True) * 2)
    lazy = torch.ones(N, dtype=torch.complex64).conj()
    assert torch.equal(travelled(lazy, 10 * N), lazy)
    sparse = torch.eye(3).to_sparse()
    assert torch.equal(travelled(sparse).to_dense(), torch.eye(3))


def test_jax() -> None:
    jax = pytest.importorskip("jax")
    for x in (
        jax.numpy.arange(float(N)),
        jax.numpy.ones((300, 400), jax.numpy.bfloat16),
        jax.numpy.ones(3),
        jax.random.key(1),
    ):
        there = travelled(x)
        assert type(there) is type(x) and there.dtype == x.dtype and bool((there == x).all())
    weak = jax.numpy.full(N, 2.0) * 1
    assert travelled(weak, 10 * N).aval.weak_type == weak.aval.weak_type
