"""Linear algebra: NumPy's BLAS and LAPACK on the stream.

The core multiplies small float matrices, batches of them, and vectors itself
(core/kernels/arrays/matmul.h): a call of NumPy would take longer than the product.  The call checks
shapes and dtypes; an error that only the numbers show (a singular matrix) is raised by the read of
the value.  Half precision is multiplied in float32 and rounded once.
"""

from __future__ import annotations

import builtins
import functools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from minitensor.backend.core import operators
from minitensor.dtype import DType, complex64, complex128, float32, float64, promote, to_float
from minitensor.ops._dispatch import (
    WRONG,
    as_ints,
    as_tensor,
    assign,
    host,
    host_direct,
    host_many,
    is_operand,
    name_op,
    named,
    normalize_axis,
    quiet,
)
from minitensor.tensor import Tensor

if TYPE_CHECKING:
    from minitensor.typing import AxisLike, TensorLike

__all__ = [
    "matmul", "mm", "bmm", "mv", "dot", "inner", "outer", "einsum", "addmm", "tensordot", "trace",
    "diagonal", "kron", "inverse", "det", "cholesky", "solve", "qr", "svd",
]  # fmt: skip


def _wide(a: np.ndarray) -> np.ndarray:
    """Return an array with half precision as float32: BLAS does not support half precision."""
    return a.astype(np.float32) if a.dtype.itemsize == 2 and a.dtype.kind in "fV" else a


def _product(
    op: str,
    function: Callable[..., Any],
    operands: list[Tensor],
    shape: Sequence[int],
    direct: bool = False,
) -> Tensor:
    """Return a product in the dtype that all operands promote to.

    `direct` means that the function takes `out=`, which saves a copy.
    """
    dtype = operands[0].dtype
    for t in operands[1:]:
        dtype = promote(dtype, t.dtype)
    if dtype.compute is float32 and dtype is not float32:  # a half type, which BLAS lacks
        wide = [t.astype(dtype, False).astype(float32) for t in operands]
        return _product(op, function, wide, shape, direct).astype(dtype)
    target, size = tuple(shape), math.prod(shape)

    def multiply(*arrays: np.ndarray) -> None:
        *factors, out = arrays
        if not same:
            factors = [_wide(a.astype(dtype.numpy, copy=False)) for a in factors]
        if direct and factors[0].dtype == out.dtype:
            function(*factors, out=out)
        else:
            np.copyto(out, function(*factors), casting="unsafe")

    same = dtype.itemsize > 2 and all(t.dtype is dtype for t in operands)
    # Steps: the product of all lengths.  Each index is mostly one of two of the three tensors, so
    # that product is the root of the product of the sizes.
    steps = math.isqrt(math.prod([t.size for t in operands]) * size) + size + 1
    return host(op, multiply, operands, target, dtype, steps=steps, direct=True)


