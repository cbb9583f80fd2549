"""Answers of observers, as values and as csv."""

import csv
import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from mslique import UserError

from ..run.files import write_csv
from .design import Kind

Side = Literal["left", "right"]


@dataclass(frozen=True)
class Answer:
    """One answered trial. ``seconds`` from the pictures' appearance to the choice; None where it was not measured."""

    observer: str
    kind: Kind
    photo: str
    left: str
    right: str
    choice: Side
    seconds: float | None = None
    time: str = ""


COLUMNS = [field.name for field in dataclasses.fields(Answer)]
REQUIRED = ("observer", "photo", "left", "right", "choice")


def write_answers(path: Path, answers: Iterable[Answer]) -> None:
    """Write a csv of answers, atomically."""
    write_csv(path, COLUMNS, map(dataclasses.astuple, answers))


def read_answers(path: Path) -> list[Answer]:
    """Read a csv with the columns observer, photo, left, right and choice; kind, seconds and time may be missing.

    ``choice`` is "left" or "right", or the name of the contestant that was chosen.

    Raises:
        UserError: the file cannot be read, a column is missing, or a line is wrong.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            missing = [name for name in REQUIRED if name not in (table.fieldnames or ())]
            if missing:
                raise UserError(f"{path} has no column {', '.join(missing)}: it needs {', '.join(REQUIRED)}")
            return [_answer(path, table.line_num, row) for row in table]
    except (OSError, UnicodeDecodeError, csv.Error) as reason:
        raise UserError(f"{path} cannot be read as a table of answers: {reason}") from reason


def _answer(path: Path, line: int, row: dict[str, str]) -> Answer:
    # a contestant may be called "left": what the study itself has written is a side
    choice = {row["left"]: "left", row["right"]: "right", "left": "left", "right": "right"}.get(row["choice"])
    kind = row.get("kind") or "pair"
    try:
        seconds = float(row["seconds"]) if row.get("seconds") else None
        if choice is None or kind not in get_args(Kind) or row["left"] == row["right"]:
            raise ValueError
        if not all(row[name] for name in REQUIRED) or not math.isfinite(seconds or 0):
            raise ValueError
        return Answer(
            observer=row["observer"],
            kind=cast(Kind, kind),
            photo=row["photo"],
            left=row["left"],
            right=row["right"],
            choice=cast(Side, choice),
            seconds=seconds,
            time=row.get("time") or "",
        )
    except ValueError:
        raise UserError(
            f"{path}, line {line}: expected observer, photo, two different contestants, left or right or one of them as"
            f" the choice, a number or nothing as seconds, got {','.join(str(value) for value in row.values())}"
        ) from None
