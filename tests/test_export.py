"""Exported memory: nothing that a consumer does with it changes another process's value.

The consumers here read no flags: they take DLPack's struct, or an array's address, and write.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from children import in_child

import minitensor as mt
import minitensor.multiprocessing as mp
from minitensor import Tensor
from minitensor.dtype import DTYPES
from minitensor.multiprocessing.reductions import ForkingPickler

LARGE = 50_000  # float32: more than travels inside a message


class DLTensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("offset", ctypes.c_uint64),
    ]


class Consumer:
    """A writer to the memory of a capsule, for as long as it has the capsule."""

    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule
        get = ctypes.pythonapi.PyCapsule_GetPointer
        get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        self.tensor = DLTensor.from_address(get(capsule, b"dltensor"))
        self.shape = tuple(self.tensor.shape[i] for i in range(self.tensor.ndim))
        self.strides = (
            tuple(self.tensor.strides[i] for i in range(self.tensor.ndim))
            if self.tensor.strides
            else None
        )

    def elements(self) -> Any:
        return ctypes.cast(self.tensor.data + self.tensor.offset, ctypes.POINTER(ctypes.c_float))

    def write(self, value: float) -> None:
        self.elements()[0] = value


def journey(t: Tensor) -> Tensor:
    return ForkingPickler.loads(ForkingPickler.dumps(t))  # type: ignore[no-any-return]


def travelled() -> tuple[Tensor, Tensor]:
    t = Tensor(np.ones(LARGE, np.float32))
    return t, journey(t)


def test_dlpack_does_not_write_to_what_others_hold() -> None:
    t, other = travelled()
    view = t[1:]
    Consumer(t.__dlpack__()).write(7)
    assert (float(t[0]), float(other[0])) == (7, 1)
    Consumer(view.__dlpack__()).write(8)  # all views have moved along
    assert (float(t[1]), float(other[1])) == (8, 1)


def test_dlpack_of_what_is_on_its_way() -> None:
    t = Tensor(np.ones(LARGE, np.float32))
    message = ForkingPickler.dumps(t)
    Consumer(t.__dlpack__()).write(7)
    assert float(t[0]) == 7 and float(ForkingPickler.loads(message)[0]) == 1


def test_a_forked_child_does_not_see_what_a_consumer_writes() -> None:
    t = journey(
        Tensor(np.ones(LARGE, np.float32))
    )  # no other reference is left; a fork shares its memory all the same
    consumer = Consumer(t.__dlpack__())
    reader, writer = os.pipe()

    def child() -> float:
        os.read(reader, 1)
        return float(t[0])

    thread_done: list[str] = []
    thread = threading.Thread(target=lambda: thread_done.append(in_child(child)))
    forked = threading.Event()
    participant = mt.fork.register(after_in_parent=forked.set, name="test")
    thread.start()
    assert forked.wait(60)
    mt.fork.unregister(participant)
    consumer.write(7)
    os.write(writer, b"x")
    thread.join(60)
    assert thread_done == ["1.0"] and float(t[0]) == 7


@pytest.mark.parametrize("n", [10, LARGE])
def test_a_journey_while_a_consumer_has_the_memory_copies(n: int) -> None:
    t = journey(Tensor(np.ones(n, np.float32)))
    consumers = [Consumer(t.__dlpack__()), Consumer(t[5:].__dlpack__())]
    sent = journey(t)
    consumers[0].write(2)
    consumers[1].write(3)
    assert (float(t[0]), float(t[5]), float(sent[0]), float(sent[5])) == (2, 3, 1, 1)
    with pytest.raises(ValueError, match="share_memory_"):
        t.share_memory_()
    del consumers[0]
    with pytest.raises(ValueError, match="share_memory_"):
        t.share_memory_()
    consumers.clear()
    t.share_memory_()
    assert (float(t[0]), float(t[5])) == (2, 3)


def test_a_consumer_in_a_thread_outlives_the_tensor() -> None:
    t, other = travelled()
    consumer, go = Consumer(t.__dlpack__()), threading.Event()
    del t
    gc.collect()
    values: list[float] = []

    def consume(consumer: Consumer) -> None:
        go.wait()
        consumer.write(9)
        values.append(consumer.elements()[0])

    thread = threading.Thread(target=consume, args=(consumer,))
    thread.start()
    del consumer
    noise = [Tensor(np.full(LARGE, 5, np.float32)) for _ in range(10)]
    go.set()
    thread.join()
    assert values == [9] and float(other[0]) == 1 and len(noise) == 10


def test_memory_shared_by_name_is_exported_as_it_is() -> None:
    t = Tensor(np.ones(LARGE, np.float32)).share_memory_()
    other = journey(t)
    consumer = Consumer(t.__dlpack__())
    consumer.write(7)
    t.asnumpy()[1] = 8
    assert (float(other[0]), float(other[1]), float(t[0])) == (7, 8, 7)


def test_what_nobody_else_may_have_is_not_copied() -> None:
    t = Tensor(np.ones(LARGE, np.float32))
    consumer = Consumer(t.__dlpack__())
    assert consumer.tensor.data + consumer.tensor.offset == t.asnumpy().ctypes.data
    shared, _ = travelled()
    copied = mp.sharing_stats()["copied"]
    consumers = [Consumer(shared.__dlpack__()) for _ in range(3)]
    assert (
        mp.sharing_stats()["copied"] == copied + 1 and len({c.tensor.data for c in consumers}) == 1
    )


@pytest.mark.parametrize("which", [0, 1], ids=["sent", "received"])
def test_an_array_of_shared_bytes_can_not_be_made_writable(which: int) -> None:
    pair = travelled()
    array = np.asarray(pair[which])
    assert array.ctypes.data == np.asarray(pair[1 - which]).ctypes.data  # read where it lies
    tries: list[Callable[[Any], object]] = [
        lambda a: a.setflags(write=True),
        lambda a: setattr(a.flags, "writeable", True),
    ]
    for a in (
        array,
        array[1:],
        array.view(np.uint8),
        array.base,
        array.T,
        array.reshape(2, -1),
    ):
        for attempt in tries:
            with pytest.raises(ValueError, match="WRITEABLE"):
                attempt(a)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 2
    with pytest.raises(TypeError, match="read-only"):
        memoryview(array)[0] = 2.0
    assert pair[which].copy().asnumpy().flags.writeable and np.array(pair[which]).flags.writeable
    own = pair[which].asnumpy()  # a copy, which the tensor follows
    own[0] = 2
    assert [float(t[0]) for t in (pair[which], pair[1 - which])] == [2, 1] and array[0] == 1


@pytest.mark.skipif(
    sys.version_info < (3, 12), reason="a class in Python has a buffer from 3.12 on"
)
def test_a_buffer_of_shared_bytes_is_read_only() -> None:
    t, other = travelled()
    assert memoryview(t).readonly and not memoryview(t.copy()).readonly
    with pytest.raises((TypeError, BufferError)):
        ctypes.c_char.from_buffer(t)


def test_there_is_no_bare_address() -> None:
    assert not hasattr(Tensor([1.0]), "__array_interface__")


def test_a_host_function_can_not_write_to_its_input() -> None:
    def write(a: np.ndarray) -> np.ndarray:
        a.flags.writeable = True
        a[0] = 7
        return a

    t, other = travelled()
    with pytest.raises(ValueError, match="WRITEABLE"):
        mt.ops.host_call(write, [t], shape=LARGE, dtype="float32").asnumpy()
    assert float(t[0]) == float(other[0]) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: Tensor([1.0, 2.0, 3.0])[::-1],
        lambda: Tensor(np.ones((3, 4), np.float32))[:, ::-2],
        lambda: travelled()[1][::-1],
        lambda: Tensor.from_numpy(np.zeros(3, "u1,f4")["f1"]),
    ],
)
def test_strides_that_kill_a_consumer_are_copied(make: Callable[[], Tensor]) -> None:
    t = make()
    consumer = Consumer(t.__dlpack__())
    assert consumer.shape == t.shape and all(s > 0 for s in consumer.strides or ())
    assert consumer.elements()[0] == t.asnumpy().ravel()[0]
    before = t.tolist()
    consumer.write(99)
    assert t.tolist() == before
    with pytest.raises(BufferError, match="copy must not be False"):
        t.__dlpack__(copy=False)


@pytest.mark.parametrize(
    "t",
    [
        Tensor(1.0),
        Tensor([1.0])[:0],
        Tensor(np.ones((2, 3), np.float32)).T,
        Tensor(np.ones((4, 4), np.float32))[::2, 1:],
    ],
)
def test_other_shapes(t: Tensor) -> None:
    consumer = Consumer(t.__dlpack__())
    assert consumer.shape == t.shape
    np.testing.assert_array_equal(np.from_dlpack(t), t.asnumpy())


def test_dlpack_takes_what_the_standard_says() -> None:
    t = Tensor([1.0, 2.0])
    assert t.__dlpack_device__() == (1, 0)
    for keywords in (
        {},
        {"stream": None},
        {"dl_device": (1, 0)},
        {"copy": None},
        {"copy": False},
        {"max_version": None},
    ):
        Consumer(t.__dlpack__(**keywords)).write(5)  # type: ignore[arg-type]
        assert float(t[0]) == 5
        t[0] = 1
    Consumer(t.__dlpack__(copy=True)).write(5)
    assert float(t[0]) == 1
    for version in ((0, 8), (1, 0), (1, 1)):
        assert "dltensor" in repr(t.__dlpack__(max_version=version))
    with pytest.raises(RuntimeError, match="stream must be None"):
        t.__dlpack__(stream=1)
    for device in ((2, 0), (1, 1)):
        with pytest.raises(BufferError, match="dl_device"):
            t.__dlpack__(dl_device=device)
    with pytest.raises(TypeError):
        t.__dlpack__(None)  # type: ignore[misc]


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d.kind in "iufc"], ids=str)
def test_dtypes(dtype: mt.DType) -> None:
    t = Tensor([1, 2], dtype)
    if dtype is mt.bfloat16:
        with pytest.raises(BufferError):
            t.__dlpack__()
    else:
        np.testing.assert_array_equal(np.from_dlpack(t), t.asnumpy())


def test_a_device_that_the_host_does_not_see() -> None:
    t = Tensor([1.0, 2.0], device="Ascend")
    assert np.from_dlpack(t).tolist() == [1, 2]
    with pytest.raises(BufferError, match="copy"):
        t.__dlpack__(copy=False)
    with pytest.raises(ValueError, match="read-only"):
        np.copyto(t, 1.0)  # type: ignore[call-overload]
