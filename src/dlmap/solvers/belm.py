"""O-BELM: the optimal variable-stepsize, variable-formula bidirectional explicit linear multistep sampler.

Claim: exactly invertible for any noise prediction; global order 2; one network call a step. Its coefficients make the
local error the smallest among samplers of this form, and damp the gap between neighbours on the way to the data; the
inverse amplifies it by the reciprocal: about 2 with trailing spacing, 505 at 20 steps with Stable Diffusion's leading
spacing, whose first step (timestep 1 to the data) is tiny beside the next.
Source: Wang et al., "BELM: Bidirectional Explicit Linear Multi-step Sampler for Exact Inversion in Diffusion Models"
(NeurIPS 2024, arXiv 2410.07273), the O-BELM update, with h_i = sigma_i / alpha_i - sigma_{i-1} / alpha_{i-1}.
"""

import math
import warnings

from ..schedule import Schedule
from .move import Move
from .two_step import TwoStep

TAME = 100.0


class OBELM(TwoStep):
    """x_{i-1} = (h_i^2 / h_{i+1}^2) (alpha_{i-1} / alpha_{i+1}) x_{i+1}
    + (1 - h_i^2 / h_{i+1}^2) (alpha_{i-1} / alpha_i) x_i - h_i (1 + h_i / h_{i+1}) alpha_{i-1} eps(x_i).

    This solves d(x / alpha) / d(sigma / alpha) = eps. A flow is dx / ds = v: 1 takes the place of alpha, s that of
    sigma / alpha, and v that of eps [ours].
    """

    def __init__(self, schedule: Schedule) -> None:
        super().__init__(schedule)
        growth = 1 / math.prod(move.own for move in self.moves)
        if growth > TAME:
            warnings.warn(
                f"on this time grid the inverse of O-BELM amplifies errors of the network by {growth:.0f}:"
                " choose spacing: trailing",
                stacklevel=3,
            )

    def step(self, schedule: Schedule, i: int) -> Move:
        to, here, back = (schedule.point(k) for k in (i - 1, i, i + 1))
        h, h_next = here.time - to.time, back.time - here.time
        share = (h / h_next) ** 2
        own, other = share * to.scale / back.scale, (1 - share) * to.scale / here.scale
        return Move((i - 1) % 2, own, other, -h * (1 + h / h_next) * to.scale, i)
