from collections.abc import Callable

import pytest
import torch

from mslique import reference_quality
from mslique.data.committee import COMMITTEE, Member, fit_scale


def test_an_identical_image_is_perfect_and_labels_are_per_image(photo: Callable[..., torch.Tensor]) -> None:
    originals = torch.stack([photo("astronaut"), photo("chelsea")])
    noisy = (originals + 0.1 * torch.randn(originals.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    mixed = torch.stack([originals[0], noisy[1]])
    labels = reference_quality(mixed, originals)
    assert labels[0].item() == pytest.approx(100, abs=0.1)
    assert 0 < labels[1] < 60
    torch.testing.assert_close(labels[1:], reference_quality(noisy[1:], originals[1:]))


@pytest.mark.parametrize("name", COMMITTEE)
def test_members_give_100_to_equal_images_and_less_for_more_noise(
    name: str, photo: Callable[..., torch.Tensor]
) -> None:
    flat = torch.full((3, 160, 160), 0.4)
    originals = torch.stack([photo("astronaut"), photo("chelsea"), flat])
    noise = torch.randn(originals.shape, generator=torch.Generator().manual_seed(0))
    marks = [COMMITTEE[name].quality((originals + s * noise).clamp(0, 1), originals) for s in (0, 0.02, 0.05, 0.1)]
    torch.testing.assert_close(marks[0], torch.full((3,), 100.0), atol=0.1, rtol=0)
    steps = torch.stack(marks).diff(dim=0)
    # how far FSIM of the flat original falls is decided by rounding: it has no phase
    assert ((steps[:, :2] if name == "fsim" else steps) < -0.5).all(), marks
    assert steps[0, 2] < -0.5, marks


def test_the_label_is_the_mean_of_the_members(photo: Callable[..., torch.Tensor]) -> None:
    original = photo("coffee")[None]
    image = (original * 0.7 + 0.1).roll(1, dims=-1)
    marks = [member.quality(image, original).item() for member in COMMITTEE.values()]
    assert len({round(mark, 1) for mark in marks}) == len(marks) == 4
    assert reference_quality(image, original).item() == pytest.approx(sum(marks) / 4, abs=1e-3)


def test_autocast_does_not_coarsen_labels(photo: Callable[..., torch.Tensor]) -> None:
    original = photo("coffee")[None]
    image = (original + 0.02).clamp(0, 1)
    with torch.autocast("cpu", torch.bfloat16):
        inside = reference_quality(image, original)
    torch.testing.assert_close(inside, reference_quality(image, original), atol=1e-4, rtol=0)


def test_the_fitted_scale_puts_the_quartiles_at_75_and_25() -> None:
    distances = torch.rand(1000, generator=torch.Generator().manual_seed(0)) ** 2
    member = Member(lambda found, _: found, *fit_scale(distances))
    marks = member.quality(distances, distances)
    torch.testing.assert_close(marks.quantile(torch.tensor([0.25, 0.75])), torch.tensor([25.0, 75.0]), atol=0.1, rtol=0)
    with pytest.raises(ValueError, match="no scale"):
        fit_scale(torch.zeros(10))


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        reference_quality(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 65))
    with pytest.raises(ValueError, match=">= 64"):
        reference_quality(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32))
