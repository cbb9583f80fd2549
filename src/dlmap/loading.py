"""Reading a diffusers model from a folder or the hub."""

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging as diffusers_logging

from mslique import UserError, check_finite, model_source

UNNEEDED = ("safety_checker", "feature_extractor", "image_encoder")
NETWORKS = ("unet", "vae", "vqvae", "text_encoder")
LIBRARIES = ("diffusers", "transformers")


def load_pipeline(path: str) -> Any:
    """The diffusers pipeline of a folder, a prior that ships, or a hub id; it has a U-Net and a scheduler.

    Weights are read from safetensors alone. No code that comes with a model is run.

    Raises:
        UserError: the folder or id is missing, cannot be reached, holds no such model, or weights that are damaged,
            incomplete or not finite.
    """
    path = model_source(path)
    if Path(path).is_file():
        raise UserError(
            f"{path} is a single file: convert it to a diffusers folder once, where there is a network, with diffusers'"
            f" StableDiffusionPipeline.from_single_file({path!r}).save_pretrained(FOLDER), and give the FOLDER"
        )
    local = Path(path).is_dir()
    if local and not (Path(path) / "model_index.json").is_file():
        raise UserError(f"{path} holds no model_index.json: give a diffusers model folder, not one of its parts")
    diffusers_logging.disable_progress_bar()  # of the parts of the pipeline, which are few
    try:
        index = DiffusionPipeline.load_config(path)
        networks = {name: _network(path, name, index[name]) for name in NETWORKS if index.get(name, [None])[0]}
        absent = {name: None for name in UNNEEDED if name in index}
        pipe = DiffusionPipeline.from_pretrained(path, use_safetensors=True, **networks, **absent)
    except UserError:
        raise
    except Exception as reason:  # configurations and weights can be wrong in many ways
        detail = f"{type(reason).__name__}: {' '.join(str(reason).split())[:300]}" if local else type(reason).__name__
        raise UserError(
            f"{path} is not a diffusers folder with safetensors weights, nor a model on the hub that can be reached"
            f" ({detail}): give a folder such as data/ldm-tiny, or check the id and the network; a model that was"
            " downloaded elsewhere (hf download ID --local-dir FOLDER) is given as its folder"
        ) from reason
    if getattr(pipe, "unet", None) is None or getattr(pipe, "scheduler", None) is None:
        raise UserError(f"{path} is a {type(pipe).__name__} without a U-Net and a scheduler: give a DDPM or LDM model")
    return pipe


def _network(path: str, name: str, kind: list[str]) -> Any:
    """One of the model's networks; the pipeline itself would fill weights that are missing with random numbers."""
    library, class_name = kind
    if library not in LIBRARIES:
        raise UserError(
            f"{path} takes its {name} from {library}: only networks of {' and '.join(LIBRARIES)} are loaded"
        )
    load = getattr(import_module(library), class_name).from_pretrained
    options = {"use_safetensors": True, "torch_dtype": torch.float32, "output_loading_info": True}
    network, found = load(path, subfolder=name, **options)
    if missing := sorted(found["missing_keys"]):
        raise UserError(f"the {name} of {path} lacks {len(missing)} weights, such as {missing[0]}: take it whole")
    check_finite(network.state_dict(), f"the {name} of {path}")
    return network
