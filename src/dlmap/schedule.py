"""The noise schedule of a diffusion model on a time grid, in float64.

| here | paper | meaning |
|---|---|---|
| alphas[i] | alpha_i = sqrt(abar_i) | share of the signal |
| sigmas[i] | sigma_i = sqrt(1 - abar_i) | standard deviation of the noise |
| timesteps[i - 1] | t_i | what the network is told at grid index i = 1..N |
| levels[t] | sigma_t / alpha_t | noise level of training timestep t, in units of the data |

Index 0 is the data, index N the noise.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, SchedulerMixin

from mslique import UserError

OTHER_SIGMAS = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_flow_sigmas", "use_lu_lambdas")
SPACINGS = ("leading", "trailing", "linspace")


@dataclass(frozen=True)
class Point:
    """A place on the schedule: what the network is told, and the shares of signal and noise there."""

    timestep: float
    alpha: float
    sigma: float


@dataclass(frozen=True)
class Schedule:
    """alphas and sigmas have N + 1 entries, from data to noise; timesteps has N, ascending.

    ``grid_steps`` is N, or more for the low-noise part of a longer grid; ``levels`` are of all training timesteps.
    """

    timesteps: tuple[int, ...]
    alphas: tuple[float, ...]
    sigmas: tuple[float, ...]
    prediction_type: str
    grid_steps: int
    levels: tuple[float, ...]

    @property
    def num_steps(self) -> int:
        return len(self.timesteps)

    def point(self, i: int) -> Point:
        """Grid index ``i`` in 1..N."""
        return Point(self.timesteps[i - 1], self.alphas[i], self.sigmas[i])

    def at_level(self, level: float) -> Point:
        """Where sigma / alpha is ``level``, between the trained timesteps in proportion to its logarithm [ours].

        Raises:
            UserError: the model was not trained at such a level.
        """
        lowest, highest = self.levels[0], self.levels[-1]
        if not lowest <= level <= highest:
            raise UserError(f"this prior knows noise levels from {lowest:.4g} to {highest:.4g}, got {level:.4g}")
        timestep = float(np.interp(math.log(level), np.log(self.levels), range(len(self.levels))))
        alpha = 1 / math.hypot(1, level)
        return Point(timestep, alpha, level * alpha)

    def ddim(self, i: int) -> tuple[float, float]:
        """(a, b) of the DDIM step i -> i - 1, x <- a x + b eps (Song et al. 2021, eq. 12 with eta = 0)."""
        a = self.alphas[i - 1] / self.alphas[i]
        return a, self.sigmas[i - 1] - a * self.sigmas[i]

    def partial(self, strength: float) -> "Schedule":
        """The part from the data to a noise level: the first round(strength * N) steps, at least one.

        Raises:
            UserError: strength is not in (0, 1].
        """
        if not 0 < strength <= 1:
            raise UserError(f"strength must be above 0 and at most 1, got {strength}")
        n = max(1, round(strength * self.num_steps))
        return replace(self, timesteps=self.timesteps[:n], alphas=self.alphas[: n + 1], sigmas=self.sigmas[: n + 1])


def make_schedule(scheduler: SchedulerMixin, num_steps: int, spacing: str | None = None) -> Schedule:
    """The grid that ``DDIMScheduler`` would visit, each step ending exactly where the next one starts.

    A step of zero length (``steps_offset=0`` with ``set_alpha_to_one=False``) changes nothing and is left out, since
    it would only cost network calls.

    Args:
        scheduler: any diffusers scheduler of the discrete DDPM family; only its configuration is read.
        num_steps: number of steps, from 1 to the number of training steps.
        spacing: "leading", "trailing" or "linspace"; None keeps the scheduler's own.

    Raises:
        UserError: the scheduler is of another family, or an option is out of range.
    """
    ddim = _as_ddim(scheduler, spacing)
    config: Any = ddim.config
    if not 1 <= num_steps <= config.num_train_timesteps:
        raise UserError(f"num_steps must be from 1 to {config.num_train_timesteps}, got {num_steps}")
    ddim.set_timesteps(num_steps)
    timesteps = [int(t) for t in reversed(ddim.timesteps)]
    if timesteps[-1] >= config.num_train_timesteps:
        raise UserError(f"{num_steps} steps reach beyond the trained timesteps: take fewer, or spacing: trailing")
    if not ddim.betas.isfinite().all() or ddim.betas.min() < 0:
        raise UserError("the scheduler's betas are negative or not finite: its scheduler_config.json is damaged")
    abar = torch.stack([ddim.final_alpha_cumprod, *ddim.alphas_cumprod[timesteps]]).double()
    alphas, sigmas = abar.sqrt().tolist(), (1 - abar).clamp_min(0).sqrt().tolist()
    trained = ddim.alphas_cumprod.double()
    levels = ((1 - trained) / trained)[trained > 0].sqrt().tolist()
    if alphas[0] == alphas[1]:
        timesteps, alphas, sigmas = timesteps[1:], alphas[1:], sigmas[1:]
    if not timesteps:
        raise UserError(f"num_steps {num_steps} leaves no step of this grid but one of zero length: take more steps")
    if alphas[-1] == 0:
        raise UserError("this scheduler ends in pure noise (zero terminal SNR), which cannot be inverted exactly")
    grid = tuple(timesteps), tuple(alphas), tuple(sigmas)
    return Schedule(*grid, config.prediction_type, len(timesteps), tuple(levels))


def _as_ddim(scheduler: SchedulerMixin, spacing: str | None) -> DDIMScheduler:
    name = type(scheduler).__name__
    flow = "flow" in str(scheduler.config.get("prediction_type"))
    if flow or "beta_schedule" not in scheduler.config or not hasattr(scheduler, "alphas_cumprod"):
        raise UserError(
            f"{name} is not a discrete DDPM schedule: use a prior whose scheduler has betas (DDIM, PNDM, ...)"
        )
    for option in OTHER_SIGMAS:
        if scheduler.config.get(option):
            raise UserError(
                f"{name} has {option}, another family's noise levels: if the model was trained with the betas of its"
                " scheduler_config.json, set that to false there"
            )
    if spacing is not None and spacing not in SPACINGS:
        raise UserError(f"spacing must be one of {', '.join(SPACINGS)}, got {spacing!r}")
    changes: dict[str, Any] = {"clip_sample": False, "thresholding": False}
    if spacing is not None:
        changes["timestep_spacing"] = spacing
    return DDIMScheduler.from_config(scheduler.config, **changes)
