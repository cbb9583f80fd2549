"""Pixel arrays (H, W, 3), float32 in [0, 1], on which the degradations work, and what several of them use."""

import io
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from scipy import fft, ndimage

Pixels = NDArray[np.float32]
Degradation = Callable[[Pixels, float, Generator], Pixels]
"""Image, severity in [0, 1] and the source of all random numbers, to an image of the same shape and range."""
YCBCR = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]], np.float32)
"""From RGB to luminance and two differences of colour."""


def clip(image: NDArray[np.floating]) -> Pixels:
    return np.clip(image, 0, 1).astype(np.float32, copy=False)


def to_pillow(image: Pixels) -> Image.Image:
    return Image.fromarray((np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8))


def from_pillow(image: Image.Image) -> Pixels:
    return np.asarray(image, np.float32) / np.float32(255)


def through_file(image: Pixels, **options: object) -> Pixels:
    """The image after Pillow wrote it with these options and read it again."""
    file = io.BytesIO()
    to_pillow(image).save(file, **options)  # type: ignore[arg-type]
    with Image.open(file) as decoded:
        return from_pillow(decoded.convert("RGB"))


def filtered(image: Pixels, kernel: NDArray[np.floating]) -> Pixels:
    """Every channel convolved with the kernel."""
    return np.stack([ndimage.convolve(image[..., c], kernel, mode="mirror") for c in range(3)], axis=-1)


def whole_blocks(image: Pixels, size: int) -> Pixels:
    """The image, enlarged on the right and below by copies of its border to a multiple of ``size``."""
    height, width = image.shape[:2]
    return np.pad(image, ((0, -height % size), (0, -width % size), (0, 0)), mode="edge")


def blockwise(
    image: NDArray[np.floating], size: int, change: Callable[[NDArray[np.floating]], NDArray[np.floating]]
) -> NDArray[np.floating]:
    """Change the orthonormal cosine transforms (rows, size, columns, size, 3) of all blocks, but not their means."""
    height, width = image.shape[:2]
    blocks = fft.dctn(image.reshape(height // size, size, width // size, size, 3), axes=(1, 3), norm="ortho")
    changed = change(blocks)
    changed[:, 0, :, 0] = blocks[:, 0, :, 0]
    return fft.idctn(changed, axes=(1, 3), norm="ortho").reshape(image.shape)
