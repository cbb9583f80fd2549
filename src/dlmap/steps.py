"""How an ascent moves its states, given their gradients."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from .domain import Domain

SMALLEST = 1 / 64
"""When the radius has shrunk to this part of the first one, the maximum is found [ours]."""


class Steps(Protocol):
    """States are parameters with gradients of what is minimised, the negated objective."""

    def needs_gradient(self, k: int, value: float) -> bool:
        """Whether :meth:`move` needs the gradient of the state of image ``k``, whose objective is ``value``."""
        ...

    def move(self, rows: Sequence[int], values: Tensor, images: Tensor) -> list[int]:
        """Move the states of these images of the batch, after a backward pass; returns those that can go on.

        Args:
            values: the objective (len(rows),).
            images: (len(rows), K, 3, H, W) that the states gave.
        """
        ...

    def release(self, rows: Sequence[int]) -> None:
        """Forget the gradients, and all else that is remembered, of images that have stopped."""
        ...


class ClippedMomentum:
    """The published steps: SGD with momentum, the elements of the gradient cut to +-clip (PiSA-MAP)."""

    def __init__(
        self, states: Sequence[nn.Parameter], domain: Domain, step_size: float, momentum: float, clip: float
    ) -> None:
        self.states, self.domain, self.clip = states, domain, clip
        self.optimizer = torch.optim.SGD(states, lr=step_size, momentum=momentum, foreach=False)

    def needs_gradient(self, k: int, value: float) -> bool:
        return True

    def move(self, rows: Sequence[int], values: Tensor, images: Tensor) -> list[int]:
        for k in rows:
            torch.nn.utils.clip_grad_value_(self.states[k], self.clip, foreach=False)
        self.optimizer.step()
        self.optimizer.zero_grad()
        for k in rows:
            self.domain.project(self.states[k].data, k)
        return list(rows)

    def release(self, rows: Sequence[int]) -> None:
        for k in rows:
            self.optimizer.state.pop(self.states[k], None)
            self.states[k].grad = None  # without it the optimiser passes the state over


@dataclass
class _Region:
    """What is known of one image: the best state so far with its slope, value and images, and the radius in levels.

    ``promised``: the gain that the slope promises for the present step.
    """

    radius: float
    speed: float
    state: Tensor
    slope: Tensor
    value: float
    images: Tensor
    promised: float = 0.0


class TrustRegion:
    """Steps along the gradient, each as long as the picture may move [ours].

    Noisy and blurred photographs need steps of very different length in the latents. But every picture can move about
    equally far before its gradient changes. So the length of a step is set by how far the picture moves.
    A step that raises the objective is kept; any other step is taken back. The radius is halved if the gain is less
    than a quarter of what the slope promised. It is doubled, up to the radius given, if the gain is more than three
    quarters (Conn, Gould and Toint, "Trust-Region Methods", 2000, algorithm 6.1.1 with a first-order model and the
    usual constants). Every step measures how far the picture moves with its state; the next step relies on that.

    Args:
        radius: longest move of the picture in a step, in levels of 8 bits, root mean square.
    """

    def __init__(self, states: Sequence[nn.Parameter], domain: Domain, radius: float) -> None:
        self.states, self.domain, self.radius = states, domain, radius
        self.regions: dict[int, _Region] = {}

    def needs_gradient(self, k: int, value: float) -> bool:
        """Not where the step is taken back: its slope is of no use."""
        return k not in self.regions or value > self.regions[k].value

    @torch.no_grad()
    def move(self, rows: Sequence[int], values: Tensor, images: Tensor) -> list[int]:
        return [k for k, *seen in zip(rows, values.tolist(), images.detach(), strict=True) if self._move(k, *seen)]

    def _move(self, k: int, value: float, images: Tensor) -> bool:
        state, known = self.states[k], self.regions.get(k)
        best = self._here(k, value, images) if known is None or self.needs_gradient(k, value) else known
        if known is not None:
            moved, length = 255 * _rms(images - known.images), _rms(state - known.state)
            speed = moved / length if min(moved, length) > 0 else known.speed
            kept = (value - known.value) / known.promised
            radius = known.radius * (0.5 if kept < 0.25 else 2.0 if kept > 0.75 else 1.0)
            best.radius, best.speed = min(radius, self.radius), speed
        self.regions[k], state.grad = best, None
        step = self._allowed(best, k)
        best.promised = (best.slope * step).sum().item()
        state.copy_(best.state + step)
        return _rms(step) > 0 and best.radius >= SMALLEST * self.radius

    def _here(self, k: int, value: float, images: Tensor) -> _Region:
        state = self.states[k]
        if state.grad is None:
            raise RuntimeError("a step needs a gradient: call backward first")
        return _Region(self.radius, self.domain.speed, state.clone(), -state.grad, value, images.clone())

    def _allowed(self, known: _Region, k: int) -> Tensor:
        """The step along the slope, within the bounds of the domain, with the length of the radius."""
        length, step = known.radius / known.speed, known.slope
        for _ in range(2):  # the second time the other numbers make up for what the bounds cut off
            size = _rms(step)
            if not 0 < size < math.inf:
                return torch.zeros_like(step)
            moved = known.state + step * (length / size)
            self.domain.project(moved, k)
            step = moved - known.state
        return step

    def release(self, rows: Sequence[int]) -> None:
        for k in rows:
            self.regions.pop(k, None)
            self.states[k].grad = None


def _rms(x: Tensor) -> float:
    return x.square().mean().sqrt().item()
