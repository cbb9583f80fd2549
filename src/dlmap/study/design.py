"""Which trials an observer sees: every pair of contestants on every photograph, in both orders over the study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Literal

import numpy as np

ORIGINAL, DEGRADED = "@original", "@degraded"
"""The two sides of a catch trial: the photograph and a version of it that is plainly worse."""

Kind = Literal["practice", "pair", "catch"]
Cell = tuple[str, str, str]
"""Photograph, contestant on the left, contestant on the right."""


@dataclass(frozen=True)
class Trial:
    """One two-alternative forced choice: which of ``left`` and ``right`` is preferred."""

    kind: Kind
    photo: str
    left: str
    right: str


def session(
    contestants: Sequence[str],
    photos: Sequence[str],
    taken: Mapping[Cell, int],
    rng: np.random.Generator,
    trials: int = 120,
    catches: int = 8,
    practice: int = 3,
) -> list[Trial]:
    """The trials of one observer: practice, then pairs in random order with catch trials spread among them.

    The cells that the study has used least come first, so that every pair is seen on every photograph equally often in
    both orders: no cell is ever more than two showings ahead of another. Within a session pairs and photographs are
    balanced too, and no pair is shown twice on the same photograph as long as there are others.

    Args:
        taken: how often each cell was given to observers so far; missing ones count as 0.
        trials: number of pairs, at most the number of cells.
    """
    cells = [(photo, left, right) for photo in photos for left, right in permutations(contestants, 2)]
    chosen = [cells[k] for k in _least_used(cells, taken, rng, min(trials, len(cells)))]
    pairs = [Trial("pair", *chosen[k]) for k in rng.permutation(len(chosen))]
    for place in sorted(_spread(len(pairs), catches, rng), reverse=True):
        pairs.insert(place, _catch(photos, rng))
    warm_up = rng.permutation(len(cells))[:practice]
    return [Trial("practice", *cells[k]) for k in warm_up] + pairs


def _least_used(cells: Sequence[Cell], taken: Mapping[Cell, int], rng: np.random.Generator, count: int) -> list[int]:
    """Indices of cells, chosen one after another: least used in the study, then in the session, then at random."""
    photo = _numbered([cell[0] for cell in cells])
    pair = _numbered([frozenset(cell[1:]) for cell in cells])
    used = np.array([taken.get(cell, 0) for cell in cells])
    of_photo, of_pair = np.zeros(photo.max() + 1), np.zeros(pair.max() + 1)
    seen = np.zeros((len(of_photo), len(of_pair)))
    free = np.ones(len(cells), dtype=bool)
    tie = rng.permutation(len(cells))
    chosen = []
    for _ in range(count):
        k = int(np.lexsort((tie, of_photo[photo], of_pair[pair], used, seen[photo, pair], ~free))[0])
        chosen.append(k)
        free[k] = False
        seen[photo[k], pair[k]] += 1
        of_photo[photo[k]] += 1
        of_pair[pair[k]] += 1
    return chosen


def _numbered(values: Sequence[object]) -> np.ndarray:
    """Each value as the number of its first appearance among the different ones."""
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values])


def _spread(length: int, count: int, rng: np.random.Generator) -> list[int]:
    """One random place in each of ``count`` equal stretches of ``length``."""
    edges = np.linspace(0, length, count + 1).astype(int)
    return [int(rng.integers(a, max(a + 1, b))) for a, b in zip(edges[:-1], edges[1:], strict=True)]


def _catch(photos: Sequence[str], rng: np.random.Generator) -> Trial:
    left, right = rng.permutation([ORIGINAL, DEGRADED])
    return Trial("catch", photos[int(rng.integers(len(photos)))], str(left), str(right))
