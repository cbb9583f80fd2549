"""How well a model agrees with people on each dataset: correlations, tables and scatter plots."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from .correlation import fitted, plcc, srcc
from .io.errors import UserError
from .io.folders import filled

COLUMNS = ("dataset", "images", "srcc", "plcc")


@dataclass(frozen=True)
class Agreement:
    """Number and name of a dataset, how many of its images were scored, and SRCC and PLCC (nan if undefined)."""

    number: int
    name: str
    images: int
    srcc: float
    plcc: float


def scored(rows: Tensor | list[Tensor], stage: str) -> Tensor:
    """The rows of :func:`agreements`, on the CPU.

    Raises:
        UserError: there is none, or a score is not finite.
    """
    if not isinstance(rows, Tensor):
        raise UserError(f"no image for {stage} could be decoded, so that nothing was scored: check the files")
    bad = int((~rows[:, 0].isfinite()).sum())
    if bad:
        raise UserError(
            f"{bad} of {len(rows)} scores of {stage} are not finite: the model is broken. Train with a smaller"
            " learning_rate or higher --trainer.precision, from an earlier checkpoint"
        )
    return rows.cpu()


def agreements(rows: Tensor, names: Sequence[str] | None = None) -> list[Agreement]:
    """One entry for every dataset in ``rows`` (N, 4): score, label, dataset number and image number."""
    found = []
    for number in rows[:, 2].unique().long().tolist():
        scores, labels = rows[rows[:, 2] == number, :2].numpy().T
        name = names[number] if names is not None else str(number)
        enough = len(scores) > 1
        correlations = (srcc(scores, labels), plcc(scores, labels)) if enough else (float("nan"), float("nan"))
        found.append(Agreement(number, name, len(scores), *correlations))
    return found


def write_report(folder: Path, found: Sequence[Agreement], rows: Tensor, image_name: Callable[[int, int], str]) -> None:
    """Write ``scores.csv``, ``correlations.csv`` and, for every dataset, a scatter plot ``<name>.png``.

    Args:
        folder: created if missing; files of an earlier report are replaced.
        rows: as in :func:`agreements`.
        image_name: dataset and image number to the image's path.

    Raises:
        UserError: the folder cannot be written; an earlier report stays whole.
    """
    with filled(folder) as part:
        _write_report(part, found, rows, image_name)


def _write_report(
    folder: Path, found: Sequence[Agreement], rows: Tensor, image_name: Callable[[int, int], str]
) -> None:
    names = {entry.number: entry.name for entry in found}
    order = rows[np.lexsort((rows[:, 3], rows[:, 2]))]
    scores = [
        (names[int(d)], image_name(int(d), int(i)), f"{label:.6g}", f"{s:.6f}") for s, label, d, i in order.tolist()
    ]
    _write(folder / "scores.csv", [("dataset", "image", "mos", "score"), *scores])
    table = [(a.name, a.images, f"{a.srcc:.4f}", f"{a.plcc:.4f}") for a in found]
    _write(folder / "correlations.csv", [COLUMNS, *table])
    for entry in found:
        part = rows[rows[:, 2] == entry.number]
        _scatter(folder / f"{entry.name}.png", part[:, 0].numpy(), part[:, 1].numpy(), entry)


def _write(file: Path, rows: Sequence[Sequence[object]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)


def _scatter(file: Path, scores: np.ndarray, labels: np.ndarray, entry: Agreement) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.scatter(scores, labels, s=12, alpha=0.5, linewidths=0)
    line = np.linspace(scores.min(), scores.max(), 200)
    curve = fitted(scores, labels) if len(scores) > 1 else None
    if curve is not None:
        axes.plot(line, curve(line), color="black", linewidth=1, label="four-parameter logistic")
        axes.legend()
    axes.set(xlabel="score", ylabel="MOS (higher is better)")
    axes.set_title(f"{entry.name}: {entry.images} images, SRCC {entry.srcc:.3f}, PLCC {entry.plcc:.3f}")
    figure.savefig(file)
