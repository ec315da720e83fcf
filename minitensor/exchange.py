"""A tensor's memory in the hands of others, and what NumPy's functions make of a tensor.

The problem.  A tensor that has travelled shares its bytes with other processes, and its value is
theirs as well.  A consumer that gets those bytes may write to them, whatever a flag says: many
consumers of DLPack read no flag, and a user can set NumPy's.

The solution.  There are two kinds of export.  An array for reading shows the bytes where they lie; if
other processes may have them, the buffer under the array is read-only, so NumPy refuses to make the
array writable.  An exclusive export (DLPack) has bytes that no other process has or gets: the storage
first leaves the shared memory by a copy, all views follow, and while the export lives, a journey
copies.  Memory that is shared by name (`share_memory_`) is exported as it is: everybody may write to
it.  There is no `__array_interface__`: it hands out an address, and nothing tells when its consumer is
done, so the memory could never move again.

NumPy's functions.  `np.sum(t)`, `np.concatenate`, `np.log`: NumPy computes, at the call, with all of
its keywords, and returns arrays and NumPy's numbers.  A ufunc that one of NumPy's binary operators
calls (`np.add` and the like) can't be told from the operator, which gives a tensor for an array and a
tensor; so such a ufunc gives a tensor, too, when it is called without keywords.  `out=` is written
to, be it an array or a tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minitensor.backend import native
from minitensor.backend.native import ffi, lib, operators

if TYPE_CHECKING:
    from minitensor.backend import Device

__all__ = ["Exchange"]

_memory = ffi.typeof("mt_memory *")
_TRIES = 100  # of an exclusive export while other threads are at work on the storage
_CPU = (1, 0)  # kDLCPU, as dlpack.h numbers it: what is elsewhere comes out as a copy
_OPERATORS = {  # of a ufunc: the operator of a tensor on the left, and of one on the right
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
    """A tensor's memory as an array that keeps it where it is."""
    native.wait(t._h, unused=True)
    if t.size == 0:
        return np.empty(t.shape, t.dtype.numpy)
    memory = ffi.new(_memory)
    status = lib.mt_export(t._h, exclusive, memory)
    for _ in range(_TRIES):
        if status != lib.MT_TIMEOUT:
            break
        native.wait(t._h, unused=True)
        status = lib.mt_export(t._h, exclusive, memory)
    if status == lib.MT_TIMEOUT:
        raise BufferError(
            "[export] other threads are at work on the tensor all the time; let them end first, or "
            "export t.copy()"
        )
    if status != lib.MT_OK:
        raise MemoryError(f"[export] no memory for {memory.nbytes or t.nbytes} bytes")
    owner = ffi.gc(
        memory.base, lambda _, view=memory.view, unexport=lib.mt_unexport: unexport(view)
    )
    buffer: Any = ffi.buffer(owner, memory.nbytes)
    if memory.read_only:  # by an array, since NumPy looks through a memoryview at what is under it
        buffer = np.frombuffer(memoryview(buffer).toreadonly(), np.uint8)
    return np.ndarray(t.shape, t.dtype.numpy, buffer, t._offset, t.strides)


def _arrays(value: Any) -> Any:
    """An argument of a NumPy function with arrays in place of tensors."""
    if isinstance(value, Exchange):
        array = value.asnumpy()
        if not value._device.backend.host_visible:
            array.flags.writeable = False  # a copy: what NumPy wrote to it would be lost
        return array
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes, range, memoryview)):
        return (
            tuple(map(_arrays, value)) if isinstance(value, tuple) else [_arrays(v) for v in value]
        )
    return value


def _call(function: Callable[..., Any], arguments: Sequence[Any], keywords: dict[str, Any]) -> Any:
    """Call a NumPy function with arrays for tensors; write to a tensor that is `out`, return it."""
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
    """What a Tensor is to NumPy and to other libraries."""

    __slots__ = ()
    __array_priority__ = 1000.0  # for subclasses of ndarray that go by it
    if TYPE_CHECKING:  # what Tensor has

        @property
        def _device(self) -> Device: ...
        @property
        def device(self) -> str: ...
        def to(self, device: str) -> Any: ...

    def asnumpy(self) -> np.ndarray:
        """Return the value as an array: the same memory where NumPy can see it (the CPU), else a copy.

        While an array that shares memory is alive, ops on that memory run at their call.  A tensor
        that has travelled between processes shares its memory with them, so its array is read-only
        and can't be made writable; `t.copy().asnumpy()` may be written to.

        Raises:
            Exception: what went wrong when the value was to be computed.
        """
        if not self._device.backend.host_visible:
            return self.to("CPU").asnumpy()
        return _export(self, False)

    numpy = asnumpy

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = self.asnumpy()
        if dtype is not None and array.dtype != dtype:
            if copy is False:
                raise ValueError(f"[asnumpy] a cast from {self.dtype} to {dtype} needs a copy")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __buffer__(self, flags: int) -> memoryview:
        return memoryview(self.asnumpy())

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
        """Export the memory by DLPack, for a consumer that may write to it.

        Bytes that other processes may have are copied first, and the tensor moves to the copy.  A
        tensor of another device is exported as a copy, and so is one whose strides DLPack or its
        consumers can't take (negative ones).

        Args:
            stream: None: memory on the CPU has no stream.
            max_version: the latest version of DLPack that the consumer knows; NumPy before 2.1
                exports the first.
            dl_device: where the consumer wants it; only the CPU, (1, 0).
            copy: True: always a copy; False: no copy that the tensor does not move to; None: a copy
                where it is needed.

        Raises:
            BufferError: for another device, a dtype that DLPack lacks, and for `copy=False` where a
                copy is needed.
            RuntimeError: for a stream.
        """
        if stream is not None:
            raise RuntimeError(f"[dlpack] stream must be None on the CPU, got {stream!r}")
        if dl_device is not None and tuple(dl_device) != _CPU:
            raise BufferError(f"[dlpack] dl_device must be {_CPU}, the CPU, got {dl_device!r}")
        here, step = self._device.backend.host_visible, self.dtype.itemsize
        fits = all(s >= 0 and s % step == 0 for s in self.strides)
        if copy is False and not here:
            raise BufferError(f"[dlpack] a tensor on {self.device} needs a copy; let copy be None")
        if copy is False and not fits:
            raise BufferError(
                f"[dlpack] strides of {self.strides} bytes need a copy; let copy be None, or export "
                "t.copy()"
            )
        if copy or not here or not fits:
            array = np.array(self.asnumpy(), order="C")
        else:
            array = _export(self, True)
        if max_version is not None and _knows_versions:
            return array.__dlpack__(max_version=max_version)
        return array.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return _CPU


_knows_versions = tuple(map(int, np.__version__.split(".")[:2])) >= (2, 1)
