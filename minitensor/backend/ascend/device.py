"""The simulated Ascend card: how many there are, who sees which, whose they are, and what their errors say."""

from __future__ import annotations

import os
import re

from minitensor import config, errors
from minitensor.backend.ascend import lock
from minitensor.backend.base import Backend, Task

__all__ = ["AscendBackend", "cards"]


def cards() -> tuple[int, ...]:
    """The cards that this process sees: element i is the card behind `Ascend:i`.

    Raises:
        ValueError: when ASCEND_RT_VISIBLE_DEVICES is no list of different cards of this machine.
    """
    count = config.get("MINITENSOR_ASCEND_DEVICES")
    text = config.get("ASCEND_RT_VISIBLE_DEVICES")
    if not text:
        return tuple(range(count))
    words = [word.strip() for word in text.split(",")]
    ids = [int(word) for word in words if word.isascii() and word.isdigit() and len(word) < 10]
    if len(ids) != len(words) or len(set(ids)) != len(ids) or max(ids) >= count:
        raise ValueError(
            f"[config] ASCEND_RT_VISIBLE_DEVICES can't be {text!r}; it is a list of different cards, such as 0,2, and "
            f"this machine has {f'0 to {count - 1}' if count else 'none'} (MINITENSOR_ASCEND_DEVICES={count})"
        )
    return tuple(ids)


class AscendBackend(Backend):
    """An accelerator, simulated on the host: the C kernels compute, host tasks stand in for its AICPU kernels.

    Its memory is its own (the host copies in and out), it has a capacity, and a card belongs to one process at a time.
    """

    name = "Ascend"
    native = True
    host_visible = False
    inherited = False
    alignment = 512

    def __init__(self) -> None:
        self._claims: dict[int, lock.Claim] = {}  # by index; in a forked child, its parent's

    def device_count(self) -> int:
        return len(cards())

    def capacity(self, index: int) -> int:
        return config.get("MINITENSOR_ASCEND_MEMORY")

    def acquire(self, index: int) -> None:
        """Takes the card for this process, at once or not at all.

        Raises:
            DeviceBusyError: another process has it; the message names it.  Code 507033.
            DeviceError: there is no such device.  Code 107001.
        """
        visible = cards()
        if index >= len(visible):
            raise errors.DeviceError(
                f"[{self.name}:{index}] no such device: ret[107001]. Got device count[{len(visible)}] and device "
                f"id[{index}]; the cards that are visible have changed since the program began",
                107001,
            )
        try:
            self._claims[index] = lock.claim(visible[index])
        except BlockingIOError as error:
            holder: lock.Holder = error.args[0]
        else:
            return
        card = f"card {visible[index]}" if visible[index] != index else "this card"
        others = [f'set_device("{self.name}", {i})' for i in range(len(visible)) if i != index and _free(visible[i])]
        another = f"use another device ({others[0]})" if others else "wait until it ends (all devices are taken)"
        raise errors.DeviceBusyError(
            f"[{self.name}:{index}] device busy: Ascend kernel runtime initialization failed, other processes "
            f"may be occupying {card}: held by {holder}; end it, {another}, "
            'or compute on CPU (set_context(device_target="CPU"))',
            507033,
        )

    def release(self, index: int) -> None:
        claim = self._claims.pop(index, None)
        if claim is not None and claim.pid == os.getpid():
            claim.release()

    def lost_message(self, index: int) -> str:
        claim = self._claims.get(index)
        whose = f"process {claim.pid}" if claim is not None else "another process"
        return (
            f"the tensor lies on {self.name}:{index} of {whose}, from which this one was forked; there, bring it to "
            'the host with t.to("CPU") before forking or sending, or make a tensor here'
        )

    def memory_error(self, index: int, message: str) -> Exception:
        size = re.search(r"no memory for (\d+) bytes", message)
        return errors.DeviceMemoryError(
            f"{message}: EL0004: Malloc device memory failed, size[{size[1] if size else '?'}], ret[207001]; let go of "
            "tensors, use smaller ones, or raise set_context(max_device_memory=...) where that is the bound",
            207001,
        )

    def launch(self, task: Task) -> None:
        task.reference()


def _free(card: int) -> bool:
    return lock.holder(card) is None
