"""The core's settings: what the environment says of it at import, and the instruction sets."""

from __future__ import annotations

from minitensor import config
from minitensor.backend.core import ffi, lib, set_synchronous, text

__all__ = ["isa", "isa_names", "set_isa"]


def isa() -> str:
    """Return the name of the instruction set that the kernels use now."""
    return text(lib.mt_isa())


def isa_names() -> list[str]:
    """Return the instruction sets that have kernels and that this processor has, plainest first."""
    names: list[str] = []
    while (name := lib.mt_isa_name(len(names))) != ffi.NULL:
        names.append(text(name))
    return names


def set_isa(name: str) -> None:
    """Let ops run the kernels of an instruction set from now on; an empty name: of the best.

    Raises:
        ValueError: when there are none, or this processor can't run them.
    """
    if lib.mt_set_isa(name.encode(errors="replace")) != lib.MT_OK:
        raise ValueError(
            f"[config] MINITENSOR_ISA can't be {name!r}; "
            f"this processor has {', '.join(isa_names())}"
        )


def _configure() -> None:
    lib.mt_set_inline_limit(config.get("MINITENSOR_INLINE_ELEMENTS"))
    lib.mt_set_queue_bound(
        config.get("MINITENSOR_QUEUE_TASKS"), config.get("MINITENSOR_QUEUE_BYTES")
    )
    for flag in config.FLAGS.values():
        if flag.core and lib.mt_configure(flag.name.encode(), config.get(flag.name)) != lib.MT_OK:
            raise ImportError(
                f"[import] the C core was built from another config.py, without {flag.name}; "
                "build it again"
            )
    lib.mt_set_fusion(config.get("MINITENSOR_FUSION"))
    lib.mt_set_threads(config.get("MINITENSOR_NUM_THREADS"))
    set_isa(config.get("MINITENSOR_ISA"))
    set_synchronous(config.get("MINITENSOR_SYNCHRONOUS"))
    config.get("MINITENSOR_EXIT_SECONDS")  # an error at the program's end would come too late


_configure()
