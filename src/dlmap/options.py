"""Options of the prior and of the ascent."""

import math
from dataclasses import dataclass
from itertools import pairwise

from mslique import UserError

COUPLINGS = ("float64", "float32")
GRADIENTS = ("auto", "full", "checkpoint")
TILE = 512
DOMAIN_OF = {"residual": "latent", "levels": "bands", "gains": "bands", "unsharp": "bands"}


@dataclass(frozen=True)
class Ascent:
    """Options of one ascent; the defaults are those of the authors' public challenge entry, where it has them.

    Args:
        iterations: at most so many evaluations after the first. With 0 the image comes back as the domain gives it.
        domain: what is moved: the prior's noise ("latent"); the pixels themselves, without a prior ("pixel": pixel MAP,
            or direct ascent if the fidelity weight is 0); or one gain for each of a few bands into which the prior
            splits the image ("bands") [ours].
        target: an image stops when its quality reaches this value, of 100.
        only_below: an image is left as it was given if its quality at the start is this value or more [ours].
        step_size, momentum, clip: of the published steps. They are SGD with momentum; every element of the gradient is
            cut to +-clip. The noise has unit variance, pixels are in [0, 1].
        radius: a number asks for the steps of a trust region [ours] (:class:`dlmap.steps.TrustRegion`). No step moves
            the picture by more than about so many levels of 8 bits, root mean square. None: the published steps.
        margin: an image is left as it was given if its objective rises by less [ours].
        residual: add what the autoencoder loses, x0 - decode(encode(x0)), to every decoded image [ours].
        color_fix: a number of pixels. Every image takes what is coarser than that from the photograph, so that colours
            and light stay [ours]. 0: nothing is fixed; nor is anything if there is a reference for fidelity.
        levels: noise levels of the prior between which the bands lie, ascending (:class:`dlmap.domain.Bands`).
        gains: bounds of the gains: -1 takes a band away, 1 doubles it. The band of the first level is raised to a
            root mean square of at most 2.5 levels of 8 bits.
        unsharp: pixels, the standard deviation of a Gaussian filter: what it smooths away from the image denoised at
            the last level but one is one more band [ours]. 0: there are only those of the prior.

    Raises:
        UserError: an option out of range, or one that the domain does not have.
    """

    iterations: int = 30
    domain: str = "latent"
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
    unsharp: float = 0.0

    def __post_init__(self) -> None:
        free = ("iterations", "clip", "margin", "color_fix")
        ranges = dict.fromkeys(free, (0, math.inf)) | {"momentum": (0, 1), "unsharp": (0, 64)}
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) < high:
                raise UserError(f"ascent.{name} must be at least {low} and below {high}, got {getattr(self, name)}")
        for name in ("target", "only_below"):
            if math.isnan(getattr(self, name)):
                raise UserError(f"ascent.{name} must be a number, got nan")
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
        if not all(low < high < math.inf for low, high in pairwise((0.0, *self.levels))):
            raise UserError(f"ascent.levels must be positive and rise, got {self.levels}")
        if not -1 <= self.gains[0] <= 0 <= self.gains[1] < math.inf:
            raise UserError(f"ascent.gains are bounds, from -1 to 0 and from 0 up, got {self.gains}")


PUBLISHED = Ascent()


@dataclass(frozen=True)
class PriorOptions:
    """Options of a :class:`dlmap.DiffusionPrior`.

    Args:
        solver: name of the sampler: "edict", "bdia" or "obelm".
        num_steps: steps of the sampler from pure noise.
        precision: "float32" or "bf16", that of the network; "auto": bf16 on a GPU or CPU that computes with it. EDICT
            damps the rounding of a bf16 network, the other solvers show it in the picture.
        coupling: "float64", or "float32" for half the memory of the noise and, with a float32 network, a round trip to
            about 1e-5.
        spacing: "leading", "trailing" or "linspace"; None keeps the scheduler's own.
        strength: in (0, 1], the part of the steps that an inversion goes, from the data; at least one.
        tile: side in pixels, rounded up to a multiple of the prior's ``multiple``. Larger images are cut into
            overlapping tiles for the network and the codec. None: never. For the codec they have at most 512 pixels,
            because its decoder in float32 keeps far more of a tile than a network does.
        gradient: "checkpoint" computes every network call again in the backward pass, in memory that does not depend
            on the number of steps, and decodes images one by one, again too; "full" keeps all activations instead, a
            call costs a third less then; "auto" keeps those of as many calls as half of the free memory holds. The
            gradients are equal to rounding.
        compile: whether ``torch.compile`` makes faster code for the network, which takes minutes for every new size.
        offload: whether the network's weights stay in main memory, and visit the GPU layer by layer (accelerate): for
            networks that are larger than it. ``gradient`` is "checkpoint" then.

    Raises:
        UserError: ``coupling`` or ``gradient`` is none of the above, or ``compile`` and ``offload`` come together. The
            other options are checked where they are used.
    """

    solver: str = "edict"
    num_steps: int = 20
    precision: str = "float32"
    coupling: str = "float64"
    spacing: str | None = None
    strength: float = 1.0
    tile: int | None = TILE
    gradient: str = "auto"
    compile: bool = False
    offload: bool = False

    def __post_init__(self) -> None:
        for name, known in (("coupling", COUPLINGS), ("gradient", GRADIENTS)):
            if getattr(self, name) not in known:
                raise UserError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        if self.compile and self.offload:
            raise UserError("compile and offload do not go together: leave one of them out")
