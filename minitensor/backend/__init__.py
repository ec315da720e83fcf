"""Backends, found by name: built in, registered, or installed by another package."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from minitensor import errors
from minitensor.backend import lifecycle, settings  # noqa: F401  (their import has effects)
from minitensor.backend.base import Backend, Device, Task

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["Backend", "Device", "Task", "available", "get_backend", "get_device", "register"]

_BUILT_IN = {
    "CPU": "minitensor.backend.cpu:CPUBackend",
    "Ascend": "minitensor.backend.ascend:AscendBackend",
}
_backends: dict[str, Backend] = {}
_devices: dict[tuple[str, int], Device] = {}


def _installed(name: str | None = None) -> list[EntryPoint]:
    # Imported here: it would add an eighth to the import time, and few programs use it.
    from importlib.metadata import entry_points

    points = entry_points(group="minitensor.backends")
    return [point for point in points if name in (None, point.name)]


def available() -> list[str]:
    """Return the names of all backends: built in, registered and installed.

    Example:
        >>> from minitensor import backend
        >>> "CPU" in backend.available()
        True
    """
    installed = [point.name for point in _installed()]
    return list(dict.fromkeys([*_BUILT_IN, *_backends, *installed]))


def register(backend: type[Backend]) -> type[Backend]:
    """Register a backend by its name in this process; usable as a class decorator.

    An installed package registers a backend by its metadata instead: an entry point of the group
    `minitensor.backends` that has the backend's name.

    Args:
        backend: the class, with an attribute `name`.

    Returns:
        The class.

    Raises:
        ValueError: the class has no name.
    """
    if not getattr(backend, "name", ""):
        raise ValueError(
            f"[backend] {backend.__name__} has no name; give the class an attribute `name`"
        )
    _backends[backend.name] = backend()
    return backend


def get_backend(name: str) -> Backend:
    """Return the backend `name`; create it at the first use.

    Raises:
        ValueError: no backend has that name; the message lists the valid names.
    """
    if name not in _backends:
        path = _BUILT_IN.get(name)
        if path is not None:
            module, _, attribute = path.partition(":")
            cls = getattr(import_module(module), attribute)
        else:
            points = _installed(name)
            if not points:
                names = available()
                hint = errors.did_you_mean(name, names)
                raise ValueError(
                    f"[device] no device target {name!r}; the valid ones are "
                    f"{', '.join(names)}{hint}"
                )
            cls = points[0].load()
        _backends.setdefault(name, cls())
    return _backends[name]


def get_device(name: str, index: int = 0) -> Device:
    """Return device `index` of the backend `name`; its first task opens it.

    Raises:
        ValueError: the name is unknown, or the index is negative.
        DeviceError: the backend has no device of that index.
    """
    device = _devices.get((name, index))
    if device is None:
        backend = get_backend(name)
        if index < 0:
            raise ValueError(f"[device] the index of a device must be at least 0, got {index}")
        count = backend.device_count()
        if index >= count:
            raise errors.DeviceError(
                f"[device] {name} has no device {index}: ret[107001]. Got device count[{count}] "
                f"and device id[{index}]; take one of 0 to {count - 1}",
                107001,
            )
        device = _devices.setdefault((name, index), Device(backend, index))
    return device
