"""Build the C core.

cffi makes the extension (minitensor/core/build/_build.py); its stale objects are compiled in
parallel (minitensor/core/build/objects.py).
"""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import Any

from setuptools import setup
from setuptools.command.build_ext import build_ext

BUILD = "minitensor/core/build"
sys.path.insert(0, BUILD)

import objects  # noqa: E402


class BuildExt(build_ext):
    """Rebuild only the stale objects; setuptools would rebuild the whole extension."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.build_temp = objects.FOLDER  # permanent; the folder of `pip install -e` is temporary
        self.force = True

    def build_extensions(self) -> None:
        if self.compiler.compiler_type == "unix":
            self.compiler.compile = partial(compile_stale, self.compiler, self.compiler.compile)
        super().build_extensions()


def compile_stale(
    compiler: Any,
    compile: Any,
    sources: list[str],
    extra_postargs: Any = None,
    depends: Any = None,
    **options: Any,
) -> list[str]:
    """Compile the sources whose objects are stale, in place of `compiler.compile`."""
    flags = list(extra_postargs or ())
    key = [*compiler.compiler_so, *flags, str(compiler.include_dirs)]
    key += [os.environ.get("ARCHFLAGS", "")]
    key += [f"{name}={value}" for name, value in options.items()]

    def one(source: str, target: str, more: list[str]) -> None:
        folder = target.removesuffix(os.path.splitext(source)[0] + ".o")
        compile([source], extra_postargs=[*flags, *more], **{**options, "output_dir": folder})

    return objects.compile_stale(key, sources, one)


setup(cffi_modules=[f"{BUILD}/_build.py:ffibuilder"], cmdclass={"build_ext": BuildExt})
