"""What the numbers in a file mean: white, sign, inversion, transparency, and colours of an ICC profile."""

import io

import numpy as np
import torch
from PIL import Image, ImageCms, ImageFile, PngImagePlugin, TiffImagePlugin
from torch import Tensor

from .errors import UserError

BITS, PHOTOMETRIC, COUNTS, CHANNELS, LAYOUT, COLOURS, SIGN = 258, 262, 279, 277, 284, 320, 339
WHITE_IS_ZERO, YCBCR, LAB, PLANAR, SIGNED = 0, 6, 8, 2, 2
"""Tags of TIFF and values of them (TIFF 6.0)."""
GAMMA = 0.455
"""Of pictures in sRGB (PNG, 11.3.2.1: gAMA)."""


def check(file: ImageFile.ImageFile, notes: list[str]) -> None:
    """Before a file is loaded: refuse what Pillow would read wrongly, and correct what it has read wrongly so far.

    Args:
        notes: get a sentence if the file asks for something that is not done.

    Raises:
        UserError: the message says what is not read, without the name of the file.
    """
    if isinstance(file, TiffImagePlugin.TiffImageFile):
        _check_tiff(file)
    elif isinstance(file, PngImagePlugin.PngImageFile):
        _check_png(file, notes)


def _check_png(file: PngImagePlugin.PngImageFile, notes: list[str]) -> None:
    if (clear := file.info.get("transparency")) is not None:
        form = file.tile[0].args  # Pillow brings the pixels to 8 bits, but not the value that stands for transparent
        if form in ("L;2", "L;4"):
            file.info["transparency"] = clear * (85 if form == "L;2" else 17)
        elif form == "RGB;16B":
            file.info["transparency"] = tuple(value >> 8 for value in clear)
    gamma = file.info.get("gamma", GAMMA)
    if abs(gamma / GAMMA - 1) > 0.1 and not file.info.keys() & {"icc_profile", "srgb"}:
        notes.append(f"its gamma of {gamma:.3g} was taken for {GAMMA}, that of sRGB")


def _check_tiff(file: TiffImagePlugin.TiffImageFile) -> None:
    tags, plain = file.tag_v2, file.info.get("compression") == "raw"
    bits, photometric = max(tags.get(BITS, (1,))), tags.get(PHOTOMETRIC)
    if SIGNED in tags.get(SIGN, ()) and bits < 32:
        raise UserError(f"it has signed numbers of {bits} bits, whose white is not known: save it with unsigned ones")
    planar = tags.get(LAYOUT) == PLANAR and tags.get(CHANNELS, 1) > 1
    if plain and planar and (bits != 8 or photometric == LAB):
        raise UserError("its channels lie one after another: save it with interleaved ones (planar configuration 1)")
    if plain and photometric == YCBCR and sum(tags.get(COUNTS, ())) < 3 * file.width * file.height:
        raise UserError("its colours are subsampled without compression: save it as RGB")
    if not plain and tags.prefix == b"MM" and file.mode in ("I", "F"):
        raise UserError("it has compressed numbers of 32 bits with the high byte first: save it without compression")
    colours = tags.get(COLOURS, (256,))
    if file.mode in ("P", "PA") and max(colours) < 256:  # its palette has 8 bits instead of 16; libtiff takes it too
        file.putpalette(bytes(colours), "RGB;L")


def alpha(picture: Image.Image) -> Tensor | None:
    """(H, W) in [0, 1] of a loaded picture, or None if it has no transparency."""
    if picture.mode.startswith("I;16") and (clear := picture.info.get("transparency")) is not None:
        return torch.from_numpy(np.asarray(picture) != clear).float()
    if picture.mode.startswith(("I", "F")) or not picture.has_transparency_data:
        return None
    return torch.from_numpy(np.array(picture.convert("RGBA").getchannel("A"))).float().div_(255)


def grey_values(picture: Image.Image) -> tuple[Tensor, str]:
    """The values of a loaded picture of grey, of any depth, and a note of what was clipped.

    White is the largest number that the file can hold, but 65535 in signed integers of 32 bits, and 1 in floats. An
    ICC profile is not applied yet.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        UserError: it holds values that are not finite.
    """
    tags = getattr(picture, "tag_v2", {})
    stored, white = np.asarray(picture), 1 if picture.mode == "F" else 255 if picture.mode == "L" else 65535
    if picture.mode.startswith("I;16"):
        white = 2 ** max(tags.get(BITS, (16,))) - 1
    elif picture.mode == "I" and tags and SIGNED not in tags.get(SIGN, ()):
        stored, white = stored.view(np.uint32), 2**32 - 1
    values = torch.from_numpy(stored.astype(np.float32)) / white
    if not values.isfinite().all():
        raise UserError("it holds values that are not finite")
    if picture.mode != "L" and tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:
        values = 1 - values
    low, high = (bound.item() for bound in values.aminmax())
    note = "" if low >= 0 and high <= 1 else f"its values, {low:.3g} to {high:.3g} where white is 1, were clipped"
    return values.clamp_(0, 1), note


def grey_to_srgb(values: Tensor, profile: bytes | None) -> Tensor:
    """Grey in [0, 1] to sRGB grey in [0, 1], of the same shape; more exact than 8 bits.

    The profile is asked for 8 bits of each of 65536 greys. Where its answer rises from k - 1 to k, the curve has the
    value (k - 0.5) / 255; between these places it is straight.

    Raises:
        ImageCms.PyCMSError, OSError: the profile is damaged, or none of grey.
    """
    if not profile:
        return values
    every = Image.fromarray(np.arange(65536, dtype=np.uint16).reshape(256, 256))
    shown = np.asarray(to_srgb(every, profile))[..., 1].ravel()
    levels, places = np.unique(np.maximum.accumulate(shown), return_index=True)
    curve = np.r_[levels[0], levels[1:] - 0.5, levels[-1]] / 255
    return torch.from_numpy(np.interp(values * 65535, np.r_[0, places[1:], 65535], curve)).float()


def to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture in the colours of sRGB: mode RGB if it has a profile, or is of mode LAB, which needs none.

    Raises:
        ImageCms.PyCMSError, OSError: the profile is damaged, or not one of the picture's mode.
    """
    if picture.mode != "LAB" and not profile:
        return picture
    lab = picture.mode == "LAB"
    source = ImageCms.createProfile("LAB") if lab or not profile else ImageCms.ImageCmsProfile(io.BytesIO(profile))
    # without this flag the curves are sampled at a few places, and dark pixels are up to 9 levels off
    flags = ImageCms.Flags.NONE if picture.mode in ("RGB", "CMYK") else ImageCms.Flags.NOOPTIMIZE
    target = ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(picture, source, target, outputMode="RGB", flags=flags)
    return picture if converted is None else converted
