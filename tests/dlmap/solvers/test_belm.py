import math
import warnings

import pytest
import torch
from toys import schedule, wavy

from dlmap.solvers import generate
from dlmap.solvers.belm import OBELM


def test_generation_follows_the_equations() -> None:
    grid = schedule(7, timestep_spacing="trailing")
    alpha, sigma = grid.alphas, grid.sigmas
    h = [math.nan] + [sigma[i] / alpha[i] - sigma[i - 1] / alpha[i - 1] for i in range(1, 8)]
    later = torch.randn(2, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    noise = torch.stack([later, later], 1)
    eps = wavy(later, 7)
    x = alpha[6] * (later - sigma[7] * eps) / alpha[7] + sigma[6] * eps
    for i in range(6, 0, -1):
        new = (h[i] ** 2 / h[i + 1] ** 2) * (alpha[i - 1] / alpha[i + 1]) * later
        new += ((h[i + 1] ** 2 - h[i] ** 2) / h[i + 1] ** 2) * (alpha[i - 1] / alpha[i]) * x
        new -= (h[i] * (h[i] + h[i + 1]) / h[i + 1]) * alpha[i - 1] * wavy(x, i)
        later, x = x, new
    pair = generate(noise, OBELM(grid).moves, wavy)
    torch.testing.assert_close(pair, torch.stack([x, later], 1), rtol=1e-12, atol=1e-12)


def test_it_is_exact_where_the_predicted_noise_is_linear_in_the_ratio_of_noise_to_signal() -> None:
    """x / alpha solves d(x / alpha) = eps d(sigma / alpha), so a linear eps makes it a parabola: order 2."""
    grid = schedule(12, timestep_spacing="trailing")
    ratio = [s / a for s, a in zip(grid.sigmas, grid.alphas, strict=True)]
    exact = [a * r * r for a, r in zip(grid.alphas, ratio, strict=True)]
    for move in OBELM(grid).moves[1:]:
        i = move.index
        assert i is not None
        value = move.own * exact[i + 1] + move.other * exact[i] + move.noise * 2 * ratio[i]
        assert value == pytest.approx(exact[i - 1], rel=1e-12)


def test_stable_diffusions_own_grid_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="amplifies errors of the network by 505: choose spacing: trailing"):
        OBELM(schedule(20))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        OBELM(schedule(20, timestep_spacing="trailing"))
