"""Small arrays with elements that tell where they come from."""

from __future__ import annotations

import math

import numpy as np

from minitensor import Tensor


def numbered(shape: tuple[int, ...], dtype: type = np.int32) -> np.ndarray:
    return np.arange(math.prod(shape), dtype=dtype).reshape(shape)


def floats(shape: tuple[int, ...]) -> np.ndarray:
    return numbered(shape, np.float32)


def same(actual: Tensor, expected: np.ndarray) -> None:
    value = actual.asnumpy()
    assert value.shape == expected.shape
    np.testing.assert_array_equal(value, expected)
