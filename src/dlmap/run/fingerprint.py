"""A digest of all that decides a result, apart from the photograph."""

import hashlib
import json
from typing import Any

import torch
from lightning.pytorch.cli import SaveConfigCallback

WITHOUT_EFFECT = ("output", "report")


def fingerprint(trainer: Any) -> str:
    """Digest of the options of the module in the trainer's configuration, the trainer's precision, and all weights.

    Empty if the trainer was not made by the command: its configuration is then unknown.
    """
    saved = [callback for callback in trainer.callbacks if isinstance(callback, SaveConfigCallback)]
    if not saved:
        return ""
    model = saved[0].config.as_dict()["model"]
    options = {name: value for name, value in model["init_args"].items() if name not in WITHOUT_EFFECT}
    text = json.dumps([model["class_path"], options, str(trainer.precision)], sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode())
    for name, weight in sorted(trainer.lightning_module.state_dict().items()):
        digest.update(name.encode())
        digest.update(weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
