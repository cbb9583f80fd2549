"""Training a small latent-diffusion prior from scratch: first its codec, then its denoiser.

Both write into one folder in diffusers' own format (an ``LDMPipeline``), which ``DiffusionPrior`` loads.
"""

from pathlib import Path
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL, DDIMScheduler, LDMPipeline, UNet2DModel
from torch import Tensor
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import OneCycleLR

from mslique import UserError

# Stable Diffusion's noise schedule
SCHEDULE = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


class _Training(L.LightningModule):
    """What both trainings share: one-cycle AdamW over the parameters that are trained."""

    learning_rate: float

    def configure_optimizers(self) -> dict[str, Any]:
        trained = [p for p in self.parameters() if p.requires_grad]
        optimizer: Optimizer = AdamW(trained, lr=self.learning_rate, weight_decay=1e-3)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = OneCycleLR(optimizer, self.learning_rate, total_steps=steps, pct_start=0.05)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class CodecTraining(_Training):
    """Trains an AutoencoderKL: L1 reconstruction plus a small KL term, then fixes the scaling factor to 1/std.

    Args:
        config: keyword arguments of ``diffusers.AutoencoderKL``.
        output: folder of the prior; ``vae/`` is written below it when the training ends.
        kl_weight: weight of the KL divergence per latent element, against the L1 error per pixel value.
    """

    def __init__(
        self, config: dict[str, Any], output: str, kl_weight: float = 1e-4, learning_rate: float = 2e-3
    ) -> None:
        super().__init__()
        self.vae = AutoencoderKL(**config).to(memory_format=torch.channels_last)
        self.output, self.kl_weight, self.learning_rate = Path(output), kl_weight, learning_rate
        self.register_buffer("latent_square", torch.ones(()))

    def training_step(self, images: Tensor, index: int) -> Tensor:
        posterior = self.vae.encode(2 * images - 1).latent_dist
        decoded = self.vae.decode(posterior.sample()).sample
        reconstruction = F.l1_loss(decoded.float(), 2 * images - 1)
        divergence = posterior.kl().mean() / posterior.mean[0].numel()
        square = posterior.mean.detach().float().square().mean()
        self.latent_square.lerp_(square, 0.01)
        self.log("train/l1", reconstruction, prog_bar=True)
        return reconstruction + self.kl_weight * divergence

    def validation_step(self, images: Tensor, index: int) -> None:
        latents = self.vae.encode(2 * images - 1).latent_dist.mode()
        decoded = (self.vae.decode(latents).sample.float() / 2 + 0.5).clamp(0, 1)
        mse = (decoded - images).square().mean(dim=(1, 2, 3))
        self.log("val/psnr", (-10 * mse.log10()).mean(), prog_bar=True, sync_dist=True)

    def on_fit_end(self) -> None:
        if self.trainer.is_global_zero:
            self.vae.register_to_config(scaling_factor=round(float(self.latent_square) ** -0.5, 5))
            self.vae.save_pretrained(self.output / "vae")


class DenoiserTraining(_Training):
    """Trains a UNet2DModel by v-prediction (Salimans and Ho 2022, eq. for v) on the latents of a trained codec.

    Args:
        config: keyword arguments of ``diffusers.UNet2DModel``; its channels are set to the codec's.
        output: folder of the prior, which holds ``vae/``; the rest of the pipeline is written when the training ends.
        initial: folder of a prior whose denoiser the training starts from.
    """

    def __init__(
        self, config: dict[str, Any], output: str, learning_rate: float = 1e-3, initial: str | None = None
    ) -> None:
        super().__init__()
        self.output, self.learning_rate = Path(output), learning_rate
        if not (self.output / "vae").is_dir():
            raise UserError(f"{output}/vae is missing: train the codec first (configs/dlmap/pretrain_tiny_codec.yaml)")
        self.vae = AutoencoderKL.from_pretrained(self.output / "vae").requires_grad_(False)
        channels = self.vae.config.latent_channels
        unet = UNet2DModel(**{**config, "in_channels": channels, "out_channels": channels})
        if initial is not None:
            unet = UNet2DModel.from_pretrained(initial, subfolder="unet")
        self.unet = unet.to(memory_format=torch.channels_last)
        self.scheduler = DDIMScheduler(prediction_type="v_prediction", **SCHEDULE)

    def _loss(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Squared error of v, averaged over all but the batch: (B,); timesteps are stratified over the batch."""
        with torch.no_grad():
            latents = self.vae.encode(2 * images - 1).latent_dist.mode().float() * self.vae.config.scaling_factor
        count, steps = len(latents), self.scheduler.config.num_train_timesteps
        offset = torch.rand((), generator=generator)
        t = ((torch.arange(count) + offset) * steps / count).long().clamp(max=steps - 1).to(latents.device)
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        target = self.scheduler.get_velocity(latents, noise, t)
        predicted = self.unet(self.scheduler.add_noise(latents, noise, t), t).sample
        return (predicted.float() - target).square().mean(dim=(1, 2, 3))

    def training_step(self, images: Tensor, index: int) -> Tensor:
        loss = self._loss(images).mean()
        self.log("train/v_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, images: Tensor, index: int) -> None:
        loss = self._loss(images, torch.Generator().manual_seed(index)).mean()
        self.log("val/v_loss", loss, prog_bar=True, sync_dist=True)

    def on_fit_end(self) -> None:
        if self.trainer.is_global_zero:
            LDMPipeline(vqvae=self.vae, unet=self.unet, scheduler=self.scheduler).save_pretrained(self.output)
