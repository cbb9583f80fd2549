"""Training data of a prior: random crops of a folder of photographs at several scales, and procedural images."""

from pathlib import Path

import lightning as L
import numpy as np
import torch
from numpy.random import Generator
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mslique import UserError, list_images, read_image

from .procedural import dead_leaves, one_over_f

SCALES = (1.0, 0.7, 0.5, 0.35)
PROCEDURAL_SIZE = 384


class CropDataset(Dataset[Tensor]):
    """Crops (3, size, size) in [0, 1]; item ``index`` depends on (seed, index) alone."""

    def __init__(self, photos: list[np.ndarray], size: int, length: int, seed: int, procedural: float) -> None:
        self.photos, self.size, self.length, self.seed = photos, size, length, seed
        rng = np.random.default_rng(seed)
        makers = (dead_leaves, one_over_f) * 24 if procedural > 0 else ()
        self.procedural = procedural
        self.drawn = [make(max(PROCEDURAL_SIZE, size), rng) for make in makers]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Tensor:
        rng = np.random.default_rng((self.seed, index))
        source = self.drawn if rng.random() < self.procedural else self.photos
        crop = _crop(source[rng.integers(len(source))], self.size, rng)
        return torch.from_numpy(crop.copy()).permute(2, 0, 1).float().div_(255)


def _crop(image: np.ndarray, size: int, rng: Generator) -> np.ndarray:
    top, left = (int(rng.integers(0, side - size + 1)) for side in image.shape[:2])
    crop = image[top : top + size, left : left + size]
    return crop[:, ::-1] if rng.random() < 0.5 else crop


def load_photos(folder: str | Path, size: int) -> list[np.ndarray]:
    """Every photo of the folder as (H, W, 3) uint8 at each of SCALES that leaves both sides >= ``size``."""
    photos = []
    for path in list_images(folder):
        pixels = read_image(path).mul(255).round().byte().permute(1, 2, 0).numpy()
        image = Image.fromarray(pixels)
        for scale in SCALES:
            width, height = (round(side * scale) for side in image.size)
            if min(width, height) >= size:
                resized = image if scale == 1.0 else image.resize((width, height), Image.Resampling.LANCZOS)
                photos.append(np.asarray(resized))
    if not photos:
        raise UserError(f"no image in {folder} has both sides >= {size} pixels: give larger photos or a smaller size")
    return photos


class PhotoCrops(L.LightningDataModule):
    """Crops of ``folder`` for training, and a fixed set of crops of ``val_folder`` (else of ``folder``) for validation.

    Args:
        folder: photographs, searched recursively.
        val_folder: held-out photographs.
        size: side of the square crops in pixels.
        samples: number of crops in an epoch; an epoch is the whole training here.
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
        self.save_hyperparameters()

    def _dataset(self, folder: str, length: int, procedural: float, seed: int) -> CropDataset:
        size = self.hparams["size"]
        return CropDataset(load_photos(folder, size), size, length, seed, procedural)

    def _loader(self, dataset: CropDataset) -> DataLoader[Tensor]:
        return DataLoader(
            dataset=dataset,
            batch_size=self.hparams["batch_size"],
            num_workers=self.hparams["num_workers"],
            drop_last=False,
        )

    def train_dataloader(self) -> DataLoader[Tensor]:
        h = self.hparams
        return self._loader(self._dataset(h["folder"], h["samples"], h["procedural"], h["seed"]))

    def val_dataloader(self) -> DataLoader[Tensor]:
        h = self.hparams
        return self._loader(self._dataset(h["val_folder"] or h["folder"], h["val_samples"], 0.0, h["seed"] + 1))
