"""Exactly invertible samplers, one a file."""

from collections.abc import Callable

from mslique import UserError

from ..schedule import Schedule
from .bdia import BDIA
from .belm import OBELM
from .edict import EDICT
from .move import Move, Solver
from .reversible import generate, generate_reversibly, invert

__all__ = ["SOLVERS", "Move", "Solver", "generate", "generate_reversibly", "invert", "make_solver"]

SOLVERS: dict[str, Callable[[Schedule], Solver]] = {"edict": EDICT, "bdia": BDIA, "obelm": OBELM}


def make_solver(name: str, schedule: Schedule) -> Solver:
    """The solver of that name: "edict", "bdia" or "obelm".

    Raises:
        UserError: no such solver.
    """
    if name not in SOLVERS:
        raise UserError(f"unknown solver {name!r}: choose one of {', '.join(SOLVERS)}")
    return SOLVERS[name](schedule)
