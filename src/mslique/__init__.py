"""A differentiable no-reference image quality model in the style of MS-LIQE."""

import lazy_loader

# the names are in __init__.pyi; a module is imported when one of its names is first used
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
