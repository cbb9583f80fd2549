"""Options of the ascent, and what it gives back."""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from torch import Tensor

from mslique import UserError

STEP_SIZES = {"sgd": 2.0, "adam": 0.01}
CHOICES = {
    "optimizer": ("sgd", "adam"),
    "domain": ("latent", "pixel"),
    "keep": ("best", "last"),
    "clip_algorithm": ("value", "norm"),
}
LATENT_ONLY = ("tied", "renormalise", "noise_weight", "residual")


@dataclass(frozen=True)
class Ascent:
    """Options of the ascent; the defaults are those of the authors' public challenge entry, where it has them.

    Args:
        iterations: gradient steps at most; 0 returns the image as the prior reproduces it.
        step_size: learning rate. The default is 2 for SGD, as published, so that a step, without its momentum, changes
            an element by 0.002 at most, and 0.01 for Adam [ours]. The noise has unit variance, pixels are in [0, 1].
        momentum: of SGD, or the first beta of Adam; 0 to less than 1.
        clip: bound on the gradient.
        clip_algorithm: what ``clip`` bounds: the magnitude of every element ("value"), as published, or the
            root-mean-square over the elements of an image ("norm") [ours]. Gradients at the noise are far beyond any
            sensible bound, so that "value" leaves little more than their signs and moves the whole image alike, where
            "norm" keeps their direction: what hardly matters to the score hardly moves.
        target: an image stops when its quality reaches this value, of 100.
        optimizer: "sgd" with momentum, as published, or "adam" [ours].
        domain: "latent" moves the prior's noise; "pixel" moves the pixels themselves, without a prior: pixel MAP, or
            direct ascent if the fidelity weight is 0.
        keep: the image to return: the "best" by objective, so that overshooting does no harm [ours], or the "last".
        tied: move both sequences of the noise by the same step, the sum of their gradients. Only the first image of
            EDICT's two is decoded and scored then, since they hardly differ [ours].
        renormalise: give the noise its norm at the start after every step. For generation; a photograph needs none.
        noise_weight: of the penalty on noise that becomes improbable (:mod:`dlmap.likelihood`), in points of quality a
            nat [ours].
        residual: add what the autoencoder loses, x0 - decode(encode(x0)), to every decoded image [ours].
        color_fix: above 0, every image takes what is coarser than about so many pixels from the photograph, which keeps
            its colours and its light where they are [ours]; 0, or a reference for fidelity: nothing is fixed.

    Raises:
        UserError: an option out of range, or one of the latent domain in the pixel domain.
    """

    iterations: int = 30
    step_size: float | None = None
    momentum: float = 0.9
    clip: float = 1e-3
    clip_algorithm: Literal["value", "norm"] = "value"
    target: float = 90.0
    optimizer: Literal["sgd", "adam"] = "sgd"
    domain: Literal["latent", "pixel"] = "latent"
    keep: Literal["best", "last"] = "best"
    tied: bool = False
    renormalise: bool = False
    noise_weight: float = 0.0
    residual: bool = False
    color_fix: float = 0.0

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise UserError(f"ascent.{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}")
        free = ("iterations", "clip", "noise_weight", "color_fix")
        ranges = dict.fromkeys(free, (0, math.inf)) | {"momentum": (0, 1)}
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) < high:
                raise UserError(f"ascent.{name} must be at least {low} and below {high}, got {getattr(self, name)}")
        if 0 < self.color_fix < 1:
            raise UserError(f"ascent.color_fix is a number of pixels, at least 1, or 0 for none: got {self.color_fix}")
        if self.step_size is not None and not self.step_size > 0:
            raise UserError(f"ascent.step_size must be positive, got {self.step_size}")
        given = [name for name in LATENT_ONLY if getattr(self, name)]
        if self.domain == "pixel" and given:
            raise UserError(f"ascent.{given[0]} acts on the noise of a prior: leave it out where the domain is pixel")

    @property
    def learning_rate(self) -> float:
        return STEP_SIZES[self.optimizer] if self.step_size is None else self.step_size


PUBLISHED = Ascent()


@dataclass(frozen=True)
class Enhanced:
    """Result for one image: (3, H, W) in [0, 1] on the CPU, and a value per evaluation, the starting point first.

    The note says what went wrong on the way, if anything did.
    """

    image: Tensor
    quality: list[float] = field(default_factory=list)
    fidelity: list[float] = field(default_factory=list)
    objective: list[float] = field(default_factory=list)
    note: str = ""

    @property
    def iterations(self) -> int:
        return max(len(self.quality) - 1, 0)

    def after(self, image: Tensor, quality: float, fidelity: float, objective: float, keep: str) -> "Enhanced":
        """The result with one evaluation more; ``keep`` decides which image it holds then."""
        newer = keep == "last" or not self.objective or objective > max(self.objective)
        return replace(
            self,
            image=image.detach().to("cpu", copy=True) if newer else self.image,  # a view would keep its whole batch
            quality=[*self.quality, quality],
            fidelity=[*self.fidelity, fidelity],
            objective=[*self.objective, objective],
        )
