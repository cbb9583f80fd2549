"""``lightning fit`` of a tiny prior on tiny photos; the folder that it writes is a prior."""

import json
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DModel
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


def test_loss_is_the_squared_error_of_v(monkeypatch: pytest.MonkeyPatch) -> None:
    """All timesteps count alike; v of what a network that returns 0 was shown: the clean image is alpha x - sigma v."""
    training, seen = PriorTraining(dict(unet(2).config), "unused"), []

    class Blind(torch.nn.Module):
        def forward(self, x, t):  # type: ignore[no-untyped-def]
            seen.append((x, t))
            return type("Out", (), {"sample": torch.zeros_like(x)})

    monkeypatch.setattr(training, "unet", Blind())
    images = photos(8, 16, 16)
    loss = training._loss(images)
    x, t = seen[0]
    squares = training.scheduler.alphas_cumprod[t][:, None, None, None]
    error = torch.nn.functional.pixel_unshuffle(2 * images - 1, 2) - squares.sqrt() * x
    torch.testing.assert_close(loss, (error.square() / (1 - squares)).mean())


def test_a_power_of_three_puts_half_of_the_timesteps_into_the_lowest_eighth(monkeypatch: pytest.MonkeyPatch) -> None:
    training, seen = PriorTraining(dict(unet(2).config), "unused", timestep_power=3.0), []

    class Blind(torch.nn.Module):
        def forward(self, x, t):  # type: ignore[no-untyped-def]
            seen.append(t)
            return type("Out", (), {"sample": torch.zeros_like(x)})

    monkeypatch.setattr(training, "unet", Blind())
    training._loss(photos(64, 4, 4))
    (t,) = seen
    assert (t < 125).sum() == 32 and (t >= 512).sum() == pytest.approx(64 * (1 - 0.8), abs=1)
    assert t.min() == 0 and 950 < t.max() < 1000


def fit(folder: Path, output: Path, **more: object) -> int:
    """``lightning fit`` of a tiny prior: its exit status."""
    save_png(photos(1, 40, 40)[0], folder / "photos" / "a.png")
    options = {
        "--data.folder": folder / "photos",
        "--output": output,
        "--data.size": 16,
        "--data.samples": 32,
        "--data.val_samples": 8,
        "--data.batch_size": 8,
        "--trainer.default_root_dir": folder,
        "--trainer.logger": "false",
        "--trainer.enable_checkpointing": "false",
        "--trainer.callbacks": "[]",
        "--trainer.accelerator": "cpu",
        "--trainer.precision": "32",
        "--trainer.val_check_interval": 1.0,
        "--model.config": json.dumps({key: value for key, value in unet(2).config.items() if not key.startswith("_")}),
    }
    arguments = [f"{key}={value}" for key, value in {**options, **more}.items()]
    return lightning_cli.main(["fit", "--config", str(CONFIG), *arguments])


def test_fit_writes_a_prior(tmp_path: Path) -> None:
    assert fit(tmp_path, tmp_path / "prior") == 0
    prior = DiffusionPrior.from_pretrained(str(tmp_path / "prior"), num_steps=3)
    assert prior.schedule.prediction_type == "v_prediction"
    with torch.no_grad():
        torch.testing.assert_close(prior.generate(prior.invert(photos())), photos(), rtol=0, atol=1e-6)


@pytest.mark.slow
def test_a_training_that_goes_on_in_the_middle_of_an_epoch_ends_with_the_same_prior(tmp_path: Path) -> None:
    """With EMA, as in the configuration that ships; the batches of a step have different noise."""
    average = {"class_path": "lightning.pytorch.callbacks.EMAWeightAveraging"}
    keep = {"every_n_train_steps": 1, "save_top_k": -1, "filename": "{step}", "dirpath": str(tmp_path)}
    checkpoint = {"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": keep}
    more = {
        "--trainer.callbacks": json.dumps([average, checkpoint]),
        "--trainer.enable_checkpointing": "true",
        "--trainer.accumulate_grad_batches": 2,
        "--data.samples": 48,
        "--trainer.limit_val_batches": 0,
    }
    assert fit(tmp_path, tmp_path / "whole", **more) == 0
    assert fit(tmp_path, tmp_path / "second", **more, **{"--ckpt_path": tmp_path / "step=1.ckpt"}) == 0
    whole, second = (UNet2DModel.from_pretrained(tmp_path / name / "unet").state_dict() for name in ("whole", "second"))
    assert all(torch.equal(second[name], weight) for name, weight in whole.items())


def test_noise_differs_between_processes_batches_epochs_and_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    training, seen = PriorTraining(dict(unet(2).config), "unused"), []
    monkeypatch.setattr(training, "log", lambda *_, **__: None)

    class Blind(torch.nn.Module):
        def forward(self, x, t):  # type: ignore[no-untyped-def]
            seen.append((x, t))
            return type("Out", (), {"sample": torch.zeros_like(x)})

    monkeypatch.setattr(training, "unet", Blind())
    place = {"global_rank": 0, "current_epoch": 0}
    for name in place:
        monkeypatch.setattr(PriorTraining, name, property(lambda _, name=name: place[name]))
    images = photos(8, 16, 16)

    def noise(seed: int, rank: int, epoch: int, batch: int) -> torch.Tensor:
        monkeypatch.setenv("PL_GLOBAL_SEED", str(seed))
        place.update(global_rank=rank, current_epoch=epoch)
        training.training_step(images, batch)
        return seen[-1][0]

    drawn = [noise(*numbers) for numbers in [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]]
    assert all(torch.equal(a, b) == (a is b) for a in drawn for b in drawn)
    assert torch.equal(noise(0, 0, 0, 0), drawn[0])


def test_no_step_or_a_broken_network_leaves_the_prior_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "prior" / "unet").mkdir(parents=True)
    (weights := tmp_path / "prior" / "unet" / "diffusion_pytorch_model.safetensors").write_text("trained before")
    assert fit(tmp_path, tmp_path / "prior", **{"--trainer.max_epochs": 0}) == 1
    monkeypatch.setattr(PriorTraining, "on_train_end", lambda self: self.unet.conv_in.bias.data.fill_(1e6))
    assert fit(tmp_path, tmp_path / "prior") == 1
    assert "the trained network holds numbers that are not finite, in conv_in.bias" in capsys.readouterr().err
    assert weights.read_text() == "trained before"
    assert fit(tmp_path, tmp_path / "prior", **{"--data.samples": 4}) == 1
    assert "has no full batch of 8" in capsys.readouterr().err
