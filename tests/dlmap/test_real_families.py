"""The real blocks of every family, few of them, in full width at random weights, through ``lightning predict``."""

import gc
import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from family_sizes import FAMILIES, make_vae, words
from toys import check_enhances, photos, tokenizer
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from dlmap import DiffusionPrior
from dlmap.networks import make_network

SHORT: dict[str, dict[str, Any]] = {
    "SDXL": {"transformer_layers_per_block": (1, 1, 1)},
    "SD3 medium": {"num_layers": 2},
    "SD3.5 medium": {"num_layers": 2, "dual_attention_layers": (0,)},
    "SD3.5 large": {"num_layers": 2},
    "FLUX.1-dev": {"num_layers": 1, "num_single_layers": 1},
    "PixArt-Sigma": {"num_layers": 2},
}
"""What is changed in the published configurations."""


def clip(kind: Any, width: int, heads: int, projection: int) -> Any:
    """The width of the published text encoder, two of its layers and four of its words."""
    return kind(
        CLIPTextConfig(
            vocab_size=4, hidden_size=width, intermediate_size=4 * width, num_hidden_layers=2,
            num_attention_heads=heads, bos_token_id=0, eos_token_id=1, pad_token_id=1, projection_dim=projection,
        )
    ).half()  # fmt: skip


def save(name: str, folder: Path) -> dict[str, str]:
    """Write the model, with small text encoders or with embeddings beside it; the option that gives the prompt."""
    torch.manual_seed(0)
    family = FAMILIES[name]
    network = make_network(family.kind(**family.options | SHORT[name]))
    kind = network.pipeline
    assert kind is not None
    parts: dict[str, Any] = {part: None for part in inspect.signature(kind).parameters if part.startswith("t")}
    if name == "SDXL":
        parts |= {"tokenizer": tokenizer(folder, 77), "text_encoder": clip(CLIPTextModel, 768, 12, 768)}
        bigg = clip(CLIPTextModelWithProjection, 1280, 20, 1280)
        parts |= {"tokenizer_2": tokenizer(folder, 77), "text_encoder_2": bigg}
        option = {"prompt": "a"}
    else:
        words(network, 20).save(folder / "words.safetensors")
        option = {"embeddings": str(folder / "words.safetensors")}
    parts["unet" if name == "SDXL" else "transformer"] = network.model.half()
    kind(**parts, vae=make_vae(**family.vae).half(), scheduler=family.scheduler).save_pretrained(folder / "model")
    return option


@pytest.mark.slow
@pytest.mark.parametrize("name", SHORT)
def test_real_blocks_enhance_a_photo_and_are_inverted_exactly(name: str, tmp_path: Path) -> None:
    model = {**save(name, tmp_path), "path": str(tmp_path / "model"), "num_steps": 2, "precision": "float32"}
    check_enhances(tmp_path, 64, 96, iterations=1, **model)
    gc.collect()  # the model of the run, which is in cycles of references
    prior = DiffusionPrior.from_pretrained(**model)
    with torch.no_grad():
        latents = prior.encode(photos(1, 64, 96))
        noise = prior.invert_latents(latents)
        assert (noise - latents[:, None]).abs().max() > 0.1  # the network moves them
        assert (prior.sample(noise) - latents[:, None]).abs().max() <= 1e-10
