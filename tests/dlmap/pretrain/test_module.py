"""``lightning fit`` of a tiny prior on tiny photos; the folder that it writes is a prior."""

import json
from pathlib import Path

import pytest
import torch
from toys import photos, unet

from dlmap import DiffusionPrior
from dlmap.pretrain.module import PriorTraining
from dlmap.run.pictures import save_png
from mslique import lightning_cli

CONFIG = Path(__file__).parents[3] / "configs" / "dlmap" / "pretrain_tiny.yaml"


def test_loss_of_a_perfect_network_is_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """For black images v = alpha noise + sigma, and what the network sees, sigma noise - alpha, tells the noise."""
    training = PriorTraining(dict(unet(2).config), "unused")
    alphas = training.scheduler.alphas_cumprod

    class Perfect(torch.nn.Module):
        def forward(self, x, t):  # type: ignore[no-untyped-def]
            alpha, sigma = alphas[t].sqrt()[:, None, None, None], (1 - alphas[t]).sqrt()[:, None, None, None]
            noise = (x + alpha) / sigma
            return type("Out", (), {"sample": alpha * noise + sigma})

    monkeypatch.setattr(training, "unet", Perfect())
    assert training._loss(torch.zeros(4, 3, 16, 16)).item() < 1e-8


def test_weights_are_those_of_min_snr(monkeypatch: pytest.MonkeyPatch) -> None:
    """The weight of v's error is min(SNR, gamma) for the error of the clean image, alpha x - sigma v."""
    training, seen = PriorTraining(dict(unet(2).config), "unused"), []

    class Blind(torch.nn.Module):
        def forward(self, x, t):  # type: ignore[no-untyped-def]
            seen.append((x, t))
            return type("Out", (), {"sample": torch.zeros_like(x)})

    monkeypatch.setattr(training, "unet", Blind())
    images = photos(8, 16, 16)
    loss = training._loss(images, min_snr=5.0)
    x, t = seen[0]
    squares = training.scheduler.alphas_cumprod[t][:, None, None, None]
    error = torch.nn.functional.pixel_unshuffle(2 * images - 1, 2) - squares.sqrt() * x
    expected = (squares / (1 - squares)).clamp(max=5.0) * error.square()
    torch.testing.assert_close(loss, expected.mean())


def test_fit_writes_a_prior(tmp_path: Path) -> None:
    save_png(photos(1, 40, 40)[0], tmp_path / "photos" / "a.png")
    options = {
        "--data.folder": tmp_path / "photos",
        "--output": tmp_path / "prior",
        "--data.size": 16,
        "--data.samples": 32,
        "--data.val_samples": 8,
        "--data.batch_size": 8,
        "--trainer.default_root_dir": tmp_path,
        "--trainer.logger": "false",
        "--trainer.enable_checkpointing": "false",
        "--trainer.callbacks": "[]",
        "--trainer.accelerator": "cpu",
        "--trainer.precision": "32",
        "--trainer.val_check_interval": 1.0,
        "--model.config": json.dumps({key: value for key, value in unet(2).config.items() if not key.startswith("_")}),
    }
    arguments = [f"{key}={value}" for key, value in options.items()]
    assert lightning_cli.main(["fit", "--config", str(CONFIG), *arguments]) == 0
    prior = DiffusionPrior.from_pretrained(str(tmp_path / "prior"), num_steps=3)
    assert prior.schedule.prediction_type == "v_prediction"
    with torch.no_grad():
        torch.testing.assert_close(prior.generate(prior.invert(photos())), photos(), rtol=0, atol=1e-6)
