"""What every op goes through, whatever it computes."""

from __future__ import annotations

import gc
from collections.abc import Callable

import numpy as np
import pytest

from minitensor import Tensor, ops, runtime

x, v, i = Tensor(np.eye(64) * 4 + 0.1), Tensor(np.arange(64.0)), Tensor(np.arange(64))
f, h, c = (
    Tensor(np.full((64, 64), 0.5, np.float32)),
    Tensor(np.ones((64, 64), np.float16)),
    Tensor(np.ones((64, 64), np.complex64)),
)
BY_THE_HOST: dict[str, Callable[[], object]] = {
    "cholesky": lambda: ops.cholesky(x), "inverse": lambda: ops.inverse(x),
    "det": lambda: ops.det(x), "solve": lambda: ops.solve(x, x),
    "qr": lambda: ops.qr(x), "svd": lambda: ops.svd(x), "matmul": lambda: ops.matmul(x, x),
    "matmul of halves": lambda: ops.matmul(h, h),
    "einsum": lambda: ops.einsum("ij,jk->ik", x, x), "outer": lambda: ops.outer(v, v),
    "tensordot": lambda: ops.tensordot(x, x, 1),
    "exp of halves": lambda: ops.exp(h), "add of complex": lambda: c + c,
    "sum of halves": lambda: h.sum(), "median": lambda: ops.median(x),
    "sort": lambda: ops.sort(x), "topk": lambda: ops.topk(x, 3), "unique": lambda: ops.unique(i),
    "take": lambda: ops.take(x, i),
    "index": lambda: x[i], "mask": lambda: x[x > 1],
    "setitem": lambda: x.copy().__setitem__(i, 1.0), "pad": lambda: ops.pad(x, [1, 1]),
    "searchsorted": lambda: ops.searchsorted(v, v),
    "repeat": lambda: ops.repeat_interleave(x, 2, 0), "randn": lambda: ops.randn(64, 64),
    "randperm": lambda: ops.randperm(64), "bernoulli": lambda: ops.bernoulli(f),
    "cross_entropy": lambda: ops.cross_entropy(f, i),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_THE_HOST)
def test_memory_goes_with_the_last_reference_and_not_with_the_collector(name: str) -> None:
    def once() -> None:
        BY_THE_HOST[name]()
        runtime.synchronize()

    for _ in range(2):  # what is made once, and what other tests have left
        once()
        gc.collect()
    gc.disable()
    try:
        before = runtime.memory_allocated()
        once()
        assert runtime.memory_allocated() == before and gc.collect() == 0
    finally:
        gc.enable()
