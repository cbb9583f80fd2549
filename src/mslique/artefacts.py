"""What sensors, lenses, filters and codecs do besides the plain blur and noise of :mod:`mslique.degradations`.

In the form of that module. All ranges are [ours].
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage, signal

from .pixels import Degradation, Pixels, clip, from_pillow, through_file, to_pillow

BILINEAR = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 4


def lens_blur(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Out of focus: a disc of radius 0.8 to 5 pixels."""
    radius = 0.8 + 4.2 * severity
    reach = int(np.ceil(radius))
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(rows, columns), 0, 1)
    return clip(_filtered(image, disc / disc.sum()))


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


def film_grain(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Noise of standard deviation 0.02 to 0.12 in soft grains of 0.6 to 2 pixels, in colour or grey."""
    channels = 3 if rng.random() < 0.5 else 1
    size = rng.uniform(0.6, 2)
    noise = ndimage.gaussian_filter(rng.standard_normal((*image.shape[:2], channels)), (size, size, 0), mode="wrap")
    return clip(image + (0.02 + 0.1 * severity) * noise / noise.std())


def pattern_noise(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """A grating or lattice of period 2 to 10 pixels, or random rows or columns; standard deviation 0.02 to 0.15."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    if rng.random() < 0.3:
        pattern = rng.standard_normal(max(image.shape))[rows if rng.random() < 0.5 else columns]
    else:
        angle, period, crossed = rng.uniform(0, np.pi), rng.uniform(2, 10), rng.random() < 0.5
        along, across = (
            np.sin(2 * np.pi * (rows * np.sin(a) + columns * np.cos(a)) / period) for a in (angle, angle + np.pi / 2)
        )
        pattern = 2 * along * across if crossed else np.sqrt(2) * along
    tint = rng.uniform(-1, 1, 3) if rng.random() < 0.5 else np.ones(3)
    return clip(image + 0.02 * 7.5**severity * pattern[..., None] * tint / np.abs(tint).max())


def raw_sensor(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """A Bayer mosaic with noise of standard deviation 0.01 to 0.15, interpolated bilinearly: blotches of colour."""
    height, width = image.shape[:2]
    mosaic = np.zeros((height, width, 3), np.float32)
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[row::2, column::2, channel] = 1
    noisy = image + np.float32(0.01 + 0.14 * severity) * rng.standard_normal((height, width, 1), np.float32)
    return clip(_filtered(noisy * mosaic, BILINEAR) / _filtered(mosaic, BILINEAR))


def camera_denoising(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Noise of standard deviation 0.02 to 0.15 under an adaptive Wiener filter of side 5: grain left at edges only."""
    sigma = 0.02 + 0.13 * severity
    noisy = image + sigma * rng.standard_normal(image.shape)
    return clip(np.stack([signal.wiener(noisy[..., c], 5, 1.5 * sigma**2) for c in range(3)], axis=-1))


def edge_preserving_smoothing(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """A guided filter (He et al. 2010) of radius 2 to 6 that wipes out contrasts below 0.03 to 0.3: skin like wax."""
    side, eps = 2 * int(rng.integers(2, 7)) + 1, (0.03 * 10**severity) ** 2

    def mean(values: NDArray[np.floating]) -> NDArray[np.floating]:
        return ndimage.uniform_filter(values, (side, side, 0), mode="reflect")

    average = mean(image)
    variance = mean(image**2) - average**2
    slope = variance / (variance + eps)
    return clip(mean(slope) * image + mean(average - slope * average))


def palette(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """64 down to 5 colours chosen for the image, dithered or not: a GIF."""
    dither = Image.Dither.FLOYDSTEINBERG if rng.random() < 0.5 else Image.Dither.NONE
    colours = to_pillow(image).quantize(round(64 * (5 / 64) ** severity), Image.Quantize.MEDIANCUT)
    return from_pillow(to_pillow(image).quantize(palette=colours, dither=dither).convert("RGB"))


def avif(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """AVIF of quality 45 down to 0."""
    return through_file(image, format="AVIF", quality=round(45 - 45 * severity), speed=8, max_threads=1)


ARTEFACTS: dict[str, Degradation] = {
    f.__name__: f
    for f in (lens_blur, ringing, pixelation, film_grain, pattern_noise, raw_sensor, camera_denoising,
              edge_preserving_smoothing, palette, avif)
}  # fmt: skip


def _filtered(image: Pixels, kernel: NDArray[np.floating]) -> Pixels:
    return np.stack([ndimage.convolve(image[..., c], kernel, mode="mirror") for c in range(3)], axis=-1)
