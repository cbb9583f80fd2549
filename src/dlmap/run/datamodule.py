"""A folder of photographs as batches for ``lightning predict``."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mslique import Decoded, UserError, decode_image

from .plan import check_outputs, find, find_references, matches, output_names
from .record import FAILED, Record
from .run import Run


@dataclass(frozen=True)
class Photo:
    """A photograph in memory: its record, its pixels, and its reference (3, H, W) in [0, 1] if it has one."""

    record: Record
    decoded: Decoded
    reference: Tensor | None = None


Batch = list[Photo | Record]
"""A photograph that cannot be read is here only a record, which says why."""


class PhotoBatches(Dataset[Batch]):
    """Batches of photographs, decoded when asked for."""

    def __init__(self, batches: list[list[Record]]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch:
        return [_load(record) for record in self.batches[index]]


def _load(record: Record) -> Photo | Record:
    if record.status == FAILED:
        return record
    try:
        decoded = decode_image(record.source)
        return Photo(record, decoded, _reference(record, decoded))
    except UserError as reason:
        return record.failed(str(reason))


def _reference(record: Record, decoded: Decoded) -> Tensor | None:
    if record.reference is None:
        return None
    reference = decode_image(record.reference).image
    if reference.shape != decoded.image.shape:
        sizes = [f"{image.shape[2]} x {image.shape[1]} pixels" for image in (reference, decoded.image)]
        raise UserError(f"the reference {record.reference} has {sizes[0]}, {record.file} has {sizes[1]}: resize it")
    return reference


class StoppableBatches:
    """The batches of one process, until ``run`` is told to stop; ``num_workers`` processes read ahead."""

    def __init__(self, batches: PhotoBatches, num_workers: int, run: Run) -> None:
        self._run = run
        self._loader = DataLoader(batches, batch_size=None, num_workers=num_workers, worker_init_fn=_ignore_signals)

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Batch]:
        for batch in self._loader:
            if self._run.told_to_stop:
                return
            yield batch


def _ignore_signals(_: int) -> None:
    """A reader goes on after Ctrl-C, which reaches all processes of a terminal: photographs in flight need it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


class PhotoFolderData(L.LightningDataModule):
    """Batches (lists) of photographs, each of which goes to exactly one process; those that are done are left out.

    Args:
        folder: photographs, searched recursively; or one file.
        batch_size: photographs at a time; those of equal size are enhanced together.
        num_workers: processes that read ahead, each of them two batches.
        include: glob patterns, separated by commas, for the path below ``folder`` or the file name; case is ignored.
        exclude: the same, for photographs to leave out.
        limit: only the first so many, by name, of those that the patterns leave.
        overwrite: do again what is done. A photograph is done if its result was written from the same file (size and
            time of change) with the same options and models.
        reference: folder with images of the same names (suffixes may differ) and sizes, with which the fidelity term
            compares the results instead of with the photographs, which are then the output of another enhancer.

    Attributes:
        run: the run that plans and counts the batches; the module puts it here in its ``setup``, which Lightning calls
            before it asks for the batches.

    Raises:
        UserError: a folder is missing or holds no image, no photograph is left, or an option is out of range.
    """

    def __init__(
        self,
        folder: str,
        batch_size: int = 4,
        num_workers: int = 0,
        include: str = "*",
        exclude: str = "",
        limit: int | None = None,
        overwrite: bool = False,
        reference: str | None = None,
    ) -> None:
        super().__init__()
        if not folder:
            raise UserError("--data.folder is empty: give a folder of photographs")
        for name, value, least in (("batch_size", batch_size, 1), ("limit", limit, 1), ("num_workers", num_workers, 0)):
            if value is not None and value < least:
                raise UserError(f"--data.{name} is {value}: give at least {least}")
        self.folder, self.reference, self.limit = Path(folder), reference, limit
        self.batch_size, self.num_workers, self.overwrite = batch_size, num_workers, overwrite
        self.run: Run | None = None
        self.root, self._found = find(folder)
        names = [path.relative_to(self.root) for path in self._found]
        self._chosen = [matches(name, include) and not matches(name, exclude) for name in names]
        if not any(self._chosen):
            raise UserError(
                f"none of the {len(names)} images in {folder} is left by --data.include {include!r} and"
                f" --data.exclude {exclude!r}: check the patterns"
            )
        if reference is not None:
            find(reference)

    def records(self, output: Path, keep_format: bool) -> list[Record]:
        """The chosen photographs in the order of their names, whether done or not, with results below ``output``.

        Where a reference is asked for and missing, the photograph has failed already.

        Raises:
            UserError: a result would overwrite a photograph.
        """
        if self.folder.is_dir() and output.resolve() == self.root.resolve():
            raise UserError(f"--output {output} is the folder of the photographs: give another one")
        names = [path.relative_to(self.root) for path in self._found]
        # all photographs are named, also those that are not chosen, so that a name does not depend on the choice
        outputs = output_names(names, keep_format)
        found = zip(self._found, names, outputs, self._chosen, strict=True)
        chosen = [Record(str(name), str(result), str(path)) for path, name, result, chosen in found if chosen]
        records = check_outputs(self.root, chosen, output)[: self.limit]
        if self.reference is None:
            return records
        missing = "has no reference of the same name, or several that differ in the suffix"
        references = find_references(self.reference, records)
        return [
            replace(record, reference=str(path)) if path else record.failed(f"{record.file} {missing}")
            for record, path in zip(records, references, strict=True)
        ]

    def predict_dataloader(self) -> StoppableBatches:
        trainer, run = self.trainer, self.run
        if trainer is None or run is None:
            raise RuntimeError("give PhotoFolderData to Trainer.predict() together with a MAPEnhancer")
        batches: list[list[Record]] = []
        if trainer.is_global_zero:  # one process decides, so that all agree even if a file changes meanwhile
            records = self.records(run.output, run.keep_format)
            batches = run.plan(records, self.batch_size, trainer.world_size, self.overwrite)
        batches = trainer.strategy.broadcast(batches)
        mine = run.begin(batches, trainer.global_rank, trainer.world_size)
        return StoppableBatches(PhotoBatches(mine), self.num_workers, run)

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch  # the module moves the stacks that it makes of photographs of equal size
