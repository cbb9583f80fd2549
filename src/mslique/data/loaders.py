"""The data loaders of both data modules."""

from collections.abc import Callable
from typing import Any

from lightning.pytorch import Trainer
from torch.utils.data import DataLoader, Dataset

from .batch import Batch
from .samplers import EverySampleOnce, FreshSamples


def make_loader(
    dataset: Dataset[Any],
    batch_size: int,
    workers: int,
    collate: Callable[[Any], Batch],
    trainer: Trainer | None,
    training: bool,
) -> DataLoader[Any]:
    """A loader of the samples of this process.

    In training every epoch has new samples, and every process the same number of full batches. In evaluation every
    sample comes exactly once, over all processes.
    """
    replicas, rank = processes(trainer)
    fresh = FreshSamples(dataset, replicas, rank, shuffle=False)
    return DataLoader(
        dataset=dataset,
        batch_size=batch_size,
        sampler=fresh if training else EverySampleOnce(dataset, replicas, rank),
        num_workers=workers,
        collate_fn=collate,
        drop_last=training,
    )


def processes(trainer: Trainer | None) -> tuple[int, int]:
    """The number of processes, and the number of this one; (1, 0) without a trainer."""
    return (trainer.world_size, trainer.global_rank) if trainer else (1, 0)
