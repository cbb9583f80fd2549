"""The label of a synthetic training image: how much of its clean original it kept.

quality = 100 exp(-(NLPD + 2 GMSD) / 0.5) [ours], on luminance, from 0 to 100 (identical to the original). NLPD
(Laparra et al. 2016) follows luminance, contrast and loss of detail; GMSD (Xue et al. 2014) follows uneven structural
damage. Both are normalised by the local contrast, which makes labels comparable between images, and neither needs
weights.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor

GMSD_WEIGHT = 2.0
SOFTNESS = 0.5


def reference_quality(images: Tensor, originals: Tensor) -> Tensor:
    """(B, 3, H, W) and (B, 3, H, W), both in [0, 1], to (B,) in [0, 100]; sides of 64 pixels or more.

    Raises:
        ValueError: the shapes differ or are too small.
    """
    if images.shape != originals.shape or images.ndim != 4 or min(images.shape[-2:]) < 64:
        shapes = f"{tuple(images.shape)} and {tuple(originals.shape)}"
        raise ValueError(f"expected two batches (B, 3, H, W) of one shape with sides >= 64, received {shapes}")
    from pyiqa.archs.gmsd_arch import gmsd

    with torch.no_grad():
        distance = _nlpd()(images, originals).flatten() + GMSD_WEIGHT * gmsd(images, originals).flatten()
        return 100 * torch.exp(-distance / SOFTNESS)


@cache
def _nlpd() -> Any:
    from pyiqa.archs.nlpd_arch import NLPD

    return NLPD()
