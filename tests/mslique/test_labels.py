from collections.abc import Callable

import pytest
import torch

from mslique import reference_quality


def test_an_identical_image_is_perfect_and_labels_are_per_image(photo: Callable[..., torch.Tensor]) -> None:
    originals = torch.stack([photo("astronaut"), photo("chelsea")])
    noisy = (originals + 0.1 * torch.randn(originals.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    mixed = torch.stack([originals[0], noisy[1]])
    labels = reference_quality(mixed, originals)
    assert labels[0].item() == pytest.approx(100, abs=0.1)
    assert 0 < labels[1] < 60
    torch.testing.assert_close(labels[1:], reference_quality(noisy[1:], originals[1:]))


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        reference_quality(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 65))
    with pytest.raises(ValueError, match=">= 64"):
        reference_quality(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32))
