"""The methods that the ops give to Tensor.  Made by docs/stubs.py: change the functions, and run it."""

from collections.abc import Sequence
from typing import Any, Literal, SupportsIndex, overload

from typing_extensions import Self

from minitensor.tensor import Tensor
from minitensor.typing import (
    AxisLike,
    DTypeLike,
    IndexLike,
    Operand,
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
        """Absolute value."""
    def absolute(self) -> Tensor:
        """Absolute value."""
    def acos(self) -> Tensor:
        """Arc cosine, in radians."""
    def acosh(self) -> Tensor:
        """Inverse hyperbolic cosine."""
    def add(self, other: TensorLike) -> Tensor:
        """Sum."""
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
        """Arc cosine, in radians."""
    def arccosh(self) -> Tensor:
        """Inverse hyperbolic cosine."""
    def arcsin(self) -> Tensor:
        """Arc sine, in radians."""
    def arcsinh(self) -> Tensor:
        """Inverse hyperbolic sine."""
    def arctan(self) -> Tensor:
        """Arc tangent, in radians."""
    def arctan2(self, other: TensorLike) -> Tensor:
        """Angle of the point (b, a), in radians."""
    def arctanh(self) -> Tensor:
        """Inverse hyperbolic tangent."""
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
        """Arc sine, in radians."""
    def asinh(self) -> Tensor:
        """Inverse hyperbolic sine."""
    def astype(self, dtype: DTypeLike, copy: bool = True) -> Tensor:
        """The tensor in another dtype; with `copy=False` itself when it has that dtype already."""
    def atan(self) -> Tensor:
        """Arc tangent, in radians."""
    def atan2(self, other: TensorLike) -> Tensor:
        """Angle of the point (b, a), in radians."""
    def atanh(self) -> Tensor:
        """Inverse hyperbolic tangent."""
    def bernoulli(self, p: TensorLike = 0.5, seed: SupportsIndex | None = None) -> Tensor:
        """1 with probability p, else 0, in the shape and dtype of `input`; p is a number or a tensor that broadcasts to it."""
    def bitwise_and(self, other: TensorLike) -> Tensor:
        """And, bit by bit."""
    def bitwise_invert(self) -> Tensor:
        """Every bit turned."""
    def bitwise_left_shift(self, other: TensorLike) -> Tensor:
        """Bits moved up by b."""
    def bitwise_not(self) -> Tensor:
        """Every bit turned."""
    def bitwise_or(self, other: TensorLike) -> Tensor:
        """Or, bit by bit."""
    def bitwise_right_shift(self, other: TensorLike) -> Tensor:
        """Bits moved down by b."""
    def bitwise_xor(self, other: TensorLike) -> Tensor:
        """Exclusive or, bit by bit."""
    def bmm(self, mat2: TensorLike) -> Tensor:
        """Products of two batches of matrices; their numbers must be equal."""
    @overload
    def broadcast_to(self, shape: ShapeLike) -> Tensor: ...
    @overload
    def broadcast_to(self, *, size: ShapeLike) -> Tensor: ...
    def cast(self, dtype: DTypeLike) -> Tensor:
        """The elements in another dtype, in a tensor of its own."""
    def ceil(self) -> Tensor:
        """The smallest whole number not below a."""
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
        """Cosine of an angle in radians."""
    def cosh(self) -> Tensor:
        """Hyperbolic cosine."""
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
        """True where equal."""
    def equal(self, other: TensorLike) -> Tensor:
        """True where equal."""
    def erf(self) -> Tensor:
        """The error function."""
    def exp(self) -> Tensor:
        """e to the power a."""
    def exp2(self) -> Tensor:
        """2 to the power a."""
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
        """exp(a) - 1, exact near 0."""
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
        """The largest whole number not above a."""
    def floor_divide(self, other: TensorLike) -> Tensor:
        """Quotient, rounded down."""
    def fmod(self, other: TensorLike) -> Tensor:
        """What a division rounded towards zero leaves; it has the dividend's sign."""
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
        """True where a is not less."""
    def greater(self, other: TensorLike) -> Tensor:
        """True where a is greater."""
    def greater_equal(self, other: TensorLike) -> Tensor:
        """True where a is not less."""
    def gt(self, other: TensorLike) -> Tensor:
        """True where a is greater."""
    def hypot(self, other: TensorLike) -> Tensor:
        """sqrt(a*a + b*b) without overflow."""
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
        """One over a."""
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
        """True where a is neither infinite nor NaN."""
    def isinf(self) -> Tensor:
        """True where a is infinite."""
    def isnan(self) -> Tensor:
        """True where a is not a number."""
    def le(self, other: TensorLike) -> Tensor:
        """True where a is not greater."""
    def less(self, other: TensorLike) -> Tensor:
        """True where a is less."""
    def less_equal(self, other: TensorLike) -> Tensor:
        """True where a is not greater."""
    def log(self) -> Tensor:
        """Natural logarithm."""
    def log10(self) -> Tensor:
        """Logarithm to base 10."""
    def log1p(self) -> Tensor:
        """log(1 + a), exact near 0."""
    def log2(self) -> Tensor:
        """Logarithm to base 2."""
    def log_softmax(
        self,
        axis: SupportsIndex = -1,
        *,
        dim: SupportsIndex = ...,
        dims: SupportsIndex = ...,
    ) -> Tensor:
        """log(softmax(input)), computed without the detour."""
    def logical_and(self, other: TensorLike) -> Tensor:
        """True where both are non-zero."""
    def logical_not(self) -> Tensor:
        """True where a is zero."""
    def logical_or(self, other: TensorLike) -> Tensor:
        """True where one is non-zero."""
    def logical_xor(self, other: TensorLike) -> Tensor:
        """True where exactly one is non-zero."""
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
        """True where a is less."""
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
        """The larger of two; NaN wins."""
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
        """The smaller of two; NaN wins."""
    def mm(self, mat2: TensorLike) -> Tensor:
        """Product of two matrices."""
    def moveaxis(self, source: AxisLike, destination: AxisLike) -> Tensor:
        """Dimensions move to other places, the rest keep their order.  A view."""
    def mul(self, other: TensorLike) -> Tensor:
        """Product."""
    def multinomial(
        self,
        num_samples: SupportsIndex,
        replacement: bool = True,
        seed: SupportsIndex | None = None,
    ) -> Tensor:
        """Positions (int64) drawn with the weights in the last dimension of `input`."""
    def multiply(self, other: TensorLike) -> Tensor:
        """Product."""
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
        """True where not equal."""
    def neg(self) -> Tensor:
        """The number with its sign turned."""
    def negative(self) -> Tensor:
        """The number with its sign turned."""
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
        """True where not equal."""
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
        """The number itself, in a tensor of its own."""
    def pow(self, other: TensorLike) -> Tensor:
        """a to the power b."""
    def power(self, other: TensorLike) -> Tensor:
        """a to the power b."""
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
        """One over a."""
    def relu(self) -> Tensor:
        """max(input, 0)."""
    def remainder(self, other: TensorLike) -> Tensor:
        """What floor_divide leaves; it has the divisor's sign."""
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
        """The nearest whole number, halves to even."""
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
        """One over the square root."""
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
        """1 / (1 + exp(-a))."""
    def sign(self) -> Tensor:
        """-1, 0 or 1 by the sign of a; NaN stays NaN."""
    def sin(self) -> Tensor:
        """Sine of an angle in radians."""
    def sinh(self) -> Tensor:
        """Hyperbolic sine."""
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
        """Square root."""
    def square(self) -> Tensor:
        """a times a."""
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
        """Difference."""
    def subtract(self, other: TensorLike) -> Tensor:
        """Difference."""
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
        """Tangent of an angle in radians."""
    def tanh(self) -> Tensor:
        """Hyperbolic tangent."""
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
        """Quotient, always a float."""
    def trunc(self) -> Tensor:
        """The whole part of a."""
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
