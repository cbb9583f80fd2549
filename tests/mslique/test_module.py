from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from mslique import MSLIQE, UserError, fidelity_loss, srcc
from mslique.clip_weights import load_clip_weights
from mslique.data.batch import Batch, Sample, batch_of_images
from mslique.data.synthetic_datamodule import DegradedPhotos
from mslique.lightning_cli import run
from mslique.module import QualityModule
from mslique.sharing import RECORD

CONFIGS = Path(__file__).parents[2] / "configs" / "mslique"
QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def brightness(count: int, datasets: int = 1) -> Batch:
    """Grey images whose label is their brightness."""
    labels = torch.linspace(0, 1, count)[torch.randperm(count, generator=torch.Generator().manual_seed(0))]
    noise = 0.1 * torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    numbers = torch.arange(count)
    return Batch(0.9 * labels.view(-1, 1, 1, 1) + noise, labels, numbers % datasets, numbers)


def loader(images: Batch, batch_size: int) -> DataLoader:
    samples = [Sample(*row) for row in zip(*images, strict=True)]
    return DataLoader(dataset=samples, batch_size=batch_size, collate_fn=batch_of_images)  # type: ignore[arg-type]


def module(config: dict[str, Any], **options: Any) -> QualityModule:
    defaults = {"learning_rate": 3e-3, "train_crops": 1, "clip_in_eval_mode": False}
    return QualityModule(model=config, **{**defaults, **options})


@pytest.fixture
def config(tiny_backbone: dict[str, Any]) -> dict[str, Any]:
    return {"backbone": tiny_backbone, "n_crops": 1, "crop_rule": "even"}


def test_training_learns_a_simple_quality(config: dict[str, Any], tmp_path: Path) -> None:
    seed_everything(0)
    data = loader(brightness(64), 16)
    learner = module(config)
    trainer = Trainer(max_epochs=12, default_root_dir=tmp_path, enable_checkpointing=False, **QUIET)
    trainer.fit(learner, data, data)
    assert trainer.callback_metrics["val_srcc"] > 0.9


def test_the_logged_correlations_are_means_over_datasets(config: dict[str, Any], tmp_path: Path) -> None:
    learner, data = module(config).eval(), brightness(15, datasets=2)
    result = Trainer(default_root_dir=tmp_path, **QUIET).test(learner, loader(data, 4))
    images, labels, ids, _ = data
    with torch.no_grad():
        scores = learner(images)
    expected = [srcc(scores[ids == k].numpy(), labels[ids == k].numpy()) for k in (0, 1)]
    assert result[0]["test_srcc"] == pytest.approx(sum(expected) / 2, abs=1e-5)


@pytest.mark.parametrize("eval_mode", [True, False])
def test_clips_mode_in_training_is_a_choice(eval_mode: bool, config: dict[str, Any], tmp_path: Path) -> None:
    learner = module(config, clip_in_eval_mode=eval_mode, freeze_logit_scale=True)
    before = {k: v.clone() for k, v in learner.model.clip.state_dict().items()}
    data = loader(brightness(8), 4)
    Trainer(max_epochs=1, default_root_dir=tmp_path, enable_checkpointing=False, **QUIET).fit(learner, data)
    after = learner.model.clip.state_dict()
    assert torch.equal(before["visual.bn1.running_mean"], after["visual.bn1.running_mean"]) == eval_mode
    assert not torch.equal(before["visual.conv1.weight"], after["visual.conv1.weight"])
    assert not torch.equal(before["token_embedding.weight"], after["token_embedding.weight"])
    assert torch.equal(before["logit_scale"], after["logit_scale"])


def test_the_loss_is_the_fidelity_loss_over_the_batchs_datasets(config: dict[str, Any]) -> None:
    learner = module(config, train_crops=None)
    learner.log = lambda *_, **__: None  # type: ignore[method-assign]
    batch = brightness(6, datasets=2)
    learner.eval()
    torch.testing.assert_close(learner.training_step(batch, 0), fidelity_loss(learner(batch.images), *batch[1:3]))


