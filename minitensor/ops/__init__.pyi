"""The ops, as type checkers see them.  Made by docs/stubs.py: change the functions, and run it."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, SupportsIndex, overload

from minitensor.tensor import Tensor
from minitensor.typing import (
    AxisLike,
    DTypeLike,
    DeviceLike,
    IndexLike,
    Operand,
    RealLike,
    Reduction,
    ShapeLike,
    TensorLike,
)

__all__ = [
    "abs",
    "absolute",
    "acos",
    "acosh",
    "add",
    "addmm",
    "all",
    "allclose",
    "amax",
    "amin",
    "any",
    "arange",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "argmax",
    "argmin",
    "argsort",
    "argwhere",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "bernoulli",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "bincount",
    "bitwise_and",
    "bitwise_invert",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "bmm",
    "broadcast_tensors",
    "broadcast_to",
    "cast",
    "cat",
    "ceil",
    "celu",
    "cholesky",
    "chunk",
    "clamp",
    "clip",
    "concat",
    "contiguous",
    "cos",
    "cosh",
    "cosine_similarity",
    "count_nonzero",
    "cross_entropy",
    "cumprod",
    "cumsum",
    "dense",
    "det",
    "diag",
    "diagonal",
    "div",
    "divide",
    "dot",
    "dropout",
    "einsum",
    "elu",
    "embedding",
    "empty",
    "empty_like",
    "eq",
    "equal",
    "erf",
    "exp",
    "exp2",
    "expand",
    "expand_dims",
    "expm1",
    "eye",
    "flatten",
    "flip",
    "floor",
    "floor_divide",
    "fmod",
    "full",
    "full_like",
    "gather",
    "gather_d",
    "gather_elements",
    "gather_nd",
    "ge",
    "gelu",
    "get_rng_state",
    "get_seed",
    "greater",
    "greater_equal",
    "gt",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "host_call",
    "hypot",
    "index_add",
    "index_select",
    "initial_seed",
    "inner",
    "inv",
    "inverse",
    "is_tensor",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "kron",
    "l1_loss",
    "layer_norm",
    "le",
    "leaky_relu",
    "lerp",
    "less",
    "less_equal",
    "linear",
    "linspace",
    "log",
    "log10",
    "log1p",
    "log2",
    "log_softmax",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "logsigmoid",
    "logspace",
    "logsumexp",
    "lt",
    "manual_seed",
    "masked_fill",
    "masked_select",
    "matmul",
    "max",
    "maximum",
    "mean",
    "median",
    "meshgrid",
    "min",
    "minimum",
    "mish",
    "mm",
    "moveaxis",
    "mse_loss",
    "mul",
    "multinomial",
    "multiply",
    "mv",
    "nan_to_num",
    "ne",
    "neg",
    "negative",
    "nll_loss",
    "nonzero",
    "norm",
    "normal",
    "normalize",
    "not_equal",
    "one_hot",
    "ones",
    "ones_like",
    "outer",
    "pad",
    "permute",
    "positive",
    "pow",
    "power",
    "prod",
    "ptp",
    "qr",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
    "range",
    "ravel",
    "reciprocal",
    "relu",
    "relu6",
    "remainder",
    "repeat_interleave",
    "reshape",
    "rint",
    "roll",
    "round",
    "rsqrt",
    "scatter",
    "scatter_add",
    "searchsorted",
    "seed",
    "select",
    "selu",
    "set_rng_state",
    "set_seed",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinh",
    "smooth_l1_loss",
    "softmax",
    "softmin",
    "softplus",
    "softsign",
    "solve",
    "sort",
    "split",
    "sqrt",
    "square",
    "squeeze",
    "stack",
    "standard_normal",
    "std",
    "sub",
    "subtract",
    "sum",
    "svd",
    "swapaxes",
    "take",
    "take_along_dim",
    "tan",
    "tanh",
    "tensor_scatter_update",
    "tensordot",
    "tile",
    "topk",
    "trace",
    "transpose",
    "tri",
    "tril",
    "triu",
    "true_divide",
    "trunc",
    "unbind",
    "uniform",
    "unique",
    "unsqueeze",
    "var",
    "view",
    "where",
    "zeros",
    "zeros_like",
]

def abs(input: TensorLike) -> Tensor:
    """Return the absolute value."""
def absolute(input: TensorLike) -> Tensor:
    """Return the absolute value."""
def acos(input: TensorLike) -> Tensor:
    """Return the arc cosine, in radians."""
def acosh(input: TensorLike) -> Tensor:
    """Return the inverse hyperbolic cosine."""
def add(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the sum."""
def addmm(
    input: TensorLike,
    mat1: TensorLike,
    mat2: TensorLike,
    *,
    beta: TensorLike = 1,
    alpha: TensorLike = 1,
) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2)."""
def all(
    input: TensorLike,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    dim: AxisLike | None = ...,
    dims: AxisLike | None = ...,
    keepdim: bool = ...,
    keep_dims: bool = ...,
) -> Tensor:
    """True where no element over `axis` is zero."""
def allclose(
    input: TensorLike,
    other: TensorLike,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
) -> bool:
    """Is `isclose` true everywhere?"""
def amax(
    input: TensorLike,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    dim: AxisLike | None = ...,
    dims: AxisLike | None = ...,
    keepdim: bool = ...,
    keep_dims: bool = ...,
) -> Tensor:
    """Greatest element over `axis`; NaN wins.  Raises ValueError when there is none."""
def amin(
    input: TensorLike,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    dim: AxisLike | None = ...,
    dims: AxisLike | None = ...,
    keepdim: bool = ...,
    keep_dims: bool = ...,
) -> Tensor:
    """Least element over `axis`; NaN wins.  Raises ValueError when there is none."""
def any(
    input: TensorLike,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    dim: AxisLike | None = ...,
    dims: AxisLike | None = ...,
    keepdim: bool = ...,
    keep_dims: bool = ...,
) -> Tensor:
    """True where one element over `axis` is non-zero."""
def arange(
    start: RealLike = 0,
    end: RealLike | None = None,
    step: RealLike = 1,
    *,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
) -> Tensor:
    """Numbers from `start` up to, not including, `end`; int64 for ints, else float32."""
def arccos(input: TensorLike) -> Tensor:
    """Return the arc cosine, in radians."""
def arccosh(input: TensorLike) -> Tensor:
    """Return the inverse hyperbolic cosine."""
def arcsin(input: TensorLike) -> Tensor:
    """Return the arc sine, in radians."""
def arcsinh(input: TensorLike) -> Tensor:
    """Return the inverse hyperbolic sine."""
def arctan(input: TensorLike) -> Tensor:
    """Return the arc tangent, in radians."""
def arctan2(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the angle of the point (other, input), in radians."""
def arctanh(input: TensorLike) -> Tensor:
    """Return the inverse hyperbolic tangent."""
