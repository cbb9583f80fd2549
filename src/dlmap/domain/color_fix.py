"""Colours and light stay: a domain around another one."""

import torch.nn.functional as F
from torch import Tensor

from .protocol import Domain, repeated


class ColorFix:
    """Every image takes its coarse content from the image given, so that colours and light stay [ours].

    StableSR and other diffusion models fix colours in a like way. Here the fix is part of the ascent and its gradient.

    Args:
        domain: where the ascent moves.
        scale: what is coarser than this, in pixels, is taken from the image given.
    """

    def __init__(self, domain: Domain, scale: float) -> None:
        self.domain, self.scale = domain, scale
        self.speed, self.project, self.statistics = domain.speed, domain.project, domain.statistics

    def start(self, images: Tensor) -> Tensor:
        self.coarse = self._shrunk(images)
        return self.domain.start(images)

    def images(self, states: Tensor, rows: list[int]) -> Tensor:
        free = self.domain.images(states, rows)
        count, images = free.shape[1], free.flatten(0, 1)
        given = repeated(self.coarse, rows, count)
        moved = F.interpolate(given - self._shrunk(images), images.shape[-2:], mode="bicubic")
        return (images + moved).clamp(0, 1).unflatten(0, (-1, count))

    def _shrunk(self, images: Tensor) -> Tensor:
        """Averages over about ``scale`` pixels: (B, 3, H, W) -> (B, 3, h, w)."""
        sides = [max(1, round(side / self.scale)) for side in images.shape[-2:]]
        return F.interpolate(images, sides, mode="bilinear", antialias=True)
