"""The files of a ranking: csv tables, the figure, and a page that holds everything."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ..run.files import write_bytes, write_csv, write_page
from ..run.pictures import data_uri
from .definition import Study
from .examples import examples
from .figure import draw
from .result import Ranking
from .wording import method, notes


@dataclass(frozen=True)
class Table:
    """A table as it is written and shown: texts alone."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def write_ranking(output: Path, ranking: Ranking, study: Study | None = None) -> None:
    """Write ranking.csv, pairs.csv, observers.csv, ranking.pdf, ranking.png and ranking.html into ``output``.

    Args:
        study: whose pictures the page shows as examples.
    """
    shown = tables(ranking)
    for table in shown:
        write_csv(output / f"{table.name}.csv", table.columns, table.rows)
    pictures = draw(ranking)
    for kind, picture in pictures.items():
        write_bytes(output / f"ranking.{kind}", picture)
    data = {
        "question": study.question if study else "",
        "notes": notes(ranking),
        "method": method(ranking),
        "figure": data_uri(pictures["png"], "png"),
        "tables": [{"title": t.title, "columns": t.columns, "rows": t.rows} for t in shown],
        "examples": examples(study, ranking) if study else [],
    }
    write_page(output / "ranking.html", files("dlmap.study") / "ranking.html", "RANKING_DATA", data)


def tables(ranking: Ranking) -> list[Table]:
    """The standings, the tests of all pairs, the observers."""
    return [_standings(ranking), _pairs(ranking), _observers(ranking)]


def _standings(ranking: Ranking) -> Table:
    columns = ("rank", "contestant", "score", "low", "high", "groups", "comparisons", "wins")
    rows = [
        (str(s.rank), s.contestant, *_logits(s.score.value, s.score.low, s.score.high), s.groups)
        + (str(s.comparisons), str(s.wins))
        for s in ranking.standings
    ]
    return Table("ranking", "Ranking", columns, rows)


def _pairs(ranking: Ranking) -> Table:
    columns = ("better", "worse", "difference", "low", "high", "error", "t", "df", "p", "p corrected", "told apart")
    rows = [
        (p.better, p.worse)
        + _logits(p.difference.value, p.difference.low, p.difference.high, p.error)
        + (f"{p.t:.3f}", str(ranking.freedom), f"{p.p_alone:.3g}", f"{p.p:.3g}", "yes" if p.distinct else "no")
        for p in ranking.pairs
    ]
    return Table("pairs", "All pairs", columns, rows)


def _observers(ranking: Ranking) -> Table:
    counts = ("answers", "catch trials", "right")
    shares = ("left share", "median seconds", "fast share", "agreement", "expected")
    excluded = set(ranking.excluded)
    rows = [
        (o.observer, "yes" if o in excluded else "no", str(o.answers), str(o.catches), str(o.catches_right))
        + _shares(o.left_share, o.seconds, o.fast_share, o.agreement, o.expected)
        + ("; ".join(o.reasons),)
        for o in ranking.observers
    ]
    return Table("observers", "Observers", ("observer", "excluded", *counts, *shares, "reason"), rows)


def _logits(*values: float) -> tuple[str, ...]:
    return tuple(f"{value:.4f}" for value in values)


def _shares(*values: float | None) -> tuple[str, ...]:
    return tuple("" if value is None else f"{value:.3f}" for value in values)
