"""Diffusion-latent MAP enhancement of photographs with a no-reference quality model."""

import logging

# diffusers imports it if it is there; it would complain of kernels for 4-bit weights, which nothing here uses
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)

from .ascent import enhance  # noqa: E402
from .objective import MAPObjective  # noqa: E402
from .options import Ascent, Enhanced  # noqa: E402
from .prior import DiffusionPrior  # noqa: E402

__all__ = ["Ascent", "DiffusionPrior", "Enhanced", "MAPObjective", "enhance"]
