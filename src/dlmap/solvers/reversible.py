"""What follows from the moves of a sampler alone: the map, its inverse, and the gradient of the map.

The gradient takes memory that does not depend on the number of steps: the backward pass undoes the moves instead of
having kept their states (Gomez et al., "The Reversible Residual Network", 2017). It calls the network as often as
recomputing from kept states would.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .move import Move

Denoise = Callable[[Tensor, int], Tensor]
"""(latents (B, C, h, w), grid index i) -> noise prediction eps of the same shape and dtype."""

Pullback = Callable[[Tensor, int, Tensor], tuple[Tensor, Tensor]]
"""(latents, i, cotangent) -> eps(latents, i), and the product of the cotangent with its Jacobian, as the cotangent."""


def invert(latents: Tensor, moves: Sequence[Move], denoise: Denoise) -> Tensor:
    """Clean latents (B, C, h, w), which start both sequences -> noise state (B, 2, C, h, w); not differentiable."""
    state = torch.stack([latents, latents], dim=1).detach()
    pair = state.unbind(dim=1)
    for move in reversed(moves):
        _undo(move, pair, None if move.index is None else denoise(pair[1 - move.moved], move.index))
    return state


def generate(noise: Tensor, moves: Sequence[Move], denoise: Denoise) -> Tensor:
    """Noise state (B, 2, C, h, w) -> final pair (B, 2, C, h, w); under autograd every activation is kept."""
    pair = list(noise.unbind(dim=1))
    for move in moves:
        other = pair[1 - move.moved]
        moved = move.own * pair[move.moved]
        if move.other:
            moved = moved + move.other * other
        if move.index is not None:
            moved = moved + move.noise * denoise(other, move.index)
        pair[move.moved] = moved
    return torch.stack(pair, dim=1)


def _generate_in_place(state: Tensor, moves: Sequence[Move], denoise: Denoise) -> None:
    """``generate`` on the noise state itself: large ones leave no room for copies."""
    pair = state.unbind(dim=1)
    for move in moves:
        moved, other = pair[move.moved], pair[1 - move.moved]
        moved.mul_(move.own)
        if move.other:
            moved.add_(other, alpha=move.other)
        if move.index is not None:
            moved.add_(denoise(other, move.index), alpha=move.noise)


def pullback(denoise: Denoise) -> Pullback:
    """The pullback that plain autograd gives."""

    def pull(latents: Tensor, i: int, cotangent: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            point = latents.detach().requires_grad_()
            noise = denoise(point, i)
        return noise.detach(), torch.autograd.grad(noise, point, cotangent.to(noise.dtype))[0].to(cotangent.dtype)

    return pull


def generate_reversibly(
    noise: Tensor,
    moves: Sequence[Move],
    denoise: Denoise,
    pull: Pullback | None = None,
    gradient: torch.dtype | None = None,
) -> Tensor:
    """As ``generate``, but under autograd only the final pair is kept.

    Args:
        pull: the pullback of ``denoise``, if there is a better one than autograd's.
        gradient: in which the gradient is carried from move to move; None: that of ``noise``.
    """
    result: Tensor = _Reversible.apply(noise, moves, denoise, pull or pullback(denoise), gradient or noise.dtype)
    return result


class _Reversible(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, noise: Tensor, moves: Sequence[Move], denoise: Denoise, pull: Pullback, gradient: torch.dtype
    ) -> Tensor:
        ctx.moves, ctx.pull, ctx.gradient = moves, pull, gradient
        final = noise.clone()
        _generate_in_place(final, moves, denoise)
        ctx.save_for_backward(final)
        return final

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        (final,) = ctx.saved_tensors
        pair = final.clone().unbind(dim=1)
        slopes = gradients[0].to(ctx.gradient, copy=True)
        slope = slopes.unbind(dim=1)
        for move in reversed(ctx.moves):
            own, other = slope[move.moved], slope[1 - move.moved]
            prediction = None
            if move.index is not None:
                prediction, through = ctx.pull(pair[1 - move.moved], move.index, own)
                other.add_(through, alpha=move.noise)
                del through
            _undo(move, pair, prediction)
            other.add_(own, alpha=move.other)
            own.mul_(move.own)
        return slopes, None, None, None, None


def _undo(move: Move, pair: Sequence[Tensor], prediction: Tensor | None) -> None:
    """Take the move back in place, given the prediction that it used: large states leave no room for copies."""
    moved = pair[move.moved]
    if move.other:
        moved.sub_(pair[1 - move.moved], alpha=move.other)
    if prediction is not None:
        moved.sub_(prediction, alpha=move.noise)
    moved.div_(move.own)
