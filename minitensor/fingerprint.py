"""The fingerprint of the C core: a checksum of the files on which the core and Python must agree.

The problem.  Op codes are positions in a table, and structs have layouts.  A core that was built
from another version of these files reads the wrong memory and crashes.

The solution.  The build compiles a checksum of the files into the core (`_build.py`:
MT_FINGERPRINT), and the import compares it with the present files.  The upper 32 bits cover the
tables, which every installation has.  The lower 32 bits cover the headers, which only a checkout
has.
"""

from __future__ import annotations

import os
import sys
import zlib

__all__ = ["HEADERS", "TABLES", "check", "compute", "not_built"]

TABLES = ("dtype.py", "optable.py")
HEADERS = ("backend/native/core.h", "backend/native/arena.h")
_HERE = os.path.dirname(os.path.abspath(__file__))
_REMEDY = "run `make .venv/.installed` or `pip install -e .` in the folder of the sources"


def _checksum(names: tuple[str, ...]) -> int:
    checksum = 0
    for name in names:
        with open(os.path.join(_HERE, name), "rb") as file:
            checksum = zlib.crc32(file.read(), checksum)
    return checksum


def compute() -> int:
    """Return the fingerprint of the present files.

    Raises:
        OSError: a file can't be read.
    """
    return _checksum(TABLES) << 32 | _checksum(HEADERS)


def check(compiled: int) -> None:
    """Compare the fingerprint of the core with the present files.

    Args:
        compiled: the fingerprint that the build compiled into the core.

    Raises:
        ImportError: the core was built from other files.
    """
    for names, built in (TABLES, compiled >> 32), (HEADERS, compiled & 0xFFFFFFFF):
        try:
            here = _checksum(names)
        except OSError:  # an installation without sources, or without headers
            continue
        if here != built:
            raise ImportError(
                f"[import] the C core must be built from the present {' and '.join(names)}, "
                f"checksum {here:08x}, got {built:08x}; {_REMEDY}"
            )


def not_built(error: ModuleNotFoundError) -> ImportError:
    """Return the ImportError for an import that finds no core or no NumPy.

    Args:
        error: the error of the import statement.
    """
    return ImportError(
        f"[import] minitensor must be built for this Python, {sys.executable}, "
        f"which has no module {error.name}; {_REMEDY}",
        name=error.name,
    )
