"""Tensor: a view of a storage.

A Tensor holds one reference of the C core (`_ref`) and nothing else.  Its base class in C provides
what programs read all the time: shape, dtype, the operators and the elementwise methods
(core/python/py_operators.c).  `minitensor.ops` gives it the other methods that compute, and
`minitensor.exchange` shows it to NumPy and other libraries.  This module converts values from and
to Python and other processes, and prints them.

Values are asynchronous: a program may pass a tensor on while the executor still computes its value.
The read of a value waits for it, and raises the error if computing it failed.
"""

from __future__ import annotations

import copyreg
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from minitensor import context
from minitensor.backend import Device, core, get_device
from minitensor.backend.core import complete, ffi, lib, load_once, operators
from minitensor.dtype import DTYPES, DType, as_dtype, float32, from_numpy
from minitensor.exchange import Exchange
from minitensor.tensor_input import to_numpy
from minitensor.tensor_repr import value_text

if TYPE_CHECKING:
    from typing import SupportsIndex

    from minitensor.typing import (
        DeviceLike,
        DTypeLike,
        Number,
        RealLike,
        ShapeLike,
        SupportsDLPack,
        TensorLike,
    )

__all__ = ["Tensor", "tensor", "wrap", "empty", "as_device"]

load_once(__name__)
_pointer = ffi.typeof("mt_tensor *")  # a cast to a type takes half the time of one to its name


