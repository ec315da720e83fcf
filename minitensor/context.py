"""The device and the mode of the process: `set_context`, `set_device` and their getters.

The context belongs to the process.  It names the device of new tensors.  The first task on a device
acquires the device; the context itself acquires none.  Names, types, defaults and exceptions are
MindSpore's.

    keyword                type   default    meaning
    mode                   int    1          PYNATIVE_MODE; see `set_context` for GRAPH_MODE
    device_target          str    "CPU"      backend of new tensors: CPU, Ascend or an installed one
    device_id              int    0          index of the device; fixed once the device was used
    max_device_memory      str    "1024GB"   limit of the current device; read back as float, in GB
    pynative_synchronize   bool   False      each op runs, and fails, at its call
    deterministic          str    "OFF"      "ON" or "OFF"; results are reproducible either way

`MINITENSOR_DEVICE_TARGET` and `MINITENSOR_DEVICE_ID` replace the defaults of the target and the id;
they are read at their first use.

After a fork the child's device target is CPU and its device id 0, because an exclusive device
belongs to the parent.  The child may set both again.  The other settings belong to no device and
are kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

from minitensor import config, fork
from minitensor.backend import Device, core, get_backend, get_device
from minitensor.backend.core import ffi, lib, operators

__all__ = [
    "GRAPH_MODE", "PYNATIVE_MODE", "CurrentDevice", "set_context", "get_context", "set_device",
    "get_current_device", "current_device",
]  # fmt: skip

if TYPE_CHECKING:
    from typing_extensions import TypedDict, Unpack

    class Settings(TypedDict, total=False):
        """The keywords of `set_context`."""

        mode: int
        device_target: str
        device_id: int
        max_device_memory: str
        pynative_synchronize: bool
        deterministic: Literal["ON", "OFF"]


GRAPH_MODE = 0
PYNATIVE_MODE = 1


class CurrentDevice(NamedTuple):
    """Name a device; `get_current_device` returns it."""

    device_target: str
    device_id: int


_chosen: CurrentDevice | None = None  # None: the environment's device
_current: Device | None = None  # the device of `_chosen`, looked up at first use
_memory: float | None = None  # GB; None: no limit, reported as MindSpore's default
_deterministic = "OFF"
_inherited: dict[int, int] = {}  # in a forked child: the parent's allocation count by device number


def _choice() -> CurrentDevice:
    global _chosen
    if _chosen is None:
        target = config.get("MINITENSOR_DEVICE_TARGET")
        try:
            get_backend(target)
        except ValueError as error:
            raise ValueError(
                f"[config] MINITENSOR_DEVICE_TARGET must name a backend, got {target!r}: {error}"
            ) from None
        _chosen = CurrentDevice(target, config.get("MINITENSOR_DEVICE_ID"))
    return _chosen


def _choose(choice: CurrentDevice) -> None:
    global _chosen, _current
    _chosen, _current = choice, None
    operators.current_device(-1)


def current_device() -> Device:
    """Return the device of new tensors.

    Returns:
        The Device; it is not acquired by this call.

    Raises:
        ValueError: the environment names an unknown device target.
        DeviceError: no device has the index that was set.

    Example:
        >>> from minitensor import context
        >>> str(context.current_device())
        'CPU'
    """
    global _current
    device = _current
    if device is None:
        target, index = _choice()
        # The host is one device; a program may set an id for the accelerator of another machine.
        device = get_device(target, 0 if target == "CPU" else index)
        _bound_memory(device)
        _current = device
    return device


def is_current(device: Device) -> bool:
    """Return True if a new tensor has been made on this device because it is the current one."""
    return device is _current


def _used() -> bool:
    """Return True if this process has computed on the current device since its start or fork."""
    if _current is None or _current.id is None:
        return False
    stats = ffi.new("mt_memory_stats *")
    lib.mt_device_stats(_current.id, stats)
    return stats.allocations > _inherited.get(_current.id, 0)


# --- set_context ----------------------------------------------------------------------------------
def _mode(value: int) -> None:
    if value == GRAPH_MODE:
        raise NotImplementedError(
            "[set_context] mode must be PYNATIVE_MODE (1), got GRAPH_MODE (0): minitensor has no "
            "graph mode, ops run eagerly; omit mode or set PYNATIVE_MODE"
        )
    if value != PYNATIVE_MODE:
        raise ValueError(f"[set_context] mode must be PYNATIVE_MODE (1), got {value}")


def _id(value: int) -> None:
    if not 0 <= value <= 4095:
        raise ValueError(f"[set_context] device_id must be in [0, 4095], got {value}")


def _gigabytes(value: str) -> float:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*GB\s*", value)
    if match is None or float(match[1]) == 0:
        raise ValueError(
            f"[set_context] max_device_memory must be a size above 0 such as '5GB', got {value!r}"
        )
    return float(match[1])


def _on_or_off(value: str) -> None:
    if value not in ("ON", "OFF"):
        raise ValueError(f"[set_context] deterministic must be 'ON' or 'OFF', got {value!r}")


# name: the type, and the function that raises for an invalid value
_PARAMETERS: dict[str, tuple[type, Callable[[Any], object]]] = {
    "device_target": (str, get_backend),
    "device_id": (int, _id),
    "mode": (int, _mode),
    "max_device_memory": (str, _gigabytes),
    "pynative_synchronize": (bool, lambda value: None),
    "deterministic": (str, _on_or_off),
}


def _check_type(name: str, value: Any, expected: type) -> None:
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise TypeError(f"The parameter '{name}' must be {expected}, but got {type(value)}")


def set_context(**kwargs: Unpack[Settings]) -> None:
    """Set the device and the mode of this process.

    An invalid argument raises before any setting changes.  `device_target` may change at any time:
    tensors stay on their device, new tensors are made on the new target.  The call does not acquire
    the device.  `device_id` is fixed once the device was used.

    Args:
        mode (int): PYNATIVE_MODE.  GRAPH_MODE is refused, because a program that sets it expects
            compiled functions.
        device_target (str): "CPU", "Ascend" or the name of an installed backend.
        device_id (int): index of the device, from 0 to 4095.
        max_device_memory (str): a size in GB such as "5GB".  It limits the tensors and the cache
            together on a device that has memory of its own; it does not limit the host's memory.
        pynative_synchronize (bool): True runs each op at its call.
        deterministic (str): "ON" or "OFF".

    Raises:
        TypeError: a value has the wrong type, or `device_id` changes after the device was used.
        ValueError: a value is out of range, or a keyword is unknown.
        NotImplementedError: (a RuntimeError) mode is GRAPH_MODE.

    Example:
        >>> from minitensor import context
        >>> context.set_context(device_target="CPU", pynative_synchronize=True)
        >>> context.get_context("pynative_synchronize")
        True
        >>> context.set_context(pynative_synchronize=False)
    """
    global _deterministic, _memory
    for name, value in kwargs.items():
        if name not in _PARAMETERS:
            raise ValueError(
                f"[set_context] argument {name} is not recognized; use {', '.join(_PARAMETERS)}"
            )
        expected, check = _PARAMETERS[name]
        _check_type(name, value, expected)
        check(value)
    now = _choice()
    choice = CurrentDevice(
        kwargs.get("device_target", now.device_target), kwargs.get("device_id", now.device_id)
    )
    if choice != now:
        if choice.device_target == now.device_target and _used():
            raise TypeError(
                f"[set_context] device_id can not be set repeatedly: it must stay "
                f"{now.device_id}, since {now.device_target}:{now.device_id} was used already, got "
                f"{choice.device_id}; set it before the first op"
            )
        _choose(choice)
    if "max_device_memory" in kwargs:
        _memory = _gigabytes(kwargs["max_device_memory"])
        if _current is not None:
            _bound_memory(_current)
    if "pynative_synchronize" in kwargs:
        core.set_synchronous(kwargs["pynative_synchronize"])
    _deterministic = kwargs.get("deterministic", _deterministic)


def _bound_memory(device: Device) -> None:
    """Limit the memory of a device to `max_device_memory`; the host's memory has no limit."""
    if _memory is None or device.backend.host_visible:
        return
    device.limit = min(int(_memory * 2**30), device.backend.capacity(device.index) or 2**62)
    if device.id is not None:
        lib.mt_device_set_capacity(device.id, device.limit)


