"""The trust region on functions whose maxima are known."""

import math

import pytest
import torch
from torch import Tensor, nn

from dlmap.domain import Pixels
from dlmap.steps import SMALLEST, TrustRegion

PEAK = torch.tensor([0.3, 0.7, 0.5]).view(3, 1, 1)


def value(x: Tensor) -> Tensor:
    """A hill of different widths along its axes, its top at PEAK."""
    return -((x - PEAK).square() * torch.tensor([1.0, 4.0, 9.0]).view(3, 1, 1)).sum()


def climbed(start: Tensor, radius: float, count: int) -> tuple[list[Tensor], list[float]]:
    """The states that were evaluated, and their values; the best comes last."""
    state = nn.Parameter(start.clone())
    steps = TrustRegion([state], Pixels(), radius)
    seen, values = [], []
    for _ in range(count):
        now = value(state)
        state.grad = torch.autograd.grad(-now, state)[0]
        seen.append(state.detach().clone())
        values.append(now.item())
        if not steps.move([0], now.detach()[None], state.detach()[None, None].clone()):
            break
    return seen, values


def test_it_finds_the_top() -> None:
    seen, values = climbed(torch.full((3, 1, 1), 0.1), 20.0, 60)
    best = seen[values.index(max(values))]
    torch.testing.assert_close(best, PEAK, rtol=0, atol=0.01)


def test_no_step_is_longer_than_the_radius() -> None:
    seen, values = climbed(torch.full((3, 1, 1), 0.1), 5.0, 12)
    best = 0
    for k in range(1, len(seen)):  # every step starts at the best state so far
        assert 255 * (seen[k] - seen[best]).square().mean().sqrt().item() <= 5.0 * (1 + 1e-5)
        best = k if values[k] > values[best] else best
    assert 255 * (seen[1] - seen[0]).square().mean().sqrt().item() == pytest.approx(5.0, rel=1e-5)


def test_a_bad_step_is_taken_back_and_the_next_is_half_as_long() -> None:
    start = PEAK + 0.01
    seen, values = climbed(start, 25.5, 3)  # a tenth of the range, far beyond the top
    assert values[1] < values[0]
    lengths = [255 * (x - start).square().mean().sqrt().item() for x in seen[1:]]
    assert lengths == [pytest.approx(25.5, rel=1e-4), pytest.approx(12.75, rel=1e-4)]


def test_at_the_top_it_ends() -> None:
    seen, _ = climbed(PEAK.clone(), 20.0, 60)
    assert len(seen) == 1
    seen, _ = climbed(PEAK + 1e-4, 20.0, 60)
    assert len(seen) < 2 - math.log2(SMALLEST) + 2


def test_bounds_are_kept_and_the_free_numbers_make_up_for_what_they_cut_off() -> None:
    """The first number is at its bound already: the whole step goes to the others."""
    state = nn.Parameter(torch.tensor([1.0, 0.5, 0.5]).view(3, 1, 1))
    state.grad = -torch.tensor([5.0, 1.0, 1.0]).view(3, 1, 1)
    assert TrustRegion([state], Pixels(), 2.55).move([0], torch.zeros(1), state.detach()[None, None].clone()) == [0]
    side = 0.01 * math.sqrt(3 / 2)
    expected = torch.tensor([1.0, 0.5 + side, 0.5 + side]).view(3, 1, 1)
    torch.testing.assert_close(state.detach(), expected, rtol=0, atol=1e-5)


def test_a_slope_that_is_not_finite_ends_the_image_alone() -> None:
    states = [nn.Parameter(torch.full((3, 1, 1), 0.5)) for _ in range(2)]
    states[0].grad, states[1].grad = torch.full((3, 1, 1), float("nan")), -torch.ones(3, 1, 1)
    images = torch.stack([s.detach() for s in states])[:, None].clone()
    assert TrustRegion(states, Pixels(), 1.0).move([0, 1], torch.zeros(2), images) == [1]
    assert states[0].isfinite().all()
