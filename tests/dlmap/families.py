"""Every family of priors, built small at random weights through diffusers' and transformers' own classes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    PixArtAlphaPipeline,
    PixArtTransformer2DModel,
    SD3Transformer2DModel,
    StableDiffusion3Pipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from toys import stable_diffusion, tokenizer, vae
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

SD_BETAS: dict[str, Any] = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
WIDTH = 16
"""Of the T5 encoder; that of a CLIP encoder is half of it."""


def clip(kind: Any) -> Any:
    return kind(
        CLIPTextConfig(
            vocab_size=4, hidden_size=WIDTH // 2, intermediate_size=8, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=7, bos_token_id=0, eos_token_id=1, pad_token_id=1, projection_dim=WIDTH // 2,
        )
    )  # fmt: skip


def t5() -> T5EncoderModel:
    return T5EncoderModel(T5Config(vocab_size=4, d_model=WIDTH, d_kv=4, d_ff=16, num_layers=1, num_heads=2))


def t5_tokenizer() -> T5Tokenizer:
    return T5Tokenizer(vocab=[("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁a", -1.0)], model_max_length=16)


def sdxl(folder: Path) -> StableDiffusionXLPipeline:
    unet = UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, cross_attention_dim=WIDTH,
        attention_head_dim=2, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), addition_embed_type="text_time", addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + WIDTH // 2, use_linear_projection=True,
    )  # fmt: skip
    scheduler = EulerDiscreteScheduler(**SD_BETAS, timestep_spacing="leading", steps_offset=1)
    texts = (clip(CLIPTextModel), clip(CLIPTextModelWithProjection), tokenizer(folder, 7), tokenizer(folder, 7))
    return StableDiffusionXLPipeline(vae(), *texts, unet, scheduler)


def sd3(folder: Path) -> StableDiffusion3Pipeline:
    transformer = SD3Transformer2DModel(
        sample_size=16, patch_size=2, in_channels=4, num_layers=2, attention_head_dim=8, num_attention_heads=2,
        joint_attention_dim=WIDTH, caption_projection_dim=16, pooled_projection_dim=WIDTH, out_channels=4,
        pos_embed_max_size=32, qk_norm="rms_norm", dual_attention_layers=(0,),
    )  # fmt: skip
    texts = [part for _ in range(2) for part in (clip(CLIPTextModelWithProjection), tokenizer(folder, 7))]
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    return StableDiffusion3Pipeline(transformer, scheduler, vae(), *texts, t5(), t5_tokenizer())


def flux(folder: Path, guidance: bool = True) -> FluxPipeline:
    transformer = FluxTransformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=WIDTH, pooled_projection_dim=WIDTH // 2, guidance_embeds=guidance, axes_dims_rope=(4, 4, 8),
    )  # fmt: skip
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    texts = (clip(CLIPTextModel), tokenizer(folder, 7), t5(), t5_tokenizer())
    return FluxPipeline(scheduler, vae(), *texts, transformer)


def pixart(folder: Path) -> PixArtAlphaPipeline:
    transformer = PixArtTransformer2DModel(
        num_attention_heads=3, attention_head_dim=8, in_channels=4, out_channels=8, num_layers=1,
        cross_attention_dim=24, sample_size=128, patch_size=2, caption_channels=WIDTH,
    )  # fmt: skip
    scheduler = DPMSolverMultistepScheduler(beta_start=0.0001, beta_end=0.02)
    return PixArtAlphaPipeline(t5_tokenizer(), t5(), vae(), transformer, scheduler)


FAMILIES: dict[str, Callable[[Path], Any]] = {
    "sd": stable_diffusion,
    "sdxl": sdxl,
    "sd3": sd3,
    "flux": flux,
    "pixart": pixart,
}


def pipeline(name: str, folder: Path) -> Any:
    """The pipeline of a family, its weights drawn anew so that no output layer is zero."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    pipe = FAMILIES[name](folder)
    network = getattr(pipe, "transformer", None) or pipe.unet
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(std=0.05)
    pipe.set_progress_bar_config(disable=True)
    return pipe