@overload
def get_context(attr_key: Literal["device_target", "deterministic"]) -> str: ...
@overload
def get_context(attr_key: Literal["device_id", "mode"]) -> int: ...
@overload
def get_context(attr_key: Literal["max_device_memory"]) -> float: ...
@overload
def get_context(attr_key: Literal["pynative_synchronize"]) -> bool: ...
def get_context(attr_key: str) -> str | int | float:
    """Return a setting of this process.

    Args:
        attr_key: a keyword of `set_context`.

    Returns:
        The value; that of `max_device_memory` is a float, in GB.

    Raises:
        TypeError: the key is not a string.
        ValueError: no setting has this name.

    Example:
        >>> from minitensor import context
        >>> context.get_context("device_target")
        'CPU'
    """
    _check_type("attr_key", attr_key, str)
    if attr_key in CurrentDevice._fields:
        return getattr(_choice(), attr_key)
    values: dict[str, str | int | float] = {
        "mode": PYNATIVE_MODE,
        "max_device_memory": 1024.0 if _memory is None else _memory,
        "pynative_synchronize": core.is_synchronous(),
        "deterministic": _deterministic,
    }
    if attr_key not in values:
        raise ValueError(
            f"[get_context] argument {attr_key} is not recognized; use {', '.join(_PARAMETERS)}"
        )
    return values[attr_key]


