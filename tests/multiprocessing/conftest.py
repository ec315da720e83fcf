"""Every test that takes `ctx` runs once for each start method."""

import multiprocessing
import sys
from pathlib import Path

import pytest

# Children import `targets` by name, in whatever way pytest has imported the tests. They get the parent's sys.path.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(params=multiprocessing.get_all_start_methods())
def ctx(request):
    import minitensor.multiprocessing as mp  # not before tests/conftest.py has looked at the core

    return mp.get_context(request.param)


@pytest.fixture
def run_process(ctx):
    """Starts a process and, at the end of the test, sees it end well."""
    started = []

    def run(target, *args):
        process = ctx.Process(target=target, args=args)
        process.start()
        started.append(process)
        return process

    yield run
    for process in started:
        process.join()
        assert process.exitcode == 0
