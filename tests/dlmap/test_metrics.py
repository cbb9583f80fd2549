import os
from pathlib import Path

import numpy as np
import pytest
import torch
from pyiqa.archs.cnniqa_arch import CNNIQA
from torch import Tensor
from toys import photos

from dlmap.metrics import PyiqaMetric
from mslique import UserError


class Danger:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return os.mkdir, (self.path,)


def test_the_score_is_the_networks_and_its_gradient_autograds(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = CNNIQA(pretrained=None).eval()
    torch.save({"params": network.state_dict()}, tmp_path / "cnniqa.pth")
    metric = PyiqaMetric("cnniqa", "NR", {"pretrained_model_path": str(tmp_path / "cnniqa.pth")})
    images = photos(3).requires_grad_()
    expected = network(images).flatten()
    scores = metric(images)
    torch.testing.assert_close(scores, expected, rtol=1e-5, atol=1e-7)
    gradients = [torch.autograd.grad(s.sum(), images)[0] for s in (scores, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-8)
    assert not any(p.requires_grad for p in metric.parameters())


def test_files_are_read_as_weights_only(tmp_path: Path) -> None:
    torch.save({"params": Danger(tmp_path / "made")}, tmp_path / "bad.pth")
    with pytest.raises(UserError, match="cnniqa' cannot be made .*pretrained_model_path"):
        PyiqaMetric("cnniqa", "NR", {"pretrained_model_path": str(tmp_path / "bad.pth")})
    assert not (tmp_path / "made").exists()
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


@pytest.mark.parametrize("name", ["piqe", "entropy"])
def test_a_metric_without_gradient_is_refused_by_name(name: str) -> None:
    with pytest.raises(UserError, match=f"{name} cannot be optimised"):
        PyiqaMetric(name, "NR")


def test_unknown_names_get_a_hint() -> None:
    with pytest.raises(UserError, match="no no-reference metric 'musik': did you mean musiq"):
        PyiqaMetric("musik", "NR")
    with pytest.raises(UserError, match="no full-reference metric 'musiq'"):
        PyiqaMetric("musiq", "FR")


def test_an_image_too_small_is_named() -> None:
    with pytest.raises(UserError, match="ms_ssim cannot score an image of 50 x 60 pixels"):
        PyiqaMetric("ms_ssim", "FR")(photos(1, 50, 60), photos(1, 50, 60))


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: not enough memory")], ids=repr)
def test_memory_that_ran_out_is_not_the_images_fault(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Tensor) -> Tensor:
        raise error

    metric = PyiqaMetric("psnr", "FR")
    monkeypatch.setattr(metric.metric, "forward", fails)
    with pytest.raises(type(error)) as caught:
        metric(photos(1), photos(1))
    assert caught.value is error


def test_random_crops_are_the_same_for_every_image_and_call(monkeypatch: pytest.MonkeyPatch) -> None:
    metric = PyiqaMetric("psnr", "FR")
    monkeypatch.setattr(metric.metric, "forward", lambda image: image.mean() + torch.rand(()) + np.random.rand())
    images = photos(1).expand(2, -1, -1, -1)
    torch.manual_seed(5)
    np.random.seed(5)
    expected: tuple[Tensor, float] = torch.rand(()), np.random.rand()
    torch.manual_seed(5)
    np.random.seed(5)
    torch.testing.assert_close(metric(images[:1]), metric(images)[:1], rtol=0, atol=0)
    assert (torch.rand(()), np.random.rand()) == expected  # nobody else's numbers are used up