def _matmul_shape(op: str, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    if not a or not b:
        raise ValueError(
            f"[{op}] the tensors must have at least one dimension, got shapes {a} and {b}; use * "
            "for numbers"
        )
    left, right = ((1, *a) if len(a) == 1 else a), ((*b, 1) if len(b) == 1 else b)
    if left[-1] != right[-2]:
        raise ValueError(
            f"[{op}] shapes must have as many columns as rows, got {a} and {b}: {left[-1]} columns "
            f"by {right[-2]} rows"
        )
    try:
        batch = (
            np.broadcast_shapes(left[:-2], right[:-2]) if len(left) > 2 or len(right) > 2 else ()
        )
    except ValueError:
        raise ValueError(
            f"[{op}] shapes must broadcast ahead of their last two dimensions, got {a} and {b}"
        ) from None
    return (*batch, *([left[-2]] if len(a) > 1 else []), *([right[-1]] if len(b) > 1 else []))


@operators.fast
def matmul(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the matrix product, as `numpy.matmul` does.

    A vector counts as a row on the left and as a column on the right; dimensions ahead of the last
    two broadcast.

    Args:
        input: a tensor-like of at least one dimension and any dtype.
        other: a tensor-like of at least one dimension and any dtype.

    Returns:
        A new tensor of the dtype that the operands promote to.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the shapes do not fit.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.matmul(Tensor([[1.0, 2.0]]), Tensor([[3.0], [4.0]])))
        [[11.]]
    """
    a, b = _tensors("matmul", (input, other))
    if not (a is input and b is other):
        return matmul(a, b)
    return _product(
        "matmul", np.matmul, [a, b], _matmul_shape("matmul", a.shape, b.shape), direct=True
    )


def _tensors(op: str, values: Sequence[Any]) -> list[Tensor]:
    """Return tensor-likes as tensors, new ones on the device of the first tensor."""
    if all(v.__class__ is Tensor for v in values):
        return list(values)
    like = next((v for v in values if isinstance(v, Tensor)), None)
    return [as_tensor(v, op, like) for v in values]


def _ranked(op: str, ranks: Sequence[int], *values: Any) -> list[Tensor]:
    tensors = _tensors(op, values)
    for t, rank in zip(tensors, ranks):
        if t.ndim != rank:
            raise ValueError(
                f"[{op}] the tensors must have {' and '.join(map(str, ranks))} dimensions, got "
                f"shape {t.shape}"
            )
    return tensors


def _ranked_product(op: str, ranks: Sequence[int], input: Any, other: Any) -> Tensor:
    a, b = _ranked(op, ranks, input, other)
    try:
        return matmul(a, b)
    except WRONG as error:
        name_op(error, op)
        raise


@operators.fast
def mm(input: TensorLike, mat2: TensorLike) -> Tensor:
    """Return the product of two matrices.

    Args:
        input: a matrix, (n, k).
        mat2: a matrix, (k, m).

    Returns:
        A new tensor of shape (n, m) and the dtype that the operands promote to.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: an operand is no matrix, or the shapes do not fit.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.mm(Tensor([[1, 2]]), Tensor([[3], [4]])))
        [[11]]
    """
    return _ranked_product("mm", (2, 2), input, mat2)


def bmm(input: TensorLike, mat2: TensorLike) -> Tensor:
    """Return the products of two batches of matrices.

    Args:
        input: a batch of matrices, (b, n, k).
        mat2: a batch of as many matrices, (b, k, m).

    Returns:
        A new tensor of shape (b, n, m) and the dtype that the operands promote to.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: an operand has not three dimensions, or the shapes do not fit.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.bmm(Tensor([[[1, 2]]]), Tensor([[[3], [4]]])))
        [[[11]]]
    """
    a, b = _ranked("bmm", (3, 3), input, mat2)
    if a.shape[0] != b.shape[0]:
        raise ValueError(
            f"[bmm] both operands must have the same number of matrices, got {a.shape[0]} and "
            f"{b.shape[0]}"
        )
    return _ranked_product("bmm", (3, 3), a, b)


@operators.fast
def mv(input: TensorLike, vec: TensorLike) -> Tensor:
    """Return the product of a matrix and a vector.

    Args:
        input: a matrix, (n, k).
        vec: a vector, (k,).

    Returns:
        A new tensor of shape (n,) and the dtype that the operands promote to.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the operands are no matrix and vector, or the shapes do not fit.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.mv(Tensor([[1, 2], [3, 4]]), Tensor([1, 10])))
        [21 43]
    """
    return _ranked_product("mv", (2, 1), input, vec)


@operators.fast
def dot(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the sum of products over the last dimension of one and the last but one of the other.

    Args:
        input: a tensor-like of any dtype; without dimensions the operands are multiplied.
        other: a tensor-like of any dtype; of a vector its only dimension counts.

    Returns:
        A new tensor of the dtype that the operands promote to.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the shapes do not fit.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.dot(Tensor([1, 2]), Tensor([3, 4])))
        11
    """
    a, b = _tensors("dot", (input, other))
    if not a.ndim or not b.ndim:
        return a * b
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ValueError(
            f"[dot] shapes must agree in the summed dimensions, got {a.shape} and {b.shape}"
        )
    if b.ndim <= 2:
        return matmul(a, b)
    shape = a.shape[:-1] + b.shape[:-2] + b.shape[-1:]
    return _product("dot", np.dot, [a, b], shape, direct=True)


