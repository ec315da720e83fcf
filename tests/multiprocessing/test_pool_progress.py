"""The progress of calls, and the number of cores that a pool counts on."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pool_targets as targets
import pytest

import minitensor.multiprocessing as mp
from minitensor.multiprocessing import cores
from minitensor.multiprocessing.progress import Progress


@pytest.fixture(scope="module")
def pool() -> Any:
    with mp.get_context("fork").Pool(2) as pool:
        yield pool


@pytest.fixture
def no_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)


def test_a_function_gets_each_step(pool: Any) -> None:
    for call in (pool.map, pool.starmap, pool.imap, pool.imap_unordered):
        seen: list[Progress] = []
        things = [(n,) for n in range(7)] if call == pool.starmap else range(7)
        assert sorted(call(abs, things, 2, progress=seen.append)) == [*range(7)]
        assert [now.done for now in seen][-1] == 7 and len(seen) == 4
        assert {now.total for now in seen} == {7}
        assert seen[-1].rate > 0 and seen[-1].left == 0
    steps: list[Progress] = []
    assert [*pool.imap(abs, iter(range(3)), progress=steps.append)] == [0, 1, 2]
    assert [now.done for now in steps] == [1, 2, 3]
    assert {(now.total, now.left) for now in steps} == {(None, None)}


def test_failed_tasks_count_and_a_failing_function_harms_nothing(
    pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Progress] = []
    with pytest.raises(mp.WorkerLostError):
        pool.map(targets.fault_or_value, [1, targets.leaves, 2], 1, progress=seen.append)
    assert seen[-1].done == 3
    reported: list[Any] = []
    monkeypatch.setattr("threading.excepthook", reported.append)

    def fails(_: Progress) -> None:
        raise LookupError("mine")

    assert pool.map(abs, [1, 2], 1, progress=fails) == [1, 2]
    assert [type(args.exc_value) for args in reported] == [LookupError] * 2


def test_a_line_where_tqdm_is_missing(
    pool: Any, no_tqdm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for is_terminal in (False, True):
        out = io.StringIO()
        monkeypatch.setattr(out, "isatty", lambda is_terminal=is_terminal: is_terminal, False)
        monkeypatch.setattr(sys, "stderr", out)
        pool.map(abs, range(30), progress=True)
        lines = out.getvalue().replace("\r", "\n").replace("\x1b[K", "").split("\n")
        assert lines[-2].startswith("map(abs): 30 of 30 tasks, ")


def test_a_bar_where_tqdm_is_installed(pool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bars: list[Any] = []

    class Bar:
        def __init__(self, total: int, desc: str) -> None:
            self.n, self.total, self.desc, self.closed = 0, total, desc, False
            bars.append(self)

        def update(self, n: int) -> None:
            self.n += n

        def close(self) -> None:
            self.closed = True

    auto = ModuleType("tqdm.auto")
    auto.tqdm = Bar  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tqdm", ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", auto)
    pool.map(abs, range(250), progress=True)
    (bar,) = bars
    assert (bar.n, bar.total, bar.desc, bar.closed) == (250, 250, "map(abs)", True)


def test_what_is_no_progress(pool: Any) -> None:
    with pytest.raises(TypeError, match="progress must be"):
        pool.map(abs, [1], progress=3)
    assert pool.map(abs, [1], progress=False) == [1]


# --- cores ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "expected"), [("max 100000", None), ("150000 100000", 2), ("50000 100000", 1)]
)
def test_the_quota_of_a_control_group(tmp_path: Path, text: str, expected: int | None) -> None:
    (tmp_path / "around" / "job").mkdir(parents=True)
    (tmp_path / "around" / "cpu.max").write_text(text + "\n")
    found = min(cores.quotas(["/around/job"], tmp_path))
    assert found == (1 << 30 if expected is None else expected)


def test_the_quota_of_a_group_of_version_1(tmp_path: Path) -> None:
    folder = tmp_path / "cpu" / "job"
    folder.mkdir(parents=True)
    (folder / "cpu.cfs_period_us").write_text("100000\n")
    for quota, expected in (("-1", 1 << 30), ("250000", 3)):
        (folder / "cpu.cfs_quota_us").write_text(quota + "\n")
        assert min(cores.quotas(["cpu/job"], tmp_path)) == expected


def test_a_pool_has_as_many_workers_as_there_are_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 <= cores.cores() <= (os.cpu_count() or 1)
    monkeypatch.setattr("minitensor.multiprocessing.pool.cores", lambda: 3)
    with mp.get_context("fork").Pool() as pool:
        assert len(pool._pool) == 3
