"""Tensor: a view on a storage.

A Tensor is one reference of the C core (`_h`) and nothing else.  What is looked at all the time (shape, dtype, the operators and
methods of single elements) it has from its base class in C (core/python/py_operators.c); other methods that compute come from
`minitensor.ops`.  NumPy and other libraries see it through `minitensor.exchange`.  What is here is how
values come in, how they go out to Python and other processes, and how a tensor prints.

Values are asynchronous: a tensor may be handed around while its value is still being computed; whoever looks at the value
waits for it, and is told there if computing it failed.
"""

from __future__ import annotations

import copyreg
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minitensor import context
from minitensor.backend import Device, get_device, native
from minitensor.backend.native import ffi, finish, lib, load_once, operators
from minitensor.convert import to_numpy
from minitensor.dtype import DType, as_dtype, float32, from_numpy
from minitensor.exchange import Exchange
from minitensor.printing import value_text

__all__ = ["Tensor", "tensor", "wrap", "empty", "as_device"]

load_once(__name__)
_pointer = ffi.typeof("mt_tensor *")  # a cast to a type is twice as fast as one to its name


_BOOL, _INT, _FLOAT = map(ord, "bif")  # kinds of dtype, as the core tells them


class Tensor(Exchange):
    """An array of one dtype on one device.

    Args:
        input_data: a number, a (nested) list or tuple, a NumPy array, a tensor, or anything with the buffer, array or DLPack
            protocol.  Always copied.  Python floats become float32, ints int64; arrays keep their dtype.
        dtype: a `minitensor` dtype, a NumPy one, or the name of one; the data is cast to it.
        shape: with `init`, in place of data: the shape.
        init: with `shape`: "zeros", "ones", or a number that fills it.
        device: "CPU", "Ascend", "Ascend:1"; None: the current device of `minitensor.context`.

    Raises:
        TypeError: for data that no tensor holds (str, None, dict, range, ragged lists) and for a dtype that is none.
        ValueError: for lists that contain themselves, or are nested deeper than a tensor has
            dimensions.
        MemoryError: when the device has no room.

    Example:
        >>> from minitensor import Tensor
        >>> Tensor([1, 2.5])
        Tensor(shape=[2], dtype=Float32, value= [ 1.00000000e+00,  2.50000000e+00])
    """

    __slots__ = ()

    def __init__(
        self,
        input_data: Any = None,
        dtype: DType | str | type | np.dtype | None = None,
        shape: int | Sequence[int] | None = None,
        init: Any = None,
        *,
        device: str | None = None,
    ) -> None:
        if dtype is not None and not isinstance(dtype, DType):
            dtype = as_dtype(dtype, "Tensor")
        if init is not None:
            if input_data is not None or shape is None:
                raise TypeError("[Tensor] init goes with a shape and without data, as in Tensor(shape=(2, 3), init='zeros')")
            source = np.full(shape, {"zeros": 0, "ones": 1}.get(init, init) if isinstance(init, str) else init,
                             (dtype or float32).numpy)  # fmt: skip
        elif isinstance(input_data, Tensor):
            target = as_device(device) if device is not None else input_data._device
            moved = input_data.to(target)
            become(self, wrap(_checked(lib.mt_cast(moved._h, (dtype or moved.dtype).code))))
            return
        else:
            source = to_numpy(input_data, dtype)
            if shape is not None and tuple(np.atleast_1d(shape)) != source.shape:
                raise ValueError(f"[Tensor] shape {tuple(np.atleast_1d(shape))} is not the data's, which is {source.shape}")
        become(self, _copy_in(source, as_device(device)))

    # --- what it is --------------------------------------------------------------------------------------------------
    @property
    def _core(self) -> Any:
        return ffi.cast(_pointer, self._h)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.dtype.itemsize

    @property
    def _device(self) -> Device:
        return native.devices[self._number]

    @property
    def device(self) -> str:
        """Where it lies: "CPU", "Ascend:0"."""
        return str(self._device)

    def is_contiguous(self) -> bool:
        """Do its elements lie one after the other in C order?"""
        step = self.dtype.itemsize
        for length, stride in zip(reversed(self.shape), reversed(self.strides)):
            if length != 1 and stride != step:
                return self.size == 0
            step *= length
        return True

    def _view(self, shape: Sequence[int], strides: Sequence[int], offset: int, dtype: DType | None = None) -> Tensor:
        """Another view of the same storage; strides and the offset from the storage's start in bytes."""
        return wrap(_checked(lib.mt_view(self._h, (dtype or self.dtype).code, len(shape), list(shape), list(strides), offset)))

    # --- between devices ---------------------------------------------------------------------------------------------
    def to(self, device: str | Device | DType, dtype: DType | None = None) -> Tensor:
        """The tensor on another device, or in another dtype; itself when it is there already.

        Args:
            device: "CPU", "Ascend", "Ascend:1", or a dtype.
            dtype: a dtype to cast to as well.
        """
        if isinstance(device, DType):
            target, dtype = self._device, device
        else:
            target = as_device(device)
        result = self
        if target is not self._device:
            where = target if target.backend.name != "CPU" else self._device
            result = empty(self.shape, self.dtype, target)
            backend = where.backend
            native.host_task("to", where.activate(), lambda task: backend.transfer(task.outputs[0], task.inputs[0]),
                             [self._h], [result._h])  # fmt: skip
        if dtype is not None and dtype is not result.dtype:
            result = wrap(_checked(lib.mt_cast(result._h, dtype.code)))
        return result

    # --- to NumPy and Python -----------------------------------------------------------------------------------------
    @staticmethod
    def from_numpy(array: np.ndarray) -> Tensor:
        """A tensor on the CPU that shares the array's memory: each sees what the other writes.

        Raises:
            TypeError: when it is no array, or its dtype is one that no tensor holds.
            ValueError: when the array is read-only.
        """
        if not isinstance(array, np.ndarray):
            raise TypeError(f"[from_numpy] takes a numpy.ndarray, got {type(array).__name__}; Tensor(...) copies other data")
        if not array.flags.writeable:
            raise ValueError("[from_numpy] the array is read-only and a tensor could write to it; Tensor(array) copies it")
        dtype = from_numpy(array.dtype)
        if not array.dtype.isnative:
            raise TypeError("[from_numpy] the array is in foreign byte order; Tensor(array) copies and turns it")
        low, high = np.lib.array_utils.byte_bounds(array) if hasattr(np.lib, "array_utils") else np.byte_bounds(array)
        start = array.__array_interface__["data"][0]
        return wrap(_checked(lib.mt_external(
            as_device("CPU").activate(), dtype.code, array.ndim, list(array.shape), list(array.strides),
            ffi.cast("void *", low), high - low, start - low, native.hold(array),
        )))  # fmt: skip

    def _value(self) -> np.ndarray:
        """The value for a look: an array that is valid only while nothing else happens; inside of a mt_pin."""
        native.wait(self._h)
        return native.array(self._h)

    def item(self, *index: int) -> bool | int | float | complex:
        """The only element as a Python number; with an index, that element.

        Raises:
            ValueError: when there is more than one element, or none.
        """
        if not index:
            number = lib.mt_item(self._h)
            kind = number.kind
            if kind:
                return number.f if kind == _FLOAT else number.i if kind == _INT else bool(number.i) if kind == _BOOL else number.u
        if not self._device.backend.host_visible:
            return self.to("CPU").item(*index)
        lib.mt_pin(self._h)
        try:
            value = self._value()
            if not index and value.size != 1:
                raise ValueError(f"[item] only a tensor of one element is a Python number, got shape {self.shape}")
            result = value.item(*index)
        finally:
            lib.mt_unpin(self._h)
        return result if not hasattr(result, "dtype") else float(result)  # bfloat16's item is no float

    def tolist(self) -> Any:
        """The value as nested lists of Python numbers."""
        value = self.asnumpy()
        return (value.astype(np.float32) if value.dtype.kind == "V" else value).tolist()

    @staticmethod
    def from_dlpack(source: Any) -> Tensor:
        """A tensor that shares the memory of an object with `__dlpack__`; a read-only one is copied."""
        if not hasattr(source, "__dlpack__"):
            raise TypeError(f"[from_dlpack] takes an object with __dlpack__, got {type(source).__name__}")
        array = np.from_dlpack(source)
        return Tensor.from_numpy(array) if array.flags.writeable else Tensor(array)

    def _one(self, what: str) -> Any:
        if self.size != 1:
            raise ValueError(f"[{what}] only a tensor of one element has a {what} value, got shape {self.shape}")
        return self.item()

    def __bool__(self) -> bool:
        return bool(self._one("bool"))

    def __int__(self) -> int:
        return int(self._one("int"))

    def __float__(self) -> float:
        return float(self._one("float"))

    def __complex__(self) -> complex:
        return complex(self._one("complex"))

    def __index__(self) -> int:
        if self.dtype.kind not in "biu":
            raise TypeError(f"[index] only an integer is an index, got {self.dtype}")
        return int(self._one("index"))

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("[len] a tensor without dimensions has no length")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise TypeError("[iter] a tensor without dimensions can't be iterated over")
        return (self[i] for i in range(self.shape[0]))  # type: ignore[index]

    def __contains__(self, value: Any) -> bool:
        found = self == value
        return bool(found.any()) if isinstance(found, Tensor) else False

    def __trunc__(self) -> int:
        return math.trunc(self._one("trunc"))

    def __floor__(self) -> int:
        return math.floor(self._one("floor"))

    def __ceil__(self) -> int:
        return math.ceil(self._one("ceil"))

    def __rdivmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return other // self, other % self

    # --- copies and other processes ----------------------------------------------------------------------------------
    # A subclass is rebuilt as Python rebuilds any object: from what its __reduce_ex__ says, without its
    # __init__, with its state.  What holds the value in that is a plain Tensor on the same memory, so
    # that it travels as every Tensor does, by whatever pickler.
    def copy(self) -> Tensor:
        """The same value in memory of its own, contiguous."""
        return wrap(_checked(lib.mt_cast(self._h, self.dtype.code)))

    def __copy__(self) -> Any:
        if type(self) is Tensor:
            return self.copy()
        result = _reconstruct(self, None, self.__reduce_ex__(4))
        if isinstance(result, Tensor) and _same_storage(result, self):
            become(result, self.copy())
        return result

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if type(self) is not Tensor:
            return _reconstruct(self, memo, self.__reduce_ex__(4))
        memo[id(self)] = result = self.copy()
        return result

    def __reduce_ex__(self, protocol: Any) -> Any:
        kind = type(self)
        if kind is not Tensor:
            if kind.__reduce__ is not object.__reduce__:
                return self.__reduce__()
            plain = become(Tensor.__new__(Tensor), self)
            return _rebuild_as, (kind, plain, *_new_arguments(self)), _state(self)
        if not self._device.backend.host_visible:
            raise TypeError(f"[pickle] a tensor on {self.device} can't travel: its memory is that device's; send t.to(\"CPU\")")
        return _rebuild, (np.ascontiguousarray(self.asnumpy()).reshape(self.shape),)

    def share_memory_(self) -> Tensor:
        """Puts its memory where all processes that get it from now on see it and write to it, too; returns the tensor.

        There is no lock: who writes while others look must agree with them by other means.  All views of the same memory follow.

        Raises:
            ValueError: when a NumPy array looks at the memory, which would stay where it is.
            TypeError: for a tensor on a device whose memory the host can't see.

        Example:
            >>> import minitensor as mt
            >>> counter = mt.Tensor([0]).share_memory_()
            >>> counter.is_shared()
            True
        """
        from minitensor import sharing

        sharing.make_shared(self)
        return self

    def is_shared(self) -> bool:
        """Does whoever else has it see what is written to it?"""
        return bool(lib.mt_is_shared(self._h))

    # --- how it prints -----------------------------------------------------------------------------------------------
    def __str__(self) -> str:
        return str(self.asnumpy())

    def __repr__(self) -> str:
        return f"Tensor(shape={list(self.shape)}, dtype={self.dtype}, value={value_text(self.asnumpy())})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    if TYPE_CHECKING:  # what minitensor.ops installs

        def __getattr__(self, name: str) -> Any: ...
        def __getitem__(self, key: Any) -> Tensor: ...
        def __setitem__(self, key: Any, value: Any) -> None: ...
        def _matmul(self, other: Any) -> Tensor: ...

        __matmul__ = __rmatmul__ = _matmul


