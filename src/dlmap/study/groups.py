"""Which contestants can be told apart: t-tests of all pairs, corrected for their number, and groups of the others."""

import string
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import stats

from .tally import Floats, Mask

Correction = Literal["holm", "none"]


def two_tailed(differences: Floats, errors: Floats, freedom: int) -> Floats:
    """p-values of Student's t-test that differences are 0."""
    return 2 * stats.t.sf(np.abs(differences) / errors, freedom)


def corrected(p: Floats, correction: Correction) -> Floats:
    """p-values (K,) that, held against alpha, keep the chance of any false rejection below it (Holm 1979)."""
    if correction == "none":
        return p
    order = np.argsort(p)
    scaled = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    result = np.empty_like(p)
    result[order] = scaled
    return result


def runs(distinct: Mask) -> list[tuple[int, int]]:
    """Maximal runs (first, last) in rank order in which no two can be told apart; they may overlap.

    Two that cannot be told apart but stand around a third that differs from one of them share no run.

    Args:
        distinct: (M, M), symmetric, contestants in rank order.
    """
    found: list[tuple[int, int]] = []
    for first in range(len(distinct)):
        last = first
        while last + 1 < len(distinct) and not distinct[first : last + 1, last + 1].any():
            last += 1
        if not found or last > found[-1][1]:
            found.append((first, last))
    return found


def letters(groups: Sequence[tuple[int, int]], number: int) -> list[str]:
    """For each of ``number`` contestants the letters of its groups: those without one in common are told apart."""
    names = [_letter(k) for k in range(len(groups))]
    return [
        " ".join(name for name, (first, last) in zip(names, groups, strict=True) if first <= k <= last)
        for k in range(number)
    ]


def _letter(k: int) -> str:
    """a, b, ... z, a2, b2, ..."""
    times, rest = divmod(k, len(string.ascii_lowercase))
    return string.ascii_lowercase[rest] + (str(times + 1) if times else "")
