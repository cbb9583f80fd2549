"""PixArt-alpha and PixArt-Sigma: diffusion transformers with a T5 text encoder."""

from collections.abc import Mapping
from typing import Any

from diffusers import PixArtSigmaPipeline, PixArtTransformer2DModel
from torch import Tensor

from ..conditioning import Condition
from .network import Network, refuse, rows, width


class PixArt(Network):
    """Chen et al., "PixArt-alpha" (2024) and "PixArt-Sigma" (2024). A variance that it predicts is dropped."""

    pipeline, text = PixArtSigmaPipeline, ("tokenizer", "text_encoder")

    def __init__(self, model: Any, factor: int = 8) -> None:
        super().__init__(model, factor)
        refuse(model, attention_type=(None, "default"))
        self.cell = model.config.patch_size

    @classmethod
    def fits(cls, model: Any) -> bool:
        return isinstance(model, PixArtTransformer2DModel)

    def widths(self) -> dict[str, int]:
        return {"encoder_hidden_states": width(self.model, "caption_channels", "cross_attention_dim")}

    def predict(self, x: Tensor, timestep: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        sides = x.new_tensor(x.shape[-2:]) * self.factor
        sizes = {"resolution": sides.repeat(len(x), 1), "aspect_ratio": (sides[:1] / sides[1:]).repeat(len(x), 1)}
        none = {"resolution": None, "aspect_ratio": None}
        added = sizes if self.model.use_additional_conditions else none
        out: Tensor = self.model(x, timestep=timestep.expand(len(x)), added_cond_kwargs=added, **condition).sample
        return out

    def embed(self, pipe: Any, prompt: str, negative_prompt: str, guidance_scale: float | None) -> Condition:
        guided = guidance_scale is not None
        given, mask, negative, negative_mask = pipe.encode_prompt(prompt, guided, negative_prompt, device="cpu")
        tensors = {
            "encoder_hidden_states": rows(given, negative),
            "encoder_attention_mask": rows(mask, negative_mask).float(),
        }
        return Condition(tensors, guidance_scale)
