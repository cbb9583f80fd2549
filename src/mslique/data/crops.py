"""Random clean crops of photographs."""

import logging
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor
from torch.utils.data import get_worker_info

from ..io.decoding import read_image
from ..io.errors import UserError

logger = logging.getLogger(__name__)
T = TypeVar("T")
R = TypeVar("R")
CACHED_BYTES = 2 << 30
"""Of decoded photographs, over all workers of a data loader; 56 photographs of 12 megapixels."""
SMALLEST_SCALE = 0.25
DETAIL = 0.02
TRIES = 4


def clean_crop(photo: Tensor, size: int, rng: Generator) -> Tensor:
    """A random square of the photo, after the photo is shrunk by a random factor between 1 and 1/4.

    A square with hardly any detail (a cloudless sky) is drawn again, at most three times: only noise is visible there,
    and labels of such squares would teach that smooth images are good.

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
    """(..., 3, s, s) to the same shape: all turned and mirrored in one way, and their colour channels swapped."""
    return turned(images, rng)[..., torch.from_numpy(rng.permutation(3)), :, :]


def turned(images: Tensor, rng: Generator) -> Tensor:
    """(..., s, s) to the same shape: all turned by one multiple of 90 degrees, and mirrored or not."""
    images = images.rot90(int(rng.integers(4)), (-2, -1))
    return images.flip(-1) if rng.random() < 0.5 else images


class RecentPhotos:
    """Decoded photographs, of which those that were asked for last stay in memory.

    They take at most CACHED_BYTES in a process. The workers of a data loader are processes too: each of them keeps an
    equal share of CACHED_BYTES. A photograph that is larger than the share is decoded whenever it is asked for.
    """

    def __init__(self) -> None:
        self._photos: dict[Path, Tensor] = {}  # the one that was asked for last is the last
        self._bytes = 0

    def __call__(self, path: Path) -> Tensor:
        """(3, H, W) uint8, which must not be changed in place.

        Raises:
            UserError: the file cannot be decoded.
        """
        photo = self._photos.pop(path, None)
        if photo is None:
            photo = (read_image(path) * 255).round().to(torch.uint8)
            self._bytes += photo.nbytes
        self._photos[path] = photo
        worker = get_worker_info()
        share = CACHED_BYTES // (worker.num_workers if worker else 1)
        while self._bytes > share:
            self._bytes -= self._photos.pop(next(iter(self._photos))).nbytes
        return photo


read_photo = RecentPhotos()
"""Of the process."""


def first_readable(photos: Sequence[T], first: int, read: Callable[[T], R]) -> tuple[T, R]:
    """The photograph of this number and what ``read`` makes of it, or the next one if it is damaged, with a warning.

    So one damaged file among thousands does not end a training, and the samples still depend on the files alone.

    Raises:
        UserError: ``read`` cannot read any of them.
    """
    for k in range(len(photos)):
        photo = photos[(first + k) % len(photos)]
        try:
            return photo, read(photo)
        except UserError as reason:
            warn_left_out(str(reason))
    raise UserError(f"none of the {len(photos)} photographs can be decoded: see the warnings")


@cache
def warn_left_out(reason: str) -> None:
    """Once in this process."""
    logger.warning("left out of training: %s", reason)


def _square(photo: Tensor, size: int, rng: Generator) -> Tensor:
    height, width = photo.shape[-2:]
    smallest = min(1.0, max(SMALLEST_SCALE, size / min(height, width)))
    side = min(round(size / np.exp(rng.uniform(np.log(smallest), 0))), height, width)
    top, left = (int(rng.integers(length - side + 1)) for length in (height, width))
    square = photo[:, top : top + side, left : left + side].float() / 255
    return F.interpolate(square[None], (size, size), mode="bicubic", antialias=True)[0].clamp(0, 1)
