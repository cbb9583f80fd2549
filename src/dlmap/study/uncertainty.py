"""How far the scores depend on the observers and photographs, and which contestants can be told apart.

A bootstrap over observers and photographs at once counts the chance of single answers up to three times (Owen 2007, the
pigeonhole bootstrap). So observers, photographs, and blocks (the answers of one observer about one photograph) are
resampled separately, and the covariances combined to observers + photographs - blocks (Cameron, Gelbach and Miller
2011, two-way clusters), each times G / (G - 1) for its number G of units. This sum can be too small by chance: a
variance is at least that of observers alone, of photographs alone, and of independent answers.
"""

import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from mslique import UserError

from .bradley_terry import Floats, Mask, Numbers, Tally, covariance, fit
from .options import Correction

ALPHA = 0.05
"""Intervals cover 1 - ALPHA; contestants whose p-value is below ALPHA are told apart."""


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Uncertainty:
    """The parameters (M + 1,), K covariances (K, M + 1, M + 1), of which the largest counts, degrees of freedom."""

    parameters: Floats
    covariances: Floats
    freedom: int

    def error(self, contrasts: Floats) -> Floats:
        """Standard errors (...) of the combinations ``contrasts`` (..., M + 1) of parameters."""
        variances = np.einsum("...p,kpq,...q->k...", contrasts, self.covariances, contrasts)
        return np.sqrt(variances.max(axis=0))

    def estimates(self, contrasts: Floats) -> list[Estimate]:
        """The combinations ``contrasts`` (K, M + 1) of parameters with their intervals, by Student's t."""
        values = contrasts @ self.parameters
        margins = stats.t.ppf(1 - ALPHA / 2, self.freedom) * self.error(contrasts)
        return [Estimate(float(v), float(v - m), float(v + m)) for v, m in zip(values, margins, strict=True)]


def bootstrap(tally: Tally, parameters: Floats, resamples: int, rng: np.random.Generator) -> Uncertainty:
    """Resample observers and photographs, except a single observer or a single photograph.

    ``parameters`` (M + 1,) are the fit to all answers. One observer and one photograph only raise a UserError.
    """
    _, block = np.unique(tally.observer * len(tally.photos) + tally.photo, return_inverse=True)
    units = [unit for unit in (tally.observer, tally.photo) if unit.max() > 0]
    if not units:
        raise UserError("one observer's answers about one photograph tell nothing about others: collect more")
    parts = [_covariance(tally, unit, resamples, rng) for unit in units]
    if len(parts) == 2:
        parts.append(sum(parts) - _covariance(tally, block, resamples, rng))
    parts.append(covariance(parameters, tally.total()))
    return Uncertainty(parameters, np.stack(parts), freedom=int(min(unit.max() for unit in units)))


def _covariance(tally: Tally, unit: Numbers, resamples: int, rng: np.random.Generator) -> Floats:
    """Covariance (M + 1, M + 1) of the parameters over resamples of two or more units."""
    counts = tally.counts(unit)
    size = counts.shape[1]
    times = rng.multinomial(size, np.full(size, 1 / size), size=resamples).astype(float)
    return np.cov(fit(times @ counts), rowvar=False) * size / (size - 1)


def corrected(p: Floats, correction: Correction) -> Floats:
    """p-values (K,) for which the chance of any false rejection at alpha is below alpha (Holm 1979)."""
    if correction == "none":
        return p
    order = np.argsort(p)
    result = np.empty_like(p)
    result[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return result


def runs(distinct: Mask) -> list[tuple[int, int]]:
    """The longest runs (first, last) in rank order without two that are ``distinct`` (M, M); runs may overlap."""
    found: list[tuple[int, int]] = []
    for first in range(len(distinct)):
        last = first
        while last + 1 < len(distinct) and not distinct[first : last + 1, last + 1].any():
            last += 1
        if not found or last > found[-1][1]:
            found.append((first, last))
    return found


def letters(groups: Sequence[tuple[int, int]], number: int) -> list[str]:
    """The letters (a, b, ... z, a2, b2, ...) of the groups of each of ``number`` contestants."""
    alphabet = string.ascii_lowercase
    names = [alphabet[k % 26] + (str(k // 26 + 1) if k >= 26 else "") for k in range(len(groups))]
    return [
        " ".join(name for name, (first, last) in zip(names, groups, strict=True) if first <= k <= last)
        for k in range(number)
    ]
