"""From answers to a global ranking: screening, scores, intervals, tests, groups."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy import stats

from mslique import UserError

from . import bradley_terry, groups
from .answers import Answer
from .result import ALPHA, Estimate, Options, Pair, Ranking, Standing
from .screening import Observer, screen
from .tally import Floats, Mask, Numbers, Tally
from .uncertainty import Uncertainty, bootstrap


def rank(answers: Sequence[Answer], contestants: Sequence[str] = (), options: Options | None = None) -> Ranking:
    """Rank the contestants of ``answers``; those named in ``contestants`` must all be among them.

    Raises:
        UserError: there are no answers, or none is left after the screening; contestants were never compared.
    """
    options = options or Options()
    everyone = Tally.of(answers, contestants)
    if not len(everyone.first):
        raise UserError("there are no answers to pairs of contestants yet")
    observers = screen(answers, everyone, options.bounds)
    kept = np.array([options.keep_all or not observer.reasons for observer in observers])
    if not kept.any():
        raise UserError(f"all {len(kept)} observers are excluded ({_reasons(observers)}); --keep-all keeps them")
    tally = everyone.only(kept[everyone.observer])
    counts = tally.total()
    bradley_terry.check_connected(counts, tally.contestants)
    parameters = bradley_terry.fit(counts)
    uncertainty = bootstrap(tally, parameters, options.resamples, np.random.default_rng(options.seed))
    order: Numbers = np.argsort(-parameters[:-1], kind="stable")
    pairs = _pairs(tally.contestants, parameters, uncertainty, order, options.correction)
    runs = groups.runs(_distinct(pairs, [tally.contestants[k] for k in order]))
    return Ranking(
        standings=_standings(tally, parameters, uncertainty, order, runs),
        pairs=pairs,
        runs=runs,
        observers=observers,
        tally=tally,
        side=_estimates(np.eye(len(parameters))[-1:], parameters, uncertainty)[0],
        freedom=uncertainty.freedom,
        separated=bradley_terry.separated(counts, tally.contestants),
        options=options,
    )


def _reasons(observers: Sequence[Observer]) -> str:
    return "; ".join(f"{o.observer}: {', '.join(o.reasons)}" for o in observers[:3]) + ("; ..." * (len(observers) > 3))


def _estimates(contrasts: Floats, parameters: Floats, uncertainty: Uncertainty) -> list[Estimate]:
    values = contrasts @ parameters
    margins = stats.t.ppf(1 - ALPHA / 2, uncertainty.freedom) * uncertainty.error(contrasts)
    return [Estimate(float(v), float(v - m), float(v + m)) for v, m in zip(values, margins, strict=True)]


def _standings(
    tally: Tally, parameters: Floats, uncertainty: Uncertainty, order: Numbers, runs: Sequence[tuple[int, int]]
) -> list[Standing]:
    m = len(tally.contestants)
    scores = _estimates(np.eye(m, m + 1) - np.append(np.full(m, 1 / m), 0), parameters, uncertainty)
    shown = np.bincount(np.concatenate([tally.left, tally.right]), minlength=m)
    wins = np.bincount(tally.winner, minlength=m)
    return [
        Standing(place + 1, tally.contestants[k], scores[k], letters, int(shown[k]), int(wins[k]))
        for place, (k, letters) in enumerate(zip(order, groups.letters(runs, m), strict=True))
    ]


def _pairs(
    names: Sequence[str], parameters: Floats, uncertainty: Uncertainty, order: Numbers, correction: groups.Correction
) -> list[Pair]:
    one = np.eye(len(parameters))
    couples = list(combinations(order, 2))
    contrasts = np.array([one[better] - one[worse] for better, worse in couples])
    estimates, errors = _estimates(contrasts, parameters, uncertainty), uncertainty.error(contrasts)
    alone = groups.two_tailed(contrasts @ parameters, errors, uncertainty.freedom)
    p = groups.corrected(alone, correction)
    return [
        Pair(names[better], names[worse], e, float(s), e.value / float(s), float(p1), float(p2))
        for (better, worse), e, s, p1, p2 in zip(couples, estimates, errors, alone, p, strict=True)
    ]


def _distinct(pairs: Sequence[Pair], names: Sequence[str]) -> Mask:
    """(M, M) in rank order, as :func:`~.groups.runs` takes it."""
    place = {name: k for k, name in enumerate(names)}
    table = np.zeros((len(names), len(names)), dtype=bool)
    for pair in pairs:
        i, j = place[pair.better], place[pair.worse]
        table[i, j] = table[j, i] = pair.distinct
    return table
