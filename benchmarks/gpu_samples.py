"""What the trainings and the evidence of gpu.py need, in one small file: nothing is degraded or labelled on the GPU.

    python benchmarks/gpu.py prepare KODAK24 REAL TRAINING... [--output runs/gpu-samples.npz] [--megabytes 25]

Central squares of photographs, and degraded crops with the labels of the committee, as in `configs/mslique/tiny.yaml`.
All are in 8 bits; of every row of pixels the file keeps the differences of neighbours, which zip makes smaller.
"""

import argparse
import io
import sys
import zlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.random import default_rng
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from tqdm import tqdm

from dlmap.run.files import write_bytes
from mslique import UserError, filled, list_images, read_photo
from mslique.data.batch import Sample
from mslique.data.crops import turned
from mslique.data.synthetic import DegradedCrops, LabelledCrop
from mslique.data.synthetic_datamodule import VAL_SEED, DegradedPhotos

CROP, VERSIONS, SECOND_ORDER = 96, 4, 0.3
SQUARES = {"kodak24": (256, 6), "real": (192, 3), "training": (256, None)}
"""Side, and the largest number, of the squares of each folder."""
SHARES = {"kodak24": 0.06, "real": 0.03, "training": 0.31, "crops": 0.53, "held_out": 0.05}
"""Of the file. "crops" are to train the quality model on, "held_out" to validate it."""


def prepare(options: argparse.Namespace) -> None:
    """Write the file.

    Raises:
        UserError: a folder has no photograph that is large enough.
    """
    kodak, real, *training = (list_images(folder) for folder in (options.kodak24, options.real, *options.training))
    photos = [path for some in training for path in some]
    default_rng(0).shuffle(photos)  # so that the first are of all folders
    room, arrays = {name: 1e6 * options.megabytes * share for name, share in SHARES.items()}, {}
    for name, paths in (("kodak24", kodak), ("real", real), ("training", photos)):
        arrays[name] = stacked(within(central(paths, *SQUARES[name]), room[name]), name)
    for name, crops in (
        ("crops", DegradedCrops(photos, 0, CROP, 0, VERSIONS, vary=True, second_order=SECOND_ORDER)),
        ("held_out", DegradedCrops(kodak, 0, CROP, VAL_SEED, second_order=SECOND_ORDER)),
    ):
        made = (crops.crop(number) for number in tqdm(range(options.crops), name))
        arrays |= labelled(name, made, room[name])
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_bytes(options.output, content.getvalue())
    counts = ", ".join(f"{len(array)} {name}" for name, array in arrays.items())
    sys.stdout.write(f"{options.output}: {content.tell() / 1e6:.1f} MB, {counts}\n")


def central(paths: Iterable[Path], side: int, count: int | None) -> Iterator[np.ndarray]:
    """The central squares (3, side, side) of the first ``count`` photographs that have one."""
    photos = (read_photo(path).numpy() for path in paths)
    large = (photo for photo in photos if min(photo.shape[1:]) >= side)
    for photo in islice(large, count):
        top, left = ((length - side) // 2 for length in photo.shape[1:])
        yield photo[:, top : top + side, left : left + side]


def within(images: Iterable[np.ndarray], room: float) -> Iterator[np.ndarray]:
    """The differences of those uint8 images (..., 3, s, s) that, compressed, have room in so many bytes."""
    for image in images:
        differences = np.diff(image, axis=-1, prepend=np.uint8(0))
        room -= len(zlib.compress(differences.tobytes(), 6))
        if room < 0:
            return
        yield differences


def stacked(images: Iterable[np.ndarray], name: str) -> np.ndarray:
    found = list(images)
    if not found:
        raise UserError(f"no photograph for {name!r} is large enough ({SQUARES}), or --megabytes is too small")
    return np.stack(found)


def labelled(name: str, crops: Iterable[LabelledCrop], room: float) -> dict[str, np.ndarray]:
    """Crops (N, V, 3, s, s) and labels (N, V), as many as have room."""
    labels: list[np.ndarray] = []

    def images() -> Iterator[np.ndarray]:
        for crop in crops:
            labels.append(crop.labels.numpy())
            yield crop.images.numpy()

    kept = stacked(within(images(), room), name)
    return {name: kept, f"{name}_labels": np.stack(labels[: len(kept)])}


def read(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of the file by name, with pixels in place of differences.

    Raises:
        UserError: there is no such file.
    """
    if not Path(path).is_file():
        raise UserError(f"{path} is no file: make it with python benchmarks/gpu.py prepare KODAK24 REAL TRAINING...")
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return {name: one if one.ndim == 2 else np.cumsum(one, axis=-1, dtype=np.uint8) for name, one in arrays.items()}


def unpack(path: Path, folder: Path) -> dict[str, int]:
    """Write the squares as PNGs to FOLDER/kodak24, FOLDER/real and FOLDER/training; returns how many of each."""
    arrays = read(path)
    with filled(folder) as hidden:
        for name in SQUARES:
            (hidden / name).mkdir()
            for k, square in enumerate(arrays[name]):
                Image.fromarray(np.ascontiguousarray(square.transpose(1, 2, 0))).save(hidden / name / f"{k:03d}.png")
    return {name: len(array) for name, array in arrays.items()}


class Kept(Dataset[Sample]):
    """Crops (N, V, 3, s, s) uint8 with labels (N, V), again and again in new orders, turned and mirrored.

    As in `DegradedCrops`, every index from 0 on is valid, and the versions of a crop stay together.
    """

    def __init__(self, images: np.ndarray, labels: np.ndarray, length: int, seed: int) -> None:
        self.images, self.labels, self.length, self.seed = torch.from_numpy(images), torch.tensor(labels), length, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Sample:
        number, version = divmod(index, self.images.shape[1])
        round_, position = divmod(number, len(self.images))
        crop = default_rng((self.seed, 1, round_)).permutation(len(self.images))[position]
        image: Tensor = turned(self.images[crop, version], default_rng((self.seed, 2, index)))
        return Sample(image.float() / 255, self.labels[crop, version], 0, index)


class PreparedCrops(DegradedPhotos):
    """The crops of a file of ``prepare``, which is given as ``folder``."""

    def setup(self, stage: str) -> None:
        arrays = read(self.folder)
        self.train_set = Kept(arrays["crops"], arrays["crops_labels"], self.samples_per_epoch, self.seed)
        held_out = zip(arrays["held_out"][:, 0], torch.tensor(arrays["held_out_labels"][:, 0]), strict=True)
        self.val_set = [
            Sample(torch.from_numpy(image).float() / 255, label, 0, k) for k, (image, label) in enumerate(held_out)
        ]
