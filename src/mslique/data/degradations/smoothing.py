"""Filters that smooth an image and keep its edges. All ranges are [ours]."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from .pixels import Pixels, clip


def edge_preserving_smoothing(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """A guided filter (He et al. 2010) of radius 2 to 6 that removes contrasts below 0.03 to 0.3."""
    side, eps = 2 * int(rng.integers(2, 7)) + 1, (0.03 * 10**severity) ** 2

    def mean(values: NDArray[np.floating]) -> NDArray[np.floating]:
        return ndimage.uniform_filter(values, (side, side, 0), mode="reflect")

    average = mean(image)
    variance = mean(image**2) - average**2
    slope = variance / (variance + eps)
    return clip(mean(slope) * image + mean(average - slope * average))


def painterly_smoothing(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """A Kuwahara filter: each pixel the mean of the most even of the four squares, of 2 to 6 pixels, that touch it."""
    reach = 1 + 4 * severity
    low, share = int(reach), np.float32(reach - int(reach))  # squares have whole sides; other sides blend two squares
    smooth = _kuwahara(image, low)
    return clip(smooth if share == 0 else (1 - share) * smooth + share * _kuwahara(image, low + 1))


def _kuwahara(image: Pixels, reach: int) -> Pixels:
    """Squares of ``reach + 1`` pixels a side."""
    first, second = (ndimage.uniform_filter(v, (reach + 1, reach + 1, 0)) for v in (image, image**2))
    spread = (second - first**2).sum(axis=-1)
    near, far = reach // 2, (reach + 1) // 2  # from a pixel to the centres of the squares that begin or end there
    shifts = [(row, column) for row in (-near, far) for column in (-near, far)]
    padded_mean = np.pad(first, ((far, far), (far, far), (0, 0)), mode="edge")
    padded_spread = np.pad(spread, far, mode="edge")
    height, width = spread.shape
    windows = [np.s_[far + row : far + row + height, far + column : far + column + width] for row, column in shifts]
    best = np.argmin([padded_spread[window] for window in windows], axis=0)
    return np.take_along_axis(np.stack([padded_mean[window] for window in windows]), best[None, ..., None], axis=0)[0]