class Tensor(Exchange):
    """An array of one dtype on one device.

    Args:
        input_data: a number, a (nested) list or tuple, a NumPy array, a tensor, or an object with
            the buffer, array or DLPack protocol; always copied.  Python floats become float32 and
            ints int64; arrays keep their dtype.
        dtype: the dtype to which the data is cast: of minitensor, of NumPy, or the name of one.
        shape: with `init`, in place of data: the shape.
        init: with `shape`: "zeros", "ones", or a number that fills the tensor.
        device: "CPU", "Ascend" or "Ascend:1"; None means the current device of
            `minitensor.context`.

    Raises:
        TypeError: no tensor holds the data (str, None, dict, range, ragged lists), or `dtype` names
            no dtype.
        ValueError: a list contains itself, or is nested deeper than a tensor has dimensions.
        MemoryError: the device has no room.

    Example:
        >>> from minitensor import Tensor
        >>> Tensor([1, 2.5])
        Tensor(shape=[2], dtype=Float32, value= [ 1.00000000e+00,  2.50000000e+00])
    """

    __slots__ = ()

    @operators.fast
    def __init__(
        self,
        input_data: TensorLike | None = None,
        dtype: DTypeLike | None = None,
        shape: ShapeLike | None = None,
        init: Literal["zeros", "ones"] | RealLike | None = None,
        *,
        device: DeviceLike | None = None,
    ) -> None:
        if dtype is not None and not isinstance(dtype, DType):
            dtype = as_dtype(dtype, "Tensor")
        if init is not None:
            if input_data is not None or shape is None:
                raise TypeError(
                    "[Tensor] init must come with shape and without data, got another call; write "
                    "Tensor(shape=(2, 3), init='zeros')"
                )
            source = np.full(
                shape,
                {"zeros": 0, "ones": 1}.get(init, init) if isinstance(init, str) else init,
                (dtype or float32).numpy,
            )
        elif isinstance(input_data, Tensor):
            target = as_device(device) if device is not None else input_data._device
            moved = input_data.to(target)
            become(self, wrap(_checked(lib.mt_cast(moved._ref, (dtype or moved.dtype).code))))
            return
        else:
            source = to_numpy(input_data, dtype)
            if shape is not None and tuple(np.atleast_1d(shape)) != source.shape:
                raise ValueError(
                    f"[Tensor] shape must be the data's, {source.shape}, got "
                    f"{tuple(np.atleast_1d(shape))}"
                )
        become(self, _copy_in(source, as_device(device)))

    # --- attributes -------------------------------------------------------------------------------
    @property
    def _core(self) -> Any:
        return ffi.cast(_pointer, self._ref)

    @property
    def itemsize(self) -> int:
        """Return the number of bytes of one element."""
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        """Return the number of bytes of all elements."""
        return self.size * self.dtype.itemsize

    @property
    def _device(self) -> Device:
        return core.devices[self._device_id]

    @property
    def device(self) -> str:
        """Return the device of the memory: "CPU", "Ascend:0"."""
        return str(self._device)

    def is_contiguous(self) -> bool:
        """Return True if the elements lie one after the other in C order.

        Returns:
            A Python bool.

        Example:
            >>> from minitensor import Tensor
            >>> t = Tensor([[1, 2], [3, 4]])
            >>> t.is_contiguous(), t.T.is_contiguous()
            (True, False)
        """
        step = self.dtype.itemsize
        for length, stride in zip(reversed(self.shape), reversed(self.strides)):
            if length != 1 and stride != step:
                return self.size == 0
            step *= length
        return True

    def _view(
        self, shape: Sequence[int], strides: Sequence[int], offset: int, dtype: DType | None = None
    ) -> Tensor:
        """Return another view of the storage; strides and offset are in bytes."""
        return wrap(
            _checked(
                lib.mt_view(
                    self._ref,
                    (dtype or self.dtype).code,
                    len(shape),
                    list(shape),
                    list(strides),
                    offset,
                )
            )
        )

    # --- between devices --------------------------------------------------------------------------
    def to(self, device: DeviceLike | DType, dtype: DTypeLike | None = None) -> Tensor:
        """Return the tensor on another device, or in another dtype.

        Args:
            device: "CPU", "Ascend", "Ascend:1", or a dtype of minitensor.
            dtype: a dtype to cast to as well.

        Returns:
            A copy, or the tensor itself if device and dtype are its own.

        Raises:
            TypeError: `device` is no name, or `dtype` names no dtype.
            ValueError: no backend has the name.
            DeviceError: the backend has no device of that number.

        Example:
            >>> from minitensor import Tensor
            >>> Tensor([1.5]).to("CPU", "int8")
            Tensor(shape=[1], dtype=Int8, value= [1])
        """
        if isinstance(device, DType):
            target, dtype = self._device, device
        else:
            target = as_device(device)
        wanted = None if dtype is None else as_dtype(dtype, "to")
        result = self
        if target is not self._device:
            where = target if target.backend.name != "CPU" else self._device
            result = empty(self.shape, self.dtype, target)
            backend = where.backend
            core.host_task(
                "to",
                where.activate(),
                lambda task: backend.transfer(task.outputs[0], task.inputs[0]),
                [self._ref],
                [result._ref],
            )
        if wanted is not None and wanted is not result.dtype:
            result = wrap(_checked(lib.mt_cast(result._ref, wanted.code)))
        return result

    # --- to NumPy and Python ----------------------------------------------------------------------
    @staticmethod
    def from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
        """Return a tensor on the CPU that shares the memory of an array: each shows both's writes.

        Args:
            array: a NumPy array of any shape, writable and in native byte order.

        Returns:
            A new tensor of the array's shape and dtype.

        Raises:
            TypeError: the argument is no array, or no tensor holds its dtype or byte order.
            ValueError: the array is read-only.

        Example:
            >>> import numpy as np
            >>> from minitensor import Tensor
            >>> array = np.zeros(2)
            >>> t = Tensor.from_numpy(array)
            >>> array[0] = 5
            >>> print(t)
            [5. 0.]
        """
        cpu = get_device("CPU").activate()
        shared = operators.from_array(array, core.held_address, cpu)
        if shared is not None:
            return shared
        if not isinstance(array, np.ndarray):
            raise TypeError(
                f"[from_numpy] array must be a numpy.ndarray, got {type(array).__name__}; "
                "Tensor(...) copies other data"
            )
        if not array.flags.writeable:
            raise ValueError(
                "[from_numpy] array must be writable, got a read-only one; Tensor(array) copies it"
            )
        dtype = from_numpy(array.dtype)
        if not array.dtype.isnative:
            raise TypeError(
                "[from_numpy] array must be in native byte order, got the other one; "
                "Tensor(array) copies and converts it"
            )
        low, high = (
            np.lib.array_utils.byte_bounds(array)
            if hasattr(np.lib, "array_utils")
            else np.byte_bounds(array)
        )
        start = array.__array_interface__["data"][0]
        return wrap(
            _checked(
                lib.mt_external(
                    cpu,
                    dtype.code,
                    array.ndim,
                    list(array.shape),
                    list(array.strides),
                    ffi.cast("void *", low),
                    high - low,
                    start - low,
                    core.hold(array),
                )
            )
        )

    def _value(self) -> np.ndarray:
        """Return the value as an array that is valid while the caller pins the tensor."""
        core.wait(self._ref)
        return core.array(self._ref)

    @operators.fast
    def item(self, *index: SupportsIndex) -> Number:
        """Return the only element as a Python number, or the element at an index.

        Args:
            index: nothing, one int that counts in C order, or an int for each dimension.

        Returns:
            A bool, int, float or complex number.

        Raises:
            ValueError: there is no index, and not exactly one element.
            IndexError: the index is out of range.

        Example:
            >>> from minitensor import Tensor
            >>> Tensor(2.5).item(), Tensor([[1, 2], [3, 4]]).item(1, 0)
            (2.5, 3)
        """
        if not self._device.backend.host_visible:
            return self.to("CPU").item(*index)
        lib.mt_pin(self._ref)
        try:
            value = self._value()
            if not index and value.size != 1:
                raise ValueError(f"[item] the tensor must have one element, got shape {self.shape}")
            result = value.item(*index)
        finally:
            lib.mt_unpin(self._ref)
        return (
            result if not hasattr(result, "dtype") else float(result)
        )  # bfloat16 has no Python number

    @operators.fast
    def tolist(self) -> Number | list[Any]:
        """Return the value as nested lists of Python numbers.

        Returns:
            A list, or a number for a tensor without dimensions.

        Example:
            >>> from minitensor import Tensor
            >>> Tensor([[1, 2], [3, 4]]).tolist()
            [[1, 2], [3, 4]]
        """
        value = self._array(False)
        return (value.astype(np.float32) if value.dtype.kind == "V" else value).tolist()

    @staticmethod
    def from_dlpack(source: SupportsDLPack) -> Tensor:
        """Return a tensor that shares the memory of a DLPack object, or copies read-only memory.

        Args:
            source: an object with `__dlpack__`, such as a tensor of another library.

        Returns:
            A new tensor on the CPU.

        Raises:
            TypeError: the object has no `__dlpack__`, or no tensor holds its dtype.

        Example:
            >>> import numpy as np
            >>> from minitensor import Tensor
            >>> print(Tensor.from_dlpack(np.ones(2)))
            [1. 1.]
        """
        if not hasattr(source, "__dlpack__"):
            raise TypeError(
                f"[from_dlpack] source must have __dlpack__, got {type(source).__name__}"
            )
        array = np.from_dlpack(source)
        return Tensor.from_numpy(array) if array.flags.writeable else Tensor(array)

    def _one(self, what: str) -> Any:
        if self.size != 1:
            raise ValueError(f"[{what}] the tensor must have one element, got shape {self.shape}")
        return self.item()

    # bool(t), int(t), float(t) and operator.index(t), where C has no number (py_index.c).
    def _bool(self) -> bool:
        return bool(self._one("bool"))

    def _int(self) -> int:
        return int(self._one("int"))

    def _float(self) -> float:
        return float(self._one("float"))

    def __complex__(self) -> complex:
        return complex(self._one("complex"))

    def _index(self) -> int:
        if self.dtype.kind not in "biu":
            raise TypeError(f"[index] an index must be an integer, got {self.dtype}")
        return int(self._one("index"))

    def __iter__(self) -> Iterator[Tensor]:
        if not self.shape:
            raise TypeError("[iter] the tensor must have a dimension, got shape ()")
        return map(self.__getitem__, range(self.shape[0]))  # type: ignore[attr-defined]

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

    # --- copies and other processes ---------------------------------------------------------------
    # Unpickling rebuilds a subclass as Python rebuilds any object: from the result of
    # __reduce_ex__, without a call of __init__, with its state.  That result holds the value as a
    # plain Tensor on the same memory, so every pickler treats it as it treats a Tensor.
    @operators.fast
    def copy(self) -> Tensor:
        """Return the same value in new memory, contiguous.

        Returns:
            A new tensor of the same shape, dtype and device.

        Raises:
            MemoryError: the device has no room.

        Example:
            >>> from minitensor import Tensor
            >>> t = Tensor([1, 2])
            >>> u = t.copy()
            >>> u[0] = 9
            >>> print(t, u)
            [1 2] [9 2]
        """
        return wrap(_checked(lib.mt_cast(self._ref, self.dtype.code)))

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
            raise TypeError(
                f"[pickle] a tensor on {self.device} can't travel: its memory is that device's; "
                'send t.to("CPU")'
            )
        return _rebuild, (np.ascontiguousarray(self._array(False)).reshape(self.shape),)

    def is_shared(self) -> bool:
        """Return True if writes to the tensor are visible to the other processes that have it.

        Returns:
            A Python bool.

        Example:
            >>> from minitensor import Tensor
            >>> Tensor([0]).is_shared()
            False
        """
        return bool(lib.mt_is_shared(self._ref))

    # --- printing ---------------------------------------------------------------------------------
    def __str__(self) -> str:
        return str(self._array(False))

    def __repr__(self) -> str:
        value = value_text(self._array(False))
        return f"Tensor(shape={list(self.shape)}, dtype={self.dtype}, value={value})"

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)


