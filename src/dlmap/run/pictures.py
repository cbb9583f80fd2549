"""Writing enhanced images so that a half-written file never appears."""

import csv
import hashlib
import io
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from mslique import Decoded

LUMA = (0.299, 0.587, 0.114)
"""Weights of luma for gamma-coded R, G, B (ITU-R BT.601), as Pillow and JPEG have them."""
LONGEST_XMP_IN_JPEG = 65502
OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a hidden file beside ``path``, then rename it; on an error nothing is left behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # a digest, since the name itself may be as long as names may be
    part = path.with_name(f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:32]}.part")
    try:
        write(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write ``data``, atomically."""

    def write(part: Path) -> None:
        part.write_bytes(data)

    write_atomically(path, write)


def to_grey(images: Tensor) -> Tensor:
    """Images (..., 3, H, W) -> the same with their luma in all three channels."""
    weights = images.new_tensor(LUMA)[:, None, None]
    return (images * weights).sum(dim=-3, keepdim=True).expand_as(images)


def to_pillow(image: Tensor, alpha: Tensor | None = None, grey: bool = False) -> Image.Image:
    """Colours (3, H, W) and alpha (H, W), both in [0, 1] -> 8 bits, rounded to the nearest level.

    Returns:
        An image of mode RGB or RGBA; with ``grey``, of which all channels are equal, L or LA.
    """
    picture = Image.fromarray(_levels(image[0] if grey else image.permute(1, 2, 0)))
    if alpha is not None:
        picture.putalpha(Image.fromarray(_levels(alpha)))
    return picture


def _levels(values: Tensor) -> Any:
    return values.detach().clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()


def save_png(image: Tensor, path: Path) -> None:
    """Write (3, H, W) in [0, 1] as an 8-bit PNG, atomically."""
    save_picture(to_pillow(image), path)


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table, atomically; what is None stays empty."""

    def write(part: Path) -> None:
        # names of files that are not valid UTF-8 come out as the bytes that they are
        with part.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
            table = csv.writer(file)
            table.writerow(columns)
            table.writerows(rows)

    write_atomically(path, write)


def png_bytes(image: Tensor) -> bytes:
    """(3, H, W) in [0, 1] as the bytes of an 8-bit PNG."""
    file = io.BytesIO()
    to_pillow(image).save(file, format="PNG")
    return file.getvalue()


def save_picture(picture: Image.Image, path: Path, metadata: Decoded | None = None) -> None:
    """Write 8-bit ``picture`` in the format of the suffix of ``path``, atomically.

    JPEG with quality 95 and full colour resolution (transparency laid over white, which JPEG lacks); all others without
    loss. EXIF and XMP of ``metadata`` go into PNG, JPEG, WebP and TIFF.
    """
    kind = Image.registered_extensions()[path.suffix.lower()]
    options = OPTIONS.get(kind, {}) | ({} if metadata is None else _metadata(kind, metadata))
    if kind == "JPEG" and picture.mode in ("LA", "RGBA"):
        opaque = Image.new("RGBA", picture.size, "white")
        opaque.alpha_composite(picture.convert("RGBA"))
        picture = opaque.convert(picture.mode.removesuffix("A"))
    write_atomically(path, lambda part: picture.save(part, format=kind, **options))


def _metadata(kind: str, metadata: Decoded) -> dict[str, Any]:
    options: dict[str, Any] = {}
    exif, xmp = Image.Exif(), metadata.xmp
    if metadata.exif:
        exif.load(metadata.exif)
    if kind == "PNG" and xmp:
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
    elif kind == "TIFF" and xmp:
        exif[0x02BC] = xmp
    elif (kind == "JPEG" and 0 < len(xmp) <= LONGEST_XMP_IN_JPEG) or (kind == "WEBP" and xmp):
        options["xmp"] = xmp
    if kind in ("PNG", "JPEG", "WEBP", "TIFF") and len(exif):
        options["exif"] = exif.tobytes() if kind != "TIFF" else exif
        if kind == "TIFF":
            options["compression"] = "raw"  # Pillow cannot write EXIF through libtiff, which compresses
    return options
