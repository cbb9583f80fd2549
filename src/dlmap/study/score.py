"""``dlmap study score``: the scores of every picture by every model, its distance to the original, and the matrix.

The preference of a judge for a contestant is the share of comparisons, with each other contestant on each photograph,
that the contestant wins by the judge's scores; a tie counts half, 0.5 is no preference. Shares, unlike mean scores,
compare judges with different scales. Pictures that were optimised for a judge win by its scores even if they are bad,
so the judge compares the other contestants without them [ours].
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure
from tqdm import tqdm

from mslique import UserError, decode_image

from ..run.files import six_digits, write_csv
from . import figures, models
from .definition import Study
from .models import Entry
from .trials import ORIGINAL

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
WINDOW = 11
"""Side of SSIM's window: a smaller picture has none."""


@dataclass(frozen=True)
class Matrix:
    """Rows are C contestants, the one that the other judges prefer first; columns are J judges, in the same order.

    Args:
        preference: (C, J), in [0, 1]; nan where the judge has nothing to compare.
        own: (C, J), whether the judge is the model that the contestant's ascent followed. In a study of enhancers this
            is one model for all rows, also for those without an ascent: it is not neutral between them.
        by_others: (C,), mean preference of the other judges; nan if there are none.
        over_original: (C,), share of photographs where the other judges score the picture above the original.
        photos: number of photographs.
    """

    contestants: tuple[str, ...]
    judges: tuple[str, ...]
    preference: Array
    own: Mask
    by_others: Array
    over_original: Array
    photos: int

    @property
    def only_by_itself(self) -> Mask:
        """(C,), whether its own judge prefers the contestant (in more than half of the comparisons) and no other."""
        liked = self.preference > 0.5
        mine, others = (liked & self.own).any(axis=1), (liked & ~self.own).any(axis=1)
        return np.asarray(mine & ~others & ~np.isnan(self.by_others))

    def text(self) -> str:
        """One line for each contestant, and one for each that only the model of its own ascent likes."""
        lines, exposed = ["comparisons won:\n"], []
        for name, row, own, others, alone in zip(
            self.contestants, self.preference, self.own, self.by_others, self.only_by_itself, strict=True
        ):
            judges = [judge for judge, is_own in zip(self.judges, own, strict=True) if is_own]
            shares = [] if np.isnan(others) else [f"{others:.0%} by the other judges"]
            shares += [f"{s:.0%} by {j}, which the ascent followed" for j, s in zip(judges, row[own], strict=True)]
            lines.append(f"{name}: {', '.join(shares)}\n")
            if alone:
                judge = " and ".join(judges)
                exposed.append(f"{name} is liked only by itself: {judge} prefers its pictures, no other judge does\n")
        return "".join(lines + exposed)

    def write(self, path: Path) -> None:
        """Write matrix.csv, atomically."""
        columns = ["preferred_by_the_others", "over_the_original", "liked_only_by_itself"]
        values = np.column_stack([self.preference, self.by_others, self.over_original])
        rows = [
            [name, *("" if np.isnan(v) else f"{v:.4f}" for v in row), "yes" if alone else "no"]
            for name, row, alone in zip(self.contestants, values, self.only_by_itself, strict=True)
        ]
        write_csv(path, ["contestant", *self.judges, *columns], rows)


def make_matrix(
    contestants: tuple[str, ...], judges: tuple[str, ...], own: dict[str, str], scores: Array, originals: Array
) -> Matrix:
    """The matrix of scores (J, P, C) of contestants and (J, P) of the originals, on P photographs.

    ``own`` has the judge that a contestant's ascent followed, by contestant.
    """
    wins = (scores[..., :, None] > scores[..., None, :]) + 0.5 * (scores[..., :, None] == scores[..., None, :])
    mine = np.array([[own.get(name) == judge for judge in judges] for name in contestants])
    compared = (mine.T[:, :, None] | ~mine.T[:, None, :]) & ~np.eye(len(contestants), dtype=bool)  # (J, C, C)
    preference = _mean_where(wins.mean(axis=1), compared).T
    by_others = _mean_where(preference, ~mine & ~np.isnan(preference))
    over_original = _mean_where((scores > originals[..., None]).mean(axis=1).T, ~mine)
    rows = np.argsort(-np.nan_to_num(by_others, nan=-1), kind="stable")
    first = np.where(mine.any(axis=0), mine[rows].argmax(axis=0), len(contestants))
    columns = np.argsort(first, kind="stable")  # so that each contestant's own judge is on the diagonal
    return Matrix(
        contestants=tuple(contestants[k] for k in rows),
        judges=tuple(judges[k] for k in columns),
        preference=preference[rows][:, columns],
        own=mine[rows][:, columns],
        by_others=by_others[rows],
        over_original=over_original[rows],
        photos=scores.shape[1],
    )