def inner(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the sum of products over the last dimension of both operands.

    Args:
        input: a tensor-like of any dtype; without dimensions the operands are multiplied.
        other: a tensor-like of any dtype.

    Returns:
        A new tensor of the dtype that the operands promote to.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the last dimensions differ.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.inner(Tensor([1, 2]), Tensor([[3, 4], [5, 6]])))
        [11 17]
    """
    a, b = _tensors("inner", (input, other))
    if not a.ndim or not b.ndim:
        return a * b
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(
            f"[inner] the last dimensions must have one length, got shapes {a.shape} and {b.shape}"
        )
    if b.ndim <= 2:
        return matmul(a, b.mT if b.ndim == 2 else b)
    return _product("inner", np.inner, [a, b], a.shape[:-1] + b.shape[:-1])


def outer(input: TensorLike, vec2: TensorLike) -> Tensor:
    """Return the products of all elements of one vector with all elements of another.

    Args:
        input: a vector, (n,).
        vec2: a vector, (m,).

    Returns:
        A new tensor of shape (n, m) and the dtype that the operands promote to.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: an operand is no vector.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.outer(Tensor([1, 2]), Tensor([3, 4])))
        [[3 4]
         [6 8]]
    """
    a, b = _ranked("outer", (1, 1), input, vec2)
    return a.expand_dims(1) * b


@named
def addmm(
    input: TensorLike,
    mat1: TensorLike,
    mat2: TensorLike,
    *,
    beta: TensorLike = 1,
    alpha: TensorLike = 1,
) -> Tensor:
    """Return beta * input + alpha * (mat1 @ mat2).

    Args:
        input: a tensor-like that broadcasts to the product.
        mat1: a matrix, (n, k).
        mat2: a matrix, (k, m).
        beta: the factor of `input`, a number.
        alpha: the factor of the product, a number.

    Returns:
        A new tensor of shape (n, m) and the dtype that the operands promote to.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the matrices do not fit, or `input` does not broadcast to their product.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.addmm(Tensor([1]), Tensor([[1, 2]]), Tensor([[3], [4]]), alpha=2))
        [[23]]
    """
    product = mm(mat1, mat2)
    t = as_tensor(input, "addmm", product)
    if t.ndim > 2 or any(
        n not in (1, m) for n, m in zip(reversed(t.shape), reversed(product.shape))
    ):
        raise ValueError(
            f"[addmm] input must broadcast to the product's shape {product.shape}, got {t.shape}"
        )
    return t * beta + product * alpha


def _as_matrices(t: Tensor, order: list[int], batch: int, rows: int) -> Tensor:
    """Return a tensor with its dimensions in an order, those of rows and of columns as one each."""
    if order != [*range(t.ndim)]:
        t = t.transpose(order)
    if rows == 1 and len(order) == batch + 2:
        return t
    shape = t.shape
    m, n = math.prod(shape[batch : batch + rows]), math.prod(shape[batch + rows :])
    return t.reshape((*shape[:batch], m, n))


def tensordot(x1: TensorLike, x2: TensorLike, axes: int | Sequence[AxisLike] = 2) -> Tensor:
    """Return the sum of products over some dimensions of both operands.

    Args:
        x1: a tensor-like of any shape and dtype.
        x2: a tensor-like of any shape and dtype.
        axes: how many of the last dimensions of one and the first of the other, or a pair of lists
            of axes.

    Returns:
        A new tensor of the dtype that the operands promote to.

    Raises:
        TypeError: `axes` is neither an int nor a pair of lists of ints.
        ValueError: an axis is out of range or is named twice, or the lengths differ.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.tensordot(Tensor([[1, 2], [3, 4]]), Tensor([1, 10]), 1))
        [21 43]
    """
    a, b = _tensors("tensordot", (x1, x2))
    if isinstance(axes, int):
        if not 0 <= axes <= builtins.min(a.ndim, b.ndim):
            raise ValueError(
                f"[tensordot] axes must be from 0 to {builtins.min(a.ndim, b.ndim)} for shapes "
                f"{a.shape} and {b.shape}, got {axes}"
            )
        pair = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    elif isinstance(axes, (tuple, list)) and len(axes) == 2:
        pair = (
            list(as_ints("tensordot", axes[0], "axes")),
            list(as_ints("tensordot", axes[1], "axes")),
        )
    else:
        raise TypeError(f"[tensordot] axes must be an int or a pair of lists of ints, got {axes!r}")
    first = [normalize_axis("tensordot", d, a.ndim) for d in pair[0]]
    second = [normalize_axis("tensordot", d, b.ndim) for d in pair[1]]
    if len(set(first)) != len(first) or len(set(second)) != len(second):
        raise ValueError(f"[tensordot] axes must differ from each other, got {axes}")
    if [a.shape[d] for d in first] != [b.shape[d] for d in second]:
        raise ValueError(
            f"[tensordot] shapes must agree along the axes {axes}, got {a.shape} and {b.shape}"
        )
    shape = [n for d, n in enumerate(a.shape) if d not in first] + [
        n for d, n in enumerate(b.shape) if d not in second
    ]
    rows = [d for d in range(a.ndim) if d not in first]
    columns = [d for d in range(b.ndim) if d not in second]
    x = _as_matrices(a, [*rows, *first], 0, len(rows))
    y = _as_matrices(b, [*second, *columns], 0, len(second))
    product = matmul(x, y)
    return product if product.shape == tuple(shape) else product.reshape(shape)


@functools.lru_cache(maxsize=256)
def _einsum_shape(equation: str, shapes: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    """Return the shape of an einsum.

    NumPy checks the equation, on arrays that repeat one element with stride 0.
    """
    dummies = [
        np.broadcast_to(np.zeros((), np.bool_), [builtins.min(n, 1) for n in shape])
        for shape in shapes
    ]
    lengths: dict[str, int] = {}
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(shapes):
        raise ValueError(f"terms must be as many as tensors, {len(shapes)}, got {len(terms)}")
    dots: tuple[int, ...] = ()
    for term, shape in zip(terms, shapes):
        head, ellipsis, tail = term.partition("...")
        named = len(head) + len(tail)
        if named > len(shape) or (not ellipsis and named != len(shape)):
            raise ValueError(
                f"a term must name the {len(shape)} dimensions of {shape}, got {term!r}"
            )
        dots = np.broadcast_shapes(dots, shape[len(head) : len(shape) - len(tail)])
        own: dict[str, int] = {}  # a letter twice in a term is a diagonal: 1 does not broadcast
        for letter, n in [*zip(head, shape), *zip(tail, shape[len(shape) - len(tail) :])]:
            if own.setdefault(letter, n) != n:
                raise ValueError(
                    f"{letter!r} must have one length in {term!r}, got {own[letter]} and {n}"
                )
            if lengths.setdefault(letter, n) == 1:
                lengths[letter] = n
            if n not in (1, lengths[letter]):
                raise ValueError(f"{letter!r} must have one length, got {lengths[letter]} and {n}")
    if not arrow:
        letters = "".join(terms).replace(".", "")
        output = "..." * ("..." in inputs) + "".join(
            sorted(c for c in set(letters) if letters.count(c) == 1)
        )
    np.einsum(equation, *dummies)  # raises the other errors of an equation
    head, ellipsis, tail = output.partition("...")
    return (*[lengths[c] for c in head], *(dots if ellipsis else ()), *[lengths[c] for c in tail])


@functools.lru_cache(maxsize=256)
def _einsum_plan(equation: str, ranks: tuple[int, int]) -> tuple[Any, ...] | None:
    """Return how two operands of an equation become batches of matrices to multiply.

    Returns:
        The dimensions of each operand in the order batch, rows, columns; how many of them are the
        batch and the rows; the dimensions of the product in the order of the result.  None if the
        equation is no such product: a letter is missing, or occurs twice in a term.
    """
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    x, _, y = inputs.partition(",")
    if "." in equation or (len(x), len(y)) != ranks or len({*x}) != len(x) or len({*y}) != len(y):
        return None
    if not arrow:
        output = "".join(sorted({*x} ^ {*y}))
    batch = [c for c in x if c in y and c in output]
    summed = [c for c in x if c in y and c not in output]
    rows, columns = [c for c in x if c not in y], [c for c in y if c not in x]
    if not summed or {*output} != {*batch, *rows, *columns}:
        return None
    product = [*batch, *rows, *columns]
    return (
        [x.index(c) for c in (*batch, *rows, *summed)],
        [y.index(c) for c in (*batch, *summed, *columns)],
        len(batch), len(rows), len(summed),
        [product.index(c) for c in output],
    )  # fmt: skip


def _einsum_matmul(equation: str, a: Tensor, b: Tensor) -> Tensor | None:
    """Return an einsum of two operands as a product of matrices; None if it is none."""
    plan = _einsum_plan(equation, (a.ndim, b.ndim))
    if plan is None or a.dtype.kind not in "f" or a.dtype is not b.dtype:
        return None
    first, second, batch, rows, summed, order = plan
    lengths = [a.shape[d] for d in first], [b.shape[d] for d in second]
    shared = lengths[0][batch + rows :], lengths[1][batch : batch + summed]
    if shared[0] != shared[1] or lengths[0][:batch] != lengths[1][:batch]:
        return None  # a length of 1 broadcasts
    x, y = _as_matrices(a, first, batch, rows), _as_matrices(b, second, batch, summed)
    product = matmul(x, y)
    shape = (*lengths[0][: batch + rows], *lengths[1][batch + summed :])
    if product.shape != shape:
        product = product.reshape(shape)
    return product if order == [*range(len(order))] else product.transpose(order).copy()


def einsum(equation: str, *operands: TensorLike) -> Tensor:
    """Return sums of products in Einstein's notation, as `numpy.einsum` does.

    Args:
        equation: the dimensions of each operand as letters, such as "ij,jk->ik".
        operands: tensor-likes of any dtype, or one list of them.

    Returns:
        A new tensor of the dtype that the operands promote to.

    Raises:
        TypeError: the equation is no str, or an operand is not tensor-like.
        ValueError: the equation is invalid, or the shapes do not fit it.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.einsum("ij,j->i", Tensor([[1, 2], [3, 4]]), Tensor([1, 10])))
        [21 43]
    """
    if not isinstance(equation, str):
        raise TypeError(f"[einsum] equation must be a str, got {type(equation).__name__}")
    several = (
        operands[0] if len(operands) == 1 and isinstance(operands[0], (tuple, list)) else operands
    )
    tensors = _tensors("einsum", several)
    try:
        shape = _einsum_shape(equation, tuple(t.shape for t in tensors))
    except (ValueError, KeyError) as error:
        shapes = ", ".join(str(t.shape) for t in tensors)
        raise ValueError(
            f"[einsum] equation must fit the operands, got {equation!r} and shapes {shapes}: "
            f"{error}"
        ) from None

    if len(tensors) == 2:
        found = _einsum_matmul(equation, *tensors)
        if found is not None:
            return found

    def compute(*arrays: np.ndarray, out: np.ndarray | None = None) -> Any:
        # optimize lets BLAS compute the contractions, also for two operands
        return np.einsum(equation, *arrays, out=out, optimize=len(arrays) > 1)

    return _product("einsum", compute, tensors, shape, direct=True)


def diagonal(
    input: TensorLike, offset: SupportsIndex = 0, dim1: SupportsIndex = 0, dim2: SupportsIndex = 1
) -> Tensor:
    """Return a view of the diagonal of two dimensions, as the last dimension.

    Args:
        input: a tensor-like of at least two dimensions and any dtype.
        offset: 0 for the main diagonal, 1 for the one above it, -1 for the one below it.
        dim1: the dimension of the rows.
        dim2: the dimension of the columns.

    Returns:
        A view of the input's memory.

    Raises:
        TypeError: an argument is no int.
        ValueError: the input has fewer than two dimensions, or the two are the same or out of
            range.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.diagonal(Tensor([[1, 2], [3, 4]])))
        [1 4]
    """
    t = as_tensor(input, "diagonal")
    if t.ndim < 2:
        raise ValueError(f"[diagonal] input must have at least two dimensions, got shape {t.shape}")
    a, b = normalize_axis("diagonal", dim1, t.ndim), normalize_axis("diagonal", dim2, t.ndim)
    if a == b:
        raise ValueError(f"[diagonal] dim1 and dim2 must differ, got {dim1} and {dim2}")
    [offset] = as_ints("diagonal", (offset,), "offset")
    length = builtins.max(
        0, builtins.min(t.shape[a] + builtins.min(offset, 0), t.shape[b] - builtins.max(offset, 0))
    )
    start = (offset * t.strides[b] if offset >= 0 else -offset * t.strides[a]) if length else 0
    kept = [d for d in range(t.ndim) if d not in (a, b)]
    return t._view(
        [t.shape[d] for d in kept] + [length],
        [t.strides[d] for d in kept] + [t.strides[a] + t.strides[b]],
        t._offset + start,
    )


@named
def trace(input: TensorLike) -> Tensor:
    """Return the sum of the diagonal of the first two dimensions.

    Args:
        input: a tensor-like of at least two dimensions and any dtype.

    Returns:
        A new tensor without these dimensions; int64 for integers of fewer bits.

    Raises:
        TypeError: the input is not tensor-like.
        ValueError: the input has fewer than two dimensions.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.trace(Tensor([[1, 2], [3, 4]])))
        5
    """
    return diagonal(input).sum(axis=-1)


def kron(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the Kronecker product.

    Args:
        input: a tensor-like of any shape and dtype.
        other: a tensor-like of any shape and dtype.

    Returns:
        A new tensor of the dtype that the operands promote to.

    Raises:
        TypeError: an operand is not tensor-like.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.kron(Tensor([1, 10]), Tensor([1, 2])))
        [ 1  2 10 20]
    """
    a, b = _tensors("kron", (input, other))
    rank = builtins.max(a.ndim, b.ndim)
    x, y = ((1,) * (rank - t.ndim) + t.shape for t in (a, b))
    left = a.reshape([n for length in x for n in (length, 1)])
    right = b.reshape([n for length in y for n in (1, length)])
    return (left * right).reshape([n * m for n, m in zip(x, y)])


