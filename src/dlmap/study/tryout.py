"""Trying a study out: a preference to simulate observers with, and their answers in the study."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean

import numpy as np

from mslique import UserError

from .answers import Answer
from .definition import Study
from .store import Store

STEP = 0.5
"""Logits between neighbours where nothing else is said: the better one is chosen in 62 % of comparisons."""
POINTS = 10.0
"""Points of calibrated quality (0 to 100) that make one logit, where a quality model is the judge."""


def in_order(study: Study) -> dict[str, float]:
    """Scores in logits, evenly spaced around 0, the first contestant the best."""
    number = len(study.contestants)
    scores = STEP * (np.arange(number)[::-1] - (number - 1) / 2)
    return dict(zip(study.contestants, scores.tolist(), strict=True))


def as_given(study: Study, texts: Sequence[str]) -> dict[str, float]:
    """Scores from texts NAME=VALUE, one for every contestant of the study.

    Raises:
        UserError: one is missing, unknown, or no number.
    """
    try:
        scores = {name: float(value) for name, value in (text.rsplit("=", 1) for text in texts)}
    except ValueError:
        raise UserError(f"--scores takes NAME=VALUE with numbers as values, got {' '.join(texts)}") from None
    if scores.keys() != set(study.contestants):
        raise UserError(f"--scores must name each contestant of the study: {', '.join(study.contestants)}")
    return {name: scores[name] for name in study.contestants}


def as_judged(study: Study, judge: str) -> dict[str, float]:
    """The mean calibrated score that a quality model gives to each contestant's outputs, in logits around 0.

    Raises:
        UserError: the study has no such scores.
    """
    path = study.folder / "scores.csv"
    if not path.is_file():
        raise UserError(f"{study.folder} has no scores yet: `dlmap study score {study.folder}` makes them")
    given: dict[str, list[float]] = defaultdict(list)
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["judge"] == judge and row["contestant"] in study.contestants:
                given[row["contestant"]].append(float(row["calibrated"]))
    if given.keys() != set(study.contestants):
        raise UserError(f"{path} has no scores by {judge!r} of every contestant: --judge takes a judge named there")
    means = {name: fmean(given[name]) / POINTS for name in study.contestants}
    middle = fmean(means.values())
    return {name: mean - middle for name, mean in means.items()}


def fill(study: Study, answers: Sequence[Answer]) -> None:
    """Put simulated answers into the study.

    Raises:
        UserError: somebody has taken part already, since simulated answers among people's could not be taken back.
    """
    if not Store(study.answers).enter(answers, {"simulated": True}):
        raise UserError(
            f"{study.answers} has observers already, with whom simulated ones must not be mixed:"
            " write these to a file with --output FILE.csv, or move answers.sqlite away"
        )
