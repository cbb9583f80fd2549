"""DiffusionPrior: an exactly invertible, differentiable map between photographs and noise."""

import math
import warnings
from typing import Any

import torch
from diffusers import SchedulerMixin
from torch import Tensor, nn

from mslique import UserError

from .activations import OVERHEAD, SHARE, free_bytes, kept_bytes
from .codec import Codec, Identity
from .conditioning import Condition
from .denoiser import Denoiser, as_dtype, patch_size
from .loading import load_condition, load_model
from .networks import make_network
from .options import TILE, PriorOptions
from .schedule import make_schedule
from .solvers import generate_reversibly, invert, make_solver
from .tiles import pad

DEFAULT = PriorOptions()
SMALLEST_TILE = 4
"""In units of the sides that the network takes: an image tile of 256 pixels for Stable Diffusion [ours]."""


class DiffusionPrior(nn.Module):
    """f and f^-1 of diffusion-latent MAP: codec, then an exactly invertible sampler around a frozen network.

    The coupling arithmetic runs in float64 (float32 where the device has none) whatever the network's precision, so
    that ``sample(invert_latents(z))`` equals z to rounding: both directions call the network on the same input.

    Args:
        network: the network of diffusers, of any family that :func:`dlmap.networks.make_network` knows.
        codec: ``Codec(vae)``, or ``Identity()`` for a pixel-space model.
        scheduler: the model's diffusers scheduler. It gives the noise schedule.
        options: see :class:`PriorOptions`.
        condition: prompt of a conditional network.

    Raises:
        UserError: an option out of range, a scheduler that is neither a discrete DDPM schedule nor a flow, or a network
            of another kind, or whose channels are not those of the codec.
    """

    def __init__(
        self,
        network: Any,
        codec: Codec | Identity,
        scheduler: SchedulerMixin,
        options: PriorOptions = DEFAULT,
        condition: Condition | None = None,
    ) -> None:
        super().__init__()
        self.codec, self.coupling = codec, getattr(torch, options.coupling)
        self.gradient = "checkpoint" if options.offload else options.gradient
        self._bytes_a_call: dict[Any, int] = {}
        known = make_network(network, codec.factor)
        patch = patch_size(*known.channels, None if isinstance(codec, Identity) else codec.channels)
        self.multiple = codec.factor * patch * known.cell
        tokens = None if options.tile is None else (-(-options.tile // self.multiple)) ** 2
        self.schedule = make_schedule(scheduler, options.num_steps, options.spacing, options.strength, tokens)
        further = (condition, patch, options.compile, options.offload)
        self.denoiser = Denoiser(known, self.schedule, options.precision, *further)
        self.solver = make_solver(options.solver, self.schedule)
        if self.denoiser.dtype is torch.bfloat16 and options.solver != "edict":
            seen = "the rounding of a bf16 network shows in the pictures, as noise of a few levels"
            way_out = "choose precision: float32, or solver: edict"
            warnings.warn(f"with solver {options.solver} {seen}: {way_out}", stacklevel=2)
        self._set_tile(options.tile)

    @classmethod
    def from_pretrained(
        cls,
        path: str,
        prompt: str = "",
        negative_prompt: str = "",
        guidance_scale: float | None = None,
        embeddings: str | None = None,
        **options: Any,
    ) -> "DiffusionPrior":
        """Load a diffusers folder or hub id, of any family in :data:`dlmap.networks.FAMILIES`.

        Text encoders are not loaded where ``embeddings`` are given, and freed once they have embedded the prompt.

        Args:
            path: folder, name of a prior that ships (``data/ldm-tiny``), or hub id.
            prompt: for a conditional model; by default the empty one.
            negative_prompt: what guidance leads away from.
            guidance_scale: of classifier-free guidance, with two network calls; an input of one for FLUX.
            embeddings: a file of ``dlmap embed``, in place of a prompt, a negative prompt and a guidance scale.
            options: those of :class:`PriorOptions`, by name.

        Raises:
            UserError: the folder or id is missing or holds no such model; an option is out of range.
        """
        settings = PriorOptions(**options)
        model = load_model(path, as_dtype(settings.precision))
        condition = load_condition(model, prompt, negative_prompt, guidance_scale, embeddings)
        return cls(model.load_network(), model.codec, model.scheduler, settings, condition)

    def keep_nothing(self) -> bool:
        """Compute calls and decoded images again in the backward pass from now on; False if that is so already."""
        kept, self.gradient = self.gradient != "checkpoint", "checkpoint"
        return kept

    def shrink_tiles(self) -> bool:
        """Halve the side of the tiles, or start to cut images into tiles; False if they are the smallest already."""
        smallest = SMALLEST_TILE * self.multiple
        if self.tile is not None and self.tile <= smallest:
            return False
        self._set_tile(TILE if self.tile is None else max(self.tile // 2, smallest))
        return True

    def _set_tile(self, tile: int | None) -> None:
        smallest, largest = SMALLEST_TILE * self.multiple, self.denoiser.network.largest * self.codec.factor
        if not smallest <= (math.inf if tile is None else tile) <= largest:
            raise UserError(f"tile must be from {smallest} to {largest} pixels for this prior, got {tile}")
        self.tile = None if tile is None else -(-tile // self.multiple) * self.multiple
        self.denoiser.tile = None if self.tile is None else self.tile // self.multiple
        self.codec.tile = None if self.tile is None else min(self.tile, TILE) // self.codec.factor

    def encode(self, images: Tensor) -> Tensor:
        """The codec alone: (B, 3, H, W) in [0, 1], sides multiples of ``multiple`` -> latents (B, C, h, w)."""
        height, width = images.shape[-2:]
        if images.ndim != 4 or images.shape[1] != 3 or height % self.multiple or width % self.multiple:
            wanted = f"(B, 3, H, W) with sides that are multiples of {self.multiple}"
            raise ValueError(f"images must be {wanted}, got {tuple(images.shape)}: pad them, or call enhance()")
        return self.codec.encode(images)

    def decode(self, latents: Tensor) -> Tensor:
        """The codec alone: latents (B, C, h, w) -> images (B, 3, H, W) in [0, 1]."""
        return self.codec.decode(latents, alone=self.gradient == "checkpoint")

    @torch.no_grad()
    def invert_latents(self, latents: Tensor) -> Tensor:
        """Clean latents (B, C, h, w) -> noise state (B, 2, C, h, w) of the solver, in the coupling's precision."""
        dtype = torch.float32 if latents.device.type == "mps" else self.coupling
        return invert(latents.to(dtype), [*self.solver.moves, *self.solver.start], self.denoiser)

    def sample(self, noise: Tensor) -> Tensor:
        """Noise state (B, 2, C, h, w) -> clean latents (B, K, C, h, w); EDICT gives K = 2 images that it couples.

        To generate from fresh noise, repeat one N(0, I) sample along the second dimension.
        """
        # the gradient comes from the network in its precision: carrying it in float64 would cost memory for nothing
        network = (self.denoiser, self.denoiser.pull)
        pair = generate_reversibly(noise, self.solver.moves, *network, torch.float32, self._keep(noise))
        return pair if self.solver.images == pair.shape[1] else pair[:, : self.solver.images]

    def _keep(self, noise: Tensor) -> int:
        """Of how many network calls, counted from the data, a gradient with respect to this noise keeps activations.

        It is 0 where the calls are tiled: a backward pass computes the tiles again, one at a time.
        """
        if self.denoiser.is_tiled(noise[:, 0]):
            return 0
        calls = sum(move.index is not None for move in self.solver.moves)
        if self.gradient != "auto" or not (noise.requires_grad and torch.is_grad_enabled()):
            return calls if self.gradient == "full" else 0
        key = noise.shape, noise.device
        if key not in self._bytes_a_call:
            self._bytes_a_call[key] = kept_bytes(self.denoiser, self.denoiser, noise[:, 0], 1)
        return min(calls, int(SHARE * free_bytes(noise.device) / max(OVERHEAD * self._bytes_a_call[key], 1)))

    def denoise(self, images: Tensor, level: float) -> Tensor:
        """The prior's posterior mean of images in which it takes ``level`` for noise, in one network call.

        E[x0 | x0 + level n = x] by Tweedie's formula (Robbins 1956; Efron 2011): x - denoise(x) is -level^2 times the
        gradient of the log density of the noisy images. Of a latent prior the latents are denoised, and what the
        autoencoder loses of the images is added back.

        Args:
            images: (B, 3, H, W) in [0, 1], of any size; differentiable in them.
            level: sigma / alpha, the noise's standard deviation where clean latents (pixels in [-1, 1]) have the scale
                that the prior was trained with: 0.1 is 12.75 levels of 8 bits in pixel space.

        Returns:
            (B, 3, H, W) in [0, 1].

        Raises:
            UserError: the prior was not trained at this level.
        """
        height, width = images.shape[-2:]
        padded = pad(images, self.multiple)
        latents = self.encode(padded)
        clean = self.decode(self.denoiser.posterior_mean(latents, level))
        if not isinstance(self.codec, Identity):
            clean = clean + padded - self.decode(latents)
        return clean[..., :height, :width].clamp(0, 1)

    @torch.no_grad()
    def invert(self, images: Tensor) -> Tensor:
        """f^-1: images (B, 3, H, W) in [0, 1] -> the solver's noise state (B, 2, C, h, w)."""
        return self.invert_latents(self.encode(images))

    def generate(self, noise: Tensor) -> Tensor:
        """f: noise state (B, 2, C, h, w) -> images (B, 3, H, W) in [0, 1]; differentiable."""
        return self.decode(self.sample(noise)[:, 0])
