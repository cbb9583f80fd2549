"""Small studies without models."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from skimage import data

from dlmap.study.definition import Study

CONTESTANTS = ("soft", "sharp", "grainy")


def photographs(side: int) -> dict[str, Image.Image]:
    """Two photographs of ``side`` pixels."""
    found = {"astronaut.png": data.astronaut(), "sub/chelsea.png": data.chelsea()}
    return {name: Image.fromarray(pixels).resize((side, side)) for name, pixels in found.items()}


def make_study(folder: Path, originals: Mapping[str, Image.Image]) -> Study:
    """A study of three contestants, which blur, sharpen and add grain."""
    study = Study(folder, CONTESTANTS, tuple(originals), token="token-of-the-test", seed=1)
    rng = np.random.default_rng(0)
    for name, original in originals.items():
        grain = rng.normal(0, 18, (original.height, original.width, 1))
        pictures = {
            study.original(name): original,
            study.output("soft", name): original.filter(ImageFilter.GaussianBlur(2)),
            study.output("sharp", name): original.filter(ImageFilter.UnsharpMask(2, 150)),
            study.output("grainy", name): Image.fromarray((np.asarray(original) + grain).clip(0, 255).astype(np.uint8)),
        }
        for path, picture in pictures.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
    study.save()
    return study
