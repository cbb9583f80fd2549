"""The photographs on which contestants differ most, as small pictures."""

from typing import Any

import numpy as np
from PIL import Image

from ..run.pictures import data_uri, shrink, webp
from .definition import Study
from .result import Ranking

NUMBER, SIDE = 4, 400


def examples(study: Study, ranking: Ranking) -> list[dict[str, Any]]:
    """For the photographs where shares of wins vary most: their name, and title and data URI of every version.

    The original comes first, the contestants in rank order. Pictures that are not there are left out.
    """
    tally = ranking.tally
    shape = (len(tally.photos), len(tally.contestants))
    shown, won = np.zeros(shape, dtype=int), np.zeros(shape, dtype=int)
    for side in (tally.left, tally.right):
        np.add.at(shown, (tally.photo, side), 1)
    np.add.at(won, (tally.photo, tally.winner), 1)
    share = (won + 1) / (shown + 2)  # a win in a single comparison tells little
    order = [int(k) for k in np.argsort(-share.var(axis=1), kind="stable") if tally.photos[k] in study.photos]
    place = {name: k for k, name in enumerate(tally.contestants)}
    found = []
    for photo in order[:NUMBER]:
        name = tally.photos[photo]
        versions = [("original", study.original(name))]
        for contestant in (s.contestant for s in ranking.standings if s.contestant in study.contestants):
            k = place[contestant]
            title = f"{contestant}: chosen in {won[photo, k]} of {shown[photo, k]}"
            versions.append((title, study.output(contestant, name)))
        found.append({"photo": name, "pictures": [(title, _small(path)) for title, path in versions if path.is_file()]})
    return found


def _small(path: Any) -> str:
    with Image.open(path) as picture:
        return data_uri(webp(shrink(picture, SIDE)), "webp")
