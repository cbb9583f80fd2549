"""Blur: lenses, movement and glass. All ranges are [ours]."""

import math

import numpy as np
import torch
from numpy.random import Generator
from scipy import ndimage

from .pixels import Pixels, clip, filtered


def gaussian_blur(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Defocus: standard deviation 0.4 to 3.5 pixels."""
    sigma = 0.4 + 3.1 * severity
    return clip(ndimage.gaussian_filter(image, (sigma, sigma, 0), truncate=3))


def motion_blur(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """A straight movement of 2 to 16 pixels in a random direction."""
    length, angle = 2 + 14 * severity, rng.uniform(0, math.pi)
    steps = np.linspace(-0.5, 0.5, 2 * math.ceil(length) + 1) * length
    side = 2 * math.ceil(length / 2) + 3
    kernel = np.zeros((side, side), np.float32)
    rows, columns = side // 2 + steps * math.sin(angle), side // 2 + steps * math.cos(angle)
    for row, column in zip(rows, columns, strict=True):
        r, c = int(row), int(column)
        dr, dc = row - r, column - c
        kernel[r : r + 2, c : c + 2] += np.outer((1 - dr, dr), (1 - dc, dc))
    kernel /= kernel.sum()
    weights = torch.from_numpy(kernel).expand(3, 1, side, side)
    padded = np.pad(image, ((side // 2,) * 2, (side // 2,) * 2, (0, 0)), mode="reflect")
    planes = torch.from_numpy(padded).permute(2, 0, 1)[None]
    return torch.nn.functional.conv2d(planes, weights, groups=3)[0].permute(1, 2, 0).numpy()


def lens_blur(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Out of focus: a disc of radius 0.8 to 5 pixels."""
    radius = 0.8 + 4.2 * severity
    reach = int(np.ceil(radius))
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(rows, columns), 0, 1)
    return clip(filtered(image, disc / disc.sum()))


def frosted_glass(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """Every pixel taken from a random place nearby, at a standard deviation of 0.3 to 2 pixels."""
    places = np.indices(image.shape[:2], np.float32)
    places += np.float32(0.3 + 1.7 * severity) * rng.standard_normal(places.shape, np.float32)
    return clip(np.dstack([ndimage.map_coordinates(image[..., c], places, order=1, mode="mirror") for c in range(3)]))


def ghosting(image: Pixels, severity: float, rng: Generator) -> Pixels:
    """A second exposure, of weight 0.15 to 0.5, 2 to 6 pixels away: frames that were merged and did not match."""
    angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(2, 6)
    moved = ndimage.shift(image, (distance * np.sin(angle), distance * np.cos(angle), 0), order=1, mode="nearest")
    weight = np.float32(0.15 + 0.35 * severity)
    return clip((1 - weight) * image + weight * moved)
