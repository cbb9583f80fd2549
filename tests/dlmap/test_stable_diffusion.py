"""Stable Diffusion's architecture, in full size at random weights, through ``lightning predict``."""

from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from toys import check_enhances, tokenizer
from transformers import CLIPTextConfig, CLIPTextModel


def save_sd15(folder: Path) -> None:
    """The configuration files of Stable Diffusion 1.5; what they leave to diffusers' defaults is left to them here."""
    text = CLIPTextConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        sample_size=512,
    )
    scheduler = PNDMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, skip_prk_steps=True, steps_offset=1
    )
    unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768)
    assert sum(p.numel() for p in unet.parameters()) == 859_520_964  # as published
    words = tokenizer(folder, 77)
    parts = (vae.half(), CLIPTextModel(text).half(), words, unet.half(), scheduler, None, None)
    StableDiffusionPipeline(*parts, requires_safety_checker=False).save_pretrained(folder / "sd")


@pytest.mark.slow
def test_stable_diffusion_enhances_a_photo(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_sd15(tmp_path)
    check_enhances(tmp_path, 256, 256, iterations=2, path=tmp_path / "sd", num_steps=2)