def _mean_where(values: Array, where: Mask) -> Array:
    """Means of the chosen elements along the last axis; nan where there are none."""
    count = where.sum(axis=-1)
    return np.where(count > 0, np.where(where, values, 0).sum(axis=-1) / np.maximum(count, 1), np.nan)


def score(folder: Path, further: Sequence[str]) -> Matrix:
    """Write scores.csv, fidelity.csv, matrix.csv and matrix.png of a study.

    Args:
        further: judges besides the contestants' own, as :func:`~.models.from_texts` takes them.

    Raises:
        UserError: there is no such study, a picture is missing or damaged, or a judge cannot be used.
    """
    study = Study.load(folder)
    study.check_pictures()
    known: dict[str, Entry] = study.details.get("judges", {})
    entries = models.from_texts(further)
    if both := known.keys() & entries.keys():
        raise UserError(f"{', '.join(sorted(both))} is a judge of the study already: leave it out, or give NAME=...")
    models.check(entries, calibrated=False)
    judges = known | (models.fitted(entries, study.folder / "originals") if entries else {})
    if not judges:
        raise UserError(f"{folder} does not tell of a quality model: give judges (--quality)")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    write_csv(folder / "fidelity.csv", ("photo", "contestant", "fidelity", "psnr", "ssim"), _fidelities(study))
    pictures = (ORIGINAL, *study.contestants)
    calibrated, rows = np.zeros((len(judges), len(study.photos), len(pictures))), []
    with tqdm(total=calibrated.size, desc="scores", unit="picture", disable=None) as bar:
        for j, (judge, entry) in enumerate(judges.items()):
            model: Any = models.build(entry).to(device)
            for p, c in np.ndindex(calibrated.shape[1:]):
                image = _picture(study, pictures[c], study.photos[p]).to(device)
                with torch.no_grad():  # a raw score is missing where the model has none of its own
                    raw = model.raw(image).item() if hasattr(model, "raw") else ""
                    calibrated[j, p, c] = model(image).item()
                if not np.isfinite(calibrated[j, p, c]):
                    raise UserError(f"{judge} gives {pictures[c]} of {study.photos[p]} no finite score: leave it out")
                rows.append((study.photos[p], pictures[c], judge, *map(six_digits, (raw, calibrated[j, p, c]))))
                bar.update()
    write_csv(folder / "scores.csv", ("photo", "contestant", "judge", "raw", "calibrated"), rows)
    own: dict[str, str] = study.details.get("own", {})
    matrix = make_matrix(study.contestants, tuple(judges), own, calibrated[..., 1:], calibrated[..., 0])
    matrix.write(folder / "matrix.csv")
    figures.draw_matrix(matrix, folder / "matrix.png")
    return matrix


def _fidelities(study: Study) -> Iterable[tuple[Any, ...]]:
    """The ascent's fidelity, PSNR in dB and SSIM, all to the original, of colours as they are stored."""
    try:
        entry = study.details["model"]["init_args"]["objective"]["init_args"]["fidelity"]
    except (KeyError, TypeError):
        message = f"{study.folder} does not tell how fidelity is measured: make it by dlmap study create"
        raise UserError(message) from None
    fidelity: nn.Module = models.build(entry, "fidelity")
    for photo in tqdm(study.photos, desc="fidelity", disable=None):
        original = _picture(study, ORIGINAL, photo)
        for name in study.contestants:
            image = _picture(study, name, photo)
            psnr = peak_signal_noise_ratio(image, original, data_range=1.0)
            values = [fidelity(image, original).item(), psnr.item(), ""]
            if min(image.shape[-2:]) >= WINDOW:
                ssim: Any = structural_similarity_index_measure(image, original, data_range=1.0)
                values[-1] = ssim.item()
            yield photo, name, *map(six_digits, values)


def _picture(study: Study, name: str, photo: str) -> Tensor:
    """(1, 3, H, W) in [0, 1], colours as they are stored."""
    return decode_image(study.picture(name, photo)).image[None]
