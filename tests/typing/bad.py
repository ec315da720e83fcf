"""Mistakes, one to a line that ends in `# wrong`: type checkers find each."""

from __future__ import annotations

import minitensor as mt
from minitensor import Tensor, ops, runtime

t = Tensor([[1.0, 2.0]])
ops.logarithm(t)  # wrong: no such op
t.sums()  # wrong: no such method
ops.sum(t, axes=0)  # wrong: no such keyword
ops.sum(t, "0")  # wrong: a str is no axis
t.mean(axis="rows")  # wrong: nor for a method
ops.zeros((2, 2), dtype=32)  # wrong: a number is no dtype
ops.zeros(2, device=0)  # wrong: a device has a name
ops.matmul(t)  # wrong: an operand is missing
ops.log("1.0")  # wrong: a str is no tensor
t + "1.0"  # wrong: nor in an operator
number: int = t.sum()  # wrong: a reduction is a tensor
values: Tensor = ops.max(t)  # wrong: values and positions
t.reshape("2")  # wrong: a str is no shape
t["0"]  # wrong: nor an index
ops.cross_entropy(t, Tensor([0]), reduction="average")  # wrong: no such reduction
t.shape = (2, 1)  # wrong: a property
mt.set_context(device="CPU")  # wrong: no such setting
mt.no_such_name  # wrong: no such name
runtime.memory_allocated(0)  # wrong: a target has a name
ops.gather(t, Tensor([0]))  # wrong: no axis
