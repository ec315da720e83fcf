"""Run the five programs of examples/ and show their output and the steps of the fork protocol.

    make demo

Each program runs in an interpreter of its own, as a user runs it.  The demo adds two settings.
MINITENSOR_TRACE names a file to which every process of the family appends its events.
MINITENSOR_INLINE_ELEMENTS=0 sends even an op of one element to the stream's worker, so that a later
fork has a thread to join.  The expected output is in tests/test_scenarios.py.  The exit code is 1
when a program prints anything else.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 60
TITLES = {
    "1_process": "a child process computes",
    "2_pool": "a pool receives and returns tensors",
    "3_queue": "the parent computes, then forks; the child computes, too",
    "4_ascend_fork": "the parent holds the Ascend device, then forks; the child is on the CPU",
    "5_ascend_spawn": "a child in a fresh interpreter selects the CPU itself; no process forks",
}


@dataclass
class Outcome:
    """Hold the result of a program."""

    stdout: str
    stderr: str
    code: int | None  # None: it did not end in time
    seconds: float
    events: list[dict[str, Any]]


def documented() -> dict[str, str]:
    """Return the documented output of each program."""
    spec = importlib.util.spec_from_file_location("scenarios", ROOT / "tests" / "test_scenarios.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.DOCUMENTED


def run(name: str, folder: Path) -> Outcome:
    trace = folder / f"{name}.jsonl"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "MINITENSOR_TRACE": str(trace),
        "MINITENSOR_INLINE_ELEMENTS": "0",
        "MINITENSOR_ASCEND_LOCK_DIR": str(folder),
    }
    begin = time.monotonic()
    program = subprocess.Popen(
        [sys.executable, str(ROOT / "examples" / f"{name}.py")], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment, start_new_session=True,
    )  # fmt: skip
    try:
        stdout, stderr = program.communicate(timeout=TIMEOUT)
        code: int | None = program.returncode
    except subprocess.TimeoutExpired:
        os.killpg(program.pid, 9)  # its children hold the pipes, too
        stdout, stderr = program.communicate()
        code = None
    seconds = time.monotonic() - begin
    lines = trace.read_text().splitlines() if trace.exists() else []
    events = sorted(map(json.loads, lines), key=lambda event: event["time"])
    for event in events:
        event["role"] = "parent" if event["pid"] == program.pid else "child"
    return Outcome(stdout, stderr, code, seconds, events)


def sentence(event: dict[str, Any]) -> str:
    """Return a text for an event."""
    kind, fields = event["kind"], event["fields"]
    if kind == "fork.draining":
        return f"waits for {', '.join(fields['waiting_for'])}"
    if kind == "fork.joined":
        return f"joined: {fields['threads'] or 'no'} thread{'s' * (fields['threads'] != 1)}"
    if kind == "fork.failed":
        return f"FAILED: {fields['participant']} {fields['phase']}: {fields['error']}"
    words = {
        "fork.begin": "about to fork",
        "fork.drained": "drained: the queues are empty",
        "fork.parent": "forked, continues",
        "fork.child": "reset: new locks, on the CPU",
        "device.acquired": f"acquired {fields.get('device')}",
        "device.lost": f"lost {fields.get('device')} to the parent",
    }
    return words.get(kind, f"{kind} {fields or ''}".strip())


def timeline(events: list[dict[str, Any]]) -> Table:
    """Return a table with one column for each process, in the order of their first events."""
    pids = list(
        dict.fromkeys(event["pid"] for event in sorted(events, key=lambda e: e["role"] != "parent"))
    )
    roles = {event["pid"]: event["role"] for event in events}
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("ms", justify="right", style="dim", no_wrap=True)
    children = 0
    for pid in pids:
        children += roles[pid] == "child"
        table.add_column("parent" if roles[pid] == "parent" else f"child {children}", ratio=1)
    for event in events:
        style = (
            "red"
            if event["kind"] == "fork.failed"
            else "cyan"
            if event["kind"].startswith("device")
            else ""
        )
        cells = [
            Text(sentence(event), style) if pid == event["pid"] else Text("│", "dim")
            for pid in pids
        ]
        table.add_row(f"{(event['time'] - events[0]['time']) * 1000:.1f}", *cells)
    return table


def show(console: Console, name: str, outcome: Outcome, expected: str) -> bool:
    """Print the result of a program; return True if it printed the documented output."""
    good = outcome.stdout == expected and outcome.code == 0 and not outcome.stderr
    failed = any(event["kind"] == "fork.failed" for event in outcome.events)
    console.rule(f"[bold]{name}.py[/]  {TITLES.get(name, '')}", align="left")
    for line in outcome.stdout.splitlines():
        console.print(f"  [dim]>[/] {escape(line)}", highlight=False, soft_wrap=True)
    if good:
        console.print(
            f"  [green]✓ exactly the documented output[/] [dim]({outcome.seconds:.2f} s)[/]",
            highlight=False,
        )
    else:
        how = (
            f"ended with {outcome.code}"
            if outcome.code is not None
            else f"did not end within {TIMEOUT} s"
        )
        console.print(f"  [red]✗ not the documented output; it {how}[/]", highlight=False)
        for line in expected.splitlines():
            console.print(f"  [red]expected >[/] {escape(line)}", highlight=False, soft_wrap=True)
        for line in outcome.stderr.splitlines():
            console.print(f"  [red]stderr >[/] {escape(line)}", highlight=False, soft_wrap=True)
    console.print()
    if outcome.events:
        console.print(timeline(outcome.events), highlight=False)
        console.print()
    return good and not failed


def main() -> int:
    console = Console(width=None if sys.stdout.isatty() else 110)
    console.print("Five programs: their output, and the steps of their forks.")
    console.print(
        "The times are milliseconds of one clock that all processes share.\n", style="dim"
    )
    with tempfile.TemporaryDirectory(prefix="minitensor-demo-") as folder:
        good = [
            show(console, name, run(name, Path(folder)), expected)
            for name, expected in documented().items()
        ]
    console.rule(align="left")
    console.print(
        f"{sum(good)} of {len(good)} print exactly the documented output.",
        style="green" if all(good) else "red",
    )
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
