"""Brightness, contrast and sharpening. All ranges are [ours]."""

import numpy as np
from numpy.random import Generator
from scipy import ndimage

from .pixels import Pixels, clip


def contrast(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Contrast lowered to 0.95 down to 0.65 about the mean grey."""
    mean = image.mean()
    return clip(mean + (0.95 - 0.3 * severity) * (image - mean))


def exposure(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Under- or overexposure by 0.15 to 0.9 stops, in linear light (gamma 2.2), clipped."""
    stops = (0.15 + 0.75 * severity) * (1 if rng.random() < 0.5 else -1)
    return clip(image * np.float32(2 ** (stops / 2.2)))


def oversharpening(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Unsharp mask of radius 1.5 and amount 0.5 to 4: halos and amplified grain."""
    low = ndimage.gaussian_filter(image, (1.5, 1.5, 0), truncate=3)
    return clip(image + np.float32(0.5 + 3.5 * severity) * (image - low))


def local_contrast(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Differences from the surroundings, of 5 to 15 pixels, enlarged by 0.2 to 1.5: wide halos."""
    radius = rng.uniform(5, 15)
    low = ndimage.gaussian_filter(image, (radius, radius, 0), truncate=3)
    return clip(image + np.float32(0.2 + 1.3 * severity) * (image - low))
