"""The text of a tensor's value in its `repr`: MindSpore's form, made by NumPy's formatter."""

from __future__ import annotations

import numpy as np

__all__ = ["value_text"]


def value_text(value: np.ndarray) -> str:
    """Return the text after `value=` in a tensor's repr.

    Example:
        >>> import numpy as np
        >>> from minitensor.tensor_repr import value_text
        >>> value_text(np.array([1, 2, 3]))
        ' [1, 2, 3]'
    """
    if value.ndim == 0:
        number = value.item() if value.dtype.kind != "V" else float(value)
        return f" {number:g}" if value.dtype.kind in "fV" else f" {number}"
    start = " " if value.ndim == 1 else "\n"
    if value.size == 0:
        return start
    layout = "%15.8e" if value.dtype.itemsize > 2 else "%11.4e"
    formatter = None
    if value.dtype.kind == "f":
        formatter = {"float_kind": lambda x: layout % x}
    elif value.dtype.kind == "V":  # a float of ml_dtypes, which is no float to NumPy
        formatter = {"all": lambda x: layout % float(x)}
    text = np.array2string(value, separator=", ", threshold=1000, formatter=formatter)
    return start + text.replace(", ...,", " ...").replace(",\n ...,\n", "\n ...\n")