def test_random_views_differ_between_processes_batches_epochs_and_seeds(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batches of one step of the optimiser differ too, and torch's generators stay as they are, CUDA's also."""
    learner = module(config, train_crops=4)
    monkeypatch.setattr(learner, "log", lambda *_, **__: None)
    seen: list[Any] = []
    monkeypatch.setattr(learner.model, "level_probabilities", lambda images, views: seen.append(views(images)) or None)
    monkeypatch.setattr(learner.model, "score", lambda _: torch.zeros(4, requires_grad=True))
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    place = {"global_rank": 0, "current_epoch": 0}
    for name in place:
        monkeypatch.setattr(QualityModule, name, property(lambda _, name=name: place[name]))
    batch = brightness(4)._replace(images=torch.rand(4, 3, 128, 128))

    def views(seed: int, rank: int, epoch: int, number: int) -> torch.Tensor:
        monkeypatch.setenv("PL_GLOBAL_SEED", str(seed))
        place.update(global_rank=rank, current_epoch=epoch)
        learner.training_step(batch, number)
        return seen[-1]

    before = torch.random.get_rng_state()
    drawn = [views(*numbers) for numbers in [(0, 0, 0, 0), (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]]
    assert all(torch.equal(a, b) == (a is b) for a in drawn for b in drawn)
    assert torch.equal(views(0, 0, 0, 0), drawn[0])
    assert torch.equal(torch.random.get_rng_state(), before) and not seeds


def test_training_can_look_at_other_scales(config: dict[str, Any]) -> None:
    learner = module(config, train_scales=[1.0])
    assert learner.train_views.scales == (1.0,) and learner.model.views.scales == (1.0, 0.75)
    assert module(config, train_scales=None).train_views.scales == (1.0, 0.75)


def test_the_learning_rate_rises_and_then_falls_along_a_cosine(config: dict[str, Any], tmp_path: Path) -> None:
    learner = module(config, warmup_steps=3, learning_rate=1.0)
    trainer = Trainer(max_epochs=1, default_root_dir=tmp_path, **QUIET)
    trainer.strategy.connect(learner)
    learner.trainer = trainer
    trainer.fit_loop.setup_data = lambda: None  # type: ignore[method-assign]
    trainer.fit_loop.max_batches = 20
    scheduler = learner.configure_optimizers()["lr_scheduler"]["scheduler"]
    rates = [scheduler.lr_lambdas[0](step) for step in range(21)]
    assert rates[0] == pytest.approx(0.25) and max(rates) == rates[3]
    assert rates[10] == pytest.approx(0.5) and rates[20] == pytest.approx(0)


def test_a_run_of_the_data_module_can_be_repeated(config: dict[str, Any], photo_folder: Path, tmp_path: Path) -> None:
    def weights() -> dict[str, torch.Tensor]:
        seed_everything(5)
        data = DegradedPhotos(str(photo_folder), crop_size=64, batch_size=4, samples_per_epoch=8, val_samples=8)
        learner = module(config)
        trainer = Trainer(max_epochs=2, default_root_dir=tmp_path, enable_checkpointing=False, **QUIET)
        trainer.fit(learner, data)
        return learner.state_dict()

    first, second = weights(), weights()
    assert all(torch.equal(first[name], second[name]) for name in first)
    untrained = QualityModule(config)
    assert not torch.equal(first["model.clip.text_projection"], untrained.model.clip.text_projection)


def test_training_can_start_from_a_shared_model(config: dict[str, Any], tmp_path: Path) -> None:
    model = MSLIQE(**config).eval()
    model.save_pretrained(tmp_path)
    images = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(QualityModule(pretrained=str(tmp_path)).eval()(images), model(images))


def test_training_moves_the_scores_that_the_constants_belong_to(config: dict[str, Any], tmp_path: Path) -> None:
    MSLIQE(**config, center=3.0, scale=0.5).save_pretrained(tmp_path)
    learner = QualityModule(pretrained=str(tmp_path))
    assert MSLIQE.from_pretrained(tmp_path).calibration is not None and learner.model.calibration is None
    assert learner.model._hub_mixin_config["center"] is learner.model._hub_mixin_config["scale"] is None


@pytest.mark.parametrize("eval_mode", [True, False])
def test_an_epoch_that_goes_on_from_its_middle_trains_as_one_that_starts(
    eval_mode: bool, config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shared model is loaded in eval mode, where text features are kept without their gradient."""
    MSLIQE(**config).save_pretrained(tmp_path / "model")
    data, modes, step = loader(brightness(16), 4), [], QualityModule.training_step

    def noted(self: QualityModule, *batch: Any) -> Any:
        modes.append((self.model.training, self.model.clip.training))
        return step(self, *batch)

    monkeypatch.setattr(QualityModule, "training_step", noted)
    for resumed in (None, str(tmp_path / "step=2.ckpt")):
        keep = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=1, save_top_k=-1)
        learner = QualityModule(pretrained=str(tmp_path / "model"), clip_in_eval_mode=eval_mode)
        Trainer(max_epochs=1, callbacks=[keep], **QUIET).fit(learner, data, ckpt_path=resumed)
    assert modes == [(True, not eval_mode)] * 6


