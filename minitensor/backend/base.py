"""What a backend is: the protocol, and the device that the rest of the framework sees.

A backend names its devices and says what they can do; the core does the rest: it keeps the memory of every device apart and
counts it against its capacity, keeps the streams, and calls `launch` on a stream for each task that no C kernel does.  So a
backend may be as small as a name and a `launch`.  One is found by its name: built in, or by an entry point of the group
`minitensor.backends` (see `backend/__init__.py` and CONTRIBUTING.md).
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minitensor import errors, fork, trace
from minitensor.backend.extension import lib, load_once, loaded
from minitensor.dtype import DTYPES, DType

__all__ = ["Backend", "Device", "Task", "devices"]

load_once(__name__)


class Task(NamedTuple):
    """One task of a stream, as `Backend.launch` gets it.

    Attributes:
        op: the op's name in the op table, or that of a host op such as `matmul`.
        outputs: arrays to be written; views of the device's memory.
        inputs: arrays to be read, not yet broadcast or cast; views of the device's memory, which are not valid afterwards.
        params: the op's other arguments, such as `axis`.
        compute: the dtype that the table's rule makes the op compute in; None for host ops.
        function: writes the outputs of the task that it gets with NumPy.
    """

    op: str
    outputs: list[np.ndarray]
    inputs: list[np.ndarray]
    params: dict[str, Any]
    compute: DType | None
    function: Callable[[Task], None]

    def reference(self) -> None:
        """Computes the outputs with NumPy: what a device does that has nothing better."""
        self.function(self)


class Backend(ABC):
    """A kind of device.  The class attributes say what it lacks, so that nobody has to find out by a crash."""

    name: ClassVar[str]  #: as `set_device` and `t.device` name it
    native: ClassVar[bool] = False  #: the C kernels may run on its memory
    host_visible: ClassVar[bool] = False  #: NumPy may share its memory; otherwise `asnumpy` copies
    inherited: ClassVar[bool] = True  #: a forked child may go on using what its parent has there
    dtypes: ClassVar[frozenset[str]] = frozenset(dtype.name for dtype in DTYPES)  #: what a tensor there can hold
    ops: ClassVar[frozenset[str] | None] = None  #: what it can run; None: everything
    alignment: ClassVar[int] = 64  #: bytes

    def device_count(self) -> int:
        """How many devices this process may use."""
        return 1

    def capacity(self, index: int) -> int:
        """Bytes of memory of a device; 0 means that only the system's memory bounds it."""
        return 0

    def acquire(self, index: int) -> None:
        """Takes a device, before its first task.  Raises a DeviceError when it can't be had."""

    def release(self, index: int) -> None:
        """Lets go of a device that `acquire` took."""

    def lost_message(self, index: int) -> str:
        """What a forked child is told that touches its parent's tensors; for backends that are not `inherited`."""
        return f"it lies on {self.name}:{index} of the parent process; make a tensor of your own"

    def memory_error(self, index: int, message: str) -> Exception:
        """The exception for memory that could not be had."""
        return MemoryError(message)

    def transfer(self, target: np.ndarray, source: np.ndarray) -> None:
        """Copies between the host and a device, on a stream of the device; one of the two is the device's memory."""
        np.copyto(target, source)

    @abstractmethod
    def launch(self, task: Task) -> None:
        """Runs a task on a stream's thread: writes `task.outputs`, returns when that is done, or raises.

        (A `native` backend's small task, on an idle stream, may run in the thread that submits it.)
        """


class Device:
    """One device of this process.  `id` is the core's number of it from the first task on, None before."""

    def __init__(self, backend: Backend, index: int, id: int | None = None, lost: bool = False) -> None:
        self.backend, self.index, self.id = backend, index, id
        self.limit: int | None = None  #: bytes that may be used of it; None: the backend's capacity
        self.lost = lost  #: a parent's, which this process was forked from, or let go of

    def __str__(self) -> str:
        return self.backend.name if self.backend.name == "CPU" else f"{self.backend.name}:{self.index}"

    def activate(self) -> int:
        """The core's number of the device; the first call takes the device."""
        if self.id is not None:
            return self.id
        with _activating:
            if self.id is None:
                self.backend.acquire(self.index)
                try:
                    self.id = self._add() if self.id is None else self.id  # a signal handler may have been faster
                except BaseException:
                    self.backend.release(self.index)
                    raise
                trace.record("device.acquired", device=str(self))
        return self.id

    @property
    def active(self) -> bool:
        """Has this process used the device?"""
        return self.id is not None

    def forget(self) -> None:
        """In a forked child: what the parent has on this device can't be touched here, and a first task takes it anew."""
        if self.id is None or self.lost or self.backend.inherited:
            return
        self._lose(self.backend.lost_message(self.index))

    def release(self) -> None:
        """Lets go of an exclusive device: others can have it, and the tensors on it can't be touched any more."""
        with _activating:
            if self.id is None or self.backend.inherited:
                return
            self._lose(f"the tensor lay on {self}, which this process has let go of; bring what is needed to the host before")
            self.backend.release(self.index)

    def _add(self) -> int:
        """Make the device known to the core; return its id there."""
        backend = self.backend
        flags = lib.MT_DEVICE_NATIVE if backend.native else 0
        limit = backend.capacity(self.index) if self.limit is None else self.limit
        number = lib.mt_device_new(str(self).encode(), flags, limit, backend.alignment)
        if number < 0:
            raise errors.DeviceError(f"[device] no room for another device beside {', '.join(map(str, devices.values()))}")
        devices[number] = self
        return number

    def _lose(self, why: str) -> None:
        """Let the tensors of this device raise DeviceLostError from now on."""
        assert self.id is not None
        lib.mt_device_lose(self.id, why.encode()[:250])
        trace.record("device.lost", device=str(self))
        # The tensors stay where they are: a look at one must not take a device that this process can have.
        devices[self.id] = Device(self.backend, self.index, self.id, lost=True)
        self.id = None


devices: dict[int, Device] = {}  # those that were activated, by the core's id
# One for all: a thread that takes its first device while another forks is known to nobody in the child.
_activating = threading.RLock()  # a signal handler may compute, too


def _forget_devices() -> None:
    global _activating
    _activating = threading.RLock()
    for device in list(devices.values()):
        device.forget()


fork.register(after_in_child=_forget_devices, name="devices", level=1)
loaded(__name__)
