"""A time grid from data to noise, in float64, and the exact step between two of its points.

At a time the network sees x = alpha x0 + sigma n, where x0 is the data and n is noise. It predicts u, and the sampler
solves an ordinary differential equation

    d(x / scale) / d time = u.

| family | alpha, sigma | u | scale | time |
|---|---|---|---|---|
| DDPM (Ho et al. 2020; Song et al. 2021, eq. 14) | sqrt(abar), sqrt(1 - abar) | noise, n | alpha | sigma / alpha |
| flow (Liu et al. 2023; Lipman et al. 2023) | 1 - s, s | velocity, n - x0 | 1 | s |

With this u a flow has no singular coefficient at s = 1, where alpha is 0 [ours: prediction of the noise would divide
by alpha].
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from mslique import UserError


@dataclass(frozen=True)
class Point:
    """A place on the schedule: what the network is told, and the shares of signal and noise there."""

    timestep: float
    alpha: float
    sigma: float
    flow: bool = False

    @property
    def scale(self) -> float:
        return 1.0 if self.flow else self.alpha

    @property
    def time(self) -> float:
        return self.sigma if self.flow else self.sigma / self.alpha


@dataclass(frozen=True)
class Schedule:
    """alphas and sigmas have N + 1 entries, from data (index 0) to noise (index N); timesteps has N, ascending.

    Args:
        timesteps: what the network is told at grid index i = 1..N; whole numbers in the DDPM family.
        prediction_type: what the network gives: "epsilon", "v_prediction" or "sample"; "flow_prediction" of a flow.
        grid_steps: N, or more for the low-noise part of a longer grid.
        levels: sigma / alpha of all training timesteps, ascending, in units of the data; empty for a flow, which knows
            every level.
        flow: the family.
        train_timesteps: what a flow's network is told at s = 1.
    """

    timesteps: tuple[float, ...]
    alphas: tuple[float, ...]
    sigmas: tuple[float, ...]
    prediction_type: str
    grid_steps: int
    levels: tuple[float, ...]
    flow: bool = False
    train_timesteps: int = 1000

    @property
    def num_steps(self) -> int:
        return len(self.timesteps)

    def point(self, i: int) -> Point:
        """Grid index ``i`` in 0..N; the network is told nothing at 0."""
        return Point(self.timesteps[i - 1] if i else math.nan, self.alphas[i], self.sigmas[i], self.flow)

    def at_level(self, level: float) -> Point:
        """Where sigma / alpha is ``level``.

        In the DDPM family this is between the trained timesteps, in proportion to the logarithm of the level [ours].

        Raises:
            UserError: the model was not trained at such a level.
        """
        if self.flow:
            if not 0 < level < math.inf:
                raise UserError(f"the noise level must be positive, got {level:.4g}")
            s = level / (1 + level)
            return Point(self.train_timesteps * s, 1 - s, s, flow=True)
        lowest, highest = self.levels[0], self.levels[-1]
        if not lowest <= level <= highest:
            raise UserError(f"this prior knows noise levels from {lowest:.4g} to {highest:.4g}, got {level:.4g}")
        timestep = float(np.interp(math.log(level), np.log(self.levels), range(len(self.levels))))
        alpha = 1 / math.hypot(1, level)
        return Point(timestep, alpha, level * alpha)

    def jump(self, i: int, j: int) -> tuple[float, float]:
        """(a, b) of the step from grid index i to j with u as it is at i: x <- a x + b u.

        For DDPM this is DDIM's step (Song et al. 2021, eq. 12 with eta = 0), for a flow it is Euler's.
        """
        here, there = self.point(i), self.point(j)
        a = there.scale / here.scale
        return a, there.sigma - a * here.sigma

    def partial(self, strength: float) -> "Schedule":
        """The part from the data to a noise level: the first round(strength * N) steps, at least one.

        Raises:
            UserError: strength is not in (0, 1].
        """
        if not 0 < strength <= 1:
            raise UserError(f"strength must be above 0 and at most 1, got {strength}")
        n = max(1, round(strength * self.num_steps))
        return replace(self, timesteps=self.timesteps[:n], alphas=self.alphas[: n + 1], sigmas=self.sigmas[: n + 1])
