import numpy as np
import pytest

from dlmap.study.bradley_terry import Tally, fit
from dlmap.study.trials import Answer
from dlmap.study.uncertainty import bootstrap, corrected, letters, runs
from mslique import UserError

LEAD = np.array([1.0, -1.0, 0.0])


def answers(observers: int, photos: int, chance: np.ndarray, rng: np.random.Generator) -> Tally:
    """Every observer judges "a" against "b" once on every photograph; ``chance`` of a, (observers, photos)."""
    return Tally.of(
        [
            Answer(
                f"{o}", "pair", f"{p}", left, "b" if left == "a" else "a", "left" if (left == "a") == won else "right"
            )
            for o in range(observers)
            for p in range(photos)
            for left, won in [(rng.choice(["a", "b"]), rng.random() < chance[o, p])]
        ],
        ["a", "b"],
    )


@pytest.mark.parametrize("rows", [True, False])
def test_it_sees_what_varies_between_units(rows: bool) -> None:
    """Half of the observers (or photographs) always say a, half never: the unit counts, not its many answers."""
    chance = np.tile(np.repeat([0.05, 0.95], 6)[:, None], (1, 12))
    tally = answers(12, 12, chance if rows else chance.T, np.random.default_rng(0))
    found = bootstrap(tally, fit(tally.total()), 800, np.random.default_rng(1))
    assert found.freedom == 11
    # share of a: 1/2 with deviation 0.45 between 12 units; one logit is 1/4 of share there
    assert found.error(LEAD) == pytest.approx(0.45 / np.sqrt(11) * 4, rel=0.25)


def test_chance_is_counted_once() -> None:
    """Independent answers: near 1 / sqrt(n p (1 - p)), not sqrt(3) of that, as resampling both at once has it."""
    tally = answers(20, 20, np.full((20, 20), 0.7), np.random.default_rng(2))
    error = bootstrap(tally, fit(tally.total()), 800, np.random.default_rng(3)).error(LEAD)
    alone = 1 / np.sqrt(400 * 0.7 * 0.3)
    assert 0.95 * alone < error < 1.4 * alone


def test_one_unit_is_left_out_and_one_of_each_is_refused() -> None:
    tally = answers(1, 15, np.full((1, 15), 0.6), np.random.default_rng(4))
    assert bootstrap(tally, fit(tally.total()), 100, np.random.default_rng(0)).freedom == 14
    lone = answers(1, 1, np.full((1, 1), 0.6), np.random.default_rng(4))
    with pytest.raises(UserError, match="tell nothing about others"):
        bootstrap(lone, fit(lone.total()), 100, np.random.default_rng(0))


def test_the_same_seed_gives_the_same_errors() -> None:
    tally = answers(6, 6, np.full((6, 6), 0.6), np.random.default_rng(5))
    once, again, other = (
        bootstrap(tally, fit(tally.total()), 100, np.random.default_rng(seed)).covariances for seed in (7, 7, 8)
    )
    assert (once == again).all() and (once != other).any()


def test_holm_against_a_worked_example() -> None:
    """Sorted .005 .01 .03 .04 times 4 3 2 1 is .02 .03 .06 .04; the last may not be below the one before it."""
    p = np.array([0.01, 0.04, 0.03, 0.005])
    assert corrected(p, "holm") == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert corrected(np.array([0.9, 0.8]), "holm") == pytest.approx([1, 1])
    assert corrected(p, "none").tolist() == p.tolist()


@pytest.mark.parametrize("seed", range(30))
def test_runs_are_all_and_the_longest(seed: int) -> None:
    """Against every interval tried, whatever pairs differ."""
    rng = np.random.default_rng(seed)
    m = int(rng.integers(2, 9))
    upper = np.triu(rng.random((m, m)) < rng.random(), 1)
    distinct = upper | upper.T
    equal = {(i, j) for i in range(m) for j in range(i, m) if not distinct[i : j + 1, i : j + 1].any()}
    longest = {a for a in equal if not any(b != a and b[0] <= a[0] and a[1] <= b[1] for b in equal)}
    assert runs(distinct) == sorted(longest)


def test_neighbours_share_a_letter_if_they_cannot_be_told_apart() -> None:
    assert letters([(0, 2), (1, 3), (4, 4)], 5) == ["a", "a b", "a b", "b", "c"]
    assert letters([(k, k) for k in range(27)], 27)[25:] == ["z", "a2"]
