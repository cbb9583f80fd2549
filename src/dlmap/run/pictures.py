"""Pictures of 8 bits: made from tensors, written to files, made small."""

import base64
import io
from pathlib import Path
from typing import Any

import torch
from PIL import Image, PngImagePlugin
from torch import Tensor

from mslique import Decoded, decode_image

from .files import write_atomically

LUMA = (0.299, 0.587, 0.114)
"""Weights of luma for gamma-coded R, G, B (ITU-R BT.601), the same as in Pillow and JPEG."""
LONGEST_XMP_IN_JPEG = 65502
OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
    "WEBP": {"lossless": True},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}


def to_grey(images: Tensor) -> Tensor:
    """Images (..., 3, H, W) -> the same shape, with the luma in all three channels."""
    weights = images.new_tensor(LUMA)[:, None, None]
    return (images * weights).sum(dim=-3, keepdim=True).expand_as(images)


def to_pillow(image: Tensor, alpha: Tensor | None = None, grey: bool = False) -> Image.Image:
    """Colours (3, H, W) and alpha (H, W), both in [0, 1] -> 8 bits, rounded to the nearest level.

    Args:
        grey: the three channels are equal, and one of them is enough.

    Returns:
        An image of mode RGB or RGBA; if ``grey``, L or LA.
    """
    picture = Image.fromarray(_levels(image[0] if grey else image.permute(1, 2, 0)))
    if alpha is not None:
        picture.putalpha(Image.fromarray(_levels(alpha)))
    return picture


def read_picture(path: Path) -> Image.Image:
    """A file in 8 bits, upright and in sRGB, with its alpha.

    Raises:
        UserError: it cannot be decoded.
    """
    decoded = decode_image(path)
    return to_pillow(decoded.image, decoded.alpha, decoded.grey)


def _levels(values: Tensor) -> Any:
    return values.detach().clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()


def save_picture(picture: Image.Image, path: Path, metadata: Decoded | None = None) -> None:
    """Write an 8-bit picture in the format of the suffix of ``path``, atomically.

    JPEG and AVIF have quality 95 and full colour resolution; JPEG shows transparent pixels over white. All other
    formats are without loss. EXIF and XMP of ``metadata`` are added to PNG, JPEG, AVIF, WebP and TIFF.

    Raises:
        OSError, ValueError: the file system or the format refuses.
    """
    kind = Image.registered_extensions()[path.suffix.lower()].replace("MPO", "JPEG")  # of several pictures, here one
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
    elif (kind == "JPEG" and 0 < len(xmp) <= LONGEST_XMP_IN_JPEG) or (kind in ("WEBP", "AVIF") and xmp):
        options["xmp"] = xmp
    if kind in ("PNG", "JPEG", "AVIF", "WEBP", "TIFF") and len(exif):
        options["exif"] = exif.tobytes() if kind != "TIFF" else exif
        if kind == "TIFF":
            options["compression"] = "raw"  # Pillow compresses TIFF through libtiff, and cannot write EXIF there
    return options


def save_png(image: Tensor, path: Path) -> None:
    """Write (3, H, W) in [0, 1] as an 8-bit PNG, atomically."""
    save_picture(to_pillow(image), path)


def png_bytes(image: Tensor) -> bytes:
    """(3, H, W) in [0, 1] as the bytes of an 8-bit PNG file."""
    file = io.BytesIO()
    to_pillow(image).save(file, format="PNG")
    return file.getvalue()


def shrink(picture: Image.Image, side: int) -> Image.Image:
    """A copy, RGB or RGBA, whose longer side has at most ``side`` pixels."""
    small = picture.convert("RGBA" if picture.mode in ("LA", "RGBA") else "RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return small


def webp(picture: Image.Image, quality: int = 80) -> bytes:
    """The picture as the bytes of a lossy WebP file."""
    file = io.BytesIO()
    picture.save(file, format="WEBP", quality=quality, method=2)  # method 4, the default, takes half as long again
    return file.getvalue()


def data_uri(data: bytes, kind: str) -> str:
    """The bytes of an image file of this kind ("webp", "png") as an address that contains the whole file."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
