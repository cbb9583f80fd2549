"""Which observers were careless: each rule has its bound, each exclusion its reason."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from scipy.special import expit
from scipy.stats import binom, norm

from mslique import UserError

from .bradley_terry import Mask, Tally, design, fit
from .options import Bounds
from .trials import DEGRADED, ORIGINAL, Answer

LEVEL = 0.01
"""The probability, by its own model, with which a rule excludes an attentive observer."""
OTHERS = 5
"""More observers than this must be left for a comparison with the others."""


@dataclass(frozen=True)
class Observer:
    """The conduct of an observer; None: not measured. ``reasons`` are empty for observers who are kept.

    ``agreement`` is the share of answers that follow the ranking of the others, ``expected`` the share that this
    ranking predicts for an attentive observer.
    """

    observer: str
    answers: int
    catches: int
    catches_right: int
    left_share: float
    seconds: float | None
    fast_share: float | None
    agreement: float | None = None
    expected: float | None = None
    reasons: tuple[str, ...] = ()


def screen(answers: Sequence[Answer], tally: Tally, bounds: Bounds) -> list[Observer]:
    """Every observer of ``tally``, with the reasons to exclude the answers.

    Rules of conduct: too few answers; fewer catch trials right than in 99 % of an attentive observer's sessions; nearly
    all answers on one side; too many answers too fast for a comparison. Then, if more than ``OTHERS`` are left, an
    observer is excluded whose agreement with the ranking of all others is not different from chance (binomial test,
    5 %), although this ranking predicts more (1 %), and whose catch trials could be right by chance (1 %). An observer
    who gets the catch trials right, or steadily disagrees, has another taste and stays.

    Raises:
        UserError: a catch trial does not say which side is right.
    """
    given: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        given[answer.observer].append(answer)
    found = [_conduct(name, given[name], bounds) for name in tally.observers]
    kept = np.array([not observer.reasons for observer in found])
    return found if kept.sum() <= OTHERS else _compare(found, kept, tally)


def catch_rule(catches: int, bounds: Bounds) -> tuple[int, float, float]:
    """How many of the catch trials must be right; how often an attentive observer fails; how often chance passes."""
    least = int(binom.ppf(LEVEL, catches, bounds.attentive))
    return least, float(binom.cdf(least - 1, catches, bounds.attentive)), float(binom.sf(least - 1, catches, 0.5))


def _conduct(name: str, answers: Sequence[Answer], bounds: Bounds) -> Observer:
    pairs = [a for a in answers if a.kind == "pair"]
    catches = [_is_right(a) for a in answers if a.kind == "catch"]
    times = [a.seconds for a in pairs if a.seconds is not None]
    left = sum(a.choice == "left" for a in pairs) / len(pairs)
    fast = sum(t < bounds.fast for t in times) / len(times) if times else 0.0
    least, *_ = catch_rule(len(catches), bounds)
    rules = {
        f"only {len(pairs)} answers": len(pairs) < bounds.fewest,
        f"{sum(catches)} of {len(catches)} catch trials right, {least} needed": sum(catches) < least,
        f"{max(left, 1 - left):.0%} of the answers on one side": max(left, 1 - left) > bounds.one_sided,
        f"{fast:.0%} of the answers within {bounds.fast:g} s": fast > bounds.fast_share,
    }
    return Observer(
        observer=name,
        answers=len(pairs),
        catches=len(catches),
        catches_right=sum(catches),
        left_share=left,
        seconds=median(times) if times else None,
        fast_share=fast if times else None,
        reasons=tuple(reason for reason, broken in rules.items() if broken),
    )


def _is_right(answer: Answer) -> bool:
    if {answer.left, answer.right} != {ORIGINAL, DEGRADED}:
        raise UserError(
            f"a catch trial of observer {answer.observer} compares {answer.left} with {answer.right}: name the two"
            f" sides {ORIGINAL} and {DEGRADED}, which say what is right"
        )
    return (answer.left if answer.choice == "left" else answer.right) == ORIGINAL


def _compare(found: Sequence[Observer], kept: Mask, tally: Tally) -> list[Observer]:
    """The observers with their agreement with the others; those who agree by chance only are excluded."""
    shown, chosen = counts = tally.counts(tally.observer)
    others = np.where(np.eye(len(found), dtype=bool), 0.0, kept.astype(float))
    scores = fit(others @ counts)
    scores[:, -1] = 0  # the expectation from the pictures alone
    probability = expit(scores @ design(shown.shape[-1]).T)
    n = shown.sum(axis=1)
    agreed = np.where(probability > 0.5, chosen, shown - chosen).sum(axis=1)
    expected = (shown * np.maximum(probability, 1 - probability)).sum(axis=1)
    spread = np.sqrt((shown * probability * (1 - probability)).sum(axis=1))
    right, catches = np.array([(observer.catches_right, observer.catches) for observer in found]).T
    in_doubt = binom.sf(right - 1, catches, 0.5) >= LEVEL
    chance = 2 * np.minimum(binom.cdf(agreed, n, 0.5), binom.sf(agreed - 1, n, 0.5))
    flips = in_doubt & (chance > 0.05) & (norm.cdf((agreed - expected) / spread) < LEVEL)
    compared = []
    for observer, agreement, expectation, flip in zip(found, agreed / n, expected / n, flips, strict=True):
        reason = f"agrees with the others in {agreement:.0%} of the answers, like a coin; {expectation:.0%} expected"
        reasons = observer.reasons or (reason,) * bool(flip)
        compared.append(replace(observer, agreement=agreement, expected=expectation, reasons=reasons))
    return compared
