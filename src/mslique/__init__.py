"""MS-LIQE: multi-scale CLIP-based no-reference image quality."""

from .errors import UserError
from .images import list_images, read_image

__all__ = ["UserError", "list_images", "read_image"]
