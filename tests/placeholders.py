"""The six datasets of LIQE's recipe without their images: real folders, file names, manifests and scales of scores."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps
from skimage import data

from mslique.data.known_datasets import KNOWN

PARTS = {"train": 3, "val": 2, "test": 2}
"""Photographs in each part; every photograph comes at several levels of damage."""
SCENES = ("astronaut", "chelsea", "coffee", "rocket", "astronaut", "chelsea", "coffee")
CSIQ = ("1600", "aerial_city", "boston", "bridge", "butter_flower", "cactus", "child_swimming")
Score = Callable[[float], str]
DATASETS: dict[str, tuple[Callable[[int, int], str], str, Score]] = {
    # path of photograph k at level v (1 the mildest), folder of the names in known_datasets, score of a quality
    "live": (lambda k, v: f"jp2k/img{k + 1}{v}.bmp", "", lambda q: f"{110 * q:.6f}"),
    "csiq": (lambda k, v: f"dst_imgs/blur/{CSIQ[k]}.BLUR.{v}.png", "", lambda q: f"{q:.3f}"),
    "bid": (lambda k, v: f"ImageDatabase/DatabaseImage00{k}{v}.JPG", "ImageDatabase/", lambda q: f"{5 * q:.6f}"),
    "clive": (lambda k, v: f"Images/{k + 1}{v}.bmp", "Images/", lambda q: f"{100 * q:.6f}"),
    "koniq": (lambda k, v: f"1024x768/100044733{k}{v}.jpg", "1024x768/", lambda q: f"{1 + 4 * q:.6f}"),
    "kadid": (lambda k, v: f"images/I{k + 1:02}_01_{v:02}.png", "", lambda q: f"{1 + 4 * q:.2f}"),
}


def write_iqa_database(
    root: Path, splits: Sequence[int] = (1,), levels: int = 3, sides: tuple[int, int] = (40, 60)
) -> None:
    """Seven photographs for each dataset, at ``levels`` levels; ``sides`` are the smallest and the largest side.

    The damage grows and the score falls from level to level: darkness and blur.
    """
    rng = np.random.default_rng(0)
    for name, (_, _, score) in DATASETS.items():
        folder = root / KNOWN[name].folder
        rows: list[list[str]] = [[] for _ in SCENES]
        for k in range(len(SCENES)):
            for v in range(1, levels + 1):
                path, quality = _path(name, k, v, levels), 1 - v / (levels + 1) + 0.01 * k
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                _image(k, quality, rng.integers(*sides, 2).tolist(), rng).save(folder / path, quality=95)
                rows[k].append(f"{path}\t{score(quality)}\tgaussian blur\tanimal\tinvalid\tinvalid\n")
        for split in splits:
            order = iter(np.random.default_rng(split).permutation(len(SCENES)))
            manifests = folder / "splits2" / str(split)
            manifests.mkdir(parents=True)
            for part, count in PARTS.items():
                lines = [line for _ in range(count) for line in rows[next(order)]]
                (manifests / f"{KNOWN[name].stem}_{part}_clip.txt").write_text("".join(lines))


def _path(name: str, k: int, v: int, levels: int) -> str:
    """That of one of the dataset's best or worst images where they are known, so that the direction can be checked."""
    pattern, folder, _ = DATASETS[name]
    named = {1: KNOWN[name].best, levels: KNOWN[name].worst}.get(v, ())
    return f"{folder}{named[k]}" if k < len(named) else pattern(k, v)


def _image(k: int, quality: float, sides: Sequence[int], rng: np.random.Generator) -> Image.Image:
    """A part of a photograph, all equally bright before the damage."""
    photo = getattr(data, SCENES[k])()
    top, left = (int(rng.integers(0, side - 128)) for side in photo.shape[:2])
    crop = ImageOps.equalize(Image.fromarray(photo[top : top + 128, left : left + 128]))
    small = crop.resize((sides[0], sides[1])).filter(ImageFilter.GaussianBlur(2 * (1 - quality)))
    return small.point(lambda value: value * quality**2)
