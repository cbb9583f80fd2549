"""Reading a diffusers model, part by part, from a folder or the hub."""

import inspect
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline, SchedulerMixin
from diffusers.utils import logging as diffusers_logging
from torch import nn
from transformers.utils import logging as transformers_logging

from mslique import UserError, model_source

from .codec import Codec, Identity
from .components import kind_of, load_part, outline, read
from .conditioning import Condition
from .networks import Network, make_network

NETWORKS = ("unet", "transformer")
AUTOENCODERS = ("vae", "vqvae")


@dataclass(frozen=True)
class Model:
    """A codec and a scheduler, and the folder that network and text encoders are read from when they are asked for.

    ``index`` is its model_index.json. ``outline`` is the network without numbers, as its configuration has it.
    """

    folder: str
    index: dict[str, Any]
    outline: Network
    codec: Codec | Identity
    scheduler: SchedulerMixin
    dtype: torch.dtype

    def load_network(self) -> Network:
        """The network with its weights.

        Raises:
            UserError: they are missing, damaged, incomplete or not finite.
        """
        part = load_part(self.folder, _network_of(self.index), self.index, self.dtype)
        return make_network(part, self.codec.factor)


def load_model(path: str, dtype: torch.dtype = torch.float32) -> Model:
    """A diffusers model from a folder, a prior that ships, or a hub id.

    Weights are read from safetensors alone. No code that comes with a model is run.

    Args:
        path: folder, name of a model that ships, or hub id.
        dtype: precision of the network and of the text encoders; the autoencoder computes in float32.

    Raises:
        UserError: the folder or id is missing, cannot be reached, holds no such model, or weights that are damaged,
            incomplete or not finite.
    """
    folder = _folder(path)
    index = read(folder, lambda: DiffusionPipeline.load_config(folder))
    if not isinstance(index.get("_class_name"), str):
        raise UserError(f"{folder} has a pipeline with code of its own, which is never run: give another model")
    name = _network_of(index)
    if not name or not kind_of(index, "scheduler"):
        raise UserError(
            f"{path} is a {index.get('_class_name')} without a U-Net or transformer and a scheduler: give another model"
        )
    vae = next((load_part(folder, name, index) for name in AUTOENCODERS if kind_of(index, name)), None)
    codec = Identity() if vae is None else Codec(vae)
    network = make_network(outline(folder, name, index), codec.factor)
    return Model(folder, index, network, codec, load_part(folder, "scheduler", index), dtype)


def load_condition(
    model: Model, prompt: str, negative_prompt: str, guidance_scale: float | None, embeddings: str | None = None
) -> Condition | None:
    """What the network is told beside image and time; None for one that is told nothing.

    Args:
        model: of :func:`load_model`.
        prompt, negative_prompt, guidance_scale: see :meth:`dlmap.DiffusionPrior.from_pretrained`.
        embeddings: a file of ``Condition.save``. The text encoders are not loaded then.

    Raises:
        UserError: the network takes no prompt but one is given, the text encoders are missing or damaged, or an option
            comes without the one that gives it an effect.
    """
    family, prompted = model.outline, bool(prompt or negative_prompt or guidance_scale is not None)
    if embeddings is not None:
        if prompted:
            raise UserError("embeddings take the place of prompt, negative_prompt and guidance_scale: give one of both")
        return Condition.load(embeddings)
    if family.pipeline is None and not prompted:
        return None
    if guidance_scale is not None and not math.isfinite(guidance_scale):
        raise UserError(f"guidance_scale must be a number, such as 2.0, got {guidance_scale}")
    if negative_prompt and guidance_scale is None:
        raise UserError("a negative_prompt has an effect only with guidance_scale: set it, such as 2.0")
    pipe = None if family.pipeline is None else _text_pipeline(model, family.pipeline)
    with torch.no_grad():
        return family.embed(pipe, prompt, negative_prompt, guidance_scale)


def _text_pipeline(model: Model, pipeline: type[DiffusionPipeline]) -> Any:
    """The pipeline with its text parts alone."""
    index = model.index
    expected = inspect.signature(pipeline).parameters
    parts: dict[str, Any] = {name: None for name, option in expected.items() if option.default is option.empty}
    options = {name: value for name, value in index.items() if name in expected and not isinstance(value, list)}
    there = [name for name in model.outline.text if kind_of(index, name)]
    texts = {name: load_part(model.folder, name, index, model.dtype) for name in there}
    if not texts:
        raise UserError(f"{model.folder} has no text encoder: give embeddings, a file of dlmap embed")
    _check_lengths(model.folder, texts)
    network = {name: model.outline.model for name in NETWORKS if name in expected}  # its sizes are asked for
    return pipeline(**parts | options | texts | network)


def _check_lengths(folder: str, texts: dict[str, Any]) -> None:
    """Refuse a tokenizer that pads prompts to more tokens than its text encoder has places for."""
    for name, encoder in texts.items():
        most = getattr(encoder.config, "max_position_embeddings", None) if isinstance(encoder, nn.Module) else None
        tokenizer = texts.get(name.replace("text_encoder", "tokenizer"))
        if most is not None and tokenizer is not None and tokenizer.model_max_length > most:
            raise UserError(
                f"the tokenizer of the {name} of {folder} has model_max_length {tokenizer.model_max_length}: set it to"
                f" {most} in its tokenizer_config.json, as many as the text encoder takes"
            )


def _network_of(index: dict[str, Any]) -> str:
    """Name of the part that is the network, empty if there is none."""
    return next((name for name in NETWORKS if kind_of(index, name)), "")


def _folder(path: str) -> str:
    """The local folder of a model, downloaded if it is an id on the hub."""
    path = model_source(path)
    if Path(path).is_file():
        raise UserError(
            f"{path} is a single file: convert it to a diffusers folder once, where there is a network, with diffusers'"
            f" StableDiffusionPipeline.from_single_file({path!r}).save_pretrained(FOLDER), and give the FOLDER"
        )
    for library in (diffusers_logging, transformers_logging):
        library.disable_progress_bar()  # of the parts of the model, which are few
    if not Path(path).is_dir():
        return str(read(path, lambda: DiffusionPipeline.download(path, use_safetensors=True)))
    if not (Path(path) / "model_index.json").is_file():
        raise UserError(f"{path} holds no model_index.json: give a diffusers model folder, not one of its parts")
    return path
