"""The grid of a rectified-flow model (Stable Diffusion 3, FLUX): x = (1 - s) x0 + s n.

Steps of equal length in t, from 1 to 0, are bent by the model's shift to s(t) (Esser et al., "Scaling Rectified Flow
Transformers for High-Resolution Image Synthesis", 2024, eq. 23). A shift that depends on the size of the image takes
the number of tokens that the network sees.
"""

import math
from typing import Any

from diffusers import SchedulerMixin

from mslique import UserError

from .grid import Schedule

CLASSES = ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler")
PREDICTION = "flow_prediction"
OTHERS = (
    "use_karras_sigmas",
    "use_lu_lambdas",
    "use_exponential_sigmas",
    "use_beta_sigmas",
    "invert_sigmas",
    "shift_terminal",
)
SHIFTS = {"base_image_seq_len": 256, "max_image_seq_len": 4096, "base_shift": 0.5, "max_shift": 1.15}
"""What the pipelines of diffusers take where a scheduler with a dynamic shift does not say: FLUX's."""


def is_flow(scheduler: SchedulerMixin) -> bool:
    return type(scheduler).__name__ in CLASSES or (
        bool(scheduler.config.get("use_flow_sigmas")) and scheduler.config.get("prediction_type") == PREDICTION
    )


def flow_schedule(scheduler: SchedulerMixin, num_steps: int, spacing: str | None, tokens: int | None) -> Schedule:
    """See :func:`dlmap.schedule.make_schedule`.

    Raises:
        UserError: an option that only the other family has, or a grid of another kind.
    """
    config: Any = scheduler.config
    if spacing not in (None, "trailing"):
        raise UserError(f"spacing {spacing} belongs to models with betas: leave it out for a flow")
    for option in OTHERS:
        if config.get(option):
            raise UserError(f"{type(scheduler).__name__} has {option}, a grid that is not supported: set it to null")
    if config.get("final_sigmas_type") == "sigma_min":
        raise UserError(f"{type(scheduler).__name__} has final_sigmas_type sigma_min: set it to zero for a flow")
    shift = _shift(config, tokens)
    s = [shift * k / (shift * k + num_steps - k) for k in range(num_steps + 1)]
    train = int(config.num_train_timesteps)
    grid = tuple(train * x for x in s[1:]), tuple(1 - x for x in s), tuple(s)
    return Schedule(*grid, PREDICTION, num_steps, (), flow=True, train_timesteps=train)


def _shift(config: Any, tokens: int | None) -> float:
    if not config.get("use_dynamic_shifting"):
        return float(config.get("shift", config.get("flow_shift", 1.0)))
    low, high, least, most = (config.get(key, default) for key, default in SHIFTS.items())
    share = ((high if tokens is None else tokens) - low) / (high - low)
    mu = float(least + share * (most - least))
    return mu if config.get("time_shift_type") == "linear" else math.exp(mu)
