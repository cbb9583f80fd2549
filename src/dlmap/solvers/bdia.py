"""BDIA: exact diffusion inversion by bi-directional integration approximation, with gamma = 1.

Claim: exactly invertible for any noise prediction; global order 2; one network call a step. It is a leapfrog: the
parasitic solution, which alternates from step to step, is neither damped nor amplified by the coefficients.
Source: Zhang, Lewis, Kleijn, "Exact Diffusion Inversion via Bi-directional Integration Approximation"
(arXiv 2307.10829), the update of BDIA-DDIM with gamma = 1. A smaller gamma divides by gamma at every step of the
inverse, which blows up.
"""

from ..schedule import Schedule
from .move import Move
from .two_step import TwoStep


class BDIA(TwoStep):
    """x_{i-1} = x_{i+1} - [alpha_{i+1} xhat + sigma_{i+1} eps] + [alpha_{i-1} xhat + sigma_{i-1} eps] at x_i.

    The brackets are the steps from x_i to both neighbours. For a flow they are x_i + (s_{i+-1} - s_i) v [ours].
    """

    def step(self, schedule: Schedule, i: int) -> Move:
        (a, b), (a_back, b_back) = schedule.jump(i, i - 1), schedule.jump(i, i + 1)
        return Move((i - 1) % 2, 1.0, a - a_back, b - b_back, i)
