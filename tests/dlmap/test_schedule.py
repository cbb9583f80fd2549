from typing import Any

import numpy as np
import pytest
from diffusers import (
    CogVideoXDDIMScheduler,
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EDMEulerScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
)
from toys import SCHEDULE, schedule

from dlmap.schedule import SPACINGS, make_schedule
from mslique import UserError

BETAS = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
ABAR = np.cumprod(1 - BETAS)


@pytest.mark.parametrize("num_steps", [2, 7, 20, 33, 999])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_alphas_are_those_of_the_timesteps_for_any_step_count(num_steps: int, spacing: str) -> None:
    grid = make_schedule(DDIMScheduler(**SCHEDULE), num_steps, spacing)
    steps = np.array([0, *grid.timesteps])  # set_alpha_to_one=False: the data end has the noise of timestep 0
    np.testing.assert_allclose(np.square(grid.alphas), ABAR[steps], rtol=1e-5)
    np.testing.assert_allclose(np.square(grid.alphas) + np.square(grid.sigmas), 1, atol=1e-15)
    assert all(a > b for a, b in zip(grid.alphas, grid.alphas[1:], strict=False))


def test_timesteps_are_stable_diffusions() -> None:
    assert schedule(20).timesteps[:3] == (1, 51, 101)
    assert schedule(20, timestep_spacing="trailing").timesteps[::19] == (49, 999)


def test_data_end_without_noise() -> None:
    assert schedule(20, set_alpha_to_one=True).sigmas[0] == 0


def test_a_step_of_zero_length_is_left_out() -> None:
    assert schedule(20, steps_offset=0).num_steps == 19


def test_ddim_coefficients_carry_signal_and_noise_to_the_next_index() -> None:
    grid = schedule(10)
    a, b = grid.jump(4, 3)
    clean, noise = 0.7, -1.3
    noisy = grid.alphas[4] * clean + grid.sigmas[4] * noise
    assert a * noisy + b * noise == pytest.approx(grid.alphas[3] * clean + grid.sigmas[3] * noise, abs=1e-15)


