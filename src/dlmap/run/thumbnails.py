"""Small pictures of every input and result, kept in the output folder for report.html."""

import base64
import hashlib
import io
import os
from pathlib import Path

from PIL import Image

from .pictures import write_bytes

SIDE, MANY, SIDE_OF_MANY = 640, 150, 320
"""Longest side in pixels; reports with more photographs than MANY shrink them, so that they open fast."""


def shrink(picture: Image.Image, side: int = SIDE) -> Image.Image:
    """A copy with no side longer than ``side``, RGB or RGBA."""
    small = picture.convert("RGBA" if picture.mode in ("LA", "RGBA") else "RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return small


class Thumbnails:
    """The thumbnails below ``folder``: two WebP files an input, named by a digest of its name.

    They have no suffix: an output folder can be the input of another run, which would take them for photographs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "thumbnails"

    def save(self, name: str, before: Image.Image, after: Image.Image) -> None:
        """Write both, shrunk by the caller or not."""
        for kind, picture in (("before", before), ("after", after)):
            write_bytes(self._path(name, kind), webp(shrink(picture)))

    def as_uris(self, name: str, many: bool) -> list[str] | None:
        """Data URIs of before and after, or None if they are not there."""
        paths = [self._path(name, kind) for kind in ("before", "after")]
        if not all(path.is_file() for path in paths):
            return None
        return [_uri(path, many) for path in paths]

    def _path(self, name: str, kind: str) -> Path:
        digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
        return self.folder / digest[:2] / f"{digest}-{kind}"


def webp(picture: Image.Image, quality: int = 80) -> bytes:
    """The picture as a lossy WebP file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="WEBP", quality=quality, method=2)  # the default, 4, takes half as long again
    return buffer.getvalue()


def _uri(path: Path, many: bool) -> str:
    data = path.read_bytes()
    if many:
        with Image.open(path) as picture:
            if max(picture.size) > SIDE_OF_MANY:
                data = webp(shrink(picture, SIDE_OF_MANY), quality=75)
    return data_uri(data, "webp")


def data_uri(data: bytes, kind: str) -> str:
    """An image file of this kind ("webp", "png") as an address that holds the whole of it."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
