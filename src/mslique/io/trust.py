"""Safety of files from others: weights are read without running code, and a configuration names known classes alone."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from jsonargparse import set_parsing_settings
from torch import Tensor

from .errors import UserError

PACKAGES = (
    "mslique", "dlmap", "lightning.pytorch.callbacks", "lightning.pytorch.loggers", "lightning.pytorch.profilers",
    "lightning.pytorch.strategies", "torch.optim",
)  # fmt: skip
"""The packages whose classes a configuration may name."""
CALLS_ANYTHING = "lightning.pytorch.callbacks.LambdaCallback"
VARIABLE = "MSLIQE_CLASSES"
"""Environment variable with further packages, separated by spaces."""
FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def restrict_classes() -> None:
    """Let configurations name classes of PACKAGES and of the packages in VARIABLE; for this process, from now on.

    A module of another package is not even imported.
    """
    further = os.environ.get(VARIABLE, "").split()
    set_parsing_settings(import_path_denylist=["*", CALLS_ANYTHING], import_path_allowlist=[*PACKAGES, *further])


@contextlib.contextmanager
def only_weights() -> Iterator[None]:
    """Let torch.load read tensors and plain values only, even where a library asks for ``weights_only=False``."""
    before = os.environ.get(FORCE)
    os.environ[FORCE] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[FORCE]
        else:
            os.environ[FORCE] = before


def read_weights(path: Path) -> Any:
    """The content of a file of ``torch.save``, or of safetensors (by its suffix), on the CPU; no code in it is run.

    Raises:
        UserError: the file is missing, damaged, or holds more than tensors and plain values.
    """
    if not path.is_file():
        raise UserError(f"{path} is not a file: give a checkpoint")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as reason:  # unpicklers and archives fail in many ways, and all of them mean an unusable file
        # the first sentence: torch goes on to advise what must not be done with a file of strangers
        summary = (str(reason).strip() or type(reason).__name__).splitlines()[0].split(". ")[0][:200]
        raise UserError(
            f"{path} cannot be read as plain weights ({summary}): save its state_dict() with torch.save first"
        ) from reason


def check_finite(weights: Mapping[str, Tensor], source: str | Path) -> None:
    """Raise a UserError that names ``source`` if a number among the weights is NaN or infinite."""
    for name, weight in weights.items():
        if weight.is_floating_point() and not weight.isfinite().all():
            raise UserError(f"{source} holds numbers that are not finite, in {name}: take another checkpoint")
