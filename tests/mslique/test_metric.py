import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyiqa
import pytest
import torch

import mslique
from mslique import MSLIQE
from mslique.metric import MSLIQEMetric

Make = Callable[..., MSLIQE]


def test_the_metric_is_the_mean_score(tiny_model: Make) -> None:
    model = tiny_model()
    metric = MSLIQEMetric(model)
    batches = [torch.rand(3, 3, 64, 80), torch.rand(1, 3, 70, 64)]
    with torch.no_grad():
        for batch in batches:
            metric.update(batch)
        expected = torch.cat([model(batch) for batch in batches]).double().mean()
        torch.testing.assert_close(metric.compute(), expected)
        metric.reset()
        metric.update(batches[1])
        torch.testing.assert_close(metric.compute(), model(batches[1]).double().mean())


def test_the_package_offers_the_metric_without_importing_it() -> None:
    assert mslique.MSLIQEMetric is MSLIQEMetric
    with pytest.raises(AttributeError, match="Nothing"):
        _ = mslique.Nothing
    code = "import sys, mslique; sys.exit('torchmetrics' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture(autouse=True)
def registered() -> None:
    mslique.register_in_pyiqa()


def test_pyiqa_knows_the_model_once_it_is_registered(tiny_model: Make, tmp_path: Path) -> None:
    model = tiny_model()
    model.save_pretrained(tmp_path)
    images = torch.rand(2, 3, 64, 80)
    metric = pyiqa.create_metric("mslique", model=str(tmp_path), device="cpu")
    with torch.no_grad():
        torch.testing.assert_close(metric(images), model(images).unsqueeze(1))
    assert "mslique" in pyiqa.list_models(metric_mode="NR") and not metric.lower_better


def test_pyiqas_metric_is_a_loss(tiny_model: Make, tmp_path: Path) -> None:
    model = tiny_model()
    model.save_pretrained(tmp_path)
    loss = pyiqa.create_metric("mslique", as_loss=True, model=str(tmp_path), device="cpu")
    images = torch.rand(2, 3, 64, 80, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(images), images)
    (expected,) = torch.autograd.grad(model(images).mean(), images)
    torch.testing.assert_close(gradient, expected)
    assert gradient.abs().sum() > 0 and not any(p.requires_grad for p in loss.net.parameters())


def test_without_a_model_pyiqa_gets_the_one_that_ships() -> None:
    score = pyiqa.create_metric("mslique", device="cpu")(torch.rand(1, 3, 128, 128))
    assert score.item() == pytest.approx(1.5, abs=0.5)  # white noise is bad
