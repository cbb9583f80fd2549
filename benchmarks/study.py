"""Is the ranking right? Simulated studies, of which the truth is known.

    python benchmarks/study.py [--studies 100] [--seed 0]

Every study: 8 models whose true scores are drawn from a normal distribution (standard deviation 1 logit), 20
photographs, 20 observers with 120 pairs and 8 catch trials each, of whom 2 to 4 do not look (clicking at random, on one
side, or at once). The others lean to the left by an amount that varies between them (standard deviation 0.2) around a
mean that varies between studies (0.3), have tastes of their own (0.3 a model), and lapse in 2 % of the trials; every
model does better on some photographs than on others (0.4). The truth that intervals should cover is what the
Bradley-Terry fit would give with infinitely many observers and photographs: what varies draws logits towards 0.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from statistics import fmean

import numpy as np
from scipy.special import expit
from scipy.stats import kendalltau

from dlmap.study import bradley_terry
from dlmap.study.ranking import Ranking, rank
from dlmap.study.simulate import CARELESS, Habits, simulate
from dlmap.study.uncertainty import ALPHA, Estimate

MODELS, TRIALS = 8, 120


@dataclass(frozen=True)
class Setting:
    """What one row of the table varies: names as in the module's docstring, in logits."""

    name: str
    habits: Habits = Habits()
    spread: float = 1.0
    equal: bool = False
    photos: int = 20
    observers: int = 20


SETTINGS = (
    Setting("as described"),
    Setting("two models exactly equal", equal=True),
    Setting("scores half as far apart", spread=0.5),
    Setting("no tastes, photographs all alike", Habits(taste=0, photo_effect=0)),
    Setting("tastes and photographs differ twice as much", Habits(taste=0.6, photo_effect=0.8)),
    Setting("10 observers, 6 photographs", photos=6, observers=10),
)


COLUMNS = (
    "setting",
    "Kendall's tau, median (quartiles)",
    "smallest true gap, median",
    "95 % intervals that cover, scores / differences / side bias",
    "careless excluded",
    "others excluded",
    "side bias, mean error, logits / probability",
    "studies with the probability within 0.05",
    "pairs told apart, rightly / the wrong way round",
    "equal pair told apart, uncorrected / Holm",
)


@dataclass(frozen=True)
class Outcome:
    """What became of one study: numbers of observers and pairs, shares in [0, 1], absolute errors."""

    tau: float
    smallest_gap: float
    scores_covered: float
    differences_covered: float
    side_covered: bool
    side_logit: float
    side_chance: float
    careless: int
    caught: int
    others: int
    others_excluded: int
    pairs: int
    rightly: int
    wrongly: int
    equal_alone: bool
    equal_corrected: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=100, help="of every setting")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.stdout.write(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n")
    for number, setting in enumerate(SETTINGS):
        outcomes = [study(setting, np.random.default_rng([options.seed, number, k])) for k in range(options.studies)]
        sys.stdout.write(f"| {' | '.join(cells(setting, outcomes))} |\n")
        sys.stdout.flush()


def study(setting: Setting, rng: np.random.Generator) -> Outcome:
    """Draw the truth, simulate the answers, rank, compare."""
    scores = rng.normal(0, setting.spread, MODELS)
    if setting.equal:
        scores[1] = scores[0]
    truth = {f"model-{k}": float(score) for k, score in enumerate(scores)}
    habits = replace(setting.habits, side_bias=float(rng.normal(0, 0.3)))
    photos = [f"{k}.png" for k in range(setting.photos)]
    answers = simulate(truth, photos, setting.observers, int(rng.integers(2, 5)), TRIALS, habits, rng)
    return compare(rank(answers), truth, population(truth, habits))


def population(truth: Mapping[str, float], habits: Habits) -> dict[str, float]:
    """Scores, and "side", fitted to the expected choices of all observers about all photographs, each pair as often.

    The expectation is over the normal sum of what varies, by Gauss-Hermite quadrature.
    """
    rows = bradley_terry.design(len(truth) ** 2)
    nodes, weights = np.polynomial.hermite_e.hermegauss(61)
    deviation = np.sqrt(2 * habits.taste**2 + 2 * habits.photo_effect**2 + habits.side_spread**2)
    gaps = rows @ np.array([*truth.values(), habits.side_bias])
    chance = expit(gaps[:, None] + deviation * nodes) @ weights / weights.sum()
    chance = (1 - habits.lapse) * chance + habits.lapse / 2
    shown = 1e6 * rows[:, :-1].any(axis=1)
    return dict(zip([*truth, "side"], bradley_terry.fit(np.stack([shown, shown * chance])).tolist(), strict=True))


def compare(ranking: Ranking, truth: Mapping[str, float], expected: Mapping[str, float]) -> Outcome:
    found = {standing.contestant: standing.score for standing in ranking.standings}
    excluded = {observer.observer for observer in ranking.excluded}
    careless = {o.observer for o in ranking.observers if o.observer.endswith(CARELESS)}
    told = [pair for pair in ranking.pairs if pair.distinct]
    equal = next(pair for pair in ranking.pairs if {pair.better, pair.worse} == {"model-0", "model-1"})
    gaps = np.diff(sorted(set(truth.values())))
    return Outcome(
        tau=float(kendalltau([found[name].value for name in truth], list(truth.values())).statistic),
        smallest_gap=float(gaps.min()),
        scores_covered=fmean(covers(found[name], expected[name]) for name in truth),
        differences_covered=fmean(covers(p.difference, expected[p.better] - expected[p.worse]) for p in ranking.pairs),
        side_covered=covers(ranking.side, expected["side"]),
        side_logit=abs(ranking.side.value - expected["side"]),
        side_chance=abs(ranking.side_chance.value - float(expit(expected["side"]))),
        careless=len(careless),
        caught=len(careless & excluded),
        others=len(ranking.observers) - len(careless),
        others_excluded=len(excluded - careless),
        pairs=len(ranking.pairs),
        rightly=sum(truth[pair.better] > truth[pair.worse] for pair in told),
        wrongly=sum(truth[pair.better] < truth[pair.worse] for pair in told),
        equal_alone=equal.p_alone < ALPHA,
        equal_corrected=equal.distinct,
    )


def covers(estimate: Estimate, value: float) -> bool:
    return estimate.low <= value <= estimate.high


def cells(setting: Setting, outcomes: Sequence[Outcome]) -> list[str]:
    """The row of a setting, as COLUMNS has it."""
    table = {f.name: np.array([getattr(outcome, f.name) for outcome in outcomes]) for f in fields(Outcome)}
    low, tau, high = np.quantile(table["tau"], [0.25, 0.5, 0.75])
    share = {name: values.mean() for name, values in table.items()}
    total = {name: values.sum() for name, values in table.items()}
    return [
        setting.name,
        f"{tau:.3f} ({low:.3f} to {high:.3f})",
        f"{np.median(table['smallest_gap']):.3f}",
        f"{share['scores_covered']:.1%} / {share['differences_covered']:.1%} / {share['side_covered']:.0%}",
        f"{total['caught']} of {total['careless']}",
        f"{total['others_excluded']} of {total['others']}",
        f"{share['side_logit']:.3f} / {share['side_chance']:.3f}",
        f"{(table['side_chance'] <= 0.05).mean():.0%}",
        f"{total['rightly'] / total['pairs']:.1%} / {total['wrongly'] / total['pairs']:.2%}",
        f"{share['equal_alone']:.0%} / {share['equal_corrected']:.0%}" if setting.equal else "",
    ]


if __name__ == "__main__":
    main()
