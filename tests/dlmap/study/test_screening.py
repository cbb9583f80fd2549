from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import binom

from dlmap.study.bradley_terry import Tally
from dlmap.study.options import Bounds
from dlmap.study.screening import Observer, catch_rule, screen
from dlmap.study.simulate import CARELESS, Habits, simulate
from dlmap.study.trials import Answer
from mslique import UserError

BEST_FIRST = ("a", "b", "c")


def pairs(name: str, number: int = 60, agree: float = 0.9, left: float | None = None, seconds: float | None = 2.0):
    """An observer who sees the best contestant in ``agree`` of the pairs, or says left in a share of ``left``."""
    rng = np.random.default_rng(abs(hash(name)) % 1000 if not name.isdigit() else int(name))
    found = []
    for k in range(number):
        best, worst = [("a", "b"), ("a", "c"), ("b", "c")][k % 3]
        sides = (best, worst) if k % 2 else (worst, best)
        wins = k < agree * number if left is None else (k < left * number) == (sides[0] == best)
        choice = "left" if (sides[0] == best) == wins else "right"
        found.append(Answer(name, "pair", f"{rng.integers(9)}.png", *sides, choice, seconds))
    return found


def catches(name: str, right: int, number: int = 8) -> list[Answer]:
    return [
        Answer(name, "catch", "1.png", "@original", "@degraded", "left" if k < right else "right")
        for k in range(number)
    ]


def reasons(answers: Sequence[Answer], bounds: Bounds | None = None) -> dict[str, str]:
    found = screen(answers, Tally.of(answers), bounds or Bounds())
    return {o.observer: "; ".join(o.reasons) for o in found if o.reasons}


def crowd() -> list[Answer]:
    return [answer for k in range(7) for answer in pairs(str(k)) + catches(str(k), 8)]


def test_those_who_look_stay() -> None:
    assert reasons(crowd()) == {}


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (pairs("x", 9), "only 9 answers"),
        (pairs("x") + catches("x", 5), "5 of 8 catch trials right, 6 needed"),
        (pairs("x", left=1.0), "100% of the answers on one side"),
        (pairs("x", left=0.05), "95% of the answers on one side"),
        (pairs("x", 60, seconds=0.3), "100% of the answers within 0.4 s"),
        (pairs("x", agree=0.5), "agrees with the others in 50% of the answers, like a coin; 88% expected"),
    ],
)
def test_every_rule_gives_its_reason(answers: list[Answer], reason: str) -> None:
    assert reasons(crowd() + answers) == {"x": reason}


@pytest.mark.parametrize(
    "answers",
    [
        pairs("x", 10),
        pairs("x") + catches("x", 6),
        pairs("x", left=0.85, agree=0.9) + catches("x", 8),
        pairs("x", seconds=None),
        pairs("x", 40, seconds=0.5) + pairs("x", 15, seconds=0.1),
        pairs("x", agree=0.5) + catches("x", 8),  # another taste, but looking
        pairs("x", agree=0.1),  # the opposite taste
    ],
)
def test_just_within_the_bounds_one_stays(answers: list[Answer]) -> None:
    assert reasons(crowd() + answers) == {}


def test_bounds_can_be_moved() -> None:
    answers = crowd() + pairs("x", 9) + pairs("y", seconds=0.3)
    assert reasons(answers, Bounds(fewest=5, fast=0.2)) == {}
    assert reasons(answers, Bounds(fewest=61)).keys() == {"x", "y", *map(str, range(7))}


def test_impossible_bounds_are_refused() -> None:
    with pytest.raises(UserError, match="--one-sided is a share between 0 and 1, got 90"):
        Bounds(one_sided=90)


def test_where_contestants_are_equal_agreement_says_nothing() -> None:
    assert reasons([answer for k in range(8) for answer in pairs(str(k), agree=0.5)]) == {}


@pytest.mark.parametrize("number", range(1, 15))
def test_the_rates_of_the_catch_rule_are_the_binomials(number: int) -> None:
    least, fails, passes = catch_rule(number, Bounds())
    right = np.arange(number + 1)
    assert fails == pytest.approx(binom.pmf(right, number, 0.95)[right < least].sum()) and fails < 0.01
    assert passes == pytest.approx(binom.pmf(right, number, 0.5)[right >= least].sum())
    assert binom.cdf(least, number, 0.95) >= 0.01  # one more would exclude too many
    assert catch_rule(0, Bounds()) == (0, 0.0, 1.0)


def test_catch_trials_must_say_which_side_is_right() -> None:
    with pytest.raises(UserError, match="name the two sides @original and @degraded"):
        reasons([*pairs("x"), Answer("x", "catch", "1.png", "a", "b", "left")])


def test_simulated_observers_are_told_apart() -> None:
    """Five small studies: all who do not look are excluded, and hardly anybody else."""
    found: list[Observer] = []
    for seed in range(5):
        truth = {"a": 1.0, "b": 0.3, "c": -0.3, "d": -1.0}
        photos = [f"{k}.png" for k in range(10)]
        answers = simulate(truth, photos, 12, 3, 60, Habits(), np.random.default_rng(seed))
        found += screen(answers, Tally.of(answers), Bounds())
    careless = [o for o in found if o.observer.endswith(CARELESS)]
    assert len(careless) == 15 and sum(bool(o.reasons) for o in careless) >= 14
    assert sum(bool(o.reasons) for o in found if o not in careless) <= 2
