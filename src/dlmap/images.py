"""Writing enhanced images so that a half-written file never appears."""

import os
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from torch import Tensor


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` fill a hidden file beside ``path``, then rename it; on an error nothing is left behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        write(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def to_pillow(image: Tensor) -> Image.Image:
    """(3, H, W) in [0, 1] -> 8-bit RGB, rounded to the nearest level."""
    pixels = image.detach().clamp(0, 1).mul(255).round().byte()
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())


def save_png(image: Tensor, path: Path) -> None:
    """Write (3, H, W) in [0, 1] as an 8-bit PNG, atomically."""
    picture = to_pillow(image)
    write_atomically(path, lambda part: picture.save(part, format="PNG"))
