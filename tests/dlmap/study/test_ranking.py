from statistics import fmean

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from dlmap.study.options import Options
from dlmap.study.ranking import Ranking, rank
from dlmap.study.simulate import Habits, simulate
from dlmap.study.trials import Answer
from mslique import UserError

TRUTH = {"a": 0.9, "b": 0.3, "c": -0.3, "d": -0.9}
PHOTOS = [f"{k}.png" for k in range(12)]
QUICK = Options(resamples=100)


def simulated(
    seed: int, habits: Habits | None = None, truth: dict[str, float] = TRUTH, careless: int = 0
) -> list[Answer]:
    return simulate(truth, PHOTOS, 12, careless, 60, habits or Habits(), np.random.default_rng(seed))


def ranked(seed: int, habits: Habits | None = None, truth: dict[str, float] = TRUTH) -> Ranking:
    return rank(simulated(seed, habits, truth), options=QUICK)


def test_order_scores_and_counts() -> None:
    ranking = ranked(0)
    assert [s.contestant for s in ranking.standings] == ["a", "b", "c", "d"]
    assert [s.rank for s in ranking.standings] == [1, 2, 3, 4]
    assert sum(s.score.value for s in ranking.standings) == pytest.approx(0, abs=1e-9)
    assert sum(s.wins for s in ranking.standings) == len(ranking.tally.first) == 12 * 60
    assert sum(s.comparisons for s in ranking.standings) == 2 * 12 * 60
    best, *_, worst = ranking.standings
    (pair,) = (p for p in ranking.pairs if {p.better, p.worse} == {"a", "d"})
    assert pair.difference.value == pytest.approx(best.score.value - worst.score.value)
    assert pair.t == pytest.approx(pair.difference.value / pair.error) and pair.distinct and pair.p_alone < pair.p
    density = stats.t(ranking.freedom).pdf
    for pair in ranking.pairs:
        assert pair.p_alone == pytest.approx(1 - quad(density, -abs(pair.t), abs(pair.t))[0], abs=1e-9)
    assert set(best.groups.split()).isdisjoint(worst.groups.split())


def test_intervals_cover_and_sides_are_found() -> None:
    """40 studies without effects that draw logits together: the truth is as given."""
    habits = Habits(side_bias=0.6, side_spread=0, taste=0, photo_effect=0, lapse=0)
    rankings = [ranked(seed, habits) for seed in range(40)]
    covered = [s.score.low < TRUTH[s.contestant] < s.score.high for r in rankings for s in r.standings]
    assert fmean(covered) > 0.9 and any(not c for c in covered)
    assert fmean(r.side.value for r in rankings) == pytest.approx(0.6, abs=0.05)
    assert fmean(r.side_chance.value for r in rankings) == pytest.approx(0.646, abs=0.012)


def test_equal_contestants_are_seldom_told_apart() -> None:
    """Two of four are equal: without correction in about 5 % of the studies."""
    truth = {"a": 0.5, "b": 0.5, "c": -0.3, "d": -0.7}
    found = [next(p for p in ranked(s, truth=truth).pairs if {p.better, p.worse} == {"a", "b"}) for s in range(60)]
    assert sum(pair.p_alone < 0.05 for pair in found) <= 7  # 98 % of binomial(60, 0.05) lies there


def test_careless_observers_do_not_count() -> None:
    answers = simulated(1, careless=3)
    ranking, all_of_them = rank(answers, options=QUICK), rank(answers, options=Options(100, keep_all=True))
    assert {o.observer.split("-", 2)[2] for o in ranking.excluded} == {"random", "one-sided", "hasty"}
    assert len(ranking.tally.observers) == 9 and len(ranking.tally.first) == 9 * 60
    assert all_of_them.excluded == [] and len(all_of_them.tally.observers) == 12
    assert ranking.standings[0].score.value > all_of_them.standings[0].score.value


def test_what_cannot_be_ranked_is_refused() -> None:
    answers = simulated(2)
    with pytest.raises(UserError, match="no answers to pairs"):
        rank([a for a in answers if a.kind != "pair"])
    with pytest.raises(UserError, match=r"\(a, b, c, d\) and \(never\) were never compared"):
        rank(answers, [*TRUTH, "never"], QUICK)
    with pytest.raises(UserError, match="all 12 observers are excluded .*only 5 answers.*--keep-all"):
        rank([a for k, a in enumerate(a for a in answers if a.kind == "pair") if k % 60 < 5])
    with pytest.raises(UserError, match="--resamples 3"):
        Options(resamples=3)


def test_a_contestant_that_always_wins_has_a_wide_interval() -> None:
    answers = simulated(3, Habits(lapse=0), truth={"a": 40.0, "b": 0.2, "c": -0.2})
    ranking = rank(answers, "abc", QUICK)
    best = ranking.standings[0]
    assert best.contestant == "a" and best.score.high - best.score.low > 3
    assert sorted(ranking.separated) == ["(a)", "(b, c)"]
