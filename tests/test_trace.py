"""The trace: what happened, in memory and in a file that a family of processes shares."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from minitensor import trace


def test_events_are_kept_in_order_and_found_by_their_kind() -> None:
    trace.clear()
    trace.record("test.one", number=1)
    trace.record("other")
    trace.record("test.two")
    one, two = trace.events("test.")
    assert (one.kind, one.fields, one.pid, one.thread) == ("test.one", {"number": 1}, os.getpid(), "MainThread")
    assert one.time <= two.time and len(trace.events()) == 3
    trace.clear()
    assert trace.events() == []


def test_the_memory_is_bounded() -> None:
    for i in range(10_050):
        trace.record("test.many", i=i)
    assert len(trace.events()) == 10_000 and trace.events()[-1].fields == {"i": 10_049}
    trace.clear()


def test_a_file_gets_whole_lines_from_threads_and_forks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trace.jsonl"
    monkeypatch.setenv("MINITENSOR_TRACE", str(path))
    start = threading.Barrier(4)

    def write() -> None:
        start.wait()
        for i in range(100):
            trace.record("test.line", i=i, text="x" * 200)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    child = os.fork()
    if child == 0:
        trace.record("test.child")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len([line for line in lines if line["kind"] == "test.line"]) == 400
    assert [line["pid"] for line in lines if line["kind"] == "test.child"] == [child]
    assert path.stat().st_mode & 0o077 == 0


def test_a_field_that_json_does_not_know_is_written_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINITENSOR_TRACE", str(tmp_path / "trace.jsonl"))
    trace.record("test.odd", what={1, 2}, error=ValueError("bad"))
    assert json.loads((tmp_path / "trace.jsonl").read_text())["fields"] == {"what": "{1, 2}", "error": "bad"}
