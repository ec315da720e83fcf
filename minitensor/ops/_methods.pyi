"""The methods that the ops give to Tensor.  Made by docs/stubs.py: change the functions, and run it."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, SupportsIndex, overload

from typing_extensions import Self

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

class TensorMethods:
    def __abs__(self) -> Tensor: ...
    def __neg__(self) -> Tensor: ...
    def __pos__(self) -> Tensor: ...
    def __invert__(self) -> Tensor: ...
    def __add__(self, other: Operand) -> Tensor: ...
    def __radd__(self, other: Operand) -> Tensor: ...
    def __iadd__(self, other: Operand) -> Self: ...
    def __sub__(self, other: Operand) -> Tensor: ...
    def __rsub__(self, other: Operand) -> Tensor: ...
    def __isub__(self, other: Operand) -> Self: ...
    def __mul__(self, other: Operand) -> Tensor: ...
    def __rmul__(self, other: Operand) -> Tensor: ...
    def __imul__(self, other: Operand) -> Self: ...
    def __truediv__(self, other: Operand) -> Tensor: ...
    def __rtruediv__(self, other: Operand) -> Tensor: ...
    def __itruediv__(self, other: Operand) -> Self: ...
    def __floordiv__(self, other: Operand) -> Tensor: ...
    def __rfloordiv__(self, other: Operand) -> Tensor: ...
    def __ifloordiv__(self, other: Operand) -> Self: ...
    def __mod__(self, other: Operand) -> Tensor: ...
    def __rmod__(self, other: Operand) -> Tensor: ...
    def __imod__(self, other: Operand) -> Self: ...
    def __pow__(self, other: Operand) -> Tensor: ...
    def __rpow__(self, other: Operand) -> Tensor: ...
    def __ipow__(self, other: Operand) -> Self: ...
    def __eq__(self, other: object) -> Tensor: ...  # type: ignore[override]
    def __ne__(self, other: object) -> Tensor: ...  # type: ignore[override]
    def __lt__(self, other: Operand) -> Tensor: ...
    def __le__(self, other: Operand) -> Tensor: ...
    def __gt__(self, other: Operand) -> Tensor: ...
    def __ge__(self, other: Operand) -> Tensor: ...
    def __and__(self, other: Operand) -> Tensor: ...
    def __rand__(self, other: Operand) -> Tensor: ...
    def __iand__(self, other: Operand) -> Self: ...
    def __or__(self, other: Operand) -> Tensor: ...
    def __ror__(self, other: Operand) -> Tensor: ...
    def __ior__(self, other: Operand) -> Self: ...
    def __xor__(self, other: Operand) -> Tensor: ...
    def __rxor__(self, other: Operand) -> Tensor: ...
    def __ixor__(self, other: Operand) -> Self: ...
    def __lshift__(self, other: Operand) -> Tensor: ...
    def __rlshift__(self, other: Operand) -> Tensor: ...
    def __ilshift__(self, other: Operand) -> Self: ...
    def __rshift__(self, other: Operand) -> Tensor: ...
    def __rrshift__(self, other: Operand) -> Tensor: ...
    def __irshift__(self, other: Operand) -> Self: ...
    def __divmod__(self, other: Operand) -> tuple[Tensor, Tensor]: ...
    def __round__(self, ndigits: int | None = 0) -> Tensor: ...
    def __matmul__(self, other: Operand) -> Tensor: ...
    def __rmatmul__(self, other: Operand) -> Tensor: ...
    def __imatmul__(self, other: Operand) -> Self: ...
    def __getitem__(self, key: IndexLike) -> Tensor: ...
    def __setitem__(self, key: IndexLike, value: TensorLike) -> None: ...
    def where(self, condition: TensorLike, other: TensorLike) -> Tensor: ...
    @property
    def T(self) -> Tensor: ...
    @property
    def mT(self) -> Tensor: ...
    def abs(self) -> Tensor:
        """Return the absolute value."""
    def absolute(self) -> Tensor:
        """Return the absolute value."""
    def acos(self) -> Tensor:
        """Return the arc cosine, in radians."""
    def acosh(self) -> Tensor:
        """Return the inverse hyperbolic cosine."""
    def add(self, other: TensorLike) -> Tensor:
        """Return the sum."""
    def addmm(
        self,
        mat1: TensorLike,
        mat2: TensorLike,
        *,
        beta: TensorLike = 1,
        alpha: TensorLike = 1,
    ) -> Tensor:
        """beta * input + alpha * (mat1 @ mat2)."""
    def all(
        self,
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
        self,
        other: TensorLike,
        rtol: float = 1e-05,
        atol: float = 1e-08,
        equal_nan: bool = False,
    ) -> bool:
        """Is `isclose` true everywhere?"""
    def amax(
        self,
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
        self,
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
        self,
        axis: AxisLike | None = None,
        keepdims: bool = False,
        *,
        dim: AxisLike | None = ...,
        dims: AxisLike | None = ...,
        keepdim: bool = ...,
        keep_dims: bool = ...,
    ) -> Tensor:
        """True where one element over `axis` is non-zero."""
    def arccos(self) -> Tensor:
        """Return the arc cosine, in radians."""
    def arccosh(self) -> Tensor:
        """Return the inverse hyperbolic cosine."""
    def arcsin(self) -> Tensor:
        """Return the arc sine, in radians."""
    def arcsinh(self) -> Tensor:
        """Return the inverse hyperbolic sine."""
    def arctan(self) -> Tensor:
        """Return the arc tangent, in radians."""
    def arctan2(self, other: TensorLike) -> Tensor:
        """Return the angle of the point (other, input), in radians."""
    def arctanh(self) -> Tensor:
        """Return the inverse hyperbolic tangent."""
    def argmax(
        self,
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
        self,
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
        self,
        axis: SupportsIndex = -1,
        descending: bool = False,
        *,
        dim: SupportsIndex = ...,
        dims: SupportsIndex = ...,
    ) -> Tensor:
        """The positions (int64) that put the elements in order along `axis`."""
    def argwhere(self) -> Tensor:
        """The same as `nonzero`."""
    def asin(self) -> Tensor:
        """Return the arc sine, in radians."""
    def asinh(self) -> Tensor:
        """Return the inverse hyperbolic sine."""
    def astype(self, dtype: DTypeLike, copy: bool = True) -> Tensor:
        """The tensor in another dtype; with `copy=False` itself when it has that dtype already."""
    def atan(self) -> Tensor:
        """Return the arc tangent, in radians."""
    def atan2(self, other: TensorLike) -> Tensor:
        """Return the angle of the point (other, input), in radians."""
    def atanh(self) -> Tensor:
        """Return the inverse hyperbolic tangent."""
    def bernoulli(self, p: TensorLike = 0.5, seed: SupportsIndex | None = None) -> Tensor:
        """1 with probability p, else 0, in the shape and dtype of `input`; p is a number or a tensor that broadcasts to it."""
    def bitwise_and(self, other: TensorLike) -> Tensor:
        """Return the bitwise and."""
    def bitwise_invert(self) -> Tensor:
        """Return the number with every bit inverted; of a bool its negation."""
    def bitwise_left_shift(self, other: TensorLike) -> Tensor:
        """Return the first operand with its bits shifted left."""
    def bitwise_not(self) -> Tensor:
        """Return the number with every bit inverted; of a bool its negation."""
    def bitwise_or(self, other: TensorLike) -> Tensor:
        """Return the bitwise or."""
    def bitwise_right_shift(self, other: TensorLike) -> Tensor:
        """Return the first operand with its bits shifted right; the sign stays."""
    def bitwise_xor(self, other: TensorLike) -> Tensor:
        """Return the bitwise exclusive or."""
    def bmm(self, mat2: TensorLike) -> Tensor:
        """Products of two batches of matrices; their numbers must be equal."""
    @overload
    def broadcast_to(self, shape: ShapeLike) -> Tensor: ...
    @overload
    def broadcast_to(self, *, size: ShapeLike) -> Tensor: ...
    def cast(self, dtype: DTypeLike) -> Tensor:
        """The elements in another dtype, in a tensor of its own."""
    def ceil(self) -> Tensor:
        """Return the smallest whole number that is at least the element."""
    def cholesky(self, upper: bool = False) -> Tensor:
        """The triangular matrix L with L @ L.mT == input (conjugated, if complex); with `upper` its (conjugate) transpose."""
    def chunk(
        self,
        chunks: SupportsIndex,
        axis: SupportsIndex = 0,
        *,
        dim: SupportsIndex = ...,
        dims: SupportsIndex = ...,
    ) -> tuple[Tensor, ...]:
        """At most `chunks` views of equal length along `axis`, the last one shorter."""
    def clamp(self, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
        """Elements below `min` become `min`, those above `max` become `max`; either or both may be left out, NaN stays."""
    def clip(self, min: TensorLike | None = None, max: TensorLike | None = None) -> Tensor:
        """The same as `clamp`."""
    def contiguous(self) -> Tensor:
        """The tensor itself if its elements lie in C order, else a copy in which they do."""
    def cos(self) -> Tensor:
        """Return the cosine of an angle in radians."""
    def cosh(self) -> Tensor:
        """Return the hyperbolic cosine."""
    def count_nonzero(
        self,
        axis: AxisLike | None = None,
        keepdims: bool = False,
        *,
        dim: AxisLike | None = ...,
        dims: AxisLike | None = ...,
        keepdim: bool = ...,
        keep_dims: bool = ...,
    ) -> Tensor:
        """How many elements over `axis` are not zero (int64)."""
    def cumprod(
        self,
        axis: AxisLike = 0,
        dtype: DTypeLike | None = None,
        *,
        dim: AxisLike = ...,
        dims: AxisLike = ...,
    ) -> Tensor:
        """Running product along `axis`; integers in 64 bits."""
    def cumsum(
        self,
        axis: AxisLike = 0,
        dtype: DTypeLike | None = None,
        *,
        dim: AxisLike = ...,
        dims: AxisLike = ...,
    ) -> Tensor:
        """Running sum along `axis`; integers in 64 bits."""
    def det(self) -> Tensor:
        """Determinants."""
    def diagonal(
        self,
        offset: SupportsIndex = 0,
        dim1: SupportsIndex = 0,
        dim2: SupportsIndex = 1,
    ) -> Tensor:
        """The diagonal of two dimensions, as the last dimension.  A view."""
    def div(
        self,
        other: TensorLike,
        *,
        rounding_mode: Literal['floor', 'trunc'] | None = None,
    ) -> Tensor:
        """Quotient; with `rounding_mode` "floor" or "trunc" rounded down or towards zero, in the operands' dtype."""
    def dot(self, other: TensorLike) -> Tensor:
        """`numpy.dot`: over the last dimension of the first and the last but one (or only) of the second."""
    def eq(self, other: TensorLike) -> Tensor:
        """Return True where the operands are equal."""
    def equal(self, other: TensorLike) -> Tensor:
        """Return True where the operands are equal."""
    def erf(self) -> Tensor:
        """Return the error function."""
    def exp(self) -> Tensor:
        """Return e to the power of each element."""
    def exp2(self) -> Tensor:
        """Return 2 to the power of each element."""
    @overload
    def expand(self, *size: ShapeLike) -> Tensor: ...
    @overload
    def expand(self, *, size: ShapeLike) -> Tensor: ...
    @overload
    def expand(self, *, shape: ShapeLike) -> Tensor: ...
    @overload
    def expand_dims(self, axis: AxisLike) -> Tensor: ...
    @overload
    def expand_dims(self, *, dim: AxisLike) -> Tensor: ...
    @overload
    def expand_dims(self, *, dims: AxisLike) -> Tensor: ...
    def expm1(self) -> Tensor:
        """Return exp(input) - 1, accurate near 0."""
    def flatten(
        self,
        order: str | int = 'C',
        end: int | None = None,
        *,
        start_dim: int = 0,
        end_dim: int = -1,
    ) -> Tensor:
        """The dimensions from `start_dim` to `end_dim` as one: `t.flatten(1)`, `t.flatten(0, 1)`; `t.flatten("F")` reverses all first."""
    def flip(
        self,
        dims: AxisLike | None = None,
        *,
        axis: AxisLike | None = ...,
        dim: AxisLike | None = ...,
    ) -> Tensor:
        """Backwards along some dimensions (None: all).  A view."""
    def floor(self) -> Tensor:
        """Return the largest whole number that is at most the element."""
    def floor_divide(self, other: TensorLike) -> Tensor:
        """Return the quotient, rounded down."""
    def fmod(self, other: TensorLike) -> Tensor:
        """Return the remainder of a division rounded towards zero; it has the dividend's sign."""
    @overload
    def gather(self, input_indices: TensorLike, axis: SupportsIndex) -> Tensor: ...
    @overload
    def gather(self, input_indices: TensorLike, *, dim: SupportsIndex) -> Tensor: ...
    @overload
    def gather(self, input_indices: TensorLike, *, dims: SupportsIndex) -> Tensor: ...
    @overload
    def gather(self, *, index: TensorLike, axis: SupportsIndex) -> Tensor: ...
    @overload
    def gather(self, *, index: TensorLike, dim: SupportsIndex) -> Tensor: ...
    @overload
    def gather(self, *, index: TensorLike, dims: SupportsIndex) -> Tensor: ...
    @overload
    def gather_elements(self, dim: SupportsIndex, index: TensorLike) -> Tensor: ...
    @overload
    def gather_elements(self, *, axis: SupportsIndex, index: TensorLike) -> Tensor: ...
    @overload
    def gather_elements(self, *, dims: SupportsIndex, index: TensorLike) -> Tensor: ...
    def gather_nd(self, indices: TensorLike) -> Tensor:
        """The slices that the last dimension of `indices` names by coordinates."""
    def ge(self, other: TensorLike) -> Tensor:
        """Return True where the first operand is greater or equal."""
    def greater(self, other: TensorLike) -> Tensor:
        """Return True where the first operand is greater."""
    def greater_equal(self, other: TensorLike) -> Tensor:
        """Return True where the first operand is greater or equal."""
    def gt(self, other: TensorLike) -> Tensor:
        """Return True where the first operand is greater."""
    def hypot(self, other: TensorLike) -> Tensor:
        """Return sqrt(input**2 + other**2), without overflow in between."""
    @overload
    def index_add(self, indices: TensorLike, y: TensorLike, axis: SupportsIndex) -> Tensor: ...
    @overload
    def index_add(self, indices: TensorLike, y: TensorLike, *, dim: SupportsIndex) -> Tensor: ...
    @overload
    def index_add(self, indices: TensorLike, y: TensorLike, *, dims: SupportsIndex) -> Tensor: ...
    @overload
    def index_select(self, axis: SupportsIndex, index: TensorLike) -> Tensor: ...
    @overload
    def index_select(self, *, dim: SupportsIndex, index: TensorLike) -> Tensor: ...
    @overload
    def index_select(self, *, dims: SupportsIndex, index: TensorLike) -> Tensor: ...
    def inner(self, other: TensorLike) -> Tensor:
        """Sum of products over the last dimension of both."""
    def inv(self) -> Tensor:
        """Return the reciprocal."""
    def inverse(self) -> Tensor:
        """Inverse matrices.  LinAlgError where the result is read, when one is singular."""
    def isclose(
        self,
        other: TensorLike,
        rtol: float = 1e-05,
        atol: float = 1e-08,
        equal_nan: bool = False,
    ) -> Tensor:
        """True where |input - other| <= atol + rtol * |other|; infinities are close to themselves only."""
    def isfinite(self) -> Tensor:
        """Return True where an element is neither infinite nor NaN."""
    def isinf(self) -> Tensor:
        """Return True where an element is infinite."""
    def isnan(self) -> Tensor:
        """Return True where an element is NaN."""
    def le(self, other: TensorLike) -> Tensor:
        """Return True where the first operand is less or equal."""
    def less(self, other: TensorLike) -> Tensor:
        """Return True where the first operand is less."""
    def less_equal(self, other: TensorLike) -> Tensor:
        """Return True where the first operand is less or equal."""
    def log(self) -> Tensor:
        """Return the natural logarithm."""
    def log10(self) -> Tensor:
        """Return the logarithm to base 10."""
    def log1p(self) -> Tensor:
        """Return log(1 + input), accurate near 0."""
    def log2(self) -> Tensor:
        """Return the logarithm to base 2."""
    def log_softmax(
        self,
        axis: SupportsIndex = -1,
        *,
        dim: SupportsIndex = ...,
        dims: SupportsIndex = ...,
    ) -> Tensor:
        """log(softmax(input)), computed without the detour."""
    def logical_and(self, other: TensorLike) -> Tensor:
        """Return True where both operands are non-zero."""
    def logical_not(self) -> Tensor:
        """Return True where an element is zero."""
    def logical_or(self, other: TensorLike) -> Tensor:
        """Return True where at least one operand is non-zero."""
    def logical_xor(self, other: TensorLike) -> Tensor:
        """Return True where exactly one operand is non-zero."""
    def logsumexp(
        self,
        axis: AxisLike | None = None,
        keepdims: bool = False,
        *,
        dim: AxisLike | None = ...,
        dims: AxisLike | None = ...,
        keepdim: bool = ...,
        keep_dims: bool = ...,
    ) -> Tensor:
        """log(sum(exp(input))) without overflow: the greatest element is taken out first.  Of no elements: -inf."""
    def lt(self, other: TensorLike) -> Tensor:
        """Return True where the first operand is less."""
    def masked_fill(self, mask: TensorLike, value: TensorLike) -> Tensor:
        """A copy with `value` where the mask is True; `value` is cast to the dtype of `input_x`."""
    def masked_select(self, mask: TensorLike) -> Tensor:
        """The elements where the mask (broadcast to the tensor, or the tensor to it) is True, in one dimension.  Waits for the mask."""
    def matmul(self, other: TensorLike) -> Tensor:
        """Matrix product, as `numpy.matmul`: vectors stand for a row or a column, dimensions ahead of the last two broadcast."""
    def max(
        self,
        axis: Any = None,
        keepdims: bool = False,
        *,
        dim: Any = ...,
        dims: Any = ...,
        keepdim: bool = ...,
        keep_dims: bool = ...,
    ) -> Tensor:
        """The greatest elements over `axis`; `ops.max` gives their positions, too."""
    def maximum(self, other: TensorLike) -> Tensor:
        """Return the larger of two numbers; NaN if one is NaN."""
    def mean(
        self,
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
        self,
        axis: SupportsIndex | None = -1,
        keepdims: bool = False,
        *,
        dim: SupportsIndex | None = ...,
        dims: SupportsIndex | None = ...,
        keepdim: bool = ...,
        keep_dims: bool = ...,
    ) -> tuple[Tensor, Tensor]:
        """(the middle elements along `axis`, their positions as int64): the lower of two middle ones; NaN wins."""
    def min(
        self,
        axis: Any = None,
        keepdims: bool = False,
        *,
        dim: Any = ...,
        dims: Any = ...,
        keepdim: bool = ...,
        keep_dims: bool = ...,
    ) -> Tensor:
        """The least elements over `axis`; `ops.min` gives their positions, too."""
    def minimum(self, other: TensorLike) -> Tensor:
        """Return the smaller of two numbers; NaN if one is NaN."""
    def mm(self, mat2: TensorLike) -> Tensor:
        """Product of two matrices."""
    def moveaxis(self, source: AxisLike, destination: AxisLike) -> Tensor:
        """Dimensions move to other places, the rest keep their order.  A view."""
    def mul(self, other: TensorLike) -> Tensor:
        """Return the product."""
    def multinomial(
        self,
        num_samples: SupportsIndex,
        replacement: bool = True,
        seed: SupportsIndex | None = None,
    ) -> Tensor:
        """Positions (int64) drawn with the weights in the last dimension of `input`."""
    def multiply(self, other: TensorLike) -> Tensor:
        """Return the product."""
    def mv(self, vec: TensorLike) -> Tensor:
        """Product of a matrix and a vector."""
    def nan_to_num(
        self,
        nan: float = 0.0,
        posinf: float | None = None,
        neginf: float | None = None,
    ) -> Tensor:
        """NaN and infinities replaced: by `nan`, and by the dtype's largest and least number unless others are given."""
    def ne(self, other: TensorLike) -> Tensor:
        """Return True where the operands differ."""
    def neg(self) -> Tensor:
        """Return the number with the opposite sign."""
    def negative(self) -> Tensor:
        """Return the number with the opposite sign."""
    @overload
    def nonzero(self, *, as_tuple: Literal[False]=False) -> Tensor: ...
    @overload
    def nonzero(self, *, as_tuple: Literal[True]) -> tuple[Tensor, ...]: ...
    def norm(
        self,
        ord: float | str | None = None,
        axis: AxisLike | None = None,
        keepdims: bool = False,
        *,
        dim: AxisLike | None = ...,
        dims: AxisLike | None = ...,
        keepdim: bool = ...,
        keep_dims: bool = ...,
    ) -> Tensor:
        """Norm of vectors along one axis, or of matrices along two."""
    def not_equal(self, other: TensorLike) -> Tensor:
        """Return True where the operands differ."""
    def outer(self, vec2: TensorLike) -> Tensor:
        """Every element of one vector times every element of another: a matrix."""
    @overload
    def permute(self, *axis: AxisLike) -> Tensor: ...
    @overload
    def permute(self, *, axis: AxisLike) -> Tensor: ...
    @overload
    def permute(self, *, dims: AxisLike) -> Tensor: ...
    @overload
    def permute(self, *, axes: AxisLike) -> Tensor: ...
    def positive(self) -> Tensor:
        """Return the number itself, in new memory."""
    def pow(self, other: TensorLike) -> Tensor:
        """Return the first operand to the power of the second."""
    def power(self, other: TensorLike) -> Tensor:
        """Return the first operand to the power of the second."""
    def prod(
        self,
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
        self,
        axis: AxisLike | None = None,
        keepdims: bool = False,
        *,
        dim: AxisLike | None = ...,
        dims: AxisLike | None = ...,
        keepdim: bool = ...,
        keep_dims: bool = ...,
    ) -> Tensor:
        """Greatest less least element."""
    def ravel(self) -> Tensor:
        """All elements in one dimension."""
    def reciprocal(self) -> Tensor:
        """Return the reciprocal."""
    def relu(self) -> Tensor:
        """max(input, 0)."""
    def remainder(self, other: TensorLike) -> Tensor:
        """Return the remainder of floor_divide; it has the divisor's sign."""
    def repeat_interleave(
        self,
        repeats: ShapeLike,
        axis: SupportsIndex | None = None,
        *,
        dim: SupportsIndex | None = ...,
        dims: SupportsIndex | None = ...,
    ) -> Tensor:
        """Each element along `axis` (None: of all) `repeats` times in a row; `repeats` an int or one for each element."""
    @overload
    def reshape(self, *shape: ShapeLike) -> Tensor: ...
    @overload
    def reshape(self, *, shape: ShapeLike) -> Tensor: ...
    def rint(self) -> Tensor:
        """Return the nearest whole number; round halves to even."""
    def roll(
        self,
        shifts: ShapeLike,
        dims: AxisLike | None = None,
        *,
        axis: AxisLike | None = ...,
        dim: AxisLike | None = ...,
    ) -> Tensor:
        """The elements moved along `dims` by `shifts`, those that fall off coming in at the other end; without dims, flattened."""
    def round(self, *, decimals: int = 0) -> Tensor:
        """Rounds to `decimals` places, halves to even, as NumPy does."""
    def rsqrt(self) -> Tensor:
        """Return the reciprocal of the square root."""
    @overload
    def scatter(self, axis: SupportsIndex, index: TensorLike, src: TensorLike) -> Tensor: ...
    @overload
    def scatter(self, *, dim: SupportsIndex, index: TensorLike, src: TensorLike) -> Tensor: ...
    @overload
    def scatter(self, *, dims: SupportsIndex, index: TensorLike, src: TensorLike) -> Tensor: ...
    @overload
    def scatter_add(self, axis: SupportsIndex, index: TensorLike, src: TensorLike) -> Tensor: ...
    @overload
    def scatter_add(self, *, dim: SupportsIndex, index: TensorLike, src: TensorLike) -> Tensor: ...
    @overload
    def scatter_add(self, *, dims: SupportsIndex, index: TensorLike, src: TensorLike) -> Tensor: ...
    def sigmoid(self) -> Tensor:
        """Return the logistic function, 1 / (1 + exp(-input))."""
    def sign(self) -> Tensor:
        """Return -1, 0 or 1 for the sign of a number; NaN stays NaN."""
    def sin(self) -> Tensor:
        """Return the sine of an angle in radians."""
    def sinh(self) -> Tensor:
        """Return the hyperbolic sine."""
    def softmax(
        self,
        axis: SupportsIndex = -1,
        *,
        dim: SupportsIndex = ...,
        dims: SupportsIndex = ...,
    ) -> Tensor:
        """exp(input) divided by its sum along `axis`; the greatest element is taken out first, so that nothing overflows."""
    def sort(
        self,
        axis: SupportsIndex = -1,
        descending: bool = False,
        *,
        dim: SupportsIndex = ...,
        dims: SupportsIndex = ...,
    ) -> tuple[Tensor, Tensor]:
        """(elements in order along `axis`, their former positions as int64); equal ones keep their order, NaN is the largest."""
    def split(
        self,
        split_size_or_sections: int | Sequence[int],
        axis: SupportsIndex = 0,
        *,
        dim: SupportsIndex = ...,
        dims: SupportsIndex = ...,
    ) -> tuple[Tensor, ...]:
        """Views of pieces along `axis`: of one length (the last may be shorter), or of the lengths given."""
    def sqrt(self) -> Tensor:
        """Return the square root; of a negative number NaN."""
    def square(self) -> Tensor:
        """Return the square."""
    def squeeze(
        self,
        axis: AxisLike | None = None,
        *,
        dim: AxisLike | None = ...,
        dims: AxisLike | None = ...,
    ) -> Tensor:
        """Without the dimensions of length 1: all of them (None or ()), or those named.  A view."""
    def std(
        self,
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
    def sub(self, other: TensorLike) -> Tensor:
        """Return the difference."""
    def subtract(self, other: TensorLike) -> Tensor:
        """Return the difference."""
    def sum(
        self,
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
    def swapaxes(self, axis0: SupportsIndex, axis1: SupportsIndex) -> Tensor:
        """Two dimensions change places.  A view."""
    def take(
        self,
        indices: TensorLike,
        axis: SupportsIndex | None = None,
        *,
        dim: SupportsIndex | None = ...,
        dims: SupportsIndex | None = ...,
    ) -> Tensor:
        """`gather`; without an axis from the flattened tensor."""
    @overload
    def take_along_dim(self, indices: TensorLike, dim: SupportsIndex) -> Tensor: ...
    @overload
    def take_along_dim(self, indices: TensorLike, *, axis: SupportsIndex) -> Tensor: ...
    @overload
    def take_along_dim(self, indices: TensorLike, *, dims: SupportsIndex) -> Tensor: ...
    def tan(self) -> Tensor:
        """Return the tangent of an angle in radians."""
    def tanh(self) -> Tensor:
        """Return the hyperbolic tangent."""
    @overload
    def tile(self, dims: AxisLike) -> Tensor: ...
    @overload
    def tile(self, *, reps: AxisLike) -> Tensor: ...
    @overload
    def tile(self, *, multiples: AxisLike) -> Tensor: ...
    def topk(
        self,
        k: SupportsIndex,
        axis: SupportsIndex = -1,
        largest: bool = True,
        sorted: bool = True,
        *,
        dim: SupportsIndex = ...,
        dims: SupportsIndex = ...,
    ) -> tuple[Tensor, Tensor]:
        """(the k largest or smallest elements along `axis`, their positions as int64), in order."""
    def trace(self) -> Tensor:
        """Sum of the diagonal of the first two dimensions."""
    @overload
    def transpose(self, *axes: AxisLike | None) -> Tensor: ...
    @overload
    def transpose(self, *, axes: AxisLike | None) -> Tensor: ...
    @overload
    def transpose(self, *, axis: AxisLike | None) -> Tensor: ...
    @overload
    def transpose(self, *, perm: AxisLike | None) -> Tensor: ...
    @overload
    def transpose(self, *, input_perm: AxisLike | None) -> Tensor: ...
    def tril(self, diagonal: SupportsIndex = 0) -> Tensor:
        """The elements on and below a diagonal of the last two dimensions, zeros above."""
    def triu(self, diagonal: SupportsIndex = 0) -> Tensor:
        """The elements on and above a diagonal of the last two dimensions, zeros below."""
    def true_divide(self, other: TensorLike) -> Tensor:
        """Return the quotient, as a float or complex number."""
    def trunc(self) -> Tensor:
        """Return the number without its fraction."""
    def unbind(
        self,
        dim: SupportsIndex = 0,
        *,
        axis: SupportsIndex = ...,
        dims: SupportsIndex = ...,
    ) -> tuple[Tensor, ...]:
        """Views of all that lies along `dim`, one by one, without that dimension."""
    @overload
    def unique(self, return_inverse: Literal[True]=True) -> tuple[Tensor, Tensor]: ...
    @overload
    def unique(self, return_inverse: Literal[False]) -> Tensor: ...
    @overload
    def unsqueeze(self, dim: SupportsIndex) -> Tensor: ...
    @overload
    def unsqueeze(self, *, axis: SupportsIndex) -> Tensor: ...
    @overload
    def unsqueeze(self, *, dims: SupportsIndex) -> Tensor: ...
    def var(
        self,
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
    def view(self, *shape: ShapeLike) -> Tensor: ...
    @overload
    def view(self, *, shape: ShapeLike) -> Tensor: ...
    @overload
    def view(self, *, size: ShapeLike) -> Tensor: ...
