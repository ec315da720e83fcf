"""Draw the pictures of docs/benchmarks.md.

A library has the same colour and mark in all pictures, and the floor is a black line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

try:
    import matplotlib
except ImportError:
    matplotlib = None  # type: ignore[assignment]

__all__ = ["bars", "draw", "heat_map", "matplotlib"]

# Colours that readers with red-green colour blindness distinguish; a compiled variant has its
# library's colour, dashed.
STYLES = {
    "minitensor": dict(color="#d55e00", marker="o", linewidth=2.4, markersize=6, zorder=5),
    "numpy": dict(color="#0072b2", marker="s"),
    "numexpr": dict(color="#56b4e9", marker="D"),
    "torch": dict(color="#009e73", marker="^"),
    "torch.compile": dict(color="#009e73", marker="v", linestyle="--"),
    "jax": dict(color="#cc79a7", marker="<"),
    "jax.jit": dict(color="#cc79a7", marker=">", linestyle="--"),
    "mindspore": dict(color="#b8a000", marker="P"),
    "copy": dict(color="black", marker="", linewidth=1.2, label="copy, the floor"),
}
SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "minitensor",
    "font.size": 9,
    "font.family": "sans-serif",
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def figure(height: float = 3.8) -> tuple[Any, Any, Any]:
    matplotlib.use("Agg")
    matplotlib.rcParams.update(SETTINGS)
    import matplotlib.pyplot as plt

    return plt, *plt.subplots(figsize=(8, height), layout="constrained")


def save(plt: Any, figure: Any, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=110)
    plt.close(figure)


def draw(
    path: Path, title: str, names: Sequence[Any], each: dict[str, list[float | None]], axis: str
) -> None:
    """Draw nanoseconds per element, on a logarithmic scale.

    Args:
        path: the picture's file.
        title: its title.
        names: the sizes, or the names of the cases.
        each: for each library one figure per name.
        axis: the label of the sizes, for curves; "" draws marks beside the names.
    """
    plt, picture, axes = figure(3.8 if axis else 0.9 + 0.34 * len(names))
    for name, values in each.items():
        style: dict[str, Any] = dict(linewidth=1.2, markersize=4.5, label=name) | STYLES[name]
        points = [
            (names[i] if axis else i, value) for i, value in enumerate(values) if value is not None
        ]
        if not points:
            continue
        if axis:
            axes.plot(*zip(*points), **style)
        elif name == "copy":
            low, high = [i - 0.4 for i, _ in points], [i + 0.4 for i, _ in points]
            values_there = [v for _, v in points]
            axes.vlines(
                values_there, low, high, color="black", linewidth=1.6, label=style["label"]
            )
        else:
            hollow = dict(markerfacecolor="white") if style.pop("linestyle", "") == "--" else {}
            axes.plot(
                *zip(*[(v, i) for i, v in points]),
                **style | dict(linestyle="", markersize=6) | hollow,
            )
    what = "nanoseconds per element"
    if axis:
        axes.set(xscale="log", yscale="log", xlabel=axis, ylabel=what, title=title)
    else:
        axes.set(
            xscale="log",
            xlabel=what,
            title=title,
            yticks=range(len(names)),
            yticklabels=names,
            ylim=(len(names) - 0.5, -0.5),
        )
    axes.grid(alpha=0.25, which="major")
    picture.legend(*axes.get_legend_handles_labels(), loc="outside right upper", frameon=False)
    save(plt, picture, path)


def bars(path: Path, title: str, rows: dict[str, tuple[float, float]]) -> None:
    """Draw time and memory side by side; the dotted line is the bare interpreter's memory."""
    matplotlib.use("Agg")
    matplotlib.rcParams.update(SETTINGS)
    import matplotlib.pyplot as plt

    picture, both = plt.subplots(1, 2, figsize=(8, 2.6), layout="constrained", sharey=True)
    names = list(rows)
    for i, (axes, what) in enumerate(zip(both, ("milliseconds", "MiB"))):
        axes.barh(
            names,
            [rows[name][i] for name in names],
            color=[STYLES.get(name, {"color": "black"})["color"] for name in names],
        )
        axes.set(xscale="log", xlabel=what, xlim=(rows["numpy"][i] / 4, None))  # log scale: no 0
    both[1].axvline(rows["nothing"][1], color="black", linewidth=1, linestyle=":")
    both[0].invert_yaxis()
    picture.suptitle(title)
    save(plt, picture, path)


def heat_map(
    path: Path,
    title: str,
    rows: Sequence[tuple[str, str]],
    columns: Sequence[str],
    ratios: Sequence[Sequence[float]],
) -> None:
    """Draw ratios as colours, blue below 1 and red above, with the figures in the cells.

    Args:
        path: the picture's file.
        title: its title.
        rows: the family and the text of each row; a line separates families.
        columns: the names of the columns.
        ratios: for each row one figure per column; NaN leaves a cell empty.
    """
    from matplotlib.colors import TwoSlopeNorm

    plt, picture, axes = figure(1 + 0.19 * len(rows))
    logs = [[math.log2(ratio) if ratio > 0 else math.nan for ratio in row] for row in ratios]
    norm = TwoSlopeNorm(0, -4, 4)
    axes.imshow(logs, cmap="RdBu_r", norm=norm, aspect="auto", interpolation="none")
    for i, row in enumerate(ratios):
        for j, ratio in enumerate(row):
            if ratio > 0:
                shade = "white" if abs(logs[i][j]) > 2.6 else "black"
                axes.text(
                    j, i, f"{ratio:.2g}", ha="center", va="center", fontsize=7, color=shade
                )
    axes.set(
        title=f"{title}: time of minitensor / the better of NumPy and torch",
        xticks=range(len(columns)),
        xticklabels=columns,
        yticks=range(len(rows)),
        yticklabels=[text for _, text in rows],
    )
    axes.tick_params(labelsize=7, top=True, labeltop=True)
    first = 0
    for i in range(1, len(rows) + 1):
        if i == len(rows) or rows[i][0] != rows[first][0]:
            if i < len(rows):
                axes.axhline(i - 0.5, color="black", linewidth=0.8)
            place = dict(rotation=270, va="center", fontsize=8)
            axes.text(len(columns) - 0.4, (first + i - 1) / 2, rows[first][0], **place)
            first = i
    save(plt, picture, path)
