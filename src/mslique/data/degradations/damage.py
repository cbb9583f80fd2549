"""Dirt and lost parts. All ranges are [ours]."""

import numpy as np
from numpy.random import Generator
from PIL import ImageDraw

from .pixels import Pixels, clip, from_pillow, to_pillow


def dust_and_scratches(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """3 to 60 light or dark specks and lines on 100x100 pixels, as on an old print."""
    height, width = image.shape[:2]
    dirty = to_pillow(image)
    draw = ImageDraw.Draw(dirty)
    for _ in range(round((3 + 57 * severity) * height * width / 1e4)):
        x, y, angle, kind, tone = rng.uniform(0, 1, 5) * (width, height, 2 * np.pi, 1, 60)
        colour = (round(tone if rng.random() < 0.5 else 255 - tone),) * 3
        if kind < 0.3:
            length = rng.uniform(5, 50)
            draw.line((x, y, x + length * np.cos(angle), y + length * np.sin(angle)), fill=colour)
        else:
            a, b = rng.uniform(0.3, 2.2, 2)
            draw.ellipse((x - a, y - b, x + a, y + b), fill=colour)
    return from_pillow(dirty)


def block_loss(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """2 to 30 % of the blocks of 8 or 16 pixels lost and filled from their left, or grey."""
    size, grey, (height, width) = int(rng.choice([8, 16])), rng.random() < 0.3, image.shape[:2]
    blocks = rng.random((-(-height // size), -(-width // size))) < 0.02 + 0.28 * severity
    lost = np.kron(blocks, np.ones((size, size)))[:height, :width, None] > 0
    filled = np.roll(image, size, axis=1)
    filled[:, :size] = image[:, size : 2 * size] if width >= 2 * size else 0.5
    return clip(np.where(lost, 0.5 if grey else filled, image))
