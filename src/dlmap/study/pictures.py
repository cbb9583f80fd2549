"""The pictures of a trial, as the page gets them."""

from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from mslique import DEGRADATIONS, UserError, read_image

from ..run.pictures import png_bytes
from .definition import Study
from .design import DEGRADED, ORIGINAL, Trial

Place = Literal["left", "right", "original"]
PLAINLY_WORSE = (("rescale", 0.75), ("gaussian_blur", 0.5), ("jpeg", 0.875))
"""What makes the worse side of a catch trial: to a quarter and back, blur of 2 pixels, JPEG of quality 10."""


def picture(study: Study, trial: Trial, place: Place) -> bytes:
    """The PNG at a place of a trial: a contestant's output, the original, or a version of it that is plainly worse."""
    name = ORIGINAL if place == "original" else getattr(trial, place)
    if name == DEGRADED:
        return degraded(study.original(trial.photo))
    return study.picture(name, trial.photo).read_bytes()


@lru_cache(maxsize=32)
def degraded(path: Path) -> bytes:
    """A plainly worse version of a photograph, always the same, as PNG."""
    pixels = read_image(path).permute(1, 2, 0).numpy()
    rng = np.random.default_rng(0)
    for name, severity in PLAINLY_WORSE:
        pixels = DEGRADATIONS[name](pixels, severity, rng)
    return png_bytes(torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1))


def check_pictures(study: Study) -> None:
    """Raise a UserError that names the first picture which the study lacks."""
    for photo in study.photos:
        for path in (study.picture(name, photo) for name in (ORIGINAL, *study.contestants)):
            if not path.is_file():
                raise UserError(f"the study lacks {path}: run the `dlmap study create` that made it again")
