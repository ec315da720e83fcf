"""What all tests share."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import minitensor
from minitensor import runtime
from minitensor.backend import _core

settings.register_profile("suite", max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
settings.register_profile("thorough", max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
settings.load_profile(os.environ.get("MINITENSOR_TEST_PROFILE", "suite"))

# multiprocessing's forkserver and managers listen at sockets in the temporary folder, and Linux takes
# 107 bytes for a socket's path.  Where the folder's name leaves no room, the system's own serves.
if len(os.fsencode(tempfile.gettempdir()) + b"/pymp-12345678/listener-12345678") > 107:
    for variable in ("TMPDIR", "TEMP", "TMP"):
        os.environ.pop(variable, None)
    tempfile.tempdir = None


def pytest_configure() -> None:
    """Refuse a C core that is older than its sources, which an installed package has not."""
    sources = Path(minitensor.__file__).parent.joinpath("core").rglob("*.[ch]")
    newest = max(sources, key=lambda path: path.stat().st_mtime, default=None)
    if newest and newest.stat().st_mtime > Path(_core.__file__).stat().st_mtime:
        raise pytest.UsageError(f"the C core is older than {newest}; run `python setup.py build_ext --inplace`, or `make test`")


@pytest.fixture(scope="session", autouse=True)
def ascend_of_this_process(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Simulated devices of this test process's own: workers that run side by side must not fight for one."""
    folder: Path = tmp_path_factory.mktemp("ascend")
    folder.chmod(0o700)
    os.environ["MINITENSOR_ASCEND_LOCK_DIR"] = str(folder)


@pytest.fixture(autouse=True)
def errors_are_the_tests_own() -> Iterator[None]:
    """Takes what no test has read of its ops' errors, so that the next test's `synchronize` is not told of them."""
    yield
    for _ in range(20):  # a stream keeps ten
        with contextlib.suppress(Exception):
            runtime.synchronize()
            break
