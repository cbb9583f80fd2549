"""The networks of diffusers that can be a prior, one family a file."""

from typing import Any

from mslique import UserError

from .flux import Flux
from .network import Network
from .pixart import PixArt
from .sd3 import SD3
from .sdxl import SDXL
from .unet import StableDiffusion, UNet

__all__ = ["FAMILIES", "Network", "make_network"]

FAMILIES: list[type[Network]] = [UNet, StableDiffusion, SDXL, SD3, Flux, PixArt]
"""Asked in this order which of them a model fits; a family of your own can be added."""


def make_network(model: Any, factor: int = 8) -> Network:
    """The network behind the one call that all families share.

    Args:
        model: a network of diffusers, or what this function made of one.
        factor: pixels along a latent.

    Raises:
        UserError: no family knows the model, or it needs further inputs.
    """
    if isinstance(model, Network):
        return model
    for family in FAMILIES:
        if family.fits(model):
            return family(model, factor)
    raise UserError(
        f"{type(model).__name__} is no network that can be a prior: use Stable Diffusion 1.x, 2.x, XL or 3.x, FLUX.1,"
        " PixArt, or an unconditional UNet2DModel"
    )
