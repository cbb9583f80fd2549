"""The files of a ranking: csv tables, the figure, and a page that holds everything."""

from importlib.resources import files
from pathlib import Path
from statistics import mode
from typing import Any

import numpy as np
from scipy.special import expit

from ..run.files import write_bytes, write_csv, write_page
from ..run.pictures import data_uri, read_picture, shrink, webp
from .definition import Study
from .figures import draw_ranking
from .ranking import Ranking
from .screening import OTHERS, catch_rule
from .simulate import is_simulated
from .uncertainty import ALPHA

FILES = ("ranking.csv", "pairs.csv", "observers.csv", "ranking.pdf", "ranking.png", "ranking.html")
EXAMPLES, SIDE = 4, 400
"""Number of photographs in the page, and the longest side of their pictures in pixels."""


def write_ranking(output: Path, ranking: Ranking, study: Study | None = None) -> None:
    """Write the three tables, ranking.pdf, ranking.png, and ranking.html with pictures of ``study`` as examples."""
    tables = []
    for title, (columns, *rows) in _tables(ranking).items():
        name = title.split()[-1].lower()
        write_csv(output / f"{name}.csv", columns, rows)
        tables.append({"title": title, "columns": columns, "rows": rows})
    pictures = draw_ranking(ranking)
    for kind, picture in pictures.items():
        write_bytes(output / f"ranking.{kind}", picture)
    data = {
        "question": study.question if study else "",
        "notes": _notes(ranking),
        "method": _method(ranking),
        "figure": data_uri(pictures["png"], "png"),
        "tables": tables,
        "examples": _examples(study, ranking) if study else [],
    }
    write_page(output / "ranking.html", files("dlmap.study") / "ranking.html", "RANKING_DATA", data)


def _tables(ranking: Ranking) -> dict[str, list[tuple[str, ...]]]:
    """The tables by title, "All pairs" for pairs.csv; the first row of each has the names of the columns."""
    standings = [("rank", "contestant", "score", "low", "high", "groups", "comparisons", "wins")] + [
        (str(s.rank), s.contestant, *_numbers(".4f", s.score.value, s.score.low, s.score.high), s.groups)
        + (str(s.comparisons), str(s.wins))
        for s in ranking.standings
    ]
    pairs = [("better", "worse", "difference", "low", "high", "error", "t", "df", "p", "p corrected", "told apart")] + [
        (p.better, p.worse)
        + _numbers(".4f", p.difference.value, p.difference.low, p.difference.high, p.error)
        + (f"{p.t:.3f}", str(ranking.freedom), *_numbers(".3g", p.p_alone, p.p), "yes" if p.distinct else "no")
        for p in ranking.pairs
    ]
    shares = ("left share", "median seconds", "fast share", "agreement", "expected")
    excluded = set(ranking.excluded)
    observers = [("observer", "excluded", "answers", "catch trials", "right", *shares, "reason")] + [
        (o.observer, "yes" if o in excluded else "no", str(o.answers), str(o.catches), str(o.catches_right))
        + _numbers(".3f", o.left_share, o.seconds, o.fast_share, o.agreement, o.expected)
        + ("; ".join(o.reasons),)
        for o in ranking.observers
    ]
    return {"Ranking": standings, "All pairs": pairs, "Observers": observers}


def _numbers(form: str, *values: float | None) -> tuple[str, ...]:
    return tuple("" if value is None else format(value, form) for value in values)


def _method(ranking: Ranking) -> list[str]:
    """Sentences about the answers, the screening, the scores, the intervals, the tests, with all numbers."""
    tally, options, chance = ranking.tally, ranking.options, ranking.side_chance
    correction = "corrected by Holm's method" if options.correction == "holm" else "not corrected"
    return [
        f"{len(tally.first)} answers of {len(tally.observers)} observers about {len(tally.photos)} photographs count;"
        f" {len(ranking.excluded)} of {len(ranking.observers)} observers are excluded.",
        f"Reasons to exclude an observer: {'; '.join(_rules(ranking))}.",
        "Scores are Bradley-Terry's by maximum likelihood with a term for the side,"
        " logit P(left is chosen) = s_left \u2212 s_right + b, with mean 0: a difference of 1 means being chosen in"
        f" {expit(1):.0%} of comparisons. The left one of two equal pictures is chosen in {chance.value:.1%}"
        f" (95 % interval {chance.low:.1%} to {chance.high:.1%}), b = {ranking.side.value:.3f}.",
        f"95 % intervals use Student's t with {ranking.freedom} degrees of freedom: the number of observers or of"
        " photographs, the smaller one, minus 1. Standard errors are from a bootstrap over observers and photographs"
        f" ({options.resamples} resamples of each and of their blocks, combined as two-way clusters; seed"
        f" {options.seed}).",
        f"All {len(ranking.pairs)} pairs are compared by two-tailed t-tests from the same standard errors, p-values"
        f" {correction}; contestants in a row of which no two can be told apart at {ALPHA:g} share a letter and a box.",
    ]


def _rules(ranking: Ranking) -> list[str]:
    bounds, catches = ranking.options.bounds, mode(observer.catches for observer in ranking.observers)
    least, fails, passes = catch_rule(catches, bounds)
    catch = (
        f"fewer than {least} of {catches} catch trials right (one who gets {bounds.attentive:.0%} right fails in"
        f" {fails:.1%} of sessions, one who clicks at random passes in {passes:.1%})"
    )
    return [catch] * bool(least) + [
        f"fewer than {bounds.fewest} answers",
        f"more than {bounds.one_sided:.0%} of them on one side",
        f"more than {bounds.fast_share:.0%} of them within {bounds.fast:g} s",
        f"agreement with all others (at least {OTHERS}) as by chance although their ranking predicts more, where catch"
        " trials do not prove attention",
    ]


def _notes(ranking: Ranking) -> list[str]:
    """Warnings above the figure."""
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


def _examples(study: Study, ranking: Ranking) -> list[dict[str, Any]]:
    """The photographs on which contestants differ most: name, and title and data URI of each existing picture."""
    tally = ranking.tally
    shown, won = np.zeros((2, len(tally.photos), len(tally.contestants)), dtype=int)
    for side in (tally.left, tally.right):
        np.add.at(shown, (tally.photo, side), 1)
    np.add.at(won, (tally.photo, tally.winner), 1)
    share = (won + 1) / (shown + 2)  # so that the share of a single comparison is not extreme
    order = [int(k) for k in np.argsort(-share.var(axis=1), kind="stable") if tally.photos[k] in study.photos]
    best_first = [s.contestant for s in ranking.standings if s.contestant in study.contestants]
    found = []
    for photo in order[:EXAMPLES]:
        versions = {"original": study.original(tally.photos[photo])}
        for contestant in best_first:
            k = tally.contestants.index(contestant)
            title = f"{contestant}: chosen in {won[photo, k]} of {shown[photo, k]}"
            versions[title] = study.output(contestant, tally.photos[photo])
        pictures = []
        for title, path in versions.items():
            if path.is_file():
                pictures.append((title, data_uri(webp(shrink(read_picture(path), SIDE)), "webp")))
        found.append({"photo": tally.photos[photo], "pictures": pictures})
    return found
