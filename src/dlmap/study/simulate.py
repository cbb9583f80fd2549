"""Simulated observers with a known preference, to try a study out and to test the ranking."""

import csv
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from scipy.special import expit

from mslique import UserError

from ..run.files import read_csv
from .definition import Study
from .options import Plan
from .trials import ORIGINAL, Answer, Cell, Side, Trial, draw

PREFIX = "simulated-"
CARELESS = ("random", "one-sided", "hasty")
"""Kinds of careless observers: random choices at a usual pace, nearly all on one side, random and too fast."""
STEP = 0.5  # logits between neighbours by default: the better one is chosen in 62 % of comparisons
POINTS = 10.0  # points of calibrated quality (0 to 100) that make one logit if a quality model is the judge


@dataclass(frozen=True)
class Habits:
    """How observers differ from the true scores, in logits."""

    side_bias: float = 0.1  # mean preference for the left side
    side_spread: float = 0.2  # its standard deviation between observers
    taste: float = 0.3  # standard deviation of an observer's own opinion of each contestant
    photo_effect: float = 0.4  # standard deviation of the quality of each contestant between photographs
    lapse: float = 0.02  # share of trials that are answered at random, in [0, 1]


def simulate(
    truth: Mapping[str, float],
    photos: Sequence[str],
    observers: int,
    careless: int,
    trials: int,
    habits: Habits,
    rng: np.random.Generator,
) -> list[Answer]:
    """The answers of ``observers`` with the names "simulated-1", ...; the ``careless`` have their kind in the name.

    ``truth`` has the scores in logits. Each observer answers ``trials`` pairs (1 or more), practice and catch trials.
    """
    contestants = list(truth)
    cells = [(name, photo) for name in contestants for photo in photos]
    effect = {(name, photo): truth[name] + rng.normal(0, habits.photo_effect) for name, photo in cells}
    kinds = [CARELESS[k % len(CARELESS)] for k in rng.permutation(max(careless, len(CARELESS)))[:careless]]
    place = dict(zip(rng.permutation(observers)[:careless].tolist(), kinds, strict=True))
    plan, taken = Plan(trials), Counter[Cell]()
    answers: list[Answer] = []
    for k in range(observers):
        shown = draw(contestants, photos, taken, rng, plan)
        taken.update((t.photo, t.left, t.right) for t in shown if t.kind == "pair")
        name, kind = f"{PREFIX}{k + 1}", place.get(k)
        if kind is None:
            chances, pace = _attentive(shown, effect, habits, rng), 2.0
        else:
            name, pace = f"{name}-{kind}", 0.25 if kind == "hasty" else 1.0
            chances = [rng.choice([0.02, 0.98]) if kind == "one-sided" else 0.5] * len(shown)
        times = rng.lognormal(np.log(pace), 0.4, len(shown)).round(3).tolist()
        sides: list[Side] = ["left" if left else "right" for left in rng.random(len(shown)) < chances]
        rows = zip(shown, sides, times, strict=True)
        answers += [Answer(name, t.kind, t.photo, t.left, t.right, side, time) for t, side, time in rows]
    return answers


def is_simulated(observer: str) -> bool:
    return observer.startswith(PREFIX)


def _attentive(
    shown: Sequence[Trial], effect: Mapping[tuple[str, str], float], habits: Habits, rng: np.random.Generator
) -> list[float]:
    """The probability of the left side in each trial."""
    lean = rng.normal(habits.side_bias, habits.side_spread)
    taste = {contestant: rng.normal(0, habits.taste) for contestant, _ in effect}

    def left(trial: Trial) -> float:
        if trial.kind == "catch":
            return float(trial.left == ORIGINAL)
        worth = [effect[side, trial.photo] + taste[side] for side in (trial.left, trial.right)]
        return float(expit(worth[0] - worth[1] + lean))

    return [(1 - habits.lapse) * left(trial) + habits.lapse / 2 for trial in shown]


def preference(study: Study, scores: Sequence[str] | None, judge: str | None) -> dict[str, float]:
    """True scores in logits, by contestant, evenly spaced by default; a UserError if ``scores`` or ``judge`` is wrong.

    Args:
        scores: NAME=VALUE of every contestant.
        judge: in scores.csv of the study; its mean calibrated scores are the true scores, shifted to mean 0.
    """
    found = _given(study, scores) if scores else _judged(study, judge) if judge else _spaced(study)
    if not all(map(math.isfinite, found.values())):
        raise UserError(f"true scores must be finite numbers, got {found}: check --scores, or scores.csv of --judge")
    return found


def _spaced(study: Study) -> dict[str, float]:
    middle = (len(study.contestants) - 1) / 2
    return {name: STEP * (middle - place) for place, name in enumerate(study.contestants)}


def _given(study: Study, texts: Sequence[str]) -> dict[str, float]:
    try:
        scores = {name: float(value) for name, value in (text.rsplit("=", 1) for text in texts)}
    except ValueError:
        raise UserError(f"--scores takes NAME=VALUE with numbers as values, got {' '.join(texts)}") from None
    if scores.keys() != set(study.contestants) or len(texts) > len(scores):
        raise UserError(f"--scores must name each contestant of the study: {', '.join(study.contestants)}; each once")
    return {name: scores[name] for name in study.contestants}


def _judged(study: Study, judge: str) -> dict[str, float]:
    path = study.folder / "scores.csv"
    if not path.is_file():
        raise UserError(f"{study.folder} has no scores yet: `dlmap study score {study.folder}` makes them")
    given: dict[str, list[float]] = defaultdict(list)
    try:
        for row in read_csv(path):
            if row["judge"] == judge and row["contestant"] in study.contestants:
                given[row["contestant"]].append(float(row["calibrated"]))
    except (KeyError, TypeError, ValueError, csv.Error) as reason:
        raise UserError(f"{path} is damaged ({reason}): `dlmap study score {study.folder}` makes it again") from reason
    if given.keys() != set(study.contestants):
        raise UserError(f"{path} has no scores by {judge!r} of every contestant: --judge takes a judge named there")
    means = {name: fmean(given[name]) / POINTS for name in study.contestants}
    middle = fmean(means.values())
    return {name: mean - middle for name, mean in means.items()}
