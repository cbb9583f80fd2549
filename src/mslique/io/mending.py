"""Damage that all viewers read over, and so do we, with a note; options of the whole process are left alone."""

import io
import re
import struct
import zlib
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFile, JpegImagePlugin, PngImagePlugin

from .errors import UserError

END_OF_JPEG = b"\xff\xd9"
MOST_MISSING = 0.02
"""A JPEG without its end is refused if a larger share of its pixels is missing [ours]."""
SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_TEXT, MOST_PACKED_TEXT = PngImagePlugin.MAX_TEXT_MEMORY, PngImagePlugin.MAX_TEXT_CHUNK


def load(file: ImageFile.ImageFile, notes: list[str]) -> None:
    """Decode the pixels. A JPEG may lack its end; ``notes`` then say what is missing.

    Raises:
        UserError: more than MOST_MISSING of the pixels of a JPEG is missing, or more than its finest detail.
        Exception: of any kind that Pillow's decoders raise.
    """
    if not isinstance(file, JpegImagePlugin.JpegImageFile):
        file.load()
        return
    stream = cast(BinaryIO, file.fp)
    ended: list[bool] = []

    def read(count: int) -> bytes:
        data = stream.read(count)
        if data or ended:
            return data
        ended.append(True)
        return END_OF_JPEG

    vars(file)["load_read"] = read
    file.load()
    if ended:
        stream.seek(0)
        notes.append(_what_is_missing(file, stream.read()))


def _what_is_missing(file: ImageFile.ImageFile, data: bytes) -> str:
    if file.info.get("progressive"):
        if not _has_all_scans(data, len(file.getbands())):
            raise UserError("it is cut off, and its detail is missing: copy it again from where it is whole")
        return "its end is missing, perhaps with some of its finest detail"
    missing = _plain(np.asarray(file))
    if missing > MOST_MISSING:
        raise UserError(f"it is cut off, {missing:.0%} of its pixels are missing: copy it again from where it is whole")
    return f"its end is missing, {f'with {missing:.1%} of its pixels' if missing >= 0.001 else 'but hardly a pixel'}"


def _plain(pixels: NDArray[np.uint8]) -> float:
    """The share of blocks that are of a middle grey, which libjpeg puts where there are no data."""
    height, width = pixels.shape[:2]
    grey = np.all(np.abs(pixels.reshape(height, width, -1) - 127.5) < 1, axis=-1)
    high, wide = min(8, height), min(8, width)
    grey = grey[: height // high * high, : width // wide * wide]
    return float(grey.reshape(height // high, high, width // wide, wide).all((1, 3)).mean())


def _has_all_scans(data: bytes, components: int) -> bool:
    """Whether the last scan of every component has begun (ITU-T T.81, G.1.1.1): the one to the last bit of band 63."""
    last: set[int] = set()
    data = data[data.rfind(b"\xff\xc2") :]  # after the thumbnail in the EXIF, which is a JPEG too
    for scan in re.finditer(rb"\xff\xda..(.)", data, re.DOTALL):
        count = scan[1][0]
        header = data[scan.end() : scan.end() + 2 * count + 3]
        if len(header) == 2 * count + 3 and header[-2] == 63 and header[-1] & 15 == 0:
            last.update(header[: 2 * count : 2])
    return len(last) == components


def without_bad_chunks(stream: BinaryIO, notes: list[str], only_header: bool) -> BinaryIO:
    """The PNG without damaged or very large metadata, for which Pillow would refuse the picture too.

    Args:
        only_header: look no further than the pixels, since that takes reading the whole file.
        notes: get the kinds of the chunks that are left out.
    """
    cuts, kinds, text, place, end = [0], set(), 0, len(SIGNATURE), stream.seek(0, io.SEEK_END)
    while place + 12 <= end:
        stream.seek(place)
        length, kind = struct.unpack(">I4s", stream.read(8))
        after = place + length + 12
        if kind == b"IDAT" and only_header:
            break
        if kind[:1].islower() and kind != b"fdAT" and after <= end:  # a letter of lower case: not needed for the pixels
            content, check = stream.read(length), stream.read(4)
            size, most = _text(kind, content)
            if zlib.crc32(kind + content) != int.from_bytes(check) or size >= most or text + size > MOST_TEXT:
                cuts += [place, after]
                kinds.add(kind.decode("latin-1"))
            else:
                text += size
        place = after
    if not kinds:
        return stream
    notes.append(f"damaged or very large metadata were ignored ({', '.join(sorted(kinds))})")
    stream.seek(0)
    data = stream.read()
    return io.BytesIO(b"".join(data[start:stop] for start, stop in zip(cuts[::2], [*cuts[1::2], end], strict=True)))


def _text(kind: bytes, content: bytes) -> tuple[int, int]:
    """The length of what a chunk of a PNG holds, once it is inflated, and the length that Pillow refuses."""
    _, _, packed = content.partition(b"\0")
    if kind == b"iTXt" and packed[:1] == b"\1":
        packed = packed[1:].split(b"\0", 3)[-1]  # after the method (0), the language and the translated name
    elif kind in (b"zTXt", b"iCCP"):
        if packed[:1] != b"\0":  # no known method, for which Pillow refuses the picture as well
            return MOST_PACKED_TEXT, MOST_PACKED_TEXT
        packed = packed[1:]
    else:
        return len(content), MOST_TEXT
    try:
        return len(zlib.decompressobj().decompress(packed, MOST_PACKED_TEXT)), MOST_PACKED_TEXT
    except zlib.error:
        return 0, MOST_PACKED_TEXT  # Pillow takes it for an empty text
