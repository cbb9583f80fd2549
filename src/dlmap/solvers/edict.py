"""EDICT: exact diffusion inversion by two coupled DDIM sequences.

Claim: exactly invertible for any noise prediction; global order 1; 2 network calls a step; the inverse amplifies a gap
between the two sequences by p^(-2N).
Source: Wallace, Gokul, Naik, "EDICT: Exact Diffusion Inversion via Coupled Transformations" (arXiv 2211.12446),
eqs. 14 and 15 for the steps and their inverse; for a flow, u is the velocity in place of the noise [ours]. As in its
official implementation, the sequence that moves first alternates from step to step, counted from the noise; the mixing
always starts with the same one. A step is

    x <- a x + b u(y, i),  y <- a y + b u(x, i),  x <- p x + (1 - p) y,  y <- p y + (1 - p) x

and its inverse takes the four moves back in the other order (``invert`` in ``reversible.py``):

    y <- (y - (1 - p) x) / p,  x <- (x - (1 - p) y) / p,  y <- (y - b u(x, i)) / a,  x <- (x - b u(y, i)) / a.
"""

from ..schedule import Schedule
from .move import Move

MIXING_AT_50_STEPS = 0.93


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
            a, b = schedule.jump(i, i - 1)
            first = (schedule.grid_steps - i) % 2
            self.moves += [Move(first, a, noise=b, index=i), Move(1 - first, a, noise=b, index=i)]
            self.moves += [Move(0, p, 1 - p), Move(1, p, 1 - p)]
