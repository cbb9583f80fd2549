"""Opening image files that may be hostile: which formats are read, and how many pixels they may have."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageFile

from .errors import UserError
from .mending import without_bad_chunks

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "JPEG2000", "GIF", "HEIF", "AVIF")
"""The content decides, not the name. Pillow has further decoders, one of which runs another program. HEIF is read only
where the program has registered it (``pillow_heif.register_heif_opener()``), AVIF where Pillow was built with it."""
MAX_PIXELS = 300_000_000
"""A larger file is refused, since a few bytes can claim any size. The largest cameras have fewer pixels."""
LARGE, MOST_PIXELS_A_BYTE = 4_000_000, 1000
"""A file of more than LARGE pixels may have this many pixels a byte; photographs have at most about 100 [ours]."""

ANEW = "save it anew, as PNG or JPEG, with a program that opens it"


def image_size(path: str | Path) -> tuple[int, int]:
    """(width, height) in pixels in the file's header, before the EXIF orientation.

    Raises:
        UserError: the file cannot be read, or is refused because of its header.
    """
    with opened_image(path, only_header=True) as (file, _):
        return file.size


@contextmanager
def opened_image(path: str | Path, only_header: bool = False) -> Iterator[tuple[ImageFile.ImageFile, list[str]]]:
    """The file as Pillow opens it, its pixels not decoded yet, and notes of what was ignored.

    Any number of threads may open and decode files at once: no option of the whole process is changed.

    Args:
        only_header: the pixels will not be decoded.

    Raises:
        UserError: it is no regular file, is of none of FORMATS, has more pixels than MAX_PIXELS or than its length
            allows, or the block that uses it has raised an error. The message names the file.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device may never end
            raise UserError("it is not a regular file")
        notes: list[str] = []
        with open(path, "rb") as stream, _identified(stream, notes, only_header) as file:
            pixels = file.width * file.height
            if pixels > MAX_PIXELS:
                raise UserError(f"{file.width} x {file.height} pixels are more than {MAX_PIXELS:,}")
            if pixels > LARGE and pixels > MOST_PIXELS_A_BYTE * status.st_size:
                raise UserError(f"{file.width} x {file.height} pixels in {status.st_size:,} bytes are no photograph")
            yield file, notes
    except Exception as reason:  # Pillow's decoders raise many kinds, which all mean the same to the caller
        kind = "" if isinstance(reason, UserError) else f"{type(reason).__name__}: "
        way = f": {ANEW}, or leave it out"
        if isinstance(reason, OSError) and reason.errno is not None:  # Pillow's own errors have no number
            way = ": check the path and the permissions"
        elif not kind and ": " in str(reason):
            way = ""  # it has one of its own
        raise UserError(f"{path} cannot be decoded as an image ({kind}{reason}){way}") from reason


def _identified(stream: BinaryIO, notes: list[str], only_header: bool) -> ImageFile.ImageFile:
    """What Image.open does, without its limit of pixels, which is an option of the whole process, and without mmap."""
    Image.init()
    start = stream.read(16)
    for kind in filter(Image.OPEN.__contains__, FORMATS):
        factory, accept = Image.OPEN[kind]
        if accept is None or (accepted := accept(start)) is True:
            whole = without_bad_chunks(stream, notes, only_header) if kind == "PNG" else stream
            whole.seek(0)
            try:
                return factory(whole, "")
            except SyntaxError as reason:  # so Pillow says that a plugin does not read a file
                raise UserError(f"its kind of {kind} is not read, or it is damaged ({reason})") from reason
        if isinstance(accepted, str):
            raise UserError(accepted)  # a format that this Pillow was built without
    raise UserError(f"it is none of {', '.join(FORMATS)}" if start else "it is empty")
