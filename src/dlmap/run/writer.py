"""Predictions to disk: images, the journal, and at the end results.csv and report.html."""

import datetime
import errno
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch.distributed
from lightning.pytorch.callbacks import Callback

from mslique import UserError

from .background import Background
from .journal import Entry, Journal
from .outcome import Outcome, Pictures
from .pictures import save_picture
from .report import write_report
from .results import FAILED, write_rows
from .thumbnails import Thumbnails

AS_LONG_AS_IT_TAKES = datetime.timedelta(days=365)


class ResultWriter(Callback):
    """Writes every image in the background as soon as its batch is done, then notes it in the journal.

    Args:
        journal: the journal of the output folder.
        metadata: whether the results carry EXIF and XMP of the photographs.
        report: whether to write report.html at the end.

    Raises:
        UserError: an image cannot be written; or at the end, if any input failed or the run was ended early, so that
            the command's exit status is not 0.
    """

    def __init__(self, journal: Journal, metadata: bool = False, report: bool = True) -> None:
        self.journal, self.metadata, self.report = journal, metadata, report
        self._thumbnails = Thumbnails(journal.folder)
        self._over = False

    def on_predict_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        # after every on_predict_start: the processes meet here, so none begins before all can be told to end
        self._background = Background()
        self._everyone: Any = None
        if trainer.world_size > 1:
            # processes may finish hours apart, more than the patience of Lightning's own group
            self._everyone = torch.distributed.new_group(backend="gloo", timeout=AS_LONG_AS_IT_TAKES)

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        for outcome in outputs:
            self._background.submit(partial(self._write, trainer.global_rank, outcome))

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._background.finish()
        if trainer.world_size > 1:
            torch.distributed.barrier(self._everyone)
        self._over = True
        if not trainer.is_global_zero:
            return
        done = self.journal.merge()
        write_views(self.journal, self.report)
        loader: Any = trainer.predict_dataloaders
        if missing := loader.planned - len(done):
            raise UserError(
                f"ended early: {len(done)} photographs are done, {missing} are not; run the same command again to go on"
            )
        failed = [entry.row for entry in done if entry.row.status == FAILED]
        if failed:
            raise UserError(
                f"{len(failed)} of {len(done)} images failed, the others are done; see"
                f" {self.journal.output / 'results.csv'}. First: {failed[0].error}"
            )

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        if hasattr(self, "_background"):
            self._background.close()
        if not self._over and trainer.strategy.launcher is not None:
            # without this process the others could not end: what they have done is in the journal
            trainer.strategy.launcher.kill(signal.SIGKILL)

    def _write(self, rank: int, outcome: Outcome) -> None:
        path, entry = self.journal.output / outcome.entry.output, outcome.entry
        try:
            if outcome.pictures is not None:
                entry = self._saved(entry, outcome.pictures, path)
            self.journal.append(rank, entry)
        except OSError as reason:
            raise UserError(
                f"{path} cannot be written ({reason.strerror}): free the space or allow it, or give another --output;"
                " then run the same command again to go on"
            ) from reason

    def _saved(self, entry: Entry, pictures: Pictures, path: Path) -> Entry:
        """Write the pictures. An error of the file system is raised, one of this photograph is its entry's."""
        try:
            save_picture(pictures.after, path, pictures.decoded if self.metadata else None)
            self._thumbnails.save(entry.row.file, pictures.before, pictures.after)
        except (OSError, ValueError, RuntimeError) as reason:
            if isinstance(reason, OSError) and reason.errno not in (None, errno.ENAMETOOLONG):
                raise
            row = replace(entry.row, status=FAILED, error=f"{path.name} cannot be written: {reason}")
            return replace(entry, row=row)
        return entry


def write_views(journal: Journal, report: bool = True) -> None:
    """Write results.csv, and report.html if asked for, from the journal."""
    entries = list(journal.read().values())
    write_rows(journal.output / "results.csv", [entry.row for entry in entries])
    if report:
        write_report(journal.output, entries)