operators.bind(tensor=Tensor, finish=finish)
become = operators.become
wrap: Callable[[int], Tensor] = operators.wrap  # the Tensor of a reference, which it takes over


def _checked(ref: int) -> int:
    return ref if ref > 0 else finish(ref)


def as_device(device: str | Device | None) -> Device:
    """A device from its name ("CPU", "Ascend", "Ascend:1"); None is the current one."""
    if device is None:
        return context.current_device()
    if isinstance(device, Device):
        return device
    if not isinstance(device, str):
        raise TypeError(f"[device] a device is named by a string such as 'CPU' or 'Ascend:0', got {device!r}")
    name, _, index = device.partition(":")
    if index and not index.isdigit():
        raise ValueError(f"[device] not a device: {device!r}; write it as 'Ascend' or 'Ascend:0'")
    return get_device(name, int(index or 0))


def empty(shape: Sequence[int], dtype: DType, device: Device | None = None) -> Tensor:
    """A tensor whose elements are whatever the memory holds."""
    number = (device or context.current_device()).activate()
    if dtype.name not in native.devices[number].backend.dtypes:
        raise TypeError(f"[Tensor] {native.devices[number]} has no {dtype}")
    return wrap(_checked(lib.mt_empty(number, dtype.code, len(shape), list(shape))))


