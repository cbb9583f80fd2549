"""Answers as counts, and Bradley-Terry scores with a term for the side, fitted to the counts by maximum likelihood.

    logit P(left is chosen) = s_left - s_right + b

(Bradley and Terry 1952; the term for the order: Davidson and Beaver 1977.) b is the preference for the left side, so
that it does not count as a preference for a contestant. A normal prior of standard deviation ``PRIOR`` on every
parameter keeps the scores finite if a contestant always wins; with some hundred answers it changes them by less than
0.1 %. Parameters are (M + 1,): s of the M contestants, with mean 0, then b.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.special import expit

from mslique import UserError

from .trials import Answer

Numbers = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]
PRIOR = 10.0
"""Standard deviation of the prior, in logits."""
ITERATIONS, TOLERANCE = 200, 1e-7


@dataclass(frozen=True)
class Tally:
    """N answers to pairs of M contestants.

    Args:
        contestants, observers, photos: names; the arrays have their indices.
        observer, photo, left, right: (N,), the observer, the photograph, and the contestants on both sides.
        first: (N,), whether the left side was chosen.
    """

    contestants: tuple[str, ...]
    observers: tuple[str, ...]
    photos: tuple[str, ...]
    observer: Numbers
    photo: Numbers
    left: Numbers
    right: Numbers
    first: Mask

    @classmethod
    def of(cls, answers: Sequence[Answer], contestants: Sequence[str] = ()) -> "Tally":
        """The answers of kind "pair"; ``contestants`` adds names that may not occur in them."""
        pairs = [a for a in answers if a.kind == "pair"]
        sides = [a.left for a in pairs], [a.right for a in pairs]
        names, (left, right) = _numbered([*contestants], *sides)
        observers, (observer,) = _numbered([], [a.observer for a in pairs])
        photos, (photo,) = _numbered([], [a.photo for a in pairs])
        first = np.array([a.choice == "left" for a in pairs], dtype=bool)
        return cls(names, observers, photos, observer, photo, left, right, first)

    def counts(self, unit: Numbers) -> Floats:
        """(2, units, M * M): how often each ordered pair was shown, and its left side chosen, in each unit of answers.

        Args:
            unit: (N,) number of an answer's unit, such as its observer. The column of a pair is left * M + right.
        """
        m = len(self.contestants)
        shown, chosen = np.zeros((2, int(unit.max(initial=-1)) + 1, m * m))
        np.add.at(shown, (unit, self.left * m + self.right), 1)
        np.add.at(chosen, (unit, self.left * m + self.right), self.first)
        return np.stack([shown, chosen])

    def total(self) -> Floats:
        """The counts of all answers, (2, M * M)."""
        return self.counts(self.observer).sum(axis=1)

    @property
    def winner(self) -> Numbers:
        """(N,), the contestant that was chosen."""
        return np.where(self.first, self.left, self.right)


def _numbered(known: Sequence[str], *columns: Sequence[str]) -> tuple[tuple[str, ...], list[Numbers]]:
    """The different names in the order of their first appearance, and the columns as indices of them."""
    names = tuple(dict.fromkeys([*known, *(name for row in zip(*columns, strict=True) for name in row)]))
    number = {name: k for k, name in enumerate(names)}
    return names, [np.array([number[name] for name in column], dtype=np.int64) for column in columns]


def fit(counts: Floats) -> Floats:
    """Parameters (M + 1,) of one table of counts (2, M * M), or (R, M + 1) of R tables (2, R, M * M).

    Newton's method with the damped step log(1 + r) / r, where r is the largest change of a logit; it converges from
    every start (Sun and Tran-Dinh 2019, generalized self-concordant functions, nu = 2).
    """
    shown, chosen = counts
    rows = design(shown.shape[-1])
    found = np.zeros((*shown.shape[:-1], rows.shape[1]))
    for _ in range(ITERATIONS):
        probability = expit(found @ rows.T)
        slope = (chosen - shown * probability) @ rows - found / PRIOR**2
        step = np.linalg.solve(_curvature(shown * probability * (1 - probability), rows), slope[..., None])[..., 0]
        largest = np.abs(step @ rows.T).max(axis=-1, keepdims=True) + 1e-300
        found += step * np.log1p(largest) / largest
        if largest.max() < TOLERANCE:
            found[..., :-1] -= found[..., :-1].mean(axis=-1, keepdims=True)  # removes the rounding error of the mean
            return found
    raise ArithmeticError(f"Bradley-Terry scores have not converged in {ITERATIONS} steps")


def covariance(parameters: Floats, counts: Floats) -> Floats:
    """Inverse information (M + 1, M + 1): the covariance if all answers were independent."""
    rows = design(counts.shape[-1])
    probability = expit(rows @ parameters)
    return np.linalg.inv(_curvature(counts[0] * probability * (1 - probability), rows))


def design(cells: int) -> Floats:
    """(M * M, M + 1): the parameters whose sum, with these signs, is the logit of an ordered pair."""
    one = np.eye(round(cells**0.5))
    return np.hstack([np.repeat(one, len(one), axis=0) - np.tile(one, (len(one), 1)), np.ones((cells, 1))])


def check_connected(counts: Floats, contestants: Sequence[str]) -> None:
    """Raise a UserError if no chain of comparisons links some of the contestants."""
    groups = _components(counts[0].reshape(len(contestants), -1), contestants, "weak")
    if len(groups) > 1:
        raise UserError(
            f"{' and '.join(groups)} were never compared with one another, so they cannot stand in one ranking:"
            " collect answers to pairs across, or rank them apart"
        )


def separated(counts: Floats, contestants: Sequence[str]) -> list[str]:
    """Groups of contestants if one group always beat another, so that only the prior bounds their distance."""
    shown, chosen = counts.reshape(2, len(contestants), len(contestants))
    groups = _components(chosen + (shown - chosen).T, contestants, "strong")
    return groups if len(groups) > 1 else []


def _components(edges: Floats, contestants: Sequence[str], connection: str) -> list[str]:
    number, label = connected_components(csr_array(edges), connection=connection)
    return [f"({', '.join(n for n, g in zip(contestants, label, strict=True) if g == k)})" for k in range(number)]


def _curvature(weight: Floats, rows: Floats) -> Floats:
    """Second derivatives of the negative log posterior, (..., M + 1, M + 1), at weights (..., M * M)."""
    return (rows.T * weight[..., None, :]) @ rows + np.eye(rows.shape[1]) / PRIOR**2
