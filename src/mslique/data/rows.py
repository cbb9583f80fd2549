"""The rows of label files. Errors name the file and the line."""

import math
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..io.errors import UserError
from ..io.tables import decimal_number, table_rows
from .parts import PARTS, Label


@dataclass(frozen=True)
class Row:
    """A line (counted from 1) of a text table, and its cells."""

    file: Path
    line: int
    cells: list[str]

    def position(self, name: str) -> int:
        """Where the column ``name`` is, if this row is the header; capitals count only if they make a difference."""
        for cells, wanted in ((self.cells, name), ([cell.casefold() for cell in self.cells], name.casefold())):
            if cells.count(wanted) == 1:
                return cells.index(wanted)
        found = "several columns" if name in self.cells else "no column"
        raise UserError(f"{self.file} has {found} {name!r}: choose one of {', '.join(self.cells)}")

    def label(self, path: int = 0, score: int = 1, reference: int | None = None) -> Label:
        """The label in the columns at these positions."""
        if len(self.cells) < 2:
            raise self.error(
                " has a single column: expected path and score. LIQE's manifests are separated by tabs, IQA-PyTorch's"
                " meta files by commas; for other files use format: table"
            )
        return Label(self._path(path), self._score(score), "" if reference is None else self.cells[reference])

    def part(self, column: int) -> str:
        """The part that is named in the column at this position."""
        part = self.cells[column].strip() if column < len(self.cells) else ""
        if part not in PARTS:
            raise self.error(f": {part!r} is none of {', '.join(PARTS)}: check split_column")
        return part

    def error(self, text: str) -> UserError:
        return UserError(f"{self.file}, line {self.line}{text}")

    def _path(self, column: int) -> str:
        path = self.cells[column].strip()
        pure = PurePosixPath(path)
        if not path or pure.is_absolute() or ".." in pure.parts:
            raise self.error(f": the path {path!r} leaves the dataset's folder: give one below it")
        return str(pure)

    def _score(self, column: int) -> float:
        text = self.cells[column].strip()
        try:
            score = decimal_number(text)
        except ValueError as reason:
            raise self.error(f": the score {text!r} is not a number: mend or remove the line") from reason
        if not math.isfinite(score):
            raise self.error(f": the score {text!r} is not finite: mend or remove the line")
        return score


def read_rows(file: Path, separator: str | None = None) -> list[Row]:
    """The rows that are not empty; see :func:`mslique.io.tables.table_rows`."""
    return [Row(file, line, cells) for line, cells in table_rows(file, separator)]
