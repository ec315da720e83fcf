"""The calls of `make bench-everyday`, as users write them.

A row has the family, the call, and its spelling in other libraries where that differs.  A call may
use these names: `m`, the library (minitensor.ops, numpy, torch); `x` and `y`, float32 vectors of n
elements between 0.1 and 1.1; `a` and `b`, the same elements as square matrices of s rows; `i`, a
vector of n indices in random order; `few`, ten indices; `mask`, of x > 0.6; `h`, x in float16; `k`,
n small ints; `array`, x as a NumPy array; `f16` to `i64`, dtypes.  A statement names in `result`
the tensor that has to be waited for.  None in place of a spelling: the library lacks the call.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["GIVEN", "LIGHT", "ROWS", "SIZES", "Row"]

SIZES = (10, 10**3, 10**5, 10**6, 10**7)

# Calls beside the views that read no more than an element, whatever the size: they are timed in
# blocks, since the clock and a wait after each call take longer than the call.
LIGHT = ("x[3]", "x.asnumpy()", "x[0].item()", "float(x[0])", "x.shape", "len(x)")

# Definitions of the names, in an order in which each uses only earlier ones.
GIVEN = {
    "s": "round(n ** 0.5)",
    "a": "x.reshape(s, s)",
    "b": "y.reshape(s, s)",
    "i": "put(order(n))",
    "few": "put(order(n)[:10].copy())",
    "mask": "x > 0.6",
    "h": "cast(x, 'float16')",
    "h2": "cast(y, 'float16')",
    "k": "put(ints(n))",
    "array": "host(x)",
    "spd": "a @ transpose(a) + n * m.eye(s, dtype=f32)",
    "v": "x[:s] + 0",
}


@dataclass(frozen=True)
class Row:
    family: str
    text: str
    numpy: str | None = ""  # "": the same text
    torch: str | None = ""
    most: int = 10**7
    result: str = ""
    more: dict[str, str] = field(default_factory=dict)

    def spelling(self, library: str) -> str | None:
        own = {"numpy": self.numpy, "torch": self.torch}.get(library, "")
        return self.text if own == "" else own


def _rows(family: str, *rows: tuple[object, ...] | str) -> list[Row]:
    return [Row(family, *([row] if isinstance(row, str) else row)) for row in rows]  # type: ignore[arg-type]


_SQUARE = 10**6  # elements of the largest matrix of a product
_SOLVED = 10**5  # of a matrix that is decomposed

ROWS: list[Row] = [
    *_rows(
        "create", "m.zeros(n, dtype=f32)", "m.ones(n, dtype=f32)", "m.full((n,), 2.5, dtype=f32)",
        "m.empty(n, dtype=f32)", "m.arange(n)",
        ("m.linspace(0, 1, n)", "m.linspace(0, 1, n, dtype=f32)"), "m.eye(s, dtype=f32)",
        "m.zeros_like(x)", "m.ones_like(x)",
    ),
    *_rows(
        "random", ("m.rand(n)", "rng.random(n, f32)"),
        ("m.randn(n)", "rng.standard_normal(n, f32)"),
        ("m.randint(0, 100, (n,))", "rng.integers(0, 100, n)"),
        ("m.randperm(n)", "rng.permutation(n)", "", 10**6),
    ),
    *_rows(
        "view", "x[1:-1]", "x[::2]", "a[0]", "a[:, 1]", "a[1:, ::2]", "x[None]", "a[..., 0]",
        "a.reshape(-1)", "a.T", "a.swapaxes(0, 1)",
        ("a.permute(1, 0)", "a.transpose(1, 0)"), ("x.unsqueeze(0)", "m.expand_dims(x, 0)"),
        ("x.reshape(1, -1).squeeze(0)",), ("a.flatten()", "a.ravel()"),
        ("m.broadcast_to(v, (s, s))",), ("m.split(a, 1)", "m.split(a, s)", "", 10**5),
        ("m.unbind(a)", "list(a)", "", 10**5),
    ),
    *_rows(
        "index", "x[3]", "x[few]", "x[i]", "x[mask]", ("m.take(x, i)",),
        ("m.index_select(a, 0, few)", "m.take(a, few, 0)", "", 10**7, "",
         {"few": "put(order(s)[:10].copy())"}),
        ("m.gather_elements(x, 0, i)", "m.take_along_axis(x, i, 0)", "m.gather(x, 0, i)"),
        "m.nonzero(mask)",
        "m.where(mask, x, y)", ("m.masked_fill(x, mask, 0.0)", "m.where(mask, np_zero, x)"),
    ),
    *_rows(
        "assign", ("x[1:-1] = 0.5", "", "", 10**7, "x"), ("a[0] = 1.0", "", "", 10**7, "a"),
        ("x[:] = y", "", "", 10**7, "x"), ("x[i] = y", "", "", 10**7, "x"),
        ("x[mask] = 0.7", "", "", 10**7, "x"), ("a[:, 1] = v", "", "", 10**7, "a"),
    ),
    *_rows(
        "in place", ("x += y", "", "", 10**7, "x"), ("x *= 1.0", "", "", 10**7, "x"),
        ("a -= v", "", "", 10**7, "a"),
    ),
    *_rows(
        "elementwise", "x + y", "x + 1", "x * y", "x / y", "2 * x - 1", "-x", "x > y", "a + v",
        "x ** 2", "x ** 0.5", "x ** y", "m.exp(x)", "m.log(x)", "m.sin(x)", "m.tanh(x)",
        "m.sqrt(x)", "m.abs(x)", "m.maximum(x, y)", "m.clip(x, 0.3, 0.7)", "m.isnan(x)",
        "m.floor(x)", "x // y", "x % y", "k + k", "k * 3", "m.logical_and(mask, mask)",
        ("m.sigmoid(x)", None), ("m.relu(x)", "m.maximum(x, 0)"),
    ),
    *_rows(
        "reduce", "x.sum()", "x.mean()", "x.max()", "x.min()", "x.std()", "x.var()", "x.argmax()",
        "x.prod()", "mask.any()", "mask.all()", ("a.sum(0)",), ("a.sum(1)",), ("a.mean(1)",),
        ("a.max(0)", "", "a.amax(0)"), ("a.argmax(0)",), ("a.argmax(1)",), ("a.std(0)",),
        "k.sum()", ("m.norm(x)", "m.linalg.norm(x)"), ("m.count_nonzero(k)",),
    ),
    *_rows(
        "scan and rows", ("m.cumsum(x, 0)",), ("m.cumprod(x, 0)",), ("m.cumsum(a, 1)",),
        ("m.softmax(a, -1)", None),
        ("m.log_softmax(a, -1)", None, "m.nn.functional.log_softmax(a, -1)"),
        ("m.layer_norm(a, (s,))", None, "m.nn.functional.layer_norm(a, (s,))"),
    ),
    *_rows(
        "sort", ("m.sort(x)",), ("m.argsort(x)",), ("m.topk(x, 5)", None), ("m.unique(k)",),
        ("m.median(x)",), ("m.searchsorted(z, y)", "", "", 10**6, "", {"z": "m.linspace(0, 1, n)"}),
    ),
    *_rows(
        "join", ("m.concat((x, y))", "m.concatenate((x, y))"), "m.stack((x, y))",
        ("m.tile(x, (2,))", "m.tile(x, 2)"),
        ("m.repeat_interleave(x, 2)", "m.repeat(x, 2)"), ("m.roll(x, 3)", "m.roll(x, 3)"),
        ("m.flip(x, (0,))", "m.flip(x, 0).copy()"), ("m.tril(a)",),
        ("m.pad(x, (2, 2))", "m.pad(x, 2)", "m.nn.functional.pad(x, (2, 2))"),
        ("a.T.contiguous()", "m.ascontiguousarray(a.T)"), ("x.copy()", "", "x.clone()"),
    ),
    *_rows(
        "cast", "cast(x, 'float64')", "cast(x, 'int32')", "cast(x, 'int64')", "cast(x, 'float16')",
        "cast(h, 'float32')", "cast(k, 'float32')", "cast(mask, 'float32')",
    ),
    *_rows(
        "half", "h + h2", "h * h2", "m.exp(h)", "h.sum()",
        ("h.reshape(s, s) @ h2.reshape(s, s)", "", "", 10**5),
    ),
    *_rows(
        "linear algebra", ("a @ b", "", "", _SQUARE), ("a @ v", "", ""), ("m.dot(x, y)",),
        ("m.einsum('ij,jk->ik', a, b)", "", "", _SQUARE), ("m.outer(v, v)",),
        ("m.inverse(spd)", "m.linalg.inv(spd)", "m.linalg.inv(spd)", _SOLVED),
        ("solve(spd, b)", "", "", _SOLVED), ("cholesky(spd)", "", "", _SOLVED),
        ("qr(a)", "", "", _SOLVED), ("svd(a)", "", "", _SOLVED),
        ("m.det(spd)", "m.linalg.det(spd)", "", _SOLVED),
    ),
    *_rows(
        "numpy and python", ("x.asnumpy()", "x.view()", "x.numpy()"),
        ("put(array)", "m.array(array)", "m.tensor(array)"),
        ("tensor([1.0, 2.0, 3.0])", "tensor([1.0, 2.0, 3.0], f32)", "", 10),
        ("x[0].item()", ""), ("float(x[0])",), ("x.tolist()", "", "", 10**5), "x.shape", "len(x)",
    ),
]  # fmt: skip
