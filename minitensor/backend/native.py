"""The door to the C core.  Beside it there is one more, for the ops that programs call all the time: `operators` (native/python_operators.c).

Everything above deals in references (`native/core.h`): numbers, positive for a tensor, negative for a call that is not over.  Here
a call that is not over is brought to its end (`finish`), waits are cut into slices so that Ctrl-C works (`wait`), the core's errors
become exceptions, and the core's two calls back into Python live: running a host task, and giving back an object.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from minitensor import config, errors, optable, special
from minitensor.backend._core import __file__ as _library
from minitensor.backend._core import ffi, lib
from minitensor.dtype import DTYPES

if TYPE_CHECKING:
    from minitensor.backend import _operators as operators
    from minitensor.backend.base import Device, Task

__all__ = ["ffi", "lib", "operators", "devices", "add_device", "array", "exception", "finish", "host_task", "isa", "isa_names", "load_once", "loaded",
           "lose_device", "pending_work", "read_only_array", "renew_sites_lock", "set_isa", "set_synchronous", "synchronize", "wait",
           "wait_slices"]  # fmt: skip

if not TYPE_CHECKING:  # the core's other module (native/python_operators.c), from the same shared object
    _spec = importlib.util.spec_from_file_location("minitensor.backend._operators", _library)
    operators = sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(operators)


def load_once(name: str) -> None:
    """Refuse to load a module again that keeps the process's state; the first one goes on.

    Raises:
        ImportError: by `importlib.reload`, and by an import after the module was taken out of
            `sys.modules`.
    """
    if name in operators.LOADED:
        raise ImportError(
            f"[import] {name} is loaded and keeps the tensors' state, so it can't be loaded a second "
            "time; use the modules that are there, or start a new process"
        )


def loaded(name: str) -> None:
    """Say that a module has been loaded, to its end."""
    operators.LOADED.add(name)


load_once(__name__)
operators.bind(dtypes=DTYPES, ndarray=np.ndarray)
array = operators.array  # a tensor's memory as a NumPy array, valid while the tensor is held and nobody writes to it
read_only_array = operators.read_only_array

_tensor = ffi.typeof("mt_tensor *")  # cffi looks a type up twice as fast as its name
SLICE_MS = lib.MT_SLICE_MS
devices: dict[int, Device] = {}  # by the core's number
_STATUS = {getattr(lib, name): name for name in errors.STATUSES}
_synchronous = False


# --- objects that C holds --------------------------------------------------------------------------------------------
# A handle is alive until C gives it back through mt_py_release.  A dict's set and pop are atomic under the GIL.
_handles: dict[int, Any] = {}


def hold(thing: Any) -> Any:
    """A `void *` by which C can hold a Python object; C gives it back once, through mt_py_release."""
    handle = ffi.new_handle(thing)
    _handles[int(ffi.cast("intptr_t", handle))] = handle
    return handle


@ffi.def_extern()
def mt_py_release(handle: Any) -> None:
    _handles.pop(int(ffi.cast("intptr_t", handle)), None)


_interrupted = False  # Ctrl-C came while the main thread ran a host task, at its call or while it waited for it


def _was_interrupted() -> bool:
    """Has Ctrl-C to rise here?  Once, and in the main thread, whose it is."""
    global _interrupted
    if not _interrupted or threading.get_ident() != threading.main_thread().ident:
        return False
    _interrupted = False
    return True


def _host_raised(kind: Any, error: BaseException, where: Any) -> Any:
    """A handle to what a host task raised, which rises where the value is read."""
    global _interrupted
    if isinstance(error, KeyboardInterrupt) and threading.get_ident() == threading.main_thread().ident:
        _interrupted = True
    # Its frames hold arrays of the task's memory, which is gone by then; a debugger that shows locals would read it.
    traceback.clear_frames(where)
    return hold(error)


@ffi.def_extern(onerror=_host_raised)  # and not `except`, which begins only after signals have been looked at
def mt_py_host(handle: Any) -> Any:
    """Runs a host task on the thread of its stream; a handle to the exception if it raises."""
    ffi.from_handle(handle)()
    return ffi.NULL


# --- where the user's program issued an op ---------------------------------------------------------------------------
_package = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_sites: list[tuple[str, int]] = [("", 0)]  # by number; 0 is nowhere.  As many as the program has lines that queue work
_site_numbers: dict[tuple[str, int], int] = {}
_sites_lock = threading.Lock()


def renew_sites_lock() -> None:
    """In a forked child: another thread of the parent may have held it."""
    global _sites_lock
    _sites_lock = threading.Lock()


def _site(inner: FrameType) -> int:
    """The number of the user's line that led to a frame; -1 - number when that is not the frame's own, since it is one of the package."""
    frame: FrameType | None = inner
    while frame is not None and frame.f_code.co_filename.startswith(_package):
        frame = frame.f_back
    if frame is None:
        return -1
    key = (frame.f_code.co_filename, frame.f_lineno)
    number = _site_numbers.get(key)
    if number is None:
        with _sites_lock:
            number = _site_numbers.setdefault(key, len(_sites))
            if number == len(_sites):
                _sites.append(key)
    return number if frame is inner else -1 - number


operators.bind(site=_site)


def _where(site: int) -> str:
    name, line = _sites[site]
    return f"{name}:{line}" if name else ""


# --- calls -----------------------------------------------------------------------------------------------------------
def _text(chars: Any) -> str:
    return ffi.string(chars).decode(errors="replace")


def _fail(call: int) -> None:
    """Raises what a call that failed says."""
    status, op, message = lib.mt_call_status(call), _text(lib.mt_call_op(call)), _text(lib.mt_call_message(call))
    lib.mt_call_drop(call)
    name = _STATUS[status]
    if name == "MT_MEMORY_ERROR":
        for device in devices.values():
            if f" on {device}, " in message:
                raise device.backend.memory_error(device.index, f"[{op}] {message}")
    raise errors.translate(name, op, message)


_FUNCTIONS: dict[str, Callable[..., Any]] = {}  # NumPy's way to do an op of the table, compiled on first use


def numpy_function(op: optable.Op) -> Callable[..., Any]:
    """The table's NumPy oracle of an op as a function of its operands `a`, `b`, `c` (and `axis`, `keepdims`)."""
    function = _FUNCTIONS.get(op.name)
    if function is None:
        names = ["a", "b", "c"][: op.inputs] + (["axis", "keepdims"] if op.reduction else [])
        code = compile(f"lambda {', '.join(names)}: {op.numpy}", f"<op table: {op.name}>", "eval")
        function = _FUNCTIONS[op.name] = eval(code, {"np": np, "sp": special})
    return function


