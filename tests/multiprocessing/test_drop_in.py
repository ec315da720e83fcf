"""The package stands in for the standard one: names, submodules, types, and what importing does."""

import importlib
import multiprocessing
import pkgutil
import subprocess
import sys

import pytest

import minitensor.multiprocessing as mp

SUBMODULES = [
    module.name.partition(".")[2]
    for module in pkgutil.walk_packages(multiprocessing.__path__, "multiprocessing.")
]
OWN = {"context", "pool", "queues"}


def run(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{program}"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_all_names():
    assert mp.__all__ == multiprocessing.__all__
    for name in [*mp.__all__, "SUBDEBUG", "SUBWARNING", "context", "process", "reduction"]:
        assert hasattr(mp, name), name


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mp.nothing  # noqa: B018
    with pytest.raises(ModuleNotFoundError, match="minitensor.multiprocessing.nothing"):
        importlib.import_module("minitensor.multiprocessing.nothing")


@pytest.mark.parametrize("name", SUBMODULES)
def test_submodule(name):
    try:
        standard = importlib.import_module(f"multiprocessing.{name}")
    except ImportError as error:
        with pytest.raises(type(error), match=str(error)):
            importlib.import_module(f"minitensor.multiprocessing.{name}")
        return
    ours = importlib.import_module(f"minitensor.multiprocessing.{name}")
    assert ours.__all__ == standard.__all__
    assert set(dir(ours)) >= set(dir(standard))
    for attribute in dir(standard):
        assert hasattr(ours, attribute), attribute
    if name not in OWN:
        assert ours is standard
        assert standard.__spec__.name == standard.__name__ == f"multiprocessing.{name}"


@pytest.mark.parametrize("name", [name for name in SUBMODULES if name != "popen_spawn_win32"])
def test_submodule_imported_first(name):
    parent, _, last = f"minitensor.multiprocessing.{name}".rpartition(".")
    program = f"import {parent}.{last} as a\nfrom {parent} import {last} as b\nimport sys\n"
    program += f"assert a is b is sys.modules['{parent}.{last}']\n"
    if name not in OWN:
        program += f"import multiprocessing.{name} as c\nassert a is c"
    run(program)


def test_star_import_of_every_own_module():
    for module in pkgutil.iter_modules(mp.__path__):
        if module.name != "popen_spawn_win32":
            exec(f"from minitensor.multiprocessing.{module.name} import *", {})


def test_own_modules_follow_the_standard_ones(monkeypatch):
    from minitensor.multiprocessing import queues

    monkeypatch.setattr("multiprocessing.queues.added_later", "seen", raising=False)
    assert queues.added_later == "seen"


def test_standard_submodules_appear_as_attributes():
    program = """
        import minitensor.multiprocessing as mp, sys
        before = hasattr(mp, "heap")
        import multiprocessing.heap
        print(before, mp.heap is multiprocessing.heap)
    """
    assert run("\n".join(line.strip() for line in program.splitlines())) == "False True\n"


def test_importing_starts_and_opens_nothing():
    program = """
        import os, sys, threading
        import minitensor
        threads, files = threading.active_count(), os.listdir("/dev/fd")
        import minitensor.multiprocessing as mp
        assert threading.active_count() == threads and os.listdir("/dev/fd") == files
        assert not mp.active_children()
        assert mp.get_start_method(allow_none=True) is None
        print(*sorted(name for name in sys.modules if name.split(".")[0] == "multiprocessing"))
    """
    imported = run("\n".join(line.strip() for line in program.splitlines()))
    standard = run(
        "import multiprocessing; print(*sorted(n for n in sys.modules if "
        "n.startswith('multiprocessing')))"
    )
    assert imported == standard


@pytest.mark.parametrize("name", ["Queue", "JoinableQueue", "SimpleQueue"])
def test_queues_are_ours_and_standard(ctx, name):
    from minitensor.multiprocessing import queues

    queue = getattr(ctx, name)()
    assert type(queue) is getattr(queues, name)
    assert isinstance(queue, getattr(multiprocessing.queues, name))
    assert isinstance(queue, multiprocessing.queues.Queue) == (name != "SimpleQueue")
    queue.close()


def test_exceptions_are_the_standard_ones():
    for name in ("ProcessError", "BufferTooShort", "TimeoutError", "AuthenticationError"):
        assert getattr(mp, name) is getattr(multiprocessing, name)
