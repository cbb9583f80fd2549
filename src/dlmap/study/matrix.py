"""Which contestant's pictures does each model prefer, and does anyone but its own model like a contestant?

A judge's preference for a contestant is the share of comparisons, with every other contestant on every photograph,
that it wins by that judge's score; a tie counts half. 0.5 is no preference. Shares, unlike mean scores, compare judges
of any scale. Pictures that were made to please a judge win in its eyes, whatever they are worth: so with those it
compares no other contestant, and what it says of the others is not pulled down by them [ours].
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..run.files import write_csv

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Matrix:
    """Rows are contestants, those that the other judges prefer first; columns are judges, in the same order.

    Args:
        contestants: C names.
        judges: J names.
        preference: (C, J), in [0, 1]; nan where the judge has nothing to compare.
        own: (C, J), whether that judge is the model that the contestant's ascent followed. In a study of enhancers all
            rows have the same one, those without an ascent too: it is not neutral between them.
        by_others: (C,), mean preference of the other judges; nan if there are none.
        over_original: (C,), share of photographs on which the same judges score it above the original.
        photos: number of photographs.
    """

    contestants: tuple[str, ...]
    judges: tuple[str, ...]
    preference: Array
    own: NDArray[np.bool_]
    by_others: Array
    over_original: Array
    photos: int

    @property
    def only_by_itself(self) -> NDArray[np.bool_]:
        """Whether its own judge prefers a contestant (more than half of the comparisons) and no other one does."""
        liked = self.preference > 0.5
        mine, others = (liked & self.own).any(axis=1), (liked & ~self.own).any(axis=1)
        return np.asarray(mine & ~others & ~np.isnan(self.by_others))

    def text(self) -> str:
        """A line a contestant, and a sentence on each that only the model of its ascent likes."""
        lines = ["comparisons won:\n"]
        for row, name in enumerate(self.contestants):
            shares = [
                f"{self.preference[row, k]:.0%} by {judge}, which the ascent followed" for k, judge in self._own(row)
            ]
            if not np.isnan(self.by_others[row]):
                shares.insert(0, f"{self.by_others[row]:.0%} by the other judges")
            lines.append(f"{name}: {', '.join(shares)}\n")
        for row, name in enumerate(self.contestants):
            if self.only_by_itself[row]:
                judges = " and ".join(judge for _, judge in self._own(row))
                lines.append(f"{name} is liked only by itself: {judges} prefers its pictures, no other judge does\n")
        return "".join(lines)

    def _own(self, row: int) -> list[tuple[int, str]]:
        return [(k, judge) for k, judge in enumerate(self.judges) if self.own[row, k]]

    def write(self, path: Path) -> None:
        """Write matrix.csv, atomically."""
        names = ("preferred_by_the_others", "over_the_original", "liked_only_by_itself")
        rows = []
        for row, name in enumerate(self.contestants):
            values = [*self.preference[row], self.by_others[row], self.over_original[row]]
            alone = "yes" if self.only_by_itself[row] else "no"
            rows.append([name, *("" if np.isnan(v) else f"{v:.4f}" for v in values), alone])
        write_csv(path, ["contestant", *self.judges, *names], rows)


def make_matrix(
    contestants: tuple[str, ...], judges: tuple[str, ...], own: dict[str, str], scores: Array, originals: Array
) -> Matrix:
    """The matrix of scores (J, P, C) of contestants and (J, P) of the originals, on P photographs.

    Args:
        own: by contestant, as of :class:`Matrix`.
    """
    wins = (scores[..., :, None] > scores[..., None, :]) + 0.5 * (scores[..., :, None] == scores[..., None, :])
    mine = np.array([[own.get(name) == judge for judge in judges] for name in contestants])
    compared = (mine.T[:, :, None] | ~mine.T[:, None, :]) & ~np.eye(len(contestants), dtype=bool)  # (J, C, C)
    preference = _mean_where(wins.mean(axis=1), compared).T
    by_others = _mean_where(preference, ~mine & ~np.isnan(preference))
    over_original = _mean_where((scores > originals[..., None]).mean(axis=1).T, ~mine)
    rows = np.argsort(-np.nan_to_num(by_others, nan=-1), kind="stable")
    first = np.where(mine.any(axis=0), mine[rows].argmax(axis=0), len(contestants))
    columns = np.argsort(first, kind="stable")  # so that what is a contestant's own lies on the diagonal
    return Matrix(
        contestants=tuple(contestants[k] for k in rows),
        judges=tuple(judges[k] for k in columns),
        preference=preference[rows][:, columns],
        own=mine[rows][:, columns],
        by_others=by_others[rows],
        over_original=over_original[rows],
        photos=scores.shape[1],
    )


def _mean_where(values: Array, where: NDArray[np.bool_]) -> Array:
    """Means along the last axis over the elements that count; nan where none does."""
    count = where.sum(axis=-1)
    return np.where(count > 0, np.where(where, values, 0).sum(axis=-1) / np.maximum(count, 1), np.nan)
