"""Answers to pairs as arrays of numbers, and as counts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .answers import Answer

Numbers = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Tally:
    """N answers to pairs of M contestants.

    Args:
        contestants, observers, photos: names, to which the arrays refer by index.
        observer, photo, left, right: (N,), who judged which photograph, and what was shown on each side.
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
        """Count ``answers`` of kind "pair"; contestants that were never shown are known only if they are given."""
        pairs = [a for a in answers if a.kind == "pair"]
        names = tuple(dict.fromkeys([*contestants, *(name for a in pairs for name in (a.left, a.right))]))
        observers = tuple(dict.fromkeys(a.observer for a in pairs))
        photos = tuple(dict.fromkeys(a.photo for a in pairs))
        return cls(
            names,
            observers,
            photos,
            observer=_numbers([a.observer for a in pairs], observers),
            photo=_numbers([a.photo for a in pairs], photos),
            left=_numbers([a.left for a in pairs], names),
            right=_numbers([a.right for a in pairs], names),
            first=np.array([a.choice == "left" for a in pairs], dtype=bool),
        )

    def only(self, mask: Mask) -> "Tally":
        """The answers where ``mask`` (N,) is true, with only their observers and photographs, newly numbered."""
        observers, observer = np.unique(self.observer[mask], return_inverse=True)
        photos, photo = np.unique(self.photo[mask], return_inverse=True)
        return replace(
            self,
            observers=tuple(self.observers[k] for k in observers),
            photos=tuple(self.photos[k] for k in photos),
            observer=observer,
            photo=photo,
            left=self.left[mask],
            right=self.right[mask],
            first=self.first[mask],
        )

    def counts(self, unit: Numbers) -> Floats:
        """How often every ordered pair was shown, and its left side chosen, in each unit of answers.

        Args:
            unit: (N,) number of the unit to which an answer belongs: its observer, its photograph, or another one.

        Returns:
            (2, units, M * M): times shown, times left was chosen; column left * M + right.
        """
        cells = len(self.contestants) ** 2
        place = unit * cells + self.left * len(self.contestants) + self.right
        units = int(unit.max(initial=-1)) + 1
        shown = np.bincount(place, minlength=units * cells)
        chosen = np.bincount(place, weights=self.first, minlength=units * cells)
        return np.stack([shown, chosen]).reshape(2, units, cells).astype(float)

    def total(self) -> Floats:
        """The counts of all answers, (2, M * M)."""
        return self.counts(self.observer).sum(axis=1)

    @property
    def winner(self) -> Numbers:
        """(N,), which contestant was chosen."""
        return np.where(self.first, self.left, self.right)


def _numbers(values: Sequence[str], names: Sequence[str]) -> Numbers:
    number = {name: k for k, name in enumerate(names)}
    return np.array([number[value] for value in values], dtype=np.int64)
