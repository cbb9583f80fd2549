"""``dlmap calibrate``: the constants that put the scores of a quality model on a scale of 0 to 100."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pyiqa.default_model_configs import DEFAULT_CONFIGS
from torch import Tensor

from mslique import (
    Calibration,
    UserError,
    decimal_number,
    degrade,
    fit_calibration,
    image_size,
    list_images,
    read_image,
    reference_quality,
    srcc,
    table_rows,
)

from .quality import MSLIQEQuality, RawScore
from .run.files import refusals, write_bytes

SIDE = 256  # of the crops that are degraded; many models need 224 pixels
SEED = 0


@dataclass(frozen=True)
class Fit:
    """The constants, and SRCC of scores and labels over the number of images that they were fitted to."""

    calibration: Calibration
    srcc: float
    images: int


@dataclass(frozen=True)
class Labelled:
    """An image (3, H, W) in [0, 1] and its label in [0, 100], higher is better."""

    image: Tensor
    label: float


def load_raw(quality: str, options: dict[str, Any]) -> tuple[Callable[[Tensor], Tensor], dict[str, Any]]:
    """The model before calibration, (B, 3, H, W) -> (B,), and the YAML entry of its calibrated form without constants.

    Args:
        quality: folder, checkpoint or hub id of an MS-LIQE, or pyiqa's name of a metric.
        options: of pyiqa's metric.

    Raises:
        UserError: there is no such model, or it is not differentiable.
    """
    if quality in DEFAULT_CONFIGS and not Path(quality).exists():
        arguments: dict[str, Any] = {"name": quality, **({"options": options} if options else {})}
        return RawScore(quality, options), {"class_path": "dlmap.quality.PyiqaQuality", "init_args": arguments}
    if options:
        raise UserError(f"{quality} is not a metric of pyiqa, so that --option has no meaning: leave it out")
    entry = {"class_path": "dlmap.quality.MSLIQEQuality", "init_args": {"model": quality}}
    return MSLIQEQuality(quality, center=0.0, scale=1.0).raw, entry  # of a large image, the mean over its pieces


def store(quality: str, calibration: Calibration) -> Path | None:
    """Write the constants into the config.json of an exported MS-LIQE; returns its path.

    None if ``quality`` is no such folder: the constants of a checkpoint, a hub id or a metric of pyiqa go into the YAML
    file.

    Raises:
        UserError: the file cannot be written.
    """
    path = Path(quality) / "config.json"
    if not path.is_file():
        return None
    config = json.loads(path.read_text(encoding="utf-8")) | rounded(calibration)
    with refusals(path, "allow it, or copy the folder first"):
        write_bytes(path, (json.dumps(config, indent=2, sort_keys=True) + "\n").encode())
    return path


def rounded(calibration: Calibration) -> dict[str, float]:
    """The constants to five decimals, by name."""
    return {"center": round(calibration.center, 5), "scale": round(calibration.scale, 5)}


def fit(model: Callable[[Tensor], Tensor], samples: Iterable[Labelled]) -> Fit:
    """Least-squares constants of 100 / (1 + exp(-(score - center) / scale)) against the labels.

    Raises:
        UserError: fewer than four images, or scores that do not rise with the labels.
    """
    with torch.no_grad():
        pairs = np.array([(model(sample.image[None]).item(), sample.label) for sample in samples])
    if len(pairs) < 4:
        raise UserError(f"two constants cannot be fitted to {len(pairs)} images: give more")
    scores, labels = pairs.T
    try:
        return Fit(fit_calibration(scores, labels), srcc(scores, labels), len(pairs))
    except (ValueError, RuntimeError) as reason:  # the wrong direction, or no convergence
        raise UserError(
            f"{reason}: if the labels are lower-is-better, add --lower-is-better; otherwise this model does not fit"
        ) from reason


def labelled(folder: Path, table: Path, low: float, high: float, lower_is_better: bool) -> Iterator[Labelled]:
    """The images of a table (CSV) of path (relative to the folder) and label; a header may stand above.

    Args:
        low, high: ends of the scale of the labels, which becomes 0 to 100.

    Raises:
        UserError: the table or an image cannot be read, or a label is out of range.
    """
    if not high > low:
        raise UserError(f"the scale of the labels must rise, got {low} to {high}")
    rows = table_rows(table)
    for line, row in rows:
        try:
            name, label = row[0], decimal_number(row[1])
        except (IndexError, ValueError):
            if line == rows[0][0]:
                continue  # the header
            raise UserError(f"{table}, line {line}: expected path,label, got {','.join(row)}") from None
        if not low <= label <= high:
            raise UserError(f"{table}, line {line}: label {label} is outside {low} to {high}: give --range")
        share = (label - low) / (high - low)
        yield Labelled(read_image(folder / name), 100 * (1 - share if lower_is_better else share))


def degraded(folder: Path, count: int) -> Iterator[Labelled]:
    """Random degradations of crops of clean photographs, labelled by their distance to the original [ours].

    The labels are those that MS-LIQE is trained with on synthetic images (:func:`mslique.reference_quality`). They say
    how much of the original is left, not what people think of it: labels of people are better, where there are any.

    Raises:
        UserError: the folder holds no photograph of 256 x 256 pixels, or a file that cannot be read.
    """
    paths = [path for path in list_images(folder) if min(image_size(path)) >= SIDE]
    if not paths:
        raise UserError(
            f"{folder} holds no photograph of {SIDE} x {SIDE} pixels or more: give larger ones, or --labels"
        )
    for index in range(count):
        rng = np.random.default_rng((SEED, index))
        photo = read_image(paths[index % len(paths)])
        top, left = (int(rng.integers(0, side - SIDE + 1)) for side in photo.shape[1:])
        clean = photo[:, top : top + SIDE, left : left + SIDE]
        image = degrade(clean, rng)
        yield Labelled(image, reference_quality(image[None], clean[None]).item())
