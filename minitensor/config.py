"""Every environment variable that minitensor reads: declared here, read here, listed in docs/configuration.md.

A flag is read at the moment somebody asks for it, so a test or a launcher may set it in `os.environ` before the first
use.  A value that can't be read is an error that names the variable, never silently a default.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["Flag", "FLAGS", "get", "hand_down", "parse_bytes"]

_UNITS = {"": 1, "B": 1, "K": 2**10, "KB": 2**10, "KIB": 2**10, "M": 2**20, "MB": 2**20, "MIB": 2**20,
          "G": 2**30, "GB": 2**30, "GIB": 2**30, "T": 2**40, "TB": 2**40, "TIB": 2**40}  # fmt: skip


def parse_bytes(text: str) -> int:
    """`"5GB"`, `"512 MiB"`, `"1.5G"` or `"4096"` in bytes; the units are powers of 1024, as MindSpore's are.

    Raises:
        ValueError: when the text is no size.
    """
    number = text.strip().upper()
    unit = number.lstrip("0123456789.").strip()
    digits = number[: len(number) - len(number.lstrip("0123456789."))]
    if unit not in _UNITS or not digits:
        raise ValueError(f"not a size: {text!r}; write it as '5GB', '512MB' or a number of bytes")
    return int(float(digits) * _UNITS[unit])


def _positive(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError("negative")
    return value


def _switch(text: str) -> bool:
    return {"0": False, "1": True, "false": False, "true": True, "off": False, "on": True}[text.lower()]


def _one_of(*words: str) -> Callable[[str], str]:
    return lambda text: {word: word for word in words}[text.lower()]


class Flag(NamedTuple):
    """An environment variable: how its text is read, what holds where it is not set, and what it is for."""

    name: str
    parse: Callable[[str], Any]
    default: str
    doc: str


FLAGS: dict[str, Flag] = {
    flag.name: flag
    for flag in (
        Flag("MINITENSOR_DEVICE_TARGET", str, "CPU", "The device target that a process starts with: CPU, Ascend or an installed backend's name."),
        Flag("MINITENSOR_DEVICE_ID", _positive, "0", "The index of the device that a process starts with."),
        Flag("MINITENSOR_ASCEND_DEVICES", _positive, "8", "How many Ascend devices this machine simulates."),
        Flag("MINITENSOR_ASCEND_MEMORY", parse_bytes, "32GB", "The memory of each simulated Ascend device."),
        Flag("MINITENSOR_ASCEND_LOCK_DIR", str, "", "Where the Ascend devices' lock files lie; empty: a folder of the user's own below the temporary folder."),
        Flag("ASCEND_RT_VISIBLE_DEVICES", str, "", "Comma-separated ids of the Ascend devices that the process sees, as indexes 0 to n-1; empty: all."),
        Flag("MINITENSOR_SYNCHRONOUS", _switch, "0", "1: start with pynative_synchronize, which runs each op at its call."),
        Flag("MINITENSOR_INLINE_ELEMENTS", _positive, "16384", "Up to so many elements an op on an idle stream runs in the calling thread."),
        Flag("MINITENSOR_QUEUE_TASKS", _positive, "4096", "So many tasks may wait in a stream before a submitter has to."),
        Flag("MINITENSOR_QUEUE_BYTES", parse_bytes, "2GB", "So many bytes of results may wait in a stream before a submitter has to."),
        Flag("MINITENSOR_CACHE", parse_bytes, "1GB", "So many freed bytes the allocator keeps for each device."),
        Flag("MINITENSOR_ARENA", parse_bytes, "1TB", "How much address space processes share for tensors that travel; memory is taken as needed."),
        Flag("MINITENSOR_ARENA_FREE", parse_bytes, "0", "So much freed memory of it is kept; 0: an eighth of the machine's, 1GB at most."),
        Flag("MINITENSOR_ARENA_AT", str, "", "Where the family's shared memory is: set by minitensor, for the processes that it starts."),
        Flag("MINITENSOR_INLINE_BYTES", parse_bytes, "16KB", "Up to this size a tensor travels inside the message."),
        Flag("MINITENSOR_FORK", _one_of("default", "strict"), "default",
             "strict, at the start: os.fork and os.forkpty raise beside native threads of other libraries."),
        Flag("MINITENSOR_EXIT_SECONDS", _positive, "60", "So long a program that ends waits for work that it has queued and that does not come to its end."),
        Flag("MINITENSOR_NUM_THREADS", _positive, "0", "How many threads a large op uses; 0: as many as the process may use cores."),
        Flag("MINITENSOR_FUSION", _switch, "1", "0: each op is done by itself; 1: neighbouring elementwise ops are done as one pass over memory."),
        Flag("MINITENSOR_ISA", str, "", "The instruction set of the CPU kernels: baseline, avx2 or avx512; empty: the best that the processor has."),
        Flag("MINITENSOR_TRACE", str, "", "A file to which each process appends its events as JSON lines; empty: events stay in memory."),
    )
}  # fmt: skip


_read: dict[str, tuple[str, Any]] = {}  # what a text was read as; some are asked for with every message


def get(name: str) -> Any:
    """The value of the flag `name`.

    Raises:
        ValueError: when the environment holds something that is no value of it.
    """
    flag = FLAGS[name]
    text = os.environ.get(name) or flag.default
    known = _read.get(name)
    if known is not None and known[0] == text:
        return known[1]
    try:
        value = flag.parse(text)
        _read[name] = text, value
        return value
    except (ValueError, KeyError, OverflowError) as error:
        raise ValueError(f"[config] {name} can't be {text!r}; it is: {flag.doc}") from error


def hand_down(name: str, value: str) -> None:
    """Sets a flag for the processes that this one starts."""
    os.environ[FLAGS[name].name] = value
