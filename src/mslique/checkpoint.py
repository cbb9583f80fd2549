"""Checkpoints of Lightning: what ``--ckpt_path`` names is checked before anything is built."""

from pathlib import Path
from typing import Any

from .io.errors import UserError, in_short
from .io.trust import check_finite, read_weights

WORDS = ("best", "last", "hpc", "registry")
"""What Lightning understands instead of a path."""


def check_checkpoint(path: Path, class_path: str | None, training: bool) -> None:
    """Check that it is a checkpoint of this module that Lightning can load.

    Args:
        class_path: of the module in the configuration.
        training: it is to go on.

    Raises:
        UserError: the file is missing, damaged, something else, of another module, not finite, or, for training, holds
            weights alone.
    """
    found = read_weights(path)
    if not isinstance(found, dict) or not {"state_dict", "pytorch-lightning_version"} <= found.keys():
        raise UserError(f"{path} is not a checkpoint of lightning fit: give one, such as OUT/checkpoints/last.ckpt")
    maker = found.get("hyper_parameters", {}).get("_class_path", class_path)
    if class_path is not None and maker.rpartition(".")[2] != class_path.rpartition(".")[2]:
        raise UserError(f"{path} is a checkpoint of {maker}, not of {class_path}: give the one of this configuration")
    if training and "optimizer_states" not in found:
        raise UserError(f"{path} holds weights alone: a training can only go on from a whole checkpoint")
    check_finite(found["state_dict"], path)


def last_checkpoint(folders: list[Path], needed: bool) -> str | None:
    """The newest file in the folders that ModelCheckpoint wrote as the last one; None if there is none.

    Raises:
        UserError: there is none, and it is ``needed``.
    """
    found = [file for folder in folders for file in folder.glob("last*.ckpt")]
    if needed and not found:
        places = ", ".join(sorted(map(str, set(folders)))) or "no --output is given"
        raise UserError(f"there is no last checkpoint ({places}): give --output of the training, or a path")
    return str(max(found, key=lambda file: file.stat().st_mtime)) if found else None


def loading_error(reason: BaseException, checkpoint: Any) -> UserError | None:
    """The sentence for weights that do not fit, or for no checkpoint where a word stands, if this is why it failed."""
    if "(ckpt_path=" in str(reason):
        return UserError(f"{reason}: give the path of a checkpoint")
    if "Error(s) in loading state_dict" not in str(reason):
        return None
    return UserError(
        f"{checkpoint} does not fit the model ({in_short(reason)}): give the options that it was trained with"
    )