# --- set_device -----------------------------------------------------------------------------------
def set_device(device_target: str, device_id: int | None = None) -> None:
    """Set the device of this process; its first task acquires the device.

    Args:
        device_target: "CPU", "Ascend" or the name of an installed backend.
        device_id: index of the device; None means 0.

    Raises:
        TypeError: a value has the wrong type.
        ValueError: the target is unknown, or the id is negative.
        DeviceError: no device has this id (code 107001).
        RuntimeError: the process has already computed on another device.

    Example:
        >>> from minitensor import context
        >>> context.set_device("CPU")
        >>> context.get_current_device()
        CurrentDevice(device_target='CPU', device_id=0)
    """
    _check_type("device_target", device_target, str)
    index = 0 if device_id is None else device_id
    _check_type("device_id", index, int)
    get_device(device_target, index)
    now, choice = _choice(), CurrentDevice(device_target, index)
    if choice != now:
        if _used():
            raise RuntimeError(
                f"[set_device] the device must stay {now.device_target}:{now.device_id}, which was "
                f"used already, got {device_target}:{index}; call set_device before the first op, "
                "or give tensors a device: Tensor(..., device=...), t.to(...)"
            )
        _choose(choice)


def get_current_device() -> CurrentDevice:
    """Return the device of new tensors, as a tuple of `device_target` and `device_id`.

    Returns:
        A CurrentDevice.

    Raises:
        ValueError: the environment names an unknown device target.

    Example:
        >>> from minitensor import context
        >>> context.get_current_device().device_target
        'CPU'
    """
    return _choice()


def _after_in_child() -> None:
    _choose(CurrentDevice("CPU", 0))
    _inherited.clear()
    stats = ffi.new("mt_memory_stats *")
    for number in core.devices:
        lib.mt_device_stats(number, stats)
        _inherited[number] = stats.allocations


fork.register(after_in_child=_after_in_child, name="context", level=2)
