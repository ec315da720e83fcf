"""The simulated Ascend cards: their number, visibility, ownership and errors."""

from __future__ import annotations

import os
import re

from minitensor import config, errors
from minitensor.backend.ascend import lock
from minitensor.backend.base import Backend, Task

__all__ = ["AscendBackend", "cards"]


def cards() -> tuple[int, ...]:
    """Return the cards that are visible to this process: element i is the card of `Ascend:i`.

    Raises:
        ValueError: ASCEND_RT_VISIBLE_DEVICES is not a list of different cards of this machine.
    """
    count = config.get("MINITENSOR_ASCEND_DEVICES")
    text = config.get("ASCEND_RT_VISIBLE_DEVICES")
    if not text:
        return tuple(range(count))
    words = [word.strip() for word in text.split(",")]
    ids = [int(word) for word in words if word.isascii() and word.isdigit() and len(word) < 10]
    if len(ids) != len(words) or len(set(ids)) != len(ids) or max(ids) >= count:
        raise ValueError(
            "[config] ASCEND_RT_VISIBLE_DEVICES must be a list of different cards, such as 0,2, "
            f"got {text!r}; this machine has {f'0 to {count - 1}' if count else 'none'} "
            f"(MINITENSOR_ASCEND_DEVICES={count})"
        )
    return tuple(ids)


class AscendBackend(Backend):
    """Simulate an accelerator on the host.

    The C kernels compute; host tasks take the place of AICPU kernels.  The device has memory of its
    own with a capacity (the host copies in and out), and a card belongs to one process at a time.
    """

    name = "Ascend"
    native = True
    host_visible = False
    inherited = False
    alignment = 512

    def __init__(self) -> None:
        self._claims: dict[int, lock.Claim] = {}  # by index; in a forked child, the parent's claims

    def device_count(self) -> int:
        """Return the number of visible cards."""
        return len(cards())

    def capacity(self, index: int) -> int:
        """Return MINITENSOR_ASCEND_MEMORY."""
        return config.get("MINITENSOR_ASCEND_MEMORY")

    def acquire(self, index: int) -> None:
        """Acquire the card for this process, or raise at once.

        Raises:
            DeviceBusyError: another process holds it; the message names the process.  Code 507033.
            DeviceError: no device has this index.  Code 107001.
        """
        visible = cards()
        if index >= len(visible):
            raise errors.DeviceError(
                f"[{self.name}:{index}] no such device: ret[107001]. Got device "
                f"count[{len(visible)}] and device id[{index}]; the visible cards have changed "
                "since the start of the program",
                107001,
            )
        try:
            self._claims[index] = lock.claim(visible[index])
        except BlockingIOError as error:
            holder: lock.Holder = error.args[0]
        else:
            return
        card = f"card {visible[index]}" if visible[index] != index else "this card"
        others = [
            f'set_device("{self.name}", {i})'
            for i in range(len(visible))
            if i != index and _free(visible[i])
        ]
        another = (
            f"use another device ({others[0]})"
            if others
            else "wait until it ends (all devices are taken)"
        )
        raise errors.DeviceBusyError(
            f"[{self.name}:{index}] device busy: Ascend kernel runtime initialization failed, "
            f"other processes may be occupying {card}: held by {holder}; end it, {another}, "
            'or compute on CPU (set_context(device_target="CPU"))',
            507033,
        )

    def release(self, index: int) -> None:
        """Release the card if this process acquired it."""
        claim = self._claims.pop(index, None)
        if claim is not None and claim.pid == os.getpid():
            claim.release()

    def lost_message(self, index: int) -> str:
        """Return the error text for a tensor of the parent, with the remedy."""
        claim = self._claims.get(index)
        owner = f"process {claim.pid}" if claim is not None else "another process"
        return (
            f"the tensor is on {self.name}:{index} of {owner}, from which this process was forked; "
            'move it to the host there with t.to("CPU") before the fork or the send, or make a '
            "tensor in this process"
        )

    def memory_error(self, index: int, message: str) -> Exception:
        """Return a DeviceMemoryError with CANN's code 207001."""
        size = re.search(r"no memory for (\d+) bytes", message)
        return errors.DeviceMemoryError(
            f"{message}: EL0004: Malloc device memory failed, "
            f"size[{size[1] if size else '?'}], ret[207001]; delete tensors, use smaller ones, or "
            "raise set_context(max_device_memory=...) if that is the limit",
            207001,
        )

    def launch(self, task: Task) -> None:
        """Run a host task with NumPy."""
        task.reference()


def _free(card: int) -> bool:
    return lock.holder(card) is None
