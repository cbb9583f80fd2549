"""Where a shared model's weights are: a local folder, or a repository on the Hugging Face hub."""

from pathlib import Path
from typing import Any

from huggingface_hub import constants, hf_hub_download

from .errors import UserError


def weights_file(model: str, hub_options: dict[str, Any]) -> str:
    """Path of ``model.safetensors`` in the folder ``model`` or, if there is no such folder, from the hub.

    Raises:
        UserError: neither a complete folder nor a repository that can be reached.
    """
    expected = f"{constants.CONFIG_NAME} and {constants.SAFETENSORS_SINGLE_FILE}"
    folder = Path(model)
    if folder.is_dir():
        missing = [n for n in (constants.CONFIG_NAME, constants.SAFETENSORS_SINGLE_FILE) if not (folder / n).is_file()]
        if missing:
            raise UserError(f"{model} has no {' and no '.join(missing)}: give a folder with {expected}")
        return str(folder / constants.SAFETENSORS_SINGLE_FILE)
    try:
        return hf_hub_download(model, constants.SAFETENSORS_SINGLE_FILE, **hub_options)
    except Exception as reason:  # a wrong name, no network, no rights: for the caller they are one case
        raise UserError(
            f"{model} is neither a folder with {expected} nor a model on the hub that can be reached "
            f"({type(reason).__name__}): check the path or the name"
        ) from reason
