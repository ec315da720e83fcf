"""The arena's invariants hold after each test of this folder."""

import gc

import pytest


@pytest.fixture(autouse=True)
def arena_invariants():
    """Check the arena's invariants when the test has ended and the dead are reaped."""
    # Nothing of minitensor is imported before tests/conftest.py has compared the core.
    from family import faults

    from minitensor.backend.core import lib

    yield
    gc.collect()
    lib.mt_arena_reap()
    assert faults() == ""
