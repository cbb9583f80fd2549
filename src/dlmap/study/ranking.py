"""From answers to a global ranking: screening, scores, intervals, tests, groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats
from scipy.special import expit

from mslique import UserError

from .bradley_terry import Tally, check_connected, fit, separated
from .options import Correction, Options
from .screening import Observer, screen
from .trials import Answer
from .uncertainty import ALPHA, Estimate, Uncertainty, bootstrap, corrected, letters, runs


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
    pairs = _pairs(tally, uncertainty, order, options.correction)
    distinct = np.zeros((len(order), len(order)), dtype=bool)
    distinct[np.triu_indices(len(order), 1)] = [pair.distinct for pair in pairs]
    groups = runs(distinct | distinct.T)
    return Ranking(
        standings=_standings(tally, uncertainty, order, groups),
        pairs=pairs,
        runs=groups,
        observers=observers,
        tally=tally,
        side=uncertainty.estimates(np.eye(len(parameters))[-1:])[0],
        freedom=uncertainty.freedom,
        separated=separated(counts, tally.contestants),
        options=options,
    )


def _standings(
    tally: Tally, uncertainty: Uncertainty, order: list[int], groups: list[tuple[int, int]]
) -> list[Standing]:
    m = len(tally.contestants)
    scores = uncertainty.estimates(np.eye(m, m + 1) - np.append(np.full(m, 1 / m), 0))
    shown = np.bincount(np.concatenate([tally.left, tally.right]), minlength=m).tolist()
    wins = np.bincount(tally.winner, minlength=m).tolist()
    return [
        Standing(place, tally.contestants[k], scores[k], names, shown[k], wins[k])
        for place, (k, names) in enumerate(zip(order, letters(groups, m), strict=True), start=1)
    ]


def _pairs(tally: Tally, uncertainty: Uncertainty, order: list[int], correction: Correction) -> list[Pair]:
    couples = list(combinations(order, 2))
    one = np.eye(len(order), len(order) + 1)
    contrasts = np.array([one[better] - one[worse] for better, worse in couples])
    errors = uncertainty.error(contrasts)
    t = contrasts @ uncertainty.parameters / errors
    alone = 2 * stats.t.sf(np.abs(t), uncertainty.freedom)
    columns = (column.tolist() for column in (errors, t, alone, corrected(alone, correction)))
    return [
        Pair(tally.contestants[better], tally.contestants[worse], *row)
        for (better, worse), *row in zip(couples, uncertainty.estimates(contrasts), *columns, strict=True)
    ]
