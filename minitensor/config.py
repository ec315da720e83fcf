"""Every environment variable that minitensor reads: declared here, read here, listed in docs/configuration.md.

The program reads a flag when it first needs it: those of the core (`native._configure`) and
MINITENSOR_FORK when minitensor is imported, those of a device at its first task, those of shared
memory at the first message.  So a test or a launcher may set them in `os.environ` before.  A value
that can't be read is an error that names the variable and what would do, never silently a default;
and what is read fits the C type that the core has for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

__all__ = ["Flag", "FLAGS", "get", "hand_down", "parse_bytes"]

INT32, INT64 = 2**31 - 1, 2**63 - 1  # the largest int and int64_t of the core

_UNITS = {"": 1, "B": 1, "K": 2**10, "KB": 2**10, "KIB": 2**10, "M": 2**20, "MB": 2**20, "MIB": 2**20,
          "G": 2**30, "GB": 2**30, "GIB": 2**30, "T": 2**40, "TB": 2**40, "TIB": 2**40}  # fmt: skip


def parse_bytes(text: str) -> int:
    """Return `"5GB"`, `"512 MiB"`, `"1.5G"` or `"4096"` in bytes; units are powers of 1024.

    Raises:
        ValueError: when the text is no size, or one that 64 bits can't hold.
    """
    number = text.strip().upper()
    unit = number.lstrip("0123456789.").strip()
    digits = number[: len(number) - len(number.lstrip("0123456789."))]
    whole, _, part = digits.partition(".")
    if unit not in _UNITS or not (whole + part).isdigit():
        raise ValueError(f"not a size: {text!r}; write it as '5GB', '512MB' or a number of bytes")
    size = int((whole + part)[:40]) * _UNITS[unit] // 10 ** len(part[:40])
    if len(whole + part) > 40 or size > INT64:
        raise ValueError(f"too large: {text!r}; the largest size is {INT64} bytes")
    return size


def _size(most: int, words: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        with suppress(ValueError):
            if (size := parse_bytes(text)) <= most:
                return size
        raise ValueError(f"a size from 0 to {words}, such as 5GB, 512MB or 4096")

    return parse


def _whole(most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        digits = text.strip()
        if digits.isascii() and digits.isdigit() and len(digits) <= 40 and int(digits) <= most:
            return int(digits)
        raise ValueError(f"a whole number from 0 to {most}")

    return parse


def _one_of(**words: Any) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        if text.lower() not in words:
            raise ValueError(" or ".join(words))
        return words[text.lower()]

    return parse


def _address(text: str) -> str:
    if text and not re.fullmatch(r"[0-9]{1,19}(,[0-9]{1,9}:(-1|[0-9]{1,9}))*", text):
        raise ValueError("unset, or INODE,PID:DESCRIPTOR,... as minitensor itself sets it")
    return text


_count = _whole(INT32)  # of what C counts as an int
_bytes = _size(INT64, "8388607TB")
_switch = _one_of(**{"0": False, "1": True, "off": False, "on": True, "false": False, "true": True})


class Flag(NamedTuple):
    """An environment variable: its name, its parser, its default and its purpose.

    `parse` raises ValueError with what the value must be.  `core` says that the C core reads the
    number, as `mt_settings[MT_SETTING_CACHE]` of MINITENSOR_CACHE, from its import on.
    """

    name: str
    parse: Callable[[str], Any]
    default: str
    doc: str
    core: bool = False


FLAGS: dict[str, Flag] = {
    flag.name: flag
    for flag in (
        Flag("MINITENSOR_DEVICE_TARGET", str, "CPU",
             "The device target that a process starts with: CPU, Ascend or an installed backend's name."),
        Flag("MINITENSOR_DEVICE_ID", _count, "0",
             "The index of the device that a process starts with."),
        Flag("MINITENSOR_ASCEND_DEVICES", _whole(63), "8",
             "How many Ascend devices this machine simulates, 63 at most."),
        Flag("MINITENSOR_ASCEND_MEMORY", _bytes, "32GB",
             "The memory of each simulated Ascend device; 0: without bound."),
        Flag("MINITENSOR_ASCEND_LOCK_DIR", str, "",
             "Where the Ascend devices' lock files lie; empty: a folder of the user's own below the temporary folder."),
        Flag("ASCEND_RT_VISIBLE_DEVICES", str, "",
             "Comma-separated ids of the Ascend devices that the process sees, as indexes 0 to n-1; empty: all."),
        Flag("MINITENSOR_SYNCHRONOUS", _switch, "0",
             "1: start with pynative_synchronize, which runs each op at its call."),
        Flag("MINITENSOR_INLINE_ELEMENTS", _whole(INT64), "16384",
             "Up to so many elements an op on an idle stream runs in the calling thread."),
        Flag("MINITENSOR_QUEUE_TASKS", _whole(INT64), "4096",
             "So many tasks may wait in a stream before a submitter has to."),
        Flag("MINITENSOR_QUEUE_BYTES", _bytes, "2GB",
             "So many bytes of results may wait in a stream before a submitter has to."),
        Flag("MINITENSOR_CACHE", _bytes, "1GB",
             "So many freed bytes the allocator keeps for each device.", core=True),
        Flag("MINITENSOR_ARENA", _size(2**46, "64TB"), "1TB",
             "How much address space processes share for tensors that travel, 64TB at most; memory is taken as needed."),
        Flag("MINITENSOR_ARENA_FREE", _bytes, "0",
             "So much freed memory of it is kept; 0: an eighth of the machine's, 1GB at most."),
        Flag("MINITENSOR_ARENA_AT", _address, "",
             "Where the family's shared memory is: set by minitensor, for the processes that it starts."),
        Flag("MINITENSOR_INLINE_BYTES", _bytes, "16KB",
             "Up to this size a tensor travels inside the message."),
        Flag("MINITENSOR_FORK", _one_of(default="default", strict="strict"), "default",
             "strict, at the start: os.fork and os.forkpty raise beside native threads of other libraries."),
        Flag("MINITENSOR_EXIT_SECONDS", _count, "60",
             "Seconds that a program waits at its end for queued work."),
        Flag("MINITENSOR_NUM_THREADS", _count, "0",
             "How many threads a large op uses; 0: as many as the process may use cores."),
        Flag("MINITENSOR_FUSION", _switch, "1",
             "0: each op is done by itself; 1: neighbouring elementwise ops are done as one pass over memory."),
        Flag("MINITENSOR_ISA", str, "",
             "The instruction set of the CPU kernels: baseline, avx2 or avx512; empty: the best that the processor has."),
        Flag("MINITENSOR_TRACE", str, "",
             "A file to which each process appends its events as JSON lines; empty: events stay in memory."),
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
    except ValueError as error:
        raise ValueError(f"[config] {name} must be {error}, got {text!r}; it is: {flag.doc}") from None
    _read[name] = text, value
    return value


def hand_down(name: str, value: str) -> None:
    """Sets a flag for the processes that this one starts."""
    os.environ[FLAGS[name].name] = value
