"""Folders of several files, which are complete or not there at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors import SafetensorError

from .errors import UserError


def make_folder(folder: str | Path) -> None:
    """Make it, and the folders above it, where they are missing.

    Raises:
        UserError: it is a file, or the file system refuses.
    """
    if Path(folder).exists() and not Path(folder).is_dir():
        raise UserError(f"{folder} is a file: give a folder")
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as reason:
        raise UserError(f"{folder} cannot be made ({reason.strerror}): allow it, or give another folder") from reason


@contextmanager
def filled(folder: str | Path) -> Iterator[Path]:
    """Give a hidden folder to write to; when the block ends, its files are moved to ``folder``, which is made.

    After an error nothing has changed in ``folder``. Files have the usual permissions: safetensors keeps its own from
    all other users.

    Raises:
        UserError: the file system refuses.
    """
    make_folder(folder)
    try:
        with TemporaryDirectory(prefix=".", dir=folder) as hidden:
            yield Path(hidden)
            usual = Path(hidden) / ".usual"
            usual.touch()
            permissions = usual.stat().st_mode & 0o777
            usual.unlink()
            for file in sorted(path for path in Path(hidden).rglob("*") if path.is_file()):
                target = Path(folder) / file.relative_to(hidden)
                target.parent.mkdir(parents=True, exist_ok=True)
                file.chmod(permissions)
                os.replace(file, target)
    except (OSError, SafetensorError) as reason:
        raise UserError(
            f"{folder} cannot be written ({reason}): free space, allow it, or give another folder"
        ) from reason
