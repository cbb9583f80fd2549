import numpy as np
import pytest
from diffusers import DDIMScheduler, EDMEulerScheduler
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
    with pytest.raises(UserError, match="pure noise"):
        schedule(10, rescale_betas_zero_snr=True, timestep_spacing="trailing")
