"""What the ascent moves: the noise of a diffusion prior (latent MAP), or the pixels (pixel MAP, direct ascent)."""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from mslique import UserError

from .likelihood import energies, lost_likelihood
from .prior import DiffusionPrior, pad

ROUND_TRIP = 1e-3
"""Largest root-mean-square error of latents, which are about 1, that went to the noise and back [ours]: of pixels an
eighth of an 8-bit level. The solvers stay many orders of magnitude below it."""


class NotInverted(UserError):
    """The inversion of an image does not lead back to it."""


class Domain(Protocol):
    """A map from states, which the ascent moves, to images; for one batch, told at the start."""

    def start(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] -> the states (B, ...) that give them back."""
        ...

    def images(self, states: Tensor, rows: list[int]) -> Tensor:
        """States of the images ``rows`` of the batch -> K images of each, (len(rows), K, 3, H, W) in [0, 1]."""
        ...

    def penalty(self, states: Tensor, rows: list[int]) -> Tensor:
        """What is taken off the objective of each image because of its state, (len(rows),)."""
        ...

    def project(self, state: Tensor, row: int) -> None:
        """Bring the state (...) of image ``row`` back, in place, to what is allowed, after a step."""
        ...


class Pixels:
    """The state is the image itself, kept in [0, 1]."""

    def start(self, images: Tensor) -> Tensor:
        return images.clone()

    def images(self, states: Tensor, rows: list[int]) -> Tensor:
        return states[:, None]

    def penalty(self, states: Tensor, rows: list[int]) -> Tensor:
        return states.new_zeros(len(rows))

    def project(self, state: Tensor, row: int) -> None:
        state.clamp_(0, 1)


class Latents:
    """The state is the prior's noise (2, C, h, w), from which EDICT gives K = 2 images.

    The first images, which come from the start, are checked to be those given; else NotInverted is raised.

    Args:
        prior: the exactly invertible map.
        residual: add x0 - decode(encode(x0)), what the autoencoder loses of the photograph, to every image [ours].
        noise_weight: of the penalty :func:`lost_likelihood`.
        renormalise: give each of the two sequences its norm at the start after every step.
        single: decode the first image of the pair only.
    """

    def __init__(
        self,
        prior: DiffusionPrior,
        residual: bool = False,
        noise_weight: float = 0.0,
        renormalise: bool = False,
        single: bool = False,
    ) -> None:
        self.prior, self.residual, self.noise_weight, self.renormalise = prior, residual, noise_weight, renormalise
        self.single = single

    @torch.no_grad()
    def start(self, images: Tensor) -> Tensor:
        self.size = images.shape[-2:]
        padded = pad(images, self.prior.multiple)
        latents = self.prior.encode(padded)
        self.lost = images - self._cropped(self.prior.decode(latents)) if self.residual else None
        noise = self.prior.invert_latents(latents)
        self.unchecked: Tensor | None = latents
        self.norms = _norms(noise) if self.renormalise else None
        self.energies = energies(noise) if self.noise_weight else None
        return noise

    def images(self, states: Tensor, rows: list[int]) -> Tensor:
        latents = self.prior.sample(states)
        if self.unchecked is not None:  # the first images are generated from the start itself: the check is free
            check_round_trip(self.prior, self.unchecked[rows], latents.detach())
            self.unchecked = None
        latents = latents[:, :1] if self.single else latents
        images = self._cropped(self.prior.decode(latents.flatten(0, 1))).unflatten(0, latents.shape[:2])
        return images if self.lost is None else (images + self.lost[rows, None]).clamp(0, 1)

    def penalty(self, states: Tensor, rows: list[int]) -> Tensor:
        if self.energies is None:
            return states.new_zeros(len(rows))
        return self.noise_weight * lost_likelihood(states, self.energies[rows])

    def project(self, state: Tensor, row: int) -> None:
        if self.norms is not None:
            state.mul_(self.norms[row] / _norms(state))

    def _cropped(self, images: Tensor) -> Tensor:
        return images[..., : self.size[0], : self.size[1]]


class ColorFix:
    """Every image takes what is coarser than some pixels from the one given, so that colours and light stay [ours].

    As the colour fix of other diffusion models, such as StableSR's, but within the ascent, whose gradient knows of it.

    Args:
        domain: where the ascent moves.
        scale: in pixels.
    """

    def __init__(self, domain: Domain, scale: float) -> None:
        self.domain, self.scale = domain, scale
        self.penalty, self.project = domain.penalty, domain.project

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


def _norms(noise: Tensor) -> Tensor:
    return noise.flatten(-3).norm(dim=-1)[..., None, None, None]
