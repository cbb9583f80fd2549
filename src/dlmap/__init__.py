"""Diffusion-latent MAP enhancement of photographs with a no-reference quality model."""

from .ascent import enhance
from .objective import MAPObjective
from .options import Ascent, Enhanced
from .prior import DiffusionPrior

__all__ = ["Ascent", "DiffusionPrior", "Enhanced", "MAPObjective", "enhance"]
