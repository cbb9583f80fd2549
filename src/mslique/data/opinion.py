"""Where the images and the scores by people of a dataset are; its labels are read and checked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..io.errors import UserError
from .known_datasets import KnownDataset, Range, known_dataset
from .manifests import numbered, read_liqe, read_meta, read_table
from .parts import Splits, duplicates

NAMED = 5


@dataclass
class LabelSource:
    """Where the images and the scores of one dataset are.

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
        score_range: smallest and largest possible score; default: likewise.
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
    """Name, folder and labels of a dataset. Higher scores are better."""

    name: str
    folder: Path
    splits: Splits


def load_labels(name: str, source: LabelSource, root: Path, labels: Path, split: int) -> LabelledImages:
    """Read and check the labels of one dataset.

    Args:
        name: a key of :data:`mslique.data.known_datasets.KNOWN`, or a name of your own.
        root: folder of the datasets' folders.
        labels: folder of the label files.
        split: number of the split.

    Raises:
        UserError: a file is broken or names an image twice, or its scores leave the dataset's range or contradict its
            direction; the message says which.
    """
    known = known_dataset(name)
    folder = source.folder or known.folder
    file = labels / (numbered(source.labels, split) if source.labels else f"{folder}/splits2/{split}")
    if source.format == "liqe":
        splits = read_liqe(file, known.stem)
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
    low, high = source.score_range or (known.liqe_range if source.format == "liqe" else known.table_range)
    outside = [f"{x.path}: {x.score:g}" for ls in splits.values() for x in ls if not low <= x.score <= high]
    if outside:
        raise UserError(
            f"{file}: {len(outside)} scores are not in {name}'s range {low:g} to {high:g} ({_some(outside)}): is it the"
            " right file and format? If so, set score_range"
        )
    return LabelledImages(name, root / folder, _upward(known, name, source, splits, file))


def check_images(images: LabelledImages, parts: Sequence[str]) -> None:
    """Check that every part has images of different scores, and that every file exists.

    Raises:
        UserError: fewer than two images, one score for all, or missing images; the message has their number and the
            first few names.
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


def _upward(known: KnownDataset, name: str, source: LabelSource, splits: Splits, file: Path) -> Splits:
    """The splits with scores turned so that higher is better."""
    higher = source.higher_is_better
    if higher is None:
        higher = source.format == "liqe" or not known.lower_is_better
    sign = 1.0 if higher else -1.0
    turned = {part: [replace(x, score=sign * x.score) for x in labels] for part, labels in splits.items()}
    agreement = known.agreement({x.path: x.score for labels in turned.values() for x in labels})
    if agreement is not None and agreement < 0:
        raise UserError(
            f"{file}: read as {'higher' if higher else 'lower'}-is-better, {name}'s worst images would be its best: set"
            f" higher_is_better: {str(not higher).lower()}, or check the file"
        )
    return turned


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
