"""Environment variables: read at the first need, and never silently replaced by a default."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from minitensor import config
from minitensor.backend.core import lib

SIZES = [
    ("4096", 4096),
    ("0", 0),
    ("1K", 1024),
    ("512 MiB", 512 * 2**20),
    ("1.5G", 3 * 2**29),
    (".5k", 512),
    ("1.K", 1024),
    ("5GB", 5 * 2**30),
    ("2tb", 2**41),
    ("9223372036854775807", 2**63 - 1),  # exact, where a float is not
    ("8388607TB", 8388607 * 2**40),
    ("0.0000000000000000000000000000000001T", 0),
]


@pytest.mark.parametrize(("text", "size"), SIZES)
def test_sizes(text: str, size: int) -> None:
    assert config.parse_bytes(text) == size


NO_SIZE = [
    "",
    "GB",
    "-1GB",
    "5 apples",
    "1.2.3G",
    "5GBs",
    "٣GB",
    ".",
    ".GB",
    "1e99",
    "nan",
    "inf",
    "+1",
    "1_0",
    "0x10",
]
TOO_LARGE = [
    "9223372036854775808",
    "8388608TB",
    "8388607.9999999TB1",
    "999999999TB",
    "9" * 41,
    "9" * 5000,
]


@pytest.mark.parametrize("text", [*NO_SIZE, *TOO_LARGE])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="^(not a size|too large): "):
        config.parse_bytes(text)


def test_a_flag_is_read_at_the_moment_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINITENSOR_ASCEND_DEVICES", raising=False)
    assert config.get("MINITENSOR_ASCEND_DEVICES") == 8
    monkeypatch.setenv("MINITENSOR_ASCEND_DEVICES", "3")
    assert config.get("MINITENSOR_ASCEND_DEVICES") == 3
    monkeypatch.setenv("MINITENSOR_ASCEND_DEVICES", "")
    assert config.get("MINITENSOR_ASCEND_DEVICES") == 8


@pytest.mark.parametrize("flag", config.FLAGS.values(), ids=config.FLAGS)
def test_every_flag_is_documented_and_has_a_default_that_it_can_read(flag: config.Flag) -> None:
    flag.parse(flag.default)
    assert flag.doc.endswith(".") and flag.name == flag.name.upper()


# --- every flag, with what is no value of it and at its edges -------------------------------------
NO_NUMBER = ["two", "-1", "1.5", "nan", "inf", "1e3", "0x10", "1_000", "٣", "+1", " ", "9" * 5000]
INT, LONG = 2**31 - 1, 2**63 - 1
SIZE = f"a size from 0 to {LONG // 2**40}TB, such as 5GB, 512MB or 4096"
KINDS: dict[
    str, tuple[str, list[str], list[str]]
] = {  # what it must be; texts that are refused; and read
    "count": (
        f"a whole number from 0 to {INT}",
        [*NO_NUMBER, str(INT + 1)],
        ["0", str(INT), " 7 "],
    ),
    "long": (f"a whole number from 0 to {LONG}", [*NO_NUMBER, str(LONG + 1)], ["0", str(LONG)]),
    "size": (SIZE, [text for text in (*NO_SIZE, *TOO_LARGE) if text], ["0", str(LONG), "1.5G"]),
    "switch": (
        "0 or 1 or off or on or false or true",
        ["perhaps", "2", "-1", " ", "yes"],
        ["0", "1", "ON", "False"],
    ),
    "fork": ("default or strict", ["loose", "0", " "], ["default", "Strict"]),
    "cards": ("a whole number from 0 to 63", [*NO_NUMBER, "64"], ["0", "63"]),
    "arena": (
        SIZE.replace("8388607TB", "64TB"),
        ["much", "-1", "999999999TB", "65TB", f"{2**46 + 1}"],
        ["0", "64TB"],
    ),
    "address": (
        "unset, or INODE,PID:DESCRIPTOR,... as minitensor itself writes it",
        [
            ",",
            "x",
            "1,",
            "1,2",
            "1,2:",
            "1,2:x",
            "1,2:3,",
            "1,-2:3",
            "-1,2:3",
            "1;2:3",
            " ",
            "1,2:3\n",
            "٣,2:3",
            "9" * 20,
            f"1,{2**40}:3",
            f"1,2:{2**31}",
            "1,2:-2",
        ],
        ["1026", "1026,77:3", "9999999999999999999,77:3,78:-1,999999999:999999999"],
    ),
    "text": ("", [], ["anything"]),
}
PARSERS = {
    config._count: "count", config._bytes: "size", config._switch: "switch",
    config._address: "address", str: "text",
}  # fmt: skip
BOUNDED = {  # variables with a parser that has bounds of its own
    "MINITENSOR_ASCEND_DEVICES": "cards",
    "MINITENSOR_INLINE_ELEMENTS": "long",
    "MINITENSOR_QUEUE_TASKS": "long",
    "MINITENSOR_ARENA": "arena",
    "MINITENSOR_FORK": "fork",
}
FLAGS = {name: BOUNDED.get(name) or PARSERS[flag.parse] for name, flag in config.FLAGS.items()}


def test_the_core_has_the_settings_that_config_marks() -> None:
    marked = {name: flag for name, flag in config.FLAGS.items() if flag.core}
    assert "MINITENSOR_CACHE" in marked
    for name, flag in marked.items():
        assert lib.mt_configure(name.encode(), flag.parse(flag.default)) == lib.MT_OK
    assert lib.mt_configure(b"MINITENSOR_CACH", 1) == lib.MT_VALUE_ERROR


@pytest.mark.parametrize(("name", "text"),
    [(name, text) for name in FLAGS for text in KINDS[FLAGS[name]][1]],
                         ids=lambda word: word[:40])  # fmt: skip
def test_what_is_no_value_names_the_variable_and_what_would_do(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ValueError) as caught:
        config.get(name)
    must = KINDS[FLAGS[name]][0]
    assert (
        str(caught.value)
        == f"[config] {name} must be {must}, got {text!r}; it means: {config.FLAGS[name].doc}"
    )


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name in FLAGS for text in KINDS[FLAGS[name]][2]]
)
def test_what_is_at_the_edge_is_read(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, text)
    assert config.get(name) is not None


# --- in programs: what is read fits the core, and what is not is told at the first use ------------
PROGRAM = """
import numpy as np
from minitensor import Tensor, ops
import minitensor.multiprocessing as mp
def child(q, x):
    q.put(ops.exp(x * 0) + 1)
