"""The autoencoder between images and the latents in which a prior diffuses."""

import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn


class Codec(nn.Module):
    """A frozen AutoencoderKL. The posterior's mean is encoded, not a sample, so that runs repeat.

    Not a bijection: ``decode(encode(x))`` loses what the autoencoder cannot represent.
    """

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.vae = vae.to(memory_format=torch.channels_last).eval().requires_grad_(False)
        self.scale = float(vae.config.scaling_factor)
        self.factor = 2 ** (len(vae.config.block_out_channels) - 1)

    def encode(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1], sides multiples of ``factor`` -> (B, C, H / factor, W / factor)."""
        return self.vae.encode((2 * images - 1).to(self.vae.dtype)).latent_dist.mode() * self.scale

    def decode(self, latents: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, 3, h * factor, w * factor) float32, clamped to [0, 1]; differentiable."""
        decoded = self.vae.decode((latents / self.scale).to(self.vae.dtype)).sample
        return (decoded.float() / 2 + 0.5).clamp(0, 1)


class Identity(nn.Module):
    """The codec of a pixel-space prior: latents are the pixels in [-1, 1]."""

    factor = 1

    def encode(self, images: Tensor) -> Tensor:
        return 2 * images - 1

    def decode(self, latents: Tensor) -> Tensor:
        return (latents.float() / 2 + 0.5).clamp(0, 1)
