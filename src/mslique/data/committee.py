"""The label of a synthetic training image: how much of its clean original it kept, by four full-reference measures.

quality = the mean over the measures of 100 exp(-(d / s)^p) [ours], from 0 to 100 (identical to the original), with
the distance d of a measure:

========  ======================================================  =====================================================
nlpd      normalised Laplacian pyramid (Laparra et al. 2016)      luminance, contrast and loss of detail
gmsd      gradient magnitude deviation (Xue et al. 2014)          structural damage, above all where it is uneven
ms_ssim   1 - MS-SSIM of three scales (Wang et al. 2003)          structure at several scales
fsim      1 - FSIMc (Zhang et al. 2011)                           contours and colour
========  ======================================================  =====================================================

No measure needs downloaded weights, and each is 0 for identical images. A flat original has no phase: FSIM then says
only whether the image is identical; the rest is rounding, and differs between machines. VIF is not used: it rates
sharpened images above the original, and gives 0 for two equal flat images. VSI is not used: it costs more than the
other measures together.

s and p bring the measures to one scale: each gives less than 25 to a quarter of the training mixtures, and more than 75
to another quarter. ``python benchmarks/label_constants.py PHOTOS`` fits them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

MS_SSIM_WEIGHTS = (0.0708, 0.4516, 0.4776)
"""The published weights of the three finest scales, divided by their sum. The coarser two need sides of 176 pixels."""


@dataclass(frozen=True)
class Member:
    """A distance (B, 3, H, W), (B, 3, H, W) -> (B,), 0 or more, and the constants s and p of its scale."""

    distance: Callable[[Tensor, Tensor], Tensor]
    scale: float
    power: float

    def quality(self, images: Tensor, originals: Tensor) -> Tensor:
        return 100 * torch.exp(-((self.distance(images, originals).clamp(min=0) / self.scale) ** self.power))


def reference_quality(images: Tensor, originals: Tensor) -> Tensor:
    """(B, 3, H, W) and (B, 3, H, W), both in [0, 1], to (B,) in [0, 100]; sides of 64 pixels or more.

    Raises:
        ValueError: the shapes differ or are too small.
    """
    if images.shape != originals.shape or images.ndim != 4 or min(images.shape[-2:]) < 64:
        shapes = f"{tuple(images.shape)} and {tuple(originals.shape)}"
        raise ValueError(f"expected two batches (B, 3, H, W) of one shape with sides >= 64, received {shapes}")
    with torch.no_grad(), torch.autocast(images.device.type, enabled=False):  # it may run in a training step
        return torch.stack([member.quality(images, originals) for member in COMMITTEE.values()]).mean(dim=0)


def fit_scale(distances: Tensor) -> tuple[float, float]:
    """s and p for which 100 exp(-(d / s)^p) is 75 at the lower quartile of distances (N,), and 25 at the upper.

    Raises:
        ValueError: the quartiles are equal or not positive.
    """
    low, high = torch.quantile(distances.double(), torch.tensor([0.25, 0.75], dtype=torch.double)).tolist()
    if not 0 < low < high:
        raise ValueError(f"no scale has 75 at {low} and 25 at {high}: give distances of degraded images")
    at_low, at_high = math.log(4 / 3), math.log(4)
    power = math.log(at_high / at_low) / math.log(high / low)
    return low / at_low ** (1 / power), power


def _nlpd(images: Tensor, originals: Tensor) -> Tensor:
    return _nlpd_module()(images.cpu(), originals.cpu()).flatten().to(images.device)  # its filters stay on the CPU


@cache
def _nlpd_module() -> Any:
    from pyiqa.archs.nlpd_arch import NLPD

    return NLPD()


def _gmsd(images: Tensor, originals: Tensor) -> Tensor:
    from pyiqa.archs.gmsd_arch import gmsd

    return gmsd(images, originals).flatten()


def _ms_ssim(images: Tensor, originals: Tensor) -> Tensor:
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms_ssim

    luma = images.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    image, original = ((batch * luma).sum(dim=1, keepdim=True) for batch in (images, originals))
    found = ms_ssim(image, original, data_range=1.0, reduction="none", betas=MS_SSIM_WEIGHTS, normalize="relu")
    return 1 - found.flatten()


def _fsim(images: Tensor, originals: Tensor) -> Tensor:
    from pyiqa.archs.fsim_arch import fsim

    # one by one is faster: several images at once do not fit into the processor's cache
    return torch.cat([1 - fsim(a, b).flatten() for a, b in zip(images.split(4), originals.split(4), strict=True)])


COMMITTEE = {
    "nlpd": Member(_nlpd, 0.3582, 1.743),
    "gmsd": Member(_gmsd, 0.1194, 1.244),
    "ms_ssim": Member(_ms_ssim, 0.1394, 0.888),
    "fsim": Member(_fsim, 0.1903, 1.331),
}
