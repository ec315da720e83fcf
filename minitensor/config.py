"""Declare and read every environment variable of minitensor; docs/configuration.md lists them.

A process reads a variable at its first use: the core's variables (`native._configure`) and
MINITENSOR_FORK at the import of minitensor, a device's variables at the device's first task, the
variables of shared memory at the first message.  A test or a launcher may therefore set them in
`os.environ` before that use.  An invalid value is an error that names the variable and the valid
values; no invalid value falls back to the default.  Each value fits the C type of the core's field.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

__all__ = ["Flag", "FLAGS", "get", "hand_down", "parse_bytes"]

INT32, INT64 = 2**31 - 1, 2**63 - 1  # the largest int and int64_t of the core

_UNITS = {
    "": 1, "B": 1,
    "K": 2**10, "KB": 2**10, "KIB": 2**10, "M": 2**20, "MB": 2**20, "MIB": 2**20,
    "G": 2**30, "GB": 2**30, "GIB": 2**30, "T": 2**40, "TB": 2**40, "TIB": 2**40,
}  # fmt: skip


def parse_bytes(text: str) -> int:
    """Return a size such as `"5GB"`, `"512 MiB"`, `"1.5G"` or `"4096"` in bytes.

    Args:
        text: a number, and optionally a unit; units are powers of 1024.

    Returns:
        The number of bytes.

    Raises:
        ValueError: the text is not a size, or the size is 2**63 bytes or more.

    Example:
        >>> from minitensor import config
        >>> config.parse_bytes("1.5 KB")
        1536
    """
    number = text.strip().upper()
    unit = number.lstrip("0123456789.").strip()
    digits = number[: len(number) - len(number.lstrip("0123456789."))]
    whole, _, part = digits.partition(".")
    if unit not in _UNITS or not (whole + part).isdigit():
        raise ValueError(f"not a size: {text!r}; write '5GB', '512MB' or a number of bytes")
    size = int((whole + part)[:40]) * _UNITS[unit] // 10 ** len(part[:40])
    if len(whole + part) > 40 or size > INT64:
        raise ValueError(f"too large: {text!r}; the largest size is {INT64} bytes")
    return size


def _size(most: int, most_text: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        with suppress(ValueError):
            if (size := parse_bytes(text)) <= most:
                return size
        raise ValueError(f"a size from 0 to {most_text}, such as 5GB, 512MB or 4096")

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
        raise ValueError("unset, or INODE,PID:DESCRIPTOR,... as minitensor itself writes it")
    return text


_count = _whole(INT32)  # fits a C int
_bytes = _size(INT64, "8388607TB")
_switch = _one_of(**{"0": False, "1": True, "off": False, "on": True, "false": False, "true": True})


class Flag(NamedTuple):
    """Describe an environment variable: its name, parser, default and purpose.

    `parse` converts the text, or raises a ValueError that says what the value must be.  `core`
    says that the C core reads the number, from its import on, as `mt_settings[MT_SETTING_CACHE]`
    of MINITENSOR_CACHE.
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
             "Device target at the start of a process: CPU, Ascend or the name of an installed "
             "backend."),
        Flag("MINITENSOR_DEVICE_ID", _count, "0",
             "Device index at the start of a process."),
        Flag("MINITENSOR_ASCEND_DEVICES", _whole(63), "8",
             "Number of simulated Ascend devices on this machine, at most 63."),
        Flag("MINITENSOR_ASCEND_MEMORY", _bytes, "32GB",
             "Memory of each simulated Ascend device; 0: unlimited."),
        Flag("MINITENSOR_ASCEND_LOCK_DIR", str, "",
             "Folder of the Ascend devices' lock files; empty: a folder of the user in the "
             "temporary folder."),
        Flag("ASCEND_RT_VISIBLE_DEVICES", str, "",
             "Comma-separated ids of the Ascend devices that are visible to the process, as "
             "indexes 0 to n-1; empty: all."),
        Flag("MINITENSOR_SYNCHRONOUS", _switch, "0",
             "1: start with pynative_synchronize, which runs each op at its call."),
        Flag("MINITENSOR_INLINE_ELEMENTS", _whole(INT64), "262144",
             "Maximum work of an op that runs in the calling thread when its stream is idle, in "
             "additions of float32, some 0.1 ns each; an op that is likely to be fused with "
             "others counts 16 times."),
        Flag("MINITENSOR_QUEUE_TASKS", _whole(INT64), "4096",
             "Maximum queued tasks per stream; submitters block above it."),
        Flag("MINITENSOR_QUEUE_BYTES", _bytes, "2GB",
             "Maximum bytes of queued results per stream; submitters block above it."),
        Flag("MINITENSOR_CACHE", _bytes, "1GB",
             "Maximum freed bytes in the allocator's cache, per device.", core=True),
        Flag("MINITENSOR_ARENA", _size(2**46, "64TB"), "1TB",
             "Address space of the shared memory for tensors in messages, at most 64TB; physical "
             "memory is allocated on demand."),
        Flag("MINITENSOR_ARENA_FREE", _bytes, "0",
             "Maximum freed shared memory that is kept for reuse; 0: an eighth of the machine's "
             "memory, at most 1GB."),
        Flag("MINITENSOR_ARENA_AT", _address, "",
             "Location of the family's shared memory; minitensor sets it for the processes that "
             "it starts."),
        Flag("MINITENSOR_INLINE_BYTES", _bytes, "16KB",
             "Maximum size of a tensor whose bytes travel inside the message."),
        Flag("MINITENSOR_FORK", _one_of(default="default", strict="strict"), "default",
             "strict, set before the start: os.fork and os.forkpty raise while native threads of "
             "other libraries exist."),
        Flag("MINITENSOR_EXIT_SECONDS", _count, "60",
             "Seconds to wait at exit for queued work."),
        Flag("MINITENSOR_NUM_THREADS", _count, "0",
             "Number of threads of a large op; 0: one per core that the process may use."),
        Flag("MINITENSOR_FUSION", _switch, "1",
             "1: fuse neighbouring elementwise ops into one pass over memory; 0: run each op "
             "separately."),
        Flag("MINITENSOR_ISA", str, "",
             "Instruction set of the CPU kernels: baseline, avx2 or avx512; empty: the best of "
             "the processor."),
        Flag("MINITENSOR_TRACE", str, "",
             "File to which each process appends its events as JSON lines; empty: events stay in "
             "memory."),
    )
}  # fmt: skip


_read: dict[str, tuple[str, Any]] = {}  # last text and its value; each message reads some of them


def get(name: str) -> Any:
    """Return the value of an environment variable.

    Args:
        name: a key of `FLAGS`.

    Returns:
        The parsed value; that of the default when the variable is unset or empty.

    Raises:
        ValueError: the environment holds an invalid value.

    Example:
        >>> from minitensor import config
        >>> config.get("MINITENSOR_FUSION")
        True
    """
    flag = FLAGS[name]
    text = os.environ.get(name) or flag.default
    known = _read.get(name)
    if known is not None and known[0] == text:
        return known[1]
    try:
        value = flag.parse(text)
    except ValueError as error:
        raise ValueError(
            f"[config] {name} must be {error}, got {text!r}; it means: {flag.doc}"
        ) from None
    _read[name] = text, value
    return value


def hand_down(name: str, value: str) -> None:
    """Set a variable for the processes that this process starts."""
    os.environ[FLAGS[name].name] = value
