"""Noise schedules: one notion, two families."""

from diffusers import SchedulerMixin

from mslique import UserError

from .ddpm import SPACINGS, ddpm_schedule
from .flow import flow_schedule, is_flow
from .grid import Point, Schedule

__all__ = ["SPACINGS", "Point", "Schedule", "make_schedule"]


def make_schedule(
    scheduler: SchedulerMixin,
    num_steps: int,
    spacing: str | None = None,
    strength: float = 1.0,
    tokens: int | None = None,
) -> Schedule:
    """The time grid of a model, from its diffusers scheduler; only the scheduler's configuration and betas are read.

    Args:
        scheduler: of the discrete DDPM family or of flow matching.
        num_steps: number of steps from pure noise, from 1 to the number of training steps.
        spacing: "leading", "trailing" or "linspace"; None keeps the scheduler's own. A flow has "trailing" alone.
        strength: in (0, 1], the part of the steps that is kept, from the data; at least one.
        tokens: how many tokens the network sees of an image, for a flow whose grid depends on that; None: the most.

    Raises:
        UserError: the scheduler is of another family, or an option is out of range.
    """
    most = scheduler.config.get("num_train_timesteps", 1000)
    if not 1 <= num_steps <= most:
        raise UserError(f"num_steps must be from 1 to {most}, got {num_steps}")
    if spacing is not None and spacing not in SPACINGS:
        raise UserError(f"spacing must be one of {', '.join(SPACINGS)}, got {spacing!r}")
    if is_flow(scheduler):
        schedule = flow_schedule(scheduler, num_steps, spacing, tokens)
    else:
        schedule = ddpm_schedule(scheduler, num_steps, spacing)
    part = schedule.partial(strength)
    if not part.flow and part.alphas[-1] == 0:
        raise UserError(
            "this scheduler ends in pure noise (zero terminal SNR), which noise prediction cannot invert: choose"
            " spacing: leading, or strength: 0.9, which both stop before"
        )
    return part
