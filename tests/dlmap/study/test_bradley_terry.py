from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, log_expit

from dlmap.study.bradley_terry import PRIOR, Tally, check_connected, covariance, fit, separated
from dlmap.study.trials import Answer
from mslique import UserError

ANSWERS = [
    Answer("ann", "practice", "1.png", "a", "b", "left"),
    Answer("ann", "pair", "1.png", "a", "b", "left"),
    Answer("ann", "pair", "2.png", "b", "a", "right"),
    Answer("bob", "pair", "2.png", "c", "a", "left"),
    Answer("bob", "catch", "2.png", "@original", "@degraded", "left"),
]


def table(m: int, wins: dict[tuple[int, int], tuple[int, int]]) -> np.ndarray:
    """(left, right) -> (times shown, times left was chosen), as the counts that the fit takes."""
    counts = np.zeros((2, m, m))
    for (left, right), given in wins.items():
        counts[:, left, right] = given
    return counts.reshape(2, -1)


def drawn(rng: np.random.Generator, scores: np.ndarray, side: float, times: int) -> np.ndarray:
    chance = expit(scores[:, None] - scores[None] + side)
    shown = np.where(np.eye(len(scores), dtype=bool), 0, rng.poisson(times, chance.shape))
    return np.stack([shown, rng.binomial(shown, chance)]).reshape(2, -1).astype(float)


def negative_log_posterior(parameters: np.ndarray, counts: np.ndarray) -> float:
    """Written from the definition, answer by answer."""
    *scores, side = parameters
    shown, chosen = counts.reshape(2, len(scores), len(scores))
    total = (parameters**2).sum() / (2 * PRIOR**2)
    for i, j in permutations(range(len(scores)), 2):
        logit = scores[i] - scores[j] + side
        total -= chosen[i, j] * log_expit(logit) + (shown[i, j] - chosen[i, j]) * log_expit(-logit)
    return float(total)


@pytest.mark.parametrize("m", [2, 5])
def test_it_maximises_the_likelihood(m: int) -> None:
    rng = np.random.default_rng(m)
    counts = drawn(rng, rng.normal(size=m), 0.4, 20)
    direct = minimize(negative_log_posterior, np.zeros(m + 1), counts, tol=1e-12).x
    direct[:-1] -= direct[:-1].mean()  # where the likelihood is flat, and the minimiser inexact
    assert fit(counts) == pytest.approx(direct, abs=1e-5)
    assert fit(counts)[:-1].sum() == pytest.approx(0, abs=1e-12)


def test_two_contestants_have_a_closed_form() -> None:
    """In both orders each: the logits of the two shares are s + b and -s + b, s their difference."""
    found = fit(table(2, {(0, 1): (1000, 800), (1, 0): (1000, 400)}))
    first, second = np.log(800 / 200), np.log(400 / 600)
    assert found[0] - found[1] == pytest.approx((first - second) / 2, abs=1e-3)
    assert found[2] == pytest.approx((first + second) / 2, abs=1e-3)


def test_a_side_bias_is_no_preference() -> None:
    scores = np.array([1.0, 0.2, -0.3, -0.9])
    found = fit(drawn(np.random.default_rng(0), scores, 0.8, 5000))
    assert found == pytest.approx([*scores, 0.8], abs=0.05)


def test_many_at_once_agree_with_one_by_one() -> None:
    rng = np.random.default_rng(1)
    counts = [drawn(rng, rng.normal(0, s, 6), b, n) for s, b, n in ((1, 0, 20), (3, 1, 2), (0.1, -2, 100), (5, 0, 300))]
    assert fit(np.stack(counts, axis=1)) == pytest.approx(np.stack([fit(c) for c in counts]), abs=1e-6)


def test_separable_answers_stay_finite() -> None:
    """a always beats b and c, which is always on the left: without the prior both would run off."""
    counts = table(3, {(0, 1): (50, 50), (0, 2): (9000, 9000), (1, 2): (7, 7), (2, 1): (7, 7)})
    one = fit(counts)
    direct = minimize(negative_log_posterior, np.zeros(4), counts, tol=1e-12).x
    assert one == pytest.approx(direct, abs=1e-3) and np.abs(one).max() < 15
    nearby = one + np.random.default_rng(0).normal(0, 1e-3, (200, 4))
    least = negative_log_posterior(one, counts)
    assert all(negative_log_posterior(other, counts) > least for other in nearby)
    assert np.argmax(one[:-1]) == 0
    lead = np.array([1, -1, 0, 0])
    assert np.sqrt(lead @ covariance(one, counts) @ lead) > 1  # and nobody is told that the distance is known


def test_the_covariance_is_that_of_the_estimate() -> None:
    rng, scores = np.random.default_rng(2), np.array([0.8, 0.0, -0.8])
    counts = [drawn(rng, scores, 0.3, 100) for _ in range(1500)]
    spread = fit(np.stack(counts, axis=1)).std(axis=0)
    centre = np.eye(3, 4) - [1 / 3, 1 / 3, 1 / 3, 0]
    model = covariance(np.array([*scores, 0.3]), counts[0])
    assert spread[:3] == pytest.approx(np.sqrt(np.diag(centre @ model @ centre.T)), rel=0.1)
    assert spread[3] == pytest.approx(np.sqrt(model[3, 3]), rel=0.1)


def test_groups_that_never_met_are_named() -> None:
    apart = table(4, {(0, 2): (3, 1), (3, 1): (2, 1)})
    with pytest.raises(UserError, match=r"\(a, c\) and \(b, d\) were never compared"):
        check_connected(apart, "abcd")
    check_connected(apart + table(4, {(0, 1): (1, 1)}), "abcd")


def test_groups_of_which_one_always_won_are_found() -> None:
    counts = table(3, {(0, 1): (2, 1), (2, 0): (3, 3), (1, 2): (3, 0)})
    assert sorted(separated(counts, "abc")) == ["(a, b)", "(c)"]
    assert separated(counts + table(3, {(2, 1): (1, 0)}), "abc") == []


def test_pairs_are_counted_in_every_unit() -> None:
    tally = Tally.of(ANSWERS, ["b", "d"])
    assert tally.contestants == ("b", "d", "a", "c") and tally.observers == ("ann", "bob")
    shown, chosen = tally.counts(tally.observer).reshape(2, 2, 4, 4)
    b, a, c = 0, 2, 3
    assert shown.sum() == 3 and chosen.sum() == 2
    assert (shown[0, a, b], chosen[0, a, b]) == (1, 1)
    assert (shown[0, b, a], chosen[0, b, a]) == (1, 0)
    assert (shown[1, c, a], chosen[1, c, a]) == (1, 1)
    assert [tally.contestants[k] for k in tally.winner] == ["a", "a", "c"]


def test_what_is_left_out_is_forgotten() -> None:
    rest = Tally.of(ANSWERS[3:], Tally.of(ANSWERS).contestants)
    assert rest.observers == ("bob",) and rest.photos == ("2.png",) and rest.contestants == ("a", "b", "c")
    assert rest.observer.tolist() == rest.photo.tolist() == [0] and rest.total().sum() == 2
