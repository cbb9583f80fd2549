"""What an ascent moves: the noise of a diffusion prior, pixels, or the gains of the bands into which it splits them."""

import math
from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from mslique import UserError

from .prior import DiffusionPrior, pad

ROUND_TRIP = 1e-3
"""Largest root-mean-square error of latents, which are about 1, that went to the noise and back [ours]: of pixels an
eighth of an 8-bit level. The solvers stay many orders of magnitude below it."""


class NotInverted(UserError):
    """The inversion of an image does not lead back to it."""


class Domain(Protocol):
    """A map from states, which the ascent moves, to images; for one batch, told at the start.

    ``speed``: by about how many levels of 8 bits a picture moves where its state moves by 1, both root mean squares.
    """

    speed: float

    def start(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] -> the states (B, ...) that give them back."""
        ...

    def images(self, states: Tensor, rows: list[int]) -> Tensor:
        """States of the images ``rows`` of the batch -> K images of each, (len(rows), K, 3, H, W) in [0, 1]."""
        ...

    def project(self, state: Tensor, row: int) -> None:
        """Bring the state (...) of image ``row`` back, in place, to what is allowed, after a step."""
        ...


class Pixels:
    """The state is the image itself, kept in [0, 1]."""

    speed = 255.0

    def start(self, images: Tensor) -> Tensor:
        return images.clone()

    def images(self, states: Tensor, rows: list[int]) -> Tensor:
        return states[:, None]

    def project(self, state: Tensor, row: int) -> None:
        state.clamp_(0, 1)


class Latents:
    """The state is the prior's noise (2, C, h, w), from which EDICT gives K = 2 images.

    The first images, which come from the start, are checked to be those given; else NotInverted is raised.

    Args:
        prior: the exactly invertible map.
        residual: add x0 - decode(encode(x0)), what the autoencoder loses of the photograph, to every image [ours].
    """

    speed = 4 * 127.5
    """Latents, and pixels of a pixel-space prior, have a scale of about 1; four times that, so that a first step that
    is too long is the exception."""

    def __init__(self, prior: DiffusionPrior, residual: bool = False) -> None:
        self.prior, self.residual = prior, residual

    @torch.no_grad()
    def start(self, images: Tensor) -> Tensor:
        self.size = images.shape[-2:]
        padded = pad(images, self.prior.multiple)
        latents = self.prior.encode(padded)
        self.lost = images - self._cropped(self.prior.decode(latents)) if self.residual else None
        noise = self.prior.invert_latents(latents)
        self.unchecked: Tensor | None = latents
        return noise

    def images(self, states: Tensor, rows: list[int]) -> Tensor:
        latents = self.prior.sample(states)
        if self.unchecked is not None:  # the first images are generated from the start itself: the check is free
            check_round_trip(self.prior, self.unchecked[rows], latents.detach())
            self.unchecked = None
        images = self._cropped(self.prior.decode(latents.flatten(0, 1))).unflatten(0, latents.shape[:2])
        return images if self.lost is None else (images + self.lost[rows, None]).clamp(0, 1)

    def project(self, state: Tensor, row: int) -> None:
        pass

    def _cropped(self, images: Tensor) -> Tensor:
        return images[..., : self.size[0], : self.size[1]]


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


class ColorFix:
    """Every image takes what is coarser than some pixels from the one given, so that colours and light stay [ours].

    As the colour fix of other diffusion models, such as StableSR's, but within the ascent, whose gradient knows of it.

    Args:
        domain: where the ascent moves.
        scale: in pixels.
    """

    def __init__(self, domain: Domain, scale: float) -> None:
        self.domain, self.scale = domain, scale
        self.speed, self.project = domain.speed, domain.project

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


def repeated(images: Tensor, rows: list[int], count: int) -> Tensor:
    """Images (B, 3, H, W) -> those of ``rows``, each ``count`` times in a row; without a copy for a single one."""
    if len(rows) == 1:
        return images[rows[0]].expand(count, -1, -1, -1)
    return images[rows].repeat_interleave(count, dim=0)


def check_round_trip(prior: DiffusionPrior, latents: Tensor, back: Tensor) -> None:
    """Compare latents (B, C, h, w) with what their noise gives back, (B, K, C, h, w).

    Raises:
        NotInverted: they differ by more than ROUND_TRIP, or the difference is not a number.
    """
    norms = [torch.linalg.vector_norm(back[:, k] - latents, dim=(1, 2, 3)) for k in range(back.shape[1])]
    error = torch.stack(norms).max().item() / latents[0].numel() ** 0.5
    if not error <= ROUND_TRIP:
        network, coupling = (str(dtype).removeprefix("torch.") for dtype in (prior.denoiser.dtype, prior.coupling))
        raise NotInverted(
            f"the inversion does not lead back to the image: error {error:.2g}, at most {ROUND_TRIP} is allowed, with"
            f" precision {network}, coupling {coupling}, solver {type(prior.solver).__name__} and"
            f" {prior.schedule.num_steps} steps: take coupling float64, precision float32, spacing trailing or fewer"
            " steps"
        )
