"""hypothesis sends, writes, slices, drops and forks tensors, and compares them with arrays."""

from __future__ import annotations

import gc
import os
from typing import Any

import numpy as np
import sharing_targets as targets
from family import faults
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import minitensor.multiprocessing as mp
from minitensor import Tensor
from minitensor.backend.core import lib

sizes = st.sampled_from([3, 1000, 30_000])
picks = st.integers(0, 1000)
small = st.integers(1, 5)


class Twin:
    """A tensor beside a view on an array with the same values and the same aliases."""

    def __init__(self, tensor: Tensor, base: np.ndarray, low: int, high: int) -> None:
        self.tensor, self.base, self.low, self.high = tensor, base, low, high

    @property
    def array(self) -> np.ndarray:
        return self.base[self.low : self.high]


class Sharing(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        context = mp.get_context("fork")
        self.queue, self.questions, self.answers = context.Queue(), context.Queue(), context.Queue()
        self.process = context.Process(target=targets.serve, args=(self.questions, self.answers))
        self.process.start()
        self.twins: list[Twin] = []

    def pick(self, i: int) -> Twin:
        return self.twins[i % len(self.twins)]

    def ask(self, function: Any, *arguments: Any) -> Any:
        self.questions.put((function, arguments))
        result = self.answers.get(timeout=60)
        assert not isinstance(result, BaseException), result
        return result

    @rule(n=sizes, value=small)
    def make(self, n: int, value: int) -> None:
        base = np.full(n, value, np.float64)
        self.twins.append(Twin(Tensor(base), base, 0, n))

    @precondition(lambda self: self.twins)
    @rule(i=picks, a=picks, b=picks)
    def slice(self, i: int, a: int, b: int) -> None:
        twin = self.pick(i)
        n = twin.high - twin.low
        low, high = sorted((a * n // 1000, b * n // 1000))
        self.twins.append(Twin(twin.tensor[low:high], twin.base, twin.low + low, twin.low + high))

    @precondition(lambda self: self.twins)
    @rule(i=picks, by=small)
    def write(self, i: int, by: int) -> None:
        twin = self.pick(i)
        twin.tensor += by
        twin.array[...] += by

    @precondition(lambda self: self.twins)
    @rule(chosen=st.lists(picks, min_size=1, max_size=3))
    def through_a_queue(self, chosen: list[int]) -> None:
        sent = [self.pick(i) for i in chosen]
        self.queue.put([twin.tensor for twin in sent])
        bases: dict[int, np.ndarray] = {}  # a message keeps its aliases
        for twin, tensor in zip(sent, self.queue.get(timeout=60)):
            base = bases.setdefault(id(twin.base), twin.base.copy())
            self.twins.append(Twin(tensor, base, twin.low, twin.high))

    @precondition(lambda self: self.twins)
    @rule(i=picks, by=small)
    def written_elsewhere(self, i: int, by: int) -> None:
        twin = self.pick(i)
        tensor = self.ask(targets.add_in_place, twin.tensor, by)
        self.twins.append(Twin(tensor, twin.array + by, 0, twin.high - twin.low))

    @precondition(lambda self: self.twins)
    @rule(i=picks, by=small)
    def written_in_a_fork(self, i: int, by: int) -> None:
        twin = self.pick(i)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                twin.tensor += by
                code = 0 if np.array_equal(twin.tensor.asnumpy(), twin.array + by) else 2
            finally:
                os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0

    @precondition(lambda self: self.twins)
    @rule(i=picks)
    def drop(self, i: int) -> None:
        del self.twins[i % len(self.twins)]

    @precondition(lambda self: len(self.twins) > 8)
    @rule()
    def drop_many(self) -> None:
        del self.twins[::2]

    @invariant()
    def values_are_right(self) -> None:
        for twin in self.twins:
            assert np.array_equal(twin.tensor.asnumpy(), twin.array)

    def teardown(self) -> None:
        self.questions.put(None)
        self.process.join(60)
        assert self.process.exitcode == 0
        self.twins.clear()
        gc.collect()
        lib.mt_arena_reap()
        assert faults() == ""


TestSharing = Sharing.TestCase
TestSharing.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
