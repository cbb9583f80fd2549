import pytest
import torch
from toys import schedule, wavy

from dlmap.solvers import generate, invert
from dlmap.solvers.bdia import BDIA
from dlmap.solvers.belm import OBELM
from dlmap.solvers.two_step import TwoStep

pytestmark = pytest.mark.filterwarnings("ignore:on this time grid the inverse of O-BELM")


@pytest.mark.parametrize("solver", [BDIA, OBELM])
@pytest.mark.parametrize("num_steps", [6, 7])
def test_an_inversion_starts_with_a_step_of_ddim_inversion(solver: type[TwoStep], num_steps: int) -> None:
    """The final pair is x_0 and the x_1 that DDIM inversion takes for it, with the noise predicted at x_0."""
    grid = schedule(num_steps)
    clean = torch.randn(1, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    steps = solver(grid)
    pair = generate(invert(clean, [*steps.moves, *steps.start], wavy), steps.moves, wavy)
    eps = wavy(clean, 1)
    noisier = grid.alphas[1] * (clean - grid.sigmas[0] * eps) / grid.alphas[0] + grid.sigmas[1] * eps
    torch.testing.assert_close(pair, torch.stack([clean, noisier], 1), rtol=0, atol=1e-10)


def test_a_displacement_of_both_sequences_alike_is_one_of_the_noise() -> None:
    """The first step carries it as DDIM carries a displaced x_N: the second sequence keeps its deviation d."""
    grid = schedule(1)
    a, b = grid.jump(1, 0)
    noise = torch.randn(2, 1, 1, 1, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    start, last = noise.unbind(4)[0][..., None], noise.unbind(4)[1][..., None]
    state = torch.cat([last, start], dim=1)  # one step: x_1 is in sequence 1
    reached = generate(state, BDIA(grid).moves, wavy)[:, 0]
    torch.testing.assert_close(reached, a * start[:, 0] + b * wavy(start[:, 0], 1) + (last - start)[:, 0])
