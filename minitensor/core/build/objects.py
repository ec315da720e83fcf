"""Compile C sources to objects: the stale ones, in parallel.

The problem. The kernels take most of a minute to compile, and setuptools compiles all sources of an
extension, one after the other, when any of its files is newer than the extension.

The solution. The compiler writes a list of the files from which it made an object (`-MMD`). Beside
the object lies a checksum of their contents; the object is stale when the present contents have
another checksum. The folder's name contains a hash of the compile command, so objects of different
flags, compilers and Pythons lie side by side. Modification times play no part: a checkout or a copy
compiles nothing.

    python objects.py PROGRAM COMMAND... -- SOURCES...    compiles and links a program
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from pathlib import Path

__all__ = ["FOLDER", "compile_stale"]

FOLDER = "build/objects"  # below the current folder, which is setup.py's

# Flags of single objects in place of -O3, by the end of their names.  The elementwise loops are the
# longest to compile: a quarter of their time is spent on transformations of -O3 that make no loop
# faster on AVX2 and AVX-512 (the folds need them).
FLAGS = {"_elementwise.c": ["-O2", "-ftree-vectorize", "-fvect-cost-model=dynamic"]}

Compile = Callable[[str, str, list[str]], object]


def compile_stale(key: Iterable[str], sources: Iterable[str], compile: Compile) -> list[str]:
    """Return the objects of the sources, after compiling the stale ones.

    Args:
        key: the compiler and its flags, on which the objects depend beside their sources.
        sources: paths below the current folder.
        compile: compiles `(source, object, flags)`; several threads call it at once.
    """
    key = [*key, repr(FLAGS)]
    compiler = takewhile(lambda word: not word.startswith("-"), key)
    command = [*compiler, "--version"]
    fast = [word for word in key if word.startswith("-O")][-1:] == ["-O3"]
    version = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL)
    name = hashlib.sha256(repr((key, version.stdout)).encode()).hexdigest()[:12]

    def make(source: str) -> str:
        target = f"{FOLDER}/{name}/{os.path.splitext(source)[0]}.o"
        inputs, recorded = Path(target + ".d"), Path(target + ".sum")
        if os.path.exists(target) and _read(recorded) == _checksum(inputs):
            return target
        recorded.parent.mkdir(parents=True, exist_ok=True)
        recorded.unlink(missing_ok=True)
        begin = time.time()
        more = [flag for end, own in FLAGS.items() if fast and source.endswith(end) for flag in own]
        compile(source, target, [*more, "-MMD", "-MF", str(inputs)])
        if all(os.stat(path).st_mtime <= begin for path in _inputs(inputs)):
            # Otherwise a file has changed since the compiler read it.
            recorded.write_text(_checksum(inputs))
        return target

    sources = list(sources)
    # The longest first, so that all cores end together: kernels take seconds, others less than one.
    order = sorted(sources, key=lambda source: "/kernels/" not in source)
    with ThreadPoolExecutor(_cores()) as pool:
        made = dict(zip(order, pool.map(make, order)))
    return [made[source] for source in sources]


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # macOS has none
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else "nothing"


def _inputs(path: Path) -> list[str]:
    """Return the files in a dependency list of the compiler, which has the syntax of make."""
    return shlex.split(path.read_text().replace("\\\n", " ").replace("$$", "$"))[1:]


def _checksum(path: Path) -> str:
    """Return the checksum of all files in a dependency list; "" if one of them is missing."""
    total = hashlib.sha256()
    try:
        for name in _inputs(path):
            total.update(name.encode() + b"\0" + hashlib.sha256(Path(name).read_bytes()).digest())
    except OSError:
        return ""
    return total.hexdigest()


def main(program: str, *words: str) -> None:
    split = words.index("--")
    command, sources = list(words[:split]), words[split + 1 :]

    def compile(source: str, target: str, flags: list[str]) -> None:
        subprocess.run([*command, *flags, "-c", source, "-o", target], check=True)

    objects = compile_stale(command, sources, compile)
    subprocess.run([*command, *objects, "-lm", "-lpthread", "-o", program], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
