"""The prompt of a text-conditional diffusion model."""

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from mslique import UserError


@dataclass(frozen=True)
class Condition:
    """Text embeddings: (1, tokens, width) of a prompt, or (2, tokens, width) of a negative prompt and a prompt.

    With ``guidance_scale`` g there are two, and the prediction is negative + g (prompt - negative), at twice the cost
    (Ho and Salimans, "Classifier-Free Diffusion Guidance", arXiv 2207.12598, eq. 6 with g = w + 1).
    """

    embedding: Tensor
    guidance_scale: float | None = None


def make_condition(pipe: Any, prompt: str, negative_prompt: str, guidance_scale: float | None) -> Condition | None:
    """The condition for a diffusers pipeline; None for one whose U-Net takes none.

    Raises:
        UserError: the U-Net takes no prompt but one is given, or it takes more than one prompt's embedding, or a
            negative prompt comes without a guidance scale.
    """
    if not isinstance(pipe.unet, UNet2DConditionModel):
        if prompt or negative_prompt or guidance_scale is not None:
            raise UserError("this prior has no text encoder: leave prompt, negative_prompt and guidance_scale out")
        return None
    if negative_prompt and guidance_scale is None:
        raise UserError("a negative_prompt has an effect only with guidance_scale: set it, such as 2.0")
    more = [name for name in ("addition_embed_type", "class_embed_type") if pipe.unet.config.get(name) is not None]
    if more or getattr(pipe, "text_encoder", None) is None or getattr(pipe, "tokenizer", None) is None:
        raise UserError(
            f"{type(pipe).__name__} is conditioned on more than one prompt's embedding ({', '.join(more) or 'no text'}"
            " encoder): use a Stable Diffusion 1.x or 2.x model, or an unconditional one"
        )
    texts = [prompt] if guidance_scale is None else [negative_prompt, prompt]
    return Condition(_embedding(pipe, texts), guidance_scale)


@torch.no_grad()
def _embedding(pipe: Any, texts: list[str]) -> Tensor:
    """(len(texts), tokens, width); what is beyond the encoder's length is cut off."""
    length = pipe.tokenizer.model_max_length
    tokens = pipe.tokenizer(texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt")
    masked = getattr(pipe.text_encoder.config, "use_attention_mask", False)
    return pipe.text_encoder(tokens.input_ids, attention_mask=tokens.attention_mask if masked else None)[0]
