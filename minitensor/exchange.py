"""Export of a tensor's memory to NumPy and other libraries, and NumPy's functions on tensors.

The problem.  A tensor that was transferred shares its bytes, and so its value, with other
processes.  A consumer of those bytes may write to them despite a read-only flag: many consumers of
DLPack ignore the flag, and a program can change NumPy's flag.

The solution.  There are two kinds of export.  An array for reading (`np.asarray`, NumPy's
functions) shows the bytes in place.  If other processes may have them, the buffer under the array
is read-only, so NumPy refuses to make the array writable.  An exclusive export (`asnumpy`, DLPack)
has bytes that no other process has or gets: if another process has them, the storage first moves
out of the shared memory to a copy, all views follow, and while the export lives, a transfer
copies.  `share_memory_` memory is exported in place, because every process may
write to it.  `__array_interface__` is missing on purpose: it passes an address, the consumer never
releases it, and the memory could never move again.

NumPy's functions.  NumPy computes `np.sum(t)`, `np.concatenate`, `np.log` at the call, with all of
its keywords, and returns arrays and NumPy's numbers.  The exceptions are the ufuncs that NumPy's
binary operators call (`np.add` and similar): without keywords such a call is indistinguishable from
the operator, which returns a tensor for an array and a tensor.  It therefore returns a tensor, too.
`out=` may be an array or a tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minitensor.backend import core
from minitensor.backend.core import ffi, lib, operators

if TYPE_CHECKING:
    from minitensor.backend import Device

__all__ = ["Exchange"]

_memory = ffi.typeof("mt_memory *")
_TRIES = 100  # attempts of an exclusive export while other threads use the storage
_CPU = (1, 0)  # kDLCPU of dlpack.h; a tensor of another device is exported as a copy
_OPERATORS = {  # ufunc: the operator of a tensor on the left, and of a tensor on the right
    ufunc: (f"__{name}__", f"__r{name}__")
    for name, ufunc in {
        "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide,
        "floordiv": np.floor_divide, "mod": np.remainder, "pow": np.power, "divmod": np.divmod,
        "matmul": np.matmul, "lshift": np.left_shift, "rshift": np.right_shift,
        "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    }.items()
} | {
    np.equal: ("__eq__", "__eq__"), np.not_equal: ("__ne__", "__ne__"),
    np.less: ("__lt__", "__gt__"), np.greater: ("__gt__", "__lt__"),
    np.less_equal: ("__le__", "__ge__"), np.greater_equal: ("__ge__", "__le__"),
}  # fmt: skip


def _export(t: Any, exclusive: bool) -> np.ndarray:
    """Return a tensor's memory as an array that keeps the memory in place."""
    core.wait(t._ref, unused=True)
    if t.size == 0:
        return np.empty(t.shape, t.dtype.numpy)
    memory = ffi.new(_memory)
    status = lib.mt_export(t._ref, exclusive, memory)
    for _ in range(_TRIES):
        if status != lib.MT_TIMEOUT:
            break
        core.wait(t._ref, unused=True)
        status = lib.mt_export(t._ref, exclusive, memory)
    if status == lib.MT_TIMEOUT:
        raise BufferError(
            "[export] the tensor must be idle, got ops of other threads all the time; wait for "
            "them, or export t.copy()"
        )
    if status != lib.MT_OK:
        raise MemoryError(f"[export] no memory for {memory.nbytes or t.nbytes} bytes")
    owner = ffi.gc(
        memory.base, lambda _, view=memory.view, unexport=lib.mt_unexport: unexport(view)
    )
    buffer: Any = ffi.buffer(owner, memory.nbytes)
    if memory.read_only:  # through an array, because NumPy bypasses a memoryview
        buffer = np.frombuffer(memoryview(buffer).toreadonly(), np.uint8)
    return np.ndarray(t.shape, t.dtype.numpy, buffer, t._offset, t.strides)


def _arrays(value: Any) -> Any:
    """Return an argument of a NumPy function with arrays in place of tensors."""
    if isinstance(value, Exchange):
        array = value._array(False)
        if not value._device.backend.host_visible:
            array.flags.writeable = False  # a copy: a write of NumPy would be lost
        return array
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes, range, memoryview)):
        return (
            tuple(map(_arrays, value)) if isinstance(value, tuple) else [_arrays(v) for v in value]
        )
    return value


def _call(function: Callable[..., Any], arguments: Sequence[Any], keywords: dict[str, Any]) -> Any:
    """Call a NumPy function with arrays for tensors; copy the result to a tensor `out`."""
    keywords = dict(keywords)
    out = keywords.pop("out", None)
    if out is None:
        return function(
            *map(_arrays, arguments), **{name: _arrays(value) for name, value in keywords.items()}
        )
    targets = out if isinstance(out, tuple) else (out,)
    arrays = [np.array(target) if isinstance(target, Exchange) else target for target in targets]
    keywords = {name: _arrays(value) for name, value in keywords.items()}
    result = function(
        *map(_arrays, arguments),
        out=tuple(arrays) if isinstance(out, tuple) else arrays[0],
        **keywords,
    )
    for target, array in zip(targets, arrays):
        if isinstance(target, Exchange):
            target[...] = array  # type: ignore[index]
    given = {id(array): target for target, array in zip(targets, arrays)}
    if isinstance(result, tuple):
        return tuple(given.get(id(one), one) for one in result)
    return given.get(id(result), result)


