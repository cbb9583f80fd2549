import pytest
import torch
import torch.nn.functional as F

from mslique.resize import bicubic_weights, resized_window


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("factor", [0.75, 0.5, 0.31, 1.6])
def test_a_window_is_cut_out_of_the_resized_image(factor: float, antialias: bool) -> None:
    images = torch.rand(2, 3, 61, 83, dtype=torch.float64)
    whole = F.interpolate(images, scale_factor=factor, mode="bicubic", antialias=antialias)
    height, width = whole.shape[-2:]
    for top, left in ((0, 0), (height - 12, width - 9), (3, 4)):
        window = resized_window(images, factor, top, left, 12, 9, antialias)
        torch.testing.assert_close(window, whole[..., top : top + 12, left : left + 9], rtol=0, atol=1e-12)


def test_the_gradient_is_that_of_resizing_everything() -> None:
    images = torch.rand(1, 1, 40, 40, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(1, 1, 10, 10, dtype=torch.float64)
    whole = F.interpolate(images, scale_factor=0.75, mode="bicubic")[..., 5:15, 20:30]
    (expected,) = torch.autograd.grad((whole * weights).sum(), images)
    window = resized_window(images, 0.75, 5, 20, 10, 10, antialias=False)
    (gradient,) = torch.autograd.grad((window * weights).sum(), images)
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-12)


def test_only_the_inputs_of_the_window_are_read() -> None:
    start, weights = bicubic_weights(3000, 224, 0.75, 12000, antialias=False)
    assert weights.shape == (224, pytest.approx(224 / 0.75 + 4, abs=2)) and start == 4000 - 2
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(224, dtype=torch.float64))
