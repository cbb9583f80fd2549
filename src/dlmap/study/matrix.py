"""Which contestant's pictures does each model prefer, and does anyone but its own model like a contestant?

A judge's preference for a contestant is the share of comparisons, with every other contestant on every photograph,
that it wins by that judge's score; a tie counts half. 0.5 is no preference. Shares, unlike mean scores, compare judges
of any scale, and a column always sums to half the number of contestants.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..images import write_atomically

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Matrix:
    """Rows are contestants, those that the other judges prefer first.

    Args:
        contestants: C names.
        judges: J names.
        preference: (C, J), in [0, 1].
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
        return np.asarray(mine & ~others & ~self.own.all(axis=1))

    def text(self) -> str:
        """A line a contestant, and what is to be said of those that only the model of the ascent likes."""
        lines = []
        for row, name in enumerate(self.contestants):
            others = f"{self.by_others[row]:.0%}" if self.by_others[row] >= 0 else "(there are none)"
            said = [
                f"{self.judges[k]}, which the ascent followed, {self.preference[row, k]:.0%}" for k in self._own(row)
            ]
            lines.append("; ".join([f"{name}: preferred by the other judges {others}", *said]) + "\n")
        for row, name in enumerate(self.contestants):
            if self.only_by_itself[row]:
                judge = self.judges[self._own(row)[0]]
                lines.append(f"{name} is liked only by itself: {judge} prefers its pictures, no other judge does\n")
        return "".join(lines)

    def _own(self, row: int) -> list[int]:
        return [column for column, mine in enumerate(self.own[row]) if mine]

    def write(self, path: Path) -> None:
        """Write matrix.csv, atomically."""

        def write(part: Path) -> None:
            with part.open("w", newline="", encoding="utf-8") as file:
                table = csv.writer(file)
                names = ("preferred_by_the_others", "over_the_original", "liked_only_by_itself")
                table.writerow(["contestant", *self.judges, *names])
                for row, name in enumerate(self.contestants):
                    values = [*self.preference[row], self.by_others[row], self.over_original[row]]
                    alone = "yes" if self.only_by_itself[row] else "no"
                    table.writerow([name, *("" if np.isnan(v) else f"{v:.4f}" for v in values), alone])

        write_atomically(path, write)


def make_matrix(
    contestants: tuple[str, ...], judges: tuple[str, ...], own: dict[str, str], scores: Array, originals: Array
) -> Matrix:
    """The matrix of scores (J, P, C) of contestants and (J, P) of the originals, on P photographs.

    Args:
        own: by contestant, as of :class:`Matrix`.
    """
    wins = (scores[..., :, None] > scores[..., None, :]) + 0.5 * (scores[..., :, None] == scores[..., None, :])
    count = len(contestants)
    preference = ((wins.sum(axis=3) - 0.5) / (count - 1)).mean(axis=1).T  # a contestant ties with itself
    over = (scores > originals[..., None]).mean(axis=1).T
    mine = np.array([[own.get(name) == judge for judge in judges] for name in contestants])
    by_others, over_original = (_mean_where(values, ~mine) for values in (preference, over))
    order = np.argsort(-np.nan_to_num(by_others, nan=-1), kind="stable")
    return Matrix(
        contestants=tuple(contestants[k] for k in order),
        judges=judges,
        preference=preference[order],
        own=mine[order],
        by_others=by_others[order],
        over_original=over_original[order],
        photos=scores.shape[1],
    )


def _mean_where(values: Array, where: NDArray[np.bool_]) -> Array:
    """Means of rows over the elements that count; nan where none does."""
    count = where.sum(axis=1)
    return np.where(count > 0, (values * where).sum(axis=1) / np.maximum(count, 1), np.nan)
