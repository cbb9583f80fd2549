"""Finding the photographs of a folder."""

import os
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from .errors import UserError
from .opening import FORMATS

NO_PHOTOGRAPHS = frozenset({"__MACOSX", "@eaDir", "Thumbs.db", "desktop.ini"})
"""Files and folders that operating systems and storage devices put beside photographs."""
TEXTS = frozenset({".csv", ".html", ".json", ".log", ".md", ".pdf", ".txt", ".xlsx", ".xmp", ".yaml", ".yml"})
"""Suffixes of what people and programs, this one too, write about photographs."""
MOST_KINDS = 8


def extensions() -> frozenset[str]:
    """The suffixes of the photographs that this Pillow reads.

    GIF is not among them: its pictures are mostly animations, and have 256 colours. A file with GIF content is read.
    """
    read = {*FORMATS, "MPO"} - {"GIF"}
    return frozenset(suffix for suffix, kind in Image.registered_extensions().items() if kind in read)


def list_images(folder: str | Path, recursive: bool = True) -> list[Path]:
    """The files below ``folder`` (or, if not ``recursive``, in it) with an image extension, sorted by path.

    Links to files are listed, also broken ones, so that an error names them later. Links to folders are not followed.
    A folder below that cannot be listed is left out, with a warning. Another warning counts the files of other kinds;
    texts, tables, hidden files and what systems put beside photographs (``._a.jpg``, ``Thumbs.db``, ``__MACOSX``) are
    not counted.

    Raises:
        UserError: the folder is missing, is not a folder, cannot be listed, or holds no image.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: give the folder that holds the images")
    known, found, others = extensions(), [], Counter[str]()
    for path in _files(root, recursive):
        if path.suffix.lower() in known:
            found.append(path)
        elif not any(part.startswith(".") for part in path.relative_to(root).parts):
            others[path.suffix.lower() or "without suffix"] += 1
    if not found:
        hint = "" if recursive else ", or search the folders below it too (recursive)"
        there = f", but {_kinds(others)}" if others else ""
        raise UserError(f"{root} holds no image ({', '.join(sorted(known))}){there}: check the folder{hint}")
    for suffix in TEXTS:
        del others[suffix]
    if others:
        count = f"{others.total()} file{'s' * (others.total() > 1)}"
        warnings.warn(
            f"{count} in {root} left out, of kinds that are not read: {_kinds(others)};"
            " save photographs among them as PNG or JPEG",
            stacklevel=2,
        )
    return sorted(found)


def _kinds(others: Counter[str]) -> str:
    """Such as ".heic (12), .txt (1)", the most frequent first."""
    told = [f"{kind} ({count})" for kind, count in sorted(others.items(), key=lambda item: (-item[1], item[0]))]
    return ", ".join(told[:MOST_KINDS]) + (" and others" if len(told) > MOST_KINDS else "")


def _files(root: Path, recursive: bool) -> Iterator[Path]:
    def unreadable(reason: OSError) -> None:
        if Path(reason.filename) == root:
            raise UserError(f"{root} cannot be listed ({reason.strerror}): allow it, or give another folder")
        warnings.warn(f"{reason.filename} is left out: it cannot be listed ({reason.strerror})", stacklevel=4)

    for folder, folders, names in os.walk(root, onerror=unreadable):
        folders[:] = [name for name in folders if name not in NO_PHOTOGRAPHS]
        yield from (Path(folder, name) for name in names if name not in NO_PHOTOGRAPHS and not name.startswith("._"))
        if not recursive:
            return
