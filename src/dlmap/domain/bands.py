"""A domain of few numbers: the gains of bands into which the prior splits the picture."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..prior import DiffusionPrior
from .protocol import repeated


class Bands:
    """One number for each of K bands into which the prior splits the image: how far the band's gain moves the picture.

    With D_k the posterior mean of the image x at the k-th noise level, D_0 = x, the bands are b_k = D_{k-1} - D_k: what
    the prior takes for noise at the k-th level and not yet at the one before. An image is

        x + sum_k g_k b_k,   g_k = state_k / (255 rms(b_k)),

    so that a gain of -1 takes a band away (denoising, by Tweedie's formula a step up the prior's log density) and one
    above 0 raises it (sharpening, away from the denoised image). A multi-scale decomposition as for manipulating detail
    (Farbman et al. 2008), its filter the prior; x - D(x) is also the gradient of RED (Romano et al. 2017) [ours].

    The prior is called at the start alone: an iteration costs no call of the network.

    Args:
        prior: whose posterior means are taken.
        levels: K noise levels, ascending (:meth:`DiffusionPrior.denoise`).
        gains: bounds of g.
    """

    def __init__(self, prior: DiffusionPrior, levels: Sequence[float], gains: tuple[float, float]) -> None:
        self.prior, self.levels, self.gains = prior, levels, gains
        self.speed = math.sqrt(len(levels))  # as if the bands were orthogonal, which they nearly are

    @torch.no_grad()
    def start(self, images: Tensor) -> Tensor:
        self.given, self.bands, finer = images, [], images
        for level in self.levels:
            coarser = self.prior.denoise(images, level)
            self.bands.append(finer - coarser)
            finer = coarser
        sizes = [255 * band.square().mean(dim=(1, 2, 3)).sqrt() for band in self.bands]
        self.sizes = torch.stack(sizes, dim=1)
        return torch.zeros_like(self.sizes)

    def images(self, states: Tensor, rows: list[int]) -> Tensor:
        gains = states / self.sizes[rows].clamp_min(torch.finfo(states.dtype).tiny)
        image = repeated(self.given, rows, 1)
        for band, gain in zip(self.bands, gains.unbind(dim=1), strict=True):
            image = image + gain[:, None, None, None] * repeated(band, rows, 1)
        return image.clamp(0, 1)[:, None]

    def project(self, state: Tensor, row: int) -> None:
        low, high = self.gains
        state.copy_(state.clamp(low * self.sizes[row], high * self.sizes[row]))
