"""The figure of a ranking: scores with their intervals, boxes around contestants that cannot be told apart."""

import io
from typing import TYPE_CHECKING, Any

from .result import Ranking
from .simulate import is_simulated

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, DPI = 3.5, 300
"""Inches: one column of a journal. Text is 8 points at this width."""
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's palette, which colour-blind readers can tell apart; line styles say the same again."""
STYLES = ("-", "--", "-.", ":")
STYLE: Any = {
    "font.size": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "text.parse_math": False,  # a name may have dollars
    "pdf.fonttype": 42,  # text stays text, which journals ask for
}
LONGEST = 28
"""Letters of a name that are drawn."""


def draw(ranking: Ranking) -> dict[str, bytes]:
    """The figure as "pdf" and "png". Best on top; on the right the letters of the groups, as in the tables."""
    import matplotlib

    with matplotlib.rc_context(STYLE):
        figure = _figure(ranking)
        files = {kind: io.BytesIO() for kind in ("pdf", "png")}
        for kind, file in files.items():
            figure.savefig(file, format=kind, dpi=DPI)
    return {kind: file.getvalue() for kind, file in files.items()}


def _figure(ranking: Ranking) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, 0.75 + 0.3 * len(ranking.standings)), layout="constrained")
    axes = figure.subplots()
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
    return figure


def _boxes(axes: "Axes", ranking: Ranking) -> None:
    from matplotlib.patches import Rectangle

    scores = [standing.score for standing in ranking.standings]
    span = max(score.high for score in scores) - min(score.low for score in scores)
    for k, (first, last) in enumerate(ranking.runs):
        if first == last:
            continue
        nested = k % 3  # so that the edges of boxes that overlap do not lie on one another
        margin = span * (0.03 + 0.02 * nested)
        left = min(score.low for score in scores[first : last + 1]) - margin
        right = max(score.high for score in scores[first : last + 1]) + margin
        top, bottom = first - 0.42 + 0.06 * nested, last + 0.42 - 0.06 * nested
        colour = COLOURS[k % len(COLOURS)]
        box = Rectangle((left, top), right - left, bottom - top, linewidth=1, linestyle=STYLES[k % len(STYLES)])
        box.set(facecolor=(colour, 0.07), edgecolor=colour, joinstyle="round")
        axes.add_patch(box)
