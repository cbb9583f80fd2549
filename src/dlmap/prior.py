"""DiffusionPrior: an exactly invertible, differentiable map between photographs and noise."""

from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline, SchedulerMixin, UNet2DConditionModel, UNet2DModel
from torch import Tensor, nn

from mslique import UserError

from .codec import Codec, Identity
from .denoiser import Denoiser, patch_size
from .schedule import make_schedule
from .solvers import generate_reversibly, invert, make_solver


class DiffusionPrior(nn.Module):
    """f and f^-1 of diffusion-latent MAP: codec, then an exactly invertible sampler around a frozen network.

    The coupling arithmetic runs in float64 (float32 where the device has none) whatever the network's precision, so
    that ``sample(invert_latents(z))`` equals z to rounding: both directions call the network on the same input.

    Args:
        unet: the noise-prediction network.
        codec: ``Codec(vae)``, or ``Identity()`` for a pixel-space model.
        scheduler: the model's diffusers scheduler, of which the noise schedule is read.
        solver: name of the sampler: "edict".
        num_steps: steps of the sampler.
        precision: "float32" or "bf16", that of the U-Net.
        spacing: "leading", "trailing" or "linspace"; None keeps the scheduler's own.
        condition: (1, tokens, width) text embedding of a conditional U-Net.

    Raises:
        UserError: an option out of range, or a scheduler that is not a discrete DDPM schedule.
    """

    def __init__(
        self,
        unet: UNet2DModel | UNet2DConditionModel,
        codec: Codec | Identity,
        scheduler: SchedulerMixin,
        solver: str = "edict",
        num_steps: int = 20,
        precision: str = "float32",
        spacing: str | None = None,
        condition: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.codec = codec
        self.schedule = make_schedule(scheduler, num_steps, spacing)
        patch = patch_size(unet.config.in_channels) if isinstance(codec, Identity) else 1
        self.denoiser = Denoiser(unet, self.schedule, precision, condition, patch)
        self.solver = make_solver(solver, self.schedule)
        self.multiple = codec.factor * self.denoiser.margin

    @classmethod
    def from_pretrained(
        cls,
        path: str,
        solver: str = "edict",
        num_steps: int = 20,
        precision: str = "float32",
        spacing: str | None = None,
    ) -> "DiffusionPrior":
        """Load a diffusers folder or hub id: a latent or pixel-space model, conditional (empty prompt) or not.

        Raises:
            UserError: the folder or id is missing or holds no such model; an option is out of range.
        """
        pipe = _load_pipeline(path)
        vae = getattr(pipe, "vae", None) or getattr(pipe, "vqvae", None)
        unet, scheduler = getattr(pipe, "unet", None), getattr(pipe, "scheduler", None)
        if unet is None or scheduler is None:
            raise UserError(
                f"{path} is a {type(pipe).__name__} without a U-Net and a scheduler: give a DDPM or LDM model"
            )
        condition = _empty_prompt(pipe) if isinstance(unet, UNet2DConditionModel) else None
        codec = Identity() if vae is None else Codec(vae)
        return cls(unet, codec, scheduler, solver, num_steps, precision, spacing, condition)

    def encode(self, images: Tensor) -> Tensor:
        """The codec alone: (B, 3, H, W) in [0, 1], sides multiples of ``multiple`` -> latents (B, C, h, w)."""
        height, width = images.shape[-2:]
        if images.ndim != 4 or images.shape[1] != 3 or height % self.multiple or width % self.multiple:
            raise ValueError(
                f"images must be (B, 3, H, W) with sides that are multiples of {self.multiple},"
                f" got {tuple(images.shape)}: pad them, or call enhance(), which does"
            )
        return self.codec.encode(images)

    def decode(self, latents: Tensor) -> Tensor:
        """The codec alone: latents (B, C, h, w) -> images (B, 3, H, W) in [0, 1]."""
        return self.codec.decode(latents)

    @torch.no_grad()
    def invert_latents(self, latents: Tensor) -> Tensor:
        """Clean latents (B, C, h, w) -> noise state (B, 2, C, h, w) of the solver, in the coupling's precision."""
        return invert(latents.to(_coupling_dtype(latents.device)), self.solver.moves, self.denoiser)

    def sample(self, noise: Tensor) -> Tensor:
        """Noise state (B, 2, C, h, w) -> clean latents (B, K, C, h, w); EDICT gives K = 2 images that it couples."""
        return generate_reversibly(noise, self.solver.moves, self.denoiser)[:, : self.solver.images]

    def invert(self, images: Tensor) -> Tensor:
        """f^-1: images (B, 3, H, W) in [0, 1] -> the solver's noise state (B, 2, C, h, w)."""
        with torch.no_grad():
            return self.invert_latents(self.encode(images))

    def shrink_tiles(self) -> bool:
        """Halve the side of the tiles of network and codec; False when they are the smallest already."""
        return False

    def generate(self, noise: Tensor) -> Tensor:
        """f: noise state (B, 2, C, h, w) -> images (B, 3, H, W) in [0, 1]; differentiable."""
        return self.decode(self.sample(noise)[:, 0])


def _coupling_dtype(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64


def _load_pipeline(path: str) -> Any:
    local = Path(path).is_dir()
    if local and not (Path(path) / "model_index.json").is_file():
        raise UserError(f"{path} holds no model_index.json: give a diffusers model folder, not one of its parts")
    try:
        unneeded = ("safety_checker", "feature_extractor", "image_encoder")
        absent = {name: None for name in unneeded if name in DiffusionPipeline.load_config(path)}
        return DiffusionPipeline.from_pretrained(path, use_safetensors=True, low_cpu_mem_usage=False, **absent)
    except (OSError, ValueError) as reason:
        detail = " ".join(str(reason).split())[:300] if local else type(reason).__name__
        raise UserError(
            f"{path} is not a diffusers folder with safetensors weights, nor a model on the hub that can be reached"
            f" ({detail}): give a folder such as data/ldm-tiny, or check the id and the network"
        ) from reason


@torch.no_grad()
def _empty_prompt(pipe: Any) -> Tensor:
    """(1, tokens, width) embedding of the empty prompt: guidance-free, one network call."""
    tokens = pipe.tokenizer("", padding="max_length", max_length=pipe.tokenizer.model_max_length, return_tensors="pt")
    return pipe.text_encoder(tokens.input_ids)[0]
