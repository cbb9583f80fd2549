import numpy as np
import pytest
from diffusers import DDIMScheduler, FlowMatchEulerDiscreteScheduler
from toys import SCHEDULE, schedule

from dlmap.schedule import SPACINGS, make_schedule
from mslique import UserError

BETAS = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2
ABAR = np.cumprod(1 - BETAS)


@pytest.mark.parametrize("num_steps", [1, 7, 20, 33, 999])
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
    a, b = grid.ddim(4)
    clean, noise = 0.7, -1.3
    noisy = grid.alphas[4] * clean + grid.sigmas[4] * noise
    assert a * noisy + b * noise == pytest.approx(grid.alphas[3] * clean + grid.sigmas[3] * noise, abs=1e-15)


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
    with pytest.raises(UserError, match="FlowMatchEulerDiscreteScheduler is not a discrete DDPM"):
        make_schedule(FlowMatchEulerDiscreteScheduler(), 10)


def test_zero_terminal_snr_is_refused() -> None:
    with pytest.raises(UserError, match="pure noise"):
        schedule(10, rescale_betas_zero_snr=True, timestep_spacing="trailing")
