import math

import pytest
import torch
from torch import Tensor

from mslique import fidelity_loss


def double_loop(scores: Tensor, mos: Tensor, ids: Tensor) -> float:
    per_dataset: dict[int, list[float]] = {}
    for i in range(len(scores)):
        for j in range(i + 1, len(scores)):
            if ids[i] != ids[j]:
                continue
            p = 0.5 * (1 + math.erf((scores[i] - scores[j]).item() / 2))
            g = 0.5 if mos[i] == mos[j] else float(mos[i] > mos[j])
            loss = 1 - math.sqrt(p * g) - math.sqrt((1 - p) * (1 - g))
            per_dataset.setdefault(int(ids[i]), []).append(loss)
    means = [sum(losses) / len(losses) for losses in per_dataset.values()]
    return sum(means) / len(means)


def test_equals_the_formula_pair_by_pair() -> None:
    torch.manual_seed(0)
    scores, mos = torch.randn(14, dtype=torch.float64), torch.randint(4, (14,))
    ids = torch.tensor([7] * 8 + [2] * 5 + [9])  # unequal datasets, one without a pair
    expected = double_loop(scores, mos, ids)
    torch.testing.assert_close(fidelity_loss(scores, mos, ids).item(), expected)
    assert fidelity_loss(scores, mos).item() == pytest.approx(double_loop(scores, mos, torch.zeros(14)))


def test_pairs_across_datasets_do_not_count() -> None:
    scores = torch.tensor([1.0, 2.0, 50.0, 51.0])
    within = fidelity_loss(scores[:2], torch.tensor([0.0, 1.0]))
    both = fidelity_loss(scores, torch.tensor([0.0, 1.0, -5.0, -4.0]), torch.tensor([0, 0, 1, 1]))
    torch.testing.assert_close(both, within)


def test_gradients_match_finite_differences() -> None:
    torch.manual_seed(1)
    scores = torch.randn(9, dtype=torch.float64, requires_grad=True)
    mos, ids = torch.randint(3, (9,)), torch.randint(2, (9,))
    assert torch.autograd.gradcheck(lambda s: fidelity_loss(s, mos, ids), scores)


@pytest.mark.parametrize("gap", [1e-8, 3.0, 30.0, 1e3, 1e8])
@pytest.mark.parametrize("mos", [(0.0, 1.0), (1.0, 0.0), (1.0, 1.0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradients_are_finite_however_sure_the_model_is(gap: float, mos: tuple, dtype: torch.dtype) -> None:
    scores = torch.tensor([0.0, gap], dtype=dtype, requires_grad=True)
    loss = fidelity_loss(scores, torch.tensor(mos))
    loss.backward()
    assert 0 <= loss <= 1 and scores.grad.isfinite().all()


def test_a_wrong_order_costs_more_and_pushes_apart() -> None:
    scores = torch.tensor([2.0, 1.0], requires_grad=True)
    right, wrong = fidelity_loss(scores, torch.tensor([1.0, 0.0])), fidelity_loss(scores, torch.tensor([0.0, 1.0]))
    assert right < wrong
    wrong.backward()
    assert scores.grad[0] > 0 > scores.grad[1]


def test_ties_are_best_at_equal_scores() -> None:
    mos = torch.tensor([3.0, 3.0])
    assert fidelity_loss(torch.tensor([1.0, 1.0]), mos).item() == pytest.approx(0, abs=1e-6)
    assert fidelity_loss(torch.tensor([1.0, 3.0]), mos) > 0.05


def test_no_pair_gives_zero_and_a_usable_gradient() -> None:
    scores = torch.tensor([1.0, 2.0], requires_grad=True)
    loss = fidelity_loss(scores, torch.tensor([1.0, 2.0]), torch.tensor([0, 1]))
    loss.backward()
    assert loss == 0 and torch.equal(scores.grad, torch.zeros(2))


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"\(3,\)"):
        fidelity_loss(torch.rand(3), torch.rand(2))
    with pytest.raises(ValueError, match="shape"):
        fidelity_loss(torch.rand(3), torch.rand(3), torch.zeros(2))


def test_labels_with_a_deviation_teach_scores_their_scale() -> None:
    mos = torch.tensor([10.0, 35.0, 36.0, 90.0])
    scores = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.LBFGS([scores], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = fidelity_loss(scores, mos, mos_deviation=25.0)
        loss.backward()
        return loss

    optimizer.step(closure)
    assert closure().item() == pytest.approx(0, abs=1e-5)
    torch.testing.assert_close(scores.detach().diff(), mos.diff() / 25, atol=0.02, rtol=0)


def test_a_small_deviation_is_the_order_alone() -> None:
    scores, mos = torch.tensor([0.3, -0.2, 1.0]), torch.tensor([1.0, 1.0, 3.0])
    torch.testing.assert_close(fidelity_loss(scores, mos, mos_deviation=1e-3), fidelity_loss(scores, mos))