def _table_reference(task: Task) -> None:
    op, operands = optable.OPS[task.op], task.inputs
    first = 1 if op.rule == "where" else 0
    compute = task.compute.numpy  # type: ignore[union-attr]
    with np.errstate(all="ignore"):
        operands = [a if i < first else a.astype(compute) for i, a in enumerate(operands)]
        result = numpy_function(op)(*operands, **task.params)
        np.copyto(task.outputs[0], result, casting="unsafe")


def _copy_reference(task: Task) -> None:
    with np.errstate(all="ignore"):
        np.copyto(task.outputs[0], task.inputs[0], casting="unsafe")


_MANY = 64  # steps for an element, of an op that NumPy does: sorting a million takes twenty


def _launcher(
    op: str,
    inputs: Sequence[int],
    outputs: Sequence[int],
    params: dict[str, Any],
    compute: int | None,
    function: Callable[..., None] | None,
    steps: int | None,
) -> tuple[Callable[[], None], int]:
    """What the stream's worker runs for a task without a kernel: the backend's `launch`; and its steps, 0 when nobody else may run it."""
    from minitensor.backend.base import Task

    number = ffi.cast(_tensor, outputs[0]).device if outputs else 0
    backend = devices[number].backend
    for output in outputs:
        dtype = DTYPES[ffi.cast(_tensor, output).dtype]
        if dtype.name not in backend.dtypes:
            raise TypeError(f"[{op}] {backend.name} has no {dtype}; it has {', '.join(sorted(backend.dtypes))}")
    if backend.ops is not None and op not in (*backend.ops, "to"):
        raise TypeError(f"[{op}] {backend.name} can't do it; bring the tensor to the host with t.to('CPU')")

    # No circle leads back to what is made here: what the function holds has to go when the task is done, and not with the collector's next round.
    reference = function or (_table_reference if op in optable.OPS else _copy_reference)

    def launch() -> None:
        task = Task(op, [array(t) for t in outputs], [read_only_array(t) for t in inputs], params,
                    None if compute is None else DTYPES[compute], reference)  # fmt: skip
        task.reference() if op == "to" else backend.launch(task)

    if steps is None:
        steps = _MANY * max([ffi.cast(_tensor, t).size for t in (*inputs, *outputs)], default=0) + 1
    return launch, steps if backend.native else 0


