"""Stable Diffusion's architecture, in full size at random weights, through ``lightning predict``."""

from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionPipeline
from family_sizes import FAMILIES, OTHERS, make_vae
from toys import check_enhances, tokenizer


def save_sd15(folder: Path) -> None:
    """The configuration files of Stable Diffusion 1.5; what they leave to diffusers' defaults is left to them here."""
    family = FAMILIES["SD 1.5"]
    vae, unet = make_vae(sample_size=512), family.kind(**family.options)
    assert sum(p.numel() for p in unet.parameters()) == 859_520_964  # as published
    text, words = OTHERS["CLIP-L"](), tokenizer(folder, 77)
    parts = (vae.half(), text.half(), words, unet.half(), family.scheduler, None, None)
    StableDiffusionPipeline(*parts, requires_safety_checker=False).save_pretrained(folder / "sd")


@pytest.mark.slow
def test_stable_diffusion_enhances_a_photo(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_sd15(tmp_path)
    check_enhances(tmp_path, 256, 256, iterations=2, path=tmp_path / "sd", num_steps=2)
