"""Hardening a quality model against its own ascent [ours].

An ascent on a score soon leaves the photographs that the score was learnt from, and finds images that please the model
and nobody else. Here such images join the training: a few steps of ascent from degraded crops, labelled like all others
by how much of the clean crop is left. They lose value slowly, so a pool of recent ones is kept, and only some are new.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor

from .data.committee import reference_quality

Score = Callable[[Tensor], Tensor]
SMOOTHING = (1, 1, 3, 7, 15)
"""Sides of the windows over which gradients are averaged: fine grain as often as each of the coarser patterns."""


@dataclass
class Hardening:
    """Replaces part of each training batch by images that the model itself made.

    Args:
        share: of the batch to replace, at least one image.
        every: training steps between two rounds of ascent; a round makes ``share`` of a batch.
        pool: images to keep; the oldest go first.
        steps: most steps of an ascent; the number is uniformly random from 1.
        step_size: smallest and largest root-mean-square change of a step, in levels of 1/255, log-uniformly random.
        crops: views per scale that the ascent looks at.
        start: training step of the first round: before the model knows anything its ascent is noise.
    """

    share: float = 0.25
    every: int = 4
    pool: int = 1024
    steps: int = 10
    step_size: tuple[float, float] = (0.5, 4.0)
    crops: int = 4
    start: int = 0
    _images: list[Tensor] = field(default_factory=list, init=False, repr=False)
    _labels: list[Tensor] = field(default_factory=list, init=False, repr=False)

    def due(self, step: int) -> bool:
        return step >= self.start and step % self.every == 0

    def refresh(self, score: Score, images: Tensor, originals: Tensor, rng: Generator) -> None:
        """Add the ascents from a random ``share`` of the images (B, 3, H, W) to the pool."""
        chosen = torch.from_numpy(rng.permutation(len(images))[: self._count(images)])
        made = ascended(score, images[chosen], rng, self.steps, self.step_size)
        labels = reference_quality(made.cpu(), originals[chosen].cpu())  # FSIM builds its filters on the CPU
        self._images = [*self._images, *made.mul(255).round().byte().cpu()][-self.pool :]
        self._labels = [*self._labels, *labels][-self.pool :]

    def mixed(self, images: Tensor, labels: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
        """Images (B, 3, H, W) and labels (B,), with a random ``share`` of them replaced by some of the pool."""
        count = min(self._count(images), len(self._images))
        if count == 0:
            return images, labels
        places = torch.from_numpy(rng.permutation(len(images))[:count])
        drawn = rng.permutation(len(self._images))[:count]
        images, labels = images.clone(), labels.clone()
        images[places] = torch.stack([self._images[k] for k in drawn]).to(images) / 255
        labels[places] = torch.stack([self._labels[k] for k in drawn]).to(labels)
        return images, labels

    def _count(self, images: Tensor) -> int:
        return max(1, round(self.share * len(images)))


def ascended(
    score: Score, images: Tensor, rng: Generator, max_steps: int, step_size: tuple[float, float] = (0.5, 4.0)
) -> Tensor:
    """A few steps of ascent of the score in the pixels.

    One rule is drawn for all: along the gradient or its sign, the gradient averaged over a random window or not. Number
    and size of the steps are drawn for each image.

    Args:
        score: (B, 3, H, W) to (B,), differentiable; an image's score must not depend on the others.
        images: (B, 3, H, W) in [0, 1].
        rng: the only source of randomness.
        max_steps, step_size: see :class:`Hardening`.

    Returns:
        (B, 3, H, W) in [0, 1], in steps of 1/255, detached.
    """
    signs, window = rng.random() < 0.5, int(rng.choice(SMOOTHING))
    low, high = step_size
    sizes = torch.from_numpy(low * (high / low) ** rng.random(len(images))).to(images).view(-1, 1, 1, 1) / 255
    counts = torch.from_numpy(rng.integers(1, max_steps + 1, len(images))).to(images.device)
    moved = images.detach().clone()
    for step in range(int(counts.max())):
        going = counts > step
        moved[going] = (moved[going] + sizes[going] * direction(score, moved[going], signs, window)).clamp(0, 1)
    return moved.mul(255).round() / 255


def direction(score: Score, images: Tensor, signs: bool = False, window: int = 1) -> Tensor:
    """The gradient of the score (B, 3, H, W), averaged over squares of odd side ``window``, of unit mean square."""
    with torch.enable_grad():
        leaf = images.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(score(leaf).sum(), leaf)
    gradient = F.avg_pool2d(gradient, window, stride=1, padding=window // 2, count_include_pad=False)
    gradient = gradient.sign() if signs else gradient
    return gradient / gradient.square().mean(dim=(1, 2, 3), keepdim=True).sqrt().clamp(min=1e-20)
