"""What ships is found from any working directory, and a wrong name is refused without the network."""

from pathlib import Path

import pytest
import torch

from dlmap import DiffusionPrior
from dlmap.pretrain.module import PriorTraining
from mslique import MSLIQE, SHIPPED, UserError, lightning_cli, model_source
from mslique.clip_weights import load_clip_weights
from mslique.io.shipped import located, shipped_models

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_names_of_what_ships_are_found() -> None:
    assert SHIPPED == ROOT
    for name in ("data/ldm-tiny", "./data/ldm-tiny", "ldm-tiny"):
        assert located(name) == str(ROOT / "data" / "ldm-tiny")
    for name in ("configs/dlmap/tiny.yaml", "dlmap/tiny.yaml", Path("configs/dlmap/tiny.yaml")):
        assert located(name) == str(ROOT / "configs" / "dlmap" / "tiny.yaml")
    assert shipped_models() == ["data/critic-tiny", "data/ldm-tiny", "data/mslique-tiny", "data/mslique-witness"]


def test_a_path_that_exists_wins(elsewhere: Path) -> None:
    (elsewhere / "data" / "ldm-tiny").mkdir(parents=True)
    assert located("data/ldm-tiny") == "data/ldm-tiny"
    assert located("data/mslique-tiny") == str(
        ROOT / "data" / "mslique-tiny"
    )  # the user's own data/ hides nothing else


@pytest.mark.parametrize(
    "name", ["src", "README.md", "docs", "data/../src", "../data/ldm-tiny", "openai", "x\0y", "y" * 999]
)
def test_nothing_else_is_found(name: str) -> None:
    assert located(name) == name


@pytest.mark.parametrize(
    "name", ["data/no", "configs/no", "no", "/no/model", "./no", "a/b/c", "~/model", "a/-b", "a b/c", "a\\b"]
)
def test_what_cannot_be_an_id_is_refused_at_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_: object, **__: object) -> str:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("mslique.io.hub.hf_hub_download", asked)
    monkeypatch.setattr("diffusers.DiffusionPipeline.load_config", asked)
    for load in (MSLIQE.from_pretrained, DiffusionPrior.from_pretrained):
        with pytest.raises(UserError, match="nor a model that ships .*data/ldm-tiny.* check the path"):
            load(name)


def test_an_id_stays_one() -> None:
    assert model_source("stable-diffusion-v1-5/stable-diffusion-v1-5") == "stable-diffusion-v1-5/stable-diffusion-v1-5"


def test_every_loader_knows_what_ships() -> None:
    DiffusionPrior.from_pretrained("data/ldm-tiny", num_steps=2)
    model = MSLIQE.from_pretrained("data/mslique-tiny")
    before = model.clip.visual.trunk.conv_stem.weight.clone()
    with torch.no_grad():
        model.clip.visual.trunk.conv_stem.weight.zero_()
    load_clip_weights(model.clip, "data/mslique-tiny", {})
    assert torch.equal(model.clip.visual.trunk.conv_stem.weight, before)
    assert PriorTraining({}, "out", initial="ldm-tiny").patch == 4


@pytest.mark.parametrize(
    "options", [["--config", "configs/dlmap/tiny.yaml"], ["--config=dlmap/tiny.yaml"], ["-c", "dlmap/tiny.yaml"]]
)
def test_configurations_are_found(options: list[str]) -> None:
    settings = lightning_cli.parse(["predict", *options, "--data.folder", "in"])
    assert settings["model"]["init_args"]["prior"]["init_args"]["path"] == "data/ldm-tiny"
