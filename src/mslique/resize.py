"""Windows of a resized image; the rest of the image is not resized.

Bicubic resizing is linear and separable: output row i mixes a few input rows around (i + 1/2) / factor - 1/2. A window
of the resized image is therefore two small matrix products with the input rows and columns that it needs. Its cost does
not depend on the size of the image. The kernel (Keys 1981) and the borders are those of
``torch.nn.functional.interpolate(images, scale_factor=factor, mode="bicubic")``.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor


def resized_window(
    images: Tensor, factor: float, top: int, left: int, height: int, width: int, antialias: bool
) -> Tensor:
    """Rows ``top`` to ``top + height``, columns ``left`` to ``left + width`` of the images resized by ``factor``.

    Args:
        images: (B, C, H, W) of any range; differentiable.

    Returns:
        (B, C, height, width)
    """
    first_row, rows = bicubic_weights(top, height, factor, images.shape[-2], antialias)
    first_column, columns = bicubic_weights(left, width, factor, images.shape[-1], antialias)
    source = images[..., first_row : first_row + rows.shape[1], first_column : first_column + columns.shape[1]]
    return rows.to(images) @ source @ columns.to(images).T


@lru_cache(maxsize=256)
def bicubic_weights(first: int, count: int, factor: float, length: int, antialias: bool) -> tuple[int, Tensor]:
    """Weights of the inputs in outputs ``first`` to ``first + count`` of a line of ``length`` inputs.

    Outside the line, its end is repeated. With ``antialias`` the kernel is wider by 1 / factor in downsampling, and it
    is cut off and normalised at the end of the line.

    Returns:
        The index of the first input in use, and weights (count, inputs) float64 from that input on.
    """
    stretch = max(1 / factor, 1.0) if antialias else 1.0
    centers = (torch.arange(first, first + count, dtype=torch.float64) + 0.5) / factor - 0.5
    lowest, highest = (math.floor(float(centers[0]) - 2 * stretch), math.ceil(float(centers[-1]) + 2 * stretch))
    positions = torch.arange(lowest, highest + 1)
    weights = _cubic((positions - centers[:, None]) / stretch, -0.5 if antialias else -0.75)
    inside = positions.clamp(0, length - 1)
    if antialias:
        weights = weights * (positions == inside)
        weights = weights / weights.sum(dim=1, keepdim=True)
    start = int(inside[0])
    folded = weights.new_zeros(count, int(inside[-1]) - start + 1)
    return start, folded.index_add_(1, inside - start, weights)


def _cubic(distance: Tensor, a: float) -> Tensor:
    """Keys' kernel: piecewise cubic, 1 at 0, 0 at the other integers and beyond 2."""
    x = distance.abs()
    near = ((a + 2) * x - (a + 3)) * x**2 + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return torch.where(x <= 1, near, torch.where(x < 2, far, 0.0))
