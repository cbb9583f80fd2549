"""The figures of a study: the scores with their intervals and groups, and the matrix of the judges' preferences."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..run.files import write_atomically
from .simulate import is_simulated

if TYPE_CHECKING:
    from .ranking import Ranking
    from .score import Matrix

WIDTH, DPI = 3.5, 300
"""Inches: one column of a journal; text has 8 points at this width."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito, for colour-blind readers
STYLES = ("-", "--", "-.", ":")
STYLE: Any = {
    "font.size": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "text.parse_math": False,  # a name may have dollar signs
    "pdf.fonttype": 42,  # text stays text, as journals require
}
LONGEST = 28  # letters of a name in the figure
PREFERENCES = "PuOr"  # purple: preferred, orange: not; distinct in every kind of colour vision
SUMMARY = ("comparisons won", "above the original")


def draw_ranking(ranking: "Ranking") -> dict[str, bytes]:
    """The ranking as "pdf" and "png": best on top, the letters of the groups on the right."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.75 + 0.3 * len(ranking.standings)), layout="constrained")
        _intervals(figure.subplots(), ranking)
        files = {kind: io.BytesIO() for kind in ("pdf", "png")}
        for kind, file in files.items():
            figure.savefig(file, format=kind, dpi=DPI)
    return {kind: file.getvalue() for kind, file in files.items()}


def _intervals(axes: Axes, ranking: "Ranking") -> None:
    _boxes(axes, ranking)
    for place, standing in enumerate(ranking.standings):
        score = standing.score
        axes.plot([score.low, score.high], [place, place], color="black", linewidth=1.2, solid_capstyle="butt")
        axes.plot(score.value, place, "o", color="black", markersize=4)
        axes.text(1.02, place, standing.groups, transform=axes.get_yaxis_transform(), va="center")
    names = [standing.contestant for standing in ranking.standings]
    short = [name if len(name) <= LONGEST else name[: LONGEST - 1] + "\u2026" for name in names]
    axes.set_yticks(range(len(names)), short)
    axes.set_ylim(len(names) - 0.35, -0.65)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", linewidth=0.4, color="0.88")
    axes.set_axisbelow(True)
    axes.set_xlabel("Bradley\u2013Terry score, logits (95 % interval)")
    if any(is_simulated(observer) for observer in ranking.tally.observers):
        axes.set_title("simulated answers", fontsize=8, color="0.4")


def _boxes(axes: Axes, ranking: "Ranking") -> None:
    """A box around every group of two or more contestants that cannot be told apart."""
    scores = [standing.score for standing in ranking.standings]
    span = max(score.high for score in scores) - min(score.low for score in scores)
    for k, (first, last) in enumerate(ranking.runs):
        if first == last:
            continue
        nested = k % 3  # so that the edges of overlapping boxes stay apart
        margin = span * (0.03 + 0.02 * nested)
        left = min(score.low for score in scores[first : last + 1]) - margin
        right = max(score.high for score in scores[first : last + 1]) + margin
        top, bottom = first - 0.42 + 0.06 * nested, last + 0.42 - 0.06 * nested
        colour = COLOURS[k % len(COLOURS)]
        box = Rectangle((left, top), right - left, bottom - top, linewidth=1, linestyle=STYLES[k % len(STYLES)])
        box.set(facecolor=(colour, 0.07), edgecolor=colour, joinstyle="round")
        axes.add_patch(box)


def draw_matrix(matrix: "Matrix", path: Path) -> None:
    """Write a PNG, atomically: contestants by judges, then the opinion of all judges but the contestant's own."""
    rows, columns = matrix.preference.shape
    figure = Figure(figsize=(4.2 + 0.9 * columns, 2.6 + 0.5 * rows), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[columns, len(SUMMARY)])
    _cells(left, matrix.preference, list(matrix.judges))
    _cells(right, np.stack([matrix.by_others, matrix.over_original], axis=1), list(SUMMARY))
    exposed = dict(zip(matrix.contestants, matrix.only_by_itself, strict=True))
    left.set_yticks(
        range(rows), [f"{name}\nliked only by itself" * bool(alone) or name for name, alone in exposed.items()]
    )
    for label, alone in zip(left.get_yticklabels(), exposed.values(), strict=True):
        label.set_fontweight("bold" if alone else "normal")
    for row, column in np.argwhere(matrix.own):
        for colour, width in (("black", 5), ("white", 2)):
            frame = Rectangle((column - 0.45, row - 0.45), 0.9, 0.9, fill=False, linewidth=width, edgecolor=colour)
            left.add_patch(frame)
    left.set_ylabel("contestant")
    left.set_title("% of comparisons won, by judge", fontsize=10)
    right.set_title("%, all judges\nbut its own", fontsize=10)
    note = f"{matrix.photos} photographs; 50: no preference; framed: the model that the ascent followed"
    figure.supxlabel(note, fontsize=9, color="0.3")
    write_atomically(path, lambda part: figure.savefig(part, format="png", dpi=200))


def _cells(axes: Axes, values: Any, names: list[str]) -> None:
    """Coloured cells, each with its percentage; ``values`` (rows, columns) in [0, 1], nan for none."""
    axes.imshow(values, cmap=PREFERENCES, vmin=0, vmax=1, aspect="auto")
    for (row, column), value in np.ndenumerate(values):
        text = "–" if np.isnan(value) else f"{100 * value:.0f}"
        axes.text(column, row, text, ha="center", va="center", color="white" if abs(value - 0.5) > 0.27 else "black")
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", rotation_mode="anchor")
    axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(values) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
