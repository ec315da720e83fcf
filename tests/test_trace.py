"""The trace: what happened, in memory and in a file that a family of processes shares."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
    assert (one.kind, one.fields, one.pid, one.thread) == (
        "test.one", {"number": 1}, os.getpid(), "MainThread",
    )  # fmt: skip
    assert one.time <= two.time and len(trace.events()) == 3
    trace.clear()
    assert trace.events() == []


def test_the_memory_is_bounded() -> None:
    for i in range(10_050):
        trace.record("test.many", i=i)
    assert len(trace.events()) == 10_000 and trace.events()[-1].fields == {"i": 10_049}
    trace.clear()


def test_a_file_gets_whole_lines_from_threads_and_forks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def test_a_field_that_json_does_not_know_is_written_as_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINITENSOR_TRACE", str(tmp_path / "trace.jsonl"))
    trace.record("test.odd", what={1, 2}, error=ValueError("bad"))
    assert json.loads((tmp_path / "trace.jsonl").read_text())["fields"] == {
        "what": "{1, 2}",
        "error": "bad",
    }


# --- a file that can't be written ends no program -------------------------------------------------
FORKS = """
import os
import subprocess
import sys
import minitensor
from minitensor import Tensor, ops
x = ops.exp(Tensor(0.0))
for _ in range(2):
    if os.fork() == 0:
        print(x, flush=True)
        os._exit(0)
    os.wait()
print(x)
"""


def unusable(kind: str, folder: Path) -> str:
    path = folder / "trace"
    if kind == "folder":
        path.mkdir()
    if kind == "a FIFO without a reader":
        os.mkfifo(path)
    if kind == "a link in a circle":
        path.symlink_to(path)
    return {
        "no such folder": f"{path}/trace",
        "a full disk": "/dev/full",
        "a long name": "x" * 5000,
    }.get(kind, str(path))


@pytest.mark.parametrize(
    "kind",
    [
        "no such folder",
        "folder",
        "a FIFO without a reader",
        "a link in a circle",
        "a full disk",
        "a long name",
    ],
)
def test_an_unusable_file_is_told_once_and_ends_no_fork(kind: str, tmp_path: Path) -> None:
    path = unusable(kind, tmp_path)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKS], capture_output=True,
        text=True, timeout=60,
                          env={**os.environ, "MINITENSOR_TRACE": path})  # fmt: skip
    assert (done.stdout, done.returncode) == ("1.0\n" * 3, 0)
    assert done.stderr.startswith(
        f"[trace] MINITENSOR_TRACE must be a file that can be written, got {path!r} ("
    )
    assert done.stderr.count("\n") == 1 and "events stay in memory" in done.stderr


def test_another_path_is_tried_after_an_unusable_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINITENSOR_TRACE", str(tmp_path))
    trace.record("test.lost")
    monkeypatch.setenv("MINITENSOR_TRACE", str(tmp_path / "trace"))
    trace.record("test.kept")
    assert [json.loads(line)["kind"] for line in (tmp_path / "trace").read_text().splitlines()] == [
        "test.kept"
    ]
    assert trace.events("test.lost")


def test_a_descriptor_that_means_another_file_by_now_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINITENSOR_TRACE", str(tmp_path / "trace"))
    trace.record("test.one")
    assert trace._file is not None
    descriptor = trace._file[1]
    other = os.open(tmp_path / "other", os.O_CREAT | os.O_RDWR)
    os.dup2(other, descriptor)  # as when a daemon has closed all descriptors, and opened others
    os.close(other)
    trace.record("test.two")
    os.close(descriptor)
    trace.record("test.three")
    assert (tmp_path / "other").read_bytes() == b""
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "trace").read_text().splitlines()]
    assert kinds == ["test.one", "test.two", "test.three"]
