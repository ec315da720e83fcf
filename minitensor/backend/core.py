"""The door to the C core: every module above this one reaches the core through it.

The core deals in references (`core.h`): numbers, positive for a tensor, negative for a call that is
not complete.  The door completes calls (`complete`), cuts waits into slices so that Ctrl-C works
(`wait_slices`), and turns the core's errors into exceptions (`exception`).  Ops of tensors and
everyday numbers pass beside it, from C to C (`operators`); they come here when a queue is full, an
op has no kernel, or something is wrong.

What the core needs to know of Python it gets in one call, `bind`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minitensor import errors
from minitensor.backend import call_sites
from minitensor.backend.base import Task, devices
from minitensor.backend.extension import ffi, lib, load_once, loaded, operators
from minitensor.backend.host_tasks import (
    held_address,
    hold,
    launcher,
    raised_at_call,
    was_interrupted,
)
from minitensor.dtype import DTYPES

__all__ = [
    "SLICE_MS", "array", "bind", "complete", "devices", "exception", "ffi", "held_address", "hold",
    "host_task",
    "is_synchronous", "lib", "load_once", "loaded", "operators", "pending_work", "read_only_array",
    "set_synchronous", "synchronize", "text", "wait", "wait_slices",
]  # fmt: skip

load_once(__name__)

SLICE_MS = lib.MT_SLICE_MS
_STATUS = {getattr(lib, name): name for name in errors.STATUSES}
_three = ffi.typeof("mt_ref[3]")
_synchronous = False

array = operators.array  # a tensor's memory, valid while the tensor is held and no task writes it
read_only_array = operators.read_only_array


def bind(tensor: type, dispatch_slow: Callable[..., Any]) -> None:
    """Tell the core, once, which classes and functions of Python it uses.

    Args:
        tensor: the class of the tensors that ops return.
        dispatch_slow: computes an op whose operands are not all tensors and everyday numbers; gets
            the op's code, whether it is an operator's, and the operands.
    """
    operators.bind(
        tensor=tensor,
        dtypes=DTYPES,
        ndarray=np.ndarray,
        complete=complete,
        dispatch_slow=dispatch_slow,
        site=call_sites.number_of,
        synchronous=_synchronous,
        host_raised=raised_at_call,
        host_ended=_host_ended,
    )


def text(chars: Any) -> str:
    """Return a string of C."""
    return ffi.string(chars).decode(errors="replace")


# --- calls --------------------------------------------------------------------------------------
def complete(ref: int, params: dict[str, Any] | None = None) -> int:
    """Complete a call that is not: queue its work, or raise what is wrong with it.

    Args:
        ref: the call; it is used up.
        params: the op's other arguments, for a backend that computes it.

    Returns:
        The result's reference.
    """
    status = lib.mt_call_status(ref)
    if status == lib.MT_HOST:
        inputs = ffi.new(_three)
        n = lib.mt_call_inputs(ref, inputs)
        try:
            launch, steps = launcher(
                text(lib.mt_call_op(ref)),
                list(inputs[0:n]),
                [lib.mt_call_output(ref)],
                params or {},
                lib.mt_call_compute_dtype(ref),
                None,
                None,
            )
        except BaseException:
            lib.mt_call_drop(ref)
            raise
        lib.mt_call_host(ref, hold(launch), steps)
    elif status != lib.MT_QUEUE:
        _fail(ref)
    return _submit(ref)


def _submit(ref: int) -> int:
    site = -1 - call_sites.number_of(sys._getframe())
    try:
        status = lib.mt_submit(ref, site, SLICE_MS)
        while status == lib.MT_TIMEOUT:
            # The queue is full, memory is short, a fork is under way, or the value is read already.
            status = lib.mt_submit(ref, site, SLICE_MS)
    except BaseException:  # of a signal handler, after a slice
        lib.mt_call_drop(ref)
        raise
    if status != lib.MT_OK:
        _fail(ref)
    result = lib.mt_call_end(ref)
    if was_interrupted() or _synchronous:  # it rises now, and not where the value is read
        try:
            wait(result)
        except BaseException:
            lib.mt_release(result)
            raise
    return result


def _host_ended(result: Any) -> None:
    """Raise now what a host task has raised at its call, if that was a Ctrl-C."""
    if was_interrupted():
        wait(result._ref)


def host_task(
    op: str,
    device: int,
    function: Callable[[Task], None],
    inputs: Sequence[int],
    outputs: Sequence[int],
    params: dict[str, Any] | None = None,
    steps: int | None = None,
) -> None:
    """Queue a task that the host does with NumPy.

    Args:
        op: its name, for errors.
        device: the core's id of the device that the tensors are on.
        function: gets a `Task` and writes its outputs, on the stream's thread; what a backend does
            that has nothing better.
        inputs, outputs: references of tensors.
        params: the op's other arguments, for backends that want them.
        steps: about how many additions and the like it takes; None: some for each element; 0: the
            function may wait for other threads.  A small task that waits for none runs in the
            submitting thread when the stream is idle, since a hand-off costs some 30 us, and a
            short one in a thread that waits for it.
    """
    launch, steps = launcher(op, inputs, outputs, params or {}, None, function, steps)
    ref = lib.mt_host(op.encode(), device, len(inputs), list(inputs), len(outputs), list(outputs))
    if lib.mt_call_status(ref) != lib.MT_HOST:
        _fail(ref)
    lib.mt_call_host(ref, hold(launch), steps)
    lib.mt_release(_submit(ref))


# --- errors -------------------------------------------------------------------------------------
def _fail(call: int) -> None:
    """Raise what a failed call says; the call is used up."""
    status, op = lib.mt_call_status(call), text(lib.mt_call_op(call))
    message = text(lib.mt_call_message(call))
    lib.mt_call_drop(call)
    name = _STATUS[status]
    if name == "MT_MEMORY_ERROR":
        for device in devices.values():
            if f" on {device}, " in message:
                raise device.backend.memory_error(device.index, f"[{op}] {message}")
    raise errors.translate(name, op, message)


def exception(error: Any) -> BaseException:
    """Return one of the core's errors as an exception, with the op and the user's line.

    It takes over the count of the error.
    """
    where, op = call_sites.text_of(error.site), text(error.op)
    try:
        if error.status != lib.MT_HOST_RAISED:
            return errors.translate(_STATUS[error.status], op, text(error.message), where)
        cause = ffi.from_handle(error.exception)
    finally:
        lib.mt_error_release(error)
    message = f"{cause}" if str(cause).startswith("[") else f"[{op}] {cause}"
    try:
        copy = type(cause)(f"{message} (issued at {where})" if where else message)
    except Exception:  # an exception that wants other arguments
        copy = RuntimeError(f"[{op}] {type(cause).__name__}: {cause} (issued at {where})")
    copy.__cause__ = cause
    return copy


# --- waiting ------------------------------------------------------------------------------------
def wait_slices(poll: Callable[..., int], *arguments: Any) -> int:
    """Call `poll(*arguments, milliseconds)` until it no longer returns MT_TIMEOUT.

    Signals are handled between two calls.
    """
    status = poll(*arguments, SLICE_MS)
    while status == lib.MT_TIMEOUT:
        status = poll(*arguments, SLICE_MS)
    if was_interrupted():  # this thread has run a host task while it waited, and Ctrl-C came there
        raise KeyboardInterrupt
    return status


def wait(ref: int, unused: bool = False) -> None:
    """Wait until a tensor has its value; with `unused`, also until no queued task reads it.

    Raises:
        Exception: what went wrong when its value was to be computed.
        RuntimeError: when called inside a host task for a value that its own stream has not come to
            yet.
    """
    status = wait_slices(lib.mt_wait_unused if unused else lib.mt_wait, ref)
    if status != lib.MT_OK:
        error = lib.mt_error_of(ref)
        if error == ffi.NULL:
            raise RuntimeError(
                "[wait] a host task can't wait for a value that its own stream comes to after it"
            )
        raise exception(error)


def synchronize(stream: int) -> None:
    """Wait until a stream has done everything; raise its oldest error that was not raised before.

    A stream keeps MT_ERRORS_KEPT of them; one more call raises a RuntimeError with the number of
    the others.
    """
    if wait_slices(lambda ms: lib.mt_stream_sync(stream, ms)) == lib.MT_RUNTIME_ERROR:
        raise RuntimeError("[synchronize] a host task can't wait for the stream that it runs on")
    error = lib.mt_stream_take_error(stream)
    if error != ffi.NULL:
        raise exception(error)


def pending_work() -> list[str]:
    """Return what the streams are at now: one line for each that is not idle."""
    out = ffi.new("mt_running[64]")
    lines = []
    for i in range(lib.mt_busy(out, 64)):
        where = call_sites.text_of(out[i].site) or "unknown line"
        lines.append(f"{text(out[i].op)} ({where}) and {out[i].queued} more")
    return lines


# --- synchronous mode ---------------------------------------------------------------------------
def set_synchronous(on: bool) -> None:
    """Set whether each op runs, and fails, at its call."""
    global _synchronous
    _synchronous = on
    operators.bind(synchronous=on)
    lib.mt_set_synchronous(on)


def is_synchronous() -> bool:
    """Return whether each op runs, and fails, at its call."""
    return _synchronous


loaded(__name__)
