"""Label files of quality datasets: which images belong to training, validation and test, and their scores.

======  ==============================================================================================================
format  what is read
======  ==============================================================================================================
liqe    LIQE's manifests, ``<stem>_train_clip.txt``, ``_val_``, ``_test_``: tab-separated, no header: path, score, ...
meta    IQA-PyTorch's meta files: commas, header, read by position (path, score, ...), split by a column or a pickle
table   any table with a header; columns by name; commas, tabs or semicolons
======  ==============================================================================================================

Where a file does not say which images are for validation, a tenth of the training images is; where it says nothing,
images are drawn at random, 70, 10 and 20 percent as in LIQE, all versions of one reference together [ours].
"""

import csv
import math
import pickle
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from numpy.random import default_rng

from ..io.errors import UserError

PARTS = ("train", "val", "test")
Splits = dict[str, list["Label"]]


@dataclass(frozen=True)
class Label:
    """An image's path below its dataset's folder, its score, and the reference image that it was made from, if any."""

    path: str
    score: float
    reference: str = ""


def read_liqe(folder: Path, stem: str) -> Splits:
    """The three manifests of one split.

    Raises:
        UserError: a manifest is missing or broken; the message names file and line.
    """
    files = {part: folder / f"{stem}_{part}_clip.txt" for part in PARTS}
    return {part: [_label(file, n, row) for n, row in _rows(file, "\t")] for part, file in files.items()}


def read_meta(file: Path, split: int, column: str | None = None, splits: Path | None = None) -> Splits:
    """A meta file of IQA-PyTorch with its splits.

    Args:
        file: path and score in its first two columns.
        split: number of the split.
        column: name of the column that says train, val or test; ``{split}`` in it is replaced by the number.
        splits: a pickle {split: {part: row numbers}} instead; read without running code.

    Raises:
        UserError: a file is missing or broken, or has no such split.
    """
    header, *rows = _rows(file, ",")
    labels = [_label(file, n, row) for n, row in rows]
    if splits is not None:
        return _completed(_picked(labels, _pickled(splits, split), splits), split)
    if column is None:
        return _drawn(labels, split)
    position = _position(file, header[1], column.format(split=split))
    found: Splits = defaultdict(list)
    for label, (n, row) in zip(labels, rows, strict=True):
        found[_part(file, n, row, position)].append(label)
    return _completed(found, split)


def read_table(
    file: Path, split: int, image: str, score: str, reference: str | None = None, column: str | None = None
) -> Splits:
    """A table with a header.

    Args:
        file: comma-, tab- or semicolon-separated.
        split: seed of a random split.
        image, score: names of the columns with the path and the score.
        reference: name of the column with the reference image.
        column: as in :func:`read_meta`.

    Raises:
        UserError: the file is missing or broken, or has no such column.
    """
    (_, header), *rows = _rows(file, _separator(file))
    order = [_position(file, header, name) for name in (image, score)]
    order += [_position(file, header, reference)] if reference else []
    part = _position(file, header, column.format(split=split)) if column else None
    labels: Splits = defaultdict(list)
    for n, row in rows:
        if len(row) < len(header):
            raise UserError(f"{file}, line {n} has {len(row)} columns, the header {len(header)}: mend the line")
        label = _label(file, n, [row[i] for i in order])
        name = "" if part is None else _part(file, n, row, part)
        labels[name].append(Label(label.path, label.score, row[order[2]] if reference else ""))
    return _drawn(labels[""], split) if part is None else _completed(labels, split)


def _label(file: Path, line: int, row: Sequence[str]) -> Label:
    if len(row) < 2:
        raise UserError(
            f"{file}, line {line} has a single column: expected path and score. LIQE's manifests are separated by tabs,"
            " IQA-PyTorch's meta files by commas; for other files use format: table"
        )
    path, score = row[0].strip(), row[1].strip()
    try:
        value = float(score)
    except ValueError as reason:
        raise UserError(
            f"{file}, line {line}: the score {score!r} is not a number: mend or remove the line"
        ) from reason
    if not math.isfinite(value):
        raise UserError(f"{file}, line {line}: the score {score!r} is not finite: mend or remove the line")
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or ".." in pure.parts:
        raise UserError(f"{file}, line {line}: the path {path!r} leaves the dataset's folder: give one below it")
    return Label(str(pure), value)


