"""Training data from any folder of clean photographs."""

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from ..io.errors import UserError, at_least
from ..io.listing import list_images
from .batch import batch_of_images
from .loaders import make_loader
from .synthetic import DegradedCrops

HELD_OUT = 0.1
VAL_SEED = 20240306


class DegradedPhotos(LightningDataModule):
    """Synthetically degraded crops, labelled by full-reference measures; batches are :class:`mslique.data.batch.Batch`.

    Training samples are fixed by (seed, epoch, index). Validation samples are the same in every epoch and every run.
    The test set is the validation set.

    Args:
        folder: clean photographs, searched recursively.
        val_folder: clean photographs for validation; None: the last tenth of ``folder``.
        crop_size: side of the square images, in pixels, 64 or more.
        batch_size: images in a batch, per process.
        versions: degradations of each crop in training, next to each other.
        samples_per_epoch: training images in an epoch, over all processes.
        val_samples: validation images.
        seed: of photos, crops and degradations in training; validation has its own.
        num_workers: processes that prepare images. Samples that are kept are made before the first step.
        distinct_samples: number of different training samples, a multiple of ``versions``. They are kept in memory and
            shown again and again. None: an endless stream of new ones.
        second_order: share of the degraded images, in training and validation, that go through a second mixture.

    Raises:
        UserError: a folder is missing or has too few photographs, or a number does not fit.
    """

    def __init__(
        self,
        folder: str,
        val_folder: str | None = None,
        crop_size: int = 128,
        batch_size: int = 16,
        versions: int = 4,
        samples_per_epoch: int = 3200,
        val_samples: int = 240,
        seed: int = 0,
        num_workers: int = 0,
        distinct_samples: int | None = None,
        second_order: float = 0.0,
    ) -> None:
        super().__init__()
        if crop_size < 64:
            raise UserError(f"crop_size is {crop_size}: the labels need crops of at least 64 pixels")
        at_least(1, batch_size=batch_size, versions=versions, samples_per_epoch=samples_per_epoch)
        at_least(2, val_samples=val_samples)
        at_least(0, seed=seed, num_workers=num_workers, second_order=second_order)
        if distinct_samples is not None and (distinct_samples < versions or distinct_samples % versions):
            raise UserError(f"distinct_samples is {distinct_samples}: give a multiple of versions ({versions})")
        self.save_hyperparameters()
        self.folder = folder
        self.val_folder = val_folder
        self.crop_size = crop_size
        self.batch_size = batch_size
        self.versions = versions
        self.samples_per_epoch = samples_per_epoch
        self.val_samples = val_samples
        self.seed = seed
        self.num_workers = num_workers
        self.distinct_samples = distinct_samples
        self.second_order = second_order

    def setup(self, stage: str) -> None:
        """Find the photographs. Only fitting needs ``folder`` where there is a ``val_folder``."""
        train, val = self._split(stage)
        options = (self.versions, True, self.distinct_samples, self.second_order)
        self.train_set = DegradedCrops(train, self.samples_per_epoch, self.crop_size, self.seed, *options)
        self.val_set = DegradedCrops(val, self.val_samples, self.crop_size, VAL_SEED, second_order=self.second_order)

    def train_dataloader(self) -> DataLoader[Any]:
        if self.distinct_samples is not None and self.num_workers:
            self.train_set.make_kept(self.num_workers)
        return self._loader(self.train_set, training=True)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._loader(self.val_set, training=False)

    def test_dataloader(self) -> DataLoader[Any]:
        return self.val_dataloader()

    def _loader(self, dataset: DegradedCrops, training: bool) -> DataLoader[Any]:
        return make_loader(dataset, self.batch_size, self.num_workers, batch_of_images, self.trainer, training)

    def _split(self, stage: str) -> tuple[list[Path], list[Path]]:
        if self.val_folder is not None:
            return (list_images(self.folder) if stage == "fit" else []), list_images(self.val_folder)
        photos = list_images(self.folder)
        held_out = max(1, round(HELD_OUT * len(photos)))
        if len(photos) == held_out:
            raise UserError(f"{self.folder} holds a single photograph: add more, or give a val_folder")
        return photos[:-held_out], photos[-held_out:]
