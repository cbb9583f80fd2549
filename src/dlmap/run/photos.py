"""Photographs read from disk, batch by batch."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mslique import Decoded, UserError, decode_image

from .interrupt import Stop
from .plan import Task


@dataclass(frozen=True)
class Photo:
    """One input: what it is, its pixels or why there are none, and its reference (3, H, W) in [0, 1] if one is used."""

    task: Task
    decoded: Decoded | None
    reference: Tensor | None = None
    error: str = ""


class PhotoBatches(Dataset[list[Photo]]):
    """Batches of photographs, decoded when asked for; a bad file becomes a Photo with an error."""

    def __init__(self, batches: list[list[Task]], references: bool) -> None:
        self.batches, self.references = batches, references

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> list[Photo]:
        return [self._photo(task) for task in self.batches[index]]

    def _photo(self, task: Task) -> Photo:
        try:
            decoded = decode_image(task.source)
            return Photo(task, decoded, self._reference(task, decoded) if self.references else None)
        except UserError as reason:
            return Photo(task, None, error=str(reason))

    def _reference(self, task: Task, decoded: Decoded) -> Tensor:
        if task.reference is None:
            raise UserError(f"{task.name} has no reference of the same name, or several that differ in the suffix")
        reference = decode_image(task.reference).image
        if reference.shape != decoded.image.shape:
            sizes = [f"{image.shape[2]} x {image.shape[1]} pixels" for image in (reference, decoded.image)]
            raise UserError(f"the reference {task.reference} has {sizes[0]}, {task.name} has {sizes[1]}: resize it")
        return reference


class StoppableBatches:
    """The batches of one process, until ``stop.told``.

    ``photos`` is their number of photographs, ``planned`` that of all processes.
    """

    def __init__(self, batches: PhotoBatches, planned: int, num_workers: int, stop: Stop) -> None:
        self.photos, self.planned = sum(map(len, batches.batches)), planned
        self._stop = stop
        self._loader = DataLoader(
            dataset=batches, batch_size=None, num_workers=num_workers, worker_init_fn=_leave_signals_to_the_main_process
        )

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[list[Photo]]:
        for batch in self._loader:
            if self._stop.told:
                return
            yield batch


def _leave_signals_to_the_main_process(_: int) -> None:
    """Ctrl-C reaches all processes of a terminal: without the readers, the photographs in flight could not finish."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
