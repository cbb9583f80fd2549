"""Degraded crops of clean photographs with their labels."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.random import default_rng
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from .batch import Sample
from .committee import reference_quality
from .crops import clean_crop, first_readable, read_photo, turned, varied
from .degradations.mixture import degrade


@dataclass(frozen=True)
class LabelledCrop:
    """A clean crop (3, s, s) and degraded versions of it (V, 3, s, s), all uint8, with their labels (V,)."""

    original: Tensor
    images: Tensor
    labels: Tensor


@dataclass(eq=False)
class DegradedCrops(Dataset[Sample]):
    """Samples that depend on the seed and their index alone, whatever the order, the worker or the process.

    Every index from 0 on is valid. ``versions`` consecutive samples are degradations of one crop: a batch then holds
    pairs that differ in quality alone, and the model does not learn the photos by heart. Every ``len(paths)``
    consecutive crops show every photo once, in a new order; the next one stands in for a damaged one. Images are in
    steps of 1/255, as in files.

    Args:
        paths: clean photos.
        length: number of samples in an epoch.
        crop_size: side of a sample, in pixels.
        seed: of everything random.
        versions: degradations of each crop.
        vary: turn, mirror and recolour the crops at random before they are degraded.
        distinct: number of different samples, a multiple of ``versions``. They are kept in memory (8 bits), and later
            indices show them again in another order, turned and mirrored at random: a sample costs several times the
            work of a small network. None: every index has a sample of its own.
        second_order: see :func:`mslique.data.degradations.mixture.degrade`.
    """

    paths: Sequence[Path]
    length: int
    crop_size: int
    seed: int
    versions: int = 1
    vary: bool = False
    distinct: int | None = None
    second_order: float = 0.0
    _kept: dict[int, LabelledCrop] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        """Image (3, s, s) in [0, 1], label in [0, 100] (see :mod:`mslique.data.committee`), dataset 0, the index."""
        number, version = divmod(index if self.distinct is None else self._shown(index, self.distinct), self.versions)
        crop = self.crop(number)
        image = crop.images[version]
        if self.distinct is not None:
            image = turned(image, default_rng((self.seed, 5, index)))
        return Sample(image.float() / 255, crop.labels[version], 0, index)

    def crop(self, number: int) -> LabelledCrop:
        """The crop of this number with its versions. It is kept if the samples are, else until the next call."""
        if number not in self._kept:
            if self.distinct is None:
                self._kept.clear()
            self._kept[number] = self._make(number)
        return self._kept[number]

    def make_kept(self, workers: int) -> None:
        """Make all distinct samples now, in parallel, and not when they are first shown. They are the same."""
        count = (self.distinct or 0) // self.versions
        made = DataLoader(dataset=range(count), batch_size=None, collate_fn=self._make, num_workers=workers)  # type: ignore[arg-type,var-annotated]
        for number, crop in tqdm(enumerate(made), "degraded crops", count, leave=False):
            # copies: a tensor from another process holds an open file
            self._kept[number] = LabelledCrop(crop.original.clone(), crop.images.clone(), crop.labels.clone())

    def _make(self, number: int) -> LabelledCrop:
        """All versions of a crop are labelled together, which takes less time than one by one."""
        original = self._original(number)
        first = number * self.versions
        generators = [default_rng((self.seed, 3, first + version)) for version in range(self.versions)]
        images = [degrade(original, rng, self.second_order) for rng in generators]
        eight = torch.stack([original, *images]).mul(255).round().byte()
        rounded = eight.float() / 255
        labels = reference_quality(rounded[1:], rounded[:1].expand_as(rounded[1:]))
        return LabelledCrop(eight[0], eight[1:], labels)

    def _original(self, number: int) -> Tensor:
        rng = default_rng((self.seed, 2, number))
        round_, position = divmod(number, len(self.paths))
        photo = default_rng((self.seed, 1, round_)).permutation(len(self.paths))[position]
        crop = clean_crop(first_readable(self.paths, photo, read_photo)[1], self.crop_size, rng)
        return varied(crop, rng) if self.vary else crop

    def _shown(self, index: int, distinct: int) -> int:
        """Which of the distinct samples this index shows. The versions of a crop stay together."""
        crop, version = divmod(index, self.versions)
        round_, position = divmod(crop, distinct // self.versions)
        return int(_order(self.seed, round_, distinct // self.versions)[position]) * self.versions + version


@lru_cache(maxsize=4)  # to draw an order of many crops takes longer than to show a sample
def _order(seed: int, round_: int, count: int) -> NDArray[np.int64]:
    """The order in which a round shows the kept crops."""
    return default_rng((seed, 4, round_)).permutation(count)
