import math

import pytest
import torch
from torch import Tensor
from toys import Gaussian, prior, schedule

from dlmap.schedule import Schedule
from dlmap.solvers import generate, generate_reversibly, invert, make_solver
from dlmap.solvers.edict import EDICT
from mslique import UserError


def wavy(x: Tensor, i: int) -> Tensor:
    return torch.sin(3 * x + i) + 0.1 * x.flip(-1)


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


@pytest.mark.parametrize("num_steps", [1, 20, 50])
def test_round_trip_of_a_nonlinear_prediction(num_steps: int) -> None:
    moves = EDICT(schedule(num_steps)).moves
    latents = torch.randn(2, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    pair = generate(invert(latents, moves, wavy), moves, wavy)
    torch.testing.assert_close(pair, torch.stack([latents, latents], 1), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("precision", "bound"), [("float32", 1e-10), ("bf16", 1e-6)])
@pytest.mark.parametrize("num_steps", [20, 50])
def test_round_trip_of_a_network_is_exact_whatever_its_precision(num_steps: int, precision: str, bound: float) -> None:
    model = prior(num_steps, precision=precision)
    latents = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(2)).double()
    with torch.no_grad():
        pair = model.sample(model.invert_latents(latents))
    assert (pair - latents[:, None]).abs().max() <= bound


def test_reversible_gradient_is_that_of_plain_autograd() -> None:
    moves = EDICT(schedule(20)).moves
    noise = torch.randn(2, 2, 1, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).requires_grad_()
    weights = torch.rand(noise.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    gradients = [
        torch.autograd.grad((run(noise, moves, wavy) * weights).sum(), noise)[0]
        for run in (generate_reversibly, generate)
    ]
    assert (gradients[0] - gradients[1]).norm() <= 1e-9 * gradients[1].norm()


def test_global_order_is_one() -> None:
    errors = []
    for num_steps in (40, 80, 160):
        grid = schedule(num_steps, timestep_spacing="trailing")
        exact = Gaussian(grid)
        noise = torch.ones(1, 2, 1, 1, 1, dtype=torch.float64)
        reached = generate(noise, EDICT(grid).moves, exact)[:, 0]
        errors.append((reached - exact.flow(noise[:, 0])).abs().item())
    order = math.log2(errors[0] / errors[2]) / 2
    assert order == pytest.approx(1.0, abs=0.15)


def test_unknown_solver() -> None:
    with pytest.raises(UserError, match="unknown solver 'euler': choose one of edict"):
        make_solver("euler", schedule())
