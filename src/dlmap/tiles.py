"""A function or a score of a whole image, computed tile by tile in the memory of one tile.

The tiles of a function overlap. Smooth windows, which sum to one everywhere, blend their results. The places of the
tiles depend on the size of the image only. So the blend is one more noise prediction, and a sampler stays exactly
invertible with it.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .solvers.reversible import first_derivative, pullback

Function = Callable[[Tensor], Tensor]
"""(B, C, a h, a w) -> (B, D, b h, b w), a and b those of a ``Tiling``."""
Score = Callable[[Tensor], Tensor]
"""(B, C, h, w) -> (B,)"""

OVERLAP = 8
"""Tiles overlap by an eighth of their side, or somewhat more so that all have the same size [ours]."""


@dataclass(frozen=True)
class Tiling:
    """How images are cut. Lengths are in cells, the smallest unit that a tile may be moved by.

    Args:
        side: of a tile; longer images are cut.
        inputs: pixels of the function's input along one cell (a).
        outputs: pixels of its output along one cell (b).
        alone: every tile is of one image.
    """

    side: int
    inputs: int
    outputs: int
    alone: bool = False

    def is_whole(self, x: Tensor) -> bool:
        """Whether the input (B, C, H, W) fits in one tile."""
        return max(x.shape[-2:]) <= self.side * self.inputs and not (self.alone and len(x) > 1)

    def tiles(self, x: Tensor) -> Iterator[tuple[Any, Any, Tensor]]:
        """Indices into the input (B, C, H, W), indices into the output, and the window of the output, of every tile."""
        rows, columns = (self._axis(length // self.inputs, x.device) for length in x.shape[-2:])
        images = [(slice(k, k + 1),) for k in range(len(x))] if self.alone else [()]
        for some, (top, height, vertical), (left, width, horizontal) in product(images, rows, columns):
            spans = [
                (*some, ..., slice(top * unit, (top + height) * unit), slice(left * unit, (left + width) * unit))
                for unit in (self.inputs, self.outputs)
            ]
            yield spans[0], spans[1], vertical[:, None] * horizontal

    def _axis(self, length: int, device: torch.device) -> list[tuple[int, int, Tensor]]:
        """First cell, length in cells and window, float32 at the pixels of the output, of every tile along an axis."""
        side = min(self.side, length)
        overlap = max(side // OVERLAP, 1)
        count = 1 + math.ceil((length - side) / max(side - overlap, 1))  # an axis may be one cell long
        firsts = _spread(length, side, count)
        centres = torch.arange(length * self.outputs, dtype=torch.float64).add(0.5) / self.outputs
        raised = [_raised(centres, first, side, overlap) for first in firsts]
        total = torch.stack(raised).sum(0)
        spans = [slice(first * self.outputs, (first + side) * self.outputs) for first in firsts]
        windows = [(hill / total)[span].float().to(device) for hill, span in zip(raised, spans, strict=True)]
        return [(first, side, window) for first, window in zip(firsts, windows, strict=True)]


def pad(images: Tensor, multiple: int) -> Tensor:
    """Extend (B, 3, H, W) at the right and bottom to the next multiple: by reflection, if too small by its edge."""
    height, width = images.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    mode = "reflect" if bottom < height and right < width else "replicate"
    return F.pad(images, (0, right, 0, bottom), mode=mode)


def _spread(length: int, side: int, count: int) -> list[int]:
    """Where ``count`` spans of ``side`` start that go evenly from one end of ``length`` to the other."""
    return [round(k * (length - side) / max(count - 1, 1)) for k in range(count)]


def _raised(centres: Tensor, first: int, side: int, ramp: int) -> Tensor:
    """A window that rises and falls as sin^2 within ``ramp`` of its ends, and is 0 beyond them."""
    inside = torch.minimum(centres - first, first + side - centres)
    return (inside / ramp).clamp(0, 1).mul(math.pi / 2).sin().square()


def blended(function: Function, x: Tensor, tiling: Tiling) -> Tensor:
    """function(x), from the tiles where x is larger than one. Differentiable: a backward pass computes the tiles again.
    With ``create_graph=True`` it raises a RuntimeError.

    Args:
        x: (B, C, H, W), sides multiples of ``tiling.inputs``.
    """
    if tiling.is_whole(x):
        return function(x)
    result: Tensor = _Blend.apply(x, function, tiling)
    return result


def blended_pullback(function: Function, x: Tensor, cotangent: Tensor, tiling: Tiling) -> tuple[Tensor, Tensor]:
    """``blended``, and the product of the cotangent with its Jacobian, in the cotangent's precision.

    The activations of one tile at a time are kept.
    """
    pull = pullback(lambda tile, _: function(tile))
    if tiling.is_whole(x):
        return pull(x, 0, cotangent)
    result, slope = torch.zeros_like(cotangent, dtype=x.dtype), torch.zeros_like(x, dtype=cotangent.dtype)
    for source, target, window in tiling.tiles(x):
        part, through = pull(x[source], 0, window * cotangent[target])
        result[target].addcmul_(part, window.to(part.dtype))
        slope[source].add_(through)
    return result, slope


class _Blend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, function: Function, tiling: Tiling) -> Tensor:
        ctx.save_for_backward(x)
        ctx.function, ctx.tiling = function, tiling
        result: Tensor | None = None
        for source, target, window in tiling.tiles(x):
            part = function(x[source])
            if result is None:
                height, width = (side // tiling.inputs * tiling.outputs for side in x.shape[-2:])
                result = part.new_zeros(len(x), part.shape[1], height, width)
            result[target].addcmul_(part, window.to(part.dtype))
        if result is None:
            raise ValueError(f"an image of size {tuple(x.shape)} has no tile")
        return result

    @staticmethod
    @first_derivative
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return blended_pullback(ctx.function, x, gradients[0], ctx.tiling)[1], None, None


def mean_over_pieces(score: Score, images: Tensor, side: int, most: int | None = None) -> Tensor:
    """Mean of ``score`` over pieces of ``side`` x ``side`` pixels (less where the image is smaller).

    They are spread evenly from edge to edge and overlap where the sides are no multiples of ``side``. A backward pass
    computes the pieces again, one at a time. With ``create_graph=True`` it raises a RuntimeError.

    Args:
        images: (B, C, H, W).
        most: no more than this number of pieces; they have gaps between them where the image would need more.

    Returns:
        (B,)
    """
    result: Tensor = _MeanOverPieces.apply(images, score, _places(images.shape[-2:], side, most))
    return result


def _places(size: torch.Size, side: int, most: int | None) -> list[Any]:
    """Indices of the pieces into (..., H, W)."""
    counts = [math.ceil(length / side) for length in size]
    if most is not None and math.prod(counts) > most:
        rows = max(1, min(most, round(math.sqrt(most * counts[0] / counts[1]))))
        counts = [min(rows, counts[0]), min(most // rows, counts[1])]
    spans = (_spans(length, min(side, length), count) for length, count in zip(size, counts, strict=True))
    return [(..., *pair) for pair in product(*spans)]


def _spans(length: int, side: int, count: int) -> list[slice]:
    return [slice(first, first + side) for first in _spread(length, side, count)]


class _MeanOverPieces(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, score: Score, places: list[Any]) -> Tensor:
        ctx.save_for_backward(images)
        ctx.score, ctx.places = score, places
        return torch.stack([score(images[place]) for place in places]).mean(dim=0)

    @staticmethod
    @first_derivative
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (images,) = ctx.saved_tensors
        total, pull = torch.zeros_like(images), pullback(lambda piece, _: ctx.score(piece))
        for place in ctx.places:
            total[place] += pull(images[place], 0, gradients[0] / len(ctx.places))[1]
        return total, None, None