if __name__ == "__main__":
    context = mp.get_context("fork")
    q, x = context.Queue(), Tensor(np.arange(50_000, dtype="f4"))
    p = context.Process(target=child, args=(q, x + 1))
    p.start()
    print(q.get().sum())
    p.join()
"""


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=60,
        env={name: value for name, value in os.environ.items() if name != "MINITENSOR_ARENA_AT"}
        | environment,
    )


@pytest.mark.parametrize("which", [0, -1], ids=["least", "most"])
def test_a_program_computes_with_every_number_at_its_edge(which: int) -> None:
    numbers = {
        name: KINDS[kind][2][which].strip()
        for name, kind in FLAGS.items()
        if kind in ("long", "size", "arena")
    }
    numbers |= {
        "MINITENSOR_NUM_THREADS": ["0", str(INT)][which],
        "MINITENSOR_EXIT_SECONDS": ["0", str(INT)][which],
    }
    done = run(**numbers)
    assert (done.stdout, done.stderr, done.returncode) == ("100000.0\n", "", 0)


AT_FIRST_USE = [
    ("MINITENSOR_ARENA", "999999999TB"), ("MINITENSOR_ARENA_FREE", "-1"),
    ("MINITENSOR_ARENA_AT", ","),
    ("MINITENSOR_INLINE_BYTES", "1e99"), ("MINITENSOR_INLINE_ELEMENTS", str(2**63)),
    ("MINITENSOR_QUEUE_TASKS", "nan"),
    ("MINITENSOR_QUEUE_BYTES", "8388608TB"), ("MINITENSOR_CACHE", "-1"),
    ("MINITENSOR_NUM_THREADS", str(2**31)),
    ("MINITENSOR_EXIT_SECONDS", "1e400"), ("MINITENSOR_SYNCHRONOUS", "2"),
    ("MINITENSOR_FUSION", "2"), ("MINITENSOR_FORK", "2"),
    ("MINITENSOR_DEVICE_ID", "-1"), ("MINITENSOR_DEVICE_TARGET", "GPU?"), ("MINITENSOR_ISA", "mmx"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), AT_FIRST_USE)
def test_a_program_ends_with_the_variables_name(name: str, text: str) -> None:
    done = run(**{name: text})
    assert done.returncode == 1 and done.stdout == ""
    assert f"ValueError: [config] {name} " in done.stderr and repr(text) in done.stderr


@pytest.mark.parametrize("name", ["MINITENSOR_ISA", "MINITENSOR_DEVICE_TARGET", "MINITENSOR_CACHE"])
def test_bytes_that_are_no_text_are_no_value(name: str) -> None:
    environment = {**os.environb, name.encode(): b"\xff\xfe"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, timeout=60, env=environment
    )
    assert done.returncode == 1 and f"ValueError: [config] {name} ".encode() in done.stderr
