"""`device_context.cpu` and `device_context.ascend`: is there such a device, and how many of them?"""

from __future__ import annotations

from minitensor.backend import get_backend

__all__ = ["ascend", "cpu"]


class DeviceContext:
    """What one kind of device has to say about itself."""

    def __init__(self, name: str) -> None:
        self._name = name

    def is_available(self) -> bool:
        """Is there at least one?  It may belong to another process at the moment."""
        return self.device_count() > 0

    def device_count(self) -> int:
        """How many this process sees."""
        return get_backend(self._name).device_count()


ascend = DeviceContext("Ascend")
cpu = DeviceContext("CPU")
