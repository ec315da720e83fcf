"""Environment variables: read when asked for, and never silently replaced by a default."""

from __future__ import annotations

import pytest

from minitensor import config


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096", 4096), ("0", 0), ("1K", 1024), ("512 MiB", 512 * 2**20), ("1.5G", 3 * 2**29), ("5GB", 5 * 2**30), ("2tb", 2**41)],
)  # fmt: skip
def test_sizes(text: str, size: int) -> None:
    assert config.parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "5 apples", "1.2.3G", "5GBs", "٣GB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        config.parse_bytes(text)


def test_a_flag_is_read_at_the_moment_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MINITENSOR_ASCEND_DEVICES", raising=False)
    assert config.get("MINITENSOR_ASCEND_DEVICES") == 8
    monkeypatch.setenv("MINITENSOR_ASCEND_DEVICES", "3")
    assert config.get("MINITENSOR_ASCEND_DEVICES") == 3
    monkeypatch.setenv("MINITENSOR_ASCEND_DEVICES", "")
    assert config.get("MINITENSOR_ASCEND_DEVICES") == 8


@pytest.mark.parametrize(
    ("name", "text"),
    [("MINITENSOR_ASCEND_DEVICES", "-1"), ("MINITENSOR_ASCEND_DEVICES", "two"), ("MINITENSOR_CACHE", "much"),
     ("MINITENSOR_SYNCHRONOUS", "perhaps"), ("MINITENSOR_QUEUE_TASKS", "1.5")],
)  # fmt: skip
def test_a_value_that_is_none_names_its_variable(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ValueError, match=rf"^\[config\] {name} can't be '{text}'; it is: "):
        config.get(name)


@pytest.mark.parametrize("flag", config.FLAGS.values(), ids=config.FLAGS)
def test_every_flag_is_documented_and_has_a_default_that_it_can_read(flag: config.Flag) -> None:
    flag.parse(flag.default)
    assert flag.doc.endswith(".") and flag.name == flag.name.upper()
