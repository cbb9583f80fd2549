"""One part of a diffusers model: a network, a text encoder, a tokenizer, or the scheduler."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from diffusers import ModelMixin, SchedulerMixin
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from mslique import UserError, check_finite, in_short

LIBRARIES = ("diffusers", "transformers")
PARTS = (ModelMixin, PreTrainedModel, SchedulerMixin, PreTrainedTokenizerBase)
WEIGHTS = re.compile(r"(?:diffusion_pytorch_model|model)(?:\.(?P<variant>[^.-]+))?(?:-\d+-of-\d+)?\.safetensors")
VARIANTS = ("fp16", "bf16")
"""Files of weights that are read where there are none without a variant in their name."""


def load_part(folder: str, name: str, index: dict[str, Any], dtype: torch.dtype = torch.float32) -> Any:
    """One part of a model; a pipeline itself would fill weights that are missing with random numbers.

    Args:
        folder: of the model.
        name: such as "unet"; its files are in the folder of this name.
        index: the model's model_index.json.
        dtype: of its weights.

    Raises:
        UserError: it is of a library that is not trusted, or missing, damaged, incomplete or not finite.
    """
    kind = _class(folder, name, index)
    if not issubclass(kind, ModelMixin | PreTrainedModel):
        return read(folder, lambda: kind.from_pretrained(folder, subfolder=name))
    options: dict[str, Any] = {"use_safetensors": True, "torch_dtype": dtype, "variant": _variant(Path(folder) / name)}
    network, found = read(
        folder, lambda: kind.from_pretrained(folder, subfolder=name, output_loading_info=True, **options)
    )
    if missing := sorted(found["missing_keys"]):
        raise UserError(f"the {name} of {folder} lacks {len(missing)} weights, such as {missing[0]}: take it whole")
    check_finite(network.state_dict(), f"the {name} of {folder}")
    return network


def _class(folder: str, name: str, index: dict[str, Any]) -> Any:
    """The class of a part, of a kind that is loaded."""
    library, class_name = kind_of(index, name)
    if library not in LIBRARIES:
        raise UserError(f"{folder} takes its {name} from {library}: only parts of {' and '.join(LIBRARIES)} are loaded")
    kind = getattr(import_module(library), class_name, None)
    if not isinstance(kind, type) or not issubclass(kind, PARTS):
        raise UserError(f"{folder} takes {class_name} as its {name}, which the installed {library} does not have")
    return kind


def outline(folder: str, name: str, index: dict[str, Any]) -> Any:
    """A network without numbers, as its configuration has it."""
    kind = _class(folder, name, index)
    with torch.device("meta"):
        return read(folder, lambda: kind.from_config(kind.load_config(folder, subfolder=name)))


def _variant(folder: Path) -> str | None:
    """None where there are weights without a variant, else the variant that is there."""
    found = {match["variant"] for match in map(WEIGHTS.fullmatch, (file.name for file in folder.glob("*"))) if match}
    return None if None in found else next((variant for variant in VARIANTS if variant in found), None)


def kind_of(index: dict[str, Any], name: str) -> Any:
    """(library, class) of a part, None if the model has none."""
    kind = index.get(name)
    return kind if isinstance(kind, list | tuple) and len(kind) == 2 and kind[0] else None


def read(path: str, get: Any) -> Any:
    """What ``get()`` returns.

    Raises:
        UserError: it failed; configurations and weights can be wrong in many ways.
    """
    local = Path(path).is_dir()
    try:
        return get()
    except Exception as reason:
        detail = f"{type(reason).__name__}: {in_short(reason)}" if local else type(reason).__name__
        raise UserError(
            f"{path} is not a diffusers folder with safetensors weights, nor a model on the hub that can be reached"
            f" ({detail}): give a folder such as data/ldm-tiny, or check the id and the network; a model that was"
            " downloaded elsewhere (hf download ID --local-dir FOLDER) is given as its folder"
        ) from reason
