"""``dlmap study score``: every picture of a study in the eyes of every model, and its distance to the original."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure
from tqdm import tqdm

from mslique import UserError, decode_image

from ..run.files import six_digits, write_csv
from . import models
from .create import SAMPLES
from .definition import Study
from .design import ORIGINAL
from .entries import Entry, from_texts
from .matrix import Matrix, make_matrix
from .matrix_figure import draw_matrix


def score(folder: Path, further: Sequence[str]) -> Matrix:
    """Write scores.csv, fidelity.csv, matrix.csv and matrix.png of a study.

    Args:
        further: judges beside the contestants' own, as :func:`dlmap.study.entries.from_texts` takes them.

    Raises:
        UserError: no such study, or a judge cannot be used.
    """
    study = Study.load(folder)
    known: dict[str, Entry] = study.details.get("judges", {})
    own: dict[str, str] = study.details.get("own", {})
    judges = known | _further(study, known, further)
    if not judges:
        raise UserError(f"{folder} does not tell of a quality model: give judges (--quality)")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    _write(folder / "fidelity.csv", ("photo", "contestant", "fidelity", "psnr", "ssim"), _fidelities(study))
    pictures = (ORIGINAL, *study.contestants)
    calibrated, rows = np.zeros((len(judges), len(study.photos), len(pictures))), []
    with tqdm(total=calibrated.size, desc="scores", unit="picture", disable=None) as bar:
        for j, (judge, entry) in enumerate(judges.items()):
            model = models.build(entry).to(device)
            for p, photo in enumerate(study.photos):
                for c, name in enumerate(pictures):
                    raw, calibrated[j, p, c] = _scores(model, _picture(study, name, photo).to(device))
                    rows.append((photo, name, judge, raw, calibrated[j, p, c]))
                    bar.update()
    _write(folder / "scores.csv", ("photo", "contestant", "judge", "raw", "calibrated"), rows)
    matrix = make_matrix(study.contestants, tuple(judges), own, calibrated[..., 1:], calibrated[..., 0])
    matrix.write(folder / "matrix.csv")
    draw_matrix(matrix, folder / "matrix.png")
    return matrix


def _further(study: Study, known: Mapping[str, Entry], texts: Sequence[str]) -> dict[str, Entry]:
    pieces = (entry["init_args"].get("piece") for entry in known.values())
    entries = from_texts(texts, next((piece for piece in pieces if piece), None))
    if both := known.keys() & entries.keys():
        raise UserError(f"{', '.join(sorted(both))} is a judge of the study already: leave it out, or give NAME=...")
    if not entries:
        return {}
    models.check(entries, calibrated=False)
    return models.fitted(entries, study.folder / "originals", SAMPLES)


def _fidelities(study: Study) -> Iterable[tuple[Any, ...]]:
    """Distance to the original as the ascent had it, PSNR in dB and SSIM, of colours as they are stored."""
    fidelity = _fidelity(study)
    for photo in tqdm(study.photos, desc="fidelity", disable=None):
        original = _picture(study, ORIGINAL, photo)
        for name in study.contestants:
            image = _picture(study, name, photo)
            psnr = peak_signal_noise_ratio(image, original, data_range=1.0)
            ssim: Any = structural_similarity_index_measure(image, original, data_range=1.0)
            yield photo, name, fidelity(image, original).item(), psnr.item(), ssim.item()


def _fidelity(study: Study) -> nn.Module:
    try:
        entry = study.details["model"]["init_args"]["objective"]["init_args"]["fidelity"]
    except KeyError:
        raise UserError(
            f"{study.folder} does not tell how fidelity is measured: make it by dlmap study create"
        ) from None
    return models.build(entry, "fidelity")


def _picture(study: Study, name: str, photo: str) -> Tensor:
    """(1, 3, H, W), colours as they are stored, which is what was enhanced."""
    return decode_image(study.picture(name, photo)).image[None]


@torch.no_grad()
def _scores(model: Any, image: Tensor) -> tuple[float | str, float]:
    """Raw, empty for a model that has no single raw score, and calibrated."""
    raw = model.raw(image).item() if hasattr(model, "raw") else ""
    return raw, model(image).item()


def _write(path: Path, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    write_csv(path, columns, (list(map(six_digits, row)) for row in rows))
