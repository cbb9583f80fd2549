"""How far from a flow that is known exactly does every solver end? Prints Markdown, within a second.

    python benchmarks/flow.py

Data are independent numbers of N(0, 1), so that the velocity of the rectified flow has a closed form, and the true flow
carries every number 1 to 1, in both directions. The grid is that of Stable Diffusion 3 (shift 3). The error is the
distance from 1: of the data that a solver makes of the noise 1, and of the noise that its inversion finds for the
datum 1.
"""

import warnings

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from dlmap.schedule import Schedule, make_schedule
from dlmap.solvers import SOLVERS, generate, invert, make_solver

STEPS = (10, 20, 40)
ONE = torch.ones(1, 1, 1, 1, dtype=torch.float64)


class Velocity:
    """E[n - x0 | x] with x = alpha x0 + sigma n, both of N(0, 1)."""

    def __init__(self, grid: Schedule) -> None:
        self.grid = grid

    def __call__(self, x: Tensor, i: int) -> Tensor:
        alpha, sigma = self.grid.alphas[i], self.grid.sigmas[i]
        return (sigma - alpha) * x / (alpha**2 + sigma**2)


def euler(grid: Schedule) -> tuple[float, float]:
    """Plain steps, which are no exact inversion of each other."""
    velocity, data, noise = Velocity(grid), ONE, ONE
    for i in range(grid.num_steps, 0, -1):
        a, b = grid.jump(i, i - 1)
        data = a * data + b * velocity(data, i)
    for i in range(grid.num_steps):
        a, b = grid.jump(i, i + 1)
        noise = a * noise + b * velocity(noise, i)
    return error(data), error(noise)


def exact(name: str, grid: Schedule) -> tuple[float, float]:
    solver, velocity = make_solver(name, grid), Velocity(grid)
    data = generate(torch.stack([ONE, ONE], 1), solver.moves, velocity)[:, 0]
    noise = invert(ONE, [*solver.moves, *solver.start], velocity)[:, 0]
    return error(data), error(noise)


def error(found: Tensor) -> float:
    return (found - 1).abs().item()


def main() -> None:
    warnings.filterwarnings("ignore", message="on this time grid the inverse of O-BELM")
    print("| solver | steps | error of the data | error of the noise |\n|---|---|---|---|")
    for steps in STEPS:
        grid = make_schedule(FlowMatchEulerDiscreteScheduler(shift=3.0), steps)
        for name in SOLVERS:
            print("| {} | {} | {:.2g} | {:.2g} |".format(name, steps, *exact(name, grid)))
        print("| Euler, not exact | {} | {:.2g} | {:.2g} |".format(steps, *euler(grid)))


if __name__ == "__main__":
    main()
