"""Finding the photographs of a folder."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

from .errors import UserError

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".jp2"})


def list_images(folder: str | Path, recursive: bool = True) -> list[Path]:
    """The files below ``folder`` (or, if not ``recursive``, in it) with an image extension, sorted by path.

    Links to files are listed, also broken ones, so that an error names them later. Links to folders are not followed.
    A folder below that cannot be listed is left out, with a warning.

    Raises:
        UserError: the folder is missing, is not a folder, cannot be listed, or holds no image.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: give the folder that holds the images")
    found = sorted(path for path in _files(root, recursive) if path.suffix.lower() in EXTENSIONS)
    if not found:
        hint = "" if recursive else ", or search the folders below it too (recursive)"
        raise UserError(f"{root} holds no image ({', '.join(sorted(EXTENSIONS))}): check the folder{hint}")
    return found


def _files(root: Path, recursive: bool) -> Iterator[Path]:
    def unreadable(reason: OSError) -> None:
        if Path(reason.filename) == root:
            raise UserError(f"{root} cannot be listed ({reason.strerror}): allow it, or give another folder")
        warnings.warn(f"{reason.filename} is left out: it cannot be listed ({reason.strerror})", stacklevel=4)

    for folder, _, names in os.walk(root, onerror=unreadable):
        yield from (Path(folder, name) for name in names)
        if not recursive:
            return
