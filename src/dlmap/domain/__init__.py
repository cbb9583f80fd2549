"""What an ascent moves, one domain a file: the noise of a diffusion prior, pixels, or the gains of bands."""

from collections.abc import Callable

from mslique import UserError

from ..options import Ascent
from ..prior import DiffusionPrior
from .bands import Bands
from .color_fix import ColorFix
from .latents import Latents, NotInverted
from .pixels import Pixels
from .protocol import Domain, repeated

__all__ = ["DOMAINS", "Bands", "ColorFix", "Domain", "Latents", "NotInverted", "Pixels", "make_domain", "repeated"]


Maker = Callable[[DiffusionPrior | None, Ascent], Domain]

DOMAINS: dict[str, Maker] = {
    "latent": lambda prior, ascent: Latents(_needed(prior, ascent), ascent.residual),
    "pixel": lambda prior, ascent: Pixels(),
    "bands": lambda prior, ascent: Bands(_needed(prior, ascent), ascent.levels, ascent.gains, ascent.unsharp),
}
"""By the names that ``Ascent.domain`` takes; a domain of your own can be added."""


def make_domain(prior: DiffusionPrior | None, ascent: Ascent, fixed: bool = True) -> Domain:
    """The domain that the options of an ascent name.

    Args:
        fixed: whether the option ``color_fix`` holds.

    Raises:
        UserError: there is no such domain, or it needs a prior and there is none.
    """
    if ascent.domain not in DOMAINS:
        raise UserError(f"ascent.domain must be one of {', '.join(DOMAINS)}, got {ascent.domain!r}")
    domain = DOMAINS[ascent.domain](prior, ascent)
    return ColorFix(domain, ascent.color_fix) if ascent.color_fix and fixed else domain


def _needed(prior: DiffusionPrior | None, ascent: Ascent) -> DiffusionPrior:
    if prior is None:
        raise UserError(f"the domain {ascent.domain} needs a prior: give one, or set ascent.domain to pixel")
    return prior
