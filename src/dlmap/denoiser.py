"""The network of a diffusion model as what a sampler asks for: precision, conditioning, tiles."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mslique import UserError

from .conditioning import Condition
from .networks import make_network
from .schedule import Point, Schedule
from .tiles import Tiling, blended, blended_pullback

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16}
PREDICTIONS = ("epsilon", "v_prediction", "sample")
SHIFTS = 2
"""Places of the grid of patches over which a posterior mean is averaged [ours]; 4 gain another 0.07 dB at most."""

TIE = 1e-11
"""Added to what a sampler asks for, in its own precision. A number exactly between two of the network's precision would
else be rounded to one of them on the way to the noise, and to the other one on the way back, where it differs by 1e-16
[ours]. Such numbers are not rare: latents of float32 for a bf16 network, or steps of a flow by 1/2 and 1/4."""


def best_precision() -> str:
    """ "bf16" where the hardware computes with it: on a GPU, or a CPU with AVX-512 bf16 or AMX; else "float32"."""
    if torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if fast else "float32"


def as_dtype(precision: str) -> torch.dtype:
    """The precision of that name; "auto": :func:`best_precision`.

    Raises:
        UserError: unknown precision.
    """
    if precision not in (*PRECISIONS, "auto"):
        raise UserError(f"precision must be one of {', '.join(PRECISIONS)}, auto, got {precision!r}")
    return PRECISIONS[best_precision() if precision == "auto" else precision]


def patch_size(takes: int, gives: int, latents: int | None = None) -> int:
    """Side k of the patches that a network sees as channels: 1 of latents; pixels make 3 k^2 channels.

    Args:
        takes, gives: channels of the network's input and output.
        latents: channels of the autoencoder's latents, None for a pixel-space model.

    Raises:
        UserError: the channels do not fit.
    """
    if latents is not None and takes != latents:
        raise UserError(
            f"the network takes {takes} channels, the autoencoder has latents of {latents}: they are parts of different"
            " models, or the network needs further inputs (inpainting, depth)"
        )
    if takes != gives:
        raise UserError(f"the network takes {takes} channels and gives {gives}: use one that predicts noise alone")
    k = math.isqrt(takes // 3)
    if latents is None and takes != 3 * k * k:
        raise UserError(f"a pixel-space U-Net needs 3 k^2 channels (3, 12, 48, ...), got {takes}: is its VAE missing?")
    return k if latents is None else 1


class Denoiser(nn.Module):
    """u(x, i), computed by a frozen network in its own precision and returned in the precision of x.

    u is the noise in the DDPM family, and the velocity of a flow (:class:`dlmap.schedule.Schedule`).

    With ``patch`` k > 1 the network sees k x k patches as channels (``pixel_unshuffle``): a permutation of the
    numbers, so that the diffusion stays one of pixels, at 1/k^2 of the cost. The grid of patches moves with the grid
    index, so that its borders fall elsewhere at every step and leave no trace; this is exactly invertible, since both
    directions use the same grid at the same index.

    Args:
        network: one of diffusers (:func:`dlmap.networks.make_network`); its weights are frozen.
        schedule: grid and prediction type.
        precision: "float32" or "bf16", that of weights and activations; "auto": :func:`best_precision`.
        condition: prompt of a conditional network, else None.
        patch: side of the patches, 1 for latents and for plain pixels.
        compile: whether ``torch.compile`` makes faster code for the network, which takes minutes for every new
            size.
        offload: whether the weights stay in main memory (:meth:`dlmap.networks.Network.offload`).

    Attributes:
        tile: side of a tile in ``margin``s; larger latents are predicted in overlapping tiles. None: never.

    Raises:
        UserError: unknown precision or prediction type, or a condition that is not the network's.
    """

    timesteps: Tensor

    def __init__(
        self,
        network: Any,
        schedule: Schedule,
        precision: str = "float32",
        condition: Condition | None = None,
        patch: int = 1,
        compile: bool = False,
        offload: bool = False,
    ) -> None:
        super().__init__()
        if not schedule.flow and schedule.prediction_type not in PREDICTIONS:
            raise UserError(f"prediction type {schedule.prediction_type!r} is not supported: {', '.join(PREDICTIONS)}")
        self.schedule, self.dtype, self.patch = schedule, as_dtype(precision), patch
        self.tile: int | None = None
        self.network = make_network(network)
        self.margin = patch * self.network.cell
        frozen = nn.Module.to(self.network.model, self.dtype)  # ModelMixin.to warns about nothing
        frozen.eval().requires_grad_(False).to(memory_format=torch.channels_last)
        if compile:
            frozen.compile()
        if offload:
            self.network.offload()
        # a number would be copied to the device, and compiled for, at every call
        self.register_buffer("timesteps", torch.tensor(schedule.timesteps), persistent=False)
        self.condition = (Condition({}) if condition is None else condition).to(self.dtype)
        self.network.check(self.condition.tensors())

    def forward(self, latents: Tensor, i: int) -> Tensor:
        """u at grid index ``i`` in 1..N for latents (B, C, h, w); same shape and dtype."""
        return blended(lambda x: self._predict(x, i), latents, self._tiling(latents))

    def posterior_mean(self, latents: Tensor, level: float) -> Tensor:
        """E[clean | noisy] for latents (B, C, h, w) that are clean latents plus noise of this standard deviation.

        By Tweedie's formula: with x = alpha latents, (x - sigma eps(x)) / alpha, which is x - s v(x) for a flow. Where
        the network sees patches, the mean over SHIFTS places of their grid [ours].
        """
        at = self.schedule.at_level(level)
        timestep = torch.tensor(at.timestep, device=latents.device)
        shifts = range(0, self.patch, max(1, self.patch // SHIFTS))

        def clean(x: Tensor) -> Tensor:
            u = sum(self._direction(at.alpha * x, timestep, at, (k, k)) for k in shifts)
            return at.alpha / at.scale * x - at.time / len(shifts) * u

        return blended(clean, latents, self._tiling(latents))

    def pull(self, latents: Tensor, i: int, cotangent: Tensor) -> tuple[Tensor, Tensor]:
        """u at grid index ``i``, and the product of the cotangent with its Jacobian; all (B, C, h, w).

        Of tiles, the activations of one at a time are kept.
        """
        return blended_pullback(lambda x: self._predict(x, i), latents, cotangent, self._tiling(latents))

    def is_tiled(self, latents: Tensor) -> bool:
        """Whether latents (B, C, h, w) are larger than a tile."""
        return not self._tiling(latents).is_whole(latents)

    def _tiling(self, latents: Tensor) -> Tiling:
        side = self.tile or max(latents.shape[-2:])
        return Tiling(side, self.margin, self.margin)

    def _predict(self, x: Tensor, i: int) -> Tensor:
        # 5 is coprime to the areas 4 and 16: consecutive steps are far apart and every offset occurs
        shift = divmod(5 * i % self.patch**2, self.patch)
        return self._direction(x + TIE, self.timesteps[i - 1], self.schedule.point(i), shift)

    def _direction(self, x: Tensor, timestep: Tensor, at: Point, shift: tuple[int, int]) -> Tensor:
        """u of x (B, C, h, w); the noise from v by v = alpha eps - sigma x0 (Salimans and Ho 2022)."""
        out = self._patched(x.to(self.dtype), timestep, shift).to(x.dtype)
        if self.schedule.flow or self.schedule.prediction_type == "epsilon":
            return out
        if self.schedule.prediction_type == "v_prediction":
            return at.alpha * out + at.sigma * x
        return (x - at.alpha * out) / at.sigma

    def _patched(self, x: Tensor, timestep: Tensor, shift: tuple[int, int]) -> Tensor:
        if self.patch == 1:
            return self._guided(x, timestep)
        (height, width), (top, left) = x.shape[-2:], shift
        borders = (left, self.margin - left, top, self.margin - top)
        padded = F.pad(x, borders, mode="reflect" if min(height, width) > self.margin else "replicate")
        out = F.pixel_shuffle(self._guided(F.pixel_unshuffle(padded, self.patch), timestep), self.patch)
        return out[..., top : top + height, left : left + width]

    def _guided(self, x: Tensor, timestep: Tensor) -> Tensor:
        x, guidance_scale = x.contiguous(memory_format=torch.channels_last), self.condition.guidance_scale
        given = self.condition.tensors(len(x))
        if guidance_scale is None:
            return self._call(x, timestep, given)
        without, prompted = self._call(torch.cat([x, x]), timestep, given).chunk(2)
        return without + guidance_scale * (prompted - without)

    def _call(self, x: Tensor, timestep: Tensor, given: dict[str, Tensor]) -> Tensor:
        out: Tensor = self.network(x, timestep, given)
        return out