become = operators.become
wrap: Callable[[int], Tensor] = operators.wrap  # makes the Tensor that owns a reference


def _checked(ref: int) -> int:
    return ref if ref > 0 else complete(ref)


def as_device(device: str | Device | None) -> Device:
    """Return a device from its name ("CPU", "Ascend", "Ascend:1"); None means the current one."""
    if device is None:
        return context.current_device()
    if isinstance(device, Device):
        return device
    if not isinstance(device, str):
        raise TypeError(
            f"[device] device must be a string such as 'CPU' or 'Ascend:0', got {device!r}"
        )
    name, _, index = device.partition(":")
    if index and not index.isdigit():
        raise ValueError(
            f"[device] device must be written as 'Ascend' or 'Ascend:0', got {device!r}"
        )
    return get_device(name, int(index or 0))


def empty(shape: Sequence[int], dtype: DType, device: Device | None = None) -> Tensor:
    """Return a tensor whose elements have arbitrary values."""
    number = (device or context.current_device()).activate()
    if dtype.name not in core.devices[number].backend.dtypes:
        raise TypeError(
            f"[Tensor] dtype must be one that {core.devices[number]} supports, got {dtype}"
        )
    return wrap(_checked(lib.mt_empty(number, dtype.code, len(shape), list(shape))))


