"""Reading photographs: any Pillow mode or bit depth to an upright sRGB tensor."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms, ImageOps
from torch import Tensor

from .errors import UserError

EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".jp2"})


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
        (3, H, W) float32, RGB in [0, 1]; grey is repeated over the channels, 16 bit keeps its precision.

    Raises:
        UserError: the file cannot be read or decoded; the message names it and the reason.
    """
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            return _to_rgb(image)
    except Exception as reason:  # Pillow's decoders raise many kinds; each of them means the same to the caller
        raise UserError(f"{path} cannot be decoded as an image ({type(reason).__name__}: {reason})") from reason


def _to_rgb(image: Image.Image) -> Tensor:
    if image.mode.startswith(("I", "F")):  # 16-bit and 32-bit grey: Pillow would clip these to 8 bits
        grey = torch.from_numpy(np.asarray(image).astype(np.float32))
        scale = 65535.0 if image.mode.startswith("I") else 1.0
        return (grey / scale).clamp(0, 1).expand(3, -1, -1).contiguous()
    image = _to_srgb(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        image = Image.alpha_composite(white, rgba)
    pixels = np.asarray(image.convert("RGB"))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float().div_(255)


def _to_srgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return image
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    target = "RGBA" if image.mode == "RGBA" else "RGB"
    converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=target)
    return image if converted is None else converted
