import pytest
import torch
from toys import Brightness, photos

from dlmap import MAPObjective
from dlmap.fidelity import MSE
from mslique import UserError


def test_terms_are_weighted_per_image() -> None:
    images, reference = photos(3, seed=1), photos(3, seed=2)
    terms = MAPObjective(Brightness(), MSE(), quality_weight=2.0, fidelity_weight=30.0)(images, reference)
    for k in range(3):
        quality, fidelity = 100 * images[k].mean(), (images[k] - reference[k]).square().mean()
        torch.testing.assert_close(terms.quality[k], quality)
        torch.testing.assert_close(terms.fidelity[k], fidelity)
        torch.testing.assert_close(terms.value[k], 2 * quality - 30 * fidelity)


@pytest.mark.parametrize("weights", [{"fidelity_weight": -1.0}, {"quality_weight": float("nan")}], ids=str)
def test_weights_that_turn_the_ascent_round_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(UserError, match=f"objective.{next(iter(weights))} must be at least 0 and finite"):
        MAPObjective(Brightness(), MSE(), **weights)
