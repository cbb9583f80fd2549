"""Procedural training images with the statistics of photographs.

Dead leaves: occluding discs whose radii follow r^-3, so that edges appear at every scale (Lee, Mumford and Huang,
"Occlusion Models for Natural Images", IJCV 2001). Textures: Gaussian noise with a 1/f amplitude spectrum.
"""

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

SMALLEST_RADIUS, LARGEST_RADIUS = 4.0, 240.0


def dead_leaves(size: int, rng: Generator) -> np.ndarray:
    """(size, size, 3) uint8 image of textured occluding discs and rectangles, drawn at twice the size and reduced."""
    canvas = 2 * size
    picture = Image.new("RGB", (canvas, canvas), tuple(rng.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    palette = _palette(rng)
    for radius in _power_law_radii(2500, rng):
        x, y = rng.uniform(0, canvas, 2)
        colour = tuple(palette[rng.integers(len(palette))].tolist())
        box = (x - radius, y - radius, x + radius, y + radius)
        (draw.ellipse if rng.random() < 0.7 else draw.rectangle)(box, fill=colour)
    leaves = np.asarray(picture.resize((size, size), Image.Resampling.BOX), dtype=np.float32)
    texture = one_over_f(size, rng).astype(np.float32) - 128
    return (leaves + rng.uniform(0.0, 0.3) * texture).clip(0, 255).astype(np.uint8)


def one_over_f(size: int, rng: Generator) -> np.ndarray:
    """(size, size, 3) uint8 noise whose amplitude falls as 1/f, with correlated colour channels."""
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = 1.0
    slope = rng.uniform(0.9, 1.4)
    spectrum = np.fft.rfft2(rng.standard_normal((4, size, size))) / frequency**slope
    spectrum[:, 0, 0] = 0.0
    noise = np.fft.irfft2(spectrum, s=(size, size))
    noise /= noise.std(axis=(1, 2), keepdims=True)
    colour = noise[:1] + 0.25 * noise[1:]
    return (128 + rng.uniform(25, 60) * colour).clip(0, 255).astype(np.uint8).transpose(1, 2, 0)


def _palette(rng: Generator) -> np.ndarray:
    """(24, 3) uint8 muted colours that share a random tint."""
    light = rng.uniform(10, 245, (24, 1))
    return (light + rng.normal(0, 16, (24, 3)) + rng.normal(0, 16, (1, 3))).clip(0, 255).astype(np.uint8)


def _power_law_radii(count: int, rng: Generator) -> np.ndarray:
    """Radii of density r^-3 between the bounds, by inversion of the distribution; large first is not enforced."""
    low, high = SMALLEST_RADIUS**-2, LARGEST_RADIUS**-2
    return (low - rng.random(count) * (low - high)) ** -0.5
