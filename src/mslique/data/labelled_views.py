"""The views of photographs with scores by people, as samples for training and evaluation."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from numpy.random import default_rng
from torch import Tensor
from torch.utils.data import Dataset

from ..io.errors import UserError
from ..randomness import generator_of
from ..views import MultiScaleViews
from .batch import Sample
from .parts import Label

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class LabelledViews(Dataset[Sample | None]):
    """The views of labelled photographs.

    In training, sample i depends on (seed, i) alone, whatever the order, the worker or the process. Every
    ``len(labels)`` consecutive samples show every image once, in a new order, mirrored or not.

    Args:
        folder: of the labels' paths.
        labels: images and scores.
        read: gives the image (3, H, W) uint8 of a path; see :mod:`mslique.io.photo_cache`.
        views: what is cut out of every image.
        dataset: number of the dataset.
        length: training samples in an epoch; None: for evaluation, every image as it is.
        seed: of everything random.
        skip_bad_images: where an image cannot be decoded, take the next one in training, and none in evaluation;
            otherwise it is an error.
    """

    folder: Path
    labels: Sequence[Label]
    read: Callable[[Path], Tensor]
    views: MultiScaleViews
    dataset: int
    length: int | None = None
    seed: int = 0
    skip_bad_images: bool = False

    def __len__(self) -> int:
        return len(self.labels) if self.length is None else self.length

    def __getitem__(self, index: int) -> Sample | None:
        """The sample; None where an image of the evaluation is skipped.

        Raises:
            UserError: an image cannot be decoded.
        """
        if self.length is None:
            return self._sample(index, mirrored=False)
        round_, position = divmod(index, len(self.labels))
        order = default_rng((self.seed, self.dataset, 1, round_)).permutation(len(self.labels))
        rng = default_rng((self.seed, self.dataset, 2, index))
        mirrored, generator = bool(rng.random() < 0.5), generator_of(self.seed, self.dataset, 3, index)
        for number in [*order[position:], *order[:position]]:
            if (sample := self._sample(int(number), mirrored, generator)) is not None:
                return sample
        raise UserError(f"no image below {self.folder} can be decoded: check the files")

    def _sample(self, number: int, mirrored: bool, generator: torch.Generator | None = None) -> Sample | None:
        label = self.labels[number]
        try:
            image = self.read(self.folder / label.path)
        except UserError as reason:
            if not self.skip_bad_images:
                raise UserError(f"{reason}: mend or remove it, or set skip_bad_images") from reason
            logger.warning("skipped: %s", reason)
            return None
        image = (image.flip(-1) if mirrored else image).float().div_(255)
        return Sample(self.views(image[None], generator)[0], torch.tensor(label.score), self.dataset, number)
