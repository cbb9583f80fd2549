"""Too few pixels: resizing, low-passes and interlaced rows. All ranges are [ours]."""

import numpy as np
from numpy.random import Generator
from PIL import Image
from scipy import ndimage

from .pixels import Pixels, clip, from_pillow, to_pillow


def rescale(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Downsampling by 1.3 to 5 and back, with a random downsampling filter."""
    height, width = image.shape[:2]
    factor = 1.3 + 3.7 * severity
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    filters = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
    down = to_pillow(image).resize(small, filters[rng.integers(len(filters))])
    return from_pillow(down.resize((width, height), Image.Resampling.BICUBIC))


def ringing(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """An ideal low-pass at 0.6 down to 0.15 of the Nyquist frequency: blur with waves along every edge."""
    height, width = image.shape[:2]
    padded = np.pad(image, ((height, 0), (width, 0), (0, 0)), mode="symmetric")  # seamless when repeated
    frequency = np.hypot(np.fft.fftfreq(2 * height)[:, None], np.fft.rfftfreq(2 * width))
    passed = np.fft.rfft2(padded, axes=(0, 1)) * (frequency < 0.5 * (0.6 * 0.25**severity))[..., None]
    return clip(np.fft.irfft2(passed, padded.shape[:2], axes=(0, 1))[height:, width:])


def pixelation(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Squares of 1.5 to 5 pixels, each of one colour."""
    height, width = image.shape[:2]
    factor = 1.5 + 3.5 * severity
    small = to_pillow(image).resize((round(width / factor), round(height / factor)), Image.Resampling.BOX)
    return from_pillow(small.resize((width, height), Image.Resampling.NEAREST))


def aliasing(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Every 1.3th to 4th pixel kept, without a low-pass, and interpolated: stairs along contours, moire in textures."""
    height, width = image.shape[:2]
    factor = 1.3 + 2.7 * severity
    small = to_pillow(image).resize((round(width / factor), round(height / factor)), Image.Resampling.NEAREST)
    return from_pillow(small.resize((width, height), Image.Resampling.BICUBIC))


def interlacing(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Every second row, or every second pair of rows, moved sideways by 0.3 to 4 pixels, as in video."""
    distance = (0.3 + 3.7 * severity) * (1 if rng.random() < 0.5 else -1)
    odd = (np.arange(image.shape[0]) // int(rng.integers(1, 3)) % 2 == 1)[:, None, None]
    return clip(np.where(odd, ndimage.shift(image, (0, distance, 0), order=1, mode="nearest"), image))
