"""Which photographs of a folder are to be done, where their results go, and in which batches."""

import fnmatch
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mslique import UserError, image_size, list_images


@dataclass(frozen=True)
class Task:
    """One input: its path, its name (path below the input folder), that of its result below the output folder."""

    source: Path
    name: Path
    output: Path
    reference: Path | None = None
    key: str = ""


def find(folder: str | Path) -> tuple[Path, list[Path]]:
    """The root folder and the photographs below it, sorted; ``folder`` may also be one file.

    Raises:
        UserError: it is missing or holds no image.
    """
    path = Path(folder)
    return (path.parent, [path]) if path.is_file() else (path, list_images(path))


def output_names(names: Sequence[Path], keep_format: bool) -> list[Path]:
    """Where the results go: under the same names, or with the suffix .png.

    a.jpg and a.bmp would both become a.png: each keeps its full name then, a.jpg.png; so does a.jpg beside a folder
    a.png. Names that differ in case only count as equal, as they are on some file systems.
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


def matches(name: Path, patterns: str) -> bool:
    """Whether a glob pattern of the comma-separated ``patterns`` fits the path or the file name, in any case."""
    candidates = (_folded(name), name.name.casefold())
    return any(
        fnmatch.fnmatchcase(candidate, pattern.strip().casefold())
        for pattern in patterns.split(",")
        for candidate in candidates
    )


def find_references(folder: str | Path, tasks: Sequence[Task]) -> list[Path | None]:
    """The reference of every task: of the same name below ``folder``, or of the same name but for the suffix.

    A single file is the reference of a single photograph. None where there is no reference, or more than one.
    """
    root, found = find(folder)
    if Path(folder).is_file() and len(tasks) == 1:
        return [found[0]]
    by_name: dict[Path, Path | None] = {path.relative_to(root): path for path in found}
    by_stem: dict[Path, list[Path]] = defaultdict(list)
    for path in found:
        name = path.relative_to(root)
        by_stem[name.with_suffix("")].append(path)
    for task in tasks:
        alike = by_stem[task.name.with_suffix("")]
        by_name.setdefault(task.name, alike[0] if len(alike) == 1 else None)
    return [by_name[task.name] for task in tasks]


def content_key(options: str, source: Path, reference: Path | None) -> str:
    """A digest of the options and of size and time of change of the files; empty if ``options`` is, or a file is gone.

    The time instead of the content: reading thousands of photographs to find out that they are done takes minutes.
    """
    if not options:
        return ""
    parts = [options]
    for path in (source, reference):
        try:
            status = path.stat() if path is not None else None
        except OSError:  # reading it will say what is wrong
            return ""
        parts.append("" if status is None else f"{status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def make_batches(tasks: Sequence[Task], batch_size: int, processes: int) -> list[list[Task]]:
    """Batches of equal sizes as far as the files' headers tell, in the order of their first members.

    They are smaller than ``batch_size`` where some of the processes would have nothing to do otherwise.
    """
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, task in enumerate(tasks):
        groups[_size(task.source)].append(index)
    most = min(batch_size, max(1, -(-len(tasks) // processes)))
    batches = [group[k : k + most] for group in groups.values() for k in range(0, len(group), most)]
    return [[tasks[index] for index in batch] for batch in sorted(batches)]


def check_outputs(root: Path, tasks: Sequence[Task], output: Path) -> list[Task]:
    """The tasks without files that lie in the output folder, which are results of earlier runs.

    Raises:
        UserError: a result would overwrite an input.
    """
    root, output = _real(root), _real(output)
    if output != root and output.is_relative_to(root):
        tasks = [task for task in tasks if not _real(task.source).is_relative_to(output)]
    sources = {_real(task.source) for task in tasks}
    for task in tasks:
        if (result := _real(output / task.output)) in sources:
            raise UserError(f"the result of {task.name} would overwrite {result}: give another folder as --output")
    return list(tasks)


def _size(path: Path) -> tuple[int, int]:
    try:
        return image_size(path)
    except UserError:  # decoding the file will run into it and report it
        return (0, 0)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve raises at loops of links


def _folded(name: Path) -> str:
    return name.as_posix().casefold()
