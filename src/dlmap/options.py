"""Options of the ascent, and what it gives back."""

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from torch import Tensor

from mslique import UserError

DOMAINS = ("latent", "pixel", "bands")
DOMAIN_OF = {"residual": "latent", "levels": "bands", "gains": "bands"}


@dataclass(frozen=True)
class Ascent:
    """Options of one ascent; the defaults are those of the authors' public challenge entry, where it has them.

    Args:
        iterations: evaluations after the first, at most; 0 returns the image as the domain reproduces it.
        domain: what is moved: the prior's noise ("latent"); the pixels themselves, without a prior ("pixel": pixel MAP,
            or direct ascent if the fidelity weight is 0); or one gain for each of a few bands into which the prior
            splits the image ("bands") [ours].
        target: an image stops when its quality reaches this value, of 100.
        only_below: an image whose quality is this value or more at the start comes back as it was given [ours].
        step_size, momentum, clip: of the published steps, SGD with momentum along the gradient whose elements are cut
            to this magnitude. The noise has unit variance, pixels are in [0, 1].
        radius: steps of a trust region instead [ours] (:class:`dlmap.steps.TrustRegion`): none moves the picture by
            more than about so many levels of 8 bits, root mean square. None: published steps.
        margin: an image whose objective rises by less comes back as it was given [ours].
        residual: add what the autoencoder loses, x0 - decode(encode(x0)), to every decoded image [ours].
        color_fix: above 0, every image takes what is coarser than about so many pixels from the photograph, which keeps
            its colours and its light where they are [ours]; 0, or a reference for fidelity: nothing is fixed.
        levels: noise levels of the prior between which the bands lie, ascending (:class:`dlmap.domain.Bands`).
        gains: bounds of the gains: -1 takes a band away, 1 doubles it.

    Raises:
        UserError: an option out of range, or one that the domain does not have.
    """

    iterations: int = 30
    domain: Literal["latent", "pixel", "bands"] = "latent"
    target: float = 90.0
    only_below: float = math.inf
    step_size: float = 2.0
    momentum: float = 0.9
    clip: float = 1e-3
    radius: float | None = None
    margin: float = 0.0
    residual: bool = False
    color_fix: float = 0.0
    levels: tuple[float, ...] = ()
    gains: tuple[float, float] = (-1.0, 1.0)

    def __post_init__(self) -> None:
        if self.domain not in DOMAINS:
            raise UserError(f"ascent.domain must be one of {', '.join(DOMAINS)}, got {self.domain!r}")
        free = ("iterations", "clip", "margin", "color_fix")
        ranges = dict.fromkeys(free, (0, math.inf)) | {"momentum": (0, 1)}
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) < high:
                raise UserError(f"ascent.{name} must be at least {low} and below {high}, got {getattr(self, name)}")
        if 0 < self.color_fix < 1:
            raise UserError(f"ascent.color_fix is a number of pixels, at least 1, or 0 for none: got {self.color_fix}")
        for name in ("step_size", "radius"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise UserError(f"ascent.{name} must be positive, got {value}")
        self._check_domain()

    def _check_domain(self) -> None:
        defaults = type(self).__dataclass_fields__
        for name, domain in DOMAIN_OF.items():
            if self.domain != domain and getattr(self, name) != defaults[name].default:
                raise UserError(
                    f"ascent.{name} belongs to the domain {domain}: leave it out where that is {self.domain}"
                )
        if self.domain != "bands":
            return
        if self.radius is None or not self.levels:
            raise UserError(
                "the domain bands needs ascent.radius and ascent.levels, as configs/dlmap/tiny.yaml has them"
            )
        if list(self.levels) != sorted(set(self.levels)) or self.levels[0] <= 0:
            raise UserError(f"ascent.levels must be positive and rise, got {self.levels}")
        if not -1 <= self.gains[0] <= 0 <= self.gains[1] < math.inf:
            raise UserError(f"ascent.gains are bounds, from -1 to 0 and from 0 up, got {self.gains}")


PUBLISHED = Ascent()


@dataclass(frozen=True)
class Enhanced:
    """Result for one image: (3, H, W) in [0, 1] on the CPU, and a value per evaluation, the starting point first.

    ``stages`` has the number of evaluations of every ascent, in their order. The note says what else is to be known.
    """

    image: Tensor
    quality: list[float] = field(default_factory=list)
    fidelity: list[float] = field(default_factory=list)
    objective: list[float] = field(default_factory=list)
    stages: tuple[int, ...] = ()
    note: str = ""

    @property
    def iterations(self) -> int:
        """Evaluations but for the starting point of every stage."""
        return sum(max(count - 1, 0) for count in self.stages or (len(self.quality),))

    def after(self, image: Tensor, quality: float, fidelity: float, objective: float) -> "Enhanced":
        """The result with one evaluation more; it holds the image with the highest objective."""
        newer = not self.objective or objective > max(self.objective)
        return replace(
            self,
            image=image.detach().to("cpu", copy=True) if newer else self.image,  # a view would keep its whole batch
            quality=[*self.quality, quality],
            fidelity=[*self.fidelity, fidelity],
            objective=[*self.objective, objective],
        )

    def noted(self, note: str) -> "Enhanced":
        """The same with a note more."""
        return replace(self, note="; ".join(filter(None, (self.note, note))))

    def then(self, later: "Enhanced") -> "Enhanced":
        """This ascent and a later one that began with its image."""
        return Enhanced(
            later.image,
            [*self.quality, *later.quality],
            [*self.fidelity, *later.fidelity],
            [*self.objective, *later.objective],
            (*self.stages, *later.stages),
        ).noted(self.note).noted(later.note)  # fmt: skip
