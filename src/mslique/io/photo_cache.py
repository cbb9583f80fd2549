"""Decoding and shrinking photographs, and a folder that keeps the results."""

import hashlib
import logging
import os
import uuid
from pathlib import Path

import numpy as np
import PIL
import torch
import torch.nn.functional as F
from torch import Tensor

from .decoding import read_image
from .errors import UserError

logger = logging.getLogger(__name__)
VERSION = 2
"""Raise it when :func:`decoded` gives other pixels. The versions of Pillow and torch are part of the key anyway."""


def decoded(path: Path, smaller_side: int | None) -> Tensor:
    """Decode a photograph (see :func:`mslique.read_image`), shrink it, and round it to 8 bits.

    Args:
        smaller_side: see :func:`shrunk`; None: never shrink.

    Returns:
        (3, H, W) uint8, contiguous.

    Raises:
        UserError: the file cannot be decoded.
    """
    image = read_image(path)
    image = shrunk(image, smaller_side) if smaller_side else image
    return (image * 255).round().byte().contiguous()


def shrunk(image: Tensor, smaller_side: int) -> Tensor:
    """(3, H, W) to the same with a smaller side of at most ``smaller_side`` pixels (bicubic, antialiased)."""
    height, width = image.shape[-2:]
    if min(height, width) <= smaller_side:
        return image
    factor = smaller_side / min(height, width)
    size = (round(height * factor), round(width * factor))
    return F.interpolate(image[None], size, mode="bicubic", antialias=True)[0].clamp(0, 1)


class PhotoCache:
    """:func:`decoded` with a folder that keeps its results; any number of processes and trainings can share the folder.

    A photograph is decoded again when its path, size, time of change, ``smaller_side``, Pillow or torch has changed, or
    when its entry is damaged. Entries are uncompressed .npz files: they have a checksum, and reading one is many times
    faster than decoding the photograph or a PNG.

    If an entry cannot be written (the disk is full, the folder is read-only), there is one warning, and no more entries
    are written: a training of days should not end because of a cache.

    Args:
        folder: made if it is missing.
        smaller_side: see :func:`decoded`.

    Raises:
        UserError: the folder cannot be made.
    """

    def __init__(self, folder: Path, smaller_side: int | None) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as reason:
            raise UserError(f"the cache {folder} cannot be made ({reason.strerror}): give another folder") from reason
        self.folder = folder
        self.smaller_side = smaller_side
        self._unwritable = torch.zeros(1, dtype=torch.bool).share_memory_()  # with the workers of a data loader

    def __call__(self, path: Path) -> Tensor:
        """(3, H, W) uint8, equal to ``decoded(path, smaller_side)``, and the same errors."""
        if not path.is_file():
            return decoded(path, self.smaller_side)  # raises the error
        entry = self.folder / f"{self._key(path)}.npz"
        image = _read(entry)
        if image is None:
            image = decoded(path, self.smaller_side)
            self._write(entry, image)
        return image

    def _key(self, path: Path) -> str:
        file = path.stat()
        versions = (VERSION, PIL.__version__, torch.__version__)
        key = (str(path.resolve()), file.st_size, file.st_mtime_ns, self.smaller_side, *versions)
        return hashlib.sha256(repr(key).encode()).hexdigest()

    def _write(self, entry: Path, image: Tensor) -> None:
        """Write another file first and rename it, since other processes may write or read the same entry."""
        if self._unwritable:
            return
        part = entry.with_name(f".{uuid.uuid4().hex}.part")
        try:
            try:
                with part.open("wb") as file:
                    np.savez(file, image=image.numpy())
                os.replace(part, entry)
            finally:
                part.unlink(missing_ok=True)
        except OSError as reason:
            self._unwritable.fill_(True)
            logger.warning("nothing more is kept in the cache %s, which cannot be written: %s", self.folder, reason)


def _read(entry: Path) -> Tensor | None:
    """None if there is no entry, or, with a warning, if it is damaged."""
    try:
        with np.load(entry) as file:
            return torch.from_numpy(file["image"])
    except FileNotFoundError:
        return None
    except Exception as reason:  # damaged zip files raise many kinds, which all mean the same here
        logger.warning("%s in the cache is damaged (%s) and is made anew", entry, reason)
        return None
