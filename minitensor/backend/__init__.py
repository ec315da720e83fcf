"""Backends: found by name, built in or installed by somebody else."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from minitensor import errors
from minitensor.backend import lifecycle, settings  # noqa: F401  (they act when they are loaded)
from minitensor.backend.base import Backend, Device, Task

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["Backend", "Device", "Task", "available", "get_backend", "get_device", "register"]

_BUILT_IN = {"CPU": "minitensor.backend.cpu:CPUBackend", "Ascend": "minitensor.backend.ascend:AscendBackend"}
_backends: dict[str, Backend] = {}
_devices: dict[tuple[str, int], Device] = {}


def _installed(name: str | None = None) -> list[EntryPoint]:
    from importlib.metadata import (
        entry_points,  # an eighth of the time that importing minitensor takes, for what few ask
    )

    return [point for point in entry_points(group="minitensor.backends") if name in (None, point.name)]


def available() -> list[str]:
    """The names of all backends: built in, registered and installed."""
    installed = [point.name for point in _installed()]
    return list(dict.fromkeys([*_BUILT_IN, *_backends, *installed]))


def register(backend: type[Backend]) -> type[Backend]:
    """Makes a backend known in this process by its name; usable as a class decorator.

    A package that is installed says it in its metadata: an entry point of the group `minitensor.backends` whose name is the
    backend's.
    """
    if not getattr(backend, "name", ""):
        raise ValueError(f"[backend] {backend.__name__} has no name; give the class an attribute `name`")
    _backends[backend.name] = backend()
    return backend


def get_backend(name: str) -> Backend:
    """The backend `name`, made on first use.

    Raises:
        ValueError: when there is none of that name; the message lists those that there are.
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
                raise ValueError(f"[device] no device target {name!r}; the valid ones are {', '.join(names)}{hint}")
            cls = points[0].load()
        _backends.setdefault(name, cls())
    return _backends[name]


def get_device(name: str, index: int = 0) -> Device:
    """Device `index` of the backend `name`.  It is not taken before its first task.

    Raises:
        ValueError: for an unknown name or a negative index.
        DeviceError: when there is no device of that index.
    """
    device = _devices.get((name, index))
    if device is None:
        backend = get_backend(name)
        if index < 0:
            raise ValueError(f"[device] a device's index can't be negative, got {index}")
        count = backend.device_count()
        if index >= count:
            raise errors.DeviceError(
                f"[device] {name} has no device {index}: ret[107001]. Got device count[{count}] and device id[{index}]; "
                f"take one of 0 to {count - 1}",
                107001,
            )
        device = _devices.setdefault((name, index), Device(backend, index))
    return device
