"""Exactly invertible samplers, one a file, behind one small interface."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from mslique import UserError

from ..schedule import Schedule

Denoise = Callable[[Tensor, int], Tensor]
"""(latents (B, C, h, w), grid index i) -> noise prediction eps of the same shape and dtype."""


class Solver(Protocol):
    """Maps clean latents to a noise state and back, in the dtype of what it is given (float64 for exactness)."""

    def __init__(self, schedule: Schedule) -> None: ...

    def invert(self, latents: Tensor, denoise: Denoise) -> Tensor:
        """Clean latents (B, C, h, w) -> noise state (B, S, C, h, w), S the sequences that the solver couples."""

    def generate(self, noise: Tensor, denoise: Denoise) -> Tensor:
        """Noise state (B, S, C, h, w) -> clean latents (B, K, C, h, w); the first of the K is the result."""


def make_solver(name: str, schedule: Schedule) -> Solver:
    """The solver of that name.

    Raises:
        UserError: no such solver.
    """
    from .edict import EDICT

    solvers: dict[str, type[Solver]] = {"edict": EDICT}
    if name not in solvers:
        raise UserError(f"unknown solver {name!r}: choose one of {', '.join(solvers)}")
    return solvers[name](schedule)
