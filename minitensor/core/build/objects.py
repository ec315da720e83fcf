"""Compile C sources to objects: those that are stale, in parallel.

The problem.  The kernels take most of a minute to compile, and setuptools compiles all sources of an
extension, one after the other, when any file of it is newer than the extension.

The solution.  The compiler writes a list of the files that an object was made of (`-MMD`).  Beside the
object stands a checksum of their contents; the object is stale when the contents have another one.
The command that compiles is part of the folder's name, so objects of different flags, compilers
and Pythons lie side by side.  Times of files decide nothing: a checkout or a copy compiles nothing.

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

FOLDER = "build/objects"  # below the current folder, which is the one of setup.py

Compile = Callable[[str, str, list[str]], object]


def compile_stale(key: Iterable[str], sources: Iterable[str], compile: Compile) -> list[str]:
    """Return the objects of the sources, after compiling those that are stale.

    Args:
        key: what the objects depend on beside the sources: the compiler and its flags.
        sources: paths below the current folder.
        compile: compiles `(source, object, flags)`; called in several threads.
    """
    key = list(key)
    compiler = takewhile(lambda word: not word.startswith("-"), key)
    version = subprocess.run([*compiler, "--version"], capture_output=True, stdin=subprocess.DEVNULL)
    name = hashlib.sha256(repr((key, version.stdout)).encode()).hexdigest()[:12]

    def make(source: str) -> str:
        target = f"{FOLDER}/{name}/{os.path.splitext(source)[0]}.o"
        inputs, recorded = Path(target + ".d"), Path(target + ".sum")
        if os.path.exists(target) and _read(recorded) == _checksum(inputs):
            return target
        recorded.parent.mkdir(parents=True, exist_ok=True)
        recorded.unlink(missing_ok=True)
        begin = time.time()
        compile(source, target, ["-MMD", "-MF", str(inputs)])
        if all(os.stat(path).st_mtime <= begin for path in _inputs(inputs)):
            recorded.write_text(_checksum(inputs))  # else a file has changed since the compiler read it
        return target

    sources = list(sources)
    # The longest first, so that no core waits for the last: kernels take seconds, others a fraction of one.
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
    """Return the files in a list that the compiler wrote, in the syntax of make."""
    return shlex.split(path.read_text().replace("\\\n", " ").replace("$$", "$"))[1:]


def _checksum(path: Path) -> str:
    """Return the checksum of all files in such a list; "" when one of them is missing."""
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
