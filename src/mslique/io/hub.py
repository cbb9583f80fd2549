"""A shared model: in a local folder, among those that ship, or in a repository on the Hugging Face hub."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from .errors import UserError
from .shipped import FOLDERS, located, shipped_models

HUB_OPTIONS = ("revision", "cache_dir", "force_download", "local_files_only", "token", "proxies", "resume_download")
"""What the mixin passes on; the last two are of huggingface_hub before 1.0."""


def model_source(name: str | Path) -> str:
    """Where a model is: a path that exists, the path of one that ships, or ``name`` itself as an id on the hub.

    Args:
        name: a path, a name as in :func:`~mslique.io.shipped.located`, or an id, OWNER/NAME. A name below ``data`` or
            ``configs`` is never an id.

    Raises:
        UserError: it is none of them; the network is not asked.
    """
    found = located(name)
    if os.path.exists(found) or _may_be_an_id(found):
        return found
    raise UserError(
        f"{name} is neither a folder or file, nor a model that ships ({', '.join(shipped_models())}), nor can it be an"
        " id on the hub (OWNER/NAME): check the path or the name"
    )


def _may_be_an_id(name: str) -> bool:
    owner, slash, _ = name.partition("/")
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return bool(slash) and owner not in FOLDERS


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
