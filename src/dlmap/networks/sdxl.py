"""Stable Diffusion XL: a U-Net with two text encoders that is told the size of the image."""

from collections.abc import Mapping
from typing import Any

from diffusers import StableDiffusionXLPipeline, UNet2DConditionModel
from torch import Tensor

from ..conditioning import Condition
from .network import refuse, rows, width
from .unet import UNet

SIZES = 6
"""Time ids of the base model: original height and width, top and left of the crop, target height and width."""


class SDXL(UNet):
    """Podell et al., "SDXL: Improving Latent Diffusion Models for High-Resolution Image Synthesis" (2024), section 2.2.

    What the network sees, an image or a tile, is called a whole image of its own size, since the positions of tiles in
    a large photograph are far beyond those of the training [ours].
    """

    pipeline, text = StableDiffusionXLPipeline, ("tokenizer", "text_encoder", "tokenizer_2", "text_encoder_2")

    def __init__(self, model: Any, factor: int = 8) -> None:
        super().__init__(model, factor)
        refuse(model, encoder_hid_dim_type=(None,))

    @classmethod
    def fits(cls, model: Any) -> bool:
        return isinstance(model, UNet2DConditionModel) and model.config.addition_embed_type == "text_time"

    def widths(self) -> dict[str, int]:
        config = self.model.config
        pooled = config.projection_class_embeddings_input_dim - SIZES * config.addition_time_embed_dim
        return {"encoder_hidden_states": width(self.model, "cross_attention_dim"), "text_embeds": pooled}

    def predict(self, x: Tensor, timestep: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        ids = x.new_zeros(len(x), SIZES)  # filled where it is: a list would be copied to the device at every call
        ids[:, 0::4], ids[:, 1::4] = (side * self.factor for side in x.shape[-2:])
        added = {"text_embeds": condition["text_embeds"], "time_ids": ids}
        text = condition["encoder_hidden_states"]
        out: Tensor = self.model(x, timestep, encoder_hidden_states=text, added_cond_kwargs=added).sample
        return out

    def embed(self, pipe: Any, prompt: str, negative_prompt: str, guidance_scale: float | None) -> Condition:
        guided = guidance_scale is not None
        # None: a model that was trained without a prompt by zeros is told zeros, as its model_index.json says
        found = pipe.encode_prompt(
            prompt, device="cpu", do_classifier_free_guidance=guided, negative_prompt=negative_prompt or None
        )
        (given, negative, pooled, negative_pooled) = found
        tensors = {"encoder_hidden_states": rows(given, negative), "text_embeds": rows(pooled, negative_pooled)}
        return Condition(tensors, guidance_scale)
