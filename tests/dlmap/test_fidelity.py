from pathlib import Path

import numpy as np
import pyiqa
import pytest
import torch
from skimage import data
from torch import Tensor
from torchvision.models import squeezenet1_1

from dlmap.fidelity import MSE, NLPD, PyiqaFidelity


def chelsea(height: int = 120, width: int = 150) -> Tensor:
    crop = data.chelsea()[50 : 50 + height, 100 : 100 + width]
    return torch.from_numpy(np.ascontiguousarray(crop)).permute(2, 0, 1)[None].float() / 255


def noisy(image: Tensor, amount: float = 0.05) -> Tensor:
    return (image + amount * torch.randn(image.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)


@pytest.mark.parametrize("size", [(120, 150), (97, 101), (64, 64)])
def test_luminance_nlpd_equals_pyiqas(size: tuple[int, int]) -> None:
    grey = [(255 * image.mean(dim=1, keepdim=True)).round() / 255 for image in (noisy(chelsea(*size)), chelsea(*size))]
    pair = [image.expand(-1, 3, -1, -1) for image in grey]
    expected = pyiqa.create_metric("nlpd", device="cpu")(*pair)
    torch.testing.assert_close(NLPD(6, low=False, luminance=True)(*pair), expected.view(1), rtol=1e-4, atol=0)


def test_luma_is_in_8_bits_and_has_a_gradient() -> None:
    image, measure = chelsea(64, 64), NLPD(6, low=False, luminance=True)
    assert measure(image + 1e-4, image) == 0  # a fortieth of a level
    moved = noisy(image).requires_grad_()
    (gradient,) = torch.autograd.grad(measure(moved, image).sum(), moved)
    torch.testing.assert_close(gradient[:, 1] / gradient[:, 0], torch.full((1, 64, 64), 0.5870 / 0.2989))


def test_low_band_is_blind_to_detail_and_sees_colour() -> None:
    image = chelsea(96, 96)
    detail = image + 0.1 * (-1) ** torch.arange(96)
    colour = image + torch.tensor([0.1, 0.0, -0.1])[:, None, None]
    assert NLPD()(detail, image) < 0.1 * NLPD()(colour, image)


def test_gradient_is_finite_at_the_start_and_right_elsewhere() -> None:
    image = chelsea(64, 64).double()
    start = image.clone().requires_grad_()
    distance = NLPD()(start, image)
    (gradient,) = torch.autograd.grad(distance.sum(), start)
    assert distance.item() == 0 and gradient.abs().max() == 0
    direction = torch.randn(image.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    point = noisy(image).double().requires_grad_()
    (gradient,) = torch.autograd.grad(NLPD()(point, image).sum(), point)
    step = 1e-6 * direction
    with torch.no_grad():
        slope = (NLPD()(point + step, image) - NLPD()(point - step, image)) / 2e-6
    assert slope.item() == pytest.approx((gradient * direction).sum().item(), rel=1e-5)


def test_mse() -> None:
    torch.testing.assert_close(MSE()(torch.full((2, 3, 4, 4), 0.5), torch.zeros(2, 3, 4, 4)), torch.full((2,), 0.25))


def test_wrong_number_of_levels() -> None:
    with pytest.raises(ValueError, match="2 to 6, got 9"):
        NLPD(9)


def test_a_higher_is_better_metric_is_turned_into_a_distance() -> None:
    image, other = chelsea(64, 64), noisy(chelsea(64, 64))
    psnr = -10 * torch.log10((image - other).square().mean() + 1e-8)
    torch.testing.assert_close(PyiqaFidelity("psnr")(other, image), 80 - psnr[None], rtol=1e-5, atol=1e-4)
    distance = PyiqaFidelity("ssimc")
    assert 0 <= distance(image, image) < 1e-6 < distance(other, image) < 1


def test_lpips_is_a_distance_of_each_image_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a random network in the place of torchvision's weights, and positive weights of its layers, as LPIPS has."""
    torch.manual_seed(0)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(squeezenet1_1().state_dict(), tmp_path / "hub" / "checkpoints" / "squeezenet1_1-b8a52dc0.pth")
    lpips = PyiqaFidelity("lpips", {"net": "squeeze", "pretrained": False})
    for parameter in lpips.metric.metric.net.lins.parameters():
        parameter.data.abs_()
    images = torch.cat([chelsea(64, 64), noisy(chelsea(64, 64)), noisy(chelsea(64, 64), 0.2)])
    reference = chelsea(64, 64).expand(3, -1, -1, -1)
    same, near, far = lpips(images, reference)
    assert same == 0 and 0 < near < far
    torch.testing.assert_close(lpips(images[1:2], reference[:1]), near[None])


@pytest.mark.parametrize("name", ["nlpd", "psnr", "gmsd"])
def test_the_gradient_of_pyiqas_metrics_is_zero_at_the_start(name: str) -> None:
    """That of pyiqa's NLPD alone is nan there."""
    images = torch.cat([chelsea(64, 64), noisy(chelsea(64, 64))]).requires_grad_()
    PyiqaFidelity(name)(images, chelsea(64, 64).expand(2, -1, -1, -1)).sum().backward()
    assert images.grad is not None and images.grad.isfinite().all()
    assert images.grad[0].abs().max() == 0 < images.grad[1].abs().max()
