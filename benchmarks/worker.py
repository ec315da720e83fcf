"""Measure one library: `worker.py NAME` reads requests and writes answers, as lines of JSON.

    request                      action                                   answer
    {"case": {...}, "n": 1000}   make the inputs and the call, run once   {"ok": true}
                                 the library lacks a function             {"lacks": reason}
    {"seconds": 0.05}            time the call                            {"best": seconds}
    {}                           release the inputs                       {"ok": true}
"""

from __future__ import annotations

import ast
import builtins
import gc
import json
import os
import sys
from itertools import repeat
from time import perf_counter
from typing import Any

import numpy as np
from libraries import LIBRARIES, Library

# Up to AT_ONCE elements the time is that of a block of calls with one wait at the end; above, each
# call ends with a wait.
AT_ONCE = 10_000
LOOP = """
def loop(calls):
    begin = clock()
    for _ in repeat(None, calls - 1):
        {call}
    {last}
    return (clock() - begin) / calls
"""


def inputs(case: dict[str, Any], n: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(1)
    shape = tuple(n if side == "n" else side for side in case["shape"])
    dtype = np.dtype(case["dtype"])

    def make() -> np.ndarray:
        if dtype.kind in "iu":
            return random.integers(1, 100, shape, dtype)
        array = random.random(shape, dtype if dtype.itemsize > 2 else np.float32).astype(
            dtype, copy=False
        )
        array += 0.1  # positive, for logarithms
        return array

    return {name: make() for name in case["inputs"]}


def variables(
    library: Library, case: dict[str, Any], n: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the names that the case's expression may use, and the values of its variables."""
    random = np.random.default_rng(2)
    names = {
        **library.names,
        "n": n,
        "put": library.put,
        "host": library.host,
        "order": random.permutation,
        "ints": lambda n: random.integers(0, 100, n),
    }
    arguments = {name: library.put(array) for name, array in inputs(case, n).items()}
    for name, text in case["given"].items():
        arguments[name] = eval(text, {**names, **arguments})
        library.wait(arguments[name])
    kind = "exec" if case["result"] else "eval"
    tree = ast.walk(ast.parse(case["text"], mode=kind))
    used = {node.id for node in tree if isinstance(node, ast.Name)}
    known = {*names, *arguments, *dir(builtins)}
    lacking = [name for name in used if name not in known]
    if lacking and not library.any_names:
        raise NameError(f"no {', '.join(lacking)}")
    return names, {name: value for name, value in arguments.items() if name in used}


def prepare(library: Library, case: dict[str, Any], n: int) -> Any:
    """Return the function that times a number of calls of the case's expression."""
    names, arguments = variables(library, case, n)
    statement = case["result"]
    call = case["text"] if statement else library.call(case["text"], names, arguments)
    names.update(arguments, wait=library.wait, clock=perf_counter, repeat=repeat)
    last = f"{call}; wait({statement})" if statement else f"wait({call})"
    loop = LOOP.format(call=call, last=last)
    if statement.isidentifier():  # an assignment in place is to the tensor, not to a local name
        loop = loop.replace("def loop(calls):", f"def loop(calls):\n    global {statement}")
    exec(loop, names)
    return names["loop"]


def measure(loop: Any, each: bool, seconds: float) -> float:
    calls = 1 if each else 64
    while not each and loop(calls) * calls < 5e-4:  # a block is long relative to the clock's cost
        calls *= 2
    end = perf_counter() + seconds
    best = min(loop(calls), loop(calls))
    while perf_counter() < end:
        best = min(best, loop(calls))
    return best


def main(name: str) -> None:
    answers = os.fdopen(os.dup(1), "w")  # output of the library must not mix with answers
    os.dup2(2, 1)

    def answer(**what: Any) -> None:
        print(json.dumps(what), file=answers, flush=True)

    try:
        library = LIBRARIES[name]()
    except Exception as error:  # also for a missing compiler or a version conflict
        return answer(missing=f"{type(error).__name__}: {error}".splitlines()[0])
    answer(version=library.version)
    gc.collect()
    gc.freeze()  # the library's own objects are many and permanent
    loop: Any = None
    each = True
    for line in sys.stdin:
        question = json.loads(line)
        if "seconds" in question:
            gc.disable()
            answer(best=measure(loop, each, question["seconds"]))
            gc.enable()
            continue
        loop = None
        gc.collect()
        try:
            if question:
                loop = prepare(library, question["case"], question["n"])
                each = question["elements"] > AT_ONCE
                loop(1)
            answer(ok=True)
        except Exception as error:
            loop = None
            answer(lacks=f"{type(error).__name__}: {error}".splitlines()[0])


if __name__ == "__main__":
    main(sys.argv[1])
