from collections import Counter
from itertools import permutations

import numpy as np
import pytest

from dlmap.study import Trial, session
from dlmap.study.design import DEGRADED, ORIGINAL, Cell

CONTESTANTS = ("a", "b", "c", "d")
PHOTOS = ("1.png", "2.png", "3.png", "4.png", "5.png")
CELLS = len(PHOTOS) * 4 * 3


def draw(taken: Counter[Cell] | None = None, seed: int = 0, **options: int) -> list[Trial]:
    return session(CONTESTANTS, PHOTOS, taken or Counter(), np.random.default_rng(seed), **options)


def cells(trials: list[Trial]) -> list[Cell]:
    return [(t.photo, t.left, t.right) for t in trials if t.kind == "pair"]


@pytest.mark.parametrize("trials", [7, 12, 20, 30, 60])
def test_every_pair_is_shown_equally_often_in_both_orders(trials: int) -> None:
    """However many observers there are, no cell is ahead of another by more than two showings, one for each order."""
    taken: Counter[Cell] = Counter()
    for seed in range(CELLS * 20 // trials):
        taken.update(cells(draw(taken, seed, trials=trials)))
        counts = [taken[photo, *pair] for photo in PHOTOS for pair in permutations(CONTESTANTS, 2)]
        assert max(counts) - min(counts) <= 2
    assert sum(counts) == pytest.approx(20 * CELLS, abs=trials)


def test_no_pair_is_shown_twice_on_a_photograph_while_there_are_others() -> None:
    taken: Counter[Cell] = Counter()
    for seed in range(6):
        shown = cells(draw(taken, seed, trials=30))
        assert len({(photo, frozenset(pair)) for photo, *pair in shown}) == 30
        taken.update(shown)
    assert len(set(cells(draw(trials=1000)))) == CELLS  # more than there are: each once


def test_a_session_is_balanced_in_itself() -> None:
    shown = cells(draw(trials=20))
    photographs, pairs = Counter(photo for photo, *_ in shown), Counter(frozenset(pair) for _, *pair in shown)
    assert set(photographs.values()) == {4}
    assert len(pairs) == 6 and set(pairs.values()) <= {3, 4}


def test_catch_trials_are_spread() -> None:
    lefts = set()
    for seed in range(20):
        trials = draw(seed=seed, trials=40, catches=4, practice=3)
        assert [t.kind for t in trials[:3]] == ["practice"] * 3 and len(trials) == 47
        places = [k for k, t in enumerate(trials[3:]) if t.kind == "catch"]
        assert len(places) == 4
        assert all(11 * k <= place <= 11 * k + 10 for k, place in enumerate(places))  # one in each quarter
        caught = [t for t in trials if t.kind == "catch"]
        assert all({t.left, t.right} == {ORIGINAL, DEGRADED} for t in caught)
        lefts |= {t.left for t in caught}
    assert lefts == {ORIGINAL, DEGRADED}


def test_the_order_is_random_and_repeats_with_its_seed() -> None:
    assert draw(seed=5) == draw(seed=5) != draw(seed=6)
    shown = cells(draw(seed=5))
    assert shown != sorted(shown)


def test_short_sessions() -> None:
    assert [t.kind for t in draw(trials=1, catches=3, practice=0)].count("catch") == 3
    assert len(draw(trials=1, catches=0, practice=0)) == 1
