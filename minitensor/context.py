"""Which device, and which mode: `set_context`, `get_context`, `set_device`.

Naming a device does not take it: an exclusive device belongs to a process from its first task on.  In a forked child the target
is the CPU again, device 0, and everything can be set anew, because the parent's device is the parent's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from minitensor import config, fork
from minitensor.backend import Device, available, get_backend, get_device, native
from minitensor.backend.native import lib

__all__ = ["GRAPH_MODE", "PYNATIVE_MODE", "CurrentDevice", "current_device", "get_context", "get_current_device", "set_context",
           "set_device"]  # fmt: skip

GRAPH_MODE, PYNATIVE_MODE = 0, 1


class CurrentDevice(NamedTuple):
    """A device target and an index of it."""

    device_target: str
    device_id: int


# Who may touch it: any thread, under the GIL; each assignment is one step.  A fork copies it, and the child's hook resets the target.
_device: Device | None = None  # None until first asked for: the environment says where to begin
_deterministic = "OFF"
_max_device_memory = "1024GB"


def current_device() -> Device:
    """The device that new tensors are made on."""
    global _device
    if _device is None:
        _device = get_device(config.get("MINITENSOR_DEVICE_TARGET"), config.get("MINITENSOR_DEVICE_ID"))
    return _device


def _check(name: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"[set_context] The parameter '{name}' must be {kind}, but got {type(value)}")


def _set_mode(value: Any) -> None:
    _check("mode", value, int)
    if value not in (GRAPH_MODE, PYNATIVE_MODE):
        raise ValueError(f"[set_context] mode must be GRAPH_MODE (0) or PYNATIVE_MODE (1), got {value}")
    if value == GRAPH_MODE:
        raise ValueError("[set_context] minitensor has no graph mode: ops run eagerly; leave mode at PYNATIVE_MODE (1)")


def _set_target(value: Any) -> None:
    global _device
    _check("device_target", value, str)
    if value not in available():
        raise ValueError(f"[set_context] device_target must be one of {', '.join(available())}, got {value!r}")
    if current_device().backend.name != value:
        _device = get_device(value, 0)
        _apply_memory()


def _set_id(value: Any) -> None:
    global _device
    _check("device_id", value, int)
    if not 0 <= value <= 4095:
        raise ValueError(f"[set_context] device_id must be in [0, 4095], got {value}")
    device = current_device()
    if value == device.index:
        return
    if device.active and not device.backend.inherited:
        raise TypeError(f"[set_context] device_id can not be set repeatedly: {device} is in use by this process; set it before the first op")
    _device = get_device(device.backend.name, value)
    _apply_memory()


def _set_memory(value: Any) -> None:
    global _max_device_memory
    _check("max_device_memory", value, str)
    try:
        size = config.parse_bytes(value)
    except ValueError as error:
        raise ValueError(f"[set_context] max_device_memory: {error}") from None
    if size <= 0:
        raise ValueError(f"[set_context] max_device_memory must be more than 0, got {value!r}")
    _max_device_memory = value
    _apply_memory()


def _apply_memory() -> None:
    """The bound on a device's memory: the smaller of what it has and what was asked for."""
    device = current_device()
    own = device.backend.capacity(device.index)
    bound = config.parse_bytes(_max_device_memory)
    device.limit = min(own, bound) if own else bound if _max_device_memory != "1024GB" else 0
    if device.id is not None:
        lib.mt_device_set_capacity(device.id, device.limit)


def _set_synchronous(value: Any) -> None:
    _check("pynative_synchronize", value, bool)
    native.set_synchronous(value)


def _set_deterministic(value: Any) -> None:
    global _deterministic
    _check("deterministic", value, str)
    if value not in ("ON", "OFF"):
        raise ValueError(f"[set_context] deterministic must be 'ON' or 'OFF', got {value!r}")
    _deterministic = value  # every kernel here is deterministic either way


_SETTERS = {
    "device_target": _set_target,  # applied first: device_id counts devices of this target
    "device_id": _set_id,
    "mode": _set_mode,
    "max_device_memory": _set_memory,
    "pynative_synchronize": _set_synchronous,
    "deterministic": _set_deterministic,
}
_GETTERS = {
    "device_target": lambda: current_device().backend.name,
    "device_id": lambda: current_device().index,
    "mode": lambda: PYNATIVE_MODE,
    "max_device_memory": lambda: config.parse_bytes(_max_device_memory) / 2**30,
    "pynative_synchronize": native.is_synchronous,
    "deterministic": lambda: _deterministic,
}


def set_context(**settings: Any) -> None:
    """Sets how and where ops run.

    Args:
        device_target: "CPU", "Ascend" or an installed backend's name.  May change at any time; tensors stay where they are.
        device_id: the index of the device, 0 to 4095; not after an exclusive device was used.
        mode: PYNATIVE_MODE (1).  There is no graph mode.
        max_device_memory: a bound on the device's memory such as "5GB".
        pynative_synchronize: True runs each op at its call, so that it fails there.
        deterministic: "ON" or "OFF"; results are the same either way.

    Raises:
        TypeError: for a positional argument, a value of the wrong type, or another device_id after its device was used.
        ValueError: for an unknown setting or a value out of range.
        DeviceError: when there is no device of that index.

    Example:
        >>> import minitensor
        >>> minitensor.set_context(device_target="CPU", pynative_synchronize=False)
    """
    for name in settings:
        if name not in _SETTERS:
            raise ValueError(f"[set_context] argument {name} is not recognized; the settings are {', '.join(_SETTERS)}")
    for name, setter in _SETTERS.items():
        if name in settings:
            setter(settings[name])


def get_context(attr_key: str) -> Any:
    """The value of a setting of `set_context`; max_device_memory in GB.

    Raises:
        TypeError: when the key is no string.
        ValueError: when there is no such setting.
    """
    if not isinstance(attr_key, str):
        raise TypeError(f"[get_context] the key must be a str, got {type(attr_key).__name__}")
    if attr_key not in _GETTERS:
        raise ValueError(f"[get_context] argument {attr_key} is not recognized; the settings are {', '.join(_GETTERS)}")
    return _GETTERS[attr_key]()


def set_device(device_target: str, device_id: int | None = None) -> None:
    """Makes `device_target:device_id` the current device; without an id, device 0.

    Raises:
        TypeError, ValueError: for a target or an id that is none.
        DeviceError: when there is no device of that index.
        RuntimeError: when an op has run on another device already; the same device again is fine.
    """
    global _device
    _check("device_target", device_target, str)
    index = 0 if device_id is None else device_id
    _check("device_id", index, int)
    if index < 0:
        raise ValueError(f"[set_device] device_id can't be negative, got {index}")
    backend = get_backend(device_target)
    now = current_device()
    if (now.backend, now.index) == (backend, index):
        return
    if now.active:
        raise RuntimeError(f"[set_device] {now} is in use by this process; call set_device before the first op")
    _device = get_device(device_target, index)
    _apply_memory()


def get_current_device() -> CurrentDevice:
    """The current device, as a tuple with the names device_target and device_id."""
    device = current_device()
    return CurrentDevice(device.backend.name, device.index)


def _back_to_cpu() -> None:
    global _device
    _device = get_device("CPU", 0)


fork.register(after_in_child=_back_to_cpu, name="context", level=2)
