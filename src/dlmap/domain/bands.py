"""A domain of few numbers: the gains of bands into which a filter and the prior split the picture."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..prior import DiffusionPrior
from .protocol import repeated

FILTERS = 2
"""Bands of filters."""
FAINT = 2.5
"""Noise of this root mean square, in levels of 8 bits, can hardly be seen."""


class Bands:
    """The prior splits the image into K bands. The state has one number a band: how far its gain moves the picture.

    D_k is the posterior mean of the image x at the k-th noise level, and D_0 = x. The bands are b_k = D_{k-1} - D_k:
    what the prior takes for noise at the k-th level, but not at the level before. With ``unsharp`` there are two more
    before them, filters of a denoised image D_{K-1} (:func:`filtered`). An image is

        x + sum_k g_k b_k,   g_k = state_k / (255 rms(b_k)).

    A gain of -1 takes a band away. This is denoising: by Tweedie's formula, a step up the prior's log density. A gain
    above 0 raises the band. This is sharpening: a step away from the denoised image. Detail manipulation by multi-scale
    decomposition works in the same way (Farbman et al. 2008), with another filter; x - D(x) is also the gradient of RED
    (Romano et al. 2017) [ours]. The prior keeps edges and takes faint texture for noise; the filters treat both alike,
    and their bands have little noise. So these mend blur and sharpening, and no texture is painted over [ours]. Most of
    b_1 may be noise: it is not raised above a root mean square of :data:`FAINT` levels [ours].

    The prior is called at the start only. An iteration costs no call of its network.

    Args:
        prior: the diffusion model that gives the posterior means.
        levels: K noise levels, ascending (:meth:`DiffusionPrior.denoise`).
        gains: bounds of g.
        unsharp: standard deviation of the filters in pixels; 0: there are none, and the state has K numbers, not K + 2.
    """

    def __init__(
        self, prior: DiffusionPrior, levels: Sequence[float], gains: tuple[float, float], unsharp: float = 0.0
    ) -> None:
        for level in levels:
            prior.schedule.at_level(level)  # raises a UserError for one that the prior does not know
        self.prior, self.levels, self.gains, self.unsharp = prior, levels, gains, unsharp
        self.bands: list[Tensor] = []
        self.filters = FILTERS if unsharp else 0
        self.speed = math.sqrt(len(levels) + self.filters)  # as if the bands were orthogonal

    @torch.no_grad()
    def start(self, images: Tensor) -> Tensor:
        self.given, self.bands, coarser = images, [], images
        for level in self.levels:
            finer, coarser = coarser, self.prior.denoise(images, level)
            self.bands.append(finer - coarser)
        if self.unsharp:
            self.bands = [*filtered(finer, self.unsharp), *self.bands]
        sizes = [255 * band.square().mean(dim=(1, 2, 3)).sqrt() for band in self.bands]
        self.sizes = torch.stack(sizes, dim=1)
        return torch.zeros_like(self.sizes)

    @torch.no_grad()
    def statistics(self) -> Tensor:
        """Of every band, and of its mean over the channels: logarithms of the root mean square, the mean and the median
        of the absolute values, in levels of 8 bits (medians tell noise: Donoho 1995). Of D_{K-1}: logarithms of the
        mean differences of neighbours in four directions and of the standard deviation. The mean of the image.
        Correlations of neighbouring pixels of every band, at distances of one and two; 0 where there are no such.
        """
        sizes, neighbours = [], []
        for band in self.bands:
            for part in (band, band.mean(1, keepdim=True)):
                values = part.flatten(1).abs()
                sizes += [values.square().mean(1).sqrt(), values.mean(1), values.median(1).values]
            power = band.square().mean((1, 2, 3)).clamp_min(1e-9)
            for apart, side in ((1, -1), (1, -2), (2, -1), (2, -2)):
                length = max(0, band.shape[side] - apart)
                product = band.narrow(side, 0, length) * band.narrow(side, band.shape[side] - length, length)
                neighbours.append(product.mean((1, 2, 3)) / power)
        rest = self.given - sum(self.bands[self.filters : -1])
        sizes += [step.abs().mean((1, 2, 3)) for step in differences(rest)] + [rest.std((1, 2, 3))]
        logarithms = [(255 * size).clamp_min(0.01).log() for size in sizes]
        found = torch.stack([*logarithms, self.given.mean((1, 2, 3)), *neighbours], dim=1)
        return found.nan_to_num(0.0)

    def images(self, states: Tensor, rows: list[int]) -> Tensor:
        gains = states / self.sizes[rows].clamp_min(torch.finfo(states.dtype).tiny)
        image = repeated(self.given, rows, 1)
        for band, gain in zip(self.bands, gains.unbind(dim=1), strict=True):
            image = image + gain[:, None, None, None] * repeated(band, rows, 1)
        return image.clamp(0, 1)[:, None]

    def project(self, state: Tensor, row: int) -> None:
        (low, high), sizes, finest = self.gains, self.sizes[row], self.filters
        most = high * sizes
        most[finest] = most[finest].clamp(max=(FAINT - sizes[finest]).clamp_min(0))
        state.copy_(state.clamp(low * sizes, most))


def filtered(images: Tensor, deviation: float) -> list[Tensor]:
    """Two bands, each (B, 3, H, W) like the images x. With G, a Gaussian filter of this deviation in pixels:

    (1 - G) x is the band of an unsharp mask. (1 - G)^2 x is what the second step of van Cittert's deconvolution (1931)
    adds.
    """
    fine = images - smoothed(images, deviation)
    return [fine, fine - smoothed(fine, deviation)]


def smoothed(images: Tensor, deviation: float) -> Tensor:
    """A Gaussian filter; pixels of the border are repeated. (B, 3, H, W) -> the same."""
    reach = math.ceil(4 * deviation)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1).to(images) / deviation).square())
    across = (weights / weights.sum()).expand(3, 1, 1, -1)
    images = F.conv2d(F.pad(images, (reach, reach, 0, 0), "replicate"), across, groups=3)
    return F.conv2d(F.pad(images, (0, 0, reach, reach), "replicate"), across.mT, groups=3)


def differences(images: Tensor) -> list[Tensor]:
    """Of neighbours: along rows, columns and both diagonals."""
    shifted = images[..., 1:, 1:], images[..., :-1, :-1], images[..., 1:, :-1], images[..., :-1, 1:]
    return [images.diff(dim=-1), images.diff(dim=-2), shifted[0] - shifted[1], shifted[2] - shifted[3]]
