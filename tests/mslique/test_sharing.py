import json
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from safetensors import SafetensorError

from mslique import MSLIQE, UserError
from mslique.data.synthetic_datamodule import DegradedPhotos
from mslique.module import QualityModule
from mslique.sharing import RECORD, export_checkpoint, load_model


@pytest.fixture(scope="module")
def checkpoint(tiny_backbone: dict[str, Any], photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    seed_everything(11)
    learner = QualityModule(model={"backbone": tiny_backbone, "n_crops": 2}, clip_in_eval_mode=False)
    data = DegradedPhotos(str(photo_folder), crop_size=64, batch_size=4, samples_per_epoch=8, val_samples=8)
    saving = ModelCheckpoint(folder, "best", monitor="val_srcc", mode="max")
    options: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    Trainer(max_epochs=1, accelerator="cpu", callbacks=[saving], **options).fit(learner, data)
    return folder / "best.ckpt"


def test_an_exported_model_scores_as_the_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    export_checkpoint(checkpoint, tmp_path)
    images = torch.rand(2, 3, 80, 90)
    expected = QualityModule.load_from_checkpoint(checkpoint, weights_only=True).eval()(images)
    torch.testing.assert_close(MSLIQE.from_pretrained(tmp_path)(images), expected)
    torch.testing.assert_close(load_model(checkpoint)(images), expected)
    torch.testing.assert_close(load_model(tmp_path)(images), expected)
    assert json.loads((tmp_path / "config.json").read_text())["n_crops"] == 2


def test_the_card_tells_data_command_seed_and_correlations(
    checkpoint: Path, photo_folder: Path, tmp_path: Path
) -> None:
    export_checkpoint(checkpoint, tmp_path, command="lightning fit PHOTOS", data="Four cats.", measured="SRCC 0.9")
    card = (tmp_path / "README.md").read_text()
    said = ("Seed 11", "1 epochs", "| val | SRCC | PLCC |", "mslique was trained on people's scores")
    for expected in ("lightning fit PHOTOS", "Four cats.", "SRCC 0.9", *said):
        assert expected in card
    assert str(photo_folder) not in card and "library_name: mslique" in card.split("---")[1]


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a file"):
        export_checkpoint(tmp_path / "none.ckpt", tmp_path)
    torch.save({"state_dict": {}}, tmp_path / "other.ckpt")
    with pytest.raises(UserError, match="not a checkpoint of mslique"):
        export_checkpoint(tmp_path / "other.ckpt", tmp_path)
    (tmp_path / "text.ckpt").write_text("hello")
    with pytest.raises(UserError, match="cannot be read"):
        export_checkpoint(tmp_path / "text.ckpt", tmp_path)


def test_the_divisor_of_the_levels_can_be_replaced(checkpoint: Path, tmp_path: Path) -> None:
    hard = export_checkpoint(checkpoint, tmp_path / "hard")
    export_checkpoint(checkpoint, tmp_path / "soft", softmax_divisor=7.0)
    soft = MSLIQE.from_pretrained(str(tmp_path / "soft"))
    assert soft.softmax_divisor == 7.0 != hard.softmax_divisor
    torch.testing.assert_close(soft.clip.logit_scale, hard.clip.logit_scale)


def test_constants_of_other_scores_are_not_exported(checkpoint: Path, tmp_path: Path) -> None:
    found = torch.load(checkpoint, weights_only=True)
    found[RECORD]["config"] |= {"center": 3.0, "scale": 0.5}
    torch.save(found, tmp_path / "c.ckpt")
    assert export_checkpoint(tmp_path / "c.ckpt", tmp_path / "same").calibration is not None
    assert export_checkpoint(tmp_path / "c.ckpt", tmp_path / "other", softmax_divisor=7.0).calibration is None
    assert json.loads((tmp_path / "other" / "config.json").read_text())["center"] is None


def test_half_precision_takes_half_the_space_and_is_loaded_as_single(checkpoint: Path, tmp_path: Path) -> None:
    images = torch.rand(2, 3, 80, 90)
    sizes, scores = {}, {}
    for half in (False, True):
        folder = tmp_path / str(half)
        returned = export_checkpoint(checkpoint, folder, half=half)
        loaded = MSLIQE.from_pretrained(folder)
        assert {p.dtype for p in loaded.parameters()} == {torch.float32}
        sizes[half], scores[half] = (folder / "model.safetensors").stat().st_size, loaded(images)
        torch.testing.assert_close(returned(images), scores[half])
    assert sizes[True] < 0.55 * sizes[False]
    torch.testing.assert_close(scores[True], scores[False], atol=0.01, rtol=0)
    assert not torch.equal(scores[True], scores[False])


def test_weights_too_large_for_half_precision_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    found = torch.load(checkpoint, weights_only=True)
    found["state_dict"]["model.clip.visual.conv1.weight"][0] = 1e5
    torch.save(found, tmp_path / "large.ckpt")
    with pytest.raises(UserError, match="not finite"):
        export_checkpoint(tmp_path / "large.ckpt", tmp_path / "folder", half=True)
    assert not (tmp_path / "folder").exists()


def test_a_full_disk_leaves_the_earlier_export(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_checkpoint(checkpoint, tmp_path)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def full(*_: object, **__: object) -> None:
        raise SafetensorError("I/O error: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("safetensors.torch.save_model", full)
        with pytest.raises(UserError, match="cannot be written .*No space left"):
            export_checkpoint(checkpoint, tmp_path, softmax_divisor=3.0)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    export_checkpoint(checkpoint, tmp_path, softmax_divisor=3.0)
    assert (tmp_path / "config.json").read_bytes() != before["config.json"]


@pytest.mark.parametrize("name", ["README.md", "config.json"])
def test_files_of_another_project_are_not_replaced(name: str, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match="is not of an exported MS-LIQE, and would be replaced"):
        export_checkpoint(checkpoint, tmp_path)
    assert (tmp_path / name).read_text() == "{}"
