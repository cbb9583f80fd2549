"""Reading photographs: any Pillow mode or bit depth to an upright sRGB tensor."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps
from torch import Tensor

from .errors import UserError

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".jp2"})
MAX_PIXELS = 300_000_000
"""Above this a file is refused: a few bytes can claim any size. The largest cameras and stitched photos are below."""
COLOUR_SPACE, SRGB = 0xA001, 1
DESCRIPTIVE = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x4746, 0x8298)
"""EXIF tags of the picture, not of its storage: description, make, model, software, date, artist, rating, copyright."""
CAPTURE, POSITION = 0x8769, 0x8825


@dataclass(frozen=True)
class Decoded:
    """A decoded photograph.

    ``image`` is (3, H, W) float32 in [0, 1], upright sRGB, its colours as stored where it is transparent; ``alpha``
    (H, W) in [0, 1], or None if opaque everywhere by its format; ``grey``: all its channels are equal; ``note``: what
    was ignored, in a sentence; ``exif`` (without orientation) and ``xmp`` in the form that Pillow saves.
    """

    image: Tensor
    alpha: Tensor | None = None
    grey: bool = False
    note: str = ""
    exif: bytes = b""
    xmp: bytes = b""


def list_images(folder: str | Path, recursive: bool = True) -> list[Path]:
    """Every file below ``folder`` (or, if not ``recursive``, in it) with an image extension, sorted by path.

    Raises:
        UserError: the folder is missing, is not a folder, or holds no image.
    """
    root = Path(folder)
    if not root.is_dir():
        raise UserError(f"{root} is not a folder: give the folder that holds the images")
    found = sorted(p for p in root.glob("**/*" if recursive else "*") if p.suffix.lower() in EXTENSIONS and p.is_file())
    if not found:
        hint = "" if recursive else ", or search the folders below it too (recursive)"
        raise UserError(f"{root} holds no image ({', '.join(sorted(EXTENSIONS))}): check the folder{hint}")
    return found


def read_image(path: str | Path) -> Tensor:
    """Decode a photograph: EXIF orientation applied, embedded ICC profile converted to sRGB, alpha over white.

    Returns:
        (3, H, W) float32, RGB in [0, 1]; grey is repeated over the channels, 16-bit grey keeps its precision.

    Raises:
        UserError: the file cannot be read or decoded; the message names it and the reason.
    """
    decoded = decode_image(path)
    if decoded.alpha is None:
        return decoded.image
    return decoded.image * decoded.alpha + (1 - decoded.alpha)


def decode_image(path: str | Path) -> Decoded:
    """Decode a photograph with all that is needed to write a like one.

    Of several frames the first is decoded. A damaged ICC profile is ignored, with a warning and a note. 16-bit grey
    keeps its precision; 16-bit colour is read with 8 bits, as Pillow does.

    Raises:
        UserError: the file cannot be read or decoded, or has more than MAX_PIXELS pixels.
    """
    try:
        with _any_size(), Image.open(path) as file:
            if file.width * file.height > MAX_PIXELS:
                raise UserError(f"{file.width} x {file.height} pixels are more than {MAX_PIXELS:,}")
            frames = 1 if file.format == "MPO" else getattr(file, "n_frames", 1)  # MPO: previews of the same photo
            ImageOps.exif_transpose(file, in_place=True)
            decoded = _decoded(file)
    except Exception as reason:  # Pillow's decoders raise many kinds; each of them means the same to the caller
        raise UserError(f"{path} cannot be decoded as an image ({type(reason).__name__}: {reason})") from reason
    if frames > 1:
        sentence = f"only the first of {frames} frames is used"
        decoded = replace(decoded, note=f"{decoded.note}; {sentence}" if decoded.note else sentence)
    if decoded.note:
        warnings.warn(f"{path}: {decoded.note}", stacklevel=2)
    return decoded


@contextmanager
def _any_size() -> Iterator[None]:
    """Without Pillow's own bound, which refuses photographs of 180 megapixels; MAX_PIXELS replaces it."""
    bound, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = bound


def _decoded(file: Image.Image) -> Decoded:
    exif, xmp = _exif(file), file.info.get("xmp", b"")
    if file.mode.startswith(("I", "F")):  # 16-bit and 32-bit grey: Pillow would clip these to 8 bits
        values = torch.from_numpy(np.asarray(file).astype(np.float32))
        values = (values / 65535.0 if file.mode.startswith("I") else values).clamp_(0, 1)
        return Decoded(values.expand(3, -1, -1).contiguous(), None, True, "", exif, xmp)
    alpha, note = None, ""
    if file.has_transparency_data:
        alpha = torch.from_numpy(np.array(file.convert("RGBA").getchannel("A"))).float().div_(255)
    grey = file.mode in ("1", "L", "LA")
    colours = file if file.mode in ("L", "RGB", "CMYK") else file.convert("L" if grey else "RGB")
    try:
        colours = _to_srgb(colours, file.info.get("icc_profile"))
    except (ImageCms.PyCMSError, OSError) as reason:
        note = f"its ICC profile is damaged or of another kind and was ignored ({reason})"
    image = torch.from_numpy(np.array(colours.convert("RGB"))).permute(2, 0, 1).float().div_(255)
    grey = grey or (torch.equal(image[0], image[1]) and torch.equal(image[0], image[2]))
    return Decoded(image, alpha, grey, note, exif, xmp)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if not profile:
        return image
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    return image if converted is None else converted


def _exif(file: Image.Image) -> bytes:
    """What EXIF says of the capture; nothing of how the file was stored, which does not hold for another file."""
    old, kept = file.getexif(), Image.Exif()
    for tag in DESCRIPTIVE:
        if tag in old:
            kept[tag] = old[tag]
    capture = {tag: value for tag, value in old.get_ifd(CAPTURE).items() if tag not in (0xA002, 0xA003, 0xA005)}
    if capture:
        kept[CAPTURE] = {**capture, COLOUR_SPACE: SRGB}
    if position := old.get_ifd(POSITION):
        kept[POSITION] = position
    return kept.tobytes() if len(kept) else b""
