"""Training data of a prior: random crops of a folder of photographs at several scales, and procedural images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from numpy.random import Generator
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mslique import UserError, at_least, first_readable, image_size, list_images, make_loader, read_photo, warn_left_out

from .procedural import dead_leaves, one_over_f

SCALES = (1.0, 0.7, 0.5, 0.35)
PROCEDURAL_SIZE = 384
LANCZOS_RADIUS = 3


@dataclass(frozen=True)
class Source:
    """A photograph at one scale, or a procedural image (H, W, 3) uint8."""

    path: Path | None = None
    scale: float = 1.0
    drawn: np.ndarray | None = None

    def pixels(self) -> np.ndarray:
        """(H, W, 3) uint8, before it is scaled; a photograph is read through mslique's cache."""
        return read_photo(self.path).permute(1, 2, 0).numpy() if self.path else np.asarray(self.drawn)


class CropDataset(Dataset[Tensor]):
    """Crops (3, size, size) in [0, 1]; item ``index``, any number from 0 on, depends on (seed, index) alone."""

    def __init__(self, photos: Sequence[Source], size: int, length: int, seed: int, procedural: float) -> None:
        self.photos, self.size, self.length, self.seed = photos, size, length, seed
        rng = np.random.default_rng(seed)
        makers = (dead_leaves, one_over_f) * 24 if procedural > 0 else ()
        self.procedural = procedural
        self.drawn = [Source(drawn=make(max(PROCEDURAL_SIZE, size), rng)) for make in makers]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Tensor:
        """The crop. The next photograph stands in for a damaged one.

        Raises:
            UserError: no photograph can be decoded.
        """
        rng = np.random.default_rng((self.seed, index))
        sources = self.drawn if rng.random() < self.procedural else self.photos
        source, pixels = first_readable(sources, int(rng.integers(len(sources))), Source.pixels)
        crop = random_crop(pixels, source.scale, self.size, rng)
        return torch.from_numpy(crop.copy()).permute(2, 0, 1).float().div_(255)


def random_crop(image: np.ndarray, scale: float, size: int, rng: Generator) -> np.ndarray:
    """A random square of an image (H, W, 3) that is shrunk by ``scale``, mirrored or not: (size, size, 3).

    Only the pixels of the square are resized.
    """
    sides = [round(side * scale) for side in image.shape[:2]]
    corner = [int(rng.integers(0, side - size + 1)) for side in sides]
    if scale == 1:
        crop = image[corner[0] : corner[0] + size, corner[1] : corner[1] + size]
    else:
        factors = [whole / side for whole, side in zip(image.shape, sides, strict=False)]
        spans = [(start * f, (start + size) * f) for start, f in zip(corner, factors, strict=True)]
        margin = math.ceil(LANCZOS_RADIUS * max(factors)) + 1  # the filter also sees pixels around the square
        (top, bottom), (left, right) = ((max(0, int(low) - margin), math.ceil(high) + margin) for low, high in spans)
        box = (spans[1][0] - left, spans[0][0] - top, spans[1][1] - left, spans[0][1] - top)
        region = Image.fromarray(np.ascontiguousarray(image[top:bottom, left:right]))
        crop = np.asarray(region.resize((size, size), Image.Resampling.LANCZOS, box))
    return crop[:, ::-1] if rng.random() < 0.5 else crop


def find_photos(folder: str | Path, size: int) -> list[Source]:
    """Every photo of the folder at each of SCALES that leaves both sides >= ``size``. Only their headers are read.

    A photo whose header is damaged is left out, with a warning.

    Raises:
        UserError: the folder cannot be read, or no photo is large enough.
    """
    photos = []
    for path in list_images(folder):
        try:
            side = min(image_size(path))
        except UserError as reason:
            warn_left_out(str(reason))
            continue
        photos += [Source(path, scale) for scale in SCALES if round(side * scale) >= size]
    if not photos:
        raise UserError(f"no image in {folder} has both sides >= {size} pixels: give larger photos or a smaller size")
    return photos


class PhotoCrops(L.LightningDataModule):
    """Crops of ``folder`` for training, and a fixed set of crops of ``val_folder`` (else of ``folder``) for validation.

    Args:
        folder: photographs, searched recursively.
        val_folder: held-out photographs.
        size: side of the square crops in pixels.
        samples: number of crops in an epoch, over all processes. Every epoch has new ones.
        procedural: share of the crops that come from procedural images.
        seed: with the index of a crop, decides it.
    """

    def __init__(
        self,
        folder: str,
        val_folder: str | None = None,
        size: int = 128,
        batch_size: int = 16,
        samples: int = 16000,
        val_samples: int = 64,
        procedural: float = 0.15,
        num_workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        at_least(1, size=size, batch_size=batch_size, samples=samples, val_samples=val_samples)
        at_least(0, procedural=procedural, num_workers=num_workers, seed=seed)
        self.save_hyperparameters()

    def _dataset(self, folder: str, length: int, procedural: float, seed: int) -> CropDataset:
        size = self.hparams["size"]
        return CropDataset(find_photos(folder, size), size, length, seed, procedural)

    def _loader(self, dataset: CropDataset, training: bool) -> DataLoader[Any]:
        h = self.hparams
        return make_loader(dataset, h["batch_size"], h["num_workers"], None, self.trainer, training)

    def train_dataloader(self) -> DataLoader[Any]:
        h = self.hparams
        return self._loader(self._dataset(h["folder"], h["samples"], h["procedural"], h["seed"]), training=True)

    def val_dataloader(self) -> DataLoader[Any]:
        h = self.hparams
        dataset = self._dataset(h["val_folder"] or h["folder"], h["val_samples"], 0.0, h["seed"] + 1)
        return self._loader(dataset, training=False)
