"""Synthetic training images: random mixtures of what happens to photographs.

Each degradation maps an image (H, W, 3) float32 in [0, 1] and a severity in [0, 1] to the same shape and range, and
takes its coin tosses (direction, colour, sign) from a generator, so that a seed fixes the result. All ranges are
[ours].
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
from numpy.random import Generator
from PIL import Image
from scipy import ndimage
from torch import Tensor

from .artefacts import ARTEFACTS
from .pixels import Degradation, Pixels, clip, from_pillow, through_file, to_pillow


def gaussian_blur(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Defocus: standard deviation 0.4 to 3.5 pixels."""
    sigma = 0.4 + 3.1 * severity
    return clip(ndimage.gaussian_filter(image, (sigma, sigma, 0), truncate=3))


def motion_blur(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """A straight movement of 2 to 16 pixels in a random direction."""
    length, angle = 2 + 14 * severity, rng.uniform(0, math.pi)
    steps = np.linspace(-0.5, 0.5, 2 * math.ceil(length) + 1) * length
    side = 2 * math.ceil(length / 2) + 3
    kernel = np.zeros((side, side), np.float32)
    rows, columns = side // 2 + steps * math.sin(angle), side // 2 + steps * math.cos(angle)
    for row, column in zip(rows, columns, strict=True):
        r, c = int(row), int(column)
        dr, dc = row - r, column - c
        kernel[r : r + 2, c : c + 2] += np.outer((1 - dr, dr), (1 - dc, dc))
    kernel /= kernel.sum()
    weights = torch.from_numpy(kernel).expand(3, 1, side, side)
    padded = np.pad(image, ((side // 2,) * 2, (side // 2,) * 2, (0, 0)), mode="reflect")
    planes = torch.from_numpy(padded).permute(2, 0, 1)[None]
    return torch.nn.functional.conv2d(planes, weights, groups=3)[0].permute(1, 2, 0).numpy()


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


def rescale(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Downsampling by 1.3 to 5 and back, with a random downsampling filter."""
    height, width = image.shape[:2]
    factor = 1.3 + 3.7 * severity
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    filters = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC)
    down = to_pillow(image).resize(small, filters[rng.integers(len(filters))])
    return from_pillow(down.resize((width, height), Image.Resampling.BICUBIC))


def jpeg(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """JPEG of quality 45 down to 5."""
    return through_file(image, format="JPEG", quality=round(45 - 40 * severity))


def jpeg2000(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """JPEG 2000 of compression ratio 8 to 160."""
    return through_file(image, format="JPEG2000", quality_mode="rates", quality_layers=[8 * 20**severity])


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


DEGRADATIONS: dict[str, Degradation] = {
    f.__name__: f
    for f in (gaussian_blur, motion_blur, gaussian_noise, shot_noise, rescale, jpeg, jpeg2000, contrast, exposure,
              oversharpening)
} | ARTEFACTS  # fmt: skip
GLOBAL_CHANGES = ("contrast", "exposure")
"""Drawn half as often as the others: without the original a dark or soft photograph may well be meant that way."""
COUNT_SHARES = (0.15, 0.5, 0.25, 0.1)
"""Shares of images with 0 (clean), 1, 2 and 3 degradations."""


def degrade(image: Tensor, rng: Generator, second_order: float = 0.0) -> Tensor:
    """A random mixture: 0 to 3 distinct degradations in random order, each of uniformly random severity.

    Args:
        image: (3, H, W) in [0, 1].
        rng: the only source of randomness.
        second_order: share of images that go through a second mixture, like a photograph that was edited, sent and
            compressed again (Wang et al., "Real-ESRGAN", 2021; Zhang et al., "BSRGAN", 2021).

    Returns:
        (3, H, W) in [0, 1], float32; the image itself (rounded to nothing) in the clean share.
    """
    pixels = _mixture(image.permute(1, 2, 0).numpy(), rng)
    if second_order and rng.random() < second_order:
        pixels = _mixture(pixels, rng)
    return _to_tensor(pixels)


def degrade_by(
    name: str, image: Tensor, severity: float, rng: Generator, kinds: Mapping[str, Degradation] = DEGRADATIONS
) -> Tensor:
    """(3, H, W) in [0, 1] to the same: one degradation of ``kinds``, of a severity in [0, 1]."""
    return _to_tensor(kinds[name](image.permute(1, 2, 0).numpy(), severity, rng))


def _mixture(pixels: Pixels, rng: Generator) -> Pixels:
    count = rng.choice(len(COUNT_SHARES), p=COUNT_SHARES)
    weights = np.array([0.5 if name in GLOBAL_CHANGES else 1.0 for name in DEGRADATIONS])
    for name in rng.choice(list(DEGRADATIONS), size=count, replace=False, p=weights / weights.sum()):
        pixels = DEGRADATIONS[name](pixels, rng.uniform(), rng)
    return pixels


def _to_tensor(pixels: Pixels) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels.astype(np.float32).transpose(2, 0, 1)))
