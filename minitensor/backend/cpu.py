"""The host as a backend: C kernels, and NumPy where a kernel is missing."""

from __future__ import annotations

from minitensor.backend.base import Backend, launch_numpy

__all__ = ["CPUBackend"]


class CPUBackend(Backend):
    """Describe the host as a device."""

    name = "CPU"
    native = True
    host_visible = True
    launch = launch_numpy
