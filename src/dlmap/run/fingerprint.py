"""Digests of all that decides a result: options and weights, and the photograph. Equal digests, equal results."""

import hashlib
import json
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.cli import SaveConfigCallback

WITHOUT_EFFECT = ("output", "report")


def fingerprint(trainer: L.Trainer) -> str:
    """Digest of the module's options in the trainer's configuration, of the trainer's precision, and of all weights.

    Empty if the trainer was not made by the command, because its configuration is then unknown.
    """
    callbacks = getattr(trainer, "callbacks", [])  # Lightning does not declare this attribute of its own
    saved = [callback for callback in callbacks if isinstance(callback, SaveConfigCallback)]
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


def content_key(options: str, source: str, reference: str | None) -> str:
    """Digest of the fingerprint ``options`` and of size and time of change of the files.

    Empty if ``options`` is, or if a file is gone. The time of change stands for the content, because it would take
    minutes to read thousands of photographs only to find out that they are done.
    """
    if not options:
        return ""
    parts = [options]
    for path in (source, reference):
        try:
            status = Path(path).stat() if path is not None else None
        except OSError:  # the decoder will say what is wrong
            return ""
        parts.append("" if status is None else f"{status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
