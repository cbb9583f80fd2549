import json
from pathlib import Path

import pytest
import torch
from jsonargparse import ArgumentParser
from torch import Tensor
from toys import Brightness, photos, save_quality

from dlmap import MAPObjective
from dlmap.quality import PUBLISHED, Mixture, MSLIQEQuality, PyiqaQuality
from mslique import MSLIQE, Calibration, UserError
from mslique.module import RECORD


def test_quality_is_the_models_score_calibrated_and_moves_pixels_only(tmp_path: Path) -> None:
    save_quality(str(tmp_path))
    quality, images = MSLIQEQuality(str(tmp_path), 3.0, 0.5), photos(2, 48, 48).requires_grad_()
    scores = quality(images)
    raw = MSLIQE.from_pretrained(str(tmp_path)).eval()(images)
    torch.testing.assert_close(scores, 100 / (1 + torch.exp(-(raw - 3.0) / 0.5)))
    scores.sum().backward()
    assert images.grad is not None and images.grad.abs().max() > 0
    assert not any(p.requires_grad for p in quality.parameters())


def test_every_part_of_a_large_image_counts(tmp_path: Path) -> None:
    save_quality(str(tmp_path))
    images = photos(1, 96, 130).requires_grad_()
    pieces = [images[..., top : top + 48, left : left + 48] for top in (0, 48) for left in (0, 41, 82)]
    quality, whole = (MSLIQEQuality(str(tmp_path), 3.0, 0.5, piece) for piece in (48, 0))
    expected = torch.stack([whole(piece) for piece in pieces]).mean(dim=0)
    torch.testing.assert_close(quality(images), expected)
    torch.testing.assert_close(whole(images), 100 / (1 + torch.exp(-(whole.model(images) - 3.0) / 0.5)))
    (gradient,) = torch.autograd.grad(quality(images).sum(), images)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected.sum(), images)[0])
    some = MSLIQEQuality(str(tmp_path), 3.0, 0.5, 48, most_pieces=2)
    torch.testing.assert_close(some(images), torch.stack([whole(pieces[0]), whole(pieces[2])]).mean(dim=0))
    for wrong in ({"piece": -1}, {"most_pieces": 0}):
        with pytest.raises(UserError, match=f"{[*wrong][0]} must be"):
            MSLIQEQuality(str(tmp_path), **wrong)


def test_constants_come_from_the_model_or_are_asked_for(tmp_path: Path) -> None:
    save_quality(str(tmp_path))
    images, config = photos(1, 48, 48), tmp_path / "config.json"
    published = MSLIQEQuality(str(tmp_path))
    assert (published.calibration, published.piece) == (Calibration(1.98447, 0.93984), 512)
    torch.testing.assert_close(published(images), MSLIQEQuality(str(tmp_path), 1.98447, 0.93984, 512)(images))
    values = json.loads(config.read_text()) | {"center": None, "scale": None}
    config.write_text(json.dumps(values))
    with pytest.raises(UserError, match=f"no center and scale .* `dlmap calibrate IMAGES --quality {tmp_path}`"):
        MSLIQEQuality(str(tmp_path))
    config.write_text(json.dumps(values | {"center": 2.0}))
    with pytest.raises(UserError, match="needs both center and a positive scale"):
        MSLIQEQuality(str(tmp_path))


def test_missing_model(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="model.safetensors"):
        MSLIQEQuality(str(tmp_path))


def test_a_lightning_checkpoint_is_the_same_model(tmp_path: Path) -> None:
    save_quality(str(tmp_path))
    model = MSLIQE.from_pretrained(str(tmp_path))
    weights = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": weights, RECORD: {"config": model._hub_mixin_config}}, tmp_path / "last.ckpt")
    images = photos(1, 48, 48)
    checkpoint, folder = MSLIQEQuality(str(tmp_path / "last.ckpt")), MSLIQEQuality(str(tmp_path))
    torch.testing.assert_close(checkpoint(images), folder(images))
    with pytest.raises(UserError, match="none.ckpt is not a file"):
        MSLIQEQuality(str(tmp_path / "none.ckpt"))


def test_pyiqas_metric_is_calibrated_and_negated_where_lower_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    quality, images = PyiqaQuality("cnniqa", 0.1, 0.02, {"pretrained": None}), photos(2)
    raw = quality.model.metric.metric.net(images).flatten()
    torch.testing.assert_close(quality(images), 100 / (1 + torch.exp(-(raw - 0.1) / 0.02)))
    monkeypatch.setattr(quality.model.metric, "lower_better", True)
    torch.testing.assert_close(quality(images), 100 / (1 + torch.exp((raw + 0.1) / 0.02)))


def test_constants_are_published_or_must_be_given() -> None:
    assert PUBLISHED["musiq"](torch.tensor(43.53914)) == 50
    with pytest.raises(UserError, match="no calibration is known for cnniqa: .*dlmap calibrate"):
        PyiqaQuality("cnniqa")
    with pytest.raises(UserError, match="needs both center and a positive scale"):
        PyiqaQuality("cnniqa", center=1.0)


def test_a_mixture_is_the_weighted_mean() -> None:
    class Darkness(Brightness):
        def forward(self, images: Tensor) -> Tensor:
            return 100 - super().forward(images)

    images = photos(3)
    bright = Brightness()(images)
    torch.testing.assert_close(Mixture([Brightness(), Darkness()])(images), torch.full((3,), 50.0))
    torch.testing.assert_close(Mixture([Brightness(), Darkness()], [3, 1])(images), 25 + bright / 2)
    for models, weights in (([], None), ([Brightness()], [1.0, 2.0]), ([Brightness()], [0.0])):
        with pytest.raises(UserError, match="a positive weight for each model"):
            Mixture(models, weights)


def test_a_mixture_is_made_from_a_configuration(tmp_path: Path) -> None:
    save_quality(str(tmp_path))
    pyiqa = {"name": "cnniqa", "center": 0.1, "scale": 0.02, "options": {"pretrained": None}}
    parts = [
        {"class_path": "dlmap.quality.MSLIQEQuality", "init_args": {"model": str(tmp_path)}},
        {"class_path": "dlmap.quality.PyiqaQuality", "init_args": pyiqa},
    ]
    parser = ArgumentParser()
    parser.add_argument("--objective", type=MAPObjective)
    quality = {"class_path": "dlmap.quality.Mixture", "init_args": {"models": parts, "weights": [2, 1]}}
    fidelity = {"class_path": "dlmap.fidelity.PyiqaFidelity", "init_args": {"name": "ssim"}}
    arguments = {"class_path": "dlmap.MAPObjective", "init_args": {"quality": quality, "fidelity": fidelity}}
    objective = parser.instantiate_classes(parser.parse_object({"objective": arguments})).objective
    terms = objective(photos(1, 48, 48), photos(1, 48, 48))
    one, other = (model(photos(1, 48, 48)) for model in objective.quality.models)
    torch.testing.assert_close(terms.quality, (2 * one + other) / 3)
