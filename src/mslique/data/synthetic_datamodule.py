"""Training data from any folder of clean photographs."""

from pathlib import Path

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from ..io.errors import UserError
from ..io.listing import list_images
from .pairs import paired_images
from .samplers import EverySampleOnce, FreshSamples, share
from .synthetic import DegradedCrops

HELD_OUT = 0.1


class DegradedPhotos(LightningDataModule):
    """Synthetically degraded crops, labelled by full-reference measures.

    A batch is (images, labels, dataset numbers, image numbers) and, if asked for, the clean crops.

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
        num_workers: processes that prepare images; the samples that are kept they make before the first step.
        distinct_samples: number of different training samples, kept in memory and shown again and again, a multiple of
            ``versions``; None: an endless stream of new ones.
        second_order: share of the degraded images, in training and validation, that go through a second mixture.
        outputs: images made elsewhere, such as results of an enhancement, that join the training set: as the first
            version of a crop, with a label like all others. Their clean originals are in ``output_originals``, of the
            same size and under the same path but for the extension.
        output_originals: clean originals of ``outputs``.
        output_share: share of the training crops that come from ``outputs``.
        with_originals: training batches end with the clean crops, which :class:`mslique.hardening.Hardening` needs.

    Raises:
        UserError: a folder that is missing or holds too few photographs, a crop size that is too small, or outputs
            without originals of their size.
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
        second_order: float = 0.0,
        outputs: str | None = None,
        output_originals: str | None = None,
        output_share: float = 0.1,
        with_originals: bool = False,
    ) -> None:
        super().__init__()
        if crop_size < 64:
            raise UserError(f"crop_size is {crop_size}: the labels need crops of at least 64 pixels")
        if distinct_samples is not None and (distinct_samples < versions or distinct_samples % versions):
            raise UserError(f"distinct_samples is {distinct_samples}: give a multiple of versions ({versions})")
        if (outputs is None) != (output_originals is None):
            raise UserError("outputs and output_originals belong together: give both folders, or neither")
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
        self.outputs = outputs
        self.output_originals = output_originals
        self.output_share = output_share
        self.with_originals = with_originals

    def setup(self, stage: str) -> None:
        """Find the photographs. Only fitting needs ``folder`` where a ``val_folder`` is given."""
        train, val = self._split(stage)
        pairs: list[tuple[Path, Path]] = []
        if self.outputs is not None and self.output_originals is not None and stage == "fit":
            pairs = paired_images(self.outputs, self.output_originals, self.crop_size)
        self.train_set = DegradedCrops(
            train,
            self.samples_per_epoch,
            self.crop_size,
            self.seed,
            self.versions,
            vary=True,
            distinct=self.distinct_samples,
            second_order=self.second_order,
            pairs=pairs,
            pair_share=self.output_share,
            with_originals=self.with_originals,
        )
        self.val_set = DegradedCrops(
            val, self.val_samples, self.crop_size, self.VAL_SEED, second_order=self.second_order
        )

    def train_dataloader(self) -> DataLoader:
        if self.distinct_samples is not None and self.num_workers:
            self.train_set.make_kept(self.num_workers)
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
