"""Host tasks: what a worker of the core does in Python, and the objects that the core holds for it.

The problem.  An op without a C kernel takes its place in a stream's queue like any other.  When its
turn comes, a worker of the core has to run Python code on the tensors' memory, and to keep what the
code raises.

The solution.  The submitter makes a function without arguments (`launcher`), and hands the core a
handle of it (`hold`).  The worker calls the core's callback `mt_py_host` with the handle; it runs
the function, which hands a `Task` to the backend's `launch`.  The core gives each handle back once,
through the callback `mt_py_release`.

A small task whose stream is idle takes a shorter way: core/python/py_host.c runs it at its call.

What is guaranteed.  An exception of the task becomes a handle of its own, and rises where the value
is read.  What the function holds goes when the task is over, and not with the collector's next
round.
"""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minitensor import optable
from minitensor.backend.base import Task, devices
from minitensor.backend.extension import ffi, load_once, loaded, operators
from minitensor.dtype import DTYPES

__all__ = [
    "held_address", "hold", "launcher", "numpy_function", "raised_at_call", "was_interrupted",
]  # fmt: skip

load_once(__name__)
_tensor = ffi.typeof("mt_tensor *")  # cffi looks a type up twice as fast as its name


# --- objects that the core holds ----------------------------------------------------------------
# A handle is alive until the core gives it back.  A dict's set and pop are atomic under the GIL.
_handles: dict[int, Any] = {}


def hold(thing: Any) -> Any:
    """Return a `void *` by which the core holds a Python object until it gives the handle back."""
    handle = ffi.new_handle(thing)
    _handles[int(ffi.cast("intptr_t", handle))] = handle
    return handle


def held_address(thing: Any) -> int:
    """Return the address of such a handle."""
    return int(ffi.cast("intptr_t", hold(thing)))


@ffi.def_extern()
def mt_py_release(handle: Any) -> None:
    _handles.pop(int(ffi.cast("intptr_t", handle)), None)


# --- running a task -----------------------------------------------------------------------------
# Ctrl-C came while the main thread ran a host task, at its call or while it waited for it.
_interrupted = False


def was_interrupted() -> bool:
    """Return True once, in the main thread, if a KeyboardInterrupt is pending."""
    global _interrupted
    if not _interrupted or threading.get_ident() != threading.main_thread().ident:
        return False
    _interrupted = False
    return True


def _host_raised(kind: Any, error: BaseException, where: Any) -> Any:
    """Return a handle of what a host task raised, which rises where the value is read."""
    global _interrupted
    main = threading.main_thread().ident
    if isinstance(error, KeyboardInterrupt) and threading.get_ident() == main:
        _interrupted = True
    # Its frames hold arrays of the task's memory, which is gone by then; a debugger that shows
    # locals would read it.
    traceback.clear_frames(where)
    return hold(error)


def raised_at_call(error: BaseException) -> int:
    """Return the address of such a handle, for a task that the core has run at its call."""
    return int(ffi.cast("intptr_t", _host_raised(type(error), error, error.__traceback__)))


@ffi.def_extern(onerror=_host_raised)  # an `except` would begin only after pending signals
def mt_py_host(handle: Any) -> Any:
    """Run a host task on the thread of its stream; return a handle of the exception, or NULL."""
    ffi.from_handle(handle)()
    return ffi.NULL


# --- what a task computes -----------------------------------------------------------------------
_functions: dict[str, Callable[..., Any]] = {}  # by op; compiled on first use


def numpy_function(op: optable.Op) -> Callable[..., Any]:
    """Return the NumPy oracle of an op's row as a function.

    It takes the operands `a`, `b`, `c`, and for a reduction `axis`, `keepdims` and `ddof`.
    """
    function = _functions.get(op.name)
    if function is None:
        from minitensor import oracles

        names = ["a", "b", "c"][: op.inputs]
        names += ["axis", "keepdims", "ddof=0"] if op.reduction else []
        source = f"lambda {', '.join(names)}: {op.numpy}"
        code = compile(source, f"<op table: {op.name}>", "eval")
        function = _functions[op.name] = eval(code, {"np": np, "sp": oracles})
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


_STEPS = 64  # for an element, of an op that NumPy does: sorting a million takes twenty


def launcher(
    op: str,
    inputs: Sequence[int],
    outputs: Sequence[int],
    params: dict[str, Any],
    compute: int | None,
    function: Callable[..., None] | None,
    steps: int | None,
) -> tuple[Callable[[], None], int]:
    """Return the function that a stream's worker runs for a task without a kernel, and its steps.

    Args:
        op: its name, in the op table or of a host op.
        inputs, outputs: references of tensors.
        params: the op's other arguments.
        compute: the code of the dtype that the op computes in; None for a host op.
        function: computes the task with NumPy; None: the row's oracle, or a copy.
        steps: how many simple steps it takes; None: an estimate by the number of elements.

    Returns:
        The function, and its steps: 0 when only the stream's worker may run it.

    Raises:
        TypeError: when the backend lacks the op or the dtype of an output.
    """
    number = ffi.cast(_tensor, outputs[0]).device if outputs else 0
    backend = devices[number].backend
    for output in outputs:
        dtype = DTYPES[ffi.cast(_tensor, output).dtype]
        if dtype.name not in backend.dtypes:
            raise TypeError(
                f"[{op}] {backend.name} has no {dtype}; it has {', '.join(sorted(backend.dtypes))}"
            )
    if backend.ops is not None and op not in (*backend.ops, "to"):
        raise TypeError(
            f"[{op}] {backend.name} can't do it; bring the tensor to the host with t.to('CPU')"
        )

    # No circle leads back to what is made here, so that it goes when the task is over.
    reference = function or (_table_reference if op in optable.OPS else _copy_reference)

    def launch() -> None:
        task = Task(
            op,
            [operators.array(t) for t in outputs],
            [operators.read_only_array(t) for t in inputs],
            params,
            None if compute is None else DTYPES[compute],
            reference,
        )
        task.reference() if op == "to" else backend.launch(task)

    if steps is None:
        sizes = (ffi.cast(_tensor, t).size for t in (*inputs, *outputs))
        steps = _STEPS * max(sizes, default=0) + 1
    return launch, steps if backend.native else 0


loaded(__name__)
