"""Pixel arrays (H, W, 3), float32 in [0, 1]: what degradations work on."""

import io
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.float32]
Degradation = Callable[[Pixels, float, Generator], Pixels]
"""Image, severity in [0, 1] and the source of all coin tosses, to an image of the same shape and range."""


def clip(image: NDArray[np.floating]) -> Pixels:
    return np.clip(image, 0, 1).astype(np.float32, copy=False)


def to_pillow(image: Pixels) -> Image.Image:
    return Image.fromarray((np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8))


def from_pillow(image: Image.Image) -> Pixels:
    return np.asarray(image, np.float32) / np.float32(255)


def through_file(image: Pixels, **options: object) -> Pixels:
    """The image after it was written with these options of Pillow, and read again."""
    file = io.BytesIO()
    to_pillow(image).save(file, **options)  # type: ignore[arg-type]
    with Image.open(file) as decoded:
        return from_pillow(decoded.convert("RGB"))
