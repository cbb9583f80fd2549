"""A score of a large image: the mean of the scores of pieces that cover it, in the memory of one piece."""

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import torch
from torch import Tensor

from .solvers.reversible import first_derivative, pullback
from .tiles import spread

Score = Callable[[Tensor], Tensor]
"""(B, C, h, w) -> (B,)"""


def mean_over_pieces(score: Score, images: Tensor, side: int) -> Tensor:
    """Mean of ``score`` over pieces of ``side`` x ``side`` pixels (less where the image is smaller).

    They are spread evenly from edge to edge and overlap where the sides are no multiples of ``side``. A backward pass
    computes the pieces again, one at a time. With ``create_graph=True`` it raises a RuntimeError.

    Args:
        images: (B, C, H, W).

    Returns:
        (B,)
    """
    result: Tensor = _Mean.apply(images, score, _places(images.shape[-2:], side))
    return result


def _places(size: torch.Size, side: int) -> list[Any]:
    """Indices of the pieces into (..., H, W)."""
    return [(..., *spans) for spans in product(*(_spans(length, min(side, length)) for length in size))]


def _spans(length: int, side: int) -> list[slice]:
    return [slice(first, first + side) for first in spread(length, side, math.ceil(length / side))]


class _Mean(torch.autograd.Function):
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
