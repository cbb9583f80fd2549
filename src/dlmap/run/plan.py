"""Which photographs of a folder there are, where their results go, and in which batches they are done."""

import fnmatch
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from mslique import UserError, image_size, list_images

from .record import Record


def find(folder: str | Path) -> tuple[Path, list[Path]]:
    """The root folder and the photographs below it, sorted; ``folder`` may also be one file.

    Raises:
        UserError: it is missing or holds no image.
    """
    path = Path(folder)
    return (path.parent, [path]) if path.is_file() else (path, list_images(path))


def matches(name: Path, patterns: str) -> bool:
    """Whether one of the comma-separated glob patterns fits the path or the file name; case is ignored."""
    candidates = (_folded(name), name.name.casefold())
    return any(
        fnmatch.fnmatchcase(candidate, pattern.strip().casefold())
        for pattern in patterns.split(",")
        for candidate in candidates
    )


def output_names(names: Sequence[Path], keep_format: bool) -> list[Path]:
    """Where the results go: the same names with the suffix .png or, with ``keep_format``, the same names.

    a.jpg and a.bmp would both become a.png, so each keeps its full name: a.jpg.png and a.bmp.png. The same holds for
    a.jpg beside a folder a.png. Names that differ only in case count as equal, as they are on some file systems.
    """
    if keep_format:
        return list(names)
    simple = [name.with_suffix(".png") for name in names]
    folders = {_folded(folder) for name in names for folder in name.parents}
    count = Counter([*map(_folded, simple), *folders])
    taken = folders | {name for name in count if count[name] == 1}
    outputs = []
    for name, output in zip(names, simple, strict=True):
        if count[_folded(output)] > 1:
            output = name.with_name(f"{name.name}.png")
            while _folded(output) in taken:
                output = output.with_name(f"{output.name}.png")
            taken.add(_folded(output))
        outputs.append(output)
    return outputs


def check_outputs(root: Path, records: Sequence[Record], output: Path) -> list[Record]:
    """The records, without those whose file lies in the output folder: these are results of earlier runs.

    Raises:
        UserError: a result would overwrite a photograph.
    """
    root, output = _real(root), _real(output)
    if output != root and output.is_relative_to(root):
        records = [record for record in records if not _real(record.source).is_relative_to(output)]
    sources = {_real(record.source) for record in records}
    for record in records:
        if (result := _real(output / record.output)) in sources:
            raise UserError(f"the result of {record.file} would overwrite {result}: give another folder as --output")
    return list(records)


def find_references(folder: str | Path, records: Sequence[Record]) -> list[Path | None]:
    """For every photograph the image below ``folder`` with the same name, or with the same name but for the suffix.

    If ``folder`` is a file, it is the reference of a single photograph. None: there is no such image, or several.
    """
    root, found = find(folder)
    if Path(folder).is_file() and len(records) == 1:
        return [found[0]]
    by_name = {path.relative_to(root): path for path in found}
    by_stem: dict[Path, list[Path]] = defaultdict(list)
    for name, path in by_name.items():
        by_stem[name.with_suffix("")].append(path)
    references: list[Path | None] = []
    for name in (Path(record.file) for record in records):
        alike = by_stem[name.with_suffix("")]
        references.append(by_name.get(name, alike[0] if len(alike) == 1 else None))
    return references


def make_batches(records: Sequence[Record], batch_size: int, processes: int) -> list[list[Record]]:
    """Batches of photographs of equal size, as far as the files' headers tell, in the order of their first members.

    There is at least one batch for each process, which may be empty. Batches are smaller than ``batch_size`` where a
    process would otherwise have nothing to do.
    """
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, record in enumerate(records):
        groups[_size(record.source)].append(index)
    most = min(batch_size, max(1, -(-len(records) // processes)))
    batches = sorted(group[k : k + most] for group in groups.values() for k in range(0, len(group), most))
    batches += [[] for _ in range(processes - len(batches))]
    return [[records[index] for index in batch] for batch in batches]


def _size(path: str) -> tuple[int, int]:
    try:
        return image_size(path)
    except UserError:  # the decoder will refuse the file too, and its error is the one that is reported
        return (0, 0)


def _real(path: str | Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises an error at a loop of links


def _folded(name: Path) -> str:
    return name.as_posix().casefold()
