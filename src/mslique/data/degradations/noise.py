"""Noise of sensors and film. All ranges are [ours]."""

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from .pixels import YCBCR, Pixels, clip, filtered

BILINEAR = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 4


def gaussian_noise(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Read-out noise of standard deviation 0.01 to 0.15, in colour or grey."""
    channels = 3 if rng.random() < 0.5 else 1
    return clip(image + (0.01 + 0.14 * severity) * rng.standard_normal((*image.shape[:2], channels), np.float32))


def shot_noise(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Photon noise (variance proportional to brightness) of 1600 down to 25 photons at white, in colour or grey."""
    channels = 3 if rng.random() < 0.5 else 1
    photons = 1600 * (25 / 1600) ** severity
    noise = rng.standard_normal((*image.shape[:2], channels), np.float32)  # Gaussian limit: smooth in the severity
    return clip(image + np.sqrt(np.maximum(image, 0.02) / np.float32(photons)) * noise)


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
    return clip(filtered(noisy * mosaic, BILINEAR) / filtered(mosaic, BILINEAR))


def chroma_noise(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Blots of colour, of standard deviation 0.02 to 0.15 and 1 to 4 pixels, at the same brightness, as at high ISO."""
    size = rng.uniform(1, 4)
    noise = ndimage.gaussian_filter(rng.standard_normal((*image.shape[:2], 2)), (size, size, 0), mode="wrap")
    parts = image @ YCBCR.T
    parts[..., 1:] += (0.02 + 0.13 * severity) * noise / noise.std()
    return clip(parts @ np.linalg.inv(YCBCR).T)
