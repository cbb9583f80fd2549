import numpy as np
import pytest
from scipy import stats

from dlmap.study.groups import corrected, letters, runs, two_tailed


def test_holm_against_a_worked_example() -> None:
    """Sorted .005 .01 .03 .04 times 4 3 2 1 is .02 .03 .06 .04; the last may not be below the one before it."""
    p = np.array([0.01, 0.04, 0.03, 0.005])
    assert corrected(p, "holm") == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert corrected(np.array([0.9, 0.8]), "holm") == pytest.approx([1, 1])
    assert corrected(p, "none").tolist() == p.tolist()


def test_the_t_test_is_that_of_scipy() -> None:
    values = np.random.default_rng(0).normal(0.5, 1, 12)
    expected = stats.ttest_1samp(values, 0).pvalue
    for sign in (1, -1):
        found = two_tailed(np.array([sign * values.mean()]), np.array([stats.sem(values)]), 11)
        assert found == pytest.approx([expected])


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
