"""Closed-form and tiny models that stand in for a diffusion model and a quality model."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMPipeline,
    PNDMScheduler,
    StableDiffusionPipeline,
    UNet2DConditionModel,
    UNet2DModel,
)
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from dlmap import DiffusionPrior, PriorOptions
from dlmap.codec import Identity
from dlmap.pretrain.module import SCHEDULE
from dlmap.run.files import read_csv
from dlmap.run.pictures import save_png
from dlmap.schedule import Schedule, make_schedule
from mslique import MSLIQE, lightning_cli

CONFIG = Path(__file__).parents[2] / "configs" / "dlmap" / "published_tiny.yaml"


NO_CRITIC = "--model.objective.critic=null"
"""With the default configuration: its critic refuses another quality model."""
IN_STAGES = (
    '--model.ascent=[{"domain": "bands", "levels": [0.05, 0.2], "radius": 2, "iterations": 2, "target": 1000},'
    ' {"iterations": 1, "target": 1000}]'
)
"""Gains of bands, then noise: after the options of the fixture ``models``."""


def schedule(num_steps: int = 20, **changes: object) -> Schedule:
    return make_schedule(DDIMScheduler(**{**SCHEDULE, **changes}), num_steps)


def unet(patch: int = 2, seed: int = 0) -> UNet2DModel:
    """A U-Net of 50 thousand parameters whose output layer is not zero, as it would be at its start."""
    torch.manual_seed(seed)
    return UNet2DModel(
        sample_size=16,
        in_channels=3 * patch**2,
        out_channels=3 * patch**2,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
        add_attention=False,
    )


def prior(num_steps: int = 4, patch: int = 2, **options: Any) -> DiffusionPrior:
    scheduler = DDIMScheduler(prediction_type="v_prediction", **SCHEDULE)
    return DiffusionPrior(unet(patch), Identity(), scheduler, PriorOptions(num_steps=num_steps, **options))


def save_prior(folder: str) -> None:
    scheduler = DDIMScheduler(prediction_type="v_prediction", **SCHEDULE)
    DDPMPipeline(unet=unet(), scheduler=scheduler).save_pretrained(folder)


def tokenizer(folder: Path, length: int) -> CLIPTokenizer:
    """CLIP's tokenizer with a vocabulary of four tokens; writes its two files to the folder."""
    (folder / "vocab.json").write_text('{"<|startoftext|>": 0, "<|endoftext|>": 1, "a</w>": 2, "a": 3}')
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(folder, model_max_length=length)


def vae() -> AutoencoderKL:
    """An autoencoder of a few thousand parameters that halves the sides."""
    torch.manual_seed(0)
    return AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
        layers_per_block=1,
        scaling_factor=0.37,
    )


def stable_diffusion(folder: Path) -> StableDiffusionPipeline:
    """Stable Diffusion's parts, a few thousand parameters each; the tokenizer's files go to the folder."""
    torch.manual_seed(0)
    text = CLIPTextConfig(
        vocab_size=4, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=7, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    network = UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=8, attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    scheduler = PNDMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1)
    parts = (vae(), CLIPTextModel(text), tokenizer(folder, 7), network, scheduler, None, None)
    return StableDiffusionPipeline(*parts, requires_safety_checker=False)


class Gaussian:
    """The exact u, noise or velocity, for data of independent N(0, std^2), and the exact probability flow."""

    def __init__(self, schedule: Schedule, std: float = 0.5) -> None:
        self.schedule, self.std = schedule, std

    def spread(self, i: int) -> float:
        return ((self.schedule.alphas[i] * self.std) ** 2 + self.schedule.sigmas[i] ** 2) ** 0.5

    def __call__(self, x: Tensor, i: int) -> Tensor:
        alpha, sigma = self.schedule.alphas[i], self.schedule.sigmas[i]
        noise, clean = sigma * x / self.spread(i) ** 2, alpha * self.std**2 * x / self.spread(i) ** 2
        return noise - clean if self.schedule.flow else noise

    def flow(self, x: Tensor) -> Tensor:
        """Noise at index N carried to index 0 along the flow: the marginal's quantile is kept."""
        return x * self.spread(0) / self.spread(self.schedule.num_steps)


def wavy(x: Tensor, i: int) -> Tensor:
    """A nonlinear noise prediction in which neighbours mix."""
    return torch.sin(3 * x + i) + 0.1 * x.flip(-1)


class Brightness(nn.Module):
    """A quality model whose score is the mean of the image, times 100."""

    def forward(self, images: Tensor) -> Tensor:
        return 100 * images.mean(dim=(1, 2, 3))


def photos(count: int = 2, height: int = 32, width: int = 32, seed: int = 0) -> Tensor:
    """Smooth random images (B, 3, H, W) in [0.2, 0.8]."""
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return 0.2 + 0.6 * nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")


def save_quality(folder: str, seed: int = 0) -> None:
    """An MS-LIQE of a few thousand parameters at random weights, with views of 32 pixels."""
    torch.manual_seed(seed)
    backbone = {
        "embed_dim": 16,
        "quick_gelu": True,
        "vision_cfg": {"layers": 1, "width": 16, "head_width": 8, "patch_size": 16, "image_size": 32},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 2, "layers": 1},
    }
    MSLIQE(backbone=backbone, n_crops=2, center=1.98447, scale=0.93984, piece=512).save_pretrained(folder)


def predict(folder: Path, output: Path, *options: str, config: Path = CONFIG) -> int:
    """The command on a folder, in this process; its exit status."""
    return lightning_cli.main(
        ["predict", "--config", str(config), "--data.folder", str(folder), "--output", str(output), *options]
    )


def check_enhances(folder: Path, height: int, width: int, iterations: int, **prior: object) -> None:
    """With sd15.yaml and these options of the prior, the command enhances a photograph of this size; on a CPU."""
    save_quality(str(folder / "quality"))
    save_png(photos(1, height, width)[0], folder / "in" / "a.png")
    options = {
        **{f"--model.prior.{name}": value for name, value in prior.items()},
        "--model.objective.quality.model": folder / "quality",
        "--model.ascent.iterations": iterations,
        "--trainer.accelerator": "cpu",
    }
    given = [f"{name}={value}" for name, value in options.items()]
    assert predict(folder / "in", folder / "out", *given, config=CONFIG.with_name("sd15.yaml")) == 0
    (row,) = read_csv(folder / "out" / "results.csv")
    assert row["status"] == "ok" and row["iterations"] == str(iterations)
    enhanced = np.asarray(Image.open(folder / "out" / "a.png"))
    assert enhanced.shape == (height, width, 3) and enhanced.std() > 0


def rows_of(output: Path) -> dict[str, dict[str, str]]:
    """The rows of results.csv by the names of the photographs."""
    return {row["file"]: row for row in read_csv(output / "results.csv")}
