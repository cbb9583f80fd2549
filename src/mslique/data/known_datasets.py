"""Facts about the public quality datasets: folders in LIQE's layout, ranges, and the direction of the scores.

The direction of the scores in every table can be checked. The file names of synthetic datasets end with the severity of
the distortion. Of the other datasets, some of the best and of the worst images are named here, by the mean opinion
scores in the datasets' own tables.
"""

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, product

Range = tuple[float, float]
ANY: Range = (-math.inf, math.inf)
SEVERITY = re.compile(r"(?P<image>.*)[._](?P<level>\d+)\.[^./]+$")


@dataclass(frozen=True)
class KnownDataset:
    """
    Args:
        folder: of the dataset in LIQE's layout.
        stem: of LIQE's manifests, ``<stem>_train_clip.txt``.
        liqe_range: of the scores in LIQE's manifests, which are all higher-is-better.
        table_range: of the scores in the dataset's own table and in IQA-PyTorch's.
        lower_is_better: in the latter two.
        severity: file names end with the level of the distortion, 1 the mildest.
        best, worst: ends of the paths of some of the best and worst images.
    """

    folder: str
    stem: str
    liqe_range: Range
    table_range: Range
    lower_is_better: bool = False
    severity: bool = False
    best: tuple[str, ...] = ()
    worst: tuple[str, ...] = ()

    def agreement(self, scores: Mapping[str, float]) -> float | None:
        """From -1 (every known comparison says that higher is worse) to 1; None without a known comparison.

        Args:
            scores: path of the image to its score.
        """
        if self.severity:
            pairs = _by_severity(scores)
        else:
            pairs = list(product(_ending(scores, self.best), _ending(scores, self.worst)))
        signs = [(better > worse) - (better < worse) for better, worse in pairs]
        return sum(signs) / len(signs) if signs else None


def known_dataset(name: str) -> KnownDataset:
    """The facts about a dataset of this name; nothing but the name if it is no key of KNOWN."""
    return KNOWN.get(name) or KnownDataset(name, name, ANY, ANY)


def _ending(scores: Mapping[str, float], names: tuple[str, ...]) -> list[float]:
    ends = tuple(f"/{name}".lower() for name in names)
    return [score for path, score in scores.items() if f"/{path}".lower().endswith(ends)]


def _by_severity(scores: Mapping[str, float]) -> list[tuple[float, float]]:
    levels = defaultdict(list)
    for path, score in scores.items():
        if found := SEVERITY.match(path):
            levels[found["image"]].append((int(found["level"]), score))
    ordered = (sorted(images) for images in levels.values())
    return [(mild, severe) for images in ordered for (_, mild), (_, severe) in combinations(images, 2)]


KNOWN = {
    "live": KnownDataset(
        "databaserelease2", "live", (0, 120), (-5, 115), lower_is_better=True,
        best=("fastfading/img45.bmp", "jpeg/img106.bmp", "jpeg/img64.bmp", "jpeg/img70.bmp", "jpeg/img13.bmp"),
        worst=("wn/img20.bmp", "wn/img23.bmp", "jpeg/img164.bmp", "wn/img42.bmp", "wn/img94.bmp")),
    "csiq": KnownDataset("CSIQ", "csiq", (0, 1), (0, 1), lower_is_better=True, severity=True),
    "bid": KnownDataset(
        "BID", "bid", (0, 5), (0, 5),
        best=("DatabaseImage0310.JPG", "DatabaseImage0466.JPG", "DatabaseImage0441.JPG", "DatabaseImage0261.JPG"),
        worst=("DatabaseImage0212.JPG", "DatabaseImage0305.JPG", "DatabaseImage0026.JPG", "DatabaseImage0567.JPG")),
    "clive": KnownDataset(
        "ChallengeDB_release", "clive", (0, 100), (0, 100),
        best=("781.JPG", "716.JPG", "785.JPG", "776.JPG", "844.JPG", "780.JPG"),
        worst=("673.JPG", "239.bmp", "734.JPG", "702.JPG", "961.JPG", "698.JPG")),
    "koniq": KnownDataset(
        "koniq-10k", "koniq10k", (1, 5), (0, 100),
        best=("5466371904.jpg", "5168834860.jpg", "5869585652.jpg", "213906996.jpg", "121123359.jpg"),
        worst=("80184044.jpg", "10344921126.jpg", "33000255.jpg", "28311109.jpg", "19502065.jpg")),
    "kadid": KnownDataset("kadid10k", "kadid10k", (1, 5), (1, 5), severity=True),
    "spaq": KnownDataset(
        "SPAQ", "spaq", (0, 100), (0, 100),
        best=("07337.jpg", "07339.jpg", "07296.jpg", "07311.jpg", "07248.jpg"),
        worst=("07338.jpg", "08932.jpg", "06739.jpg", "05488.jpg", "09254.jpg")),
    "tid2013": KnownDataset("TID2013", "tid2013", (0, 9), (0, 9), severity=True),
}  # fmt: skip
