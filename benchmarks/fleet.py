"""Measure libraries in turns, each in a process of its own.

A disturbance of the machine only adds time, and it is temporary.  Each process therefore reports
the best of several repetitions, and the processes take turns in several rounds.  The result is the
median, over the rounds, of the ratio of two libraries within a round.  While one process works, a
signal stops the others, because the threads of some libraries spin for a while after a call, and
MindSpore's threads spin forever.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SECONDS = 0.04  # of a library's turn in a round; a longer call takes a longer turn
# Up to LITTLE elements, FINER times as many rounds with shorter turns, because a disturbance lasts
# longer than a turn.
LITTLE, FINER = 10**4, 5


@dataclasses.dataclass(frozen=True)
class Case:
    """Describe an expression and its variables; libraries.py gives the names a meaning.

    `inputs` are random arrays of one shape and dtype.  `given` are computed from them, or replace
    them, before the clock starts.
    """

    text: str
    shape: tuple[Any, ...] = ("n",)  # "n" stands for the size of the measurement
    dtype: str = "float32"
    inputs: str = "x"
    given: dict[str, str] = dataclasses.field(default_factory=dict)
    used: float = 1  # the share of an input's elements that the expression reads
    result: str = ""  # the text is a statement, whose result is this variable
    spellings: dict[str, str | None] = dataclasses.field(default_factory=dict)  # by library

    def elements(self, n: int) -> int:
        return int(self.used * math.prod(n if side == "n" else side for side in self.shape))


class Worker:
    """Represent the process of one library."""

    def __init__(self, name: str, python: str = sys.executable) -> None:
        self.python = python
        self.errors = tempfile.TemporaryFile()
        # A process group of its own: if this process dies, a stopped worker continues and ends.
        self.process = subprocess.Popen(
            [python, "-u", HERE / "worker.py", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.errors, text=True, cwd=HERE.parent, preexec_fn=os.setpgrp,
        )  # fmt: skip
        self.version = ""
        self.missing = ""  # the reason, if the library is missing

    def greet(self) -> None:
        greeting = self.answer()
        self.version, self.missing = greeting.get("version", ""), greeting.get("missing", "")
        self.process.send_signal(signal.SIGSTOP)

    def ask(self, **question: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return {"missing": self.last_words()}
        answer = self.answer()
        self.process.send_signal(signal.SIGSTOP)
        return answer

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"missing": self.last_words()}

    def last_words(self) -> str:
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return f"its process ended with {self.process.wait()}: {lines[-1] if lines else ''}"

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Fleet:
    """Manage the processes: `with Fleet(names) as fleet: fleet.measure(case, n, names)`."""

    def __init__(
        self,
        names: Iterable[str],
        pythons: Sequence[str] = (),
        rounds: int = 7,
        seconds: float = SECONDS,
    ) -> None:
        own = dict(one.split("=", 1) for one in pythons)
        self.rounds, self.seconds = rounds, seconds
        self.workers = {name: Worker(name, own.get(name, sys.executable)) for name in names}
        self.lacks: dict[tuple[str, str], str] = {}  # (library, expression): the reason

    def __enter__(self) -> Fleet:
        for worker in self.workers.values():
            worker.greet()
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self.workers.values():
            worker.end()

    @property
    def here(self) -> dict[str, str]:
        return {name: worker.version for name, worker in self.workers.items() if not worker.missing}

    @property
    def missing(self) -> dict[str, str]:
        return {name: worker.missing for name, worker in self.workers.items() if worker.missing}

    def python(self, name: str) -> str:
        return self.workers[name].python if name in self.workers else sys.executable

    def ask(self, name: str, **question: Any) -> dict[str, Any]:
        reply = self.workers[name].ask(**question)
        self.workers[name].missing = reply.get("missing", "")
        return reply

    def measure(
        self, case: Case, n: int, names: Iterable[str] | None = None
    ) -> dict[str, list[float]]:
        """Return, for each library that can compute the case, the seconds of a call per round."""
        able = []
        for name in [name for name in names or self.workers if name in self.here]:
            text = case.spellings.get(name, case.text)
            if text is None:
                continue
            own = dataclasses.asdict(dataclasses.replace(case, text=text))
            reply = self.ask(name, case=own, n=n, elements=case.elements(n))
            if "ok" in reply:
                able.append(name)
            else:
                self.lacks[name, case.text] = reply.get("lacks") or reply.get("missing", "")
        times: dict[str, list[float]] = {name: [] for name in able}
        finer = FINER if case.elements(n) <= LITTLE else 1
        for i in range(self.rounds * finer):
            for name in able[i % len(able) :] + able[: i % len(able)] if able else []:
                reply = self.ask(name, seconds=self.seconds / finer)
                times[name].append(reply.get("best", math.nan))
        for name in able:
            self.ask(name)
        return times


def ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(ours, theirs))


def duration(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if seconds * factor >= 1 or unit == "us":
            return f"{seconds * factor:.3g} {unit}"
    return ""


def machine() -> str:
    model = platform.processor() or platform.machine()
    flags: set[str] = set()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                model = value.strip()
            elif key.strip() == "flags":
                flags = set(value.split())
    except OSError:
        pass
    vectors = next((name for name in ("avx512f", "avx2", "avx", "sse2") if name in flags), "")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {platform.machine()}, CPython {platform.python_version()}"
    name = f"{model} ({vectors})" if vectors else model
    load = os.getloadavg()[0]
    return f"{name}, {cores} cores, {memory:.0f} GiB, {system}, load {load:.1f}"


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
