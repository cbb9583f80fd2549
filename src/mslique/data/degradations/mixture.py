"""Random mixtures of what happens to photographs, for synthetic training images.

Each degradation maps an image (H, W, 3) float32 in [0, 1] and a severity in [0, 1] to the same shape and range. It
draws its random choices (direction, colour, sign) from a generator, so that a seed fixes the result.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor

from . import blur, compression, damage, denoising, noise, resampling, smoothing, tone
from .pixels import Degradation, Pixels

DEGRADATIONS: dict[str, Degradation] = {
    f.__name__: f
    for f in (
        blur.gaussian_blur, blur.motion_blur, noise.gaussian_noise, noise.shot_noise, resampling.rescale,
        compression.jpeg, compression.jpeg2000, tone.contrast, tone.exposure, tone.oversharpening, blur.lens_blur,
        resampling.ringing, resampling.pixelation, noise.film_grain, noise.pattern_noise, noise.raw_sensor,
        denoising.camera_denoising, smoothing.edge_preserving_smoothing, compression.palette, compression.avif,
        blur.ghosting, resampling.interlacing, blur.frosted_glass, resampling.aliasing, smoothing.painterly_smoothing,
        denoising.transform_denoising, compression.video_compression, denoising.bilateral_denoising,
        denoising.patch_denoising, denoising.wavelet_denoising, noise.chroma_noise, tone.local_contrast,
        damage.dust_and_scratches, damage.block_loss, compression.texture_compression,
    )
}  # fmt: skip
"""The kinds that training uses. Their order decides what a seed gives."""
GLOBAL_CHANGES = ("contrast", "exposure")
"""Drawn half as often as the others: a dark or soft photograph may be meant that way."""
COUNT_SHARES = (0.15, 0.5, 0.25, 0.1)
"""Shares of images with 0 (clean), 1, 2 and 3 degradations."""


def degrade(image: Tensor, rng: Generator, second_order: float = 0.0) -> Tensor:
    """A random mixture: 0 to 3 different degradations in random order, each of a uniformly random severity.

    Args:
        image: (3, H, W) in [0, 1].
        rng: the only source of randomness.
        second_order: share of images that go through a second mixture, like a photograph that was edited, sent and
            compressed again (Wang et al., "Real-ESRGAN", 2021; Zhang et al., "BSRGAN", 2021).

    Returns:
        (3, H, W) in [0, 1], float32; the unchanged image in the clean share.
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
