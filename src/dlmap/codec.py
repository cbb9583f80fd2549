"""The autoencoder between images and the latents in which a prior diffuses."""

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, VQModel
from torch import Tensor, nn

from mslique import UserError

from .networks.network import refuse
from .tiles import Tiling, blended


class Codec(nn.Module):
    """A frozen autoencoder, in tiles where images are larger than one.

    An AutoencoderKL gives the mean of the posterior, not a sample, so that runs repeat. A VQModel gives its latents
    before their quantisation, and decodes without it [ours], so that small moves of them change the image. An
    AutoencoderTiny (TAESD) has no posterior.

    Latents are shifted and scaled as the autoencoder's configuration says: by ``shift_factor`` and ``scaling_factor``,
    or by the ``latents_mean`` and ``latents_std`` of every channel. One in half precision whose configuration has
    ``force_upcast`` computes in float32.

    Not a bijection: ``decode(encode(x))`` loses what the autoencoder cannot represent.

    Attributes:
        tile: side of a tile in latents, None for no tiles.
        channels: of the latents.

    Raises:
        UserError: its images are not of three channels, or its configuration has values that do not fit together.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, vae: AutoencoderKL | AutoencoderTiny | VQModel, tile: int | None = None) -> None:
        super().__init__()
        _check(vae)
        config = vae.config
        if vae.dtype is torch.float16 and config.force_upcast:
            vae = vae.float()
        self.vae = vae.to(memory_format=torch.channels_last).eval().requires_grad_(False)
        mean, std = config.get("latents_mean"), config.get("latents_std")
        self.scale = float(config.scaling_factor or 1)
        for name, values in (("mean", mean or [float(config.get("shift_factor") or 0)]), ("std", std or [1.0])):
            self.register_buffer(name, torch.tensor(values).view(1, -1, 1, 1), persistent=False)
        self.factor = 2 ** (len(config.block_out_channels) - 1)
        self.channels = int(config.get("vq_embed_dim") or config.latent_channels)
        self.quantised = isinstance(vae, VQModel)
        self.tile = tile

    def encode(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1], sides multiples of ``factor`` -> (B, C, H / factor, W / factor); differentiable."""
        side = self.tile or max(images.shape[-2:])
        return blended(self._encode, images, Tiling(side, inputs=self.factor, outputs=1))

    def decode(self, latents: Tensor, alone: bool = False) -> Tensor:
        """(B, C, h, w) -> (B, 3, h * factor, w * factor) float32, clamped to [0, 1]; differentiable.

        Args:
            alone: decode one image after another, again in the backward pass, in the memory of one.
        """
        side = self.tile or max(latents.shape[-2:])
        scaled = (latents * self.std / self.scale + self.mean).to(self.vae.dtype)
        return blended(self._decode, scaled, Tiling(side, 1, self.factor, alone)).clamp(0, 1)

    def _encode(self, images: Tensor) -> Tensor:
        encoded = self.vae.encode((2 * images - 1).to(self.vae.dtype))
        latents = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latents
        return (latents - self.mean) * self.scale / self.std

    def _decode(self, scaled: Tensor) -> Tensor:
        options = {"force_not_quantize": True} if self.quantised else {}
        return self.vae.decode(scaled, **options).sample.float() / 2 + 0.5


def _check(vae: AutoencoderKL | AutoencoderTiny | VQModel) -> None:
    """Refuse what a codec of photographs cannot be."""
    refuse(vae, **dict.fromkeys(("in_channels", "out_channels"), (3,)))
    refuse(vae, upsampling_scaling_factor=(None, 2), lookup_from_codebook=(None, False))
    config = vae.config
    fits = {
        "encoder_block_out_channels": len(config.block_out_channels),
        "latents_mean": config.latent_channels,
        "latents_std": config.latent_channels,
    }
    for key, count in fits.items():
        if config.get(key) and len(config[key]) != count:
            found = f"{len(config[key])} {key} in place of {count}"
            raise UserError(f"this {type(vae).__name__} has {found}: its config.json is damaged")


class Identity(nn.Module):
    """The codec of a pixel-space prior: latents are the pixels in [-1, 1]."""

    factor = 1
    tile: int | None = None

    def encode(self, images: Tensor) -> Tensor:
        return 2 * images - 1

    def decode(self, latents: Tensor, alone: bool = False) -> Tensor:
        return latents.float().mul(0.5).add(0.5).clamp(0, 1)
