"""Element types and their promotion: the one declaration, for Python and for C.

The build generates codes, sizes and the promotion table of the C core from this file
(`core/build/_build.py`).  The module therefore imports only the standard library, and NumPy
when a caller needs a NumPy dtype.

Promotion follows the Python array API standard (2024.12).  Where the standard leaves a choice, it
follows MindSpore: an integer with a float gives the float's dtype (`int64 + float16` is `float16`),
and `float16 + bfloat16` is `float32`.  `uint64` with a signed integer is `float64`, as in NumPy,
because no integer dtype is wide enough.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Any

__all__ = [  # what `minitensor` itself has of it
    "DType", "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "bfloat16", "float32", "float64", "complex64", "complex128",
]  # fmt: skip


class DType:
    """Describe an element type; the module has one object for each, such as `minitensor.float32`.

    `repr` is `minitensor.float32`, `str` is `Float32`, as MindSpore prints them.

    Attributes:
        name: the common name, `float32`.
        code: the number in the C core.
        kind: `b`ool, signed `i`nteger, `u`nsigned integer, `f`loat or `c`omplex.
        itemsize: bytes per element.
        ctype: the C type of the kernels; "" where there are none.
        compute: the dtype in which kernels compute it: itself, float32 for a half type; None
            where NumPy computes.

    Example:
        >>> import minitensor
        >>> minitensor.float32.itemsize, minitensor.float32 == "float32"
        (4, True)
    """

    def __init__(
        self, name: str, code: int, kind: str, itemsize: int, ctype: str, title: str
    ) -> None:
        self.name, self.code, self.kind, self.itemsize, self.ctype = (
            name,
            code,
            kind,
            itemsize,
            ctype,
        )
        self._title = title
        self.compute: DType | None = self if ctype else None

    def __repr__(self) -> str:
        return f"minitensor.{self.name}"

    def __str__(self) -> str:
        return self._title

    def __eq__(self, other: object) -> bool:
        """Return True if `other` is this type: a DType, NumPy dtype, NumPy scalar type or name."""
        if isinstance(other, DType):
            return self is other
        if isinstance(other, str):
            return _BY_NAME.get(_ALIASES.get(other.lower(), other.lower())) is self
        import numpy

        return self.numpy.type is other or (isinstance(other, numpy.dtype) and self.numpy == other)

    def __hash__(self) -> int:
        return hash(self.numpy)  # equal dtypes have equal hashes; for other types, as in NumPy

    def __reduce__(self) -> tuple[Any, ...]:
        return _by_name, (self.name,)  # a dtype is a singleton in every process

    @cached_property
    def numpy(self) -> Any:
        """Return the `numpy.dtype` of the same layout (ml_dtypes' where NumPy has none)."""
        import numpy

        if self.name not in numpy.sctypeDict:
            import ml_dtypes

            return numpy.dtype(getattr(ml_dtypes, self.name))
        return numpy.dtype(self.name)

    @property
    def dtype(self) -> Any:
        """Return the NumPy dtype; NumPy reads it in `np.ones(3, dtype=minitensor.float32)`."""
        return self.numpy

    @property
    def is_floating(self) -> bool:
        """Return True for a real float type."""
        return self.kind == "f"

    @property
    def is_integer(self) -> bool:
        """Return True for a signed or unsigned integer type; bool is neither."""
        return self.kind in "iu"


_ROWS = (  # name, kind, itemsize, C type of the kernels, printed name; the position is the code
    ("bool", "b", 1, "uint8_t", "Bool"),
    ("int8", "i", 1, "int8_t", "Int8"),
    ("int16", "i", 2, "int16_t", "Int16"),
    ("int32", "i", 4, "int32_t", "Int32"),
    ("int64", "i", 8, "int64_t", "Int64"),
    ("uint8", "u", 1, "uint8_t", "UInt8"),
    ("uint16", "u", 2, "uint16_t", "UInt16"),
    ("uint32", "u", 4, "uint32_t", "UInt32"),
    ("uint64", "u", 8, "uint64_t", "UInt64"),
    ("float16", "f", 2, "", "Float16"),
    ("bfloat16", "f", 2, "", "BFloat16"),
    ("float32", "f", 4, "float", "Float32"),
    ("float64", "f", 8, "double", "Float64"),
    ("complex64", "c", 8, "", "Complex64"),
    ("complex128", "c", 16, "", "Complex128"),
)
DTYPES = tuple(
    DType(name, code, kind, itemsize, ctype, title)
    for code, (name, kind, itemsize, ctype, title) in enumerate(_ROWS)
)
(bool_, int8, int16, int32, int64, uint8, uint16, uint32, uint64,
 float16, bfloat16, float32, float64, complex64, complex128) = DTYPES  # fmt: skip
float16.compute = bfloat16.compute = float32
_BY_NAME = {dtype.name: dtype for dtype in DTYPES}
_ALIASES = {
    "bool_": "bool",
    "half": "float16",
    "float": "float32",
    "double": "float64",
    "int": "int64",
}


def _by_name(name: str) -> DType:
    return _BY_NAME[name]


def promote(a: DType, b: DType) -> DType:
    """Return the dtype to which `a` and `b` promote.

    Args:
        a: a DType.
        b: a DType.

    Returns:
        The DType of a result of both.

    Example:
        >>> import minitensor
        >>> minitensor.dtype.promote(minitensor.int64, minitensor.float16)
        minitensor.float16
    """
    if a is b:
        return a
    if "b" in (a.kind, b.kind):
        return b if a.kind == "b" else a
    if a.kind in "iu" and b.kind in "iu":
        if a.kind == b.kind:
            return max(a, b, key=lambda d: d.itemsize)
        signed, unsigned = (a, b) if a.kind == "i" else (b, a)
        if signed.itemsize > unsigned.itemsize:
            return signed
        return {1: int16, 2: int32, 4: int64, 8: float64}[unsigned.itemsize]
    if a.kind in "iu" or b.kind in "iu":
        return b if a.kind in "iu" else a
    if a.kind == b.kind == "f":
        return float32 if a.itemsize == b.itemsize else max(a, b, key=lambda d: d.itemsize)
    real = [d for d in (a, b) if d.kind == "f"]
    return complex128 if complex128 in (a, b) or real == [float64] else complex64


def to_float(dtype: DType) -> DType:
    """Return the dtype in which `log`, a true division and similar functions compute.

    Args:
        dtype: the input's DType.

    Returns:
        The same for floats and complex numbers, else float32.

    Example:
        >>> import minitensor
        >>> minitensor.dtype.to_float(minitensor.int8)
        minitensor.float32
    """
    return dtype if dtype.kind in "fc" else float32


def as_dtype(value: Any, op: str = "dtype") -> DType:
    """Return the DType that `value` names.

    Args:
        value: a DType, a name ("float32", "Float32"), a Python type or a NumPy dtype.
        op: the name of the calling function, for the error.

    Returns:
        A DType.

    Raises:
        TypeError: value names no dtype of minitensor.

    Example:
        >>> import minitensor
        >>> minitensor.dtype.as_dtype(float)
        minitensor.float32
    """
    if isinstance(value, DType):
        return value
    if isinstance(value, str):
        name = value.lower()
        found = _BY_NAME.get(_ALIASES.get(name, name))
        if found is not None:
            return found
    elif isinstance(value, type) and value in _PYTHON:
        return _PYTHON[value]
    else:
        import numpy

        try:
            if isinstance(value, (type, numpy.dtype)):
                return from_numpy(value)
        except (TypeError, ValueError):
            pass
    raise TypeError(f"[{op}] dtype must be one of {', '.join(_BY_NAME)}, got {value!r}")


_PYTHON = {bool: bool_, int: int64, float: float32, complex: complex128}


@lru_cache(maxsize=256)  # NumPy builds the name of a dtype anew at each access
def from_numpy(dtype: Any) -> DType:
    """Return the DType of a NumPy dtype.

    Args:
        dtype: a NumPy dtype, or anything that `numpy.dtype` accepts.

    Returns:
        A DType.

    Raises:
        TypeError: no tensor has such elements.

    Example:
        >>> import minitensor, numpy as np
        >>> minitensor.dtype.from_numpy(np.dtype("int8"))
        minitensor.int8
    """
    import numpy

    name = numpy.dtype(dtype).name
    if name not in _BY_NAME:
        raise TypeError(
            f"[dtype] dtype must be one of {', '.join(_BY_NAME)}, got NumPy's {name}; "
            "cast the array"
        )
    return _BY_NAME[name]
