"""results.csv: one row an input."""

import csv
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .pictures import write_csv

OK, FAILED = "ok", "failed"


@dataclass(frozen=True)
class Row:
    """One line of results.csv. Quality in [0, 100], of the photograph as given and of the file written.

    ``stages`` are the iterations of the ascents one by one, such as "10 + 3".
    """

    file: str
    status: str
    seconds: float | None = None
    iterations: int | None = None
    quality_before: float | None = None
    quality_after: float | None = None
    fidelity: float | None = None
    stages: str = ""
    error: str = ""
    note: str = ""


COLUMNS = [field.name for field in dataclasses.fields(Row)]


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write a results.csv with these rows, atomically; figures have six significant digits."""
    write_csv(path, COLUMNS, ([six_digits(getattr(row, name)) for name in COLUMNS] for row in rows))


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a results.csv, all values as text."""
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def six_digits(value: object) -> object:
    """A float as text with six significant digits; anything else as it is."""
    return f"{value:.6g}" if isinstance(value, float) else value
