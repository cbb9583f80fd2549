"""Tables: those that people made (UTF-8 or UTF-16; commas, semicolons or tabs) are read, ours are written whole."""

import codecs
import csv
import io
import os
from pathlib import Path

from .errors import UserError

SEPARATORS = "\t;,"
UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def table_rows(file: str | Path, separator: str | None = None) -> list[tuple[int, list[str]]]:
    """The rows of a text table that are not empty.

    Args:
        separator: of the columns; None: a tab, a semicolon or a comma: the one that divides most rows as the first one.

    Returns:
        (line, cells) for every row: the number of its line (its last one), counted from 1, and its cells without
        spaces around them. Columns on the right that are empty in all rows are left out.

    Raises:
        UserError: the file cannot be read, is empty, or has a single column without a ``separator``.
    """
    try:
        data = Path(file).read_bytes()
        text = data.decode("utf-16" if data.startswith(UTF16) else "utf-8-sig")
        found = _rows(text, separator or _separator(file, text))
    except (OSError, UnicodeDecodeError, csv.Error) as reason:
        raise UserError(f"{file} cannot be read as a table ({reason}): give a text table (CSV) in UTF-8") from reason
    width = max((k for _, cells in found for k, cell in enumerate(cells, start=1) if cell), default=0)
    if not width:
        raise UserError(f"{file} is empty: give a table with rows")
    return [(line, cells[:width]) for line, cells in found]


def decimal_number(text: str) -> float:
    """The number of a cell, with a point or a comma before its decimals; raises ValueError if it is none."""
    return float(text if "." in text else text.replace(",", "."))


def write_whole(file: Path, data: bytes) -> None:
    """Write a file that is complete or, after an error, as it was before; a device such as /dev/stdout at once.

    Raises:
        UserError: it cannot be written.
    """
    part = file if file.exists() and not file.is_file() else file.with_name(f".{os.getpid()}.part")
    try:
        part.write_bytes(data)
        if part != file:
            os.replace(part, file)
    except OSError as reason:
        raise UserError(f"{file} cannot be written ({reason.strerror}): give another file, or free space") from reason
    finally:
        if part != file:
            part.unlink(missing_ok=True)


def _rows(text: str, separator: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows = ((reader.line_num, [cell.strip() for cell in cells]) for cells in reader)
    return [(line, cells) for line, cells in rows if any(cells)]


def _separator(file: str | Path, text: str) -> str:
    """That with which the most rows have as many cells as the first one, which must have two or more."""
    best, chosen = (0.0, 0), SEPARATORS[-1]
    for candidate in SEPARATORS:
        lengths = [len(cells) for _, cells in _rows(text, candidate)] or [2]
        share = lengths.count(lengths[0]) / len(lengths)
        if lengths[0] > 1 and (share, lengths[0]) > best:
            best, chosen = (share, lengths[0]), candidate
    if not best[1]:
        raise UserError(f"{file} has a single column: separate columns by commas, tabs or semicolons")
    return chosen