def test_a_model_that_gives_no_numbers_stops(config: dict[str, Any], tmp_path: Path) -> None:
    learner = module(config)
    with torch.no_grad():
        learner.model.clip.text_projection.fill_(float("nan"))
    with pytest.raises(UserError, match="4 of 4 scores of test are not finite"):
        Trainer(default_root_dir=tmp_path, **QUIET).test(learner, loader(brightness(4), 2))


def test_the_recorded_time_includes_that_before_an_interruption(config: dict[str, Any], tmp_path: Path) -> None:
    data = loader(brightness(4), 2)

    def fitted(epochs: int, start: Path | None) -> dict[str, Any]:
        trainer = Trainer(max_epochs=epochs, default_root_dir=tmp_path, enable_checkpointing=False, **QUIET)
        trainer.fit(module(config), data, ckpt_path=start, weights_only=True)
        trainer.save_checkpoint(tmp_path / "end.ckpt")
        return torch.load(tmp_path / "end.ckpt", weights_only=True)

    first = fitted(1, None)
    assert 0 < first[RECORD]["seconds"] < 600
    first[RECORD]["seconds"] = 7200.0
    torch.save(first, tmp_path / "start.ckpt")
    assert 7200 < fitted(2, tmp_path / "start.ckpt")[RECORD]["seconds"] < 7800


def test_exactly_one_starting_point_is_needed(config: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="would replace"):
        QualityModule(pretrained="x", clip_weights="y")
    with pytest.raises(UserError, match="either"):
        QualityModule()
    with pytest.raises(UserError, match="either"):
        QualityModule(model=config, pretrained="x")


def test_liqes_learning_rate_has_one_value_an_epoch(config: dict[str, Any], tmp_path: Path) -> None:
    data = loader(brightness(8), 4)
    learner = module(config, cosine_epochs=5, learning_rate=0.1)
    seen: list[float] = []
    learner.on_train_batch_start = lambda *_: seen.append(learner.optimizers().param_groups[0]["lr"])  # type: ignore
    Trainer(max_epochs=8, default_root_dir=tmp_path, enable_checkpointing=False, **QUIET).fit(learner, data)
    parameter = torch.nn.Parameter(torch.zeros(1))
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(torch.optim.SGD([parameter], lr=0.1), T_max=5)
    expected = []
    for _ in range(8):
        expected += 2 * reference.get_last_lr()
        reference.optimizer.step()
        reference.step()
    assert seen == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("tag", ["openai", "laion400m_e32", "metaclip_400m"])
def test_weights_of_another_activation_are_refused(tag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They would fit, and all features would be wrong."""
    asked: list[Any] = []
    monkeypatch.setattr("open_clip.pretrained.download_pretrained", lambda config: asked.append(config) or "none.pt")
    with pytest.raises(UserError, match="QuickGELU, unlike the backbone ViT-B-32: set backbone: ViT-B-32-quickgelu"):
        load_clip_weights(None, tag, "ViT-B-32")
    assert not asked
    with pytest.raises(UserError, match="none.pt is not a file"):
        load_clip_weights(None, tag, "ViT-B-32-quickgelu")


def test_clip_weights_come_from_a_file_or_a_known_name(config: dict[str, Any], tmp_path: Path) -> None:
    source = MSLIQE(**config)
    torch.save(source.clip.state_dict(), tmp_path / "clip.pt")
    learner = QualityModule(model=config, clip_weights=str(tmp_path / "clip.pt"))
    assert torch.equal(learner.model.clip.visual.conv1.weight, source.clip.visual.conv1.weight)
    with pytest.raises(UserError, match="neither a file nor open_clip's name"):
        QualityModule(model=config, clip_weights="openai")  # of no named backbone


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_configuration_is_understood(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run(["fit", f"--config={path}", "--print_config"])
    assert stop.value.code == 0
    assert yaml.safe_load(capsys.readouterr().out)["model"]["class_path"] == "mslique.module.QualityModule"


def test_the_tiny_configuration_runs(photo_folder: Path, tmp_path: Path) -> None:
    options = [
        f"--config={CONFIGS / 'tiny.yaml'}",
        f"--data.folder={photo_folder}",
        f"--output={tmp_path}",
        "--trainer.accelerator=cpu",
        "--trainer.fast_dev_run=1",
        "--data.batch_size=2",
    ]
    trainer = run(["fit", *options]).trainer
    assert trainer.state.finished and "train_loss" in trainer.callback_metrics
