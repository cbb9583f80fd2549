import numpy as np
import pytest

from dlmap.study import Answer
from dlmap.study.bradley_terry import fit
from dlmap.study.tally import Tally
from dlmap.study.uncertainty import bootstrap
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
