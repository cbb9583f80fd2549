"""What a sampler must know of a network of diffusers, whatever family it is of."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import accelerate
import torch
from diffusers import DiffusionPipeline
from torch import Tensor, nn
from torch.utils.checkpoint import set_checkpoint_early_stop

from mslique import UserError

from ..conditioning import Condition


class Network(nn.Module, ABC):
    """A network of diffusers behind one call.

    Args:
        model: the network.
        factor: pixels along a latent.

    Attributes:
        pipeline: the class of diffusers that embeds prompts for it, None if it takes none.
        text: the parts of a model's folder that this needs; a part may be absent where the model has none.
        cell: sides of the latents are multiples of it.
        largest: side in latents of the largest image, or tile, that it takes.

    Raises:
        UserError: the model needs an input that it is not given here.
    """

    pipeline: ClassVar[type[DiffusionPipeline] | None] = None
    text: ClassVar[tuple[str, ...]] = ()
    cell: int
    largest: float = math.inf
    offloaded = False

    def __init__(self, model: Any, factor: int = 8) -> None:
        super().__init__()
        self.model, self.factor = model, factor

    @classmethod
    @abstractmethod
    def fits(cls, model: Any) -> bool:
        """Whether the model is of this family."""

    @property
    def channels(self) -> tuple[int, int]:
        """Of the latents that it takes, and of its prediction; a variance that it predicts beside does not count."""
        config = self.model.config
        takes, gives = config.in_channels, config.out_channels or config.in_channels
        return takes, takes if gives == 2 * takes else gives

    def offload(self) -> None:
        """Keep the weights in main memory from now on; each layer's visit the device of the latents when it is called.

        The activations of a block are computed again in a backward pass, since they would hold on to its weights.
        """
        self.offloaded = True
        if self.model._supports_gradient_checkpointing:
            self.model.enable_gradient_checkpointing()

    def _apply(self, fn: Any, recurse: bool = True) -> "Network":
        return self if self.offloaded else super()._apply(fn, recurse)

    def forward(self, x: Tensor, timestep: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        """Latents (B, C, h, w), one timestep (), and a condition of B rows -> the prediction (B, C, h, w)."""
        if self.offloaded and not hasattr(self.model, "_hf_hook"):
            accelerate.cpu_offload(self.model, x.device)
        with set_checkpoint_early_stop(not self.offloaded):  # a layer that stops early would keep its weights there
            return self.predict(x, timestep, condition)[:, : x.shape[1]]

    @abstractmethod
    def predict(self, x: Tensor, timestep: Tensor, condition: Mapping[str, Tensor]) -> Tensor:
        """As ``forward``; what is beyond the first C channels is dropped."""

    def widths(self) -> dict[str, int]:
        """Size of the last axis of every tensor of the condition, by its name."""
        return {}

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Compare the tensors of a condition with ``widths``.

        Raises:
            UserError: one is absent, or of another width.
        """
        found = {name: tensor.shape[-1] for name, tensor in tensors.items()}
        if wrong := {name: width for name, width in self.widths().items() if found.get(name) != width}:
            raise UserError(
                f"this {type(self.model).__name__} takes embeddings of the widths {wrong}, got {found}: make them with"
                " the text encoders of the same model (dlmap embed)"
            )

    def embed(self, pipe: Any, prompt: str, negative_prompt: str, guidance_scale: float | None) -> Condition:
        """The condition, from a ``pipeline`` that has the text parts alone."""
        raise UserError(
            f"{type(self.model).__name__} has no text encoder: leave prompt, negative_prompt and guidance_scale out"
        )


def rows(prompt: Tensor, negative: Tensor | None) -> Tensor:
    """The rows of a condition, from what a pipeline gives: it embeds a negative prompt for guidance only."""
    return prompt if negative is None else torch.cat([negative, prompt])


def refuse(model: Any, **known: tuple[Any, ...]) -> None:
    """Refuse a network or an autoencoder by the first key of its configuration whose value is none of those known.

    Raises:
        UserError: names the key.
    """
    for key, values in known.items():
        if model.config.get(key) not in values:
            raise UserError(
                f"this {type(model).__name__} has {key} {model.config[key]!r}: it needs an input that is not given"
                " here, or is of another form; use another model"
            )


def width(model: Any, *keys: str) -> int:
    """Of the embeddings that a model takes: the first of these keys of its configuration that is set.

    Raises:
        UserError: none is set, or one holds different numbers.
    """
    values = [model.config.get(key) for key in keys if model.config.get(key)]
    numbers = set(values[0]) if values and isinstance(values[0], list | tuple) else set(values[:1])
    if len(numbers) != 1:
        raise UserError(
            f"this {type(model).__name__} has {keys[-1]} {model.config.get(keys[-1])!r}, where a prior needs one"
            " number: use another model"
        )
    return int(numbers.pop())
