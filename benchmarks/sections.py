"""The sections of `make bench`: each has a table and a plot of points (a case and a size)."""

from __future__ import annotations

from dataclasses import dataclass

from fleet import Case

__all__ = ["CHAINS", "MATRIX", "POSITIVE_DEFINITE", "SECTIONS", "Section", "size"]

CHAINS = {  # by the number of ops; check.py has limits for the second and the last
    2: "exp(x*0.5)",
    3: "log(exp(x) + x)",
    4: "log(exp(x*0.5) + x)",
    8: "log(exp(x*0.5) + x)*x - log(x)/x",
    9: "log(exp(x*0.5) + x)*x - log(x)/(x + 1)",
}
POSITIVE_DEFINITE = {"x": "matmul(x, transpose(x)) + n*eye(n)"}
MATRIX = ("n", "n")


def size(n: int) -> str:
    power = len(str(n)) - 1
    return f"10^{power}" if n == 10**power and n > 1000 else str(n)


@dataclass(frozen=True)
class Section:
    name: str  # of the picture's file
    title: str
    words: str
    points: tuple[tuple[str, Case, int], ...]  # the name in the table, the case, the size
    axis: str = ""  # the label of the sizes; "": the plot has the names of the points


def over(case: Case, sizes: tuple[int, ...]) -> tuple[tuple[str, Case, int], ...]:
    return tuple((size(n), case, n) for n in sizes)


POWERS = tuple(10**power for power in range(9))
PAIR = "xy"

SECTIONS = (
    Section("log", "log, by size", "`log(x)` of float32.", over(Case("log(x)"), POWERS),
        "elements"),
    Section("add", "add, by size", "`x + y` of float32.",
        over(Case("x + y", inputs=PAIR), POWERS[:-1]), "elements"),
    Section("chain", "A chain of three ops, by size",
        f"`{CHAINS[3]}` of float32, which some libraries fuse into one pass.",
        over(Case(CHAINS[3]), POWERS[2:]), "elements"),
    Section("chains", "Chains of 2, 4 and 8 ops",
        "Of float32: " + ", ".join(f"`{CHAINS[ops]}`" for ops in (2, 4, 8)) + ".",
        tuple((f"{ops} ops of {size(n)}", Case(
            CHAINS[ops]), n) for n in (10**5, 10**7) for ops in (2, 4, 8))),
    Section(
        "dispatch", "One element",
        "The cost of a call: the computation of one element takes almost no time.",
        (
            ("log(x)", Case("log(x)"), 1),
            ("x + y", Case("x + y", inputs=PAIR), 1),
            ("x + 1", Case("x + 1"), 1),
            ("sum(x)", Case("sum(x)"), 1),
            ("matmul(x, y), 2 x 2", Case("matmul(x, y)", MATRIX, inputs=PAIR), 2),
        ),
    ),
    Section(
        "dtypes", "Dtypes", "10^6 elements.",
        (
            *((f"x + y, {dtype}", Case("x + y", dtype=dtype, inputs=PAIR), 10**6)
              for dtype in ("float64", "float32", "float16", "int64", "int32", "int8", "uint8")),
            *((f"log(x), {dtype}", Case("log(x)",
                dtype=dtype), 10**6) for dtype in ("float64", "float32", "float16")),
        ),
    ),
    Section(
        "layouts", "Layouts",
        "4 million float32. Where other libraries use a view, "
        "jax makes a copy before the clock starts.",
        (
            ("x + y, contiguous", Case("x + y", MATRIX, inputs=PAIR), 2048),
            ("x + y, every second element", Case("x + y", (2048, "n", 2), inputs=PAIR,
                given={"x": "x[:, :, 0]", "y": "y[:, :, 0]"}, used=0.5), 2048),
            ("x + y, both transposed", Case("x + y", MATRIX, inputs=PAIR,
                given={"x": "transpose(x)", "y": "transpose(y)"}), 2048),
            ("x + y, one transposed", Case("x + y", MATRIX, inputs=PAIR,
                given={"y": "transpose(y)"}), 2048),
            ("x + y, a row to all rows", Case("x + y", MATRIX, inputs=PAIR,
                given={"y": "y[:1]"}), 2048),
            ("x + y, a column to all columns", Case("x + y", MATRIX, inputs=PAIR,
                given={"y": "y[:, :1]"}), 2048),
            ("copy of the transposed", Case("copy(x)", MATRIX, given={"x": "transpose(x)"}), 2048),
            ("copy of every second", Case("copy(x)", (2048, "n", 2), given={"x": "x[:, :, 0]"},
                used=0.5), 2048),
        ),
    ),
    Section(
        "reductions", "Reductions", "4096 x 4096 float32, unless the row names another dtype.",
        (
            *((text, Case(text, MATRIX), 4096) for text in (
                "sum(x)", "sum(x, 0)", "sum(x, 1)", "mean(x, 0)", "mean(x, 1)", "amax(x)",
                "argmax(x)")),
            ("sum(x), float64", Case("sum(x)", MATRIX, "float64"), 2896),
            ("sum(x), int32", Case("sum(x)", MATRIX, "int32"), 4096),
        ),
    ),
    Section(
        "selection", "Selection and casts",
        "10^7 elements of float32; the last row casts from int64.",
        (
            ("where(c, x, y)", Case("where(c, x, y)", inputs=PAIR, given={"c": "x > y"}), 10**7),
            ("clip(x, 0.3, 0.7)", Case("clip(x, 0.3, 0.7)"), 10**7),
            ("x > y", Case("x > y", inputs=PAIR), 10**7),
            ("to float64", Case("cast(x, 'float64')"), 10**7),
            ("to float16", Case("cast(x, 'float16')"), 10**7),
            ("to int32", Case("cast(x, 'int32')"), 10**7),
            ("from int64", Case("cast(x, 'float32')", dtype="int64"), 10**7),
        ),
    ),
    Section("matmul", "matmul, by side", "`matmul(x, y)` of float32.",
        over(Case("matmul(x, y)", MATRIX, inputs=PAIR), (16, 64, 256, 1024, 2048)), "side"),
    Section(
        "linalg", "Linear algebra", "Of float64.",
        (
            *((f"{text} of {n}", Case(text, MATRIX, "float64", inputs), n) for text, inputs, n in (
                ("solve(x, y)", PAIR, 256), ("inv(x)", "x", 256), ("qr(x)", "x", 256),
                ("svd(x)", "x", 128))),
            ("cholesky(x) of 512", Case("cholesky(x)", MATRIX, "float64",
                given=POSITIVE_DEFINITE), 512),
        ),
    ),
)  # fmt: skip
