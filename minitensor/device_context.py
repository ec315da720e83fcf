"""What devices there are, as MindSpore asks it: `device_context.ascend.device_count()`."""

from __future__ import annotations

from minitensor.backend import get_backend

__all__ = ["ascend", "cpu"]


class _Target:
    def __init__(self, name: str) -> None:
        self._name = name

    def device_count(self) -> int:
        """How many devices of the target this process may use."""
        return get_backend(self._name).device_count()

    def is_available(self) -> bool:
        """Is there one?"""
        return self.device_count() > 0


ascend, cpu = _Target("Ascend"), _Target("CPU")
