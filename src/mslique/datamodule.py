"""Training data from any folder of clean photographs."""

from pathlib import Path

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from .dataset import DegradedCrops
from .errors import UserError
from .files import list_images
from .samplers import EverySampleOnce, FreshSamples, share

HELD_OUT = 0.1


class DegradedPhotos(LightningDataModule):
    """Synthetically degraded crops, labelled by a full-reference measure. A batch is (images, labels, dataset ids).

    Training samples are fixed by (seed, epoch, index). Validation samples are the same in every
    epoch and every run; the test set is the validation set.

    Args:
        folder: clean photographs, searched recursively.
        val_folder: clean photographs for validation; without it the last tenth of ``folder`` is kept for that.
        crop_size: side of the square images, in pixels, 64 or more.
        batch_size: images in a batch, per process.
        versions: degradations of each crop in training, next to each other.
        samples_per_epoch: training images in an epoch, over all processes.
        val_samples: validation images.
        seed: of photos, crops and degradations in training; validation has its own.
        num_workers: processes that prepare images.
        distinct_samples: number of different training samples, kept in memory (by every worker) and shown again and
            again, a multiple of ``versions``; None: an endless stream of new ones.

    Raises:
        UserError: a folder that is missing or holds too few photographs, or a crop size that is too small.
    """

    VAL_SEED = 20240306

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
    ) -> None:
        super().__init__()
        if crop_size < 64:
            raise UserError(f"crop_size is {crop_size}: the labels need crops of at least 64 pixels")
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

    def setup(self, stage: str) -> None:
        """Find the photographs. Only fitting needs ``folder`` where a ``val_folder`` is given."""
        train, val = self._split(stage)
        self.train_set = DegradedCrops(
            train,
            self.samples_per_epoch,
            self.crop_size,
            self.seed,
            self.versions,
            vary=True,
            distinct=self.distinct_samples,
        )
        self.val_set = DegradedCrops(val, self.val_samples, self.crop_size, self.VAL_SEED)

    def train_dataloader(self) -> DataLoader:
        replicas, rank = share(self.trainer)
        return self._loader(self.train_set, FreshSamples(self.train_set, replicas, rank, shuffle=False))

    def val_dataloader(self) -> DataLoader:
        return self._loader(self.val_set, EverySampleOnce(self.val_set, *share(self.trainer)))

    def test_dataloader(self) -> DataLoader:
        return self.val_dataloader()

    def _split(self, stage: str) -> tuple[list[Path], list[Path]]:
        if self.val_folder is not None:
            return (list_images(self.folder) if stage == "fit" else []), list_images(self.val_folder)
        photos = list_images(self.folder)
        held_out = max(1, round(HELD_OUT * len(photos)))
        if len(photos) == held_out:
            raise UserError(f"{self.folder} holds a single photograph: add more, or give a val_folder")
        return photos[:-held_out], photos[-held_out:]

    def _loader(self, dataset: DegradedCrops, sampler: FreshSamples | EverySampleOnce) -> DataLoader:
        return DataLoader(
            dataset=dataset,
            batch_size=self.batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            drop_last=isinstance(sampler, FreshSamples),
        )
