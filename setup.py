"""Builds the C core.  cffi makes the extension (minitensor/core/build/_build.py); its sources are compiled side by side."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from setuptools import setup
from setuptools.command.build_ext import build_ext


class BuildExt(build_ext):
    """setuptools compiles the sources of an extension one by one; ours take a minute so, on one core."""

    def build_extensions(self) -> None:
        compiler: Any = self.compiler
        if compiler.compiler_type == "unix":
            compiler.compile = lambda sources, **options: compile_side_by_side(compiler, sources, **options)
        super().build_extensions()


def compile_side_by_side(
    compiler: Any, sources: list[str], output_dir: str | None = None, macros: Any = None, include_dirs: Any = None, debug: bool = False,
    extra_preargs: Any = None, extra_postargs: Any = None, depends: Any = None,
) -> list[str]:  # fmt: skip
    """What `compiler.compile` does, its steps in the same order, with a thread for each core."""
    macros, objects, options, defines, build = compiler._setup_compile(output_dir, macros, include_dirs, sources, depends, extra_postargs)
    arguments = compiler._get_cc_args(defines, debug, extra_preargs)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        done = [pool.submit(compiler._compile, target, *build[target], arguments, options, defines) for target in objects if target in build]
    for one in done:
        one.result()  # a compiler's complaint rises here
    return objects


setup(cffi_modules=["minitensor/core/build/_build.py:ffibuilder"], cmdclass={"build_ext": BuildExt})
