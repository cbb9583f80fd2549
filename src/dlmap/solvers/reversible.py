"""The map that the moves of a sampler make, its inverse, and its gradient.

The gradient takes memory that does not depend on the number of steps: the backward pass undoes the moves and needs no
kept states (Gomez et al., "The Reversible Residual Network", 2017). It calls the network as often as a method that
recomputes from kept states. Where there is memory, the activations of the last calls can be kept. Those calls are not
computed again.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .move import Move

Denoise = Callable[[Tensor, int], Tensor]
"""(latents (B, C, h, w), grid index i) -> prediction u, noise or velocity, of the same shape and dtype."""

Pullback = Callable[[Tensor, int, Tensor], tuple[Tensor, Tensor]]
"""(latents, i, cotangent) -> u(latents, i), and the product of the cotangent with its Jacobian, as the cotangent."""


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


def _generate_in_place(state: Tensor, moves: Sequence[Move], denoise: Denoise, keep: int) -> dict[int, "_Kept"]:
    """``generate`` on the noise state itself. Large states leave no room for copies.

    Returns:
        The graphs of the last ``keep`` network calls, by the number of the move.
    """
    pair = state.unbind(dim=1)
    to_keep = [number for number, move in enumerate(moves) if move.index is not None][-keep:] if keep else []
    kept = {}
    for number, move in enumerate(moves):
        moved, other = pair[move.moved], pair[1 - move.moved]
        moved.mul_(move.own)
        if move.other:
            moved.add_(other, alpha=move.other)
        if move.index is not None:
            if number in to_keep:
                kept[number] = _Kept.of(denoise, other.clone(), move.index)
            noise = kept[number].noise.detach() if number in kept else denoise(other, move.index)
            moved.add_(noise, alpha=move.noise)
    return kept


@dataclass(frozen=True)
class _Kept:
    """A call of the network with its graph: the input, and the prediction that depends on it."""

    point: Tensor
    noise: Tensor

    @classmethod
    def of(cls, denoise: Denoise, latents: Tensor, i: int) -> "_Kept":
        with torch.enable_grad():
            point = latents.detach().requires_grad_()
            return cls(point, denoise(point, i))

    def pull(self, cotangent: Tensor) -> tuple[Tensor, Tensor]:
        """The prediction, and the product of the cotangent with its Jacobian; the graph is used up."""
        (slope,) = torch.autograd.grad(self.noise, self.point, cotangent.to(self.noise.dtype))
        return self.noise.detach(), slope.to(cotangent.dtype)


def pullback(denoise: Denoise) -> Pullback:
    """The pullback that plain autograd gives."""

    def pull(latents: Tensor, i: int, cotangent: Tensor) -> tuple[Tensor, Tensor]:
        return _Kept.of(denoise, latents, i).pull(cotangent)

    return pull


def first_derivative(backward: Callable[..., Any]) -> Callable[..., Any]:
    """A backward pass that refuses ``create_graph=True``, because its result does not depend on the input for autograd.

    ``torch.autograd.function.once_differentiable`` does not do: it lets second derivatives pass, which are wrong, where
    the cotangent is a constant, as that of a sum is.
    """

    @functools.wraps(backward)
    def guarded(ctx: Any, *gradients: Tensor) -> Any:
        if torch.is_grad_enabled():
            raise RuntimeError("there are first derivatives only: leave out create_graph=True")
        return backward(ctx, *gradients)

    return guarded


def generate_reversibly(
    noise: Tensor,
    moves: Sequence[Move],
    denoise: Denoise,
    pull: Pullback | None = None,
    gradient: torch.dtype | None = None,
    keep: int = 0,
) -> Tensor:
    """As ``generate``. Autograd keeps the final pair only, and the activations of ``keep`` network calls.

    Args:
        pull: the pullback of ``denoise``; None: autograd's.
        gradient: the precision in which the gradient goes from move to move; None: that of ``noise``.
        keep: of how many network calls, counted from the data, the activations are kept.

    Raises:
        RuntimeError: in the backward pass, with ``create_graph=True``: there is no second derivative.
    """
    keep = keep if torch.is_grad_enabled() and noise.requires_grad else 0
    result: Tensor = _Reversible.apply(noise, moves, denoise, pull or pullback(denoise), gradient or noise.dtype, keep)
    return result


class _Reversible(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        noise: Tensor,
        moves: Sequence[Move],
        denoise: Denoise,
        pull: Pullback,
        gradient: torch.dtype,
        keep: int,
    ) -> Tensor:
        ctx.moves, ctx.pull, ctx.gradient = moves, pull, gradient
        final = noise.clone()
        ctx.kept = _generate_in_place(final, moves, denoise, keep)
        ctx.save_for_backward(final)
        return final

    @staticmethod
    @first_derivative
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (final,) = ctx.saved_tensors
        pair = final.clone().unbind(dim=1)
        slopes = gradients[0].to(ctx.gradient, copy=True)
        slope = slopes.unbind(dim=1)
        for number, move in reversed(list(enumerate(ctx.moves))):
            own, other = slope[move.moved], slope[1 - move.moved]
            prediction = None
            if move.index is not None:
                kept = ctx.kept.pop(number, None)
                prediction, through = kept.pull(own) if kept else ctx.pull(pair[1 - move.moved], move.index, own)
                other.add_(through, alpha=move.noise)
                del through
            _undo(move, pair, prediction)
            other.add_(own, alpha=move.other)
            own.mul_(move.own)
        return slopes, None, None, None, None, None, None


def _undo(move: Move, pair: Sequence[Tensor], prediction: Tensor | None) -> None:
    """Take the move back in place, given the prediction that it used. Large states leave no room for copies."""
    moved = pair[move.moved]
    if move.other:
        moved.sub_(pair[1 - move.moved], alpha=move.other)
    if prediction is not None:
        moved.sub_(prediction, alpha=move.noise)
    moved.div_(move.own)
