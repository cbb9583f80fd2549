"""Opening image files that may be hostile: which formats are read, and how many pixels they may have."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from .errors import UserError

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "JPEG2000", "GIF")
"""The content decides, not the name. Pillow has further decoders, one of which runs another program."""
MAX_PIXELS = 300_000_000
"""A larger file is refused, since a few bytes can claim any size. The largest cameras have fewer pixels."""
LARGE, MOST_PIXELS_A_BYTE = 4_000_000, 1000
"""A file of more than LARGE pixels may have this many pixels a byte; photographs have at most about 100 [ours]."""


def image_size(path: str | Path) -> tuple[int, int]:
    """(width, height) in pixels in the file's header, before the EXIF orientation.

    Raises:
        UserError: the file cannot be read, or is refused because of its header.
    """
    try:
        with opened_image(path) as file:
            return file.size
    except Exception as reason:  # Pillow's decoders raise many kinds, which all mean the same to the caller
        raise UserError(f"{path} cannot be decoded as an image ({type(reason).__name__}: {reason})") from reason


@contextmanager
def opened_image(path: str | Path) -> Iterator[Image.Image]:
    """The file as Pillow opens it; its pixels are not decoded yet.

    Raises:
        UserError: it is no regular file, or has more pixels than MAX_PIXELS or than its length allows.
        Exception: of any kind that Pillow's decoders raise.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device may never end
        raise UserError("it is not a regular file")
    with _any_size(), Image.open(path, formats=FORMATS) as file:
        pixels = file.width * file.height
        if pixels > MAX_PIXELS:
            raise UserError(f"{file.width} x {file.height} pixels are more than {MAX_PIXELS:,}")
        if pixels > LARGE and pixels > MOST_PIXELS_A_BYTE * status.st_size:
            raise UserError(f"{file.width} x {file.height} pixels in {status.st_size:,} bytes are no photograph")
        yield file


@contextmanager
def _any_size() -> Iterator[None]:
    """Switch off Pillow's own limit, which refuses photographs of 180 megapixels; MAX_PIXELS replaces it."""
    bound, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = bound
