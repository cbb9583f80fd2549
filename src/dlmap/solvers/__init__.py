"""Exactly invertible samplers, one a file: each is a list of moves on a pair of latent sequences.

A move changes one sequence of the pair by an amount that the other one decides,

    moved <- own * moved + other * other sequence + noise * eps(other sequence, i),

so that it can be undone whatever eps is. From the list alone follow the map, its inverse, and the gradient of the map
in memory that does not depend on the number of steps: the backward pass undoes the moves instead of having kept their
states (Gomez et al., "The Reversible Residual Network", 2017). It calls the network as often as recomputing from kept
states would.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from mslique import UserError

from ..schedule import Schedule

Denoise = Callable[[Tensor, int], Tensor]
"""(latents (B, C, h, w), grid index i) -> noise prediction eps of the same shape and dtype."""


@dataclass(frozen=True)
class Move:
    """One move of sequence ``moved`` (0 or 1); ``own`` is not 0. Without a grid ``index`` it calls no network."""

    moved: int
    own: float
    other: float = 0.0
    noise: float = 0.0
    index: int | None = None


class Solver(Protocol):
    """The moves from noise to data, and which sequences of the final pair are images (the first is the result)."""

    @property
    def moves(self) -> Sequence[Move]: ...

    @property
    def images(self) -> int: ...


def make_solver(name: str, schedule: Schedule) -> Solver:
    """The solver of that name.

    Raises:
        UserError: no such solver.
    """
    from .edict import EDICT

    solvers: dict[str, Callable[[Schedule], Solver]] = {"edict": EDICT}
    if name not in solvers:
        raise UserError(f"unknown solver {name!r}: choose one of {', '.join(solvers)}")
    return solvers[name](schedule)


def invert(latents: Tensor, moves: Sequence[Move], denoise: Denoise) -> Tensor:
    """Clean latents (B, C, h, w), which start both sequences -> noise state (B, 2, C, h, w)."""
    pair = [latents, latents]
    for move in reversed(moves):
        pair[move.moved] = _undone(move, pair, _prediction(move, pair, denoise))
    return torch.stack(pair, dim=1)


def generate(noise: Tensor, moves: Sequence[Move], denoise: Denoise) -> Tensor:
    """Noise state (B, 2, C, h, w) -> clean pair (B, 2, C, h, w); under autograd every activation is kept."""
    pair = list(noise.unbind(dim=1))
    for move in moves:
        own, other = pair[move.moved], pair[1 - move.moved]
        pair[move.moved] = move.own * own + move.other * other + move.noise * _prediction(move, pair, denoise)
    return torch.stack(pair, dim=1)


def generate_reversibly(noise: Tensor, moves: Sequence[Move], denoise: Denoise) -> Tensor:
    """As ``generate``, but under autograd only the clean pair is kept."""
    result: Tensor = _Reversible.apply(noise, moves, denoise)
    return result


class _Reversible(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, noise: Tensor, moves: Sequence[Move], denoise: Denoise) -> Tensor:
        ctx.moves, ctx.denoise = moves, denoise
        clean = generate(noise, moves, denoise)
        ctx.save_for_backward(clean)
        return clean

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (clean,) = ctx.saved_tensors
        pair, slope = list(clean.unbind(dim=1)), list(gradients[0].unbind(dim=1))
        for move in reversed(ctx.moves):
            own, other = move.moved, 1 - move.moved
            prediction: Tensor | float = 0.0
            through = move.other * slope[own]
            if move.index is not None:
                with torch.enable_grad():
                    point = pair[other].detach().requires_grad_()
                    kept = ctx.denoise(point, move.index)
                through = through + torch.autograd.grad(kept, point, move.noise * slope[own])[0]
                prediction = kept.detach()
            pair[own] = _undone(move, pair, prediction)
            slope[other] = slope[other] + through
            slope[own] = move.own * slope[own]
        return torch.stack(slope, dim=1), None, None


def _prediction(move: Move, pair: list[Tensor], denoise: Denoise) -> Tensor | float:
    return 0.0 if move.index is None else denoise(pair[1 - move.moved], move.index)


def _undone(move: Move, pair: list[Tensor], prediction: Tensor | float) -> Tensor:
    return (pair[move.moved] - move.other * pair[1 - move.moved] - move.noise * prediction) / move.own
