"""FLUX.1: a rectified-flow transformer on packed latents, with guidance as an input."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import FluxPipeline, FluxTransformer2DModel
from torch import Tensor

from mslique import UserError

from ..conditioning import Condition
from .network import Network, refuse

TRAINED_STEPS = 1000
NO_GUIDANCE = 1.0


class Flux(Network):
    """Black Forest Labs, FLUX.1 (2024), as diffusers has it. 2 x 2 latents are one token; positions have no end.

    A model with guidance as an input (FLUX.1-dev) is told ``guidance_scale``, 1 if there is none, and a step costs one
    call. It takes no negative prompt. One without (FLUX.1-schnell) takes no guidance.
    """

    pipeline, text = FluxPipeline, ("tokenizer", "text_encoder", "tokenizer_2", "text_encoder_2")
    cell = 2

    def __init__(self, model: Any, factor: int = 8) -> None:
        super().__init__(model, factor)
        refuse(model, patch_size=(1,))

    @classmethod
    def fits(cls, model: Any) -> bool:
        return isinstance(model, FluxTransformer2DModel)

    @property
    def channels(self) -> tuple[int, int]:
        takes, gives = self.model.config.in_channels, self.model.out_channels
        return takes // self.cell**2, gives // self.cell**2

    def widths(self) -> dict[str, int]:
        config = self.model.config
        pooled = {"pooled_projections": config.pooled_projection_dim}
        return {"encoder_hidden_states": config.joint_attention_dim, **pooled} | (
            {"guidance": 1} if config.guidance_embeds else {}
        )

    def predict(self, x: Tensor, timestep: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        grid = [side // self.cell for side in x.shape[-2:]]
        text = condition["encoder_hidden_states"]
        # in float32: bf16 has no 257
        axes = [torch.arange(count, dtype=torch.float32, device=x.device) for count in (1, *grid)]
        guidance = condition.get("guidance")
        out = self.model(
            hidden_states=F.pixel_unshuffle(x, self.cell).flatten(2).mT,
            timestep=(timestep / TRAINED_STEPS).expand(len(x)),
            guidance=None if guidance is None else guidance[:, 0],
            pooled_projections=condition["pooled_projections"],
            encoder_hidden_states=text,
            txt_ids=text.new_zeros(text.shape[1], 3),
            img_ids=torch.cartesian_prod(*axes),
        ).sample
        return F.pixel_shuffle(out.mT.unflatten(2, grid), self.cell)

    def embed(self, pipe: Any, prompt: str, negative_prompt: str, guidance_scale: float | None) -> Condition:
        if negative_prompt:
            raise UserError("FLUX takes no negative_prompt: leave it out")
        if guidance_scale is not None and not self.model.config.guidance_embeds:
            raise UserError("this FLUX model has no guidance as an input: leave guidance_scale out")
        given, pooled, _ = pipe.encode_prompt(prompt, device="cpu")
        tensors = {"encoder_hidden_states": given, "pooled_projections": pooled}
        if self.model.config.guidance_embeds:
            tensors["guidance"] = torch.tensor([[NO_GUIDANCE if guidance_scale is None else guidance_scale]])
        return Condition(tensors)