# --- LAPACK ---------------------------------------------------------------------------------------
def _square(op: str, value: Any) -> tuple[Tensor, DType]:
    t = as_tensor(value, op)
    if t.ndim < 2 or t.shape[-1] != t.shape[-2]:
        raise ValueError(f"[{op}] the matrices must be square, got shape {t.shape}")
    return t, to_float(t.dtype)


def _cubed(t: Tensor, factor: int) -> int:
    """Return the steps of an algorithm that takes `factor` n**3 steps for a matrix of side n."""
    return factor * t.size * builtins.max(t.shape[-2:]) + 1


def _lapack(function: Callable[..., Any], dtype: DType) -> Callable[..., Any]:
    return lambda *arrays: function(*[_wide(a.astype(dtype.numpy, copy=False)) for a in arrays])


# The functions of numpy.linalg are ufuncs of LAPACK's routines behind some Python, which costs
# several times what the routine takes for a small matrix, and which takes no `out`.
_ufuncs: Any = getattr(np.linalg, "_umath_linalg", None)


def _under(error: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that raises LinAlgError with `error` when LAPACK fails, or never if ""."""

    def fail(kind: str, flag: int) -> None:
        raise np.linalg.LinAlgError(error)

    # LAPACK's failure arrives as an invalid operation.
    invalid = "call" if error else "ignore"
    others = dict.fromkeys(("over", "divide", "under"), "ignore")
    return quiet(function, call=fail, invalid=invalid, **others)


@functools.cache
def _routine(name: str, signature: str, error: str) -> Callable[..., Any] | None:
    """Return a routine that takes inputs and outputs; None if NumPy lacks it.

    As in NumPy, it computes in float64, or complex128.
    """
    ufunc = getattr(_ufuncs, name, None)
    return None if ufunc is None else _under(error, functools.partial(ufunc, signature=signature))


def _is_routine(dtype: DType, inputs: list[Tensor]) -> bool:
    return dtype.itemsize > 2 and builtins.all([t.dtype is dtype for t in inputs])


def _solved(
    op: str,
    name: str,
    error: str,
    public: Callable[..., Any],
    inputs: list[Tensor],
    shape: Sequence[int],
    dtype: DType,
    steps: int,
) -> Tensor:
    """Return what a routine, or the public function of NumPy around it, computes of matrices."""
    if _is_routine(dtype, inputs):
        letter = "d" if dtype.kind == "f" else "D"
        routine = _routine(name, f"{letter * len(inputs)}->{letter}", error)
        if routine is not None:
            return host_direct(op, routine, inputs, [(shape, dtype)], steps)[0]
    return host(op, _lapack(public, dtype), inputs, shape, dtype, steps=steps)


def inverse(input: TensorLike) -> Tensor:
    """Return the inverse of square matrices.

    Args:
        input: a tensor-like of shape (..., n, n) and any dtype.

    Returns:
        A new tensor of the input's shape; float32 for integers and bools.

    Raises:
        TypeError: the input is not tensor-like.
        ValueError: the matrices are not square.
        LinAlgError: a matrix is singular; raised by the read of the value.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.inverse(Tensor([[2.0, 0.0], [0.0, 4.0]])))
        [[0.5  0.  ]
         [0.   0.25]]
    """
    t, dtype = _square("inverse", input)
    return _solved(
        "inverse", "inv", "Singular matrix", np.linalg.inv, [t], t.shape, dtype, _cubed(t, 2)
    )


def det(input: TensorLike) -> Tensor:
    """Return the determinant of square matrices.

    Args:
        input: a tensor-like of shape (..., n, n) and any dtype.

    Returns:
        A new tensor of shape (...); float32 for integers and bools.

    Raises:
        TypeError: the input is not tensor-like.
        ValueError: the matrices are not square.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.det(Tensor([[2.0, 0.0], [0.0, 4.0]])))
        8.0
    """
    t, dtype = _square("det", input)
    return _solved("det", "det", "", np.linalg.det, [t], t.shape[:-2], dtype, _cubed(t, 1))


def cholesky(input: TensorLike, upper: bool = False) -> Tensor:
    """Return the lower triangular matrix L with L @ L.mT == input (conjugated, if complex).

    Args:
        input: a tensor-like of shape (..., n, n), symmetric and positive definite.
        upper: True returns the (conjugate) transpose of L.

    Returns:
        A new tensor of the input's shape; float32 for integers and bools.

    Raises:
        TypeError: the input is not tensor-like.
        ValueError: the matrices are not square.
        LinAlgError: a matrix is not positive definite; raised by the read of the value.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.cholesky(Tensor([[4.0, 0.0], [0.0, 9.0]])))
        [[2. 0.]
         [0. 3.]]
    """
    t, dtype = _square("cholesky", input)
    if not upper:
        error = "Matrix is not positive definite"
        public, steps = np.linalg.cholesky, _cubed(t, 1)
        return _solved("cholesky", "cholesky_lo", error, public, [t], t.shape, dtype, steps)

    def factor(a: np.ndarray) -> np.ndarray:
        return np.linalg.cholesky(a).conj().swapaxes(-1, -2)

    return host("cholesky", _lapack(factor, dtype), [t], t.shape, dtype, steps=_cubed(t, 1))


def _solve_vector(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    # NumPy 1 takes an array of one dimension less than the matrices for vectors.
    return np.linalg.solve(a, np.broadcast_to(b[:, None], (*a.shape[:-1], 1)))[..., 0]


def solve(A: TensorLike, B: TensorLike) -> Tensor:  # noqa: N803
    """Return X with A @ X == B.

    Args:
        A: a tensor-like of shape (..., n, n) and any dtype.
        B: a tensor-like of shape (..., n, k), or a vector of shape (n,).

    Returns:
        A new tensor of the shape of `B`; float32 for integers and bools.

    Raises:
        TypeError: an operand is not tensor-like.
        ValueError: the matrices are not square, or the shapes do not fit.
        LinAlgError: a matrix is singular; raised by the read of the value.

    Example:
        >>> from minitensor import Tensor, ops
        >>> print(ops.solve(Tensor([[2.0, 0.0], [0.0, 4.0]]), Tensor([2.0, 2.0])))
        [1.  0.5]
    """
    left, b = _tensors("solve", (A, B))
    a, dtype = _square("solve", left)
    dtype = to_float(promote(dtype, b.dtype))
    shape = _matmul_shape("solve", a.shape, b.shape)
    name, function = ("solve1", _solve_vector) if b.ndim == 1 else ("solve", np.linalg.solve)
    steps = _cubed(a, 1) + 2 * math.prod(shape) * a.shape[-1]
    return _solved("solve", name, "Singular matrix", function, [a, b], shape, dtype, steps)


@functools.lru_cache(maxsize=64)
def _below(rows: int, columns: int) -> np.ndarray:
    return np.tri(rows, columns, -1, dtype=np.bool_)


@functools.cache
def _qr(letter: str) -> Callable[..., Any] | None:
    """Return a function that factors an array into two others; None if NumPy lacks the routines."""
    factor, orthonormal = (getattr(_ufuncs, name, None) for name in ("qr_r_raw", "qr_reduced"))
    if factor is None or orthonormal is None:
        return None
    first, second = f"{letter}->{letter}", f"{letter}{letter}->{letter}"

    def compute(a: np.ndarray, q: np.ndarray, r: np.ndarray) -> None:
        rows, columns = r.shape[-2:]
        work = a.astype(letter)  # a copy, in which the routine leaves R and what makes Q
        scales = factor(work, signature=first)
        orthonormal(work, scales, q, signature=second)
        np.copyto(r, work[..., :rows, :], casting="same_kind")
        lower = _below if rows * columns <= 1 << 12 else _below.__wrapped__
        np.copyto(r, 0, where=lower(rows, columns))

    return _under("Incorrect argument found while performing QR factorization", compute)


def qr(input: Any) -> tuple[Tensor, Tensor]:
    """Return Q with orthonormal columns and R upper triangular, with Q @ R == input.

    Args:
        input: a tensor-like of shape (..., m, n) and any dtype.

    Returns:
        A pair (Q of shape (..., m, k), R of shape (..., k, n)), k the lesser of m and n.

    Raises:
        TypeError: the input is not tensor-like.
        ValueError: the input has fewer than two dimensions.

    Example:
        >>> from minitensor import Tensor, ops
        >>> q, r = ops.qr(Tensor([[3.0, 1.0], [4.0, 2.0]]))
        >>> ops.allclose(q @ r, Tensor([[3.0, 1.0], [4.0, 2.0]]), atol=1e-5)
        True
    """
    t = as_tensor(input, "qr")
    if t.ndim < 2:
        raise ValueError(f"[qr] input must have at least two dimensions, got shape {t.shape}")
    *batch, m, n = t.shape
    dtype, k, steps = to_float(t.dtype), builtins.min(m, n), _cubed(t, 4)
    outputs = [((*batch, m, k), dtype), ((*batch, k, n), dtype)]
    routine = _qr("d" if dtype.kind == "f" else "D") if _is_routine(dtype, [t]) else None
    if routine is not None:
        q, r = host_direct("qr", routine, [t], outputs, steps)
    else:
        q, r = host_many("qr", _lapack(np.linalg.qr, dtype), [t], outputs, steps=steps)
    return q, r


def svd(input: TensorLike) -> tuple[Tensor, Tensor, Tensor]:
    """Return S, U and V with U @ diag(S) @ V.mT == input; the singular values in S descend.

    Args:
        input: a tensor-like of shape (..., m, n) and any dtype.

    Returns:
        A triple (S of shape (..., k), U of shape (..., m, k), V of shape (..., n, k)), k the lesser
        of m and n.

    Raises:
        TypeError: the input is not tensor-like.
        ValueError: the input has fewer than two dimensions.
        LinAlgError: the algorithm does not converge; raised by the read of the value.

    Example:
        >>> from minitensor import Tensor, ops
        >>> s, u, v = ops.svd(Tensor([[0.0, 2.0], [3.0, 0.0]]))
        >>> ops.allclose(s, Tensor([3.0, 2.0]))
        True
    """
    t = as_tensor(input, "svd")
    if t.ndim < 2:
        raise ValueError(f"[svd] input must have at least two dimensions, got shape {t.shape}")
    *batch, m, n = t.shape
    dtype, k = to_float(t.dtype), builtins.min(m, n)
    real = {complex64: float32, complex128: float64}.get(dtype, dtype)
    outputs = [((*batch, m, k), dtype), ((*batch, k), real), ((*batch, k, n), dtype)]
    signature = "d->ddd" if dtype.kind == "f" else "D->DdD"
    routine = _routine("svd_s", signature, "SVD did not converge")
    if routine is not None and _is_routine(dtype, [t]):
        u, s, v = host_direct("svd", routine, [t], outputs, _cubed(t, 32))
    else:
        function = _lapack(functools.partial(np.linalg.svd, full_matrices=False), dtype)
        u, s, v = host_many("svd", function, [t], outputs, steps=_cubed(t, 32))
    return s, u, v.mT


def _matmul_operator(left: Any, right: Any) -> Any:
    return matmul(left, right) if is_operand(left) and is_operand(right) else NotImplemented


def _matmul_in_place(self: Tensor, other: Any) -> Any:
    if not is_operand(other):
        return NotImplemented
    result = matmul(self, other)
    if result.shape != self.shape or result.dtype is not self.dtype:
        raise (ValueError if result.shape != self.shape else TypeError)(
            f"[matmul] the result must have the tensor's dtype {self.dtype} and shape "
            f"{self.shape}, got {result.dtype} and {result.shape}; write t = t @ ..."
        )
    assign(self, result, "matmul")
    return self


def install() -> None:
    """Give Tensor the operator @."""
    Tensor._matmul = staticmethod(_matmul_operator)  # type: ignore[attr-defined]
    Tensor.__imatmul__ = _matmul_in_place  # type: ignore[assignment]
