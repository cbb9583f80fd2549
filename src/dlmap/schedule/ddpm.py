"""The grid of a model of the DDPM family: alpha^2 is the cumulative product of 1 - beta."""

from typing import Any

import torch
from diffusers import DDIMScheduler, SchedulerMixin
from torch import Tensor

from mslique import UserError

from .grid import Schedule

OTHER_SIGMAS = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_flow_sigmas", "use_lu_lambdas")
SPACINGS = ("leading", "trailing", "linspace")
KNOWN = {"timestep_type": ("discrete",), "interpolation_type": ("linear",), "timestep_spacing": SPACINGS}
READ = ("prediction_type", "timestep_spacing", "steps_offset", "set_alpha_to_one")
SAME = 1e-5
"""How much a scheduler's own cumulative products may differ from those of its betas; it computes in float32."""


def ddpm_schedule(scheduler: SchedulerMixin, num_steps: int, spacing: str | None) -> Schedule:
    """The grid that ``DDIMScheduler`` would visit, each step ending exactly where the next one starts.

    Timesteps that the scheduler's ``lambda_min_clipped`` takes away at the noisy end are not visited.

    A step of zero length (``steps_offset=0`` with ``set_alpha_to_one=False``) changes nothing and is left out, since
    it would only cost network calls. See :func:`dlmap.schedule.make_schedule`.

    Raises:
        UserError: the scheduler is of another family, or the grid has no step.
    """
    ddim = _as_ddim(scheduler, spacing)
    config: Any = ddim.config
    if num_steps > config.num_train_timesteps:
        raise UserError(f"num_steps must be from 1 to {config.num_train_timesteps}, got {num_steps}")
    ddim.set_timesteps(num_steps)
    timesteps = [int(t) for t in reversed(ddim.timesteps)]
    if timesteps[-1] >= config.num_train_timesteps:
        raise UserError(f"{num_steps} steps reach beyond the trained timesteps: take fewer, or spacing: trailing")
    trained = (1 - scheduler.betas.double()).cumprod(0)
    first = torch.ones(()).double() if config.set_alpha_to_one else trained[0]
    abar = torch.stack([first, *trained[timesteps]])
    alphas, sigmas = abar.sqrt().tolist(), (1 - abar).sqrt().tolist()
    levels = ((1 - trained) / trained)[trained > 0].sqrt().tolist()
    if alphas[0] == alphas[1]:
        timesteps, alphas, sigmas = timesteps[1:], alphas[1:], sigmas[1:]
    if not timesteps:
        raise UserError(f"num_steps {num_steps} leaves no step of this grid but one of zero length: take more steps")
    grid = tuple(timesteps), tuple(alphas), tuple(sigmas)
    return Schedule(*grid, config.prediction_type, len(timesteps), tuple(levels))


def _as_ddim(scheduler: SchedulerMixin, spacing: str | None) -> DDIMScheduler:
    """DDIM with the scheduler's own betas, whatever formula they come from."""
    _check(scheduler)
    config, betas = scheduler.config, scheduler.betas
    # not from_config: what a file leaves to its scheduler's defaults would get those of DDIM
    options: dict[str, Any] = {key: config[key] for key in READ if key in config}
    if config.get("final_sigmas_type") == "sigma_min":
        options["set_alpha_to_one"] = False
    if spacing is not None:
        options["timestep_spacing"] = spacing
    lowest = config.get("lambda_min_clipped")
    visited = betas if lowest is None else betas[_lambdas(betas) >= lowest]
    return DDIMScheduler(num_train_timesteps=len(visited), trained_betas=visited.tolist(), **options)


def _check(scheduler: SchedulerMixin) -> None:
    """Refuse what has noise levels that do not come from betas."""
    name, config = type(scheduler).__name__, scheduler.config
    betas = getattr(scheduler, "betas", None)
    if betas is None or "beta_schedule" not in config or not hasattr(scheduler, "alphas_cumprod"):
        raise UserError(
            f"{name} is neither a discrete DDPM schedule nor a flow: use a prior whose scheduler has betas (DDIM, PNDM,"
            " ...) or is FlowMatchEulerDiscreteScheduler"
        )
    for option in OTHER_SIGMAS:
        if config.get(option):
            raise UserError(
                f"{name} has {option}, another family's noise levels: if the model was trained with the betas of its"
                " scheduler_config.json, set that to false there"
            )
    for option, known in KNOWN.items():
        if config.get(option, known[0]) not in known:
            raise UserError(f"{name} has {option} {config[option]}: only {', '.join(known)} is supported")
    if len(betas) != config.num_train_timesteps:
        raise UserError(f"{name} has {len(betas)} trained_betas for num_train_timesteps {config.num_train_timesteps}")
    if not betas.isfinite().all() or betas.min() < 0 or betas.max() > 1:
        raise UserError("the scheduler's betas are not finite or not in [0, 1]: its scheduler_config.json is damaged")
    if (scheduler.alphas_cumprod.double() - (1 - betas.double()).cumprod(0)).abs().max() > SAME:
        raise UserError(f"{name} changes the noise levels that its betas give, which is not supported")


def _lambdas(betas: Tensor) -> Tensor:
    """log(alpha / sigma) at every timestep; it falls."""
    trained = (1 - betas.double()).cumprod(0)
    return (trained / (1 - trained)).log() / 2
