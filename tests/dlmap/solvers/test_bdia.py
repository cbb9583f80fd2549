import torch
from toys import schedule, wavy

from dlmap.solvers import generate
from dlmap.solvers.bdia import BDIA


def test_generation_follows_the_equations() -> None:
    """A DDIM step, then every two-step update through the predicted clean latents, as published."""
    grid = schedule(7)
    alpha, sigma = grid.alphas, grid.sigmas
    later = torch.randn(2, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    noise = torch.stack([later, later], 1)
    eps = wavy(later, 7)
    x = alpha[6] * (later - sigma[7] * eps) / alpha[7] + sigma[6] * eps
    for i in range(6, 0, -1):
        eps = wavy(x, i)
        clean = (x - sigma[i] * eps) / alpha[i]
        forward = alpha[i - 1] * clean + sigma[i - 1] * eps
        backward = alpha[i + 1] * clean + sigma[i + 1] * eps
        later, x = x, later - backward + forward
    pair = generate(noise, BDIA(grid).moves, wavy)
    torch.testing.assert_close(pair, torch.stack([x, later], 1), rtol=1e-12, atol=1e-12)


def test_the_gap_is_neither_damped_nor_amplified() -> None:
    assert {move.own for move in BDIA(schedule(20)).moves} == {1.0}
