"""From a Lightning checkpoint to a folder that can be shared: config.json, model.safetensors and a model card."""

from pathlib import Path
from typing import Any

from .io.errors import UserError, in_short
from .io.folders import filled
from .io.shipped import SHIPPED
from .io.trust import check_finite, read_weights
from .model import MSLIQE

RECORD = "mslique_record"
PREFIX = "model."
UNKNOWN = "Not recorded."
OUR_MODELS = (
    "No model that comes with mslique was trained on people's scores. The training on them"
    " (configs/mslique/liqe_mix.yaml) was tried on placeholders only. So nothing but the figures below tells how well"
    " this model agrees with people, and only where their labels are people's scores."
)
"""For the card."""
TINY = str(SHIPPED / "data" / "mslique-tiny")
"""The quality model that ships."""


def load_model(source: str | Path) -> MSLIQE:
    """The model, in eval mode, of an exported folder, one that ships, a hub id, or a Lightning checkpoint (``.ckpt``).

    Raises:
        UserError: there is no such thing, or it holds something else.
    """
    if Path(source).suffix == ".ckpt":
        return load_checkpoint(source)
    return MSLIQE.from_pretrained(source)


def load_checkpoint(checkpoint: str | Path) -> MSLIQE:
    """The model, in eval mode, of a checkpoint of :class:`QualityModule`; read with ``weights_only=True``.

    Raises:
        UserError: the file is missing, unreadable, damaged, or not such a checkpoint.
    """
    return _model(_read(Path(checkpoint)), {}, Path(checkpoint))


def export_checkpoint(
    checkpoint: str | Path,
    folder: str | Path,
    command: str = UNKNOWN,
    data: str | None = None,
    measured: str = UNKNOWN,
    license: str = UNKNOWN,
    softmax_divisor: float | None = None,
    half: bool = False,
) -> MSLIQE:
    """Write a checkpoint of :class:`QualityModule` as a folder for :meth:`MSLIQE.from_pretrained`.

    Args:
        checkpoint: file of Lightning's ModelCheckpoint; read with ``weights_only=True``.
        folder: created if missing; files of an earlier export are replaced.
        command: how the model was trained, for the card.
        data: Markdown for the card: the training images, where they come from and their rights; None: what the
            checkpoint tells of them.
        measured: Markdown for the card: results on images that training never saw.
        license: for the card, of the weights.
        softmax_divisor: replaces the one used in training; a larger one keeps scores away from both ends,
            where their gradient vanishes, and hardly changes their order [ours].
        half: store the weights in half precision, which takes half the space; they are loaded in single precision.

    Raises:
        UserError: the file is missing, unreadable, not a checkpoint of the quality model, or too large in its numbers
            for half precision; the folder holds something else or cannot be written: then it stays as it was.
    """
    found = _read(Path(checkpoint))
    changes: dict[str, Any] = {}
    if softmax_divisor is not None:  # scores have another scale then
        changes = {"softmax_divisor": softmax_divisor, "center": None, "scale": None}
    model = _model(found, changes, Path(checkpoint))
    if half:
        check_finite(model.half().state_dict(), Path(checkpoint))  # some may be too large
    _check_replaceable(Path(folder))
    with filled(folder) as part:
        model.save_pretrained(part)
        card = model_card(found[RECORD], found["epoch"] + 1, command, data, measured, license)
        (part / "README.md").write_text(card, encoding="utf-8")
    model.float()
    return model


def _check_replaceable(folder: Path) -> None:
    for name, mark in {"README.md": "library_name: mslique", "config.json": '"backbone"'}.items():
        file = folder / name
        if file.is_file() and mark not in file.read_text(encoding="utf-8", errors="replace"):
            raise UserError(f"{file} is not of an exported MS-LIQE, and would be replaced: give another folder")


def _model(found: dict[str, Any], changes: dict[str, Any], path: Path) -> MSLIQE:
    try:
        model = MSLIQE(**{**found[RECORD]["config"], **changes})
        weights = {k.removeprefix(PREFIX): v for k, v in found["state_dict"].items() if k.startswith(PREFIX)}
        model.load_state_dict(weights, strict=True)
    except (RuntimeError, KeyError, TypeError, AttributeError, ValueError) as reason:  # a file may hold anything
        raise UserError(f"the weights and the configuration in {path} do not match ({in_short(reason)})") from reason
    check_finite(weights, path)
    return model.eval()


def model_card(record: dict[str, Any], epochs: int, command: str, data: str | None, measured: str, license: str) -> str:
    """The card's Markdown. ``record`` is what :meth:`QualityModule.on_save_checkpoint` kept."""
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

{_data(record.get("data")) if data is None else data.strip()}

{OUR_MODELS}

## Licence

{license.strip()}

## Measured

{measured.strip()}

Logged in training, at this checkpoint (`val`: photographs kept out of training):

{_correlations(record["metrics"])}
"""


def _data(record: dict[str, Any] | None) -> str:
    if record is None:
        return UNKNOWN
    rows = [f"| {name} | {counts['train']} | {counts['val']} |" for name, counts in record["images"].items()]
    head = f"Split {record['split']}.\n\n| dataset | images for training | for validation |\n|---|---|---|\n"
    return head + "\n".join(rows)


def _correlations(metrics: dict[str, float]) -> str:
    """A table of SRCC and PLCC, the mean over the datasets first; other metrics below."""
    found = {name.partition("/")[2] for name in metrics if name.startswith("val_srcc")}
    rows = []
    for dataset in sorted(found):
        srcc, plcc = (
            metrics.get(f"val_{m}/{dataset}" if dataset else f"val_{m}", float("nan")) for m in ("srcc", "plcc")
        )
        rows.append(f"| {dataset or 'mean over the datasets'} | {srcc:.4f} | {plcc:.4f} |")
    others = [f"| {n} | {v:.4f} |" for n, v in sorted(metrics.items()) if not n.startswith(("val_srcc", "val_plcc"))]
    tables = ["\n".join(["| val | SRCC | PLCC |", "|---|---|---|", *rows])] if rows else []
    tables += ["\n".join(["| measure | value |", "|---|---|", *others])] if others else []
    return "\n\n".join(tables) or UNKNOWN


def _read(path: Path) -> dict[str, Any]:
    found = read_weights(path)
    if not isinstance(found, dict) or RECORD not in found:
        raise UserError(
            f"{path} is not a checkpoint of mslique.module.QualityModule: for a state dict in the layout of "
            "OpenAI's CLIP use mslique import"
        )
    return found
