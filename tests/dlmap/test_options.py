import pytest
import torch

from dlmap import Ascent, Enhanced
from mslique import UserError


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"optimizer": "lbfgs"}, "ascent.optimizer must be one of sgd, adam, got 'lbfgs'"),
        ({"domain": "noise"}, "ascent.domain must be one of latent, pixel"),
        ({"keep": "first"}, "ascent.keep must be one of best, last"),
        ({"iterations": -1}, "ascent.iterations must be at least 0"),
        ({"momentum": 1.0}, "ascent.momentum must be at least 0 and below 1"),
        ({"noise_weight": -1.0}, "ascent.noise_weight"),
        ({"step_size": 0.0}, "ascent.step_size must be positive"),
        ({"color_fix": -1.0}, "ascent.color_fix must be at least 0"),
        ({"color_fix": 0.5}, "ascent.color_fix is a number of pixels, at least 1"),
        ({"domain": "pixel", "residual": True}, "ascent.residual acts on the noise"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        Ascent(**options)  # type: ignore[arg-type]


def test_the_learning_rate_is_that_of_the_optimiser_unless_given() -> None:
    assert Ascent().learning_rate == 2.0
    assert Ascent(optimizer="adam").learning_rate == 0.01
    assert Ascent(optimizer="adam", step_size=0.5).learning_rate == 0.5


@pytest.mark.parametrize(("keep", "kept"), [("best", 2.0), ("last", 3.0)])
def test_best_or_last(keep: str, kept: float) -> None:
    result = Enhanced(torch.zeros(3, 1, 1))
    for image, objective in ((1.0, 5.0), (2.0, 9.0), (3.0, 7.0)):
        result = result.after(torch.full((3, 1, 1), image), 50.0, 0.1, objective, keep)
    assert result.image.unique().item() == kept
    assert result.objective == [5.0, 9.0, 7.0] and result.iterations == 2
