"""Files that nobody would send on purpose: what looks like a photograph and is none, and odd ones that are."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDE = 96
PNG = b"\x89PNG\r\n\x1a\n"
Rng = np.random.Generator


def encoded(kind: str, seed: int = 0, side: int = SIDE, **options: Any) -> bytes:
    """A picture of noise, which fills the bytes of any format."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


SOURCES = {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".jp2": "JPEG2000", ".bmp": "BMP"}
ENCODED = {suffix: encoded(kind) for suffix, kind in SOURCES.items()}


def png(width: int, height: int, pixels: bytes, further: bytes = b"", depth: int = 8, colour: int = 2) -> bytes:
    """A PNG of RGB (``colour`` 0: of grey) that claims any size; ``further`` chunks come before the pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return PNG + header + further + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _truncated(rng: Rng, k: int) -> tuple[str, bytes]:
    """Cut off in kilobyte k, or 1000 bytes before the end; every format has its turn."""
    suffix, data = list(ENCODED.items())[k % len(ENCODED)]
    return suffix, data[: min(1024 * (k // len(ENCODED)) + int(rng.integers(1, 1024)), len(data) - 1000)]


def _random(rng: Rng, k: int) -> tuple[str, bytes]:
    return list(SOURCES)[k % len(SOURCES)], rng.bytes(int(rng.integers(1, 5000)))


def _random_after_a_true_beginning(rng: Rng, k: int) -> tuple[str, bytes]:
    suffix, data = list(ENCODED.items())[k % 4]
    return suffix, data[: int(rng.integers(2, 40))] + rng.bytes(2000)


def _of_another_kind(rng: Rng, k: int) -> tuple[str, bytes]:
    heads = [b"%PDF-1.7\n", b"PK\x03\x04", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\x7fELF", b"GIF89a", b"RIFF"]
    heads += [b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/tmp/x) (w) file\n", b"\x80\x04cos\nsystem\n."]
    return list(SOURCES)[k % len(SOURCES)], heads[k % len(heads)] + rng.bytes(100)


def _of_a_size_that_no_file_holds(rng: Rng, k: int) -> tuple[str, bytes]:
    jpeg = ENCODED[".jpg"]
    frame = jpeg.index(b"\xff\xc0") + 5
    huge = jpeg[:frame] + struct.pack(">HH", 65535 - k % 999, 65535) + jpeg[frame + 4 :]
    bomb = jpeg[:frame] + struct.pack(">HH", 17000, 17000 - k % 999) + jpeg[frame + 4 :]
    pixels = bytes(int(rng.integers(100)))
    empty = [png(0, 9, pixels), png(9, 0, pixels)]
    large = [png(2**31 - 1, 2**31 - 1, pixels), png(30_000, 9_000, pixels), png(10_000, 10_000, bytes(100_000))]
    choices = [*empty, *large, huge, bomb]
    chosen = choices[k % len(choices)]
    return (".jpg" if chosen.startswith(b"\xff") else ".png"), chosen


BOMB = zlib.compress(bytes(100_000_000), 9)


def png_that_explodes(kind: bytes) -> bytes:
    """A small PNG with 100 MB of metadata: b"iCCP", b"zTXt" or b"iTXt"."""
    head = b"x\0\1\0\0\0" if kind == b"iTXt" else b"x\0\0"
    return png(4, 4, bytes(52), chunk(kind, head + BOMB))


def _not_finite(rng: Rng, k: int) -> tuple[str, bytes]:
    values = rng.random((8, 8), dtype=np.float32)
    values[k % 8, 3] = [np.nan, np.inf, -np.inf][k % 3]
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "TIFF")
    return ".tif", buffer.getvalue()


def _empty(rng: Rng, k: int) -> tuple[str, bytes]:
    return list(SOURCES)[k % len(SOURCES)], b""


KINDS: list[Callable[[Rng, int], tuple[str, bytes]]] = [
    _truncated, _random, _truncated, _random_after_a_true_beginning, _truncated, _of_another_kind, _truncated,
    _of_a_size_that_no_file_holds, _not_finite, _truncated, _empty,
]  # fmt: skip
LINKS = {"loop.png": "loop.png", "round.png": "about.png", "about.png": "round.png", "gone.jpg": "nowhere.jpg"}
LINKS |= {"endless.png": "/dev/zero"}


def write_bad(folder: Path, count: int, seed: int = 0) -> list[str]:
    """Fill the folder with ``count`` files that cannot be decoded; their names, sorted. Needs a POSIX system."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    names = [*LINKS, "pipe.png"]
    for name, target in LINKS.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "pipe.png")
    for k in range(count - len(names)):
        kind = KINDS[k % len(KINDS)]
        suffix, data = kind(rng, k // len(KINDS))
        names.append(f"{k:04d}{kind.__name__}{suffix}")
        (folder / names[-1]).write_bytes(data)
    return sorted(names)


def write_odd(folder: Path) -> dict[str, str]:
    """Fill the folder with rare photographs that can be decoded; name -> a part of the note about it, or nothing."""
    small = Image.merge("RGB", [Image.effect_noise((8, 6), 60) for _ in range(3)])
    frames = [small, small.rotate(180)]
    pictures: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "cmyk.jpg": (small.convert("CMYK"), {}),
        "palette.png": (small.convert("P"), {"transparency": 0}),
        "one bit.png": (small.convert("1"), {}),
        "16 bits.png": (Image.fromarray(np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000), {}),
        "32 bits.tif": (Image.fromarray(np.arange(48, dtype=np.int32).reshape(6, 8) * 1000), {}),
        "float.tif": (Image.fromarray(np.linspace(0, 1, 48, dtype=np.float32).reshape(6, 8)), {}),
        "float above white.tif": (Image.fromarray(np.linspace(0, 2, 48, dtype=np.float32).reshape(6, 8)), {}),
        "grey and alpha.png": (small.convert("LA"), {}),
        "animated.webp": (small, {"save_all": True, "append_images": frames[1:]}),
        "animated gif.png": (small, {"save_all": True, "append_images": frames[1:], "format": "GIF"}),
        "animated.png": (small, {"save_all": True, "append_images": frames[1:]}),
        "a jpeg.png": (small, {"format": "JPEG"}),
        "broken profile.jpg": (small, {"icc_profile": b"nonsense"}),
        "broken exif.png": (small, {"exif": b"nonsense"}),
        "späße 写真\n\u202e.png": (small, {}),
        os.fsdecode(b"not-utf8-\xff.png"): (small, {}),
        "stem.jpg": (small, {}),
        "stem.bmp": (small, {}),
        "1x1.png": (small.resize((1, 1)), {}),
        "1x2000.png": (small.resize((1, 2000)), {}),
        "deep/stem.png/under.png": (small, {}),
    }
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        pictures[f"orientation {orientation}.jpg"] = (small, {"exif": exif})
    for name, (picture, options) in pictures.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture.save(folder / name, **options)
    others = {f"{kind.decode()} explodes.png": png_that_explodes(kind) for kind in (b"iCCP", b"zTXt", b"iTXt")}
    others["without its end.jpg"] = ENCODED[".jpg"][:-2]
    for name, data in others.items():
        (folder / name).write_bytes(data)
    notes = dict.fromkeys(pictures, "")
    notes |= dict.fromkeys(others, "very large metadata were ignored") | {"without its end.jpg": "its end is missing"}
    notes |= dict.fromkeys(["animated.webp", "animated.png", "animated gif.png"], "only the first of 2 frames")
    notes |= {"broken profile.jpg": "ICC profile is damaged", "broken exif.png": "EXIF is damaged"}
    return notes | {"float above white.tif": "where white is 1, were clipped"}
