"""From a Lightning checkpoint to a folder that can be shared: config.json, model.safetensors and a model card."""

from pathlib import Path
from typing import Any

import torch

from .errors import UserError
from .model import MSLIQE
from .module import RECORD

PREFIX = "model."
UNKNOWN = "Not recorded."


def export_checkpoint(
    checkpoint: str | Path,
    folder: str | Path,
    command: str = UNKNOWN,
    data: str = UNKNOWN,
    measured: str = UNKNOWN,
    softmax_divisor: float | None = None,
) -> MSLIQE:
    """Write a checkpoint of :class:`QualityModule` as a folder for :meth:`MSLIQE.from_pretrained`.

    Args:
        checkpoint: file of Lightning's ModelCheckpoint; read with ``weights_only=True``.
        folder: created if missing; files of an earlier export are replaced.
        command: how the model was trained, for the card.
        data: Markdown for the card: the training images, where they come from and their rights.
        measured: Markdown for the card: results on images that training never saw.
        softmax_divisor: replaces the one used in training; a larger one keeps scores away from both ends,
            where their gradient vanishes, and hardly changes their order [ours].

    Raises:
        UserError: the file is missing, unreadable, or not a checkpoint of the quality model.
    """
    found = _read(Path(checkpoint))
    record = found[RECORD]
    model = _model(found, {} if softmax_divisor is None else {"softmax_divisor": softmax_divisor})
    model.save_pretrained(folder)
    card = model_card(record, epochs=found["epoch"] + 1, command=command, data=data, measured=measured)
    (Path(folder) / "README.md").write_text(card, encoding="utf-8")
    return model


def load_checkpoint(checkpoint: str | Path) -> MSLIQE:
    """The model, in eval mode, inside a checkpoint of :class:`QualityModule`; read with ``weights_only=True``.

    Raises:
        UserError: the file is missing, unreadable, or not a checkpoint of the quality model.
    """
    return _model(_read(Path(checkpoint)), {})


def model_card(record: dict[str, Any], epochs: int, command: str, data: str, measured: str) -> str:
    """The card's Markdown. ``record`` is what :meth:`QualityModule.on_save_checkpoint` kept."""
    metrics = "\n".join(f"| {name} | {value:.4f} |" for name, value in sorted(record["metrics"].items()))
    return f"""---
library_name: mslique
tags: [image-quality-assessment, clip]
---
# An MS-LIQE image quality model

Scores a photograph from 1 (bad) to 5 (perfect) without a reference, differentiably.
Method: arXiv 2403.06406.

```python
from mslique import MSLIQE, read_image

model = MSLIQE.from_pretrained("this folder")
score = model(read_image("photo.png")[None])
```

## Training

```
{command}
```

Seed {record["seed"]}; {epochs} epochs in {record["seconds"] / 60:.0f} minutes, up to this checkpoint.
The loss is the pairwise fidelity loss; the configuration of the model is in config.json.

## Training data

{data.strip()}

## Measured

{measured.strip()}

Logged in training, at this checkpoint (`val`: photographs kept out of training):

| measure | value |
|---|---|
{metrics}
"""


def _model(found: dict[str, Any], changes: dict[str, Any]) -> MSLIQE:
    model = MSLIQE(**{**found[RECORD]["config"], **changes})
    weights = {k.removeprefix(PREFIX): v for k, v in found["state_dict"].items() if k.startswith(PREFIX)}
    model.load_state_dict(weights, strict=True)
    return model.eval()


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path} is not a file: give a checkpoint that lightning fit saved")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as reason:  # unpicklers fail in many ways, all of which mean an unusable file
        raise UserError(f"{path} cannot be read as a Lightning checkpoint ({type(reason).__name__})") from reason
    if not isinstance(found, dict) or RECORD not in found:
        raise UserError(
            f"{path} is not a checkpoint of mslique.module.QualityModule: for a state dict in the layout of "
            "OpenAI's CLIP use mslique import"
        )
    return found
