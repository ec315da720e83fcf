"""Which device and which mode: `set_context`, `set_device` and what asks for them.

The context belongs to the process.  It says where new tensors are made and takes no device by itself: that is done by
the first task there.  Names, types, defaults and exceptions are MindSpore's.

    keyword                type   default    meaning
    mode                   int    1          PYNATIVE_MODE; see `set_context` for GRAPH_MODE
    device_target          str    "CPU"      the backend of new tensors: CPU, Ascend or an installed one
    device_id              int    0          which device of it; fixed once that device was used
    max_device_memory      str    "1024GB"   bounds the memory of the current device; read back as a float, in GB
    pynative_synchronize   bool   False      each op runs, and fails, at its call
    deterministic          str    "OFF"      "ON" or "OFF"; results are reproducible either way

`MINITENSOR_DEVICE_TARGET` and `MINITENSOR_DEVICE_ID` replace the first defaults; they are read when first needed.

After a fork the child's device target is CPU, its device 0, and everything may be set again: an exclusive device
belongs to the parent.  The other settings are no device's and are kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

from minitensor import config, fork
from minitensor.backend import Device, get_backend, get_device, native
from minitensor.backend.native import ffi, lib

__all__ = [
    "GRAPH_MODE", "PYNATIVE_MODE", "CurrentDevice", "set_context", "get_context", "set_device", "get_current_device",
    "current_device",
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
    """What `get_current_device` returns."""

    device_target: str
    device_id: int


_chosen: CurrentDevice | None = None  # None: as the environment says
_current: Device | None = None  # what `_chosen` names, looked up on first need
_memory: float | None = None  # GB; None: not bounded, which reads as MindSpore's default
_deterministic = "OFF"
_inherited: dict[int, int] = {}  # in a forked child: how many allocations the parent had made, by the device's number


def _choice() -> CurrentDevice:
    global _chosen
    if _chosen is None:
        target = config.get("MINITENSOR_DEVICE_TARGET")
        try:
            get_backend(target)
        except ValueError as error:
            raise ValueError(f"[config] MINITENSOR_DEVICE_TARGET can't be {target!r}: {error}") from None
        _chosen = CurrentDevice(target, config.get("MINITENSOR_DEVICE_ID"))
    return _chosen


def _choose(choice: CurrentDevice) -> None:
    global _chosen, _current
    _chosen, _current = choice, None


def current_device() -> Device:
    """The device on which new tensors are made.

    Raises:
        ValueError: when the environment names a device target that does not exist.
        DeviceError: when there is no device of the index that was set.
    """
    global _current
    device = _current
    if device is None:
        target, index = _choice()
        # The host is one device, whatever id a program sets for the accelerator that it runs on elsewhere.
        device = get_device(target, 0 if target == "CPU" else index)
        _bound_memory(device)
        _current = device
    return device


def _used() -> bool:
    """Has this process, since it began or was forked, computed on the current device?"""
    if _current is None or _current.id is None:
        return False
    stats = ffi.new("mt_memory_stats *")
    lib.mt_device_stats(_current.id, stats)
    return stats.allocations > _inherited.get(_current.id, 0)


# --- set_context -----------------------------------------------------------------------------------------------------
def _mode(value: int) -> None:
    if value == GRAPH_MODE:
        raise NotImplementedError(
            "[set_context] mode=GRAPH_MODE (0): there is no graph mode here, ops run eagerly; leave the "
            "mode out or set PYNATIVE_MODE (1)"
        )
    if value != PYNATIVE_MODE:
        raise ValueError(f"[set_context] mode must be PYNATIVE_MODE (1), got {value}")


def _id(value: int) -> None:
    if not 0 <= value <= 4095:
        raise ValueError(f"[set_context] device_id must be in [0, 4095], got {value}")


def _gigabytes(value: str) -> float:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*GB\s*", value)
    if match is None or float(match[1]) == 0:
        raise ValueError(f"[set_context] max_device_memory must be a size above 0 such as '5GB', got {value!r}")
    return float(match[1])


def _on_or_off(value: str) -> None:
    if value not in ("ON", "OFF"):
        raise ValueError(f"[set_context] deterministic must be 'ON' or 'OFF', got {value!r}")


_PARAMETERS: dict[str, tuple[type, Callable[[Any], object]]] = {  # the type, and what refuses a bad value
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
    """Sets what this process computes on, and how; all of it or, when something is wrong, nothing.

    `device_target` may change at any time: tensors stay where they are and new ones are made on the new target.  It
    does not take the device.  `device_id` can't change any more once the device was used.

    `mode=GRAPH_MODE` is refused: a program that sets it expects its functions to be compiled, and would otherwise learn
    only from its speed that they are not.

    Keyword args:
        mode, device_target, device_id, max_device_memory, pynative_synchronize, deterministic: see the module's table.
            `max_device_memory` is a size in GB such as "5GB" and bounds what tensors and the cache may take together on
            the current device, if it has memory of its own; the host's memory it does not bound.

    Raises:
        TypeError: for a value of the wrong type, and for another `device_id` after the device was used.
        ValueError: for a value out of range and for an unknown keyword.
        NotImplementedError: (a RuntimeError) for GRAPH_MODE.

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
            raise ValueError(f"[set_context] argument {name} is not recognized; it takes {', '.join(_PARAMETERS)}")
        expected, check = _PARAMETERS[name]
        _check_type(name, value, expected)
        check(value)
    now = _choice()
    choice = CurrentDevice(kwargs.get("device_target", now.device_target), kwargs.get("device_id", now.device_id))
    if choice != now:
        if choice.device_target == now.device_target and _used():
            raise TypeError(
                f"[set_context] device_id can not be set repeatedly: {now.device_target}:{now.device_id} was "
                f"used already, got {choice.device_id}; set it before the first op"
            )
        _choose(choice)
    if "max_device_memory" in kwargs:
        _memory = _gigabytes(kwargs["max_device_memory"])
        if _current is not None:
            _bound_memory(_current)
    if "pynative_synchronize" in kwargs:
        native.set_synchronous(kwargs["pynative_synchronize"])
    _deterministic = kwargs.get("deterministic", _deterministic)


