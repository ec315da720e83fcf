"""The fingerprint of the C core: a checksum of the files that it is built from.

The problem.  Op codes are positions in a table, and structs have layouts: a core that was built
from another version of these files reads other memory than Python means, and crashes.  A core that
was built from other C sources does not crash, but tests of it test something else.

The solution.  The build compiles a checksum in (`_build.py`: MT_FINGERPRINT) that has three parts:
of the tables, which every installation has, of the shared headers, and of all C sources, which only
a checkout has.  The import compares the first two with the files that are there (`check`), and
pytest the third as well, before the first test (`check_sources`).  Contents are compared, not
dates.
"""

from __future__ import annotations

import os
import sys
import zlib

__all__ = ["HEADERS", "TABLES", "check", "check_sources", "compute", "not_built", "sources"]

TABLES = ("dtype.py", "optable.py")
HEADERS = ("core/core.h", "core/arena/arena.h")
_BITS = (24, 20, 20)  # of the checksums of tables, headers and sources, from the highest bit on
_HERE = os.path.dirname(os.path.abspath(__file__))
_REMEDY = "run `make .venv/.installed` or `pip install -e .` in the folder of the sources"


def sources() -> tuple[str, ...]:
    """Return the files that the C core is built from, the generator's too; () without headers."""
    folder = os.path.dirname(HEADERS[0])
    found: list[str] = []
    if not os.path.exists(os.path.join(_HERE, HEADERS[0])):
        return ()
    for path, folders, names in os.walk(os.path.join(_HERE, folder)):
        folders[:] = sorted(set(folders) - {"generated", "__pycache__"})
        below = os.path.relpath(path, _HERE)
        kinds = (".c", ".h", ".inc", ".py")
        found += [os.path.join(below, name) for name in sorted(names) if name.endswith(kinds)]
    return tuple(found)


def _checksum(names: tuple[str, ...], bits: int) -> int:
    checksum = 0
    for name in names:
        with open(os.path.join(_HERE, name), "rb") as file:
            checksum = zlib.crc32(file.read(), zlib.crc32(name.encode(), checksum))
    return checksum >> (32 - bits)


def _split(fingerprint: int) -> tuple[int, int, int]:
    tables, headers, files = _BITS
    mask = (1 << headers) - 1, (1 << files) - 1
    return fingerprint >> (headers + files), fingerprint >> files & mask[0], fingerprint & mask[1]


def compute() -> int:
    """Return the fingerprint of the files that are here.

    Raises:
        OSError: when one of them can't be read.
    """
    fingerprint = 0
    for names, bits in zip((TABLES, HEADERS, sources()), _BITS):
        fingerprint = fingerprint << bits | _checksum(names, bits)
    return fingerprint


def check(compiled: int) -> None:
    """Compare tables and shared headers with those that the core was built from.

    Raises:
        ImportError: when the core was built from other files.
    """
    tables, headers, _ = _split(compiled)
    _compare(TABLES, _BITS[0], tables, " or ".join(TABLES))
    _compare(HEADERS, _BITS[1], headers, " or ".join(HEADERS))


def check_sources(compiled: int) -> None:
    """Compare all C sources with those that the core was built from, where they are here.

    Raises:
        ImportError: when the core was built from other files.
    """
    check(compiled)
    if names := sources():
        folder = f"version of minitensor/{os.path.dirname(HEADERS[0])}"
        _compare(names, _BITS[2], _split(compiled)[2], folder)


def _compare(names: tuple[str, ...], bits: int, built: int, what: str) -> None:
    try:
        here = _checksum(names, bits)
    except OSError:  # an installation without sources, or without headers
        return
    if here != built:
        digits = bits // 4
        raise ImportError(
            f"[import] the C core was built from another {what}, "
            f"checksum {built:0{digits}x}, got {here:0{digits}x}; {_REMEDY}"
        )


def not_built(error: ModuleNotFoundError) -> ImportError:
    """Return the error of an import that finds no core, or no NumPy, in place of `error`."""
    return ImportError(
        f"[import] minitensor is not built for this Python, {sys.executable}, "
        f"which finds no module {error.name}; {_REMEDY}",
        name=error.name,
    )
