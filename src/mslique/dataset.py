"""Degraded crops of clean photographs with their labels, one seed a sample."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator, default_rng
from torch import Tensor
from torch.utils.data import Dataset

from .degradations import degrade
from .images import read_image
from .labels import reference_quality

CACHED_PHOTOS = 64
SMALLEST_SCALE = 0.25
DETAIL = 0.02
TRIES = 4


class DegradedCrops(Dataset[tuple[Tensor, Tensor, int, int]]):
    """Sample i is drawn from the generator seeded by (seed, i): the same whatever the order, the worker or the process.

    Any index is valid. ``versions`` consecutive samples are degradations of one crop, so that a batch holds pairs that
    differ in nothing but quality; otherwise the few photos themselves are learnt by heart. Every ``len(paths)``
    consecutive crops show every photo once, in an order of their own.

    Args:
        paths: clean photos.
        length: samples that an epoch has.
        crop_size: side of a sample, in pixels.
        seed: of everything random.
        versions: degradations of each crop.
        vary: turn, mirror and recolour the crops at random before they are degraded.
        distinct: number of different samples (a multiple of ``versions``), kept in memory in 8 bits; later indices show
            them again in another order, mirrored or not. None: every index is another sample. Degrading and labelling
            cost several times what a small network does.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        length: int,
        crop_size: int,
        seed: int,
        versions: int = 1,
        vary: bool = False,
        distinct: int | None = None,
    ) -> None:
        self.paths = list(paths)
        self.length = length
        self.crop_size = crop_size
        self.seed = seed
        self.versions = versions
        self.vary = vary
        self.distinct = distinct
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, int, int]:
        """Image (3, s, s) in [0, 1], label in [0, 100] (see :mod:`mslique.labels`), dataset number 0, index."""
        if self.distinct is None:
            return *self._sample(index), 0, index
        shown = self._shown(index, self.distinct)
        if shown not in self._kept:
            image, label = self._sample(shown)
            self._kept[shown] = ((255 * image).round().byte(), label)
        kept, label = self._kept[shown]
        mirrored = default_rng((self.seed, 5, index)).random() < 0.5
        return (kept.flip(-1) if mirrored else kept).float() / 255, label, 0, index

    def _sample(self, index: int) -> tuple[Tensor, Tensor]:
        original = self._original(index // self.versions)
        image = degrade(original, default_rng((self.seed, 3, index)))
        return image, reference_quality(image[None], original[None])[0]

    def _shown(self, index: int, distinct: int) -> int:
        """Which of the distinct samples this index shows; the versions of a crop stay together."""
        crop, version = divmod(index, self.versions)
        round_, position = divmod(crop, distinct // self.versions)
        order = default_rng((self.seed, 4, round_)).permutation(distinct // self.versions)
        return int(order[position]) * self.versions + version

    def _original(self, number: int) -> Tensor:
        round_, position = divmod(number, len(self.paths))
        photo = default_rng((self.seed, 1, round_)).permutation(len(self.paths))[position]
        rng = default_rng((self.seed, 2, number))
        crop = clean_crop(_photo(self.paths[photo]), self.crop_size, rng)
        return varied(crop, rng) if self.vary else crop


def clean_crop(photo: Tensor, size: int, rng: Generator) -> Tensor:
    """A random square of the photo, first shrunk by a random factor down to 1/4.

    Squares with hardly any detail (a cloudless sky) are drawn again, at most three times: no degradation but noise
    shows there, and labels would teach that smooth is good.

    Args:
        photo: (3, H, W) uint8.

    Returns:
        (3, size, size) float32 in [0, 1].
    """
    for _ in range(TRIES):
        crop = _square(photo, size, rng)
        if (crop - F.avg_pool2d(crop, 5, stride=1, padding=2, count_include_pad=False)).std() > DETAIL:
            break
    return crop


def varied(crop: Tensor, rng: Generator) -> Tensor:
    """Another clean image of the same shape: turned and mirrored, its channels swapped."""
    crop = crop.rot90(int(rng.integers(4)), (-2, -1))
    crop = crop.flip(-1) if rng.random() < 0.5 else crop
    return crop[torch.from_numpy(rng.permutation(3))]


def _square(photo: Tensor, size: int, rng: Generator) -> Tensor:
    height, width = photo.shape[-2:]
    smallest = min(1.0, max(SMALLEST_SCALE, size / min(height, width)))
    side = min(round(size / np.exp(rng.uniform(np.log(smallest), 0))), height, width)
    top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
    square = photo[:, top : top + side, left : left + side].float() / 255
    return F.interpolate(square[None], (size, size), mode="bicubic", antialias=True)[0].clamp(0, 1)


@lru_cache(maxsize=CACHED_PHOTOS)
def _photo(path: Path) -> Tensor:
    return (read_image(path) * 255).round().to(torch.uint8)
