"""What holds for every solver: exact inversion, gradients of plain autograd, fresh noise."""

import pytest
import torch
from torch import Tensor
from toys import prior, schedule, wavy

from dlmap.schedule import SPACINGS
from dlmap.solvers import SOLVERS, Solver, generate, generate_reversibly, invert, make_solver
from mslique import UserError

pytestmark = pytest.mark.filterwarnings("ignore:on this time grid the inverse of O-BELM")
NAMES = list(SOLVERS)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def inverted(latents: Tensor, solver: Solver) -> Tensor:
    return invert(latents, [*solver.moves, *solver.start], wavy)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("num_steps", [2, 7, 20, 50])
def test_round_trip_of_a_nonlinear_prediction(num_steps: int, spacing: str, name: str) -> None:
    solver, latents = make_solver(name, schedule(num_steps, timestep_spacing=spacing)), normal(2, 4, 8, 8)
    images = generate(inverted(latents, solver), solver.moves, wavy)[:, : solver.images]
    assert (images - latents[:, None]).abs().max() <= 1e-10


@pytest.mark.parametrize("name", NAMES)
def test_every_state_is_the_inverse_of_the_pair_that_it_generates(name: str) -> None:
    """The map is a bijection of pairs, not only where both sequences of a photograph are equal."""
    solver, noise = make_solver(name, schedule(6, timestep_spacing="trailing")), normal(1, 2, 3, 4, 4)
    pair = generate(noise, solver.moves, wavy)
    for move in reversed(solver.moves):
        eps = 0 if move.index is None else wavy(pair[:, 1 - move.moved], move.index)
        pair[:, move.moved] -= move.other * pair[:, 1 - move.moved] + move.noise * eps
        pair[:, move.moved] /= move.own
    torch.testing.assert_close(pair, noise, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("precision", "bound"), [("float32", 1e-10), ("bf16", 1e-6)])
@pytest.mark.parametrize("num_steps", [20, 50])
@pytest.mark.parametrize("name", NAMES)
def test_round_trip_of_a_network_is_exact_whatever_its_precision(
    name: str, num_steps: int, precision: str, bound: float
) -> None:
    model, latents = prior(num_steps, solver=name, precision=precision), normal(1, 3, 16, 16)
    with torch.no_grad():
        images = model.sample(model.invert_latents(latents))
    assert (images - latents[:, None]).abs().max() <= bound


@pytest.mark.parametrize("name", NAMES)
def test_reversible_gradient_is_that_of_plain_autograd(name: str) -> None:
    moves = make_solver(name, schedule(20)).moves
    noise, weights = normal(2, 2, 1, 4, 4).requires_grad_(), normal(2, 2, 1, 4, 4, seed=1)
    gradients = [
        torch.autograd.grad((run(noise, moves, wavy) * weights).sum(), noise)[0]
        for run in (generate_reversibly, generate)
    ]
    assert (gradients[0] - gradients[1]).norm() <= 1e-9 * gradients[1].norm()


def test_second_derivatives_are_refused() -> None:
    """The gradient of a sum has a constant cotangent, so that autograd would not notice what it leaves out."""
    noise = normal(1, 2, 3, 4, 4).requires_grad_()
    total = generate_reversibly(noise, make_solver("edict", schedule(3)).moves, wavy).sum()
    with pytest.raises(RuntimeError, match="leave out create_graph"):
        torch.autograd.grad(total, noise, create_graph=True)


@pytest.mark.parametrize("name", ["bdia", "obelm"])
def test_one_network_call_a_step(name: str) -> None:
    solver = make_solver(name, schedule(9))
    assert [move.index for move in solver.moves] == list(range(9, 0, -1))


def test_unknown_solver() -> None:
    with pytest.raises(UserError, match="unknown solver 'euler': choose one of edict, bdia, obelm"):
        make_solver("euler", schedule())
