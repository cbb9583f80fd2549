"""The domain of latent MAP: the noise of a diffusion prior."""

import torch
from torch import Tensor

from mslique import UserError

from ..prior import DiffusionPrior
from ..tiles import pad

ROUND_TRIP = 1e-3
"""Largest root-mean-square error of latents after the way to the noise and back [ours]. Latents have a scale of about
1, so that this is an eighth of an 8-bit level in pixels. The solvers stay many orders of magnitude below it."""


class NotInverted(UserError):
    """The inversion of an image does not lead back to it."""


class Latents:
    """The state is the prior's noise (2, C, h, w). EDICT gives K = 2 images of it, the other solvers one.

    The first images come from the inversion itself. If they are not the images given, NotInverted is raised.

    Args:
        prior: the exactly invertible map.
        residual: add x0 - decode(encode(x0)), what the autoencoder loses of the photograph, to every image [ours].
    """

    speed = 4 * 127.5
    """Latents, and pixels of a pixel-space prior, have a scale of about 1, which is 127.5 levels. Four times that makes
    a first step that is too long the exception."""

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

    def statistics(self) -> None:
        return None

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
