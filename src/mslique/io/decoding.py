"""Reading photographs: any Pillow mode or bit depth to an upright sRGB tensor."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageFile, ImageOps
from torch import Tensor

from .mending import load
from .opening import opened_image
from .samples import alpha, check, grey_to_srgb, grey_values, to_srgb

COLOUR_SPACE, SRGB = 0xA001, 1
DESCRIPTIVE = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x4746, 0x8298)
"""EXIF tags of the picture, not of its storage: description, make, model, software, date, artist, rating, copyright."""
CAPTURE, POSITION = 0x8769, 0x8825
BAD_PROFILE = "its ICC profile is damaged or of another kind and was ignored ({})"


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
    with opened_image(path) as (file, notes):
        frames = 1 if file.format == "MPO" else getattr(file, "n_frames", 1)  # MPO: previews of the same photo
        if frames > 1:
            notes.append(f"only the first of {frames} frames is used")
        decoded = _decoded(file, notes)
    if decoded.note:
        warnings.warn(f"{path}: {decoded.note}", stacklevel=2)
    return decoded


def _decoded(file: ImageFile.ImageFile, notes: list[str]) -> Decoded:
    check(file, notes)
    load(file, notes)
    exif, xmp = _turned_upright(file, notes), file.info.get("xmp", b"")
    picture = file.convert("LA") if file.mode == "La" else file  # La: multiplied by alpha
    clear = alpha(picture)
    grey = picture.mode in ("1", "L", "LA") or picture.mode.startswith(("I", "F"))
    image = (_grey if grey else _colours)(picture, notes)
    grey = grey or (torch.equal(image[0], image[1]) and torch.equal(image[0], image[2]))
    return Decoded(image, clear, grey, "; ".join(notes), exif, xmp)


def _grey(picture: Image.Image, notes: list[str]) -> Tensor:
    # more than 8 bits: Pillow would clip them
    values, clipped = grey_values(picture.convert("L") if picture.mode in ("1", "LA") else picture)
    notes += [clipped] if clipped else []
    try:
        values = grey_to_srgb(values, picture.info.get("icc_profile"))
    except (ImageCms.PyCMSError, OSError) as reason:
        notes.append(BAD_PROFILE.format(reason))
    return values.expand(3, -1, -1).contiguous()


def _colours(picture: Image.Image, notes: list[str]) -> Tensor:
    colours = picture if picture.mode in ("RGB", "CMYK", "LAB") else picture.convert("RGB")
    try:
        colours = to_srgb(colours, picture.info.get("icc_profile"))
    except (ImageCms.PyCMSError, OSError) as reason:
        notes.append(BAD_PROFILE.format(reason))
    return torch.from_numpy(np.array(colours.convert("RGB"))).permute(2, 0, 1).float().div_(255)


def _turned_upright(file: Image.Image, notes: list[str]) -> bytes:
    """Apply the EXIF orientation in place. Returns the EXIF to keep; a note says if it is damaged."""
    try:
        ImageOps.exif_transpose(file, in_place=True)  # first: it turns the pixels before it fails at another tag
        exif = _exif(file)
    except Exception as reason:  # Pillow's reader of EXIF raises many kinds
        notes.append(f"its EXIF is damaged and was ignored ({reason})")
        return b""
    return exif


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
