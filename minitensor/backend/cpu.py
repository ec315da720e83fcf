"""The host: C kernels, and NumPy where there is none."""

from __future__ import annotations

from minitensor.backend.base import Backend, Task

__all__ = ["CPUBackend"]


class CPUBackend(Backend):
    name = "CPU"
    native = True
    host_visible = True

    def launch(self, task: Task) -> None:
        task.reference()
