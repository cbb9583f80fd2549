"""The weights of a shared model: in a local folder, or in a repository on the Hugging Face hub."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import constants, hf_hub_download

from .errors import UserError

HUB_OPTIONS = ("revision", "cache_dir", "force_download", "local_files_only", "token")


def weights_file(model: str, options: Mapping[str, Any] | None = None) -> str:
    """Path of ``model.safetensors`` in the folder ``model``, or in the hub's cache if there is no such folder.

    Args:
        model: the folder, or an id on the hub.
        options: those in HUB_OPTIONS are passed on to the hub.

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
    found = {name: value for name, value in (options or {}).items() if name in HUB_OPTIONS}
    try:
        return hf_hub_download(model, constants.SAFETENSORS_SINGLE_FILE, **found)
    except Exception as reason:  # a wrong name, no network, no rights: the same for the caller
        raise UserError(
            f"{model} is neither a folder with {expected} nor a model on the hub that can be reached "
            f"({type(reason).__name__}): check the path or the name"
        ) from reason
