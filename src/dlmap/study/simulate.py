"""Observers whose preference is known: for trying a study out, and for testing the ranking."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from .answers import Answer
from .design import ORIGINAL, Cell, Trial, session

PREFIX = "simulated-"
CARELESS = ("random", "one-sided", "hasty")
"""Who does not look: clicks at random at a plausible pace, (nearly) always on one side, at random and at once."""


@dataclass(frozen=True)
class Habits:
    """How observers differ from their scores. All but ``lapse`` in logits.

    Args:
        side_bias: mean lean to the left.
        side_spread: its standard deviation between observers.
        taste: standard deviation, between observers, of what each finds of each contestant.
        photo_effect: standard deviation of how well each contestant does on each photograph.
        lapse: share of trials answered by a coin.
    """

    side_bias: float = 0.1
    side_spread: float = 0.2
    taste: float = 0.3
    photo_effect: float = 0.4
    lapse: float = 0.02


def simulate(
    truth: Mapping[str, float],
    photos: Sequence[str],
    observers: int,
    careless: int,
    trials: int,
    habits: Habits,
    rng: np.random.Generator,
) -> list[Answer]:
    """The answers of ``observers`` called "simulated-1", ..., of which ``careless``, with their kind in their name.

    Args:
        truth: contestant to score, in logits.
        trials: pairs that each observer answers, beside practice and catch trials.
    """
    contestants = list(truth)
    effect = {
        (name, photo): truth[name] + rng.normal(0, habits.photo_effect) for name in contestants for photo in photos
    }
    kinds = [CARELESS[k % len(CARELESS)] for k in rng.permutation(max(careless, len(CARELESS)))[:careless]]
    place = dict(zip(rng.permutation(observers)[:careless].tolist(), kinds, strict=True))
    taken: Counter[Cell] = Counter()
    answers: list[Answer] = []
    for k in range(observers):
        shown = session(contestants, photos, taken, rng, trials)
        taken.update((t.photo, t.left, t.right) for t in shown if t.kind == "pair")
        if k in place:
            answers += _heedless(f"{PREFIX}{k + 1}-{place[k]}", place[k], shown, rng)
        else:
            answers += _attentive(f"{PREFIX}{k + 1}", shown, effect, habits, rng)
    return answers


def is_simulated(observer: str) -> bool:
    return observer.startswith(PREFIX)


def _attentive(
    name: str, shown: Sequence[Trial], effect: Mapping[tuple[str, str], float], habits: Habits, rng: np.random.Generator
) -> list[Answer]:
    lean = rng.normal(habits.side_bias, habits.side_spread)
    taste = {contestant: rng.normal(0, habits.taste) for contestant, _ in effect}

    def left(trial: Trial) -> float:
        if trial.kind == "catch":
            return float(trial.left == ORIGINAL)
        worth = [effect[side, trial.photo] + taste[side] for side in (trial.left, trial.right)]
        return float(expit(worth[0] - worth[1] + lean))

    chances = [(1 - habits.lapse) * left(trial) + habits.lapse / 2 for trial in shown]
    return _answers(name, shown, chances, 2.0, rng)


def _heedless(name: str, kind: str, shown: Sequence[Trial], rng: np.random.Generator) -> list[Answer]:
    chance = rng.choice([0.02, 0.98]) if kind == "one-sided" else 0.5
    return _answers(name, shown, [chance] * len(shown), 0.25 if kind == "hasty" else 1.0, rng)


def _answers(
    name: str, shown: Sequence[Trial], left: Sequence[float], seconds: float, rng: np.random.Generator
) -> list[Answer]:
    """Choices with these chances of the left side, in times around a median of ``seconds``."""
    times = rng.lognormal(np.log(seconds), 0.4, len(shown))
    first = rng.random(len(shown)) < left
    return [
        Answer(name, t.kind, t.photo, t.left, t.right, "left" if f else "right", round(float(s), 3))
        for t, f, s in zip(shown, first, times, strict=True)
    ]
