"""Photographs with scores by people: sources, checks, and the views of an image as a training sample."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from numpy.random import default_rng
from torch import Tensor
from torch.utils.data import Dataset

from ..io.errors import UserError
from ..views import MultiScaleViews
from .known_datasets import KNOWN, Range
from .manifests import Label, Splits, duplicates, read_liqe, read_meta, read_table

logger = logging.getLogger(__name__)
NAMED = 5

Sample = tuple[Tensor, Tensor, int, int]
"""Views (V, 3, s, s) in [0, 1], score, number of the dataset, number of the image."""


@dataclass
class LabelSource:
    """Where one dataset's images and scores are.

    Args:
        batch_size: images of this dataset in a training batch, per process.
        folder: of the images' paths, below the root; default: LIQE's name for a known dataset, else the dataset's name.
        labels: a table, or the folder of LIQE's manifests (default, below ``folder``); ``{split}`` in it stands for the
            number of the split.
        format: see :mod:`mslique.data.manifests`.
        split_column: of a table; ``{split}`` in it is replaced by the number of the split.
        split_file: pickle beside a meta file.
        image_column, score_column, reference_column: of a table.
        higher_is_better: direction of the scores in the file; default: what is known of the dataset and the format.
        score_range: smallest and largest score possible; default: likewise.
    """

    batch_size: int = 8
    folder: str | None = None
    labels: str | None = None
    format: Literal["liqe", "meta", "table"] = "liqe"
    split_column: str | None = None
    split_file: str | None = None
    image_column: str = "image"
    score_column: str = "score"
    reference_column: str | None = None
    higher_is_better: bool | None = None
    score_range: Range | None = None


@dataclass(frozen=True)
class LabelledImages:
    """A dataset's name, folder and labels; scores are higher-is-better."""

    name: str
    folder: Path
    splits: Splits


def load_labels(name: str, source: LabelSource, root: Path, labels: Path, split: int) -> LabelledImages:
    """Read and check the labels of one dataset.

    Args:
        name: a key of :data:`mslique.data.known_datasets.KNOWN`, or a name of your own.
        root: folder of the datasets' folders.
        labels: the same for the label files.
        split: number of the split.

    Raises:
        UserError: a file is broken, names an image twice, or its scores leave the dataset's range or contradict its
            direction; the message says which.
    """
    known = KNOWN.get(name)
    folder = source.folder or (known.folder if known else name)
    file = labels / (source.labels or f"{folder}/splits2/{{split}}").format(split=split)
    if source.format == "liqe":
        splits = read_liqe(file, known.stem if known else name)
    elif source.format == "meta":
        extra = labels / source.split_file if source.split_file else None
        splits = read_meta(file, split, source.split_column, extra)
    else:
        columns = source.image_column, source.score_column, source.reference_column, source.split_column
        splits = read_table(file, split, *columns)
    twice = duplicates(splits)
    if twice:
        raise UserError(
            f"{file}: {len(twice)} images of {name} occur more than once ({_some(twice)}): keep one row each"
        )
    _check_range(name, source, splits, file)
    return LabelledImages(name, root / folder, _upward(name, source, splits, file))


def _check_range(name: str, source: LabelSource, splits: Splits, file: Path) -> None:
    known = KNOWN.get(name)
    default = (known.liqe_range if source.format == "liqe" else known.table_range) if known else None
    low, high = source.score_range or default or (-float("inf"), float("inf"))
    outside = [f"{x.path}: {x.score:g}" for labels in splits.values() for x in labels if not low <= x.score <= high]
    if outside:
        raise UserError(
            f"{file}: {len(outside)} scores are not in {name}'s range {low:g} to {high:g} ({_some(outside)}): is it the"
            " right file and format? If so, set score_range"
        )


