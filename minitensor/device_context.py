"""`device_context.cpu` and `device_context.ascend`: the availability and number of devices."""

from __future__ import annotations

from minitensor.backend import get_backend

__all__ = ["ascend", "cpu"]


class DeviceContext:
    """Describe one kind of device.

    Args:
        name: the name of the backend.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def is_available(self) -> bool:
        """Return True if at least one device exists; another process may hold it.

        Example:
            >>> from minitensor import device_context
            >>> device_context.cpu.is_available()
            True
        """
        return self.device_count() > 0

    def device_count(self) -> int:
        """Return the number of devices that are visible to this process.

        Example:
            >>> from minitensor import device_context
            >>> device_context.cpu.device_count()
            1
        """
        return get_backend(self._name).device_count()


ascend = DeviceContext("Ascend")
cpu = DeviceContext("CPU")
