"""Codecs of photographs, videos and textures. All ranges are [ours]."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from .pixels import YCBCR, Pixels, blockwise, clip, from_pillow, through_file, to_pillow, whole_blocks


def jpeg(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """JPEG of quality 45 down to 5."""
    return through_file(image, format="JPEG", quality=round(45 - 40 * severity))


def jpeg2000(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """JPEG 2000 of compression ratio 8 to 160."""
    return through_file(image, format="JPEG2000", quality_mode="rates", quality_layers=[8 * 20**severity])


def avif(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """AVIF of quality 45 down to 0."""
    return through_file(image, format="AVIF", quality=round(45 - 45 * severity), speed=8, max_threads=1)


def palette(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """64 down to 5 colours chosen for the image, dithered or not, as in a GIF."""
    dither = Image.Dither.FLOYDSTEINBERG if rng.random() < 0.5 else Image.Dither.NONE
    colours = to_pillow(image).quantize(round(64 * (5 / 64) ** severity), Image.Quantize.MEDIANCUT)
    return from_pillow(to_pillow(image).quantize(palette=colours, dither=dither).convert("RGB"))


def video_compression(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Cosine transforms of blocks of 4, 8 or 16 pixels in steps of 0.08 to 0.8, their borders smoothed."""
    size, step = int(rng.choice([4, 8, 16])), 0.08 * 10**severity
    height, width = image.shape[:2]
    padded = whole_blocks(image, size)
    steps = step * np.array([1, 1.5, 1.5])  # coarser for colour
    coded = blockwise(padded @ YCBCR.T, size, lambda c: steps * np.trunc(c / steps + 0.3 * np.sign(c)))
    for axis in (0, 1):
        coded = _deblocked(coded.swapaxes(0, axis), size, step / 3).swapaxes(0, axis)
    return clip(coded @ np.linalg.inv(YCBCR).T)[:height, :width]


def _deblocked(image: NDArray[np.floating], size: int, threshold: float) -> NDArray[np.floating]:
    """Steps smaller than the threshold between the rows at borders of blocks become ramps."""
    image = image.copy()
    above, below = image[size - 1 : -1 : size], image[size::size]
    gap = np.where(np.abs(below - above) < threshold, below - above, 0)
    image[size - 1 : -1 : size] += gap / 4
    image[size::size] -= gap / 4
    return image


def texture_compression(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Blocks of 4 pixels in their two extreme colours, or of 8 in four between them, blended in by 20 to 100 %."""
    (size, steps), (height, width) = ((4, 1), (8, 3))[rng.integers(2)], image.shape[:2]
    padded = whole_blocks(image, size)
    blocks = padded.reshape(padded.shape[0] // size, size, padded.shape[1] // size, size, 3)
    low, high = blocks.min(axis=(1, 3), keepdims=True), blocks.max(axis=(1, 3), keepdims=True)
    line = high - low
    place = ((blocks - low) * line).sum(-1, keepdims=True) / np.maximum((line * line).sum(-1, keepdims=True), 1e-6)
    coded = (low + np.round(steps * place) / steps * line).reshape(padded.shape)[:height, :width]
    share = np.float32(0.2 + 0.8 * severity)
    return clip((1 - share) * image + share * coded)
