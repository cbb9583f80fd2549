"""Degraded crops of clean photographs with their labels, one seed a sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator, default_rng
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from ..io.decoding import read_image
from .committee import reference_quality
from .degradations.mixture import degrade

CACHED_PHOTOS = 64
SMALLEST_SCALE = 0.25
DETAIL = 0.02
TRIES = 4


@dataclass(frozen=True)
class LabelledCrop:
    """A clean crop (3, s, s), versions of it (V, 3, s, s), all in 8 bits, and their labels (V,)."""

    original: Tensor
    images: Tensor
    labels: Tensor


class DegradedCrops(Dataset[tuple[Tensor | int, ...]]):
    """Sample i is drawn from the generator seeded by (seed, i): the same whatever the order, the worker or the process.

    Any index is valid. ``versions`` consecutive samples are degradations of one crop, so that a batch holds pairs that
    differ in nothing but quality; otherwise the few photos themselves are learnt by heart. Every ``len(paths)``
    consecutive crops show every photo once, in an order of their own. Images are in steps of 1/255, as files are.

    Args:
        paths: clean photos.
        length: samples that an epoch has.
        crop_size: side of a sample, in pixels.
        seed: of everything random.
        versions: degradations of each crop.
        vary: turn, mirror and recolour the crops at random before they are degraded.
        distinct: number of different samples (a multiple of ``versions``), kept in memory in 8 bits; later indices show
            them again in another order, turned and mirrored at random. None: every index is another sample. Degrading
            and labelling cost several times what a small network does.
        second_order: see :func:`mslique.data.degradations.mixture.degrade`.
        pairs: images made elsewhere, each with its clean original: the same crop of both is taken, and the image made
            elsewhere is the first version of it.
        pair_share: share of the crops that come from ``pairs``, if there are any.
        with_originals: a sample ends with its clean crop.
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
        second_order: float = 0.0,
        pairs: Sequence[tuple[Path, Path]] = (),
        pair_share: float = 0.0,
        with_originals: bool = False,
    ) -> None:
        self.paths = list(paths)
        self.length = length
        self.crop_size = crop_size
        self.seed = seed
        self.versions = versions
        self.vary = vary
        self.distinct = distinct
        self.second_order = second_order
        self.pairs = list(pairs)
        self.pair_share = pair_share if self.pairs else 0.0
        self.with_originals = with_originals
        self._kept: dict[int, LabelledCrop] = {}

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor | int, ...]:
        """Image (3, s, s) in [0, 1], label in [0, 100] (see :mod:`mslique.data.committee`), dataset number 0, index.

        With originals, the clean crop (3, s, s) is the fifth.
        """
        number, version = divmod(index if self.distinct is None else self._shown(index, self.distinct), self.versions)
        crop = self.crop(number)
        both = torch.stack([crop.images[version], crop.original])
        if self.distinct is not None:
            both = turned(both, default_rng((self.seed, 5, index)))
        image, original = both.float() / 255
        sample = image, crop.labels[version], 0, index
        return (*sample, original) if self.with_originals else sample

    def crop(self, number: int) -> LabelledCrop:
        """The crop of this number and its versions; kept if the samples are, or until another is asked for."""
        if number not in self._kept:
            if self.distinct is None:
                self._kept.clear()
            self._kept[number] = self._make(number)
        return self._kept[number]

    def make_kept(self, workers: int) -> None:
        """Make all distinct samples now, in parallel, instead of each when it is first shown; they are the same."""
        numbers = range((self.distinct or 0) // self.versions)
        made = DataLoader(_Crops(self, numbers), batch_size=None, num_workers=workers)
        for number, crop in tqdm(enumerate(made), "degraded crops", len(numbers), leave=False):
            # copies: what comes from another process holds an open file
            self._kept[number] = LabelledCrop(crop.original.clone(), crop.images.clone(), crop.labels.clone())

    def _make(self, number: int) -> LabelledCrop:
        """The versions of a crop are labelled together, which takes less time than one by one."""
        original, made_elsewhere = self._original(number)
        first = number * self.versions
        generators = [default_rng((self.seed, 3, first + version)) for version in range(self.versions)]
        images = [degrade(original, rng, self.second_order) for rng in generators]
        if made_elsewhere is not None:
            images[0] = made_elsewhere
        eight = torch.stack([original, *images]).mul(255).round().byte()
        rounded = eight.float() / 255
        labels = reference_quality(rounded[1:], rounded[:1].expand_as(rounded[1:]))
        return LabelledCrop(eight[0], eight[1:], labels)

    def _shown(self, index: int, distinct: int) -> int:
        """Which of the distinct samples this index shows; the versions of a crop stay together."""
        crop, version = divmod(index, self.versions)
        round_, position = divmod(crop, distinct // self.versions)
        return int(_order(self.seed, round_, distinct // self.versions)[position]) * self.versions + version

    def _original(self, number: int) -> tuple[Tensor, Tensor | None]:
        """A clean crop, and, if it comes from the pairs, the same crop of the image made elsewhere."""
        rng = default_rng((self.seed, 2, number))
        if self.pair_share and default_rng((self.seed, 6, number)).random() < self.pair_share:
            pair = self.pairs[rng.integers(len(self.pairs))]
            both = _window(torch.stack([_photo(path) for path in pair]), self.crop_size, rng)
            made_elsewhere, original = varied(both, rng) if self.vary else both
            return original, made_elsewhere
        round_, position = divmod(number, len(self.paths))
        photo = default_rng((self.seed, 1, round_)).permutation(len(self.paths))[position]
        crop = clean_crop(_photo(self.paths[photo]), self.crop_size, rng)
        return (varied(crop, rng) if self.vary else crop), None


class _Crops(Dataset[LabelledCrop]):
    """The crops of these numbers."""

    def __init__(self, dataset: DegradedCrops, numbers: Sequence[int]) -> None:
        self.dataset, self.numbers = dataset, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> LabelledCrop:
        return self.dataset._make(self.numbers[index])


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


def varied(images: Tensor, rng: Generator) -> Tensor:
    """(..., 3, s, s), all turned and mirrored in one way, their channels swapped: other clean images, same shape."""
    return turned(images, rng)[..., torch.from_numpy(rng.permutation(3)), :, :]


def turned(images: Tensor, rng: Generator) -> Tensor:
    """(..., s, s), all turned by one multiple of 90 degrees and mirrored or not: same shape."""
    images = images.rot90(int(rng.integers(4)), (-2, -1))
    return images.flip(-1) if rng.random() < 0.5 else images


def _square(photo: Tensor, size: int, rng: Generator) -> Tensor:
    height, width = photo.shape[-2:]
    smallest = min(1.0, max(SMALLEST_SCALE, size / min(height, width)))
    side = min(round(size / np.exp(rng.uniform(np.log(smallest), 0))), height, width)
    square = _window(photo, side, rng)
    return F.interpolate(square[None], (size, size), mode="bicubic", antialias=True)[0].clamp(0, 1)


def _window(images: Tensor, size: int, rng: Generator) -> Tensor:
    """A random square of uint8 images (..., H, W), float32 in [0, 1]."""
    top, left = (int(rng.integers(side - size + 1)) for side in images.shape[-2:])
    return images[..., top : top + size, left : left + size].float() / 255


@lru_cache(maxsize=4)  # an order of many crops takes longer than a sample
def _order(seed: int, round_: int, count: int) -> NDArray[np.int64]:
    """The order in which kept crops are shown in a round."""
    return default_rng((seed, 4, round_)).permutation(count)


@lru_cache(maxsize=CACHED_PHOTOS)
def _photo(path: Path) -> Tensor:
    return (read_image(path) * 255).round().to(torch.uint8)
