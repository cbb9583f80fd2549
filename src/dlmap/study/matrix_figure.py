"""matrix.png: the preferences of the judges as a picture."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..run.files import write_atomically
from .matrix import Array, Matrix

COLOURS = "PuOr"  # purple is preferred, orange is not: told apart in any colour vision
SUMMARY = ("comparisons won", "above the original")


def draw_matrix(matrix: Matrix, path: Path) -> None:
    """Write the figure, atomically: contestants by judges, then what all judges but its own say."""
    rows, columns = matrix.preference.shape
    figure = Figure(figsize=(4.2 + 0.9 * columns, 2.6 + 0.5 * rows), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[columns, len(SUMMARY)])
    _cells(left, matrix.preference, list(matrix.judges))
    summary = np.stack([matrix.by_others, matrix.over_original], axis=1)
    _cells(right, summary, list(SUMMARY))
    flags = matrix.only_by_itself
    names = [
        f"{name}\nliked only by itself" if alone else name
        for name, alone in zip(matrix.contestants, flags, strict=True)
    ]
    left.set_yticks(range(rows), names)
    for label, alone in zip(left.get_yticklabels(), flags, strict=True):
        label.set_fontweight("bold" if alone else "normal")
    for row, column in np.argwhere(matrix.own):
        for colour, width in (("black", 5), ("white", 2)):
            frame = Rectangle((column - 0.45, row - 0.45), 0.9, 0.9, fill=False, linewidth=width, edgecolor=colour)
            left.add_patch(frame)
    left.set_ylabel("contestant")
    left.set_title("% of comparisons won, by judge", fontsize=10)
    right.set_title("%, all judges\nbut its own", fontsize=10)
    figure.supxlabel(
        f"{matrix.photos} photographs; 50: no preference; framed: the model that the ascent followed",
        fontsize=9,
        color="0.3",
    )
    write_atomically(path, lambda part: figure.savefig(part, format="png", dpi=200))


def _cells(axes: Axes, values: Array, names: list[str]) -> None:
    """Coloured cells, each with its per cent."""
    axes.imshow(values, cmap=COLOURS, vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        text = "–" if np.isnan(value) else f"{100 * value:.0f}"
        axes.text(column, row, text, ha="center", va="center", color="white" if abs(value - 0.5) > 0.27 else "black")
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(values) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
