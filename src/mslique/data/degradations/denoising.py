"""Noise, and what a filter against it leaves of the image. All ranges are [ours]."""

import numpy as np
from numpy.random import Generator
from scipy import signal
from skimage.restoration import denoise_nl_means

from .pixels import Pixels, blockwise, clip


def camera_denoising(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Noise of standard deviation 0.02 to 0.15 under an adaptive Wiener filter of side 5: grain stays at edges."""
    sigma = 0.02 + 0.13 * severity
    noisy = image + sigma * rng.standard_normal(image.shape)
    return clip(np.stack([signal.wiener(noisy[..., c], 5, 1.5 * sigma**2) for c in range(3)], axis=-1))


def transform_denoising(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Noise of standard deviation 0.02 to 0.15 removed by thresholds of 8x8 cosine transforms: wavy lines, stains."""
    sigma = 0.02 + 0.13 * severity
    noisy = np.pad(image + sigma * rng.standard_normal(image.shape), ((8, 8), (8, 8), (0, 0)), mode="reflect")
    total, count = np.zeros_like(noisy), np.zeros(noisy.shape[:2] + (1,))
    for top, left in ((0, 0), (3, 5), (5, 2), (2, 7), (6, 4)):  # averaged over a few positions of the blocks
        height, width = (8 * ((side - first) // 8) for side, first in zip(noisy.shape, (top, left), strict=False))
        part = np.s_[top : top + height, left : left + width]
        total[part] += blockwise(noisy[part], 8, lambda c: np.where(np.abs(c) > 2.7 * sigma, c, 0))
        count[part] += 1
    return clip((total / np.maximum(count, 1))[8:-8, 8:-8])


def bilateral_denoising(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Noise of standard deviation 0.02 to 0.15 under a bilateral filter: flat areas between hard edges."""
    reach, sigma = 3, 0.02 + 0.13 * severity
    noisy = image + np.float32(sigma) * rng.standard_normal(image.shape, np.float32)
    (height, width), padded = image.shape[:2], np.pad(noisy, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    total, count = np.zeros_like(noisy), np.zeros_like(noisy[..., :1])
    for row, column in np.ndindex(2 * reach + 1, 2 * reach + 1):
        near = padded[row : row + height, column : column + width]
        far = ((row - reach) ** 2 + (column - reach) ** 2) / 8
        weight = np.exp(-far - np.square(near - noisy).mean(axis=-1, keepdims=True) / (2 * (2 * sigma) ** 2))
        total, count = total + weight * near, count + weight
    return clip(total / count)


def patch_denoising(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Noise of standard deviation 0.02 to 0.15 removed by non-local means: no texture, noise in rare patches."""
    sigma = 0.02 + 0.13 * severity
    noisy = image + np.float32(sigma) * rng.standard_normal(image.shape, np.float32)
    return clip(denoise_nl_means(noisy, patch_size=5, patch_distance=5, h=0.8 * sigma, sigma=sigma, channel_axis=-1))


def wavelet_denoising(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Noise of standard deviation 0.02 to 0.15 removed by soft thresholds of three Haar scales: steps and spots."""
    sigma, (height, width) = 0.02 + 0.13 * severity, image.shape[:2]
    noisy = image + sigma * rng.standard_normal(image.shape)
    coarse = np.pad(noisy, ((0, -height % 8), (0, -width % 8), (0, 0)), mode="reflect")
    details = []
    for _ in range(3):
        a, b, c, d = coarse[::2, ::2], coarse[1::2, ::2], coarse[::2, 1::2], coarse[1::2, 1::2]
        found = np.stack([a + b - c - d, a - b + c - d, a - b - c + d]) / 2
        details.append(np.sign(found) * np.maximum(np.abs(found) - 1.5 * sigma, 0))
        coarse = (a + b + c + d) / 2
    for x, y, z in reversed(details):
        whole = np.empty((2 * coarse.shape[0], 2 * coarse.shape[1], 3))
        whole[::2, ::2], whole[1::2, ::2] = (coarse + x + y + z) / 2, (coarse + x - y - z) / 2
        whole[::2, 1::2], whole[1::2, 1::2] = (coarse - x + y - z) / 2, (coarse - x - y + z) / 2
        coarse = whole
    return clip(coarse[:height, :width])
