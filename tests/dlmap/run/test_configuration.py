from pathlib import Path

import pytest
import torch
import yaml
from toys import CONFIG, photos, predict

from dlmap import enhance, load_config
from dlmap.run.pictures import save_png
from mslique import UserError, read_image


def test_python_and_the_command_make_the_same_picture(tmp_path: Path, models: list[str]) -> None:
    save_png(photos(1, 32, 40)[0], tmp_path / "in" / "a.png")
    assert predict(tmp_path / "in", tmp_path / "out", *models) == 0
    prior, objective, ascent = load_config(tmp_path / "out" / "config.yaml")
    (result,) = enhance(read_image(tmp_path / "in" / "a.png")[None], prior, objective, ascent)
    assert torch.equal(result.image.mul(255).round(), read_image(tmp_path / "out" / "a.png").mul(255).round())


def test_what_ships_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    prior, objective, ascent = load_config("dlmap/tiny.yaml")
    written = yaml.safe_load(CONFIG.with_name("tiny.yaml").read_text())["model"]["init_args"]
    assert prior is not None and objective.fidelity_weight == written["objective"]["init_args"]["fidelity_weight"]
    assert [one.domain for one in ascent] == ["bands"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model: [", "cannot be read"),
        ("just words", "no entry `model`"),
        ("data: {}", "no entry `model`"),
        ("model: {class_path: mslique.module.MSLIQEModule}", "cannot be made"),
        ("model: {class_path: os.system, init_args: {command: 'touch danger'}}", "cannot be made"),
        ("model: {class_path: dlmap.run.module.MAPEnhancer, init_args: {ascent: {domain: moon}}}", "cannot be made"),
    ],
)
def test_what_is_no_configuration_is_refused_by_name(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(text)
    with pytest.raises(UserError, match=f"^mine.yaml.*{message}"):
        load_config("mine.yaml")
    assert not Path("danger").exists()


def test_a_missing_file_and_models_that_cannot_be_loaded_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none.yaml cannot be read"):
        load_config(tmp_path / "none.yaml")
    config = yaml.safe_load(CONFIG.read_text())
    config["model"]["init_args"]["prior"]["init_args"]["path"] = str(tmp_path)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match=str(tmp_path)):
        load_config(tmp_path / "mine.yaml")
