"""What all tests share."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# Tests import helpers and programs by name, and so do their children, which get their parent's
# sys.path.
sys.path[:0] = [str(Path(__file__).parent / folder) for folder in ("support", "stress")]

# Nothing of minitensor is imported here: `pytest_configure` has to look at the core first.
for profile, examples in {"few": 20, "suite": 40, "thorough": 1000}.items():
    settings.register_profile(
        profile, max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck)
    )
settings.load_profile(os.environ.get("MINITENSOR_TEST_PROFILE", "suite"))

# multiprocessing's forkserver and managers listen at sockets in the temporary folder, and Linux
# takes 107 bytes for a socket's path.  Where the folder's name leaves no room, the system's own
# serves.
if len(os.fsencode(tempfile.gettempdir()) + b"/pymp-12345678/listener-12345678") > 107:
    for variable in ("TMPDIR", "TEMP", "TMP"):
        os.environ.pop(variable, None)
    tempfile.tempdir = None


def pytest_configure() -> None:
    """End pytest when the core was not built, or from other sources than those that are here."""
    try:
        from minitensor import fingerprint
        from minitensor.backend.core import lib

        fingerprint.check_sources(lib.mt_fingerprint())
    except ImportError as error:
        if not str(error).startswith("[import]"):
            raise
        pytest.exit(str(error), returncode=pytest.ExitCode.USAGE_ERROR)


def pytest_collection_finish() -> None:
    """Freeze the objects of the collection, so that no `gc.collect()` walks some thousand tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def ascend_of_this_process(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give this test process simulated devices of its own: workers must not share one."""
    folder: Path = tmp_path_factory.mktemp("ascend")
    folder.chmod(0o700)
    os.environ["MINITENSOR_ASCEND_LOCK_DIR"] = str(folder)


@pytest.fixture(autouse=True)
def errors_are_the_tests_own() -> Iterator[None]:
    """Take the errors that a test left unread, which the next `synchronize` would raise."""
    from minitensor import runtime

    yield
    for _ in range(20):  # a stream keeps ten
        with contextlib.suppress(Exception):
            runtime.synchronize()
            break


@pytest.fixture(params=multiprocessing.get_all_start_methods())
def ctx(request: pytest.FixtureRequest) -> Any:
    """Return our context of a start method; a test that takes it runs once for each."""
    import minitensor.multiprocessing as mp

    return mp.get_context(request.param)


@pytest.fixture
def run_process(ctx: Any) -> Iterator[Callable[..., Any]]:
    """Start processes, and require at the end of the test that each has ended with 0."""
    started = []

    def run(target: Callable[..., Any], *args: Any) -> Any:
        process = ctx.Process(target=target, args=args)
        process.start()
        started.append(process)
        return process

    yield run
    for process in started:
        process.join()
        assert process.exitcode == 0