_three = ffi.typeof("mt_ref[3]")


def finish(ref: int, params: dict[str, Any] | None = None) -> int:
    """Brings a call to its end: queues its work, or raises what is wrong with it.  Returns the result's reference."""
    status = lib.mt_call_status(ref)
    if status == lib.MT_HOST:
        inputs = ffi.new(_three)
        n = lib.mt_call_inputs(ref, inputs)
        try:
            launch, steps = _launcher(_text(lib.mt_call_op(ref)), list(inputs[0:n]), [lib.mt_call_output(ref)], params or {},
                                       lib.mt_call_compute_dtype(ref), None, None)  # fmt: skip
        except BaseException:
            lib.mt_call_drop(ref)
            raise
        lib.mt_call_host(ref, hold(launch), steps)
    elif status != lib.MT_QUEUE:
        _fail(ref)
    return _submit(ref)


def _submit(ref: int) -> int:
    site = -1 - _site(sys._getframe())
    try:
        status = lib.mt_submit(ref, site, SLICE_MS)
        while status == lib.MT_TIMEOUT:
            # The queue is full, memory is short, a fork is under way, or somebody has to see the value now.
            status = lib.mt_submit(ref, site, SLICE_MS)
    except BaseException:  # of a signal handler, after a slice
        lib.mt_call_drop(ref)
        raise
    if status != lib.MT_OK:
        _fail(ref)
    result = lib.mt_call_end(ref)
    if _was_interrupted() or _synchronous:  # it rises now, and not where the value is read
        try:
            wait(result)
        except BaseException:
            lib.mt_release(result)
            raise
    return result


def host_task(
    op: str, device: int, function: Callable[[Task], None], inputs: Sequence[int], outputs: Sequence[int],
    params: dict[str, Any] | None = None, steps: int | None = None,
) -> None:  # fmt: skip
    """Queues a task that the host does with NumPy: `function` gets a `Task` and writes its outputs.

    Args:
        op: its name, for errors.
        device: the core's number of the device that the tensors are on.
        function: what a backend does that has nothing better; called on the stream's thread.
        inputs, outputs: references of tensors.
        params: the op's other arguments, for backends that want them.
        steps: about how many additions and the like it takes; None: some for each element; 0: it may wait for somebody.  A small one that waits
            for nobody runs in this thread when the stream is idle, since a hand-off costs some 30 us, and a short one in that of a waiter.
    """
    launch, steps = _launcher(op, inputs, outputs, params or {}, None, function, steps)
    ref = lib.mt_host(op.encode(), device, len(inputs), list(inputs), len(outputs), list(outputs))
    if lib.mt_call_status(ref) != lib.MT_HOST:
        _fail(ref)
    lib.mt_call_host(ref, hold(launch), steps)
    lib.mt_release(_submit(ref))


# --- waiting ---------------------------------------------------------------------------------------------------------
def wait_slices(poll: Callable[..., int], *arguments: Any) -> int:
    """Calls `poll(*arguments, milliseconds)` until it no longer says MT_TIMEOUT; signals are handled in between."""
    status = poll(*arguments, SLICE_MS)
    while status == lib.MT_TIMEOUT:
        status = poll(*arguments, SLICE_MS)
    if _was_interrupted():  # it came while this thread did what it waited for
        raise KeyboardInterrupt
    return status


def exception(error: Any) -> BaseException:
    """The exception of one of the core's errors, with the op and the user's line; takes over the count of the error."""
    where, op = _where(error.site), _text(error.op)
    try:
        if error.status != lib.MT_HOST_RAISED:
            return errors.translate(_STATUS[error.status], op, _text(error.message), where)
        cause = ffi.from_handle(error.exception)
    finally:
        lib.mt_error_release(error)
    text = f"{cause}" if str(cause).startswith("[") else f"[{op}] {cause}"
    try:
        copy = type(cause)(f"{text} (issued at {where})" if where else text)
    except Exception:  # an exception that wants other arguments
        copy = RuntimeError(f"[{op}] {type(cause).__name__}: {cause} (issued at {where})")
    copy.__cause__ = cause
    return copy


