"""Reading photographs: any Pillow mode or bit depth to an upright sRGB tensor."""

import io
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps
from torch import Tensor

from .errors import UserError
from .opening import opened_image

COLOUR_SPACE, SRGB = 0xA001, 1
DESCRIPTIVE = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x4746, 0x8298)
"""EXIF tags of the picture, not of its storage: description, make, model, software, date, artist, rating, copyright."""
CAPTURE, POSITION = 0x8769, 0x8825


@dataclass(frozen=True)
class Decoded:
    """A decoded photograph.

    ``image`` is (3, H, W) float32 in [0, 1], upright sRGB; transparent places keep their stored colours. ``alpha`` is
    (H, W) in [0, 1], or None if the format has no transparency. ``grey``: all channels are equal. ``note`` says in a
    sentence what was ignored. ``exif`` (without orientation) and ``xmp`` are in the form that Pillow saves.
    """

    image: Tensor
    alpha: Tensor | None = None
    grey: bool = False
    note: str = ""
    exif: bytes = b""
    xmp: bytes = b""


def read_image(path: str | Path) -> Tensor:
    """Decode a photograph, apply its EXIF orientation, convert it from its ICC profile to sRGB, and put it on white.

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
    """Decode a photograph, with what is needed to write another one of the same kind.

    Of several frames, the first is decoded. A damaged ICC profile or EXIF is ignored, with a warning and a note. 16-bit
    grey keeps its precision; 16-bit colour is read with 8 bits, as Pillow does.

    Raises:
        UserError: the file cannot be read or decoded, is of no kind in :data:`mslique.io.opening.FORMATS`, holds
            values that are not finite, or claims more pixels than that module allows.
    """
    try:
        with opened_image(path) as file:
            frames = 1 if file.format == "MPO" else getattr(file, "n_frames", 1)  # MPO: previews of the same photo
            decoded = _decoded(file)
    except Exception as reason:  # Pillow's decoders raise many kinds, which all mean the same to the caller
        raise UserError(f"{path} cannot be decoded as an image ({type(reason).__name__}: {reason})") from reason
    if frames > 1:
        sentence = f"only the first of {frames} frames is used"
        decoded = replace(decoded, note=_joined(decoded.note, sentence))
    if decoded.note:
        warnings.warn(f"{path}: {decoded.note}", stacklevel=2)
    return decoded


def _decoded(file: Image.Image) -> Decoded:
    file.load()
    exif, note = _turned_upright(file)
    xmp = file.info.get("xmp", b"")
    if file.mode.startswith(("I", "F")):  # 16-bit and 32-bit grey: Pillow would clip these to 8 bits
        values, clipped = _grey_values(file)
        return Decoded(values.expand(3, -1, -1).contiguous(), None, True, _joined(note, clipped), exif, xmp)
    alpha = None
    if file.has_transparency_data:
        alpha = torch.from_numpy(np.array(file.convert("RGBA").getchannel("A"))).float().div_(255)
    grey = file.mode in ("1", "L", "LA")
    colours = file if file.mode in ("L", "RGB", "CMYK") else file.convert("L" if grey else "RGB")
    try:
        colours = _to_srgb(colours, file.info.get("icc_profile"))
    except (ImageCms.PyCMSError, OSError) as reason:
        note = _joined(note, f"its ICC profile is damaged or of another kind and was ignored ({reason})")
    image = torch.from_numpy(np.array(colours.convert("RGB"))).permute(2, 0, 1).float().div_(255)
    grey = grey or (torch.equal(image[0], image[1]) and torch.equal(image[0], image[2]))
    return Decoded(image, alpha, grey, note, exif, xmp)


def _grey_values(file: Image.Image) -> tuple[Tensor, str]:
    """(H, W) in [0, 1], and a note of what was clipped. White is 65535 in 16-bit and 32-bit integers, 1 in floats."""
    values = torch.from_numpy(np.asarray(file).astype(np.float32))
    if not values.isfinite().all():
        raise UserError("it holds values that are not finite")
    values = values / 65535.0 if file.mode.startswith("I") else values
    low, high = (bound.item() for bound in values.aminmax())
    note = "" if low >= 0 and high <= 1 else f"its values, {low:.3g} to {high:.3g} where white is 1, were clipped"
    return values.clamp_(0, 1), note


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if not profile:
        return image
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    return image if converted is None else converted


def _turned_upright(file: Image.Image) -> tuple[bytes, str]:
    """Apply the EXIF orientation in place. Returns the EXIF to keep, and a note if it is damaged."""
    try:
        exif = _exif(file)
        ImageOps.exif_transpose(file, in_place=True)
    except Exception as reason:  # Pillow's reader of EXIF raises many kinds
        return b"", f"its EXIF is damaged and was ignored ({reason})"
    return exif, ""


def _exif(file: Image.Image) -> bytes:
    """What EXIF says of the capture, without what it says of the storage of this file."""
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


def _joined(*notes: str) -> str:
    return "; ".join(filter(None, notes))
