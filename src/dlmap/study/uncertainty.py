"""How far scores would move with other observers and other photographs: a bootstrap over both.

Resampling observers and photographs at once counts the chance of single answers up to three times (Owen 2007, the
pigeonhole bootstrap). Each is resampled alone instead, and so are the blocks of one observer's answers about one
photograph, which are in both; the covariances combine to observers + photographs - blocks (Cameron, Gelbach and Miller
2011, two-way clusters), each times G / (G - 1) for its number G of units. A variance is never taken below that of
observers alone, of photographs alone, or of independent answers: the combination can come out smaller by chance.
"""

from dataclasses import dataclass

import numpy as np

from mslique import UserError

from .bradley_terry import covariance, fit_many
from .tally import Floats, Numbers, Tally


@dataclass(frozen=True)
class Uncertainty:
    """Covariances (K, M + 1, M + 1) of the parameters, of which the largest variance counts, and degrees of freedom."""

    covariances: Floats
    freedom: int

    def error(self, contrasts: Floats) -> Floats:
        """Standard errors (...) of the combinations ``contrasts`` (..., M + 1) of parameters."""
        variances = np.einsum("...p,kpq,...q->k...", contrasts, self.covariances, contrasts)
        return np.sqrt(variances.max(axis=0))


def bootstrap(tally: Tally, parameters: Floats, resamples: int, rng: np.random.Generator) -> Uncertainty:
    """Resample observers and photographs; one of them is left out where there is only one of it.

    Args:
        parameters: (M + 1,), the fit to all answers.

    Raises:
        UserError: there is one observer and one photograph.
    """
    _, block = np.unique(tally.observer * len(tally.photos) + tally.photo, return_inverse=True)
    units = [unit for unit in (tally.observer, tally.photo) if unit.max() > 0]
    if not units:
        raise UserError("one observer's answers about one photograph tell nothing about others: collect more")
    parts = [_covariance(tally, unit, resamples, rng) for unit in units]
    if len(parts) == 2:
        parts.append(sum(parts) - _covariance(tally, block, resamples, rng))
    parts.append(covariance(parameters, tally.total()))
    return Uncertainty(np.stack(parts), freedom=int(min(unit.max() for unit in units)))


def _covariance(tally: Tally, unit: Numbers, resamples: int, rng: np.random.Generator) -> Floats:
    """Covariance (M + 1, M + 1) of the parameters over resamples of the units, of which there are two or more."""
    counts = tally.counts(unit)
    size = counts.shape[1]
    times = rng.multinomial(size, np.full(size, 1 / size), size=resamples).astype(float)
    return np.cov(fit_many(times @ counts), rowvar=False) * size / (size - 1)
