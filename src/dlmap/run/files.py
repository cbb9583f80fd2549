"""Files that are complete or not there at all, also after a power cut: bytes, tables and pages; and lines added to one.

When a function of this module returns, what it wrote is on disk, as far as the operating system can tell.
"""

import csv
import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from mslique import UserError

NO_SYNC = (errno.EACCES, errno.EINVAL, errno.ENOTSUP)
"""Where a folder may not be read, or its file system cannot write names at once."""
GO_ON = "free the space or allow it, or give another --output; then run the same command again to go on"


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` fill a hidden file beside ``path``; when it is on disk, rename it to ``path``.

    Folders that are missing are made. After an error, the old file is still there and the hidden file is gone.

    Raises:
        OSError: the file system refuses.
    """
    make_folder(path.parent)
    # the hidden name is a digest, because the name itself may already have the greatest length
    part = path.with_name(f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]}.part")
    try:
        write(part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    _sync_names(path.parent)


def append(path: Path, text: str) -> None:
    """Add ``text`` to a file; it and its folders are made if they are missing.

    Raises:
        OSError: the file system refuses. A part of the text may have been added then.
    """
    new = not path.exists()
    if new:
        make_folder(path.parent)
    with path.open("a", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if new:
        _sync_names(path.parent)


def make_folder(folder: Path) -> None:
    """Make it and those above it, where they are missing.

    Raises:
        OSError: the file system refuses.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    _sync_names(*(one.parent for one in missing))


def _sync_names(*folders: Path) -> None:
    """Have the names of new files on disk, on systems where folders can be opened (not on Windows)."""
    for folder in folders if os.name == "posix" else ():
        try:
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as reason:
            if reason.errno not in NO_SYNC:
                raise


@contextmanager
def refusals(path: Path, way_out: str = GO_ON) -> Iterator[None]:
    """Raise a UserError about ``path``, or the file that it concerns, where the file system refuses."""
    try:
        yield
    except OSError as reason:
        raise UserError(f"{reason.filename2 or path} cannot be written ({reason.strerror}): {way_out}") from reason


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data``, atomically."""
    write_atomically(path, lambda part: part.write_bytes(data))


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table, atomically; a value None gives an empty cell."""

    def write(part: Path) -> None:
        # a file name that is not valid UTF-8 is written as its own bytes
        with part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            table = csv.writer(file)
            table.writerow(columns)
            table.writerows(rows)

    write_atomically(path, write)


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a table by their columns; all values are text."""
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def six_digits(value: object) -> object:
    """A float as text with six significant digits; any other value unchanged."""
    return f"{value:.6g}" if isinstance(value, float) else value


def write_page(path: Path, template: Traversable, place: str, data: dict[str, Any]) -> None:
    """Write an HTML page, atomically: the template with ``data`` as JSON at ``place``, inside a script element.

    Iterators among the values of ``data`` become lists. They are written one item at a time, so that the page is never
    in memory as a whole.
    """
    head, tail = template.read_text(encoding="utf-8").split(place)

    def write(part: Path) -> None:
        with part.open("w", encoding="utf-8") as file:
            file.write(head)
            # only "<" could end the script element; its escape is the same JSON
            file.writelines(piece.replace("<", "\\u003c") for piece in _json(data))
            file.write(tail)

    write_atomically(path, write)


def _json(data: dict[str, Any]) -> Iterator[str]:
    """The JSON of ``data`` in pieces."""
    for k, (key, value) in enumerate(data.items()):
        yield f"{',' if k else '{'}{json.dumps(key)}:"
        if isinstance(value, Iterator):
            yield "["
            for n, item in enumerate(value):
                yield f"{',' if n else ''}{json.dumps(item, allow_nan=False)}"
            yield "]"
        else:
            yield json.dumps(value, allow_nan=False)
    yield "}"