def _bound_memory(device: Device) -> None:
    """Makes `max_device_memory`, once it is set, the bound of a device's memory; the host's is no device's."""
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
    """A setting of this process, by the keyword that `set_context` has for it.

    Raises:
        TypeError: when the key is no string.
        ValueError: when there is no such setting.
    """
    _check_type("attr_key", attr_key, str)
    if attr_key in CurrentDevice._fields:
        return getattr(_choice(), attr_key)
    values: dict[str, str | int | float] = {
        "mode": PYNATIVE_MODE,
        "max_device_memory": 1024.0 if _memory is None else _memory,
        "pynative_synchronize": native.is_synchronous(),
        "deterministic": _deterministic,
    }
    if attr_key not in values:
        raise ValueError(f"[get_context] argument {attr_key} is not recognized; it takes {', '.join(_PARAMETERS)}")
    return values[attr_key]


# --- set_device ------------------------------------------------------------------------------------------------------
def set_device(device_target: str, device_id: int | None = None) -> None:
    """Sets the device on which this process computes.  The first task takes it.

    Args:
        device_target: "CPU", "Ascend" or an installed backend's name.
        device_id: which one; None means 0.

    Raises:
        TypeError: for values of another type.
        ValueError: for an unknown target and a negative id.
        DeviceError: when there is no device of that id (code 107001).
        RuntimeError: for another device than the one that was computed on already.

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
                f"[set_device] {now.device_target}:{now.device_id} was computed on already, got {device_target}:{index}"
                "; call set_device before the first op, or give tensors a device: Tensor(..., device=...), t.to(...)"
            )
        _choose(choice)


def get_current_device() -> CurrentDevice:
    """The device that new tensors are made on, as a tuple with `device_target` and `device_id`."""
    return _choice()


def _after_in_child() -> None:
    _choose(CurrentDevice("CPU", 0))
    _inherited.clear()
    stats = ffi.new("mt_memory_stats *")
    for number in native.devices:
        lib.mt_device_stats(number, stats)
        _inherited[number] = stats.allocations


fork.register(after_in_child=_after_in_child, name="context", level=2)