def _upward(name: str, source: LabelSource, splits: Splits, file: Path) -> Splits:
    """The splits with scores turned to higher-is-better."""
    known = KNOWN.get(name)
    higher = source.higher_is_better
    if higher is None:
        higher = source.format == "liqe" or known is None or not known.lower_is_better
    sign = 1.0 if higher else -1.0
    turned = {part: [Label(x.path, sign * x.score, x.reference) for x in ls] for part, ls in splits.items()}
    agreement = known.agreement({x.path: x.score for ls in turned.values() for x in ls}) if known else None
    if agreement is not None and agreement < 0:
        raise UserError(
            f"{file}: read as {'higher' if higher else 'lower'}-is-better, {name}'s worst images would be its best: set"
            f" higher_is_better: {str(not higher).lower()}, or check the file"
        )
    return turned


def check_images(images: LabelledImages, parts: Sequence[str]) -> None:
    """Whether there is something to rank, and every file exists.

    Raises:
        UserError: with the number of missing images and the first few names; or there are fewer than two images, or
            all of them have one score.
    """
    for part in parts:
        labels = images.splits[part]
        if len(labels) < 2 or len({label.score for label in labels}) == 1:
            same = " with one and the same score" if len(labels) > 1 else ""
            raise UserError(
                f"{images.name} has {len(labels)} images{same} for {part}, and pairs of different scores are needed:"
                " add images, or leave it out"
            )
    paths = [label.path for part in parts for label in images.splits[part]]
    missing = [path for path in paths if not (images.folder / path).is_file()]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(paths)} images of {images.name} are missing below {images.folder}"
            f" ({_some(missing)}): check root and folder"
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


class LabelledViews(Dataset[Sample | None]):
    """The views of labelled photographs.

    In training, sample i is drawn from the generator seeded by (seed, i), whatever the order, worker or process; every
    ``len(labels)`` consecutive samples show every image once, in an order of their own, mirrored or not.

    Args:
        folder: of the labels' paths.
        labels: images and scores.
        read: gives the image (3, H, W) uint8 of a path; see :mod:`mslique.io.photo_cache`.
        views: what is cut out of every image.
        dataset: number of the dataset.
        length: training samples in an epoch; None: for evaluation, every image as it is.
        seed: of everything random.
        skip_bad_images: take the next image in training, and none in evaluation, where one cannot be decoded; otherwise
            it is an error.
    """

    def __init__(
        self,
        folder: Path,
        labels: Sequence[Label],
        read: Callable[[Path], Tensor],
        views: MultiScaleViews,
        dataset: int,
        length: int | None = None,
        seed: int = 0,
        skip_bad_images: bool = False,
    ) -> None:
        self.folder = folder
        self.labels = list(labels)
        self.read = read
        self.views = views
        self.dataset = dataset
        self.length = length
        self.seed = seed
        self.skip_bad_images = skip_bad_images

    def __len__(self) -> int:
        return len(self.labels) if self.length is None else self.length

    def __getitem__(self, index: int) -> Sample | None:
        """None where an image of the evaluation is skipped.

        Raises:
            UserError: an image cannot be decoded.
        """
        if self.length is None:
            return self._sample(index, mirrored=False)
        round_, position = divmod(index, len(self.labels))
        order = default_rng((self.seed, self.dataset, 1, round_)).permutation(len(self.labels))
        rng = default_rng((self.seed, self.dataset, 2, index))
        mirrored, seed = bool(rng.random() < 0.5), int(rng.integers(2**63))
        for number in [*order[position:], *order[:position]]:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                if (sample := self._sample(int(number), mirrored)) is not None:
                    return sample
        raise UserError(f"no image below {self.folder} can be decoded: check the files")

    def _sample(self, number: int, mirrored: bool) -> Sample | None:
        label = self.labels[number]
        try:
            image = self.read(self.folder / label.path)
        except UserError as reason:
            if not self.skip_bad_images:
                raise UserError(f"{reason}: mend or remove it, or set skip_bad_images") from reason
            logger.warning("skipped: %s", reason)
            return None
        image = (image.flip(-1) if mirrored else image).float().div_(255)
        return self.views(image[None])[0], torch.tensor(label.score), self.dataset, number
