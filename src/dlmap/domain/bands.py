"""A domain of few numbers: the gains of bands into which the prior splits the picture."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..prior import DiffusionPrior
from .protocol import repeated


class Bands:
    """The prior splits the image into K bands. The state has one number a band: how far its gain moves the picture.

    D_k is the posterior mean of the image x at the k-th noise level, and D_0 = x. The bands are b_k = D_{k-1} - D_k:
    what the prior takes for noise at the k-th level, but not at the level before. An image is

        x + sum_k g_k b_k,   g_k = state_k / (255 rms(b_k)),

    A gain of -1 takes a band away. This is denoising: by Tweedie's formula, a step up the prior's log density. A gain
    above 0 raises the band. This is sharpening: a step away from the denoised image. Detail manipulation by multi-scale
    decomposition works in the same way (Farbman et al. 2008), with another filter; x - D(x) is also the gradient of RED
    (Romano et al. 2017) [ours].

    The prior is called at the start only. An iteration costs no call of its network.

    Args:
        prior: the diffusion model that gives the posterior means.
        levels: K noise levels, ascending (:meth:`DiffusionPrior.denoise`).
        gains: bounds of g.
    """

    def __init__(self, prior: DiffusionPrior, levels: Sequence[float], gains: tuple[float, float]) -> None:
        for level in levels:
            prior.schedule.at_level(level)  # raises a UserError for one that the prior does not know
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
