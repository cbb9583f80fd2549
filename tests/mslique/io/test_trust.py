"""What the files of others cannot do: run code through weights or configurations, or pass for sound when damaged."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mslique import MSLIQE, UserError, lightning_cli, load_model, only_weights
from mslique.cli import main
from mslique.io.trust import FORCE, read_weights
from mslique.module import QualityModule


class Danger:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return os.mkdir, (self.path,)


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    torch.save({"state_dict": Danger(tmp_path / "ran"), "pytorch-lightning_version": "2.6.0"}, tmp_path / "evil.ckpt")
    torch.save({"visual.conv1.weight": Danger(tmp_path / "ran")}, tmp_path / "evil.pt")
    return tmp_path


def fit(folder: Path, *options: str) -> list[str]:
    config = Path(__file__).parents[3] / "configs" / "mslique" / "tiny.yaml"
    small = ["--trainer.accelerator=cpu", "--trainer.max_epochs=1", f"--output={folder / 'out'}"]
    return ["fit", "--config", str(config), f"--data.folder={folder}", *small, *options]


@pytest.mark.parametrize("kind", ["load", "score", "import", "resume", "resume unsafely"])
def test_no_code_in_a_checkpoint_is_run(
    kind: str, evil: Path, photo_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if kind == "load":
        with pytest.raises(UserError, match="evil.ckpt cannot be read as plain weights") as refused:
            load_model(evil / "evil.ckpt")
        assert "weights_only" not in str(refused.value)
    elif kind.startswith("resume"):
        options = ["--weights_only=false"] if kind == "resume unsafely" else []
        arguments = fit(photo_folder, f"--ckpt_path={evil / 'evil.ckpt'}", f"--output={tmp_path / 'o'}", *options)
        assert lightning_cli.main(arguments) == 1
    else:
        calls = {"score": ["score", str(photo_folder), "--model", "evil.ckpt"], "import": ["import", "evil.pt", "x"]}
        assert main([str(evil / word) if word.startswith("evil") else word for word in calls[kind]]) == 2
    if kind != "load":
        error = capsys.readouterr().err
        assert "cannot be read as plain weights" in error and "Traceback" not in error
    assert not (evil / "ran").exists()


def test_libraries_are_held_to_weights_too(evil: Path) -> None:
    with only_weights(), pytest.raises(Exception, match="Weights only load failed"):
        torch.load(evil / "evil.pt", weights_only=False)
    assert FORCE not in os.environ and not (evil / "ran").exists()
    torch.load(evil / "evil.pt", weights_only=False)
    assert (evil / "ran").exists()  # it was a danger


ESCAPES: dict[str, dict[str, Any]] = {
    "a process": {"class_path": "subprocess.Popen", "init_args": {"args": ["mkdir", "ran"]}},
    "a function": {"class_path": "os.mkdir", "init_args": {"path": "ran"}},
    "a module's import": {"class_path": "antigravity.Any"},
    "a library's loader": {"class_path": "torch.hub.load", "init_args": {"repo_or_dir": "x", "model": "y"}},
    "a network of another library": {
        "class_path": "pyiqa.archs.cnniqa_arch.CNNIQA", "init_args": {"pretrained_model_path": "evil.pt"},
    },
    "through an own module": {"class_path": "mslique.io.trust.os.mkdir", "init_args": {"path": "ran"}},
    "an own checkpoint": {
        "class_path": "mslique.module.QualityModule.load_from_checkpoint",
        "init_args": {"checkpoint_path": "evil.ckpt", "weights_only": False},
    },
}  # fmt: skip
CALLBACKS: dict[str, dict[str, Any]] = {
    "a callback that calls anything": {
        "class_path": "lightning.pytorch.callbacks.LambdaCallback", "init_args": {"setup": "os.abort"},
    },
    "a process as a callback": ESCAPES["a process"],
}  # fmt: skip


@pytest.mark.parametrize("kind", [*ESCAPES, *CALLBACKS, "a tag"])
def test_a_configuration_names_known_classes_alone(
    kind: str, evil: Path, photo_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(evil)
    if kind in ESCAPES:
        text = json.dumps({"model": ESCAPES[kind]})
    elif kind in CALLBACKS:
        text = json.dumps({"trainer": {"callbacks": [CALLBACKS[kind]]}})
    else:
        text = "model: !!python/object/apply:os.mkdir [ran]"
    Path("theirs.yaml").write_text(text)
    with pytest.raises(SystemExit) as stop:
        lightning_cli.main(fit(photo_folder, "--config", "theirs.yaml"))
    assert stop.value.code == 2 and "Traceback" not in capsys.readouterr().err
    assert not Path("ran").exists()


def test_further_packages_are_a_choice_of_the_environment(
    photo_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = ["--model=lightning.pytorch.demos.boring_classes.BoringModel", "--print_config"]
    with pytest.raises(SystemExit) as stop:
        lightning_cli.main(["fit", *ours])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and "is not allowed" in error and "environment variable MSLIQE_CLASSES" in error
    monkeypatch.setenv("MSLIQE_CLASSES", "lightning.pytorch.demos")
    with pytest.raises(SystemExit) as stop:
        lightning_cli.main(["fit", *ours])
    assert stop.value.code == 0 and "BoringModel" in capsys.readouterr().out


def change_weights(folder: Path, change: Callable[[dict[str, Any], str], Any]) -> None:
    found = load_file(folder / "model.safetensors")
    change(found, "clip.visual.conv1.weight")
    save_file(found, folder / "model.safetensors", metadata={"format": "pt"})


def nan(found: dict[str, Any], name: str) -> None:
    found[name].flatten()[0] = float("nan")


def wrong_shape(found: dict[str, Any], name: str) -> None:
    found[name] = torch.zeros(3)


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "cut off": (lambda f: os.truncate(f / "model.safetensors", 5000), "cannot be read as MSLIQE .SafetensorError"),
    "empty": (lambda f: os.truncate(f / "model.safetensors", 0), "cannot be read as MSLIQE"),
    "nan": (lambda f: change_weights(f, nan), r"model.safetensors holds numbers that are not finite, in clip.visual"),
    "wrong shape": (lambda f: change_weights(f, wrong_shape), "do not match .*size mismatch"),
    "incomplete": (lambda f: change_weights(f, dict.__delitem__), "do not match .*Missing key"),
    "no json": (lambda f: (f / "config.json").write_text("{"), "cannot be read as MSLIQE"),
    "a list": (lambda f: (f / "config.json").write_text("[]"), "cannot be read as MSLIQE"),
    "no levels": (
        lambda f: (f / "config.json").write_text(
            json.dumps(json.loads((f / "config.json").read_text()) | {"levels": []})
        ),
        "at least one level",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_quality_model_is_named(damage: str, tiny_model: Callable[..., MSLIQE], tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path / "model")
    load_model(tmp_path / "model")
    change, sentence = DAMAGES[damage]
    change(tmp_path / "model")
    with pytest.raises(UserError, match=sentence) as error:
        load_model(tmp_path / "model")
    assert str(tmp_path / "model") in str(error.value)


def test_a_damaged_checkpoint_is_named(tiny_backbone: dict[str, Any], tmp_path: Path) -> None:
    learner = QualityModule(model={"backbone": tiny_backbone, "n_crops": 2})
    sound = {
        "mslique_record": {"config": {"backbone": tiny_backbone, "n_crops": 2}},
        "state_dict": learner.state_dict(),
    }
    torch.save(sound, file := tmp_path / "x.ckpt")
    load_model(file)
    for name, value in (
        ("model.clip.visual.conv1.weight", torch.full((1,), torch.nan)),
        ("model.surplus", torch.ones(1)),
    ):
        torch.save(sound | {"state_dict": sound["state_dict"] | {name: value}}, file)
        with pytest.raises(UserError, match="x.ckpt do not match"):
            load_model(file)
    weights = {name: weight.clone() for name, weight in learner.state_dict().items()}
    nan(weights, "model.clip.visual.conv1.weight")
    torch.save(sound | {"state_dict": weights}, file)
    with pytest.raises(UserError, match="x.ckpt holds numbers that are not finite"):
        load_model(file)
    torch.save(sound | {"mslique_record": 3}, file)
    with pytest.raises(UserError, match="x.ckpt do not match"):
        load_model(file)
    os.truncate(file, 1000)
    with pytest.raises(UserError, match="x.ckpt cannot be read as plain weights"):
        read_weights(file)