def independent_grid(spacing: str, n: int) -> np.ndarray:
    """The timesteps of Lin et al., "Common Diffusion Noise Schedules and Sample Steps are Flawed" (2024), table 2."""
    if spacing == "leading":
        return np.array([k * (1000 // n) + 1 for k in range(n)])  # Stable Diffusion's steps_offset
    if spacing == "trailing":
        return np.array(sorted(int(np.round(1000 - k * 1000 / n)) - 1 for k in range(n)))
    return np.array([int(np.round(k * 999 / (n - 1))) for k in range(1, n)])  # the first is the data's own


@pytest.mark.parametrize("num_steps", [3, 7, 30, 33, 150, 300])
@pytest.mark.parametrize("spacing", SPACINGS)
def test_timesteps_where_the_step_count_does_not_divide_1000(num_steps: int, spacing: str) -> None:
    grid = make_schedule(DDIMScheduler(**SCHEDULE), num_steps, spacing)
    assert grid.timesteps == tuple(independent_grid(spacing, num_steps))


def test_a_partial_grid_is_the_low_noise_part() -> None:
    grid = schedule(20)
    part = grid.partial(0.3)
    assert part.timesteps == grid.timesteps[:6]
    assert part.alphas == grid.alphas[:7] and part.sigmas == grid.sigmas[:7]
    assert part.grid_steps == grid.grid_steps == 20
    assert grid.partial(1.0) == grid
    assert grid.partial(0.001).num_steps == 1


@pytest.mark.parametrize("strength", [0.0, -0.5, 1.01, float("nan")])
def test_strength_out_of_range(strength: float) -> None:
    with pytest.raises(UserError, match="strength must be above 0 and at most 1"):
        schedule(20).partial(strength)


def test_a_grid_of_nothing_but_a_step_of_zero_length() -> None:
    with pytest.raises(UserError, match="take more steps"):
        schedule(1, timestep_spacing="linspace")


@pytest.mark.parametrize("num_steps", [0, 1001])
def test_step_count_out_of_range(num_steps: int) -> None:
    with pytest.raises(UserError, match="1 to 1000"):
        schedule(num_steps)


def test_leading_spacing_that_starts_at_1_has_no_1000th_step() -> None:
    with pytest.raises(UserError, match="beyond the trained timesteps"):
        schedule(1000)


def test_unknown_spacing() -> None:
    with pytest.raises(UserError, match="leading, trailing, linspace"):
        make_schedule(DDIMScheduler(), 10, "karras")


def test_another_family_of_scheduler() -> None:
    with pytest.raises(UserError, match="EDMEulerScheduler is neither a discrete DDPM"):
        make_schedule(EDMEulerScheduler(), 10)


def test_zero_terminal_snr_is_refused() -> None:
    with pytest.raises(UserError, match="pure noise .*: choose spacing: leading, or strength: 0.9"):
        schedule(10, rescale_betas_zero_snr=True, timestep_spacing="trailing")


@pytest.mark.parametrize("num_steps", [10, 20])
def test_zero_terminal_snr_is_kept_away_from_by_spacing_or_strength(num_steps: int) -> None:
    zero = DDIMScheduler(**SCHEDULE, rescale_betas_zero_snr=True)
    for options in ({"spacing": "leading"}, {"spacing": "trailing", "strength": 0.8}):
        grid = make_schedule(zero, num_steps, **options)
        assert grid.alphas[-1] > 0 and all(a > b for a, b in zip(grid.alphas, grid.alphas[1:], strict=False))


@pytest.mark.parametrize("beta_schedule", ["sigmoid", "linear", "squaredcos_cap_v2", "laplace"])
def test_the_betas_are_those_of_the_scheduler_itself(beta_schedule: str) -> None:
    """DDIM of diffusers does not know all of them."""
    scheduler = DDPMScheduler(beta_schedule=beta_schedule)
    grid = make_schedule(scheduler, 10, "trailing")
    abar = np.cumprod(1 - scheduler.betas.double().numpy())
    np.testing.assert_allclose(np.square(grid.alphas[1:]), abar[np.array(grid.timesteps)], rtol=1e-12)


def test_trained_betas() -> None:
    betas = np.linspace(0.001, 0.03, 50).tolist()
    grid = make_schedule(DDPMScheduler(num_train_timesteps=50, trained_betas=betas), 5, "trailing")
    assert grid.timesteps[-1] == 49 and grid.alphas[-1] ** 2 == pytest.approx(np.prod(1 - np.array(betas)), rel=1e-6)


def test_a_scheduler_that_ends_at_the_noise_of_its_first_timestep() -> None:
    given = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
    assert make_schedule(EulerDiscreteScheduler(**given), 10, "trailing").sigmas[0] == 0
    ends = EulerDiscreteScheduler(**given, final_sigmas_type="sigma_min")
    assert make_schedule(ends, 10, "trailing").sigmas[0] == pytest.approx(0.00085**0.5, rel=1e-5)


def test_continuous_timesteps_are_refused() -> None:
    with pytest.raises(UserError, match="timestep_type continuous"):
        make_schedule(EulerDiscreteScheduler(timestep_type="continuous", prediction_type="v_prediction"), 10)


def test_a_scheduler_that_changes_what_its_betas_give_is_refused() -> None:
    with pytest.raises(UserError, match="CogVideoXDDIMScheduler changes the noise levels that its betas give"):
        make_schedule(CogVideoXDDIMScheduler(), 10)


FLOWS = [{"shift": 3.0}, {"shift": 1.0}, {"use_dynamic_shifting": True, "time_shift_type": "linear"}]


@pytest.mark.parametrize("options", [*FLOWS, {"use_dynamic_shifting": True}], ids=str)
@pytest.mark.parametrize("tokens", [256, 1024, 4096])
def test_the_grid_of_a_flow_is_that_of_diffusers(options: dict[str, Any], tokens: int) -> None:
    scheduler = FlowMatchEulerDiscreteScheduler(**options)
    grid = make_schedule(scheduler, 7, tokens=tokens)
    mu = 0.5 + (1.15 - 0.5) * (tokens - 256) / (4096 - 256)  # FLUX's shift of its grid with the size of the image
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / 7, 7), mu=mu if "use_dynamic_shifting" in options else None)
    np.testing.assert_allclose(grid.sigmas, scheduler.sigmas.flip(0).double(), atol=1e-6)
    np.testing.assert_allclose(grid.timesteps, scheduler.timesteps.flip(0).double(), rtol=1e-6)
    np.testing.assert_allclose(np.add(grid.alphas, grid.sigmas), 1, atol=1e-15)
    assert grid.flow and grid.sigmas[0] == 0 and grid.alphas[-1] == 0


def test_the_grid_of_a_flow_solver_is_shifted_too() -> None:
    """A multistep scheduler with flow sigmas, as Sana has it."""
    scheduler = DPMSolverMultistepScheduler(use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0)
    assert make_schedule(scheduler, 4).sigmas == make_schedule(FlowMatchEulerDiscreteScheduler(shift=3.0), 4).sigmas


def test_a_step_of_a_flow_is_eulers() -> None:
    grid = make_schedule(FlowMatchEulerDiscreteScheduler(shift=3.0), 5)
    clean, noise = 0.7, -1.3
    for i, j in ((5, 4), (3, 2), (1, 0), (2, 3)):
        a, b = grid.jump(i, j)
        x = grid.alphas[i] * clean + grid.sigmas[i] * noise
        assert a * x + b * (noise - clean) == pytest.approx(grid.alphas[j] * clean + grid.sigmas[j] * noise, abs=1e-15)


def test_a_noise_level_of_a_flow() -> None:
    at = make_schedule(FlowMatchEulerDiscreteScheduler(), 5).at_level(0.25)
    assert (at.timestep, at.alpha, at.sigma) == pytest.approx((200.0, 0.8, 0.2))
    with pytest.raises(UserError, match="noise level must be positive"):
        make_schedule(FlowMatchEulerDiscreteScheduler(), 5).at_level(0.0)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [({"use_karras_sigmas": True}, "has use_karras_sigmas"), ({"shift_terminal": 0.1}, "has shift_terminal")],
)
def test_other_grids_of_flows_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        make_schedule(FlowMatchEulerDiscreteScheduler(**options), 5)


def test_a_flow_has_no_other_spacing() -> None:
    with pytest.raises(UserError, match="spacing leading belongs to models with betas"):
        make_schedule(FlowMatchEulerDiscreteScheduler(), 5, "leading")
