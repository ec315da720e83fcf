"""The benchmarks compare like with like: each case's expression has NumPy's value in minitensor."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
pytestmark = pytest.mark.skipif(
    not BENCHMARKS.is_dir(), reason="the sources are not here: an installed package is tested"
)


def cases() -> list[Any]:
    if not BENCHMARKS.is_dir():
        return []
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from check import LIMITS
        from sections import SECTIONS
    finally:
        sys.path.remove(str(BENCHMARKS))
    found = [case for case, _, _ in LIMITS] + [
        case for section in SECTIONS for _, case, _ in section.points
    ]
    return list({str(case): case for case in found}.values())


@pytest.mark.parametrize(
    "case",
    cases(),
    ids=lambda case: f"{case.text}-{case.dtype}-{len(case.shape)}-{''.join(case.given.values())}",
)
def test_values(case, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import libraries
    import worker

    def value(library):
        names, arguments = worker.variables(library, dataclasses.asdict(case), 5)
        return eval(case.text, {**names, **arguments})

    theirs, ours = value(libraries.numpy()), value(libraries.minitensor())
    if isinstance(theirs, tuple):  # factors, which differ in order and sign
        assert len(theirs) == len(ours)
        return
    tolerance = {"float16": 2e-3, "float64": 1e-9}.get(case.dtype, 1e-5)
    if case.dtype == "float64" and "float32" in case.text:
        tolerance = 1e-6
    np.testing.assert_allclose(
        ours.asnumpy().astype(np.float64), np.asarray(theirs).astype(np.float64), rtol=tolerance
    )
    assert ours.size == np.size(theirs)


def test_ratios_are_taken_within_a_round(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from fleet import ratio

    assert ratio([1.0, 20.0, 3.0], [2.0, 40.0, 3.0]) == 0.5  # a slow moment meets both


def test_a_limit_that_could_not_be_measured_does_not_hold(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from check import Verdict

    assert [Verdict("", "", 0.5, ratio).holds for ratio in (0.5, 0.51, None)] == [
        True,
        False,
        False,
    ]


def everyday() -> list[Any]:
    if not BENCHMARKS.is_dir():
        return []
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from everyday_cases import ROWS
    finally:
        sys.path.remove(str(BENCHMARKS))
    drawn = ("random",)
    return [
        row
        for row in ROWS
        if row.numpy is not None and row.family not in drawn and "empty" not in row.text
    ]


FACTORS = ("qr", "svd")  # they differ in sign


@pytest.mark.parametrize("row", everyday(), ids=lambda row: row.text)
def test_everyday_calls_have_the_values_of_numpy(row, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import libraries
    import worker
    from everyday import case_of

    def value(name, library):
        text = row.spelling(name)
        case = dataclasses.asdict(dataclasses.replace(case_of(row, 121), text=text))
        names, arguments = worker.variables(library, case, 121)
        space = {**names, **arguments}
        if row.result:
            exec(text, space)
        return np_like(space[row.result] if row.result else eval(text, space), library)

    def np_like(found, library):
        if isinstance(found, (tuple, list)) and found and not isinstance(found[0], (int, float)):
            return [np_like(one, library) for one in found]
        return np.asarray(library.host(found) if hasattr(found, "asnumpy") else found)

    ours, theirs = value("minitensor", libraries.minitensor()), value("numpy", libraries.numpy())
    if isinstance(ours, list) and not isinstance(theirs, list):
        ours = ours[0]  # sort and median return the positions as well
    if row.text.split("(")[0] in FACTORS:
        return
    if row.text == "m.nonzero(mask)":
        ours = ours.reshape(-1)
        theirs = theirs[0]
    for one, other in zip(ours, theirs) if isinstance(theirs, list) else [(ours, theirs)]:
        rough = row.family == "half" or other.dtype == np.float16
        np.testing.assert_allclose(
            np.float64(one), np.float64(other), rtol=4e-3 if rough else 2e-4, atol=1e-4
        )
        assert one.shape == other.shape