def _copy_in(source: np.ndarray, device: Device) -> Tensor:
    """A new tensor with an array's values."""
    host = device if device.backend.host_visible else as_device("CPU")
    t = empty(source.shape, from_numpy(source.dtype), host)
    if source.size:
        np.copyto(native.array(t._h), source)
    return t if host is device else t.to(device)


def _rebuild(array: np.ndarray) -> Tensor:
    return Tensor(array, device="CPU")


# --- subclasses in pickle and copy -----------------------------------------------------------------
def _same_storage(a: Tensor, b: Tensor) -> bool:
    return bool(lib.mt_storage_id(a._h) == lib.mt_storage_id(b._h))


def _new_arguments(t: Tensor) -> tuple[Any, ...]:
    """Return what `__getnewargs_ex__` or `__getnewargs__` of a subclass gives for its `__new__`."""
    if hasattr(t, "__getnewargs_ex__"):
        return t.__getnewargs_ex__()
    return (t.__getnewargs__(), {}) if hasattr(t, "__getnewargs__") else ()


def _state(t: Tensor) -> Any:
    """Return what `__getstate__` gives; Python before 3.11 has it only where a class defines it."""
    if hasattr(t, "__getstate__"):
        return t.__getstate__()
    state = getattr(t, "__dict__", None) or None
    names = copyreg._slotnames(type(t))  # type: ignore[attr-defined]
    slots = {name: getattr(t, name) for name in names if hasattr(t, name)}
    return (state, slots) if slots else state


def _rebuild_as(
    kind: Any,
    plain: Tensor,
    arguments: tuple[Any, ...] | None = None,
    keywords: dict[str, Any] | None = None,
) -> Any:
    """Return a tensor of a subclass with the memory of a plain one."""
    if arguments is None:
        return become(object.__new__(kind), plain)
    return become(kind.__new__(kind, *arguments, **(keywords or {})), plain)


def _reconstruct(t: Tensor, memo: dict[int, Any] | None, reduced: Any) -> Any:
    """Copy a tensor from its reduced form as the `copy` module does; with a memo, deeply."""
    from copy import _reconstruct as reconstruct  # type: ignore[attr-defined]

    return t if isinstance(reduced, str) else reconstruct(t, memo, *reduced)


def tensor(
    input_data: Any = None, dtype: Any = None, shape: Any = None, init: Any = None
) -> Tensor:
    """`Tensor(...)` as a function, as MindSpore has it."""
    return Tensor(input_data, dtype, shape, init)



native.loaded(__name__)
