"""Predictions to disk: one PNG an input, and results.csv."""

import csv
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import BasePredictionWriter
from torch import Tensor

from mslique import UserError

from .images import save_png, write_atomically


@dataclass(frozen=True)
class Row:
    """One line of results.csv. Quality in [0, 100], of the photograph as given and of the file written."""

    file: str
    status: str
    seconds: float | None = None
    iterations: int | None = None
    quality_before: float | None = None
    quality_after: float | None = None
    fidelity: float | None = None
    error: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of one input: its row, and the image (3, H, W) to be written at ``output``, if there is one."""

    row: Row
    output: Path
    image: Tensor | None = None


COLUMNS = [field.name for field in dataclasses.fields(Row)]


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write a results.csv with these rows, atomically; figures have six significant digits."""

    def write(part: Path) -> None:
        with part.open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            table.writerows(rows)

    write_atomically(path, write)


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a results.csv, all values as text."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class ResultWriter(BasePredictionWriter):
    """Writes every image as soon as its batch is done, and keeps results.csv (one part a process) up to date.

    At the end the parts of all processes are merged into ``results.csv``, sorted by file.

    Raises:
        UserError: at the end, if any input failed, so that the command's exit status is not 0.
    """

    def __init__(self, output: str | Path) -> None:
        super().__init__(write_interval="batch")
        self.output = Path(output)
        self.rows: list[dict[str, Any]] = []

    def _part(self, rank: int) -> Path:
        return self.output / f"results.{rank}.csv"

    def write_on_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        prediction: list[Outcome],
        batch_indices: Sequence[int] | None,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int,
    ) -> None:
        for outcome in prediction:
            if outcome.image is not None:
                save_png(outcome.image, self.output / outcome.output)
            self.rows.append(_formatted(outcome.row))
        write_rows(self._part(trainer.global_rank), self.rows)

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            parts = [part for rank in range(trainer.world_size) if (part := self._part(rank)).is_file()]
            rows = sorted((row for part in parts for row in read_rows(part)), key=lambda row: row["file"])
            write_rows(self.output / "results.csv", rows)
            for part in parts:
                part.unlink()
        trainer.strategy.barrier()
        rows = read_rows(self.output / "results.csv")
        failed = [row for row in rows if row["status"] == "failed"]
        if failed:
            first = failed[0]["error"]
            raise UserError(
                f"{len(failed)} of {len(rows)} images failed, the others are done; see {self.output / 'results.csv'}."
                f" First: {first}"
            )


def _formatted(row: Row) -> dict[str, Any]:
    values = dataclasses.asdict(row)
    return {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in values.items()}