def argmax(
    input: TensorLike,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    dim: AxisLike | None = ...,
    dims: AxisLike | None = ...,
    keepdim: bool = ...,
    keep_dims: bool = ...,
) -> Tensor:
    """Position (int64) of the first greatest element; without an axis, counted over all elements in C order."""
def argmin(
    input: TensorLike,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    dim: AxisLike | None = ...,
    dims: AxisLike | None = ...,
    keepdim: bool = ...,
    keep_dims: bool = ...,
) -> Tensor:
    """Position (int64) of the first least element; without an axis, counted over all elements in C order."""
def argsort(
    input: TensorLike,
    axis: SupportsIndex = -1,
    descending: bool = False,
    *,
    dim: SupportsIndex = ...,
    dims: SupportsIndex = ...,
) -> Tensor:
    """The positions (int64) that put the elements in order along `axis`."""
def argwhere(input: TensorLike) -> Tensor:
    """The same as `nonzero`."""
def asin(input: TensorLike) -> Tensor:
    """Return the arc sine, in radians."""
def asinh(input: TensorLike) -> Tensor:
    """Return the inverse hyperbolic sine."""
def atan(input: TensorLike) -> Tensor:
    """Return the arc tangent, in radians."""
def atan2(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the angle of the point (other, input), in radians."""
def atanh(input: TensorLike) -> Tensor:
    """Return the inverse hyperbolic tangent."""
def bernoulli(
    input: TensorLike,
    p: TensorLike = 0.5,
    seed: SupportsIndex | None = None,
) -> Tensor:
    """1 with probability p, else 0, in the shape and dtype of `input`; p is a number or a tensor that broadcasts to it."""
def binary_cross_entropy(
    logits: TensorLike,
    labels: TensorLike,
    weight: TensorLike | None = None,
    reduction: Reduction = 'mean',
) -> Tensor:
    """-(y * log(x) + (1 - y) * log(1 - x)) of probabilities x; logarithms count as at least -100."""
def binary_cross_entropy_with_logits(
    logits: TensorLike,
    label: TensorLike,
    weight: TensorLike | None = None,
    pos_weight: TensorLike | None = None,
    reduction: Reduction = 'mean',
) -> Tensor:
    """`binary_cross_entropy` of sigmoid(logits), without the loss of large ones."""
def bincount(
    input: TensorLike,
    weights: TensorLike | None = None,
    minlength: int = 0,
) -> Tensor:
    """How often each non-negative integer occurs, or the sum of its weights; waits for the tensor."""
def bitwise_and(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the bitwise and."""
def bitwise_invert(input: TensorLike) -> Tensor:
    """Return the number with every bit inverted; of a bool its negation."""
def bitwise_left_shift(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the first operand with its bits shifted left."""
def bitwise_not(input: TensorLike) -> Tensor:
    """Return the number with every bit inverted; of a bool its negation."""
def bitwise_or(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the bitwise or."""
def bitwise_right_shift(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the first operand with its bits shifted right; the sign stays."""
def bitwise_xor(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the bitwise exclusive or."""
def bmm(input: TensorLike, mat2: TensorLike) -> Tensor:
    """Products of two batches of matrices; their numbers must be equal."""
def broadcast_tensors(*tensors: TensorLike) -> list[Tensor]:
    """All tensors as they look in the shape that they broadcast to."""
@overload
def broadcast_to(input: TensorLike, shape: ShapeLike) -> Tensor: ...
@overload
def broadcast_to(input: TensorLike, *, size: ShapeLike) -> Tensor: ...
def cast(input: TensorLike, dtype: DTypeLike) -> Tensor:
    """The elements in another dtype, in a tensor of its own."""
def cat(
    tensors: Sequence[TensorLike],
    axis: SupportsIndex = 0,
    *,
    dim: SupportsIndex = ...,
    dims: SupportsIndex = ...,
) -> Tensor:
    """The same as `concat`."""
def ceil(input: TensorLike) -> Tensor:
    """Return the smallest whole number that is at least the element."""
def celu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1))."""
def cholesky(input: TensorLike, upper: bool = False) -> Tensor:
    """The triangular matrix L with L @ L.mT == input (conjugated, if complex); with `upper` its (conjugate) transpose."""
def chunk(
    input: TensorLike,
    chunks: SupportsIndex,
    axis: SupportsIndex = 0,
    *,
    dim: SupportsIndex = ...,
    dims: SupportsIndex = ...,
) -> tuple[Tensor, ...]:
    """At most `chunks` views of equal length along `axis`, the last one shorter."""
def clamp(
    input: TensorLike,
    min: TensorLike | None = None,
    max: TensorLike | None = None,
) -> Tensor:
    """Elements below `min` become `min`, those above `max` become `max`; either or both may be left out, NaN stays."""
def clip(
    input: TensorLike,
    min: TensorLike | None = None,
    max: TensorLike | None = None,
) -> Tensor:
    """The same as `clamp`."""
def concat(
    tensors: Sequence[TensorLike],
    axis: SupportsIndex = 0,
    *,
    dim: SupportsIndex = ...,
    dims: SupportsIndex = ...,
) -> Tensor:
    """Tensors one after the other along `axis`, in the dtype they promote to."""
def contiguous(input: TensorLike) -> Tensor:
    """The tensor itself if its elements lie in C order, else a copy in which they do."""
def cos(input: TensorLike) -> Tensor:
    """Return the cosine of an angle in radians."""
def cosh(input: TensorLike) -> Tensor:
    """Return the hyperbolic cosine."""
def cosine_similarity(
    x1: TensorLike,
    x2: TensorLike,
    axis: SupportsIndex = 1,
    eps: float = 1e-08,
    *,
    dim: SupportsIndex = ...,
    dims: SupportsIndex = ...,
) -> Tensor:
    """Cosine of the angle between vectors along `axis` of the shapes broadcast together; each norm counts as at least eps."""
def count_nonzero(
    input: TensorLike,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    dim: AxisLike | None = ...,
    dims: AxisLike | None = ...,
    keepdim: bool = ...,
    keep_dims: bool = ...,
) -> Tensor:
    """How many elements over `axis` are not zero (int64)."""
def cross_entropy(
    input: TensorLike,
    target: TensorLike,
    weight: TensorLike | None = None,
    ignore_index: int = -100,
    reduction: Reduction = 'mean',
    label_smoothing: float = 0.0,
) -> Tensor:
    """`nll_loss` of `log_softmax`; the target holds classes, or probabilities in the shape of the input."""
def cumprod(
    input: TensorLike,
    axis: AxisLike = 0,
    dtype: DTypeLike | None = None,
    *,
    dim: AxisLike = ...,
    dims: AxisLike = ...,
) -> Tensor:
    """Running product along `axis`; integers in 64 bits."""
def cumsum(
    input: TensorLike,
    axis: AxisLike = 0,
    dtype: DTypeLike | None = None,
    *,
    dim: AxisLike = ...,
    dims: AxisLike = ...,
) -> Tensor:
    """Running sum along `axis`; integers in 64 bits."""
def dense(input: TensorLike, weight: TensorLike, bias: TensorLike | None = None) -> Tensor:
    """The same as `linear`."""
def det(input: TensorLike) -> Tensor:
    """Determinants."""
def diag(input: TensorLike, k: SupportsIndex = 0) -> Tensor:
    """Zeros but for the elements of `input` on the diagonal: of a vector a matrix, of shape s a tensor of shape s + s."""
def diagonal(
    input: TensorLike,
    offset: SupportsIndex = 0,
    dim1: SupportsIndex = 0,
    dim2: SupportsIndex = 1,
) -> Tensor:
    """The diagonal of two dimensions, as the last dimension.  A view."""
def div(
    input: TensorLike,
    other: TensorLike,
    *,
    rounding_mode: Literal['floor', 'trunc'] | None = None,
) -> Tensor:
    """Quotient; with `rounding_mode` "floor" or "trunc" rounded down or towards zero, in the operands' dtype."""
def divide(
    input: TensorLike,
    other: TensorLike,
    *,
    rounding_mode: Literal['floor', 'trunc'] | None = None,
) -> Tensor:
    """Quotient; with `rounding_mode` "floor" or "trunc" rounded down or towards zero, in the operands' dtype."""
def dot(input: TensorLike, other: TensorLike) -> Tensor:
    """`numpy.dot`: over the last dimension of the first and the last but one (or only) of the second."""
def dropout(
    input: TensorLike,
    p: float = 0.5,
    training: bool = True,
    seed: SupportsIndex | None = None,
) -> Tensor:
    """Zeros with probability p, the rest divided by 1 - p; when not training, the input."""
def einsum(equation: str, *operands: TensorLike) -> Tensor:
    """Sums of products in Einstein's notation, as `numpy.einsum`."""
def elu(input_x: TensorLike, alpha: float = 1.0) -> Tensor:
    """input where it is positive, else alpha * (exp(input) - 1)."""
def embedding(input: TensorLike, weight: TensorLike) -> Tensor:
    """The rows of `weight` that the integers in `input` name; negative ones count from the end."""
def empty(
    *size: ShapeLike,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
) -> Tensor:
    """A tensor whose elements are whatever the memory holds; float32 by default."""
def empty_like(input: TensorLike, *, dtype: DTypeLike | None = None) -> Tensor:
    """Of the shape, device and (by default) dtype of `input`, with whatever the memory holds."""
def eq(input: TensorLike, other: TensorLike) -> Tensor:
    """Return True where the operands are equal."""
def equal(input: TensorLike, other: TensorLike) -> Tensor:
    """Return True where the operands are equal."""
def erf(input: TensorLike) -> Tensor:
    """Return the error function."""
def exp(input: TensorLike) -> Tensor:
    """Return e to the power of each element."""
def exp2(input: TensorLike) -> Tensor:
    """Return 2 to the power of each element."""
@overload
def expand(input: TensorLike, *size: ShapeLike) -> Tensor: ...
@overload
def expand(input: TensorLike, *, size: ShapeLike) -> Tensor: ...
@overload
def expand(input: TensorLike, *, shape: ShapeLike) -> Tensor: ...
@overload
def expand_dims(input: TensorLike, axis: AxisLike) -> Tensor: ...
@overload
def expand_dims(input: TensorLike, *, dim: AxisLike) -> Tensor: ...
@overload
def expand_dims(input: TensorLike, *, dims: AxisLike) -> Tensor: ...
def expm1(input: TensorLike) -> Tensor:
    """Return exp(input) - 1, accurate near 0."""
def eye(
    n: SupportsIndex,
    m: SupportsIndex | None = None,
    dtype: DTypeLike | None = None,
    *,
    device: DeviceLike | None = None,
) -> Tensor:
    """An n x m matrix with ones on the diagonal; float32 by default."""
def flatten(
    input: TensorLike,
    order: Literal['C', 'F'] = 'C',
    *,
    start_dim: SupportsIndex = 1,
    end_dim: SupportsIndex = -1,
) -> Tensor:
    """The dimensions from `start_dim` to `end_dim` as one; a batch stays one.  A view where it can be, else a copy."""
def flip(
    input: TensorLike,
    dims: AxisLike | None = None,
    *,
    axis: AxisLike | None = ...,
    dim: AxisLike | None = ...,
) -> Tensor:
    """Backwards along some dimensions (None: all).  A view."""
def floor(input: TensorLike) -> Tensor:
    """Return the largest whole number that is at most the element."""
def floor_divide(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the quotient, rounded down."""
def fmod(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the remainder of a division rounded towards zero; it has the dividend's sign."""
def full(
    size: ShapeLike,
    fill_value: TensorLike,
    *,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
) -> Tensor:
    """A tensor filled with a number, in the number's dtype by default: `full((2,), 3.)` is float32."""
def full_like(
    input: TensorLike,
    fill_value: TensorLike,
    *,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """Of the shape, device and (by default) dtype of `input`, filled with a number."""
@overload
def gather(input_params: TensorLike, input_indices: TensorLike, axis: SupportsIndex) -> Tensor: ...
@overload
def gather(
    input_params: TensorLike,
    input_indices: TensorLike,
    *,
    dim: SupportsIndex,
) -> Tensor: ...
@overload
def gather(
    input_params: TensorLike,
    input_indices: TensorLike,
    *,
    dims: SupportsIndex,
) -> Tensor: ...
@overload
def gather(input_params: TensorLike, *, index: TensorLike, axis: SupportsIndex) -> Tensor: ...
@overload
def gather(input_params: TensorLike, *, index: TensorLike, dim: SupportsIndex) -> Tensor: ...
@overload
def gather(input_params: TensorLike, *, index: TensorLike, dims: SupportsIndex) -> Tensor: ...
@overload
def gather(*, input: TensorLike, input_indices: TensorLike, axis: SupportsIndex) -> Tensor: ...
@overload
def gather(*, input: TensorLike, input_indices: TensorLike, dim: SupportsIndex) -> Tensor: ...
@overload
def gather(*, input: TensorLike, input_indices: TensorLike, dims: SupportsIndex) -> Tensor: ...
@overload
def gather(*, input: TensorLike, index: TensorLike, axis: SupportsIndex) -> Tensor: ...
@overload
def gather(*, input: TensorLike, index: TensorLike, dim: SupportsIndex) -> Tensor: ...
@overload
def gather(*, input: TensorLike, index: TensorLike, dims: SupportsIndex) -> Tensor: ...
@overload
def gather_d(x: TensorLike, dim: SupportsIndex, index: TensorLike) -> Tensor: ...
@overload
def gather_d(x: TensorLike, *, axis: SupportsIndex, index: TensorLike) -> Tensor: ...
@overload
def gather_d(x: TensorLike, *, dims: SupportsIndex, index: TensorLike) -> Tensor: ...
@overload
def gather_d(*, input: TensorLike, dim: SupportsIndex, index: TensorLike) -> Tensor: ...
@overload
def gather_d(*, input: TensorLike, axis: SupportsIndex, index: TensorLike) -> Tensor: ...
@overload
def gather_d(*, input: TensorLike, dims: SupportsIndex, index: TensorLike) -> Tensor: ...
@overload
def gather_elements(input: TensorLike, dim: SupportsIndex, index: TensorLike) -> Tensor: ...
@overload
def gather_elements(input: TensorLike, *, axis: SupportsIndex, index: TensorLike) -> Tensor: ...
@overload
def gather_elements(input: TensorLike, *, dims: SupportsIndex, index: TensorLike) -> Tensor: ...
def gather_nd(input_x: TensorLike, indices: TensorLike) -> Tensor:
    """The slices that the last dimension of `indices` names by coordinates."""
def ge(input: TensorLike, other: TensorLike) -> Tensor:
    """Return True where the first operand is greater or equal."""
def gelu(input: TensorLike, approximate: Literal['none', 'tanh'] = 'none') -> Tensor:
    """input * Phi(input), Phi the normal distribution (Hendrycks and Gimpel, 2016); "tanh": their approximation."""
def get_rng_state() -> tuple[int, int, int]:
    """What the next numbers depend on: key, number of the next draw, number of the next fork."""
def get_seed() -> int | None:
    """The seed that was set, or drawn at the first use; None before."""
def greater(input: TensorLike, other: TensorLike) -> Tensor:
    """Return True where the first operand is greater."""
def greater_equal(input: TensorLike, other: TensorLike) -> Tensor:
    """Return True where the first operand is greater or equal."""
def gt(input: TensorLike, other: TensorLike) -> Tensor:
    """Return True where the first operand is greater."""
def hardsigmoid(input: TensorLike) -> Tensor:
    """min(max(input + 3, 0), 6) / 6."""
def hardswish(input: TensorLike) -> Tensor:
    """input * hardsigmoid(input)."""
def hardtanh(input: TensorLike, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """Clamped to [min_val, max_val].  Raises ValueError when min_val is above max_val."""
def host_call(
    function: Callable[..., Any],
    inputs: Sequence[TensorLike],
    *,
    shape: ShapeLike,
    dtype: DTypeLike,
    name: str = '',
) -> Tensor:
    """Calls `function` on the stream, in order with the ops around it, and returns its result at once as a tensor."""
def hypot(input: TensorLike, other: TensorLike) -> Tensor:
    """Return sqrt(input**2 + other**2), without overflow in between."""
@overload
def index_add(x: TensorLike, indices: TensorLike, y: TensorLike, axis: SupportsIndex) -> Tensor: ...
@overload
def index_add(
    x: TensorLike,
    indices: TensorLike,
    y: TensorLike,
    *,
    dim: SupportsIndex,
) -> Tensor: ...
@overload
def index_add(
    x: TensorLike,
    indices: TensorLike,
    y: TensorLike,
    *,
    dims: SupportsIndex,
) -> Tensor: ...
@overload
def index_add(
    *,
    input: TensorLike,
    indices: TensorLike,
    y: TensorLike,
    axis: SupportsIndex,
) -> Tensor: ...
@overload
def index_add(
    *,
    input: TensorLike,
    indices: TensorLike,
    y: TensorLike,
    dim: SupportsIndex,
) -> Tensor: ...
@overload
def index_add(
    *,
    input: TensorLike,
    indices: TensorLike,
    y: TensorLike,
    dims: SupportsIndex,
) -> Tensor: ...
@overload
def index_select(input: TensorLike, axis: SupportsIndex, index: TensorLike) -> Tensor: ...
@overload
def index_select(input: TensorLike, *, dim: SupportsIndex, index: TensorLike) -> Tensor: ...
@overload
def index_select(input: TensorLike, *, dims: SupportsIndex, index: TensorLike) -> Tensor: ...
def initial_seed() -> int:
    """The seed that the numbers began with, drawn now if there was none; in a forked child its parent's."""
def inner(input: TensorLike, other: TensorLike) -> Tensor:
    """Sum of products over the last dimension of both."""
def inv(input: TensorLike) -> Tensor:
    """Return the reciprocal."""
def inverse(input: TensorLike) -> Tensor:
    """Inverse matrices.  LinAlgError where the result is read, when one is singular."""
def is_tensor(value: TensorLike) -> bool:
    """Is it a Tensor?"""
def isclose(
    input: TensorLike,
    other: TensorLike,
    rtol: float = 1e-05,
    atol: float = 1e-08,
    equal_nan: bool = False,
) -> Tensor:
    """True where |input - other| <= atol + rtol * |other|; infinities are close to themselves only."""
def isfinite(input: TensorLike) -> Tensor:
    """Return True where an element is neither infinite nor NaN."""
def isinf(input: TensorLike) -> Tensor:
    """Return True where an element is infinite."""
def isnan(input: TensorLike) -> Tensor:
    """Return True where an element is NaN."""
def kron(input: TensorLike, other: TensorLike) -> Tensor:
    """Kronecker product."""
def l1_loss(input: TensorLike, target: TensorLike, reduction: Reduction = 'mean') -> Tensor:
    """|input - target|."""
def layer_norm(
    input: TensorLike,
    normalized_shape: ShapeLike,
    weight: TensorLike | None = None,
    bias: TensorLike | None = None,
    eps: float = 1e-05,
) -> Tensor:
    """(input - mean) / sqrt(var + eps) over the last dimensions, times `weight`, plus `bias` (Ba et al., 2016)."""
def le(input: TensorLike, other: TensorLike) -> Tensor:
    """Return True where the first operand is less or equal."""
def leaky_relu(input: TensorLike, alpha: float = 0.2) -> Tensor:
    """input where it is positive, else alpha * input."""
def lerp(input: TensorLike, end: TensorLike, weight: TensorLike) -> Tensor:
    """Interpolate linearly: return input + weight * (end - input)."""
def less(input: TensorLike, other: TensorLike) -> Tensor:
    """Return True where the first operand is less."""
def less_equal(input: TensorLike, other: TensorLike) -> Tensor:
    """Return True where the first operand is less or equal."""
def linear(x: TensorLike, w: TensorLike, b: TensorLike | None = None) -> Tensor:
    """x @ w.T + b, the weight of shape (out, in)."""
def linspace(
    start: RealLike,
    end: RealLike,
    steps: SupportsIndex,
    *,
    dtype: DTypeLike | None = None,
    device: DeviceLike | None = None,
) -> Tensor:
    """`steps` numbers at equal distances from `start` to `end`, both included; float32 by default."""
def log(input: TensorLike) -> Tensor:
    """Return the natural logarithm."""
def log10(input: TensorLike) -> Tensor:
    """Return the logarithm to base 10."""
def log1p(input: TensorLike) -> Tensor:
    """Return log(1 + input), accurate near 0."""
def log2(input: TensorLike) -> Tensor:
    """Return the logarithm to base 2."""
def log_softmax(
    input: TensorLike,
    axis: SupportsIndex = -1,
    *,
    dim: SupportsIndex = ...,
    dims: SupportsIndex = ...,
) -> Tensor:
    """log(softmax(input)), computed without the detour."""
def logical_and(input: TensorLike, other: TensorLike) -> Tensor:
    """Return True where both operands are non-zero."""
def logical_not(input: TensorLike) -> Tensor:
    """Return True where an element is zero."""
def logical_or(input: TensorLike, other: TensorLike) -> Tensor:
    """Return True where at least one operand is non-zero."""
def logical_xor(input: TensorLike, other: TensorLike) -> Tensor:
    """Return True where exactly one operand is non-zero."""
def logsigmoid(x: TensorLike) -> Tensor:
    """log(sigmoid(x)), without the loss of small ones: min(x, 0) - log(1 + exp(-|x|))."""
def logspace(
    start: RealLike,
    end: RealLike,
    steps: SupportsIndex,
    base: float = 10,
    *,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """`base` to the powers that `linspace(start, end, steps)` gives."""
def logsumexp(
    input: TensorLike,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    dim: AxisLike | None = ...,
    dims: AxisLike | None = ...,
    keepdim: bool = ...,
    keep_dims: bool = ...,
) -> Tensor:
    """log(sum(exp(input))) without overflow: the greatest element is taken out first.  Of no elements: -inf."""
def lt(input: TensorLike, other: TensorLike) -> Tensor:
    """Return True where the first operand is less."""
def manual_seed(seed: SupportsIndex) -> None:
    """The same as `set_seed`."""
@overload
def masked_fill(input_x: TensorLike, mask: TensorLike, value: TensorLike) -> Tensor: ...
@overload
def masked_fill(*, input: TensorLike, mask: TensorLike, value: TensorLike) -> Tensor: ...
def masked_select(input: TensorLike, mask: TensorLike) -> Tensor:
    """The elements where the mask (broadcast to the tensor, or the tensor to it) is True, in one dimension.  Waits for the mask."""
def matmul(input: TensorLike, other: TensorLike) -> Tensor:
    """Matrix product, as `numpy.matmul`: vectors stand for a row or a column, dimensions ahead of the last two broadcast."""
def max(
    input: TensorLike,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    dim: AxisLike | None = ...,
    dims: AxisLike | None = ...,
    keepdim: bool = ...,
    keep_dims: bool = ...,
) -> tuple[Tensor, Tensor]:
    """(values, positions) of the greatest elements; the method `t.max()` gives the values only."""
def maximum(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the larger of two numbers; NaN if one is NaN."""
def mean(
    input: TensorLike,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    dtype: DTypeLike | None = None,
    dim: AxisLike | None = ...,
    dims: AxisLike | None = ...,
    keepdim: bool = ...,
    keep_dims: bool = ...,
) -> Tensor:
    """Arithmetic mean over `axis`, a float also for integers.  Of no elements: NaN."""
def median(
    input: TensorLike,
    axis: SupportsIndex | None = -1,
    keepdims: bool = False,
    *,
    dim: SupportsIndex | None = ...,
    dims: SupportsIndex | None = ...,
    keepdim: bool = ...,
    keep_dims: bool = ...,
) -> tuple[Tensor, Tensor]:
    """(the middle elements along `axis`, their positions as int64): the lower of two middle ones; NaN wins."""
def meshgrid(*inputs: TensorLike, indexing: Literal['xy', 'ij'] = 'xy') -> tuple[Tensor, ...]:
    """Coordinate grids of vectors, as `numpy.meshgrid`: with "xy" the first two dimensions are swapped.  Views."""
def min(
    input: TensorLike,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    dim: AxisLike | None = ...,
    dims: AxisLike | None = ...,
    keepdim: bool = ...,
    keep_dims: bool = ...,
) -> tuple[Tensor, Tensor]:
    """(values, positions) of the least elements; the method `t.min()` gives the values only."""
def minimum(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the smaller of two numbers; NaN if one is NaN."""
def mish(input: TensorLike) -> Tensor:
    """input * tanh(softplus(input))."""
def mm(input: TensorLike, mat2: TensorLike) -> Tensor:
    """Product of two matrices."""
def moveaxis(input: TensorLike, source: AxisLike, destination: AxisLike) -> Tensor:
    """Dimensions move to other places, the rest keep their order.  A view."""
def mse_loss(input: TensorLike, target: TensorLike, reduction: Reduction = 'mean') -> Tensor:
    """(input - target) squared."""
def mul(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the product."""
def multinomial(
    input: TensorLike,
    num_samples: SupportsIndex,
    replacement: bool = True,
    seed: SupportsIndex | None = None,
) -> Tensor:
    """Positions (int64) drawn with the weights in the last dimension of `input`."""
def multiply(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the product."""
def mv(input: TensorLike, vec: TensorLike) -> Tensor:
    """Product of a matrix and a vector."""
def nan_to_num(
    input: TensorLike,
    nan: float = 0.0,
    posinf: float | None = None,
    neginf: float | None = None,
) -> Tensor:
    """NaN and infinities replaced: by `nan`, and by the dtype's largest and least number unless others are given."""
def ne(input: TensorLike, other: TensorLike) -> Tensor:
    """Return True where the operands differ."""
def neg(input: TensorLike) -> Tensor:
    """Return the number with the opposite sign."""
def negative(input: TensorLike) -> Tensor:
    """Return the number with the opposite sign."""
def nll_loss(
    inputs: TensorLike,
    target: TensorLike,
    weight: TensorLike | None = None,
    ignore_index: int = -100,
    reduction: Reduction = 'mean',
) -> Tensor:
    """Minus the log-probability of the target's class; with `weight`, a weighted mean over the classes."""
@overload
def nonzero(input: TensorLike, *, as_tuple: Literal[False]=False) -> Tensor: ...
@overload
def nonzero(input: TensorLike, *, as_tuple: Literal[True]) -> tuple[Tensor, ...]: ...
@overload
def norm(
    A: TensorLike,
    ord: float | str | None = None,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    dim: AxisLike | None = ...,
    dims: AxisLike | None = ...,
    keepdim: bool = ...,
    keep_dims: bool = ...,
) -> Tensor: ...
@overload
def norm(
    *,
    input: TensorLike,
    ord: float | str | None = None,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    dim: AxisLike | None = ...,
    dims: AxisLike | None = ...,
    keepdim: bool = ...,
    keep_dims: bool = ...,
) -> Tensor: ...
def normal(
    shape: ShapeLike,
    mean: TensorLike = 0.0,
    stddev: TensorLike = 1.0,
    seed: SupportsIndex | None = None,
) -> Tensor:
    """Normal numbers (float32), one drawn for each place of `shape`, `mean` and `stddev` broadcast together."""
def normalize(
    input: TensorLike,
    p: float = 2.0,
    axis: SupportsIndex = 1,
    eps: float = 1e-12,
    *,
    dim: SupportsIndex = ...,
    dims: SupportsIndex = ...,
) -> Tensor:
    """Divided by its p-norm along `axis`, which counts as at least eps."""
def not_equal(input: TensorLike, other: TensorLike) -> Tensor:
    """Return True where the operands differ."""
def one_hot(
    indices: TensorLike,
    depth: SupportsIndex,
    on_value: TensorLike = 1,
    off_value: TensorLike = 0,
    axis: SupportsIndex = -1,
    *,
    dim: SupportsIndex = ...,
    dims: SupportsIndex = ...,
) -> Tensor:
    """`on_value` at the position that each index names along a new dimension of length `depth`, `off_value` elsewhere."""
def ones(
    size: ShapeLike,
    dtype: DTypeLike | None = None,
    *,
    device: DeviceLike | None = None,
) -> Tensor:
    """A tensor of ones; float32 by default."""
def ones_like(input: TensorLike, *, dtype: DTypeLike | None = None) -> Tensor:
    """Ones of the shape, device and (by default) dtype of `input`."""
def outer(input: TensorLike, vec2: TensorLike) -> Tensor:
    """Every element of one vector times every element of another: a matrix."""
def pad(
    input: TensorLike,
    padding: ShapeLike,
    mode: Literal['constant', 'reflect', 'replicate', 'edge', 'circular'] = 'constant',
    value: TensorLike = 0,
) -> Tensor:
    """More elements around: `padding` is (before, after) of the last dimension, then of the one before it, and so on."""
@overload
def permute(input: TensorLike, *axis: AxisLike) -> Tensor: ...
@overload
def permute(input: TensorLike, *, axis: AxisLike) -> Tensor: ...
@overload
def permute(input: TensorLike, *, dims: AxisLike) -> Tensor: ...
@overload
def permute(input: TensorLike, *, axes: AxisLike) -> Tensor: ...
def positive(input: TensorLike) -> Tensor:
    """Return the number itself, in new memory."""
def pow(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the first operand to the power of the second."""
def power(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the first operand to the power of the second."""
def prod(
    input: TensorLike,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    dtype: DTypeLike | None = None,
    dim: AxisLike | None = ...,
    dims: AxisLike | None = ...,
    keepdim: bool = ...,
    keep_dims: bool = ...,
) -> Tensor:
    """Product over `axis`.  Of no elements: 1."""
def ptp(
    input: TensorLike,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    dim: AxisLike | None = ...,
    dims: AxisLike | None = ...,
    keepdim: bool = ...,
    keep_dims: bool = ...,
) -> Tensor:
    """Greatest less least element."""
def qr(input: Any) -> tuple[Tensor, Tensor]:
    """(Q with orthonormal columns, R upper triangular) with Q @ R == input."""
def rand(
    *size: ShapeLike,
    dtype: DTypeLike | None = None,
    seed: SupportsIndex | None = None,
) -> Tensor:
    """Uniform numbers from [0, 1); float32 by default."""
def rand_like(
    input: TensorLike,
    *,
    dtype: DTypeLike | None = None,
    seed: SupportsIndex | None = None,
) -> Tensor:
    """`rand` in the shape, on the device and (by default) of the dtype of `input`."""
def randint(
    low: SupportsIndex,
    high: SupportsIndex,
    size: ShapeLike,
    *,
    dtype: DTypeLike | None = None,
    seed: SupportsIndex | None = None,
) -> Tensor:
    """Integers from `low` up to, not including, `high`; int64 by default."""
def randint_like(
    input: TensorLike,
    low: SupportsIndex,
    high: SupportsIndex,
    *,
    dtype: DTypeLike | None = None,
    seed: SupportsIndex | None = None,
) -> Tensor:
    """`randint` in the shape, on the device and (by default) of the dtype of `input`."""
def randn(
    *size: ShapeLike,
    dtype: DTypeLike | None = None,
    seed: SupportsIndex | None = None,
) -> Tensor:
    """Normal numbers of mean 0 and deviation 1; float32 by default."""
def randn_like(
    input: TensorLike,
    *,
    dtype: DTypeLike | None = None,
    seed: SupportsIndex | None = None,
) -> Tensor:
    """`randn` in the shape, on the device and (by default) of the dtype of `input`."""
def randperm(
    n: SupportsIndex,
    *,
    seed: SupportsIndex | None = None,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """The integers from 0 to n - 1 in random order; int64 by default."""
def range(start: RealLike, end: RealLike | None = None, step: RealLike = 1) -> Tensor:
    """The same as `arange`."""
def ravel(input: TensorLike) -> Tensor:
    """All elements in one dimension."""
def reciprocal(input: TensorLike) -> Tensor:
    """Return the reciprocal."""
def relu(input: TensorLike) -> Tensor:
    """max(input, 0)."""
def relu6(input: TensorLike) -> Tensor:
    """min(max(input, 0), 6)."""
def remainder(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the remainder of floor_divide; it has the divisor's sign."""
def repeat_interleave(
    input: TensorLike,
    repeats: ShapeLike,
    axis: SupportsIndex | None = None,
    *,
    dim: SupportsIndex | None = ...,
    dims: SupportsIndex | None = ...,
) -> Tensor:
    """Each element along `axis` (None: of all) `repeats` times in a row; `repeats` an int or one for each element."""
@overload
def reshape(input: TensorLike, *shape: ShapeLike) -> Tensor: ...
@overload
def reshape(input: TensorLike, *, shape: ShapeLike) -> Tensor: ...
def rint(input: TensorLike) -> Tensor:
    """Return the nearest whole number; round halves to even."""
def roll(
    input: TensorLike,
    shifts: ShapeLike,
    dims: AxisLike | None = None,
    *,
    axis: AxisLike | None = ...,
    dim: AxisLike | None = ...,
) -> Tensor:
    """The elements moved along `dims` by `shifts`, those that fall off coming in at the other end; without dims, flattened."""
def round(input: TensorLike, *, decimals: int = 0) -> Tensor:
    """Rounds to `decimals` places, halves to even, as NumPy does."""
def rsqrt(input: TensorLike) -> Tensor:
    """Return the reciprocal of the square root."""
@overload
def scatter(
    input: TensorLike,
    axis: SupportsIndex,
    index: TensorLike,
    src: TensorLike,
) -> Tensor: ...
@overload
def scatter(
    input: TensorLike,
    *,
    dim: SupportsIndex,
    index: TensorLike,
    src: TensorLike,
) -> Tensor: ...
@overload
def scatter(
    input: TensorLike,
    *,
    dims: SupportsIndex,
    index: TensorLike,
    src: TensorLike,
) -> Tensor: ...
@overload
def scatter_add(
    input: TensorLike,
    axis: SupportsIndex,
    index: TensorLike,
    src: TensorLike,
) -> Tensor: ...
@overload
def scatter_add(
    input: TensorLike,
    *,
    dim: SupportsIndex,
    index: TensorLike,
    src: TensorLike,
) -> Tensor: ...
@overload
def scatter_add(
    input: TensorLike,
    *,
    dims: SupportsIndex,
    index: TensorLike,
    src: TensorLike,
) -> Tensor: ...
def searchsorted(
    sorted_sequence: TensorLike,
    values: TensorLike,
    *,
    right: bool = False,
) -> Tensor:
    """For each value the position (int64) at which it would be put into a sorted vector; `right`: after equal ones."""
def seed() -> int:
    """Begins anew with a seed from the operating system, and returns it."""
def select(condition: TensorLike, input: TensorLike, other: TensorLike) -> Tensor:
    """The same as `where`."""
def selu(input_x: TensorLike) -> Tensor:
    """scale * elu(input, alpha), with the constants of Klambauer et al., Self-Normalizing Neural Networks (2017)."""
def set_rng_state(state: Sequence[int]) -> None:
    """Goes on from a state that `get_rng_state` gave.  Raises TypeError or ValueError when it can't be one."""
def set_seed(seed: SupportsIndex) -> None:
    """Begins anew with a seed: the same calls draw the same numbers."""
def sigmoid(input: TensorLike) -> Tensor:
    """Return the logistic function, 1 / (1 + exp(-input))."""
def sign(input: TensorLike) -> Tensor:
    """Return -1, 0 or 1 for the sign of a number; NaN stays NaN."""
def silu(input: TensorLike) -> Tensor:
    """input * sigmoid(input)."""
def sin(input: TensorLike) -> Tensor:
    """Return the sine of an angle in radians."""
def sinh(input: TensorLike) -> Tensor:
    """Return the hyperbolic sine."""
def smooth_l1_loss(
    input: TensorLike,
    target: TensorLike,
    beta: float = 1.0,
    reduction: Reduction = 'none',
) -> Tensor:
    """Half the square divided by beta where |input - target| is below beta, else |input - target| - beta / 2."""
def softmax(
    input: TensorLike,
    axis: SupportsIndex = -1,
    *,
    dim: SupportsIndex = ...,
    dims: SupportsIndex = ...,
) -> Tensor:
    """exp(input) divided by its sum along `axis`; the greatest element is taken out first, so that nothing overflows."""
def softmin(
    input: TensorLike,
    axis: SupportsIndex = -1,
    *,
    dim: SupportsIndex = ...,
    dims: SupportsIndex = ...,
) -> Tensor:
    """softmax(-input)."""
def softplus(input: TensorLike, beta: float = 1, threshold: float = 20) -> Tensor:
    """log(1 + exp(beta * input)) / beta; the input itself where beta * input is above the threshold."""
def softsign(x: TensorLike) -> Tensor:
    """x / (1 + |x|)."""
def solve(A: TensorLike, B: TensorLike) -> Tensor:
    """X with A @ X == B; a B of one dimension is a vector."""
def sort(
    input: TensorLike,
    axis: SupportsIndex = -1,
    descending: bool = False,
    *,
    dim: SupportsIndex = ...,
    dims: SupportsIndex = ...,
) -> tuple[Tensor, Tensor]:
    """(elements in order along `axis`, their former positions as int64); equal ones keep their order, NaN is the largest."""
def split(
    tensor: TensorLike,
    split_size_or_sections: int | Sequence[int],
    axis: SupportsIndex = 0,
    *,
    dim: SupportsIndex = ...,
    dims: SupportsIndex = ...,
) -> tuple[Tensor, ...]:
    """Views of pieces along `axis`: of one length (the last may be shorter), or of the lengths given."""
def sqrt(input: TensorLike) -> Tensor:
    """Return the square root; of a negative number NaN."""
def square(input: TensorLike) -> Tensor:
    """Return the square."""
def squeeze(
    input: TensorLike,
    axis: AxisLike | None = None,
    *,
    dim: AxisLike | None = ...,
    dims: AxisLike | None = ...,
) -> Tensor:
    """Without the dimensions of length 1: all of them (None or ()), or those named.  A view."""
def stack(
    tensors: Sequence[TensorLike],
    axis: SupportsIndex = 0,
    *,
    dim: SupportsIndex = ...,
    dims: SupportsIndex = ...,
) -> Tensor:
    """Tensors of one shape along a new dimension."""
def standard_normal(shape: ShapeLike, seed: SupportsIndex | None = None) -> Tensor:
    """The same as `randn`."""
def std(
    input: TensorLike,
    axis: AxisLike | None = None,
    ddof: int = 0,
    keepdims: bool = False,
    *,
    dim: AxisLike | None = ...,
    dims: AxisLike | None = ...,
    keepdim: bool = ...,
    keep_dims: bool = ...,
) -> Tensor:
    """Standard deviation over `axis`: the square root of `var`."""
def sub(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the difference."""
def subtract(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the difference."""
def sum(
    input: TensorLike,
    axis: AxisLike | None = None,
    keepdims: bool = False,
    *,
    dtype: DTypeLike | None = None,
    dim: AxisLike | None = ...,
    dims: AxisLike | None = ...,
    keepdim: bool = ...,
    keep_dims: bool = ...,
) -> Tensor:
    """Sum over `axis` (None: all; an int or several)."""
def svd(input: TensorLike) -> tuple[Tensor, Tensor, Tensor]:
    """(S, U, V) with U @ diag(S) @ V.mT == input; the singular values in S descend."""
def swapaxes(input: TensorLike, axis0: SupportsIndex, axis1: SupportsIndex) -> Tensor:
    """Two dimensions change places.  A view."""
def take(
    input: TensorLike,
    indices: TensorLike,
    axis: SupportsIndex | None = None,
    *,
    dim: SupportsIndex | None = ...,
    dims: SupportsIndex | None = ...,
) -> Tensor:
    """`gather`; without an axis from the flattened tensor."""
@overload
def take_along_dim(input: TensorLike, indices: TensorLike, dim: SupportsIndex) -> Tensor: ...
@overload
def take_along_dim(input: TensorLike, indices: TensorLike, *, axis: SupportsIndex) -> Tensor: ...
@overload
def take_along_dim(input: TensorLike, indices: TensorLike, *, dims: SupportsIndex) -> Tensor: ...
def tan(input: TensorLike) -> Tensor:
    """Return the tangent of an angle in radians."""
def tanh(input: TensorLike) -> Tensor:
    """Return the hyperbolic tangent."""
def tensor_scatter_update(
    input_x: TensorLike,
    indices: TensorLike,
    updates: TensorLike,
) -> Tensor:
    """A copy of `input_x` with `updates` at the coordinates that the last dimension of `indices` holds."""
def tensordot(x1: TensorLike, x2: TensorLike, axes: int | Sequence[AxisLike] = 2) -> Tensor:
    """Sum of products over some dimensions of both: the last of one and the first of the other, or a pair of lists."""
@overload
def tile(input: TensorLike, dims: AxisLike) -> Tensor: ...
@overload
def tile(input: TensorLike, *, reps: AxisLike) -> Tensor: ...
@overload
def tile(input: TensorLike, *, multiples: AxisLike) -> Tensor: ...
def topk(
    input: TensorLike,
    k: SupportsIndex,
    axis: SupportsIndex = -1,
    largest: bool = True,
    sorted: bool = True,
    *,
    dim: SupportsIndex = ...,
    dims: SupportsIndex = ...,
) -> tuple[Tensor, Tensor]:
    """(the k largest or smallest elements along `axis`, their positions as int64), in order."""
def trace(input: TensorLike) -> Tensor:
    """Sum of the diagonal of the first two dimensions."""
@overload
def transpose(input: TensorLike, *axes: AxisLike | None) -> Tensor: ...
@overload
def transpose(input: TensorLike, *, axes: AxisLike | None) -> Tensor: ...
@overload
def transpose(input: TensorLike, *, axis: AxisLike | None) -> Tensor: ...
@overload
def transpose(input: TensorLike, *, perm: AxisLike | None) -> Tensor: ...
@overload
def transpose(input: TensorLike, *, input_perm: AxisLike | None) -> Tensor: ...
def tri(
    n: SupportsIndex,
    m: SupportsIndex | None = None,
    k: SupportsIndex = 0,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """An n x m matrix with ones at and below diagonal k."""
def tril(input: TensorLike, diagonal: SupportsIndex = 0) -> Tensor:
    """The elements on and below a diagonal of the last two dimensions, zeros above."""
def triu(input: TensorLike, diagonal: SupportsIndex = 0) -> Tensor:
    """The elements on and above a diagonal of the last two dimensions, zeros below."""
def true_divide(input: TensorLike, other: TensorLike) -> Tensor:
    """Return the quotient, as a float or complex number."""
def trunc(input: TensorLike) -> Tensor:
    """Return the number without its fraction."""
def unbind(
    input: TensorLike,
    dim: SupportsIndex = 0,
    *,
    axis: SupportsIndex = ...,
    dims: SupportsIndex = ...,
) -> tuple[Tensor, ...]:
    """Views of all that lies along `dim`, one by one, without that dimension."""
def uniform(
    shape: ShapeLike,
    minval: TensorLike = 0.0,
    maxval: TensorLike = 1.0,
    seed: SupportsIndex | None = None,
    dtype: DTypeLike | None = None,
) -> Tensor:
    """Uniform numbers from minval up to maxval (which rounding may give, as in NumPy); with an integer dtype integers below it."""
@overload
def unique(input: TensorLike, return_inverse: Literal[True]=True) -> tuple[Tensor, Tensor]: ...
@overload
def unique(input: TensorLike, return_inverse: Literal[False]) -> Tensor: ...
@overload
def unsqueeze(input: TensorLike, dim: SupportsIndex) -> Tensor: ...
@overload
def unsqueeze(input: TensorLike, *, axis: SupportsIndex) -> Tensor: ...
@overload
def unsqueeze(input: TensorLike, *, dims: SupportsIndex) -> Tensor: ...
def var(
    input: TensorLike,
    axis: AxisLike | None = None,
    ddof: int = 0,
    keepdims: bool = False,
    *,
    dim: AxisLike | None = ...,
    dims: AxisLike | None = ...,
    keepdim: bool = ...,
    keep_dims: bool = ...,
) -> Tensor:
    """Variance over `axis`: the squared distances from the mean, summed, by N - ddof."""
@overload
def view(input: TensorLike, *shape: ShapeLike) -> Tensor: ...
@overload
def view(input: TensorLike, *, shape: ShapeLike) -> Tensor: ...
@overload
def view(input: TensorLike, *, size: ShapeLike) -> Tensor: ...
def where(condition: TensorLike, input: TensorLike, other: TensorLike) -> Tensor:
    """Return `input` where the condition holds, and `other` elsewhere."""
def zeros(
    size: ShapeLike,
    dtype: DTypeLike | None = None,
    *,
    device: DeviceLike | None = None,
) -> Tensor:
    """A tensor of zeros; float32 by default."""
def zeros_like(input: TensorLike, *, dtype: DTypeLike | None = None) -> Tensor:
    """Zeros of the shape, device and (by default) dtype of `input`."""