def _part(file: Path, line: int, row: Sequence[str], position: int) -> str:
    part = row[position].strip() if position < len(row) else ""
    if part not in PARTS:
        raise UserError(f"{file}, line {line}: {part!r} is none of {', '.join(PARTS)}: check split_column")
    return part


def _rows(file: Path, separator: str) -> list[tuple[int, list[str]]]:
    """Numbered rows that are not empty."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            rows = [(n, row) for n, row in enumerate(csv.reader(lines, delimiter=separator), start=1) if any(row)]
    except (OSError, UnicodeDecodeError, csv.Error) as reason:
        raise UserError(f"the label file {file} cannot be read ({reason}): check labels and format") from reason
    if not rows:
        raise UserError(f"the label file {file} is empty: give one with a row for every image")
    return rows


def _separator(file: Path) -> str:
    (_, header), *_ = _rows(file, "\0")
    found = max(",\t;", key=header[0].count)
    if found not in header[0]:
        raise UserError(f"{file} has a single column: separate columns by commas, tabs or semicolons")
    return found


def _position(file: Path, header: Sequence[str], name: str) -> int:
    if name not in header:
        raise UserError(f"{file} has no column {name!r}: choose one of {', '.join(header)}")
    return list(header).index(name)


def _drawn(labels: Iterable[Label], split: int) -> Splits:
    """70, 10 and 20 percent at random, all images of a reference in one part."""
    train, test = _parted(list(labels), 0.2, split)
    train, val = _parted(train, 0.125, split)
    return {"train": train, "val": val, "test": test}


def _completed(splits: Splits, split: int) -> Splits:
    """With a tenth of the training images for validation where there are none."""
    if not splits.get("val"):
        train, val = _parted(splits.get("train", []), 0.1, split)
        splits = {**splits, "train": train, "val": val}
    return {part: splits.get(part, []) for part in PARTS}


def _parted(labels: list[Label], share: float, seed: int) -> tuple[list[Label], list[Label]]:
    groups = sorted({label.reference or label.path for label in labels})
    count = max(1, round(share * len(groups))) if len(groups) > 1 else 0
    taken = {groups[i] for i in default_rng(seed).permutation(len(groups))[:count]}
    kept = [label for label in labels if (label.reference or label.path) not in taken]
    return kept, [label for label in labels if (label.reference or label.path) in taken]


NUMBERS = {
    *(
        (module, name)
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
        for name in ("scalar", "_reconstruct")
    ),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


class _PlainUnpickler(pickle.Unpickler):
    """Numbers, texts, containers and numpy's numbers: whatever else is named is refused, unexecuted."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in NUMBERS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


def _pickled(file: Path, split: int) -> dict[str, list[int]]:
    try:
        with file.open("rb") as stream:
            found = _PlainUnpickler(stream).load()
        return {part: [int(i) for i in found[split][part]] for part in PARTS if part in found[split]}
    except Exception as reason:  # unpicklers fail in many ways, all of which mean an unusable file
        raise UserError(
            f"{file} holds no plain {{split: {{part: rows}}}} with split {split} ({type(reason).__name__}: {reason})"
        ) from reason


def _picked(labels: Sequence[Label], rows: dict[str, list[int]], file: Path) -> Splits:
    beyond = [i for indices in rows.values() for i in indices if not 0 <= i < len(labels)]
    if beyond:
        raise UserError(f"{file} names row {beyond[0]} of a table with {len(labels)}: it belongs to another table")
    return {part: [labels[i] for i in indices] for part, indices in rows.items()}


def duplicates(splits: Splits) -> list[str]:
    """Paths that occur more than once, in one part or in several."""
    counts = Counter(label.path for labels in splits.values() for label in labels)
    return [path for path, count in counts.items() if count > 1]
