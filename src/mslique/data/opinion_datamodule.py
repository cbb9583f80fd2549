"""Training and evaluation on several datasets with scores by people."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningDataModule
from lightning.pytorch.utilities import CombinedLoader
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader

from ..io.errors import UserError, at_least
from ..io.photo_cache import PhotoCache, decoded
from ..views import MultiScaleViews
from .batch import Sample, batch_of_views
from .labelled_views import LabelledViews
from .loaders import make_loader, processes
from .opinion import LabelSource, check_images, load_labels


class LabelledDatasets(LightningDataModule):
    """A mixture of datasets. Each has its own share of every training batch; batches are
    :class:`mslique.data.batch.Batch`, in training one for each dataset.

    A training epoch has ``steps_per_epoch`` batches in every process, whatever the sizes of the datasets. Validation
    and test see every image once, over all processes.

    Args:
        root: folder of the datasets' folders.
        datasets: name (one of :data:`mslique.data.known_datasets.KNOWN`, or your own) and source of every dataset.
        labels: folder of the label files; default: ``root``, as in LIQE's layout.
        split: number of the split; LIQE has 1 to 10.
        steps_per_epoch: training batches in an epoch.
        smaller_side: shrink larger images until their smaller side has this many pixels; null: never.
        eval_batch_size: images in a batch of validation and test, per process.
        num_workers: processes that prepare images; in training shared out among the datasets, at least one each.
        seed: of order, crops and mirroring in training.
        skip_bad_images: leave out images that cannot be decoded, with a warning; otherwise they are an error.
        cache: folder that keeps the decoded, shrunk images (3 bytes a pixel), for this training and later ones; you can
            delete it at any time; null: decode the images in every epoch. The training is the same.

    Raises:
        UserError: no dataset, or a number that is not positive. In ``setup``: a broken label file, missing images,
            nothing to rank (see :mod:`mslique.data.opinion`), a cache that cannot be made.
    """

    def __init__(
        self,
        root: str,
        datasets: dict[str, LabelSource],
        labels: str | None = None,
        split: int = 1,
        steps_per_epoch: int = 200,
        smaller_side: int | None = 768,
        eval_batch_size: int = 8,
        num_workers: int = 0,
        seed: int = 0,
        skip_bad_images: bool = False,
        cache: str | None = None,
    ) -> None:
        super().__init__()
        if not datasets:
            raise UserError("datasets is empty: give at least one dataset")
        at_least(1, steps_per_epoch=steps_per_epoch, smaller_side=smaller_side, eval_batch_size=eval_batch_size)
        at_least(0, split=split, num_workers=num_workers, seed=seed)
        at_least(1, **{f"datasets.{name}.batch_size": source.batch_size for name, source in datasets.items()})
        self.root = Path(root)
        self.sources = datasets
        self.label_root = Path(labels) if labels is not None else self.root
        self.split = split
        self.steps_per_epoch = steps_per_epoch
        self.smaller_side = smaller_side
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.skip_bad_images = skip_bad_images
        self.cache = cache
        self.names = list(datasets)

    def setup(self, stage: str) -> None:
        """Read the labels, and check that every image in use exists."""
        parts = {"fit": ["train", "val"], "validate": ["val"], "test": ["test"]}[stage]
        found = (load_labels(n, s, self.root, self.label_root, self.split) for n, s in self.sources.items())
        self.images = list(found)
        for images in self.images:
            check_images(images, parts)
        self.read: Callable[[Path], Tensor] = partial(decoded, smaller_side=self.smaller_side)
        if self.cache is not None:
            self.read = PhotoCache(Path(self.cache), self.smaller_side)

    @property
    def record(self) -> dict[str, Any]:
        """For the model card: the split, and the number of images of every dataset and part."""
        counts = {images.name: {part: len(found) for part, found in images.splits.items()} for images in self.images}
        return {"split": self.split, "images": counts}

    def train_dataloader(self) -> CombinedLoader:
        replicas, _ = processes(self.trainer)
        views: Any = self.trainer.lightning_module.train_views  # type: ignore[union-attr]
        whole = sum(source.batch_size for source in self.sources.values())
        loaders = {}
        for number, (name, source) in enumerate(self.sources.items()):
            size = source.batch_size
            dataset = self._views(number, "train", views, length=self.steps_per_epoch * size * replicas)
            workers = math.ceil(self.num_workers * size / whole)
            loaders[name] = make_loader(dataset, size, workers, batch_of_views, self.trainer, training=True)
        return CombinedLoader(loaders, mode="min_size")  # all have steps_per_epoch batches

    def val_dataloader(self) -> DataLoader[Any]:
        return self._eval_loader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        return self._eval_loader("test")

    def image_name(self, dataset: int, number: int) -> str:
        """The path, below its dataset's folder, of an image of the test set."""
        return self.images[dataset].splits["test"][number].path

    def _eval_loader(self, part: str) -> DataLoader[Any]:
        views: Any = self.trainer.lightning_module.model.views  # type: ignore[union-attr]
        dataset: ConcatDataset[Sample | None] = ConcatDataset(
            [self._views(number, part, views) for number in range(len(self.names))]
        )
        size, workers = self.eval_batch_size, self.num_workers
        return make_loader(dataset, size, workers, batch_of_views, self.trainer, training=False)

    def _views(self, number: int, part: str, views: MultiScaleViews, length: int | None = None) -> LabelledViews:
        images = self.images[number]
        options = (length, self.seed, self.skip_bad_images)
        return LabelledViews(images.folder, images.splits[part], self.read, views, number, *options)
