"""Degradations of kinds that no training uses. They test whether a quality model knows other damage than it was shown.

They have the form of :mod:`mslique.data.degradations.mixture`. Never train on them. All ranges are [ours].
"""

import numpy as np
from numpy.random import Generator
from scipy import ndimage
from skimage.restoration import denoise_tv_chambolle

from .pixels import Degradation, Pixels, clip, through_file


def webp(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """WebP of quality 50 down to 0."""
    return through_file(image, format="WEBP", quality=round(50 - 50 * severity))


def median_smear(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """A median over discs of radius 1 to 5 pixels: it keeps edges and removes texture."""
    radius = 1 + 4 * severity
    low, share = int(radius), radius - int(radius)  # discs have whole radii; other radii blend two discs
    smeared = _median(image, low)
    return smeared if share == 0 else clip((1 - share) * smeared + share * _median(image, low + 1))


def banding(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """24 down to 4 grey levels a channel."""
    steps = round(24 * (4 / 24) ** severity) - 1
    return clip(np.round(image * steps) / steps)


def chromatic_aberration(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Red and blue moved apart by 1 to 6 pixels in a random direction, as at the edge of a lens."""
    angle, distance = rng.uniform(0, 2 * np.pi), 0.5 + 2.5 * severity
    shift = distance * np.array([np.sin(angle), np.cos(angle)])
    red, blue = (ndimage.shift(image[..., c], sign * shift, order=1, mode="nearest") for c, sign in ((0, 1), (2, -1)))
    return clip(np.stack([red, image[..., 1], blue], axis=-1))


def impulse_noise(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """0.3 to 12 % of the pixels black or white."""
    share = 0.003 * 40**severity
    chance = rng.random((*image.shape[:2], 1))
    return np.where(chance < share / 2, 0, np.where(chance > 1 - share / 2, 1, image)).astype(np.float32)


def denoised(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Noise of standard deviation 0.02 to 0.12 removed by total variation, as small cameras do in the dark."""
    sigma = 0.02 + 0.1 * severity
    noisy = image + np.float32(sigma) * rng.standard_normal(image.shape, np.float32)
    # with a fixed number of iterations the result changes continuously with the severity
    return clip(denoise_tv_chambolle(noisy, weight=1.2 * sigma, eps=0, max_num_iter=50, channel_axis=-1))


UNSEEN_DEGRADATIONS: dict[str, Degradation] = {
    f.__name__: f for f in (webp, median_smear, banding, chromatic_aberration, impulse_noise, denoised)
}


def _median(image: Pixels, radius: int) -> Pixels:
    rows, columns = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = (rows**2 + columns**2 <= radius**2)[..., None]
    return ndimage.median_filter(image, footprint=disc, mode="reflect")
