"""The measured libraries and their spelling of the cases.

A case is an expression, such as `log(exp(x) + x)`.  A library gives the names a meaning, converts
NumPy's arrays to its own, and waits for a result.  A library that compiles, or that takes the
expression as text, also returns the text of its call.

Each function imports its library, so only the process of a library loads it.  ImportError means
that the library is missing.
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

__all__ = ["LIBRARIES", "Library"]

# The names that most libraries have in common.
SAME = (
    "abs", "amax", "argmax", "clip", "exp", "eye", "log", "matmul", "mean", "sin", "sqrt", "sum",
    "tanh", "where",
)  # fmt: skip
LINALG = ("cholesky", "inv", "qr", "solve", "svd")


def as_it_stands(text: str, names: dict[str, Any], arguments: dict[str, Any]) -> str:
    return text


@dataclass
class Library:
    version: str
    names: dict[str, Any]  # the functions that an expression may use
    put: Callable[[np.ndarray], Any] = lambda array: array
    wait: Callable[[Any], Any] = lambda result: result
    # Returns the code of the timed loop; it may add names.
    call: Callable[[str, dict[str, Any], dict[str, Any]], str] = as_it_stands
    any_names: bool = False  # True: it ignores the expression
    host: Callable[[Any], np.ndarray] = np.asarray  # returns a result as an array


def named(*sources: tuple[Any, tuple[str, ...]], **special: Any) -> dict[str, Any]:
    return {
        name: getattr(module, name)
        for module, names in sources
        for name in names
        if hasattr(module, name)
    } | special


def dtypes(module: Any) -> dict[str, Any]:
    names = {"f16": "float16", "f32": "float32", "f64": "float64", "i32": "int32", "i64": "int64"}
    return {short: getattr(module, name) for short, name in names.items()}


def compiled(how: Callable[[Any], Any]) -> Callable[[str, dict[str, Any], dict[str, Any]], str]:
    def call(text: str, names: dict[str, Any], arguments: dict[str, Any]) -> str:
        inputs = ", ".join(arguments)
        names["compiled"] = how(eval(f"lambda {inputs}: {text}", names))
        return f"compiled({inputs})"

    return call


def minitensor() -> Library:
    import minitensor as mt
    from minitensor import ops
    from minitensor.backend import core

    def wait(result: Any) -> None:  # a read does this first, then makes an array
        for one in result if isinstance(result, tuple) else (result,):
            if isinstance(one, mt.Tensor):
                core.wait(one._ref)

    names = named(
        (ops, SAME + LINALG),
        copy=ops.contiguous,
        cast=ops.cast,
        transpose=lambda x: x.T,
        inv=ops.inverse,
        m=ops,
        tensor=mt.tensor,
        **dtypes(mt),
    )
    return Library(mt.__version__, names, mt.Tensor, wait, host=lambda x: x.asnumpy().copy())


def numpy() -> Library:
    names = named(
        (np, SAME),
        (np.linalg, LINALG),
        copy=np.ascontiguousarray,
        cast=lambda x, dtype: x.astype(dtype),
        transpose=lambda x: x.T,
        m=np,
        tensor=np.array,
        rng=np.random.default_rng(1),
        np_zero=np.float32(0),
        **dtypes(np),
    )
    return Library(np.__version__, names, np.array)


def numexpr() -> Library:
    import numexpr

    def call(text: str, names: dict[str, Any], arguments: dict[str, Any]) -> str:
        names["evaluate"] = partial(numexpr.evaluate, text, local_dict=arguments, global_dict={})
        return "evaluate()"

    names = dict.fromkeys(("abs", "exp", "log", "sin", "sqrt", "sum", "tanh", "where"))
    return Library(numexpr.__version__, names | {"transpose": lambda x: x.T}, call=call)


def torch() -> Library:
    import torch

    names = named(
        (torch, SAME), (torch.linalg, LINALG), transpose=lambda x: x.T,
        copy=lambda x: x.contiguous(),
        cast=lambda x, dtype: x.to(getattr(torch, dtype)), m=torch, tensor=torch.tensor,
        **dtypes(torch),
    )  # fmt: skip
    return Library(torch.__version__, names, torch.tensor)


def torch_compile() -> Library:
    import torch as module

    library = torch()
    module.compile(lambda x: x + 1, dynamic=False)(
        module.ones(64)
    )  # raises without a compiler for C++
    library.call = compiled(partial(module.compile, dynamic=False))
    return library


def jax() -> Library:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)  # without it float64 becomes float32
    names = named(
        (jnp, SAME),
        (jnp.linalg, LINALG),
        copy=jnp.copy,
        cast=lambda x, dtype: x.astype(dtype),
        transpose=lambda x: x.T,
    )
    return Library(jax.__version__, names, jnp.asarray, jax.block_until_ready)


def jax_jit() -> Library:
    import jax as module

    library = jax()
    library.call = compiled(module.jit)
    return library


def mindspore() -> Library:
    import mindspore as ms
    from mindspore import ops
    from mindspore.common.api import _pynative_executor

    names = named(
        (ops, SAME),
        cast=lambda x, dtype: ops.cast(x, getattr(ms, dtype)),
        transpose=lambda x: x.T,
        copy=lambda x: x.contiguous(),
    )
    return Library(ms.__version__, names, ms.Tensor, lambda result: _pynative_executor.sync())


STREAM = """
#include <stddef.h>
#ifdef __SSE2__
#include <emmintrin.h>
/* Copies past the caches; `to`, `from` and `bytes` are multiples of 64. */
void stream(char *to, const char *from, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64)
        for (size_t j = i; j < i + 64; j += 16)
            _mm_stream_si128((__m128i *)(to + j), _mm_loadu_si128((const __m128i *)(from + j)));
    _mm_sfence();
}
#else
#include <string.h>
void stream(char *to, const char *from, size_t bytes) { memcpy(to, from, bytes); }
#endif
"""


def copy() -> Library:
    """Copy the same number of elements to existing memory, by the fastest way for the size.

    This is the floor of the figures.  The ways are one call of memcpy, a call in each of two
    threads, and stores past the caches in each of two threads.  No function of large arrays that
    writes a result can be faster than the last way.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, core = Path(folder, "stream.c"), Path(folder, "stream.so")
        source.write_text(STREAM)
        try:
            subprocess.run(
                ["cc", "-O3", "-shared", "-fPIC", source, "-o", core],
                check=True,
                capture_output=True,
            )
        except (OSError, subprocess.CalledProcessError) as error:
            raise ImportError("no C compiler") from error
        stream = ctypes.CDLL(str(core)).stream
    stream.argtypes, stream.restype = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t], None
    second = ThreadPoolExecutor(1)

    def call(text: str, names: dict[str, Any], arguments: dict[str, Any]) -> str:
        source = next(iter(arguments.values())).reshape(-1)
        target = np.empty(source.nbytes + 64, np.uint8)
        target = target[-target.ctypes.data % 64 :][: source.nbytes]
        target[:] = 0
        half = source.nbytes // 2 // 64 * 64
        to, start = target.ctypes.data, source.ctypes.data

        def two(how: Any) -> None:
            other = second.submit(how, to, start, half)
            how(to + half, start + half, half)
            other.result()

        ways = [
            partial(ctypes.memmove, to, start, 2 * half),
            partial(two, ctypes.memmove),
            partial(two, stream),
        ]
        names.update(kept=(source, target), fastest=min(ways, key=best_of_five))
        return "fastest()"

    return Library("", numpy().names, call=call, any_names=True)


def best_of_five(function: Callable[[], Any]) -> float:
    times = []
    for _ in range(5):
        begin = perf_counter()
        function()
        times.append(perf_counter() - begin)
    return min(times)


LIBRARIES: dict[str, Callable[[], Library]] = {
    "minitensor": minitensor, "numpy": numpy, "numexpr": numexpr, "torch": torch,
    "torch.compile": torch_compile, "jax": jax, "jax.jit": jax_jit, "mindspore": mindspore,
    "copy": copy,
}  # fmt: skip
