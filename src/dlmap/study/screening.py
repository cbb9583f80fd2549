"""Which observers did not look: each rule with its bound, each exclusion with its reason."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from scipy.special import expit
from scipy.stats import binom, norm

from mslique import UserError

from .answers import Answer
from .bounds import Bounds
from .bradley_terry import design, fit_many
from .design import DEGRADED, ORIGINAL
from .tally import Mask, Tally

LEVEL = 0.01
"""How often a rule may exclude an observer who does look, by its own reckoning."""
OTHERS = 5
"""Observers who must be left to tell what the others chose."""


@dataclass(frozen=True)
class Observer:
    """What an observer did. None stands for what was not measured; ``reasons`` are empty for those who are kept.

    ``agreement`` is the share of answers that follow the ranking of the others, ``expected`` the share that the
    ranking itself lets expect of one who looks.
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
    """Every observer of ``tally`` with the reasons for which the answers should not count.

    By conduct: too few answers; fewer catch trials right than one who looks gets in 99 % of sessions; nearly all
    answers on one side; too many answers too fast to have compared. Then, if more than ``OTHERS`` are left, the
    coin-flippers among them: whose agreement with the ranking of all others is neither better nor worse than chance
    (binomial test, 5 %) although that ranking lets expect more (1 %), and whose catch trials a coin could have got
    right as well (1 %). One who gets them right, or steadily disagrees, has another taste and stays.

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
    """Of so many catch trials: how many must be right; how often one who looks fails; how often a coin passes."""
    least = int(binom.ppf(LEVEL, catches, bounds.attentive))
    return least, float(binom.cdf(least - 1, catches, bounds.attentive)), float(binom.sf(least - 1, catches, 0.5))


def usual_catches(observers: Sequence[Observer]) -> int:
    """The number of catch trials that most observers saw."""
    return Counter(observer.catches for observer in observers).most_common(1)[0][0]


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
            f" sides {ORIGINAL} and {DEGRADED}, so that it is known which is right"
        )
    return (answer.left if answer.choice == "left" else answer.right) == ORIGINAL


def _compare(found: Sequence[Observer], kept: Mask, tally: Tally) -> list[Observer]:
    """The observers with their agreement with the others, the coin-flippers among them excluded."""
    shown, chosen = counts = tally.counts(tally.observer)
    others = np.where(np.eye(len(found), dtype=bool), 0.0, kept.astype(float))
    scores = fit_many(others @ counts)
    scores[:, -1] = 0  # what the pictures let expect, whatever the side
    probability = expit(scores @ design(shown.shape[-1]).T)
    favourite = np.maximum(probability, 1 - probability)
    agreed = np.where(probability > 0.5, chosen, shown - chosen).sum(axis=1)
    expected = (shown * favourite).sum(axis=1)
    spread = np.sqrt((shown * probability * (1 - probability)).sum(axis=1))
    return [
        _judge(*row) for row in zip(found, agreed.astype(int).tolist(), expected.tolist(), spread.tolist(), strict=True)
    ]


def _judge(observer: Observer, agreed: int, expected: float, spread: float) -> Observer:
    n = observer.answers
    in_doubt = binom.sf(observer.catches_right - 1, observer.catches, 0.5) >= LEVEL
    chance = 2 * min(binom.cdf(agreed, n, 0.5), binom.sf(agreed - 1, n, 0.5))
    flips = in_doubt and chance > 0.05 and norm.cdf((agreed - expected) / spread) < LEVEL
    reason = f"agrees with the others in {agreed / n:.0%} of the answers, like a coin; {expected / n:.0%} expected"
    reasons = (reason,) if flips and not observer.reasons else observer.reasons
    return replace(observer, agreement=agreed / n, expected=expected / n, reasons=reasons)
