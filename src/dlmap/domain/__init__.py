"""What an ascent moves, one domain a file: the noise of a diffusion prior, pixels, or the gains of bands."""

from mslique import UserError

from ..options import Ascent
from ..prior import DiffusionPrior
from .bands import Bands
from .color_fix import ColorFix
from .latents import Latents, NotInverted
from .pixels import Pixels
from .protocol import Domain, repeated

__all__ = ["Bands", "ColorFix", "Domain", "Latents", "NotInverted", "Pixels", "make_domain", "repeated"]


def make_domain(prior: DiffusionPrior | None, ascent: Ascent, fixed: bool) -> Domain:
    """The domain that the options of an ascent name.

    Args:
        fixed: whether the option ``color_fix`` holds.

    Raises:
        UserError: the domain needs a prior, and there is none.
    """
    domain: Domain = Pixels()
    if ascent.domain != "pixel":
        if prior is None:
            raise UserError(f"the domain {ascent.domain} needs a prior: give one, or set ascent.domain to pixel")
        latent = ascent.domain == "latent"
        domain = Latents(prior, ascent.residual) if latent else Bands(prior, ascent.levels, ascent.gains)
    return ColorFix(domain, ascent.color_fix) if ascent.color_fix and fixed else domain
