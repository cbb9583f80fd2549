"""The data loaders of training and evaluation."""

from collections.abc import Callable, Iterator
from typing import Any

from lightning.pytorch import Trainer
from torch.utils.data import DataLoader, Dataset

from ..io.errors import UserError
from .samplers import EverySampleOnce, FreshSamples


class _TrainingLoader(DataLoader[Any]):
    """Goes on after a restart: its iterator begins when the first batch is asked for.

    Lightning makes the iterator before it reads the checkpoint. Workers would begin at once, with the first epoch.
    """

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        yield from super().__iter__()

    def state_dict(self) -> dict[str, int]:
        """Nothing: the trainer's own count of batches is enough. With this method Lightning knows it can go on."""
        return {}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """See ``state_dict``."""


def make_loader(
    dataset: Dataset[Any],
    batch_size: int,
    workers: int,
    collate: Callable[[Any], Any] | None,
    trainer: Trainer | None,
    training: bool,
) -> DataLoader[Any]:
    """A loader of the samples of this process.

    In training every epoch has new samples, so that every index from 0 on must be valid, and every process the same
    number of full batches; after a restart in the middle of an epoch it goes on with the next batch. In evaluation
    every sample comes exactly once, over all processes.

    Args:
        workers: processes that make the samples; 0: this one does.
        collate: makes a batch of a list of samples; None: as torch does.
        trainer: knows the process, and the number of batches before a restart; None: a single process.

    Raises:
        UserError: an epoch of training has no full batch.
    """
    replicas, rank = processes(trainer)
    options: dict[str, Any] = {"batch_size": batch_size, "num_workers": workers, "collate_fn": collate}
    if not training:
        return DataLoader(dataset=dataset, sampler=EverySampleOnce(dataset, replicas, rank), **options)
    if len(dataset) < batch_size * replicas:  # type: ignore[arg-type]
        raise UserError(
            f"an epoch of {len(dataset)} samples has no full batch of {batch_size} in each of {replicas} processes:"  # type: ignore[arg-type]
            " give more samples or a smaller batch_size"
        )
    seen = (lambda: (trainer.fit_loop.batch_idx + 1) * batch_size) if trainer else int
    fresh = FreshSamples(dataset, replicas, rank, seen)
    return _TrainingLoader(dataset=dataset, sampler=fresh, drop_last=True, **options)


def processes(trainer: Trainer | None) -> tuple[int, int]:
    """The number of processes, and the number of this one; (1, 0) without a trainer."""
    return (trainer.world_size, trainer.global_rank) if trainer else (1, 0)
