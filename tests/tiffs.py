"""TIFF files by hand, of any photometric interpretation, depth, sample format, layout and byte order."""

import struct
import zlib
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, LAB = 0, 1, 2, 3, 5, 6, 8
UNSIGNED, SIGNED, FLOAT = 1, 2, 3
CODES = {1: "B", 3: "H", 4: "I", 7: "B"}


def tiff(
    samples: np.ndarray,
    photometric: int,
    bits: int,
    kind: int = UNSIGNED,
    order: str = "<",
    planar: bool = False,
    extra: Sequence[int] = (),
    packed: bool = False,
    further: dict[int, tuple[int, Sequence[int] | bytes]] | None = None,
) -> bytes:
    """A TIFF of the stored values (H, W, C); a strip, or with ``planar`` one for each channel.

    Args:
        kind: sample format.
        order: "<" little endian, ">" big endian.
        packed: whether it is compressed (deflate).
        extra: what the last channels are: 0 unspecified, 1 premultiplied alpha, 2 alpha.
        further: tags: type and values.
    """
    height, width, channels = samples.shape
    planes = np.moveaxis(samples, 2, 0)[..., None] if planar else samples[None]
    strips = [b"".join(as_bytes(row.ravel(), bits, kind, order) for row in plane) for plane in planes]
    strips = [zlib.compress(strip) for strip in strips] if packed else strips
    tags: dict[int, tuple[int, Sequence[int] | bytes]] = {
        256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * channels), 259: (3, [8 if packed else 1]),
        262: (3, [photometric]),
        273: (4, list(accumulate([8, *map(len, strips[:-1])]))), 277: (3, [channels]), 278: (4, [height]),
        279: (4, list(map(len, strips))), 284: (3, [2 if planar else 1]), 339: (3, [kind] * channels),
    }  # fmt: skip
    tags |= {338: (3, list(extra))} if extra else {}
    tags |= further or {}
    pixels = b"".join(strips)
    pixels += bytes(len(pixels) % 2)
    place = 8 + len(pixels)
    room, entries, values = place + 2 + 12 * len(tags) + 4, b"", b""
    for tag, (code, content) in sorted(tags.items()):
        data = bytes(content) if code in (1, 7) else struct.pack(f"{order}{len(content)}{CODES[code]}", *content)
        entries += struct.pack(order + "HHI", tag, code, len(content))
        if len(data) <= 4:
            entries += data.ljust(4, b"\0")
        else:
            entries += struct.pack(order + "I", room + len(values))
            values += data + bytes(len(data) % 2)
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(order + "HI", 42, place)
    return head + pixels + struct.pack(order + "H", len(tags)) + entries + bytes(4) + values


def as_bytes(row: np.ndarray, bits: int, kind: int, order: str) -> bytes:
    """A row of values as bytes; below 8 bits and with 12 bits without gaps, the highest bit first."""
    if kind == FLOAT:
        return row.astype(f"{order}f{bits // 8}").tobytes()
    if bits in (8, 16, 32):
        return row.astype(f"{order}{'i' if kind == SIGNED else 'u'}{bits // 8}").tobytes()
    places = np.arange(bits - 1, -1, -1)
    return np.packbits((row[:, None].astype(np.int64) >> places & 1).astype(np.uint8)).tobytes()


def grey_profile(gamma: float) -> bytes:
    """An ICC profile of grey: light is the stored value to the power ``gamma``."""
    white = struct.pack(">iii", 63190, 65536, 54061)  # D50
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"grey\0" + bytes(79),
        b"wtpt": b"XYZ " + bytes(4) + white,
        b"kTRC": b"curv" + bytes(4) + struct.pack(">IHH", 1, round(gamma * 256), 0),
    }
    places = list(accumulate([128 + 4 + 12 * len(tags), *map(len, tags.values())]))
    entries = zip(tags.items(), places[:-1], strict=True)
    table = b"".join(struct.pack(">4sII", name, place, len(data)) for (name, data), place in entries)
    head = struct.pack(">I4xI4s4s4s12x4s28x", places[-1], 0x02400000, b"mntr", b"GRAY", b"XYZ ", b"acsp") + white
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + b"".join(tags.values())
