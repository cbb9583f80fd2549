from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.random import default_rng
from torch import Tensor

from mslique import DEGRADATIONS, degrade, reference_quality
from mslique.degradations import GLOBAL_CHANGES

Photo = Callable[..., Tensor]
NAMES = ("astronaut", "chelsea", "coffee")


def apply(name: str, image: Tensor, severity: float, seed: int = 0) -> Tensor:
    pixels = DEGRADATIONS[name](image.permute(1, 2, 0).numpy(), severity, default_rng(seed))
    assert pixels.dtype == np.float32
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


@pytest.mark.parametrize("name", DEGRADATIONS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_label_falls_with_the_severity_of_each_degradation(name: str, seed: int, photo: Photo) -> None:
    for image in map(photo, NAMES):
        steps = torch.stack([apply(name, image, severity, seed) for severity in (0, 0.25, 0.5, 0.75, 1)])
        assert steps.shape == (5, *image.shape) and steps.min() >= 0 and steps.max() <= 1
        labels = reference_quality(steps, image.expand_as(steps))
        assert (labels.diff() < 0).all(), labels
        worst = 70 if name in GLOBAL_CHANGES else 60  # those are kept mild: a no-reference model can hardly see them
        assert labels[0] > 45 and labels[-1] < worst, labels


def test_a_generator_decides_everything(photo: Photo) -> None:
    image = photo()
    first, again, other = (degrade(image, default_rng(seed)) for seed in (5, 5, 6))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_mixtures_are_images_and_some_are_clean(photo: Photo) -> None:
    rng = default_rng(0)
    image = photo("chelsea")
    results = torch.stack([degrade(image, rng) for _ in range(150)])
    assert results.shape == (150, *image.shape) and results.dtype == torch.float32
    assert results.min() >= 0 and results.max() <= 1
    clean = sum(torch.equal(result, image) for result in results)
    assert 10 <= clean <= 40  # 15 % expected


def test_degrading_leaves_the_original_alone(photo: Photo) -> None:
    image = photo("coffee")
    before = image.clone()
    for seed in range(20):
        degrade(image, default_rng(seed))
    assert torch.equal(image, before)
