"""The fingerprint of the C core: a checksum of what the core and Python must agree on.

The problem.  Op codes are positions in a table, and structs have layouts: a core that was built
from another version of these files reads other memory than Python means, and crashes.

The solution.  The build compiles a checksum of the files in (`_build.py`: MT_FINGERPRINT), and the
import compares it with the files that are there.  The upper 32 bits are of the tables, which every
installation has; the lower ones of the headers, which only a checkout has.
"""

from __future__ import annotations

import os
import sys
import zlib

__all__ = ["HEADERS", "TABLES", "check", "compute", "not_built"]

TABLES = ("dtype.py", "optable.py")
HEADERS = ("core/core.h", "core/arena/arena.h")
_HERE = os.path.dirname(os.path.abspath(__file__))
_REMEDY = "run `make .venv/.installed` or `pip install -e .` in the folder of the sources"


def _checksum(names: tuple[str, ...]) -> int:
    checksum = 0
    for name in names:
        with open(os.path.join(_HERE, name), "rb") as file:
            checksum = zlib.crc32(file.read(), checksum)
    return checksum


def compute() -> int:
    """Return the fingerprint of the files that are here.

    Raises:
        OSError: when one of them can't be read.
    """
    return _checksum(TABLES) << 32 | _checksum(HEADERS)


def check(compiled: int) -> None:
    """Compare the fingerprint that was compiled into the core with the files that are here.

    Raises:
        ImportError: when the core was built from other files.
    """
    for names, built in (TABLES, compiled >> 32), (HEADERS, compiled & 0xFFFFFFFF):
        try:
            here = _checksum(names)
        except OSError:  # an installation without sources, or without headers
            continue
        if here != built:
            raise ImportError(
                f"[import] the C core was built from another {' or '.join(names)}, "
                f"checksum {built:08x}, got {here:08x}; {_REMEDY}"
            )


def not_built(error: ModuleNotFoundError) -> ImportError:
    """Return the error of an import that finds no core, or no NumPy, in place of `error`."""
    return ImportError(
        f"[import] minitensor is not built for this Python, {sys.executable}, "
        f"which finds no module {error.name}; {_REMEDY}",
        name=error.name,
    )
