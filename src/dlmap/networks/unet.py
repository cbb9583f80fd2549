"""U-Nets: unconditional ones in pixels or latents, and Stable Diffusion 1.x and 2.x."""

from collections.abc import Mapping
from typing import Any

from diffusers import StableDiffusionPipeline, UNet2DConditionModel, UNet2DModel
from torch import Tensor

from ..conditioning import Condition
from .network import Network, refuse, rows, width


class UNet(Network):
    """Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models" (2022); Ho et al. (2020)."""

    def __init__(self, model: Any, factor: int = 8) -> None:
        super().__init__(model, factor)
        refuse(model, **dict.fromkeys(("class_embed_type", "num_class_embeds", "time_cond_proj_dim"), (None,)))
        refuse(model, **dict.fromkeys(("class_embeddings_concat", "dual_cross_attention"), (None, False)))
        refuse(model, time_embedding_type=("positional",), attention_type=(None, "default"))
        self.cell = 2 ** (len(model.config.block_out_channels) - 1)

    @classmethod
    def fits(cls, model: Any) -> bool:
        return isinstance(model, UNet2DModel)

    def predict(self, x: Tensor, timestep: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        out: Tensor = self.model(x, timestep, **condition).sample
        return out


class StableDiffusion(UNet):
    """A U-Net with one text encoder."""

    pipeline, text = StableDiffusionPipeline, ("tokenizer", "text_encoder")

    def __init__(self, model: Any, factor: int = 8) -> None:
        super().__init__(model, factor)
        refuse(model, addition_embed_type=(None,), encoder_hid_dim_type=(None, "text_proj"))

    @classmethod
    def fits(cls, model: Any) -> bool:
        return isinstance(model, UNet2DConditionModel) and model.config.addition_embed_type != "text_time"

    def widths(self) -> dict[str, int]:
        return {"encoder_hidden_states": width(self.model, "encoder_hid_dim", "cross_attention_dim")}

    def embed(self, pipe: Any, prompt: str, negative_prompt: str, guidance_scale: float | None) -> Condition:
        given, negative = pipe.encode_prompt(prompt, "cpu", 1, guidance_scale is not None, negative_prompt)
        return Condition({"encoder_hidden_states": rows(given, negative)}, guidance_scale)
