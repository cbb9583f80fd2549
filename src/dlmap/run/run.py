"""A run: a folder of photographs on its way to an output folder."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_info

from mslique import UserError

from .files import make_folder, refusals
from .fingerprint import content_key
from .lock import Lock
from .plan import make_batches
from .record import FAILED, Journal, Record, write_results
from .report import write_report
from .writer import Background, Result, write


class Run:
    """Owns what is to be done, what was done, and what is written; every process has one.

    The module (:class:`dlmap.run.module.MAPEnhancer`) makes it and hands it every result. The data module asks it for
    the batches. The callback (:class:`dlmap.run.ending.Ending`) tells it to stop and to conclude.

    Args:
        output: folder for the results.
        keep_format: whether results have the format of their photographs instead of PNG.
        metadata: whether results carry EXIF and XMP of their photographs.
        report: whether report.html is written.

    Attributes:
        options: fingerprint of options and weights; empty: unknown, so that nothing counts as done.
        told_to_stop: no further photographs are begun. This is no ``threading.Event``: its ``set`` takes a lock, for
            which the handler of a second signal would wait for ever if it interrupts the handler of the first one.
        planned: number of photographs to do, of all processes.
        share: of these, the number of this process.

    Raises:
        UserError: ``output`` is a file.
    """

    def __init__(self, output: Path, keep_format: bool = False, metadata: bool = False, report: bool = True) -> None:
        if output.exists() and not output.is_dir():
            raise UserError(f"--output {output} is a file: give a folder")
        self.output, self.keep_format, self.metadata, self.report = output, keep_format, metadata, report
        self.journal = Journal(output)
        self._lock = Lock(self.journal.folder / "lock")
        self.options, self.told_to_stop, self.planned, self.share = "", False, 0, 0
        self._background: Background | None = None

    def check_output(self, alone: bool = True) -> None:
        """Find out before the work whether results can be written; from here to ``close`` no other run may write there.

        Args:
            alone: False in the processes of a run other than the one that plans it, which keeps others out for all.

        Raises:
            UserError: they cannot, or another run writes there.
        """
        try:
            make_folder(self.output)
            with tempfile.TemporaryFile(dir=self.output):
                pass
            if alone and not self._lock.take():
                raise UserError(
                    f"another run is writing to --output {self.output}: wait until it has ended, or give another folder"
                )
        except OSError as reason:
            raise UserError(
                f"--output {self.output} cannot be written to ({reason.strerror}): give another folder"
            ) from reason

    def plan(
        self, records: Sequence[Record], batch_size: int, processes: int, overwrite: bool = False
    ) -> list[list[Record]]:
        """Batches of the photographs that are not done yet, or with ``overwrite`` of all; one per process at least.

        Raises:
            UserError: a result would replace a file that is of no earlier run.
        """
        with refusals(self.output):
            self.journal.merge()
            if not self.journal.path.is_file():
                if not overwrite:
                    self._check_free(records)
                self.journal.begin()
        keyed = [replace(one, key=content_key(self.options, one.source, one.reference)) for one in records]
        todo = keyed if overwrite else self.journal.missing(keyed)
        if len(todo) < len(keyed):
            rank_zero_info(
                f"{len(keyed) - len(todo)} of {len(keyed)} photographs are done already, from the same files with the"
                " same options (--data.overwrite true does them again)"
            )
        return make_batches(todo, batch_size, processes)

    def _check_free(self, records: Sequence[Record]) -> None:
        for record in records:
            if (path := self.output / record.output).is_file():
                raise UserError(
                    f"{path} is there already, and of no run that {self.journal.path} knows: give another folder as"
                    " --output, or --data.overwrite true to replace it"
                )

    def begin(self, batches: Sequence[list[Record]], rank: int, processes: int) -> list[list[Record]]:
        """Begin the work of process ``rank``; returns its batches of those of all processes."""
        mine = list(batches[rank::processes])
        self.planned, self.share = sum(map(len, batches)), sum(map(len, mine))
        self._background = Background()
        self._write = partial(write, journal=self.journal, rank=rank, metadata=self.metadata)
        return mine

    def finish(self, done: Result | Record) -> None:
        """Write a result, or the record of a photograph that failed, in the background.

        Raises:
            UserError: an earlier result could not be written.
        """
        if self._background is None:
            raise RuntimeError("call begin() before finish()")
        self._background.submit(partial(self._write, done))

    def wait(self) -> None:
        """Wait until all is written. Raises UserError if a result could not be."""
        if self._background is not None:
            self._background.finish()

    def close(self) -> None:
        """Wait until all is written, without a further error; then other runs may write there."""
        if self._background is not None:
            self._background.close()
        self._lock.release()

    def conclude(self) -> None:
        """Write results.csv and report.html, in one process, after all processes have finished.

        Raises:
            UserError: a photograph failed, the run ended early, or the file system refuses, so that the exit status of
                the command is not 0.
        """
        with refusals(self.output):
            done = self.journal.merge()
            records = list(self.journal.read().values())
            write_results(self.output / "results.csv", records)
            if self.report:
                write_report(self.output, records)
        if missing := self.planned - len(done):
            raise UserError(
                f"ended early: {len(done)} photographs are done, {missing} are not; run the same command again to go on"
            )
        if failed := [record for record in done if record.status == FAILED]:
            raise UserError(
                f"{len(failed)} of {len(done)} images failed{', the others are done' * (len(failed) < len(done))}; see"
                f" {self.output / 'results.csv'}. First: {failed[0].error}"
            )
