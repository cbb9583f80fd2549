import pytest
import torch
from torch import Tensor
from toys import schedule, wavy

from dlmap.schedule import Schedule
from dlmap.solvers import generate
from dlmap.solvers.edict import EDICT


def plain_edict(x: Tensor, y: Tensor, grid: Schedule, p: float) -> tuple[Tensor, Tensor]:
    """The equations of the paper, a step at a time, with DDIM written out through the predicted clean latents."""

    def ddim(moved: Tensor, other: Tensor, i: int) -> Tensor:
        eps = wavy(other, i)
        clean = (moved - grid.sigmas[i] * eps) / grid.alphas[i]
        return grid.alphas[i - 1] * clean + grid.sigmas[i - 1] * eps

    for k, i in enumerate(range(grid.num_steps, 0, -1)):
        if k % 2 == 0:
            x = ddim(x, y, i)
            y = ddim(y, x, i)
        else:
            y = ddim(y, x, i)
            x = ddim(x, y, i)
        x = p * x + (1 - p) * y
        y = p * y + (1 - p) * x
    return x, y


def test_generation_follows_the_equations() -> None:
    grid = schedule(7)
    noise = torch.randn(3, 2, 4, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x, y = plain_edict(noise[:, 0], noise[:, 1], grid, 0.93 ** (50 / 7))
    torch.testing.assert_close(generate(noise, EDICT(grid).moves, wavy), torch.stack([x, y], 1), rtol=1e-12, atol=1e-12)


def test_mixing_is_the_published_one_at_50_steps() -> None:
    assert EDICT(schedule(50)).mixing == 0.93


@pytest.mark.parametrize("steps", [6, 13])
def test_a_step_of_a_partial_schedule_does_as_in_the_whole(steps: int) -> None:
    assert EDICT(schedule(20).partial(steps / 20)).moves == EDICT(schedule(20)).moves[-4 * steps :]
