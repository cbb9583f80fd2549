"""EDICT: exact diffusion inversion by two coupled DDIM sequences.

Claim: exactly invertible for any noise prediction; global order 1; 2 network calls a step; the inverse amplifies a gap
between the two sequences by p^(-2N).
Source: Wallace, Gokul, Naik, "EDICT: Exact Diffusion Inversion via Coupled Transformations" (arXiv 2211.12446),
eqs. 14 and 15 for the steps and their inverse. As in its official implementation, the sequence that moves first
alternates from step to step, counted from the noise; the mixing always starts with the same one. A step is

    x <- a x + b eps(y, i),  y <- a y + b eps(x, i),  x <- p x + (1 - p) y,  y <- p y + (1 - p) x

and its inverse takes the four moves back in the other order (``invert`` in ``reversible.py``):

    y <- (y - (1 - p) x) / p,  x <- (x - (1 - p) y) / p,  y <- (y - b eps(x, i)) / a,  x <- (x - b eps(y, i)) / a.

Of a flow [ours], the noise is eps(y) = y + alpha v(y). Near s = 1, where a grows without bound, a step is Euler's,
x <- x + (s' - s) v(y). With Euler's steps everywhere the inversion is as exact, but the noise that it finds is 60 times
as far from the true flow's (5.7 in place of 0.09 for unit Gaussian data, 20 steps, the grid of Stable Diffusion 3).
"""

from ..schedule import Schedule
from .move import Move

MIXING_AT_50_STEPS = 0.93
LEAST_SIGNAL = 0.1
"""alpha below which a step of a flow is Euler's [ours]; without it the method does not converge."""


class EDICT:
    """EDICT on a schedule; the mixing weight p = 0.93^(50/N) keeps the total mixing of N steps constant.

    Of a partial schedule N are the steps of the whole, so that a step does the same in both.
    """

    images = 2
    start: tuple[Move, ...] = ()

    def __init__(self, schedule: Schedule) -> None:
        self.mixing = p = MIXING_AT_50_STEPS ** (50 / schedule.grid_steps)
        self.moves: list[Move] = []
        for i in range(schedule.num_steps, 0, -1):
            own, other, noise = _shares(schedule, i)
            first = (schedule.grid_steps - i) % 2
            self.moves += [Move(moved, own, other, noise, i) for moved in (first, 1 - first)]
            self.moves += [Move(0, p, 1 - p), Move(1, p, 1 - p)]


def _shares(schedule: Schedule, i: int) -> tuple[float, float, float]:
    """A step's shares of the sequence itself, of the other one, and of the network's u at the other one."""
    here, there = schedule.point(i), schedule.point(i - 1)
    if not here.flow or here.alpha < LEAST_SIGNAL:
        a, b = schedule.jump(i, i - 1)
        return a, 0.0, b
    a = there.alpha / here.alpha
    b = there.sigma - a * here.sigma
    return a, b, b * here.alpha
