"""Labels of images, and how they are divided into training, validation and test.

Where a file does not say which images are for validation, a tenth of the training images is taken. Where it says
nothing, images are drawn at random: 70, 10 and 20 percent, as in LIQE. All versions of one reference stay together
[ours].
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from numpy.random import default_rng

PARTS = ("train", "val", "test")
Splits = dict[str, list["Label"]]
"""The labels of every part."""


@dataclass(frozen=True)
class Label:
    """The path of an image below its dataset's folder, its score, and its reference image, if there is one."""

    path: str
    score: float
    reference: str = ""


def drawn(labels: Sequence[Label], split: int) -> Splits:
    """The parts at random, by the seed ``split``."""
    train, test = _parted(labels, 0.2, split)
    train, val = _parted(train, 0.125, split)
    return {"train": train, "val": val, "test": test}


def completed(splits: Mapping[str, list[Label]], split: int) -> Splits:
    """All three parts; images for validation are drawn where there are none."""
    found = {part: splits.get(part, []) for part in PARTS}
    if not found["val"]:
        found["train"], found["val"] = _parted(found["train"], 0.1, split)
    return found


def duplicates(splits: Splits) -> list[str]:
    """Paths that occur more than once, in one part or in several."""
    counts = Counter(label.path for labels in splits.values() for label in labels)
    return [path for path, count in counts.items() if count > 1]


def _parted(labels: Sequence[Label], share: float, seed: int) -> tuple[list[Label], list[Label]]:
    """The labels that are left, and a random share of the references with all their images."""
    groups = sorted({label.reference or label.path for label in labels})
    count = max(1, round(share * len(groups))) if len(groups) > 1 else 0
    taken = {groups[i] for i in default_rng(seed).permutation(len(groups))[:count]}
    kept = [label for label in labels if (label.reference or label.path) not in taken]
    return kept, [label for label in labels if (label.reference or label.path) in taken]
