import pytest
import torch

from dlmap import Ascent, Enhanced
from mslique import UserError


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"iterations": -1}, "ascent.iterations must be at least 0"),
        ({"momentum": 1.0}, "ascent.momentum must be at least 0 and below 1"),
        ({"margin": -1.0}, "ascent.margin must be at least 0"),
        ({"radius": 0.0}, "ascent.radius must be positive"),
        ({"step_size": 0.0}, "ascent.step_size must be positive"),
        ({"color_fix": -1.0}, "ascent.color_fix must be at least 0"),
        ({"color_fix": 0.5}, "ascent.color_fix is a number of pixels, at least 1"),
        ({"domain": "pixel", "residual": True}, "ascent.residual belongs to the domain latent"),
        ({"levels": (0.1,)}, "ascent.levels belongs to the domain bands"),
        ({"domain": "bands", "levels": (0.1,)}, "needs ascent.radius and ascent.levels"),
        ({"domain": "bands", "radius": 1.0}, "needs ascent.radius and ascent.levels"),
        ({"domain": "bands", "radius": 1.0, "levels": (0.2, 0.1)}, "must be positive and rise"),
        ({"domain": "bands", "radius": 1.0, "levels": (0.1, float("nan"))}, "must be positive and rise"),
        ({"target": float("nan")}, "ascent.target must be a number, got nan"),
        ({"domain": "bands", "radius": 1.0, "levels": (0.1,), "gains": (-2.0, 1.0)}, "ascent.gains are bounds"),
        ({"domain": "bands", "radius": 1.0, "levels": (0.1,), "unsharp": 64.0}, "ascent.unsharp must be at least 0"),
        ({"unsharp": 1.5}, "ascent.unsharp belongs to the domain bands"),
    ],
)
def test_wrong_options_are_named(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        Ascent(**options)  # type: ignore[arg-type]


def test_the_best_image_is_held() -> None:
    result = Enhanced(torch.zeros(3, 1, 1))
    for image, objective in ((1.0, 5.0), (2.0, 9.0), (3.0, 7.0)):
        result = result.after(torch.full((3, 1, 1), image), 50.0, 0.1, objective)
    assert result.image.unique().item() == 2.0
    assert result.objective == [5.0, 9.0, 7.0] and result.iterations == 2


def test_stages_follow_one_another() -> None:
    first = Enhanced(torch.zeros(3, 1, 1), [1.0, 2.0, 3.0], [0.0, 0.1, 0.2], [1.0, 1.5, 2.0], (3,), "one")
    second = Enhanced(torch.ones(3, 1, 1), [3.0, 4.0], [0.2, 0.3], [2.0, 2.5], (2,))
    both = first.then(second)
    assert both.image.unique().item() == 1.0 and both.quality == [1.0, 2.0, 3.0, 3.0, 4.0]
    assert both.stages == (3, 2) and both.iterations == 3 and both.note == "one"
