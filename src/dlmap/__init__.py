"""Diffusion-latent MAP enhancement of photographs with a no-reference quality model."""

from .ascent import Ascent, Enhanced, enhance
from .objective import MAPObjective
from .prior import DiffusionPrior

__all__ = ["Ascent", "DiffusionPrior", "Enhanced", "MAPObjective", "enhance"]
