"""How the arrays of NumPy, torch and jax are pickled for another process: as buffers.

The problem. An array's own pickle has its memory as a buffer only in some cases: NumPy's for a
contiguous array of a dtype that the buffer protocol knows, torch's and jax's never. torch sends a
file descriptor for each tensor, and needs the sender alive.

The solution. A reducer for each of these types (`reducers`), used by our transports alone. It hands
pickle one buffer of bytes, and beside it the dtype and the shape. A library that the program has
not imported stays unimported. An array that is small, or of a kind that is no plain memory of this
machine (objects, quantized or sparse tensors, an accelerator's), is pickled as its library does it.

What it guarantees. Type, dtype, shape, order in memory, and NumPy's read-only flag arrive as they
were. A torch tensor in shared memory (`share_memory_`) stays shared: torch sends it. Two torch
tensors on one storage arrive so, unless each is less than half of it.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .pickling import inline_bytes

__all__ = ["libraries", "reducers"]

Reducer = Callable[[Any], Any]
_PLAIN = frozenset("?biufcmMSUV")  # kinds of dtypes whose values lie in the array's own memory


def libraries() -> tuple[Any, Any]:
    """Return the loaded modules of torch and jax; None for each that is not imported."""
    return sys.modules.get("torch"), sys.modules.get("jax._src.array")


def reducers(given: dict[type, Reducer]) -> dict[type, Reducer]:
    """Return the reducers of arrays of the loaded libraries.

    Args:
        given: the registered reducers; those of the program remain.
    """
    ours: dict[type, Reducer] = {
        kind: _reduce_array
        for kind in (np.ndarray, np.memmap, np.recarray, np.matrix)
        if kind not in given
    }
    torch, jax = libraries()
    # A library that is being imported has not all of its names yet.
    for name in ("Tensor", "UntypedStorage"):
        kind: Any = getattr(torch, name, None)
        standard = given.get(kind)
        if standard is not None and standard.__module__.partition(".")[0] == "torch":
            reducer = _reduce_torch if name == "Tensor" else _reduce_storage
            ours[kind] = partial(reducer, torch, standard)
            if name == "Tensor" and given.get(torch.nn.Parameter) is standard:
                ours[torch.nn.Parameter] = ours[kind]
    kind = getattr(jax, "ArrayImpl", None)
    if kind is not None and kind not in given:
        ours[kind] = _reduce_jax
    return ours


# --- NumPy ----------------------------------------------------------------------------------------
def _reduce_array(a: np.ndarray) -> Any:
    dtype = a.dtype
    if a.nbytes <= inline_bytes() or dtype.hasobject or dtype.kind not in _PLAIN:
        return a.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
    order = "F" if a.flags.fnc else "C"
    flat = np.asarray(a) if a.flags.forc else np.array(a, order="C", subok=False)
    data = pickle.PickleBuffer(flat.reshape(-1, order=order).view(np.uint8))
    return _array, (type(a), a.shape, dtype, data, order)


def _array(kind: type[np.ndarray], shape: Any, dtype: Any, data: Any, order: Any) -> np.ndarray:
    return np.ndarray.__new__(kind, shape, dtype, data, 0, None, order)


# --- torch ----------------------------------------------------------------------------------------
def _reduce_torch(torch: Any, standard: Reducer, t: Any) -> Any:
    plain = t.device.type == "cpu" and t.layout is torch.strided
    if (
        not plain
        or t.is_quantized
        or t.is_nested
        or t.is_conj()
        or t.is_neg()
        or t._backward_hooks
        or t.is_shared()
        or (t.requires_grad and not t.is_leaf)
    ):
        return standard(t)
    data, storage = t.detach(), t.untyped_storage()
    if 2 * data.nbytes < storage.nbytes():
        data = data.clone()
        storage = data.untyped_storage()
    at = data.storage_offset(), tuple(data.size()), data.stride()
    return _torch, (type(t), t.dtype, t.requires_grad, storage, at)


def _torch(kind: Any, dtype: Any, requires_grad: bool, storage: Any, at: Any) -> Any:
    torch: Any = importlib.import_module("torch")
    t = torch.empty(0, dtype=dtype).set_(storage, *at)
    if kind is not torch.Tensor:
        return kind(t, requires_grad)
    return t.requires_grad_(requires_grad)


def _reduce_storage(torch: Any, standard: Reducer, storage: Any) -> Any:
    if storage.device.type != "cpu" or storage.is_shared():
        return standard(storage)
    data = torch.empty(0, dtype=torch.uint8).set_(storage).numpy()
    return _storage, (pickle.PickleBuffer(data),)


def _storage(data: Any) -> Any:
    torch: Any = importlib.import_module("torch")
    if not len(data):
        return torch.UntypedStorage(0)
    return torch.frombuffer(data, dtype=torch.uint8).untyped_storage()


# --- jax ------------------------------------------------------------------------------------------
def _reduce_jax(x: Any) -> Any:
    plain = x.is_fully_addressable and len(x.devices()) == 1 and not x.aval.weak_type
    if not plain or x.nbytes <= inline_bytes() or next(iter(x.devices())).platform != "cpu":
        return x.__reduce__()
    try:
        value = np.asarray(x)
    except TypeError:  # keys of random numbers and the like
        return x.__reduce__()
    return _jax, (value,)


def _jax(value: np.ndarray) -> Any:
    return importlib.import_module("jax").device_put(value)
