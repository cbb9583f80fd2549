"""Label files of quality datasets: which images belong to training, validation and test, and their scores.

======  ==============================================================================================================
format  what is read
======  ==============================================================================================================
liqe    LIQE's manifests, ``<stem>_train_clip.txt``, ``_val_``, ``_test_``: tab-separated, no header: path, score, ...
meta    IQA-PyTorch's meta files: commas, header, read by position (path, score, ...), split by a column or a pickle
table   any table with a header; columns by name; commas, tabs or semicolons
======  ==============================================================================================================

For parts that a file does not name see :mod:`mslique.data.parts`.
"""

from collections.abc import Sequence
from pathlib import Path

from ..io.errors import UserError
from .parts import PARTS, Label, Splits, completed, drawn
from .row_numbers import read_row_numbers
from .rows import Row, read_rows


def numbered(text: str, split: int) -> str:
    """The text with the number of the split in the place of ``{split}``.

    Raises:
        UserError: it has other braces.
    """
    try:
        return text.format(split=split)
    except (LookupError, ValueError, AttributeError) as reason:
        raise UserError(f"{text!r} has braces around something else than split: write {{split}}") from reason


def read_liqe(folder: Path, stem: str) -> Splits:
    """The three manifests of one split.

    Raises:
        UserError: a manifest is missing or broken; the message names file and line.
    """
    files = {part: folder / f"{stem}_{part}_clip.txt" for part in PARTS}
    return {part: [row.label() for row in read_rows(file, "\t")] for part, file in files.items()}


def read_meta(file: Path, split: int, column: str | None = None, splits: Path | None = None) -> Splits:
    """A meta file of IQA-PyTorch with its splits.

    Args:
        file: path and score are in its first two columns.
        split: number of the split.
        column: name of the column that says train, val or test; ``{split}`` in it is replaced by the number.
        splits: a pickle {split: {part: row numbers}} instead; read without running code.

    Raises:
        UserError: a file is missing or broken, or has no such split.
    """
    header, *rows = read_rows(file, ",")
    labels = [row.label() for row in rows]
    if splits is None:
        return _by_column(header, rows, labels, column, split)
    numbers = read_row_numbers(splits, split)
    beyond = [i for indices in numbers.values() for i in indices if not 0 <= i < len(labels)]
    if beyond:
        raise UserError(f"{splits} names row {beyond[0]} of a table with {len(labels)}: it belongs to another table")
    return completed({part: [labels[i] for i in indices] for part, indices in numbers.items()}, split)


def read_table(
    file: Path, split: int, image: str, score: str, reference: str | None = None, column: str | None = None
) -> Splits:
    """A table with a header.

    Args:
        file: separated by commas, tabs or semicolons.
        split: seed of a random split.
        image, score: names of the columns with the path and the score.
        reference: name of the column with the reference image.
        column: as in :func:`read_meta`.

    Raises:
        UserError: the file is missing or broken, or has no such column.
    """
    header, *rows = read_rows(file)
    columns = [header.position(name) for name in (image, score, reference) if name is not None]
    for row in rows:
        if len(row.cells) < len(header.cells):
            raise row.error(f" has {len(row.cells)} columns, the header {len(header.cells)}: mend the line")
    return _by_column(header, rows, [row.label(*columns) for row in rows], column, split)


def _by_column(header: Row, rows: Sequence[Row], labels: Sequence[Label], column: str | None, split: int) -> Splits:
    """The parts that a column of the table names; drawn at random without one."""
    if column is None:
        return drawn(labels, split)
    position = header.position(numbered(column, split))
    found: Splits = {part: [] for part in PARTS}
    for label, row in zip(labels, rows, strict=True):
        found[row.part(position)].append(label)
    return completed(found, split)
