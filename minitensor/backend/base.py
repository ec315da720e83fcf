"""The protocol of a backend, and the device that the rest of the framework uses.

A backend names its devices and declares their abilities.  The core does the rest: it separates the
memory of the devices, counts it against their capacity, runs the streams, and calls `launch` on a
stream for each task without a C kernel.  A backend may therefore consist of a name and a `launch`.
A program selects it by name: it is built in, or an entry point of the group `minitensor.backends`
(see `backend/__init__.py` and CONTRIBUTING.md).
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from minitensor import errors, fork, trace
from minitensor.backend.extension import lib, load_once, loaded, operators
from minitensor.dtype import DTYPES, DType

__all__ = ["Backend", "Device", "Task", "devices", "launch_numpy"]

load_once(__name__)


class Task(NamedTuple):
    """Describe one task of a stream; `Backend.launch` receives it.

    Attributes:
        op: the name of the op in the op table, or of a host op such as `matmul`.
        outputs: arrays to write; views of the device's memory.
        inputs: arrays to read, before broadcasting and casting; views of the device's memory that
            are valid only during the task.
        params: the other arguments of the op, such as `axis`.
        compute: the dtype in which the op computes, by the table's rule; None for host ops.
        function: writes the outputs of a task with NumPy.
    """

    op: str
    outputs: list[np.ndarray]
    inputs: list[np.ndarray]
    params: dict[str, Any]
    compute: DType | None
    function: Callable[[Task], None]

    def reference(self) -> None:
        """Compute the outputs with NumPy, for a device without a kernel of its own."""
        self.function(self)


def launch_numpy(self: Backend, task: Task) -> None:
    """Compute a task with NumPy: the `launch` of a backend that has nothing better.

    The core then calls NumPy itself, without a `Task`, where that is shorter.
    """
    task.reference()


class Backend(ABC):
    """Describe a kind of device; the class attributes declare its abilities."""

    name: ClassVar[str]  #: the name for `set_device` and `t.device`
    native: ClassVar[bool] = False  #: the C kernels may run on its memory
    host_visible: ClassVar[bool] = False  #: NumPy may share its memory; otherwise `asnumpy` copies
    inherited: ClassVar[bool] = True  #: a forked child may use its parent's tensors there
    #: the dtypes that a tensor there may have
    dtypes: ClassVar[frozenset[str]] = frozenset(dtype.name for dtype in DTYPES)
    ops: ClassVar[frozenset[str] | None] = None  #: the ops that it can run; None: all
    alignment: ClassVar[int] = 64  #: of an allocation, in bytes

    def device_count(self) -> int:
        """Return the number of devices that this process may use."""
        return 1

    def capacity(self, index: int) -> int:
        """Return the bytes of memory of a device; 0 means no limit but the system's memory."""
        return 0

    def acquire(self, index: int) -> None:
        """Acquire a device before its first task.

        Raises:
            DeviceError: the device can't be acquired.
        """

    def release(self, index: int) -> None:
        """Release a device that `acquire` acquired."""

    def lost_message(self, index: int) -> str:
        """Return the error text for a forked child that uses a tensor of its parent.

        Only backends that are not `inherited` need it.
        """
        return f"it is on {self.name}:{index} of the parent process; make a tensor in this process"

    def memory_error(self, index: int, message: str) -> Exception:
        """Return the exception for a failed allocation."""
        return MemoryError(message)

    def transfer(self, target: np.ndarray, source: np.ndarray) -> None:
        """Copy between host and device, on a stream of the device; one array is device memory."""
        np.copyto(target, source)

    @abstractmethod
    def launch(self, task: Task) -> None:
        """Run a task in the stream's worker: write `task.outputs` and return, or raise.

        (A small task of a `native` backend, on an idle stream, may run in the submitter's thread.)
        """


class Device:
    """Represent one device of this process.

    `id` is the device's number in the core; it is None before the first task.
    """

    def __init__(
        self, backend: Backend, index: int, id: int | None = None, lost: bool = False
    ) -> None:
        self.backend, self.index, self.id = backend, index, id
        self.limit: int | None = None  #: usable bytes; None: the backend's capacity
        self.lost = lost  #: it belongs to the parent of this process, or was released

    def __str__(self) -> str:
        return (
            self.backend.name if self.backend.name == "CPU" else f"{self.backend.name}:{self.index}"
        )

    def activate(self) -> int:
        """Return the core's number of the device; the first call acquires the device."""
        if self.id is not None:
            return self.id
        with _activating:
            if self.id is None:
                self.backend.acquire(self.index)
                try:
                    # A signal handler may have set it in the meantime.
                    self.id = self._add() if self.id is None else self.id
                except BaseException:
                    self.backend.release(self.index)
                    raise
                trace.record("device.acquired", device=str(self))
        return self.id

    @property
    def active(self) -> bool:
        """Return True if this process has used the device."""
        return self.id is not None

    def forget(self) -> None:
        """Mark the parent's tensors lost, in a forked child; a first task acquires the device."""
        if self.id is None or self.lost or self.backend.inherited:
            return
        self._lose(self.backend.lost_message(self.index))

    def release(self) -> None:
        """Release an exclusive device; its tensors become unusable."""
        with _activating:
            if self.id is None or self.backend.inherited:
                return
            self._lose(
                f"the tensor was on {self}, which this process has released; move tensors to the "
                'host with t.to("CPU") before the release'
            )
            self.backend.release(self.index)

    def _add(self) -> int:
        """Make the device known to the core; return its id there."""
        backend = self.backend
        flags = lib.MT_DEVICE_NATIVE if backend.native else 0
        every = frozenset(dtype.name for dtype in DTYPES)
        numpy = type(backend).launch is launch_numpy and backend.host_visible
        if flags and numpy and backend.ops is None and backend.dtypes == every:
            flags |= lib.MT_DEVICE_NUMPY
        limit = backend.capacity(self.index) if self.limit is None else self.limit
        number = lib.mt_device_new(str(self).encode(), flags, limit, backend.alignment)
        if number < 0:
            others = ", ".join(map(str, devices.values()))
            raise errors.DeviceError(f"[device] no room for another device beside {others}")
        devices[number] = self
        return number

    def _lose(self, why: str) -> None:
        """Let the tensors of this device raise DeviceLostError from now on."""
        assert self.id is not None
        lib.mt_device_lose(self.id, why.encode()[:250])
        operators.current_device(-1)
        trace.record("device.lost", device=str(self))
        # The tensors keep a device of their own: a read must not acquire the released device.
        devices[self.id] = Device(self.backend, self.index, self.id, lost=True)
        self.id = None


devices: dict[int, Device] = {}  # the active devices, by the core's id
# One lock for all devices: the child replaces it, since a thread that held it does not exist there.
_activating = threading.RLock()  # reentrant, because a signal handler may compute


def _forget_devices() -> None:
    global _activating
    _activating = threading.RLock()
    for device in list(devices.values()):
        device.forget()


fork.register(after_in_child=_forget_devices, name="devices", level=1)
loaded(__name__)
