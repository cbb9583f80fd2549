"""Stable Diffusion 3 and 3.5: a rectified-flow transformer with three text encoders."""

from collections.abc import Mapping
from typing import Any

from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline
from torch import Tensor

from ..conditioning import Condition
from .network import Network, rows


class SD3(Network):
    """Esser et al., "Scaling Rectified Flow Transformers for High-Resolution Image Synthesis" (2024).

    Its table of positions ends at ``largest``. A folder without the third text encoder (T5) is told zeros in its place.
    """

    pipeline = StableDiffusion3Pipeline
    text = tuple(f"{part}{number}" for number in ("", "_2", "_3") for part in ("tokenizer", "text_encoder"))

    def __init__(self, model: Any, factor: int = 8) -> None:
        super().__init__(model, factor)
        self.cell = model.config.patch_size
        self.largest = model.config.pos_embed_max_size * self.cell

    @classmethod
    def fits(cls, model: Any) -> bool:
        return isinstance(model, SD3Transformer2DModel)

    def widths(self) -> dict[str, int]:
        config = self.model.config
        return {
            "encoder_hidden_states": config.joint_attention_dim,
            "pooled_projections": config.pooled_projection_dim,
        }

    def predict(self, x: Tensor, timestep: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        out: Tensor = self.model(x, timestep=timestep.expand(len(x)), **condition).sample
        return out

    def embed(self, pipe: Any, prompt: str, negative_prompt: str, guidance_scale: float | None) -> Condition:
        guided = guidance_scale is not None
        found = pipe.encode_prompt(
            prompt, None, None, "cpu", do_classifier_free_guidance=guided, negative_prompt=negative_prompt
        )
        (given, negative, pooled, negative_pooled) = found
        tensors = {"encoder_hidden_states": rows(given, negative), "pooled_projections": rows(pooled, negative_pooled)}
        return Condition(tensors, guidance_scale)
