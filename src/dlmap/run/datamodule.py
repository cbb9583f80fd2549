"""A folder of photographs as batches for ``lightning predict``."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, cast

import lightning as L
import torch
from lightning.pytorch.utilities import rank_zero_info

from mslique import UserError

from .photos import Photo, PhotoBatches, StoppableBatches
from .plan import Task, check_outputs, content_key, find, find_references, make_batches, matches, output_names

if TYPE_CHECKING:
    from .module import MAPEnhancer


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
        reference: folder with images of the same names (suffixes may differ) and sizes, to which the fidelity term
            holds the results instead of to the photographs, which are then the output of another enhancer.

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
        for name, value in (("batch_size", batch_size), ("limit", limit)):
            if value is not None and value < 1:
                raise UserError(f"--data.{name} is {value}: give at least 1")
        self.folder, self.reference = Path(folder), reference
        self.batch_size, self.num_workers, self.overwrite = batch_size, num_workers, overwrite
        self.root, self._found = find(folder)
        names = [path.relative_to(self.root) for path in self._found]
        self._chosen = [matches(name, include) and not matches(name, exclude) for name in names]
        self._limit = limit
        if not any(self._chosen):
            raise UserError(
                f"none of the {len(names)} images in {folder} is left by --data.include {include!r} and"
                f" --data.exclude {exclude!r}: check the patterns"
            )
        if reference is not None:
            find(reference)

    def tasks(self, output: Path, keep_format: bool) -> list[Task]:
        """What is to be done if nothing is done yet, in the order of the names.

        Raises:
            UserError: a result would overwrite an input.
        """
        if self.folder.is_dir() and output.resolve() == self.root.resolve():
            raise UserError(f"--output {output} is the folder of the photographs: give another one")
        names = [path.relative_to(self.root) for path in self._found]
        # named before the choice, so that the names do not depend on it
        outputs = output_names(names, keep_format)
        found = zip(self._found, names, outputs, self._chosen, strict=True)
        chosen = [Task(path, name, result) for path, name, result, chosen in found if chosen]
        tasks = check_outputs(self.root, chosen, output)[: self._limit]
        if self.reference is None:
            return tasks
        references = find_references(self.reference, tasks)
        return [dataclasses.replace(task, reference=path) for task, path in zip(tasks, references, strict=True)]

    def transfer_batch_to_device(self, batch: list[Photo], device: torch.device, dataloader_idx: int) -> list[Photo]:
        return batch  # the module moves the stacks that it makes of equal sizes

    def predict_dataloader(self) -> StoppableBatches:
        trainer = self.trainer
        if trainer is None:
            raise RuntimeError("give the data module to Trainer.predict(), which knows the processes and the module")
        module = cast("MAPEnhancer", trainer.lightning_module)
        # one process decides, so that all agree even if a file changes meanwhile
        plan = self._plan(module, trainer.world_size) if trainer.is_global_zero else []
        plan = trainer.strategy.broadcast(plan)
        batches = PhotoBatches(plan[trainer.global_rank :: trainer.world_size], self.reference is not None)
        return StoppableBatches(batches, sum(map(len, plan)), self.num_workers, module.stop)

    def _plan(self, module: "MAPEnhancer", processes: int) -> list[list[Task]]:
        """The batches of all processes: k, k + processes, ... are those of process k, which has one, maybe empty."""
        options, journal = module.fingerprint(), module.journal
        journal.merge()
        entries, tasks = journal.read(), self.tasks(module.output, module.keep_format)
        tasks = [dataclasses.replace(t, key=content_key(options, t.source, t.reference)) for t in tasks]
        todo = [
            task
            for task in tasks
            if self.overwrite or not journal.is_done(entries.get(str(task.name)), str(task.output), task.key)
        ]
        if len(todo) < len(tasks):
            rank_zero_info(
                f"{len(tasks) - len(todo)} of {len(tasks)} photographs are done already, from the same files with the"
                " same options (--data.overwrite true does them again)"
            )
        batches = make_batches(todo, self.batch_size, processes)
        return batches + [[] for _ in range(processes - len(batches))]