def wait(ref: int, unused: bool = False) -> None:
    """Waits until a tensor has its value; with `unused`, also until no queued task reads it.

    Raises:
        Exception: what went wrong when its value was to be computed.
        RuntimeError: when called inside a host task for a value that its own stream has not come to yet.
    """
    status = wait_slices(lib.mt_wait_unused if unused else lib.mt_wait, ref)
    if status != lib.MT_OK:
        error = lib.mt_error_of(ref)
        if error == ffi.NULL:
            raise RuntimeError("[wait] a host task can't wait for a value that its own stream comes to after it")
        raise exception(error)


def synchronize(stream: int) -> None:
    """Wait until a stream has done everything, and raise its oldest error that was neither read nor told.

    A stream keeps MT_ERRORS_KEPT of them; one more call raises a RuntimeError with the number of the others.
    """
    if wait_slices(lambda ms: lib.mt_stream_sync(stream, ms)) == lib.MT_RUNTIME_ERROR:
        raise RuntimeError("[synchronize] a host task can't wait for the stream that it runs on")
    error = lib.mt_stream_take_error(stream)
    if error != ffi.NULL:
        raise exception(error)


def pending_work() -> list[str]:
    """What the streams are at now: one line for each that is not idle."""
    out = ffi.new("mt_running[64]")
    n = lib.mt_busy(out, 64)
    return [f"{_text(out[i].op)} ({_where(out[i].site) or 'unknown line'}) and {out[i].queued} more" for i in range(n)]


# --- devices and modes -----------------------------------------------------------------------------------------------
def add_device(device: Device) -> int:
    """Makes a device known to the core; its number there."""
    backend = device.backend
    flags = lib.MT_DEVICE_NATIVE if backend.native else 0
    limit = backend.capacity(device.index) if device.limit is None else device.limit
    number = lib.mt_device_new(str(device).encode(), flags, limit, backend.alignment)
    if number < 0:
        raise errors.DeviceError(f"[device] no room for another device beside {', '.join(map(str, devices.values()))}")
    devices[number] = device
    return number


def lose_device(number: int, why: str) -> None:
    """In a forked child: the tensors of this device raise DeviceLostError from now on."""
    lib.mt_device_lose(number, why.encode()[:250])


def set_synchronous(on: bool) -> None:
    """Whether each op runs, and fails, at its call."""
    global _synchronous
    _synchronous = on
    operators.bind(synchronous=on)
    lib.mt_set_synchronous(on)


def is_synchronous() -> bool:
    return _synchronous


def isa() -> str:
    """The instruction set that the kernels use now."""
    return _text(lib.mt_isa())


def isa_names() -> list[str]:
    """The instruction sets that the kernels are compiled for and this processor has, the plainest first."""
    names: list[str] = []
    while (name := lib.mt_isa_name(len(names))) != ffi.NULL:
        names.append(_text(name))
    return names


def set_isa(name: str) -> None:
    """From now on ops run the kernels of this instruction set; empty: of the best.

    Raises:
        ValueError: when there are none, or this processor can't run them.
    """
    if lib.mt_set_isa(name.encode(errors="replace")) != lib.MT_OK:
        raise ValueError(f"[config] MINITENSOR_ISA can't be {name!r}; this processor has {', '.join(isa_names())}")


def _configure() -> None:
    lib.mt_set_inline_limit(config.get("MINITENSOR_INLINE_ELEMENTS"))
    lib.mt_set_queue_bound(config.get("MINITENSOR_QUEUE_TASKS"), config.get("MINITENSOR_QUEUE_BYTES"))
    for flag in config.FLAGS.values():
        if flag.core and lib.mt_configure(flag.name.encode(), config.get(flag.name)) != lib.MT_OK:
            raise ImportError(f"[import] the C core was built from another config.py, without {flag.name}; build it again")
    lib.mt_set_fusion(config.get("MINITENSOR_FUSION"))
    lib.mt_set_threads(config.get("MINITENSOR_NUM_THREADS"))
    set_isa(config.get("MINITENSOR_ISA"))
    set_synchronous(config.get("MINITENSOR_SYNCHRONOUS"))
    config.get("MINITENSOR_EXIT_SECONDS")  # an error at the end of the program would come too late


_configure()
loaded(__name__)
