"""Reading a diffusers model from a folder or the hub."""

from pathlib import Path
from typing import Any

from diffusers import DiffusionPipeline

from mslique import UserError

UNNEEDED = ("safety_checker", "feature_extractor", "image_encoder")


def load_pipeline(path: str) -> Any:
    """The diffusers pipeline of a folder or hub id, read from safetensors alone; it has a U-Net and a scheduler.

    Raises:
        UserError: the folder or id is missing, cannot be reached, or holds no such model.
    """
    local = Path(path).is_dir()
    if local and not (Path(path) / "model_index.json").is_file():
        raise UserError(f"{path} holds no model_index.json: give a diffusers model folder, not one of its parts")
    try:
        absent = {name: None for name in UNNEEDED if name in DiffusionPipeline.load_config(path)}
        pipe = DiffusionPipeline.from_pretrained(path, use_safetensors=True, **absent)
    except (OSError, ValueError) as reason:
        detail = " ".join(str(reason).split())[:300] if local else type(reason).__name__
        raise UserError(
            f"{path} is not a diffusers folder with safetensors weights, nor a model on the hub that can be reached"
            f" ({detail}): give a folder such as data/ldm-tiny, or check the id and the network; a model that was"
            " downloaded elsewhere (hf download ID --local-dir FOLDER) is given as its folder"
        ) from reason
    if getattr(pipe, "unet", None) is None or getattr(pipe, "scheduler", None) is None:
        raise UserError(f"{path} is a {type(pipe).__name__} without a U-Net and a scheduler: give a DDPM or LDM model")
    return pipe
