"""From answers to a global ranking: screening, scores, intervals, tests, groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats
from scipy.special import expit

from mslique import UserError

from .bradley_terry import Floats, Tally, check_connected, fit, separated
from .options import Options
from .screening import Observer, screen
from .trials import Answer
from .uncertainty import Uncertainty, bootstrap, corrected, letters, runs

ALPHA = 0.05
"""Intervals cover 1 - ALPHA; contestants whose p-value is below ALPHA are told apart."""


@dataclass(frozen=True)
class Estimate:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Standing:
    """One contestant: score in logits (0 on average), letters of its groups, times shown and times chosen."""

    rank: int
    contestant: str
    score: Estimate
    groups: str
    comparisons: int
    wins: int


@dataclass(frozen=True)
class Pair:
    """The t-test of two contestants: ``better`` has the higher score. ``p`` is corrected for the number of pairs."""

    better: str
    worse: str
    difference: Estimate
    error: float
    t: float
    p_alone: float
    p: float

    @property
    def distinct(self) -> bool:
        return self.p < ALPHA


@dataclass(frozen=True)
class Ranking:
    """The result.

    Args:
        standings: in rank order, best first.
        pairs: all pairs, in rank order of the better, then of the worse.
        runs: first and last place (from 0) of every group of contestants that cannot be told apart.
        observers: all observers, excluded or not.
        tally: the answers that count.
        side: preference for the left side, in logits.
        freedom: degrees of freedom of the tests.
        separated: groups of which one won every comparison with another, if there are any.
        options: of the ranking.
    """

    standings: list[Standing]
    pairs: list[Pair]
    runs: list[tuple[int, int]]
    observers: list[Observer]
    tally: Tally
    side: Estimate
    freedom: int
    separated: list[str]
    options: Options

    @property
    def side_chance(self) -> Estimate:
        """The probability that the left of two equal pictures is chosen."""
        return Estimate(*(float(expit(v)) for v in (self.side.value, self.side.low, self.side.high)))

    @property
    def excluded(self) -> list[Observer]:
        return [] if self.options.keep_all else [observer for observer in self.observers if observer.reasons]


def rank(answers: Sequence[Answer], contestants: Sequence[str] = (), options: Options | None = None) -> Ranking:
    """Rank the contestants of ``answers``; all names in ``contestants`` must be among them.

    Raises:
        UserError: there are no answers, or none after the screening; or some contestants were never compared.
    """
    options = options or Options()
    everyone = Tally.of(answers, contestants)
    if not len(everyone.first):
        raise UserError("there are no answers to pairs of contestants yet")
    observers = screen(answers, everyone, options.bounds)
    kept = {o.observer for o in observers if options.keep_all or not o.reasons}
    if not kept:
        reasons = "; ".join(f"{o.observer}: {', '.join(o.reasons)}" for o in observers[:3])
        more = "; ..." if len(observers) > 3 else ""
        raise UserError(f"all {len(observers)} observers are excluded ({reasons}{more}); --keep-all keeps them")
    tally = Tally.of([a for a in answers if a.observer in kept], everyone.contestants)
    counts = tally.total()
    check_connected(counts, tally.contestants)
    parameters = fit(counts)
    uncertainty = bootstrap(tally, parameters, options.resamples, np.random.default_rng(options.seed))
    order = np.argsort(-parameters[:-1], kind="stable").tolist()
    pairs, groups = _pairs(tally.contestants, parameters, uncertainty, order, options)
    return Ranking(
        standings=_standings(tally, parameters, uncertainty, order, groups),
        pairs=pairs,
        runs=groups,
        observers=observers,
        tally=tally,
        side=_estimates(np.eye(len(parameters))[-1:], parameters, uncertainty)[0],
        freedom=uncertainty.freedom,
        separated=separated(counts, tally.contestants),
        options=options,
    )


def _estimates(contrasts: Floats, parameters: Floats, uncertainty: Uncertainty) -> list[Estimate]:
    values = contrasts @ parameters
    margins = stats.t.ppf(1 - ALPHA / 2, uncertainty.freedom) * uncertainty.error(contrasts)
    return [Estimate(float(v), float(v - m), float(v + m)) for v, m in zip(values, margins, strict=True)]


def _standings(
    tally: Tally, parameters: Floats, uncertainty: Uncertainty, order: list[int], groups: list[tuple[int, int]]
) -> list[Standing]:
    m = len(tally.contestants)
    scores = _estimates(np.eye(m, m + 1) - np.append(np.full(m, 1 / m), 0), parameters, uncertainty)
    shown = np.bincount(np.concatenate([tally.left, tally.right]), minlength=m).tolist()
    wins = np.bincount(tally.winner, minlength=m).tolist()
    return [
        Standing(place, tally.contestants[k], scores[k], names, shown[k], wins[k])
        for place, (k, names) in enumerate(zip(order, letters(groups, m), strict=True), start=1)
    ]


def _pairs(
    names: Sequence[str], parameters: Floats, uncertainty: Uncertainty, order: list[int], options: Options
) -> tuple[list[Pair], list[tuple[int, int]]]:
    """The tests of all pairs, and the groups that follow from them."""
    one = np.eye(len(parameters))[order]
    first, second = np.array(list(combinations(range(len(order)), 2))).T
    contrasts = one[first] - one[second]
    estimates, errors = _estimates(contrasts, parameters, uncertainty), uncertainty.error(contrasts)
    t = contrasts @ parameters / errors
    alone = 2 * stats.t.sf(np.abs(t), uncertainty.freedom)
    p = corrected(alone, options.correction)
    distinct = np.zeros((len(order), len(order)), dtype=bool)
    distinct[first, second] = distinct[second, first] = p < ALPHA
    columns = (errors.tolist(), t.tolist(), alone.tolist(), p.tolist())
    pairs = [
        Pair(names[order[i]], names[order[j]], *row)
        for i, j, *row in zip(first, second, estimates, *columns, strict=True)
    ]
    return pairs, runs(distinct)