def _copy_in(source: np.ndarray, device: Device) -> Tensor:
    """Return a new tensor with an array's values."""
    host = device if device.backend.host_visible else as_device("CPU")
    t = empty(source.shape, from_numpy(source.dtype), host)
    if context.is_current(device) and len(device.backend.dtypes) == len(DTYPES):
        operators.current_device(t._device_id)  # which the fast way takes from now on
    if source.size:
        np.copyto(core.array(t._ref), source)
    return t if host is device else t.to(device)


def _rebuild(array: np.ndarray) -> Tensor:
    return Tensor(array, device="CPU")


# --- subclasses in pickle and copy ----------------------------------------------------------------
def _same_storage(a: Tensor, b: Tensor) -> bool:
    return bool(lib.mt_storage_id(a._ref) == lib.mt_storage_id(b._ref))


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


@operators.fast
def tensor(
    input_data: TensorLike | None = None,
    dtype: DTypeLike | None = None,
    shape: ShapeLike | None = None,
    init: Literal["zeros", "ones"] | RealLike | None = None,
) -> Tensor:
    """Return `Tensor(input_data, dtype, shape, init)`.

    Args:
        input_data: the data, as for `Tensor`.
        dtype: the dtype to which the data is cast.
        shape: with `init`, in place of data: the shape.
        init: with `shape`: "zeros", "ones", or a number that fills the tensor.

    Returns:
        A new tensor on the current device.

    Raises:
        TypeError: no tensor holds the data, or `dtype` names no dtype.
        ValueError: a list contains itself, or is nested deeper than a tensor has dimensions.
        MemoryError: the device has no room.

    Example:
        >>> import minitensor as mt
        >>> print(mt.tensor([1, 2], "float32"))
        [1. 2.]
    """
    return Tensor(input_data, dtype, shape, init)


core.loaded(__name__)
