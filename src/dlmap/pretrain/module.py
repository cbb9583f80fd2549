"""Training a small pixel-space diffusion prior from scratch."""

from pathlib import Path
from typing import Any

import lightning as L
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, DDPMPipeline, UNet2DModel
from torch import Tensor
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR

from mslique import (
    above_zero,
    check_finite,
    filled,
    generator_of,
    model_source,
    training_generator,
    training_steps,
)

from ..denoiser import patch_size

# Stable Diffusion's noise schedule
SCHEDULE: dict[str, Any] = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


class PriorTraining(L.LightningModule):
    """Trains a UNet2DModel by v-prediction (Salimans and Ho, "Progressive Distillation", 2022, section 4).

    A network with 3 k^2 input channels sees k x k patches of pixels as channels (see ``Denoiser``).

    Args:
        config: keyword arguments of ``diffusers.UNet2DModel``.
        output: folder that a diffusers pipeline is written to when the training ends.
        learning_rate: peak of the one-cycle schedule of AdamW.
        initial: folder, name of one that ships, or hub id of a prior whose network the training starts from.
        timestep_power: p of the timesteps T u^p, with u uniform in [0, 1). 1: uniform. 3: half of them are among the
            lowest eighth, at the noise levels that :meth:`dlmap.DiffusionPrior.denoise` is used at [ours].
    """

    def __init__(
        self,
        config: dict[str, Any],
        output: str,
        learning_rate: float = 1e-3,
        initial: str | None = None,
        timestep_power: float = 1.0,
    ) -> None:
        super().__init__()
        above_zero(learning_rate=learning_rate, timestep_power=timestep_power)
        self.output, self.learning_rate, self.timestep_power = Path(output), learning_rate, timestep_power
        if initial is None:
            unet = UNet2DModel(**config)
        else:
            unet = UNet2DModel.from_pretrained(model_source(initial), subfolder="unet")
        self.patch = patch_size(unet.config.in_channels, unet.config.out_channels)
        self.unet = unet.to(memory_format=torch.channels_last)
        self.scheduler = DDIMScheduler(prediction_type="v_prediction", **SCHEDULE)

    def _loss(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Mean squared error of v; the timesteps are stratified over the batch."""
        clean = F.pixel_unshuffle(2 * images - 1, self.patch)
        count, steps = len(clean), self.scheduler.config.num_train_timesteps
        offset = torch.rand((), generator=generator)
        u = (torch.arange(count) + offset) / count
        t = (steps * u**self.timestep_power).long().clamp(max=steps - 1).to(clean.device)
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        target = self.scheduler.get_velocity(clean, noise, t)
        noisy = self.scheduler.add_noise(clean, noise, t).contiguous(memory_format=torch.channels_last)
        return F.mse_loss(self.unet(noisy, t).sample.float(), target)

    def training_step(self, images: Tensor, index: int) -> Tensor:
        loss = self._loss(images, training_generator(self, index))
        self.log("train/v_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, images: Tensor, index: int) -> None:
        loss = self._loss(images, generator_of(self.global_rank, index))  # the same at every validation
        self.log("val/v_loss", loss, prog_bar=True, sync_dist=True)

    def configure_optimizers(self) -> Any:
        optimizer = AdamW(self.unet.parameters(), lr=self.learning_rate, weight_decay=1e-3, betas=(0.9, 0.99))
        schedule = OneCycleLR(optimizer, self.learning_rate, training_steps(self.trainer), pct_start=0.05)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_fit_end(self) -> None:
        """Write the pipeline, in half precision: the weights need no more.

        Raises:
            UserError: the weights are not finite, or the folder cannot be written; what was in it stays.
        """
        if self.trainer.is_global_zero:
            check_finite(self.unet.half().state_dict(), "the trained network")
            with filled(self.output) as folder:
                DDPMPipeline(unet=self.unet, scheduler=self.scheduler).save_pretrained(folder)
