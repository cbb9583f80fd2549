"""Diffusion-latent MAP enhancement of photographs with a no-reference quality model."""

import logging

import lazy_loader

# diffusers imports bitsandbytes if it is there; it would complain of kernels for 4-bit weights, which nothing here uses
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)

# the names are in __init__.pyi; a module is imported when one of its names is first used
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
