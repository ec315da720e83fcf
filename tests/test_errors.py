"""Exceptions: of standard types, with code and text that pickling keeps."""

from __future__ import annotations

import pickle

import pytest

from minitensor import errors


@pytest.mark.parametrize(
    "kind", [errors.DeviceBusyError, errors.DeviceLostError, errors.DeviceMemoryError]
)
def test_what_they_are_and_that_they_travel(kind: type[errors.DeviceError]) -> None:
    error = kind("[op] gone", 507033)
    assert isinstance(error, errors.DeviceError) and isinstance(error, RuntimeError)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.code) == (kind, "[op] gone", 507033)
    assert kind("[op] gone").code == 0


def test_memory_of_a_device_is_memory() -> None:
    assert issubclass(errors.DeviceMemoryError, MemoryError)


@pytest.mark.parametrize(("status", "kind"), errors.STATUSES.items())
def test_each_status_of_the_core_is_an_exception(status: str, kind: type[Exception]) -> None:
    from minitensor.backend.core import lib

    assert isinstance(getattr(lib, status), int)
    error = errors.translate(status, "add", "does not fit", "user.py:3")
    assert type(error) is kind and str(error) == "[add] does not fit (issued at user.py:3)"
    assert str(errors.translate(status, "add", "does not fit")) == "[add] does not fit"
