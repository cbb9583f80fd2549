"""Trials: how they are drawn, and their answers as values and as csv."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from mslique import UserError, decimal_number, table_rows

from ..run.files import write_csv
from .options import Plan

ORIGINAL, DEGRADED = "@original", "@degraded"  # sides of a catch trial: the photograph, a plainly worse version of it
Kind = Literal["practice", "pair", "catch"]
Side = Literal["left", "right"]
Cell = tuple[str, str, str]  # photograph, contestant on the left, contestant on the right


@dataclass(frozen=True)
class Trial:
    """One two-alternative forced choice between ``left`` and ``right``: names of contestants."""

    kind: Kind
    photo: str
    left: str
    right: str


@dataclass(frozen=True)
class Answer:
    """One answered trial. ``seconds``: from the display of the pictures to the choice; None if not measured."""

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
    """Read a table with the columns observer, photo, left, right and choice; kind, seconds and time may be missing.

    ``choice`` is "left", "right", or the name of the chosen contestant. Capitals in the names of columns, in kinds and
    sides do not matter. Anything wrong raises a UserError.
    """
    (_, header), *rows = table_rows(path)
    columns = [name.casefold() for name in header]
    if missing := [name for name in REQUIRED if name not in columns]:
        raise UserError(f"{path} has no column {', '.join(missing)}: it needs {', '.join(REQUIRED)}")
    if double := [name for name in COLUMNS if columns.count(name) > 1]:
        raise UserError(f"{path} has several columns {', '.join(double)}: leave one of them")
    return [_answer(f"{path}, line {line}", columns, cells) for line, cells in rows]


def _answer(place: str, columns: Sequence[str], cells: Sequence[str]) -> Answer:
    row = dict.fromkeys(COLUMNS, "") | dict(zip(columns, cells, strict=False))
    # a contestant may be called "left", so "left" as a choice is always the side
    sides = {"left": "left", "right": "right"}
    choice = ({row["left"]: "left", row["right"]: "right"} | sides).get(row["choice"])
    choice = choice or sides.get(row["choice"].casefold())
    values: dict[str, Any] = {"kind": row["kind"].casefold() or "pair", "time": row["time"], "choice": choice}
    try:
        values["seconds"] = seconds = decimal_number(row["seconds"]) if row["seconds"] else None
        valid = values["kind"] in get_args(Kind) and row["left"] != row["right"] and 0 <= (seconds or 0) < math.inf
        if not valid or not choice or not all(row[name] for name in REQUIRED) or any(cells[len(columns) :]):
            raise ValueError
    except ValueError:
        raise UserError(
            f"{place}: expected observer, photo, two different contestants, left or right or one of them as the choice,"
            f" a number or nothing as seconds, got {', '.join(cells)}"
        ) from None
    return Answer(**{name: row[name] for name in REQUIRED} | values)


def draw(
    contestants: Sequence[str], photos: Sequence[str], taken: Mapping[Cell, int], rng: np.random.Generator, plan: Plan
) -> list[Trial]:
    """The trials of one observer: practice, then pairs in random order with catch trials spread among them.

    The cells that the study has used least (``taken``: how often, by cell) come first, so no cell is ever more than two
    showings ahead of another. Pairs and photographs are balanced within a session too. No pair is shown twice on the
    same photograph while there are others.
    """
    cells = [(photo, left, right) for photo in photos for left, right in permutations(contestants, 2)]
    chosen = [cells[k] for k in _least_used(cells, taken, rng, min(plan.trials, len(cells)))]
    pairs = [Trial("pair", *chosen[k]) for k in rng.permutation(len(chosen))]
    edges = np.linspace(0, len(pairs), plan.catches + 1).astype(int).tolist()  # one catch trial between two edges
    for place in sorted([rng.integers(a, max(a + 1, b)) for a, b in pairwise(edges)], reverse=True):
        left, right = rng.permutation([ORIGINAL, DEGRADED]).tolist()
        pairs.insert(place, Trial("catch", photos[int(rng.integers(len(photos)))], left, right))
    practice = rng.permutation(len(cells))[: plan.practice]
    return [Trial("practice", *cells[k]) for k in practice] + pairs


def _least_used(cells: Sequence[Cell], taken: Mapping[Cell, int], rng: np.random.Generator, count: int) -> list[int]:
    """Indices of ``count`` cells: least used in the study first, then in the session, then at random."""
    photo = np.unique([cell[0] for cell in cells], return_inverse=True)[1]
    pair = np.unique(["\n".join(sorted(cell[1:])) for cell in cells], return_inverse=True)[1]
    used = np.array([taken.get(cell, 0) for cell in cells])
    seen = np.zeros((photo.max() + 1, pair.max() + 1))
    free = np.ones(len(cells), dtype=bool)
    tie = rng.permutation(len(cells))
    chosen = []
    for _ in range(count):
        of_photo, of_pair = seen.sum(axis=1), seen.sum(axis=0)
        k = int(np.lexsort((tie, of_photo[photo], of_pair[pair], used, seen[photo, pair], ~free))[0])
        chosen.append(k)
        free[k] = False
        seen[photo[k], pair[k]] += 1
    return chosen
