"""How a ranking was made, in a few sentences with every number."""

from scipy.special import expit

from .bounds import Bounds
from .result import ALPHA, Ranking
from .screening import OTHERS, catch_rule, usual_catches
from .simulate import is_simulated


def method(ranking: Ranking) -> list[str]:
    """Sentences about who answered, the screening, the scores, the intervals, the tests."""
    tally, options, chance = ranking.tally, ranking.options, ranking.side_chance
    pairs, freedom = len(ranking.pairs), ranking.freedom
    correction = "corrected by Holm's method" if options.correction == "holm" else "not corrected"
    return [
        f"{len(tally.first)} answers of {len(tally.observers)} observers about {len(tally.photos)} photographs count;"
        f" {len(ranking.excluded)} of {len(ranking.observers)} observers are excluded.",
        _screening(ranking),
        "Scores are Bradley-Terry's by maximum likelihood with a term for the side,"
        " logit P(left is chosen) = s_left \u2212 s_right + b, centred to 0: one score more by 1 means being chosen in"
        f" {expit(1):.0%} of comparisons. The left one of two equal pictures is chosen in {chance.value:.1%}"
        f" (95 % interval {chance.low:.1%} to {chance.high:.1%}), b = {ranking.side.value:.3f}.",
        f"95 % intervals are by Student's t with {freedom} degrees of freedom, one less than there are observers or"
        " photographs, whichever are fewer; the standard errors are from a bootstrap over observers and photographs"
        f" ({options.resamples} resamples of each and of their blocks, combined as two-way clusters; seed"
        f" {options.seed}).",
        f"All {pairs} pairs are compared by two-tailed t-tests from the same standard errors, p-values {correction};"
        f" contestants in a row of whom no two can be told apart at {ALPHA:g} share a letter and a box.",
    ]


def notes(ranking: Ranking) -> list[str]:
    """What a reader must know before believing the figures."""
    found = []
    simulated = sum(is_simulated(observer.observer) for observer in ranking.observers)
    if simulated:
        found.append(f"Simulated: {simulated} of {len(ranking.observers)} observers are a program's, not people.")
    if ranking.options.keep_all:
        found.append("Nobody was excluded (--keep-all): reasons in the table of observers had no effect.")
    if ranking.separated:
        found.append(
            f"{', '.join(ranking.separated)}: between these groups one won every comparison, so that only the prior of"
            " the fit bounds the distance of their scores."
        )
    for number, units in ((len(ranking.tally.observers), "observer"), (len(ranking.tally.photos), "photograph")):
        if number == 1:
            found.append(f"There is one {units} only: intervals and tests hold for this {units}, not for others.")
    return found


def _screening(ranking: Ranking) -> str:
    catches = usual_catches(ranking.observers)
    rules = [*_catch(catches, ranking.options.bounds), *_rules(ranking.options.bounds)]
    return f"Reasons to exclude an observer: {'; '.join(rules)}."


def _catch(catches: int, bounds: Bounds) -> list[str]:
    least, fails, passes = catch_rule(catches, bounds)
    if not least:
        return []
    return [
        f"fewer than {least} of {catches} catch trials right (one who gets {bounds.attentive:.0%} right fails in"
        f" {fails:.1%} of sessions, one who clicks at random passes in {passes:.1%})"
    ]


def _rules(bounds: Bounds) -> list[str]:
    return [
        f"fewer than {bounds.fewest} answers",
        f"more than {bounds.one_sided:.0%} of them on one side",
        f"more than {bounds.fast_share:.0%} of them within {bounds.fast:g} s",
        f"agreement with all others (at least {OTHERS}) like a coin's although their ranking lets expect more, where"
        " catch trials do not prove attention",
    ]