class Exchange(operators.TensorBase):
    """Give Tensor the protocols of NumPy and DLPack."""

    __slots__ = ()
    __array_priority__ = 1000.0  # subclasses of ndarray may read it
    if TYPE_CHECKING:  # members of Tensor

        @property
        def _device(self) -> Device: ...
        @property
        def device(self) -> str: ...
        def to(self, device: str) -> Any: ...

    @operators.fast
    def asnumpy(self) -> np.ndarray:
        """Return the value as a NumPy array, which shares the memory of a tensor on the CPU.

        While an array shares memory, ops on that memory run at their call.  A tensor whose memory
        other processes have too first moves to memory of its own; `np.asarray(t)` reads such
        memory in place, and is read-only.

        Returns:
            An array of the tensor's shape and dtype; a copy for a device other than the CPU.

        Raises:
            Exception: the error of the computation of the value.

        Example:
            >>> from minitensor import Tensor
            >>> Tensor([1, 2]).asnumpy()
            array([1, 2])
        """
        return self._array(True)

    @operators.fast
    def _array(self, exclusive: bool) -> np.ndarray:
        """Return `asnumpy()`; without `exclusive` as cheaply as possible, so perhaps read-only."""
        if not self._device.backend.host_visible:
            return self.to("CPU")._array(exclusive)
        return _export(self, exclusive)

    numpy = asnumpy

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self._array(False)
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError(
                    f"[asnumpy] copy must not be False for a cast from {self.dtype} to {dtype}, "
                    "got False; let copy be None"
                )
            return array.astype(dtype)
        return array.copy() if copy else array

    def __buffer__(self, flags: int) -> memoryview:
        return memoryview(self._array(False))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        if method == "__call__" and not keywords and ufunc in _OPERATORS:
            left, right = _OPERATORS[ufunc]
            if isinstance(inputs[0], Exchange):
                return getattr(inputs[0], left)(inputs[1])
            return getattr(inputs[1], right)(inputs[0])
        return _call(getattr(ufunc, method), inputs, keywords)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, arguments: Any, keywords: Any
    ) -> Any:
        if not all(issubclass(kind, (Exchange, np.ndarray)) for kind in types):
            return NotImplemented
        return _call(function, arguments, keywords)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Return a DLPack capsule of the memory, for a consumer that may write to it.

        If other processes may have the bytes, the tensor first moves to a copy.  A tensor of
        another device is exported as a copy, and so is a tensor with strides that DLPack or its
        consumers reject (negative ones).

        Args:
            stream: None, because memory on the CPU has no stream.
            max_version: the latest version of DLPack that the consumer supports; NumPy before 2.1
                exports the first version.
            dl_device: the device that the consumer asks for; only the CPU, (1, 0).
            copy: True always copies; False allows only a copy to which the tensor moves; None
                copies where it is necessary.

        Returns:
            The capsule.

        Raises:
            BufferError: dl_device is another device, DLPack lacks the dtype, or `copy=False` and a
                copy is necessary.
            RuntimeError: stream is not None.

        Example:
            >>> import numpy as np
            >>> from minitensor import Tensor
            >>> np.from_dlpack(Tensor([1, 2]))
            array([1, 2])
        """
        if stream is not None:
            raise RuntimeError(f"[dlpack] stream must be None on the CPU, got {stream!r}")
        if dl_device is not None and tuple(dl_device) != _CPU:
            raise BufferError(f"[dlpack] dl_device must be {_CPU}, the CPU, got {dl_device!r}")
        here, step = self._device.backend.host_visible, self.dtype.itemsize
        fits = all(s >= 0 and s % step == 0 for s in self.strides)
        if copy is False and not here:
            raise BufferError(
                f"[dlpack] copy must not be False for a tensor on {self.device}, got False; let "
                "copy be None"
            )
        if copy is False and not fits:
            raise BufferError(
                f"[dlpack] copy must not be False for strides of {self.strides} bytes, got False; "
                "let copy be None, or export t.copy()"
            )
        if copy or not here or not fits:
            array = np.array(self._array(False), order="C")
        else:
            array = _export(self, True)
        if max_version is not None and _knows_versions:
            return array.__dlpack__(max_version=max_version)
        return array.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return (1, 0), the CPU."""
        return _CPU


_knows_versions = tuple(map(int, np.__version__.split(".")[:2])) >= (2, 1)
