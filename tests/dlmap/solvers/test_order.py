"""Global order of accuracy, measured on a Gaussian whose probability flow has a closed form."""

import math
from collections.abc import Callable

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor
from toys import Gaussian

from dlmap.schedule import Schedule, make_schedule
from dlmap.solvers import generate, invert, make_solver

pytestmark = pytest.mark.filterwarnings("ignore:on this time grid the inverse of O-BELM")
STEPS = (20, 40, 80, 160, 320)


def smooth(num_steps: int) -> Schedule:
    """Equal steps of the angle whose cosine and sine are signal and noise: no rounding to whole timesteps."""
    angles = torch.linspace(0.03, 1.5, num_steps + 1, dtype=torch.float64)
    alphas, sigmas = tuple(angles.cos().tolist()), tuple(angles.sin().tolist())
    return Schedule(tuple(range(num_steps)), alphas, sigmas, "epsilon", num_steps, tuple(angles.tan().tolist()))


def flow(num_steps: int) -> Schedule:
    """The grid of a rectified flow with the shift of Stable Diffusion 3, from pure noise."""
    return make_schedule(FlowMatchEulerDiscreteScheduler(shift=3.0), num_steps)


def ddim(grid: Schedule, x: Tensor) -> Tensor:
    for i in range(grid.num_steps, 0, -1):
        a, b = grid.jump(i, i - 1)
        x = a * x + b * Gaussian(grid)(x, i)
    return x


def generated(name: str) -> Callable[[Schedule, Tensor], Tensor]:
    def run(grid: Schedule, x: Tensor) -> Tensor:
        return generate(torch.stack([x, x], 1), make_solver(name, grid).moves, Gaussian(grid))[:, 0]

    return run


def errors(run: Callable[[Schedule, Tensor], Tensor], make: Callable[[int], Schedule] = smooth) -> list[float]:
    one = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    grids = [make(num_steps) for num_steps in STEPS]
    return [(run(grid, one) - Gaussian(grid).flow(one)).abs().item() for grid in grids]


@pytest.mark.parametrize(
    ("run", "order", "at_20_steps"),
    [(ddim, 1, 3.3e-2), (generated("edict"), 1, 8.6e-3), (generated("bdia"), 2, 7.6e-4), (generated("obelm"), 2, 3e-3)],
    ids=["ddim", "edict", "bdia", "obelm"],
)
def test_generation(run: Callable[[Schedule, Tensor], Tensor], order: int, at_20_steps: float) -> None:
    measured = errors(run)
    assert math.log2(measured[-2] / measured[-1]) == pytest.approx(order, abs=0.05)
    assert measured[0] == pytest.approx(at_20_steps, rel=0.02)


@pytest.mark.parametrize(
    ("run", "order", "at_20_steps"),
    [
        (ddim, 1, 6.8e-2),
        (generated("edict"), 1, 3.19e-2),
        (generated("bdia"), 2, 1.2e-2),
        (generated("obelm"), 2, 3.2e-3),
    ],
    ids=["euler", "edict", "bdia", "obelm"],
)
def test_generation_along_a_flow(run: Callable[[Schedule, Tensor], Tensor], order: int, at_20_steps: float) -> None:
    measured = errors(run, flow)
    assert math.log2(measured[-2] / measured[-1]) == pytest.approx(order, abs=0.05)
    assert measured[0] == pytest.approx(at_20_steps, rel=0.02)


@pytest.mark.parametrize(("make", "std"), [(smooth, 0.5), (flow, 1.0)])
@pytest.mark.parametrize(("name", "order"), [("edict", 1), ("bdia", 2), ("obelm", 2)])
def test_inversion(name: str, order: int, make: Callable[[int], Schedule], std: float) -> None:
    """The noise of the inversion flows back to the data with the same order; x_N is in sequence 0 for even N."""
    measured, one = [], torch.ones(1, 1, 1, 1, dtype=torch.float64)
    for num_steps in STEPS:
        grid = make(num_steps)
        solver = make_solver(name, grid)
        noise = invert(one, [*solver.moves, *solver.start], Gaussian(grid, std))[:, 0]
        measured.append((Gaussian(grid, std).flow(noise) - one).abs().item())
    assert math.log2(measured[-2] / measured[-1]) == pytest.approx(order, abs=0.05)
